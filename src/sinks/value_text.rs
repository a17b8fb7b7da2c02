//! Values as text, the way Flink prints them: Java's `toString` of the value's
//! external class.
//!
//! `print` shows rows with it and `filesystem` names partition folders. No
//! value panics: a timestamp beyond the calendar is printed as its number.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time32MillisecondType, TimeUnit, TimestampMicrosecondType,
    TimestampNanosecondType,
};
use arrow::util::display::array_value_to_string;
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// Appends row `row` of `array`; a null is `null`.
pub(super) fn append(out: &mut String, array: &dyn Array, row: usize) {
    if array.is_null(row) {
        out.push_str("null");
        return;
    }
    let written = match array.data_type() {
        DataType::Utf8View => out.write_str(array.as_string_view().value(row)),
        DataType::Utf8 => out.write_str(array.as_string::<i32>().value(row)),
        DataType::BinaryView => append_bytes(out, array.as_binary_view().value(row)),
        DataType::Boolean => write!(out, "{}", array.as_boolean().value(row)),
        DataType::Int8 => write!(out, "{}", array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => write!(out, "{}", array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => write!(out, "{}", array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => write!(out, "{}", array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => append_float(out, array.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => append_double(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            append_decimal(out, array.as_primitive::<Decimal128Type>().value(row), *scale)
        }
        DataType::Date32 => append_days(out, array.as_primitive::<Date32Type>().value(row)),
        DataType::Time32(TimeUnit::Millisecond) => {
            append_millis(out, array.as_primitive::<Time32MillisecondType>().value(row))
        }
        DataType::Timestamp(unit, zone) => {
            append_timestamp(out, array, row, *unit, zone.is_some())
        }
        DataType::List(_) => append_list(out, &array.as_list::<i32>().value(row)),
        DataType::Map(_, _) => append_map(out, &array.as_map().value(row)),
        DataType::Struct(_) => append_row(out, array.as_struct().columns(), row),
        _ => out.write_str(&array_value_to_string(array, row).unwrap_or_default()),
    };
    written.expect("a String takes every write");
}

/// Appends `+I[a, b]`: one row of these columns.
pub(super) fn append_row(
    out: &mut String,
    columns: &[ArrayRef],
    row: usize,
) -> std::fmt::Result {
    out.write_str("+I[")?;
    for (i, column) in columns.iter().enumerate() {
        out.write_str(if i == 0 { "" } else { ", " })?;
        append(out, column, row);
    }
    out.write_char(']')
}

fn append_list(out: &mut String, items: &dyn Array) -> std::fmt::Result {
    out.write_char('[')?;
    for i in 0..items.len() {
        out.write_str(if i == 0 { "" } else { ", " })?;
        append(out, items, i);
    }
    out.write_char(']')
}

fn append_map(out: &mut String, entries: &StructArray) -> std::fmt::Result {
    out.write_char('{')?;
    for i in 0..entries.len() {
        out.write_str(if i == 0 { "" } else { ", " })?;
        append(out, entries.column(0), i);
        out.write_char('=')?;
        append(out, entries.column(1), i);
    }
    out.write_char('}')
}

/// Java's bytes are signed.
fn append_bytes(out: &mut String, bytes: &[u8]) -> std::fmt::Result {
    out.write_char('[')?;
    for (i, byte) in bytes.iter().enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(out, "{comma}{}", byte.cast_signed())?;
    }
    out.write_char(']')
}

fn append_double(out: &mut String, value: f64) -> std::fmt::Result {
    let plain = value == 0.0 || (1e-3..1e7).contains(&value.abs());
    append_floating(out, plain, &format!("{value:?}"), &format!("{value:e}"))
}

fn append_float(out: &mut String, value: f32) -> std::fmt::Result {
    let plain = value == 0.0 || (1e-3..1e7).contains(&value.abs());
    append_floating(out, plain, &format!("{value:?}"), &format!("{value:e}"))
}

/// Java writes 0.001 to 10,000,000 plainly and the rest as `1.0E10`.
fn append_floating(
    out: &mut String,
    plain: bool,
    decimal: &str,
    exponential: &str,
) -> std::fmt::Result {
    match exponential.split_once('e') {
        _ if plain => out.write_str(decimal),
        Some((mantissa, exponent)) => {
            let point = if mantissa.contains('.') { "" } else { ".0" };
            write!(out, "{mantissa}{point}E{exponent}")
        }
        None if exponential == "NaN" => out.write_str("NaN"),
        None => write!(out, "{}", exponential.replace("inf", "Infinity")),
    }
}

/// `BigDecimal.toString`: plain down to an exponent of -6.
fn append_decimal(out: &mut String, unscaled: i128, scale: i8) -> std::fmt::Result {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = unscaled.unsigned_abs().to_string();
    let exponent = digits.len() as i64 - 1 - i64::from(scale);
    if scale < 0 || exponent < -6 {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return write!(out, "{sign}{first}{point}{rest}E{exponent:+}");
    }
    let scale = usize::from(scale.unsigned_abs());
    let digits = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    let point = if fraction.is_empty() { "" } else { "." };
    write!(out, "{sign}{whole}{point}{fraction}")
}

fn append_days(out: &mut String, days: i32) -> std::fmt::Result {
    match NaiveDate::from_epoch_days(days) {
        Some(date) => append_date(out, date),
        None => write!(out, "{days}"),
    }
}

fn append_millis(out: &mut String, millis: i32) -> std::fmt::Result {
    let (seconds, nanos) = (millis.div_euclid(1000), millis.rem_euclid(1000) * 1_000_000);
    let time = u32::try_from(seconds).ok().and_then(|seconds| {
        NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos.unsigned_abs())
    });
    match time {
        Some(time) => append_time(out, time, false),
        None => write!(out, "{millis}"),
    }
}

/// `LocalDateTime.toString`, or `Instant.toString` for a time in UTC.
fn append_timestamp(
    out: &mut String,
    array: &dyn Array,
    row: usize,
    unit: TimeUnit,
    is_instant: bool,
) -> std::fmt::Result {
    let at = match unit {
        TimeUnit::Microsecond => {
            let value = array.as_primitive::<TimestampMicrosecondType>().value(row);
            DateTime::from_timestamp_micros(value).ok_or(value)
        }
        TimeUnit::Nanosecond => {
            let value = array.as_primitive::<TimestampNanosecondType>().value(row);
            Ok(DateTime::from_timestamp_nanos(value))
        }
        TimeUnit::Second | TimeUnit::Millisecond => {
            let text = array_value_to_string(array, row).unwrap_or_default();
            return out.write_str(&text);
        }
    };
    match at {
        Ok(at) => append_date_time(out, at.naive_utc(), is_instant),
        Err(number) => write!(out, "{number}"),
    }
}

fn append_date_time(out: &mut String, at: NaiveDateTime, is_instant: bool) -> std::fmt::Result {
    append_date(out, at.date())?;
    out.write_char('T')?;
    append_time(out, at.time(), is_instant)?;
    out.write_str(if is_instant { "Z" } else { "" })
}

fn append_date(out: &mut String, date: NaiveDate) -> std::fmt::Result {
    let sign = match date.year() {
        ..0 => "-",
        0..=9999 => "",
        10_000.. => "+",
    };
    let year = date.year().unsigned_abs();
    write!(out, "{sign}{year:04}-{:02}-{:02}", date.month(), date.day())
}

/// Java leaves out seconds that are zero, unless the time is an instant's, and
/// writes fractions in groups of three digits.
fn append_time(out: &mut String, time: NaiveTime, seconds_always: bool) -> std::fmt::Result {
    write!(out, "{:02}:{:02}", time.hour(), time.minute())?;
    let nanos = time.nanosecond() % 1_000_000_000;
    if time.second() == 0 && nanos == 0 && !seconds_always {
        return Ok(());
    }
    write!(out, ":{:02}", time.second())?;
    match nanos {
        0 => Ok(()),
        n if n % 1_000_000 == 0 => write!(out, ".{:03}", n / 1_000_000),
        n if n % 1_000 == 0 => write!(out, ".{:06}", n / 1_000),
        n => write!(out, ".{n:09}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        Date32Array, Decimal128Array, Float64Array, Time32MillisecondArray,
        TimestampMicrosecondArray,
    };

    use super::*;

    fn texts(array: &dyn Array) -> Vec<String> {
        (0..array.len())
            .map(|row| {
                let mut out = String::new();
                append(&mut out, array, row);
                out
            })
            .collect()
    }

    #[test]
    fn doubles_read_as_java_prints_them() {
        let values = [1.0, 0.001, 0.0009, 1e7, 9_999_999.5, -1.25e-10, f64::INFINITY, -0.0];
        let expected =
            ["1.0", "0.001", "9.0E-4", "1.0E7", "9999999.5", "-1.25E-10", "Infinity", "-0.0"];
        assert_eq!(texts(&Float64Array::from(values.to_vec())), expected);
        assert_eq!(texts(&Float64Array::from(vec![f64::NAN])), ["NaN"]);
    }

    #[test]
    fn decimals_read_as_big_decimals() {
        let two = Decimal128Array::from(vec![5, -12345, 0]).with_precision_and_scale(10, 2);
        assert_eq!(texts(&two.expect("fits")), ["0.05", "-123.45", "0.00"]);
        let eight = Decimal128Array::from(vec![123, 1]).with_precision_and_scale(10, 8);
        assert_eq!(texts(&eight.expect("fits")), ["0.00000123", "1E-8"]);
        let whole = Decimal128Array::from(vec![42]).with_precision_and_scale(10, 0);
        assert_eq!(texts(&whole.expect("fits")), ["42"]);
    }

    #[test]
    fn times_leave_out_what_java_leaves_out() {
        let local = TimestampMicrosecondArray::from(vec![0, 1_500_000, 61_000_001, -1]);
        let expected = [
            "1970-01-01T00:00",
            "1970-01-01T00:00:01.500",
            "1970-01-01T00:01:01.000001",
            "1969-12-31T23:59:59.999999",
        ];
        assert_eq!(texts(&local), expected);
        let instant = TimestampMicrosecondArray::from(vec![0]).with_timezone("Asia/Shanghai");
        assert_eq!(texts(&instant), ["1970-01-01T00:00:00Z"]);
        assert_eq!(texts(&Time32MillisecondArray::from(vec![3_600_000])), ["01:00"]);
        assert_eq!(
            texts(&Date32Array::from(vec![19_723, i32::MAX])),
            ["2024-01-01".to_owned(), i32::MAX.to_string()]
        );
    }

    #[test]
    fn rows_carry_their_kind() {
        let columns: Vec<ArrayRef> = vec![
            Arc::new(arrow::array::StringViewArray::from(vec![Some("a"), None])),
            Arc::new(arrow::array::Int64Array::from(vec![1, 2])),
        ];
        let mut out = String::new();
        append_row(&mut out, &columns, 1).expect("a String takes every write");
        assert_eq!(out, "+I[null, 2]");
    }
}
