//! Grows the columns of a batch value by value, and cuts them back when a
//! message turns out to be bad.
//!
//! A builder is an enum over the types, so that a row costs a `match` per field
//! and no allocation. Conversions are Flink's; what a text or a number cannot
//! be converted to leaves the builder as it was.
//!
//! Invariant: after [`ColumnBuilder::truncate`] a column and all its children
//! are as they were when they had that length.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, BooleanBufferBuilder, ListArray, MapArray, NullBufferBuilder,
    PrimitiveArray, StructArray,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};

use super::names::Names;
use super::parse::{self, Decimal, TimestampForm};
use super::views::{BytesBuilder, TextBuilder};
use crate::types::{ColumnType, SqlType};

/// A column, or a part of one, that is being filled.
#[derive(Debug)]
pub struct ColumnBuilder {
    pub ty: SqlType,
    pub values: Values,
    data_type: DataType,
    nulls: NullBufferBuilder,
    nullable: bool,
    /// Something in here, itself or a child, is NOT NULL.
    restricted: bool,
}

#[derive(Debug)]
pub enum Values {
    Boolean(BooleanBufferBuilder),
    TinyInt(Vec<i8>),
    SmallInt(Vec<i16>),
    Int(Vec<i32>),
    BigInt(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Decimal { values: Vec<i128>, precision: u8, scale: i8 },
    Date(Vec<i32>),
    Time { millis: Vec<i32>, precision: u8 },
    Timestamp { values: Vec<i64>, nanos: bool, local: bool },
    Text(TextBuilder),
    Bytes(BytesBuilder),
    Array { offsets: Vec<i32>, items: Box<ColumnBuilder> },
    Map { offsets: Vec<i32>, keys: Box<ColumnBuilder>, values: Box<ColumnBuilder> },
    Row { names: Names, fields: Vec<ColumnBuilder> },
}

/// What the text of a value looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextForm {
    Csv,
    JsonSql,
    JsonIso,
}

/// Jackson's default: padding must be right, bits after the last byte may be
/// anything.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

impl ColumnBuilder {
    pub fn new(column: &ColumnType, time_zone: &str) -> Self {
        let child = |ty: &ColumnType| Box::new(ColumnBuilder::new(ty, time_zone));
        let values = match &column.ty {
            SqlType::Char(_) | SqlType::Varchar(_) => Values::Text(TextBuilder::default()),
            SqlType::Binary(_) | SqlType::Varbinary(_) => {
                Values::Bytes(BytesBuilder::default())
            }
            SqlType::Boolean => Values::Boolean(BooleanBufferBuilder::new(0)),
            SqlType::Decimal { precision, scale } => {
                Values::Decimal { values: Vec::new(), precision: *precision, scale: *scale }
            }
            SqlType::TinyInt => Values::TinyInt(Vec::new()),
            SqlType::SmallInt => Values::SmallInt(Vec::new()),
            SqlType::Int => Values::Int(Vec::new()),
            SqlType::BigInt => Values::BigInt(Vec::new()),
            SqlType::Float => Values::Float(Vec::new()),
            SqlType::Double => Values::Double(Vec::new()),
            SqlType::Date => Values::Date(Vec::new()),
            SqlType::Time(p) => Values::Time { millis: Vec::new(), precision: *p },
            SqlType::Timestamp(p) => timestamps(*p, false),
            SqlType::TimestampLtz(p) => timestamps(*p, true),
            SqlType::Array(item) => Values::Array { offsets: vec![0], items: child(item) },
            SqlType::Map(key, value) => {
                let key = ColumnType { ty: key.ty.clone(), nullable: false };
                Values::Map { offsets: vec![0], keys: child(&key), values: child(value) }
            }
            SqlType::Multiset(item) => {
                let key = ColumnType { ty: item.ty.clone(), nullable: false };
                let counts = child(&SqlType::COUNT);
                Values::Map { offsets: vec![0], keys: child(&key), values: counts }
            }
            SqlType::Row(fields) => Values::Row {
                names: Names::new(fields.iter().map(|f| f.name.as_str())),
                fields: fields.iter().map(|f| Self::new(&f.ty, time_zone)).collect(),
            },
        };
        let restricted = !column.nullable || values.children().any(|c| c.restricted);
        Self {
            ty: column.ty.clone(),
            data_type: column.ty.to_arrow(time_zone),
            nulls: NullBufferBuilder::new(0),
            nullable: column.nullable,
            restricted,
            values,
        }
    }

    /// Begins a batch of about so many rows, whose payloads are in `base`.
    pub fn start(&mut self, base: &Buffer, rows: usize) {
        match &mut self.values {
            Values::Text(texts) => texts.start(base, rows),
            Values::Bytes(bytes) => bytes.start(base),
            Values::Int(values) | Values::Date(values) => values.reserve(rows),
            Values::Time { millis, .. } => millis.reserve(rows),
            Values::BigInt(values) | Values::Timestamp { values, .. } => values.reserve(rows),
            Values::Double(values) => values.reserve(rows),
            Values::Decimal { values, .. } => values.reserve(rows),
            values => values.children_mut().for_each(|child| child.start(base, rows)),
        }
    }

