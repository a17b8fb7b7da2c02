//! Encodes rows as JSON objects, one object a row, keys in the order of the
//! columns.

use arrow::array::RecordBatch;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::cells::{CellValues, Cells, entries};
use super::super::columns::TextForm;
use super::super::{EncodingFormat, print};
use super::compact::write_string;
use crate::types::Column;

/// What becomes of an entry of a MAP whose key is NULL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NullKeys {
    Fail,
    Drop,
    Literal(String),
}

#[derive(Debug)]
pub struct JsonEncoder {
    pub columns: Vec<Column>,
    pub time_zone: String,
    pub form: TextForm,
    pub null_keys: NullKeys,
    pub plain_decimals: bool,
    pub skip_null_fields: bool,
}

impl EncodingFormat for JsonEncoder {
    fn name(&self) -> &'static str {
        "json"
    }

    fn encode(
        &self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<(), String> {
        let cells = Cells::of_batch(batch, &self.columns, &self.time_zone)?;
        for row in 0..batch.num_rows() {
            let columns = self.columns.iter().map(|column| column.name.as_str());
            self.object(columns.zip(&cells), row, out)?;
            ends.push(out.len());
        }
        Ok(())
    }
}

impl JsonEncoder {
    fn object<'a>(
        &self,
        members: impl Iterator<Item = (&'a str, &'a Cells)>,
        row: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        out.push(b'{');
        let mut first = true;
        for (name, cells) in members {
            if self.skip_null_fields && cells.is_null(row) {
                continue;
            }
            write_key(name, &mut first, out);
            self.value(cells, row, out).map_err(|why| format!("field `{name}`: {why}"))?;
        }
        out.push(b'}');
        Ok(())
    }

    fn value(&self, cells: &Cells, row: usize, out: &mut Vec<u8>) -> Result<(), String> {
        if cells.is_null(row) {
            out.extend_from_slice(b"null");
            return Ok(());
        }
        match &cells.values {
            CellValues::Boolean(values) => {
                out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
            }
            CellValues::TinyInt(values) => print::integer(out, values.value(row)),
            CellValues::SmallInt(values) => print::integer(out, values.value(row)),
            CellValues::Int(values) => print::integer(out, values.value(row)),
            CellValues::BigInt(values) => print::integer(out, values.value(row)),
            CellValues::Float(values) => {
                let value = values.value(row);
                quoted_if(!value.is_finite(), out, |out| print::single(out, value));
            }
            CellValues::Double(values) => {
                let value = values.value(row);
                quoted_if(!value.is_finite(), out, |out| print::double(out, value));
            }
            CellValues::Decimal(values, scale) => {
                let print = if self.plain_decimals {
                    print::decimal_plain
                } else {
                    print::decimal_stripped
                };
                print(out, values.value(row), *scale);
            }
            CellValues::Date(values) => {
                quoted_if(true, out, |out| print::date(out, values.value(row).into()));
            }
            CellValues::Time(values) => {
                // Flink writes no fraction of a second here.
                let nanos = i64::from(values.value(row) / 1000) * 1_000_000_000;
                quoted_if(true, out, |out| print::time(out, nanos));
            }
            values @ (CellValues::Micros(..) | CellValues::Nanos(..)) => {
                let separator = if self.form == TextForm::JsonIso { b'T' } else { b' ' };
                quoted_if(true, out, |out| values.print_timestamp(row, separator, out));
            }
            CellValues::Text(values) => write_string(out, values.value(row)),
            CellValues::Bytes(values) => {
                let text = STANDARD.encode(values.value(row));
                quoted_if(true, out, |out| out.extend_from_slice(text.as_bytes()));
            }
            CellValues::Array(list, items) => {
                self.array(items, entries(list.value_offsets(), row), out)?;
            }
            CellValues::Map(map, keys, values) => {
                self.map(keys, values, entries(map.value_offsets(), row), out)?;
            }
            CellValues::Row(fields) => {
                let members = fields.iter().map(|(name, cells)| (name.as_str(), cells));
                self.object(members, row, out)?;
            }
        }
        Ok(())
    }

    fn array(
        &self,
        items: &Cells,
        range: std::ops::Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        out.push(b'[');
        for index in range.clone() {
            if index > range.start {
                out.push(b',');
            }
            self.value(items, index, out)?;
        }
        out.push(b']');
        Ok(())
    }

    fn map(
        &self,
        keys: &Cells,
        values: &Cells,
        range: std::ops::Range<usize>,
        out: &mut Vec<u8>,
    ) -> Result<(), String> {
        let CellValues::Text(texts) = &keys.values else {
            unreachable!("the keys were seen to be text when the format was bound");
        };
        out.push(b'{');
        let mut first = true;
        for index in range {
            let key = match &self.null_keys {
                _ if !keys.is_null(index) => texts.value(index),
                NullKeys::Literal(literal) => literal,
                NullKeys::Drop => continue,
                NullKeys::Fail => return Err("JSON has no NULL key".to_owned()),
            };
            write_key(key, &mut first, out);
            self.value(values, index, out)?;
        }
        out.push(b'}');
        Ok(())
    }
}

fn write_key(key: &str, first: &mut bool, out: &mut Vec<u8>) {
    if !std::mem::take(first) {
        out.push(b',');
    }
    write_string(out, key);
    out.push(b':');
}

fn quoted_if(quoted: bool, out: &mut Vec<u8>, print: impl FnOnce(&mut Vec<u8>)) {
    if quoted {
        out.push(b'"');
    }
    print(out);
    if quoted {
        out.push(b'"');
    }
}
