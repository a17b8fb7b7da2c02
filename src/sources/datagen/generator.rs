//! What a column is filled with.
//!
//! Random values differ from run to run; a sequence is a function of the row's
//! number.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{
    Array, ArrayRef, BinaryViewBuilder, BooleanArray, Date32Array, Decimal128Array,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, ListArray,
    MapArray, StringViewBuilder, StructArray, Time32MillisecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, make_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, TimeUnit};
use chrono::{Local, NaiveTime, TimeZone, Timelike};
use rand::Rng;

use crate::types::SqlType;

const DAY_MS: i64 = 86_400_000;

/// Makes the values of a column or a part of one.
#[derive(Debug, Clone)]
pub struct Generator {
    pub kind: Kind,
    /// How many of the values are null, from 0 to 1.
    pub null_rate: f64,
}

#[derive(Debug, Clone)]
pub enum Kind {
    /// `start`, `start + 1`, up to `end`.
    Sequence {
        start: i64,
        end: i64,
    },
    Number(Range),
    Boolean,
    /// Hexadecimal digits, or random bytes.
    Text(Lengths),
    /// The present day, or time of day.
    Now,
    /// Up to so long ago.
    Past(Duration),
    Array(Lengths, Box<Generator>),
    Map(Lengths, Box<Generator>, Box<Generator>),
    Row(Vec<Generator>),
}

/// How long values are: `max`, or from 1 to it.
#[derive(Debug, Clone, Copy)]
pub struct Lengths {
    pub max: u32,
    pub vary: bool,
}

/// The least and the greatest value, themselves included.
#[derive(Debug, Clone, Copy)]
pub struct Range {
    pub min: Bound,
    pub max: Bound,
}

/// A number, and the same in units of the last digit of a whole or decimal type.
#[derive(Debug, Clone, Copy)]
pub struct Bound {
    pub number: f64,
    pub whole: i128,
}

impl Bound {
    #[expect(clippy::cast_precision_loss, reason = "only compared, roughly")]
    fn whole(whole: i128) -> Self {
        Self { number: whole as f64, whole }
    }

    fn real(number: f64) -> Self {
        Self { number, whole: 0 }
    }

    pub fn parse(text: &str, ty: &SqlType) -> Option<Self> {
        match ty {
            SqlType::Float | SqlType::Double => {
                text.parse().ok().filter(|n: &f64| n.is_finite()).map(Self::real)
            }
            SqlType::Decimal { scale, .. } => {
                let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
                let scale = usize::try_from(*scale).ok()?;
                if fraction.len() > scale || !fraction.bytes().all(|b| b.is_ascii_digit()) {
                    return None;
                }
                let digits = format!("{whole}{fraction:0<scale$}");
                let number = text.parse().ok()?;
                Some(Self { number, whole: digits.parse().ok()? })
            }
            _ => text.parse().ok().map(Self::whole),
        }
    }
}

/// All values of a numeric type.
pub fn range_of(ty: &SqlType) -> Range {
    let whole = |min, max| Range { min: Bound::whole(min), max: Bound::whole(max) };
    match ty {
        SqlType::TinyInt => whole(i8::MIN.into(), i8::MAX.into()),
        SqlType::SmallInt => whole(i16::MIN.into(), i16::MAX.into()),
        SqlType::Int => whole(i32::MIN.into(), i32::MAX.into()),
        SqlType::BigInt => whole(i64::MIN.into(), i64::MAX.into()),
        SqlType::Decimal { precision, scale } => {
            let most = 10_i128.pow(u32::from(*precision)) - 1;
            let unit = 10_f64.powi(i32::from(*scale));
            let scaled =
                |whole: i128| Bound { number: Bound::whole(whole).number / unit, whole };
            Range { min: scaled(-most), max: scaled(most) }
        }
        // Flink's bounds: a float's least positive to its greatest.
        SqlType::Float => Range {
            min: Bound::real(f64::from(f32::from_bits(1))),
            max: Bound::real(f64::from(f32::MAX)),
        },
        _ => Range { min: Bound::real(f64::from_bits(1)), max: Bound::real(f64::MAX) },
    }
}

impl Kind {
    /// How many values there are, if they end.
    pub fn sequence_len(&self) -> Option<u64> {
        let Kind::Sequence { start, end } = self else { return None };
        Some(end.abs_diff(*start).saturating_add(1))
    }
}

impl Lengths {
    fn draw(self) -> usize {
        let length = if self.vary { rand::rng().random_range(1..=self.max) } else { self.max };
        length as usize
    }