    pub fn len(&self) -> usize {
        self.nulls.len()
    }

    pub fn is_null(&self, index: usize) -> bool {
        !self.nulls.is_valid(index)
    }

    /// Marks the value that was just pushed into `values` as there.
    pub fn commit(&mut self) {
        self.nulls.append_non_null();
    }

    pub fn push_null(&mut self) {
        match &mut self.values {
            Values::Boolean(values) => values.append(false),
            Values::TinyInt(values) => values.push(0),
            Values::SmallInt(values) => values.push(0),
            Values::Int(values) | Values::Date(values) => values.push(0),
            Values::Time { millis, .. } => millis.push(0),
            Values::BigInt(values) | Values::Timestamp { values, .. } => values.push(0),
            Values::Float(values) => values.push(0.0),
            Values::Double(values) => values.push(0.0),
            Values::Decimal { values, .. } => values.push(0),
            Values::Text(texts) => texts.push_blank(),
            Values::Bytes(bytes) => bytes.push_blank(),
            Values::Array { offsets, .. } | Values::Map { offsets, .. } => repeat_last(offsets),
            Values::Row { fields, .. } => fields.iter_mut().for_each(Self::push_null),
        }
        self.nulls.append_null();
    }

    /// Forgets every value from `len` on, also one that is only half there.
    pub fn truncate(&mut self, len: usize) {
        match &mut self.values {
            Values::Boolean(values) => values.truncate(len),
            Values::TinyInt(values) => values.truncate(len),
            Values::SmallInt(values) => values.truncate(len),
            Values::Int(values) | Values::Date(values) => values.truncate(len),
            Values::Time { millis, .. } => millis.truncate(len),
            Values::BigInt(values) | Values::Timestamp { values, .. } => values.truncate(len),
            Values::Float(values) => values.truncate(len),
            Values::Double(values) => values.truncate(len),
            Values::Decimal { values, .. } => values.truncate(len),
            Values::Text(texts) => texts.truncate(len),
            Values::Bytes(bytes) => bytes.truncate(len),
            Values::Array { offsets, items } => items.truncate(cut_offsets(offsets, len)),
            Values::Map { offsets, keys, values } => {
                let entries = cut_offsets(offsets, len);
                keys.truncate(entries);
                values.truncate(entries);
            }
            Values::Row { fields, .. } => fields.iter_mut().for_each(|f| f.truncate(len)),
        }
        if self.nulls.len() > len {
            self.nulls.truncate(len);
        }
    }

    /// Whether the value at `index` is, or holds, a NULL where NOT NULL was
    /// declared.
    pub fn breaks_not_null(&self, index: usize) -> bool {
        if !self.restricted {
            return false;
        }
        if self.is_null(index) {
            return !self.nullable;
        }
        match &self.values {
            Values::Row { fields, .. } => fields.iter().any(|f| f.breaks_not_null(index)),
            Values::Array { offsets, items } => {
                entries_of(offsets, index).any(|i| items.breaks_not_null(i))
            }
            Values::Map { offsets, values, .. } => {
                entries_of(offsets, index).any(|i| values.breaks_not_null(i))
            }
            _ => false,
        }
    }

    /// The first value from `from` on and before `to` that
    /// [breaks](Self::breaks_not_null) what was declared; `to` if none does.
    pub fn first_breaking_not_null(&self, from: usize, to: usize) -> usize {
        if !self.restricted {
            return to;
        }
        (from..to).find(|index| self.breaks_not_null(*index)).unwrap_or(to)
    }

    /// Converts a text. `None`: it is no such value, and nothing was pushed.
    pub fn push_text(&mut self, text: &str, form: TextForm) -> Option<()> {
        match &mut self.values {
            Values::Text(texts) => texts.push(text),
            Values::BigInt(values) => values.push(trimmed_integer(text)?),
            Values::Int(values) => values.push(trimmed_integer(text)?),
            Values::SmallInt(values) => values.push(trimmed_integer(text)?),
            Values::TinyInt(values) => values.push(trimmed_integer(text)?),
            Values::Boolean(values) => values.append(parse::boolean(parse::trim(text))),
            Values::Float(values) => values.push(parse::single(parse::trim(text))?),
            Values::Double(values) => values.push(parse::double(parse::trim(text))?),
            Values::Timestamp { values, nanos, local } => {
                values.push(timestamp(text, form, *nanos, *local)?);
            }
            Values::Decimal { .. } => {
                let text = if form == TextForm::Csv { text } else { parse::trim(text) };
                return self.push_decimal(text);
            }
            Values::Date(values) => values.push(match form {
                TextForm::Csv => parse::sql_date(text)?,
                TextForm::JsonSql | TextForm::JsonIso => parse::date(text)?,
            }),
            Values::Time { millis, precision } => millis.push(match form {
                TextForm::Csv => cut_millis(parse::iso_time(text)?, *precision),
                TextForm::JsonSql | TextForm::JsonIso => parse::time(text)?,
            }),
            Values::Bytes(bytes) => bytes.push(&BASE64.decode(text).ok()?),
            Values::Array { .. } | Values::Map { .. } | Values::Row { .. } => return None,
        }
        self.commit();
        Some(())
    }

