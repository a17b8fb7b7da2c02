//! Rows of a table as they are compared, by value, and as they are shown.
//!
//! An expected file is Flink's csv: `NULL` unquoted is a null, a field with a
//! space is quoted, decimals have lost their trailing zeros, doubles print as
//! Java prints them.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Schema, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::formats::parse::{Decimal, decimal as decimal_of};

/// A value of a row.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cell {
    Null,
    Value {
        /// One text per value, however it was written: what is compared.
        canonical: String,
        /// As it was written.
        text: String,
    },
}

/// What is compared of a row.
pub type Key = Vec<Option<String>>;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Row(pub Vec<Cell>);

impl Row {
    pub fn key(&self) -> Key {
        self.0.iter().map(|cell| cell.canonical().map(str::to_owned)).collect()
    }

    /// A line of an expected file.
    pub fn csv(&self) -> String {
        let cells: Vec<String> = self.0.iter().map(Cell::csv).collect();
        cells.join(",")
    }
}

impl Cell {
    pub fn canonical(&self) -> Option<&str> {
        match self {
            Cell::Null => None,
            Cell::Value { canonical, .. } => Some(canonical),
        }
    }

    /// As a person should see it: what is blank or hidden made visible.
    pub fn shown(&self) -> String {
        match self {
            Cell::Null => "NULL".to_owned(),
            Cell::Value { text, .. } if text.is_empty() || text == "NULL" => {
                format!("'{text}'")
            }
            Cell::Value { text, .. } if text.trim() != text => format!("'{}'", visible(text)),
            Cell::Value { text, .. } => visible(text),
        }
    }

    fn csv(&self) -> String {
        match self {
            Cell::Null => "NULL".to_owned(),
            Cell::Value { text, .. }
                if text == "NULL" || text.contains([',', '"', '\n', '\r', ' ']) =>
            {
                format!("\"{}\"", text.replace('"', "\"\""))
            }
            Cell::Value { text, .. } => text.clone(),
        }
    }
}

fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// The rows of an expected file for a table of this schema.
///
/// # Errors
/// The line that has another number of values than the table has columns.
pub fn expected(text: &str, schema: &Schema, empty_is_null: bool) -> Result<Vec<Row>, String> {
    let width = schema.fields().len();
    let mut rows = Vec::new();
    for (line, fields) in parse(text)? {
        if fields.len() != width {
            let found = fields.len();
            return Err(format!("line {line} has {found} values, the table {width} columns"));
        }
        let cells =
            fields.into_iter().zip(schema.fields()).map(|(field, column)| match field {
                Some(text) if !(empty_is_null && text.is_empty()) => {
                    Cell::Value { canonical: canonical(&text, column.data_type()), text }
                }
                _ => Cell::Null,
            });
        rows.push(Row(cells.collect()));
    }
    Ok(rows)
}

/// The rows of batches.
pub fn written(batches: &[RecordBatch], empty_is_null: bool) -> Vec<Row> {
    let mut rows = Vec::new();
    for batch in batches {
        for row in 0..batch.num_rows() {
            let cells = batch.columns().iter().map(|column| cell(column.as_ref(), row));
            let null = |cell| match cell {
                Cell::Value { text, .. } if empty_is_null && text.is_empty() => Cell::Null,
                cell => cell,
            };
            rows.push(Row(cells.map(null).collect()));
        }
    }
    rows
}

type Fields = Vec<Option<String>>;

/// The records of an expected file with the lines they start at; `None` is a
/// null.
fn parse(text: &str) -> Result<Vec<(usize, Fields)>, String> {
    let mut records = Vec::new();
    let mut record = Fields::new();
    let mut field = String::new();
    let (mut quoted, mut inside) = (false, false);
    let (mut line, mut begun_at) = (1, 1);
    let mut chars = text.chars().peekable();
    let end = |record: &mut Fields, field: &mut String, quoted: &mut bool| {
        let text = std::mem::take(field);
        record.push(if text == "NULL" && !*quoted { None } else { Some(text) });
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
            ',' if !inside => end(&mut record, &mut field, &mut quoted),
            '\r' if !inside && chars.peek() == Some(&'\n') => {}
            '\n' if !inside => {
                end(&mut record, &mut field, &mut quoted);
                records.push((begun_at, std::mem::take(&mut record)));
                begun_at = line + 1;
            }
            _ => field.push(c),
        }
        line += usize::from(c == '\n');
    }
    if inside {
        return Err(format!("a quote that is opened in line {begun_at} is never closed"));
    }
    if !field.is_empty() || !record.is_empty() || quoted {
        end(&mut record, &mut field, &mut quoted);
        records.push((begun_at, record));
    }
    Ok(records)
}

