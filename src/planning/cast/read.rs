//! Strings as values of other types.
//!
//! Spaces around a number do not matter; a fraction is cut off an integer;
//! `1e2` is no integer. A DECIMAL that is too large is NULL.
//!
//! Source: Flink's `BinaryStringDataUtil`, `DateTimeUtils`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, Decimal128Array, PrimitiveArray,
    StringViewArray,
};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType,
};
use datafusion::common::{Result, exec_err};

use super::function::Outcome;
use super::points::{cut, declared_digits};
use crate::formats::parse::{self, Decimal};
use crate::planning::functions::time::wall::{Micros, Zoned, from_micros};
use crate::times::parse as instants;

pub(super) fn values(
    array: &ArrayRef,
    target: &DataType,
    declared: &str,
    time_zone: &str,
    outcome: &Outcome<'_>,
) -> Result<ArrayRef> {
    let texts = cast(array, &DataType::Utf8View)?;
    let texts = texts.as_string_view();
    match target {
        DataType::Int8 => primitive::<Int8Type>(texts, outcome, integer),
        DataType::Int16 => primitive::<Int16Type>(texts, outcome, integer),
        DataType::Int32 => primitive::<Int32Type>(texts, outcome, integer),
        DataType::Int64 => primitive::<Int64Type>(texts, outcome, integer),
        DataType::Float32 => {
            primitive::<Float32Type>(texts, outcome, |text| parse::single(parse::trim(text)))
        }
        DataType::Float64 => {
            primitive::<Float64Type>(texts, outcome, |text| parse::double(parse::trim(text)))
        }
        DataType::Decimal128(precision, scale) => decimals(texts, *precision, *scale, outcome),
        DataType::Boolean => booleans(texts, outcome),
        DataType::Date32 => primitive::<Date32Type>(texts, outcome, |text| {
            instants::date(text).map(|days| days as i32)
        }),
        DataType::Time32(_) => primitive::<Time32MillisecondType>(texts, outcome, time),
        DataType::Timestamp(_, zone) => {
            let digits = declared_digits(declared).unwrap_or(6);
            let zone = zone.is_some().then(|| Zoned::new(time_zone));
            let micros = primitive::<Int64Type>(texts, outcome, |text| {
                let wall = cut(instants::timestamp(text)?, digits);
                Some(zone.as_ref().map_or(wall, |zone| zone.instant(wall)))
            })?;
            let micros: &Micros = micros.as_primitive();
            from_micros(micros.clone(), target)
        }
        other => exec_err!("a STRING cannot be cast to {other}"),
    }
}

fn primitive<T: ArrowPrimitiveType>(
    texts: &StringViewArray,
    outcome: &Outcome<'_>,
    parse: impl Fn(&str) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let values = texts.iter().map(|text| match text {
        None => Ok(None),
        Some(text) => match parse(text) {
            Some(value) => Ok(Some(value)),
            None => outcome.failed(text),
        },
    });
    Ok(Arc::new(values.collect::<Result<PrimitiveArray<T>>>()?))
}

fn decimals(
    texts: &StringViewArray,
    precision: u8,
    scale: i8,
    outcome: &Outcome<'_>,
) -> Result<ArrayRef> {
    let values = texts.iter().map(|text| {
        let Some(text) = text else { return Ok(None) };
        match parse::decimal(parse::trim(text), precision, scale) {
            Some(Decimal::Fits(value)) => Ok(Some(value)),
            Some(Decimal::Overflows) => Ok(None),
            None => outcome.failed(text),
        }
    });
    let values = values.collect::<Result<Decimal128Array>>()?;
    Ok(Arc::new(values.with_precision_and_scale(precision, scale)?))
}

fn booleans(texts: &StringViewArray, outcome: &Outcome<'_>) -> Result<ArrayRef> {
    const TRUE: [&str; 5] = ["t", "true", "y", "yes", "1"];
    const FALSE: [&str; 5] = ["f", "false", "n", "no", "0"];
    let is = |words: [&str; 5], text: &str| words.iter().any(|w| w.eq_ignore_ascii_case(text));
    let values = texts.iter().map(|text| match text {
        None => Ok(None),
        Some(text) if is(TRUE, text) => Ok(Some(true)),
        Some(text) if is(FALSE, text) => Ok(Some(false)),
        Some(text) => outcome.failed(text),
    });
    Ok(Arc::new(values.collect::<Result<BooleanArray>>()?))
}

/// Digits with a sign; what follows a point must be digits and is dropped.
fn integer<T: TryFrom<i64>>(text: &str) -> Option<T> {
    let text = text.trim_matches(' ');
    let Some((whole, fraction)) = text.split_once('.') else { return parse::integer(text) };
    if !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    match whole {
        "" | "-" | "+" => T::try_from(0).ok(),
        whole => parse::integer(whole),
    }
}

/// `H[:m[:s[.f]]]` as milliseconds of the day.
fn time(text: &str) -> Option<i32> {
    let (whole, fraction) = match text.split_once('.') {
        Some((whole, fraction)) => (whole, fraction),
        None => (text, ""),
    };
    let mut parts = whole.splitn(3, ':').map(|part| parse::integer::<i32>(part.trim()));
    let hour = parts.next()??;
    let minute = parts.next().unwrap_or(Some(0))?;
    let second = parts.next().unwrap_or(Some(0))?;
    let valid =
        (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    if !valid || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let millis = format!("{fraction:0<3}")[..3].parse::<i32>().ok()?;
    Some((hour * 3600 + minute * 60 + second) * 1000 + millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_lose_their_fraction() {
        for (text, expected) in [
            ("12", Some(12)),
            (" 7 ", Some(7)),
            ("12.345", Some(12)),
            ("-0.9", Some(0)),
            ("+5", Some(5)),
            ("1e2", None),
            ("12.3x", None),
            ("", None),
            ("2147483648", None),
        ] {
            assert_eq!(integer::<i32>(text), expected, "{text:?}");
        }
    }

    #[test]
    fn times_may_be_short() {
        assert_eq!(time("13:05:09.25"), Some(47_109_250));
        assert_eq!(time("13"), Some(46_800_000));
        assert_eq!(time("24:00:00"), None);
        assert_eq!(time("x"), None);
    }
}