    fn offsets(self, count: usize) -> OffsetBuffer<i32> {
        OffsetBuffer::from_lengths((0..count).map(|_| self.draw()))
    }
}

impl Generator {
    /// `count` values from row `first` on, as the array of `field`.
    pub fn column(&self, field: &Field, first: i64, count: usize, now_ms: i64) -> ArrayRef {
        let values = self.values(field.data_type(), first, count, now_ms);
        if self.null_rate == 0.0 {
            return values;
        }
        let mut rng = rand::rng();
        let kept: NullBuffer =
            (0..count).map(|_| rng.random::<f64>() >= self.null_rate).collect();
        let data = values.to_data().into_builder().nulls(Some(kept)).build();
        make_array(data.expect("only the nulls are new, and of the same length"))
    }

    fn values(&self, ty: &DataType, first: i64, count: usize, now_ms: i64) -> ArrayRef {
        match &self.kind {
            Kind::Sequence { start, .. } => sequence(ty, start + first, count),
            Kind::Number(range) => numbers(ty, *range, count),
            Kind::Boolean => {
                let mut rng = rand::rng();
                let values = (0..count).map(|_| Some(rng.random::<bool>()));
                Arc::new(values.collect::<BooleanArray>())
            }
            Kind::Text(lengths) => texts(ty, *lengths, count),
            Kind::Now => now(ty, now_ms, count),
            Kind::Past(past) => times(ty, *past, now_ms, count),
            Kind::Array(lengths, item) => {
                let DataType::List(field) = ty else { unreachable!("bound to an ARRAY") };
                let offsets = lengths.offsets(count);
                let items = item.column(field, 0, last(&offsets), now_ms);
                Arc::new(ListArray::new(Arc::clone(field), offsets, items, None))
            }
            Kind::Map(lengths, key, value) => {
                let DataType::Map(field, ordered) = ty else { unreachable!("bound to a MAP") };
                let DataType::Struct(parts) = field.data_type() else {
                    unreachable!("a MAP has entries")
                };
                let offsets = lengths.offsets(count);
                let entries = last(&offsets);
                let columns = vec![
                    key.column(&parts[0], 0, entries, now_ms),
                    value.column(&parts[1], 0, entries, now_ms),
                ];
                let entries = StructArray::new(parts.clone(), columns, None);
                Arc::new(MapArray::new(Arc::clone(field), offsets, entries, None, *ordered))
            }
            Kind::Row(generators) => {
                let DataType::Struct(fields) = ty else { unreachable!("bound to a ROW") };
                let columns = generators.iter().zip(fields);
                let columns =
                    columns.map(|(g, field)| g.column(field, first, count, now_ms)).collect();
                Arc::new(
                    StructArray::try_new_with_length(fields.clone(), columns, None, count)
                        .expect("each generator makes the array of its field"),
                )
            }
        }
    }
}

fn last(offsets: &OffsetBuffer<i32>) -> usize {
    usize::try_from(*offsets.last().expect("offsets are never empty")).unwrap_or(0)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "as in Flink")]
fn sequence(ty: &DataType, start: i64, count: usize) -> ArrayRef {
    let values = (start..).take(count);
    match ty {
        DataType::Int8 => Arc::new(Int8Array::from_iter_values(values.map(|v| v as i8))),
        DataType::Int16 => Arc::new(Int16Array::from_iter_values(values.map(|v| v as i16))),
        DataType::Int32 => Arc::new(Int32Array::from_iter_values(values.map(|v| v as i32))),
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(values)),
        DataType::Float32 => Arc::new(Float32Array::from_iter_values(values.map(|v| v as f32))),
        DataType::Float64 => Arc::new(Float64Array::from_iter_values(values.map(|v| v as f64))),
        DataType::Decimal128(precision, scale) => {
            let unit = 10_i128.pow(u32::try_from(*scale).unwrap_or(0));
            let values = values.map(|v| i128::from(v) * unit);
            decimals(values, *precision, *scale)
        }
        _ => {
            let mut texts = StringViewBuilder::with_capacity(count);
            values.for_each(|v| texts.append_value(v.to_string()));
            Arc::new(texts.finish())
        }
    }
}

fn decimals(values: impl Iterator<Item = i128>, precision: u8, scale: i8) -> ArrayRef {
    let values = Decimal128Array::from_iter_values(values);
    Arc::new(values.with_precision_and_scale(precision, scale).expect("a type of SQL"))
}