/// One text per value, however it was written.
fn canonical(text: &str, ty: &DataType) -> String {
    match ty {
        DataType::Float64 => text.parse::<f64>().map_or_else(|_| text.to_owned(), double),
        DataType::Float32 => text.parse::<f32>().map_or_else(|_| text.to_owned(), single),
        DataType::Decimal128(_, scale) => decimal(text, *scale),
        DataType::Timestamp(_, zone) => {
            let text = text.replacen('T', " ", 1);
            match (text.strip_suffix('Z'), zone) {
                (Some(wall), Some(_)) => without_trailing_zeros(wall) + "Z",
                _ => without_trailing_zeros(&text),
            }
        }
        DataType::Time32(_) | DataType::Time64(_) => without_trailing_zeros(text),
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

fn cell(column: &dyn Array, row: usize) -> Cell {
    use arrow::datatypes::{Float32Type, Float64Type};
    if column.is_null(row) {
        return Cell::Null;
    }
    let text = match column.data_type() {
        DataType::Float64 => column.as_primitive::<Float64Type>().value(row).to_string(),
        DataType::Float32 => column.as_primitive::<Float32Type>().value(row).to_string(),
        DataType::Timestamp(unit, zone) => timestamp(column, row, *unit, zone.is_some()),
        DataType::Time32(_) | DataType::Time64(_) | DataType::Decimal128(..) => {
            without_trailing_zeros(&display(column, row))
        }
        _ => display(column, row),
    };
    Cell::Value { canonical: canonical(&text, column.data_type()), text }
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::TimestampMicrosecondArray;
    use arrow::array::{ArrayRef, Decimal128Array, Float64Array, StringArray};

    use super::*;

    fn batch() -> RecordBatch {
        let decimals = Decimal128Array::from(vec![Some(1250), None]);
        let decimals = decimals.with_precision_and_scale(10, 3).unwrap();
        let columns: [(&str, ArrayRef); 4] = [
            ("name", Arc::new(StringArray::from(vec![Some("a, \"b\""), Some("NULL")]))),
            ("x", Arc::new(Float64Array::from(vec![0.1 + 0.2, 1e300]))),
            ("d", Arc::new(decimals)),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![0, 1_500_000]))),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn values_are_equal_however_they_were_written() {
        let text = "\"a, \"\"b\"\"\",0.3,1.250,1970-01-01T00:00:00.000\r\n\
                    \"NULL\",1.0E300,NULL,\"1970-01-01 00:00:01.5\"\n";
        let batch = batch();
        let expected = expected(text, &batch.schema(), false).unwrap();
        let written = written(&[batch], false);
        let keys = |rows: &[Row]| rows.iter().map(Row::key).collect::<Vec<_>>();
        assert_eq!(keys(&expected), keys(&written));
    }

    #[test]
    fn what_is_written_down_reads_back() {
        let rows = written(&[batch()], false);
        let text: String = rows.iter().map(|row| row.csv() + "\n").collect();
        assert!(text.contains("\"NULL\",") && text.contains(",NULL,"), "{text}");
        let again = expected(&text, &batch().schema(), false).unwrap();
        assert_eq!(again, rows);
    }

    #[test]
    fn a_null_is_no_text() {
        let schema = batch().schema().project(&[0]).unwrap();
        let rows = expected("NULL\n\"NULL\"\n\"\"\n", &schema, false).unwrap();
        let shown: Vec<String> = rows.iter().map(|row| row.0[0].shown()).collect();
        assert_eq!(shown, ["NULL", "'NULL'", "''"]);
        let rows = expected("NULL\n\"\"\n", &schema, true).unwrap();
        assert_eq!(rows[0].key(), rows[1].key(), "a file that cannot tell them apart");
    }

    #[test]
    fn a_broken_line_is_named() {
        let schema = batch().schema().project(&[0, 1]).unwrap();
        let wrong = |text: &str| expected(text, &schema, false).unwrap_err();
        assert_eq!(wrong("a,1\n\"x\ny\"\n"), "line 2 has 1 values, the table 2 columns");
        assert_eq!(wrong("a,\"1\n"), "a quote that is opened in line 1 is never closed");
    }
}
