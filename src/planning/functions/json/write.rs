//! Values of columns as JSON: JSON_STRING, and what JSON_OBJECT and its like
//! are made of.
//!
//! Fields are sorted by name, fractions are written as a `BigDecimal` prints
//! itself (`1.0E+10`), points of time in ISO 8601, bytes in base64. DATE, TIME
//! and intervals have no JSON, in Flink neither.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, Int64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampNanosecondType,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use datafusion::common::{Result, exec_err, plan_err};

use super::super::flink_name;
use super::super::time::wall::instant_micros;
use super::scan;
use crate::formats::print;

/// Refuses types that have no JSON.
pub(super) fn check(ty: &DataType) -> Result<()> {
    match ty {
        DataType::List(item) => check(item.data_type()),
        DataType::Struct(fields) => fields.iter().try_for_each(|f| check(f.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) if kv[0].data_type().is_string() => check(kv[1].data_type()),
            _ => plan_err!("{} has no JSON: its keys are no strings", flink_name(ty)),
        },
        DataType::Boolean | DataType::Timestamp(..) => Ok(()),
        ty if ty.is_string() || ty.is_binary() || ty.is_numeric() => Ok(()),
        other => plan_err!("{} has no JSON: CAST it AS STRING", flink_name(other)),
    }
}

/// A column ready to be written.
pub(super) enum Writer {
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    Boolean(ArrayRef),
    Integer(Int64Array),
    Double(ArrayRef),
    Decimal(ArrayRef, i8),
    /// Units of time, how many a second has, and what follows.
    Timestamp(Int64Array, i64, &'static str),
    List(ArrayRef, Box<Writer>),
    Map(ArrayRef, Box<Writer>, Box<Writer>),
    Row(ArrayRef, Vec<(String, Writer)>),
}

impl Writer {
    pub(super) fn new(array: &ArrayRef) -> Result<Self> {
        let kept = ArrayRef::clone(array);
        Ok(match array.data_type() {
            ty if ty.is_string() => {
                Writer::Text(cast(array, &DataType::Utf8View)?.as_string_view().clone())
            }
            ty if ty.is_binary() => {
                Writer::Bytes(cast(array, &DataType::BinaryView)?.as_binary_view().clone())
            }
            ty if ty.is_integer() => {
                Writer::Integer(cast(array, &DataType::Int64)?.as_primitive().clone())
            }
            DataType::Boolean => Writer::Boolean(kept),
            DataType::Float32 | DataType::Float64 => {
                Writer::Double(cast(array, &DataType::Float64)?)
            }
            DataType::Decimal128(_, scale) => Writer::Decimal(kept, *scale),
            DataType::Timestamp(unit, zone) => {
                let end = if zone.is_some() { "Z" } else { "" };
                match unit {
                    TimeUnit::Nanosecond => {
                        let nanos = array.as_primitive::<TimestampNanosecondType>();
                        let nanos = nanos.reinterpret_cast::<Int64Type>();
                        Writer::Timestamp(nanos, 1_000_000_000, end)
                    }
                    _ => Writer::Timestamp(instant_micros(array)?, 1_000_000, end),
                }
            }
            DataType::List(_) => {
                let items = Writer::new(array.as_list::<i32>().values())?;
                Writer::List(kept, Box::new(items))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let (keys, values) = (Writer::new(map.keys())?, Writer::new(map.values())?);
                Writer::Map(kept, Box::new(keys), Box::new(values))
            }
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns());
                let columns =
                    columns.map(|(field, c)| Ok((field.name().clone(), Writer::new(c)?)));
                Writer::Row(kept, columns.collect::<Result<_>>()?)
            }
            other => return exec_err!("{} has no JSON", flink_name(other)),
        })
    }

    pub(super) fn is_null(&self, row: usize) -> bool {
        match self {
            Writer::Text(array) => array.is_null(row),
            Writer::Bytes(array) => array.is_null(row),
            Writer::Integer(array) | Writer::Timestamp(array, ..) => array.is_null(row),
            Writer::Boolean(array)
            | Writer::Double(array)
            | Writer::Decimal(array, _)
            | Writer::List(array, _)
            | Writer::Map(array, ..)
            | Writer::Row(array, _) => array.is_null(row),
        }
    }

    /// Appends a value that is perhaps NULL.
    pub(super) fn write(&self, row: usize, out: &mut String) -> Result<()> {
        match self {
            _ if self.is_null(row) => out.push_str("null"),
            Writer::Text(array) => out.push_str(&scan::quoted(array.value(row))),
            Writer::Bytes(array) => {
                out.push_str(&format!("\"{}\"", STANDARD.encode(array.value(row))));
            }
            Writer::Boolean(array) => {
                out.push_str(if array.as_boolean().value(row) { "true" } else { "false" });
            }
            Writer::Integer(array) => out.push_str(&array.value(row).to_string()),
            Writer::Double(array) => {
                let value = array.as_primitive::<Float64Type>().value(row);
                let text = printed(|out| print::double(out, value));
                match value.is_finite() {
                    true => out.push_str(&scan::number(&text)),
                    false => out.push_str(&scan::quoted(&text)),
                }
            }
            Writer::Decimal(array, scale) => {
                let unscaled = array.as_primitive::<Decimal128Type>().value(row);
                let text = printed(|out| print::decimal_plain(out, unscaled, *scale));
                out.push_str(&scan::number(&text));
            }
            Writer::Timestamp(array, per_second, end) => {
                let units = array.value(row);
                let text = printed(|out| print::timestamp(out, units, *per_second, b'T'));
                out.push_str(&format!("\"{text}{end}\""));
            }
            Writer::List(array, items) => {
                let offsets = array.as_list::<i32>().value_offsets();
                out.push('[');
                for at in offsets[row] as usize..offsets[row + 1] as usize {
                    if at > offsets[row] as usize {
                        out.push(',');
                    }
                    items.write(at, out)?;
                }
                out.push(']');
            }
            Writer::Map(array, keys, values) => {
                let offsets = array.as_map().value_offsets();
                let mut fields = Fields::default();
                for at in offsets[row] as usize..offsets[row + 1] as usize {
                    let Writer::Text(keys) = keys.as_ref() else {
                        return exec_err!("only a MAP with strings as keys has JSON");
                    };
                    let mut value = String::new();
                    values.write(at, &mut value)?;
                    fields.set(keys.is_valid(at).then(|| keys.value(at)), value)?;
                }
                fields.write(out);
            }
            Writer::Row(_, columns) => {
                let mut fields = Fields::default();
                for (name, column) in columns {
                    let mut value = String::new();
                    column.write(row, &mut value)?;
                    fields.set(Some(name), value)?;
                }
                fields.write(out);
            }
        }
        Ok(())
    }
}

fn printed(print: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    print(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// The fields of a JSON object: of equal names the last one counts.
#[derive(Debug, Clone, Default)]
pub(in crate::planning::functions) struct Fields(pub BTreeMap<String, String>);

impl Fields {
    /// # Errors
    /// There is no name.
    pub fn set(&mut self, name: Option<&str>, value: String) -> Result<()> {
        match name {
            Some(name) => self.0.insert(name.to_owned(), value),
            None => return exec_err!("a key of a JSON object is NULL"),
        };
        Ok(())
    }

    pub fn write(&self, out: &mut String) {
        out.push('{');
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(&scan::quoted(name));
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
    }

    /// The fields of an object that was written.
    pub fn read(object: &str) -> Self {
        Self(scan::named_values(object).collect())
    }
}
