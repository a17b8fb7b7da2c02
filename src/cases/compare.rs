//! Compares rows with an expected file, as multisets, by value.
//!
//! The file is Flink's csv: `NULL` unquoted is a null, a field with a space is
//! quoted, decimals have lost their trailing zeros, doubles print as Java
//! prints them.

use std::collections::BTreeMap;

use crate::formats::parse::{Decimal, decimal as decimal_of};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

/// What is missing and what is too much, or `None`.
pub fn difference(expected: &str, batches: &[RecordBatch]) -> Option<String> {
    let mut counts: BTreeMap<Vec<String>, i64> = BTreeMap::new();
    let types: Vec<DataType> = batches.first().map_or_else(Vec::new, |batch| {
        batch.schema().fields().iter().map(|f| f.data_type().clone()).collect()
    });
    for row in parse(expected) {
        let row = row.iter().enumerate().map(|(i, cell)| match cell {
            None => "NULL".to_owned(),
            Some(text) => canonical(text, types.get(i)),
        });
        *counts.entry(row.collect()).or_default() -= 1;
    }
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| cell(column.as_ref(), row));
            *counts.entry(cells.collect()).or_default() += 1;
        }
    }
    let mut text = String::new();
    for (row, count) in counts {
        let (sign, times) = if count < 0 { ("- ", -count) } else { ("+ ", count) };
        for _ in 0..times {
            text.push_str(sign);
            text.push_str(&row.join(","));
            text.push('\n');
        }
    }
    (!text.is_empty()).then_some(text)
}

/// The rows of an expected file; `None` is a null.
fn parse(text: &str) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut field = String::new();
    let (mut quoted, mut inside) = (false, false);
    let mut chars = text.chars().peekable();
    let end = |row: &mut Vec<Option<String>>, field: &mut String, quoted: &mut bool| {
        let text = std::mem::take(field);
        row.push(if text == "NULL" && !*quoted { None } else { Some(text) });
        *quoted = false;
    };
    while let Some(c) = chars.next() {
        match c {
            '"' if inside && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => {
                inside = !inside;
                quoted = true;
            }
            ',' if !inside => end(&mut row, &mut field, &mut quoted),
            '\n' if !inside => {
                end(&mut row, &mut field, &mut quoted);
                rows.push(std::mem::take(&mut row));
            }
            _ => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        end(&mut row, &mut field, &mut quoted);
        rows.push(row);
    }
    rows
}

/// One text per value, however it was written.
fn canonical(text: &str, ty: Option<&DataType>) -> String {
    match ty {
        Some(DataType::Float64) => text.parse::<f64>().map_or_else(|_| text.to_owned(), double),
        Some(DataType::Float32) => text.parse::<f32>().map_or_else(|_| text.to_owned(), single),
        Some(DataType::Decimal128(_, scale)) => decimal(text, *scale),
        _ => text.to_owned(),
    }
}

/// A decimal without an exponent and without zeros at its end.
fn decimal(text: &str, scale: i8) -> String {
    let Some(Decimal::Fits(value)) = decimal_of(text, 38, scale) else {
        return text.to_owned();
    };
    let mut plain = Vec::new();
    crate::formats::print::decimal_plain(&mut plain, value, scale);
    without_trailing_zeros(&String::from_utf8_lossy(&plain))
}

fn without_trailing_zeros(text: &str) -> String {
    if !text.contains('.') {
        return text.to_owned();
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Twelve digits: the last ones of a sum depend on the order of its parts.
fn double(value: f64) -> String {
    format!("{value:.11e}")
}

fn single(value: f32) -> String {
    format!("{value:.5e}")
}

fn cell(column: &dyn Array, row: usize) -> String {
    if column.is_null(row) {
        return "NULL".to_owned();
    }
    match column.data_type() {
        DataType::Float64 => {
            double(column.as_primitive::<arrow::datatypes::Float64Type>().value(row))
        }
        DataType::Float32 => {
            single(column.as_primitive::<arrow::datatypes::Float32Type>().value(row))
        }
        DataType::Timestamp(unit, zone) => timestamp(column, row, *unit, zone.is_some()),
        DataType::Time32(_) | DataType::Time64(_) => {
            let text = display(column, row);
            without_trailing_zeros(&text)
        }
        DataType::Decimal128(..) => without_trailing_zeros(&display(column, row)),
        _ => display(column, row),
    }
}

fn display(column: &dyn Array, row: usize) -> String {
    let options = FormatOptions::default().with_null("NULL");
    ArrayFormatter::try_new(column, &options)
        .map(|formatter| formatter.value(row).to_string())
        .unwrap_or_else(|e| e.to_string())
}

fn timestamp(column: &dyn Array, row: usize, unit: TimeUnit, zoned: bool) -> String {
    use arrow::datatypes::{
        TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    };
    let at = match unit {
        TimeUnit::Microsecond => {
            let value = column.as_primitive::<TimestampMicrosecondType>().value(row);
            chrono::DateTime::from_timestamp_micros(value)
        }
        TimeUnit::Millisecond => {
            let value = column.as_primitive::<TimestampMillisecondType>().value(row);
            chrono::DateTime::from_timestamp_millis(value)
        }
        TimeUnit::Nanosecond => {
            let value = column.as_primitive::<TimestampNanosecondType>().value(row);
            Some(chrono::DateTime::from_timestamp_nanos(value))
        }
        TimeUnit::Second => None,
    };
    let Some(at) = at else { return display(column, row) };
    let text = at.format("%Y-%m-%d %H:%M:%S%.9f").to_string();
    let text = without_trailing_zeros(&text);
    if zoned { text + "Z" } else { text }
}