    /// Converts texts one after the other, up to one that is no such value. Gives how
    /// many were pushed.
    pub fn push_texts<'a>(
        &mut self,
        texts: impl Iterator<Item = &'a str>,
        form: TextForm,
    ) -> usize {
        let pushed = match &mut self.values {
            Values::Text(values) => texts.map(|text| values.push(text)).count(),
            Values::BigInt(values) => push_while(values, texts, trimmed_integer),
            Values::Int(values) => push_while(values, texts, trimmed_integer),
            Values::Double(values) => {
                push_while(values, texts, |text| parse::double(parse::trim(text)))
            }
            Values::Timestamp { values, nanos, local } => {
                let (nanos, local) = (*nanos, *local);
                push_while(values, texts, |text| timestamp(text, form, nanos, local))
            }
            // These say themselves what is there.
            _ => {
                let pushed = |text: &&str| self.push_text(text, form).is_some();
                return texts.take_while(pushed).count();
            }
        };
        self.nulls.append_n_non_nulls(pushed);
        pushed
    }

    /// Converts a number that is written as JSON writes it. `None`: it is no
    /// such value, and nothing was pushed.
    pub fn push_number(&mut self, text: &str, fractional: bool, form: TextForm) -> Option<()> {
        match &mut self.values {
            Values::BigInt(values) if fractional => {
                values.push(whole(text, i64::MIN as f64, i64::MAX as f64)? as i64);
            }
            Values::Int(values) if fractional => {
                values.push(whole(text, i32::MIN.into(), i32::MAX.into())? as i32);
            }
            // Nothing to trim, and no sign that JSON does not know.
            Values::BigInt(values) => values.push(parse::integer(text)?),
            Values::Int(values) => values.push(parse::integer(text)?),
            Values::Decimal { .. } => return self.push_decimal(text),
            Values::Bytes(_) => return None,
            _ => return self.push_text(text, form),
        }
        self.commit();
        Some(())
    }

    fn push_decimal(&mut self, text: &str) -> Option<()> {
        let Values::Decimal { values, precision, scale } = &mut self.values else {
            return None;
        };
        match parse::decimal(text, *precision, *scale)? {
            Decimal::Fits(value) => {
                values.push(value);
                self.commit();
            }
            Decimal::Overflows => self.push_null(),
        }
        Some(())
    }

    /// The array of everything pushed; the builder is empty again.
    pub fn finish(&mut self) -> ArrayRef {
        let nulls = self.nulls.finish();
        let ty = &self.data_type;
        match &mut self.values {
            Values::Boolean(values) => Arc::new(BooleanArray::new(values.finish(), nulls)),
            Values::TinyInt(values) => primitive::<Int8Type>(values, nulls, ty),
            Values::SmallInt(values) => primitive::<Int16Type>(values, nulls, ty),
            Values::Int(values) => primitive::<Int32Type>(values, nulls, ty),
            Values::BigInt(values) => primitive::<Int64Type>(values, nulls, ty),
            Values::Float(values) => primitive::<Float32Type>(values, nulls, ty),
            Values::Double(values) => primitive::<Float64Type>(values, nulls, ty),
            Values::Decimal { values, .. } => primitive::<Decimal128Type>(values, nulls, ty),
            Values::Date(values) => primitive::<Date32Type>(values, nulls, ty),
            Values::Time { millis, .. } => {
                primitive::<Time32MillisecondType>(millis, nulls, ty)
            }
            Values::Timestamp { values, nanos: true, .. } => {
                primitive::<TimestampNanosecondType>(values, nulls, ty)
            }
            Values::Timestamp { values, .. } => {
                primitive::<TimestampMicrosecondType>(values, nulls, ty)
            }
            Values::Text(texts) => texts.finish(nulls),
            Values::Bytes(bytes) => bytes.finish(nulls),
            Values::Array { offsets, items } => {
                let DataType::List(item) = ty else { unreachable!("an ARRAY is a list") };
                let offsets = take_offsets(offsets);
                Arc::new(ListArray::new(Arc::clone(item), offsets, items.finish(), nulls))
            }
            Values::Map { offsets, keys, values } => {
                let DataType::Map(entry, _) = ty else { unreachable!("a MAP is a map") };
                let DataType::Struct(fields) = entry.data_type() else {
                    unreachable!("an entry is a struct");
                };
                let entries = vec![keys.finish(), values.finish()];
                let entries = StructArray::new(fields.clone(), entries, None);
                let offsets = take_offsets(offsets);
                Arc::new(MapArray::new(Arc::clone(entry), offsets, entries, nulls, false))
            }
            Values::Row { fields, .. } => {
                let DataType::Struct(types) = ty else { unreachable!("a ROW is a struct") };
                let arrays = fields.iter_mut().map(Self::finish).collect();
                Arc::new(StructArray::new(types.clone(), arrays, nulls))
            }
        }
    }
}

