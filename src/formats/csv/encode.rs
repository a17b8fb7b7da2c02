//! Encodes rows as CSV, quoting what Jackson quotes.
//!
//! Jackson does not look closely: text longer than 24 characters is quoted, and
//! so is text with any character up to the delimiter or the quote, whichever is
//! later in ASCII, which is every space and most punctuation.

use arrow::array::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::cells::{CellValues, Cells, entries};
use super::super::{EncodingFormat, print};
use super::CsvOptions;
use crate::types::Column;

/// Longer text is quoted without being looked at.
const MAX_CHARS_TO_CHECK: usize = 24;

#[derive(Debug)]
pub struct CsvEncoder {
    columns: Vec<Column>,
    time_zone: String,
    options: CsvOptions,
}

impl EncodingFormat for CsvEncoder {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn encode(
        &self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<(), String> {
        let columns = Cells::of_batch(batch, &self.columns, &self.time_zone)?;
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            for (index, cells) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(self.options.dialect.delimiter);
                }
                self.field(cells, row, &mut text, out);
            }
            ends.push(out.len());
        }
        Ok(())
    }
}

impl CsvEncoder {
    pub fn new(columns: Vec<Column>, time_zone: String, options: CsvOptions) -> Self {
        Self { columns, time_zone, options }
    }

    /// Appends a field; `text` is written over.
    fn field(&self, cells: &Cells, row: usize, text: &mut Vec<u8>, out: &mut Vec<u8>) {
        if cells.is_null(row) || is_number(&cells.values) {
            return self.value(cells, row, out);
        }
        text.clear();
        match &cells.values {
            CellValues::Array(list, items) => {
                let range = entries(list.value_offsets(), row);
                self.elements(range.map(|index| (&**items, index)), text);
            }
            CellValues::Row(fields) => {
                self.elements(fields.iter().map(|(_, cells)| (cells, row)), text);
            }
            _ => self.value(cells, row, text),
        }
        let text = str::from_utf8(text).expect("made of text");
        if self.needs_quotes(text) {
            self.quoted(text, out);
        } else {
            out.extend_from_slice(text.as_bytes());
        }
    }

    fn elements<'a>(&self, of: impl Iterator<Item = (&'a Cells, usize)>, out: &mut Vec<u8>) {
        let mut delimiter = [0; 4];
        let delimiter = self.options.array_delimiter.encode_utf8(&mut delimiter).as_bytes();
        for (index, (cells, row)) in of.enumerate() {
            if index > 0 {
                out.extend_from_slice(delimiter);
            }
            self.value(cells, row, out);
        }
    }

    /// Appends a simple value as it is, without quotes.
    fn value(&self, cells: &Cells, row: usize, out: &mut Vec<u8>) {
        if cells.is_null(row) {
            let literal = self.options.null_literal.as_deref().unwrap_or_default();
            return out.extend_from_slice(literal.as_bytes());
        }
        match &cells.values {
            CellValues::Boolean(values) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            CellValues::TinyInt(values) => print::integer(out, values.value(row)),
            CellValues::SmallInt(values) => print::integer(out, values.value(row)),
            CellValues::Int(values) => print::integer(out, values.value(row)),
            CellValues::BigInt(values) => print::integer(out, values.value(row)),
            CellValues::Float(values) => print::single(out, values.value(row)),
            CellValues::Double(values) => print::double(out, values.value(row)),
            CellValues::Decimal(values, scale) if self.options.scientific_decimals => {
                print::decimal_stripped(out, values.value(row), *scale);
            }
            CellValues::Decimal(values, scale) => {
                print::decimal_plain(out, values.value(row), *scale);
            }
            CellValues::Date(values) => print::date(out, values.value(row).into()),
            CellValues::Time(values) => {
                print::time(out, i64::from(values.value(row)) * 1_000_000);
            }
            values @ (CellValues::Micros(..) | CellValues::Nanos(..)) => {
                values.print_timestamp(row, b' ', out);
            }
            CellValues::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
            CellValues::Bytes(values) => {
                out.extend_from_slice(STANDARD.encode(values.value(row)).as_bytes());
            }
            CellValues::Array(..) | CellValues::Map(..) | CellValues::Row(_) => {
                unreachable!("nesting was refused when the format was bound")
            }
        }
    }

    fn needs_quotes(&self, text: &str) -> bool {
        let dialect = &self.options.dialect;
        let Some(quote) = dialect.quote else { return false };
        let long = text.len() > MAX_CHARS_TO_CHECK
            && text.encode_utf16().nth(MAX_CHARS_TO_CHECK).is_some();
        let safe = quote.max(dialect.delimiter);
        let escape = dialect.escape.unwrap_or(b'\\');
        long || text.bytes().any(|byte| byte <= safe || byte == escape)
    }

    fn quoted(&self, text: &str, out: &mut Vec<u8>) {
        let dialect = &self.options.dialect;
        let quote = dialect.quote.expect("asked for only with a quote character");
        out.push(quote);
        for byte in text.bytes() {
            if byte == quote {
                out.push(quote);
            } else if Some(byte) == dialect.escape {
                out.push(byte);
            }
            out.push(byte);
        }
        out.push(quote);
    }
}

fn is_number(values: &CellValues) -> bool {
    matches!(
        values,
        CellValues::Boolean(_)
            | CellValues::TinyInt(_)
            | CellValues::SmallInt(_)
            | CellValues::Int(_)
            | CellValues::BigInt(_)
            | CellValues::Float(_)
            | CellValues::Double(_)
            | CellValues::Decimal(..)
    )
}