#[expect(clippy::cast_possible_truncation, reason = "the range is the type's, or within")]
fn numbers(ty: &DataType, range: Range, count: usize) -> ArrayRef {
    let mut rng = rand::rng();
    let (min, max) = (range.min, range.max);
    let mut whole = || rng.random_range(min.whole..=max.whole);
    let each = 0..count;
    match ty {
        DataType::Int8 => Arc::new(Int8Array::from_iter_values(each.map(|_| whole() as i8))),
        DataType::Int16 => Arc::new(Int16Array::from_iter_values(each.map(|_| whole() as i16))),
        DataType::Int32 => Arc::new(Int32Array::from_iter_values(each.map(|_| whole() as i32))),
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(each.map(|_| whole() as i64))),
        DataType::Decimal128(precision, scale) => {
            decimals(each.map(|_| whole()), *precision, *scale)
        }
        DataType::Float32 => {
            let real = |_| between(min.number, max.number) as f32;
            Arc::new(Float32Array::from_iter_values(each.map(real)))
        }
        _ => {
            let real = |_| between(min.number, max.number);
            Arc::new(Float64Array::from_iter_values(each.map(real)))
        }
    }
}

/// Never overflows, as `max - min` might.
fn between(min: f64, max: f64) -> f64 {
    let share: f64 = rand::rng().random();
    min * (1.0 - share) + max * share
}

fn texts(ty: &DataType, lengths: Lengths, count: usize) -> ArrayRef {
    let mut rng = rand::rng();
    let mut bytes = Vec::new();
    if matches!(ty, DataType::BinaryView) {
        let mut values = BinaryViewBuilder::with_capacity(count);
        for _ in 0..count {
            bytes.resize(lengths.draw(), 0);
            rng.fill(bytes.as_mut_slice());
            values.append_value(&bytes);
        }
        return Arc::new(values.finish());
    }
    let mut values = StringViewBuilder::with_capacity(count);
    for _ in 0..count {
        bytes.resize(lengths.draw(), 0);
        rng.fill(bytes.as_mut_slice());
        let digit = |byte: &u8| char::from(b"0123456789abcdef"[usize::from(byte & 15)]);
        values.append_value(bytes.iter().map(digit).collect::<String>());
    }
    Arc::new(values.finish())
}

/// The day or time of day where this machine is.
fn now(ty: &DataType, now_ms: i64, count: usize) -> ArrayRef {
    let local = Local.timestamp_millis_opt(now_ms).single().map(|t| t.naive_local());
    if matches!(ty, DataType::Date32) {
        let day = local.map_or(now_ms.div_euclid(DAY_MS), |t| {
            t.and_utc().timestamp_millis().div_euclid(DAY_MS)
        });
        return Arc::new(Date32Array::from(vec![i32::try_from(day).unwrap_or(0); count]));
    }
    let time = local.map_or(NaiveTime::MIN, |t| t.time());
    let millis = i64::from(time.num_seconds_from_midnight()) * 1000
        + i64::from(time.nanosecond() / 1_000_000);
    Arc::new(Time32MillisecondArray::from(vec![i32::try_from(millis).unwrap_or(0); count]))
}

/// Wall times, up to `past` before now.
fn times(ty: &DataType, past: Duration, now_ms: i64, count: usize) -> ArrayRef {
    let DataType::Timestamp(unit, zone) = ty else { unreachable!("bound to a TIMESTAMP") };
    let now_ms = if zone.is_some() { now_ms } else { local_ms(now_ms) };
    let past_ms = i64::try_from(past.as_millis()).unwrap_or(i64::MAX);
    let mut rng = rand::rng();
    let values = (0..count).map(|_| now_ms.saturating_sub(rng.random_range(0..=past_ms)));
    if *unit == TimeUnit::Nanosecond {
        let values = TimestampNanosecondArray::from_iter_values(values.map(|v| v * 1_000_000));
        Arc::new(values.with_timezone_opt(zone.clone()))
    } else {
        let values = TimestampMicrosecondArray::from_iter_values(values.map(|v| v * 1_000));
        Arc::new(values.with_timezone_opt(zone.clone()))
    }
}

/// What a clock on the wall shows, as if that were UTC.
fn local_ms(now_ms: i64) -> i64 {
    let local = Local.timestamp_millis_opt(now_ms).single();
    local.map_or(now_ms, |t| t.naive_local().and_utc().timestamp_millis())
}