impl Values {
    fn children(&self) -> impl Iterator<Item = &ColumnBuilder> {
        let (boxed, fields): ([Option<&ColumnBuilder>; 2], &[ColumnBuilder]) = match self {
            Values::Array { items, .. } => ([Some(items), None], &[]),
            // The keys of a JSON object are never null.
            Values::Map { values, .. } => ([Some(values), None], &[]),
            Values::Row { fields, .. } => ([None, None], fields),
            _ => ([None, None], &[]),
        };
        boxed.into_iter().flatten().chain(fields)
    }

    fn children_mut(&mut self) -> impl Iterator<Item = &mut ColumnBuilder> {
        let (boxed, fields): ([Option<&mut ColumnBuilder>; 2], &mut [ColumnBuilder]) =
            match self {
                Values::Array { items, .. } => ([Some(items), None], &mut []),
                Values::Map { keys, values, .. } => ([Some(keys), Some(values)], &mut []),
                Values::Row { fields, .. } => ([None, None], fields),
                _ => ([None, None], &mut []),
            };
        boxed.into_iter().flatten().chain(fields)
    }
}

fn trimmed_integer<T: TryFrom<i64>>(text: &str) -> Option<T> {
    parse::integer(parse::trim(text))
}

/// Pushes what `convert` makes of the texts, up to one that it makes nothing of.
/// Gives how many that were.
#[inline]
fn push_while<'a, T>(
    values: &mut Vec<T>,
    texts: impl Iterator<Item = &'a str>,
    convert: impl Fn(&str) -> Option<T>,
) -> usize {
    let before = values.len();
    values.extend(texts.map_while(convert));
    values.len() - before
}

fn timestamps(precision: u8, local: bool) -> Values {
    Values::Timestamp { values: Vec::new(), nanos: precision > 6, local }
}

fn timestamp(text: &str, form: TextForm, nanos: bool, local: bool) -> Option<i64> {
    let (text, form) = match (form, local) {
        (TextForm::Csv, false) => (parse::trim(text), TimestampForm::Sql),
        (TextForm::Csv, true) => (parse::trim(text), TimestampForm::SqlUtc),
        (TextForm::JsonSql, false) => (text, TimestampForm::Sql),
        (TextForm::JsonSql, true) => (text, TimestampForm::SqlUtc),
        (TextForm::JsonIso, false) => (text, TimestampForm::Iso),
        (TextForm::JsonIso, true) => (text, TimestampForm::IsoUtc),
    };
    let wall = parse::timestamp(text, form)?;
    if nanos { wall.nanos() } else { wall.micros() }
}

/// Milliseconds without the digits that a `TIME(precision)` does not have.
fn cut_millis(millis: i32, precision: u8) -> i32 {
    let unit = 10i32.pow(3u32.saturating_sub(precision.into()));
    millis / unit * unit
}

/// A number with a fraction, its fraction cut, if it is in range.
fn whole(text: &str, least: f64, most: f64) -> Option<f64> {
    let value = parse::double(text)?;
    (least..=most).contains(&value).then(|| value.trunc())
}

fn repeat_last(offsets: &mut Vec<i32>) {
    let last = *offsets.last().expect("offsets begin with 0");
    offsets.push(last);
}

/// Cuts the offsets to `len` values; returns how many entries those have.
fn cut_offsets(offsets: &mut Vec<i32>, len: usize) -> usize {
    offsets.truncate(len + 1);
    *offsets.last().expect("offsets begin with 0") as usize
}

fn entries_of(offsets: &[i32], index: usize) -> std::ops::Range<usize> {
    offsets[index] as usize..offsets[index + 1] as usize
}

fn take_offsets(offsets: &mut Vec<i32>) -> OffsetBuffer<i32> {
    let taken = std::mem::replace(offsets, vec![0]);
    OffsetBuffer::new(ScalarBuffer::from(taken))
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> ArrayRef {
    let values = ScalarBuffer::from(std::mem::take(values));
    Arc::new(PrimitiveArray::<T>::new(values, nulls).with_data_type(data_type.clone()))
}
