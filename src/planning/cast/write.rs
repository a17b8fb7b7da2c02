//! Values as strings.
//!
//! BOOLEAN is TRUE or FALSE, a DECIMAL keeps its scale, a TIMESTAMP(p) its p
//! digits, a DOUBLE is as Java prints it; a ROW is `(a, b)`, an ARRAY `[a, b]`,
//! a MAP `{k=v}`. CHAR(n) is padded, VARCHAR(n) cut.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float32Type, Float64Type, Int64Type,
    Time32MillisecondType, TimeUnit,
};
use datafusion::common::{Result, exec_err};

use crate::formats::print;
use crate::planning::functions::time::wall::{Micros, wall_micros};
use crate::times::calendar::Wall;
use crate::types::FLINK_TYPE;

/// How long a string may be, and must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Length {
    Any,
    /// VARCHAR(n)
    AtMost(usize),
    /// CHAR(n)
    Exactly(usize),
}

impl Length {
    pub(super) fn declared(to: &Field) -> Self {
        let text = to.metadata().get(FLINK_TYPE).map_or("STRING", String::as_str);
        let number = |prefix: &str| -> Option<usize> {
            text.strip_prefix(prefix)?.strip_suffix(')')?.parse().ok()
        };
        match (number("VARCHAR("), number("CHAR(")) {
            (Some(n), _) => Length::AtMost(n),
            (_, Some(n)) => Length::Exactly(n),
            _ => Length::Any,
        }
    }
}

/// Whether values of this type can be written.
pub(super) fn is_writable(ty: &DataType) -> bool {
    match ty {
        DataType::List(item) => is_writable(item.data_type()),
        DataType::Map(entries, _) => is_writable(entries.data_type()),
        DataType::Struct(fields) => fields.iter().all(|f| is_writable(f.data_type())),
        DataType::Timestamp(..)
        | DataType::Date32
        | DataType::Time32(_)
        | DataType::Boolean => true,
        ty => ty.is_string() || ty.is_binary() || ty.is_numeric() || ty.is_null(),
    }
}

/// Every value as a string of the asked length.
pub(super) fn texts(array: &ArrayRef, length: Length, precision: u8) -> Result<ArrayRef> {
    let writer = Writer::new(array, precision)?;
    let mut out = StringViewBuilder::with_capacity(array.len());
    let mut buffer = Vec::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
            continue;
        }
        buffer.clear();
        writer.write(row, &mut buffer);
        let Ok(text) = std::str::from_utf8(&buffer) else {
            return exec_err!("bytes that are not UTF-8 cannot be cast to a STRING");
        };
        match length {
            Length::Any => out.append_value(text),
            Length::AtMost(n) | Length::Exactly(n) => {
                let end = text.char_indices().nth(n).map_or(text.len(), |(at, _)| at);
                let missing = match length {
                    Length::Exactly(n) => n - text[..end].chars().count(),
                    _ => 0,
                };
                if missing == 0 {
                    out.append_value(&text[..end]);
                } else {
                    buffer.resize(buffer.len() + missing, b' ');
                    out.append_value(std::str::from_utf8(&buffer).expect("checked above"));
                }
            }
        }
    }
    Ok(Arc::new(out.finish()))
}

/// A column ready to be written.
enum Writer {
    Text(ArrayRef),
    Bytes(ArrayRef),
    Boolean(ArrayRef),
    Integer(arrow::array::Int64Array),
    Float(ArrayRef),
    Double(ArrayRef),
    Decimal(ArrayRef, i8),
    Date(ArrayRef),
    Time(ArrayRef),
    Timestamp(Micros, u8),
    Null,
    List(ArrayRef, Box<Writer>),
    Map(ArrayRef, Box<Writer>, Box<Writer>),
    Row(ArrayRef, Vec<Writer>),
}

impl Writer {
    fn new(array: &ArrayRef, precision: u8) -> Result<Self> {
        let kept = Arc::clone(array);
        Ok(match array.data_type() {
            ty if ty.is_string() => Writer::Text(cast(array, &DataType::Utf8View)?),
            ty if ty.is_binary() => Writer::Bytes(cast(array, &DataType::BinaryView)?),
            ty if ty.is_integer() => {
                let wide = cast(array, &DataType::Int64)?;
                Writer::Integer(wide.as_primitive::<Int64Type>().clone())
            }
            DataType::Boolean => Writer::Boolean(kept),
            DataType::Float32 => Writer::Float(kept),
            DataType::Float64 => Writer::Double(kept),
            DataType::Decimal128(_, scale) => Writer::Decimal(kept, *scale),
            DataType::Date32 => Writer::Date(kept),
            DataType::Time32(_) => {
                Writer::Time(cast(array, &DataType::Time32(TimeUnit::Millisecond))?)
            }
            DataType::Timestamp(..) => Writer::Timestamp(wall_micros(array)?, precision),
            DataType::Null => Writer::Null,
            DataType::List(_) => {
                let items = Writer::new(array.as_list::<i32>().values(), precision)?;
                Writer::List(kept, Box::new(items))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let keys = Writer::new(map.keys(), precision)?;
                let values = Writer::new(map.values(), precision)?;
                Writer::Map(kept, Box::new(keys), Box::new(values))
            }
            DataType::Struct(_) => {
                let columns = array.as_struct().columns();
                let columns = columns.iter().map(|c| Writer::new(c, precision));
                Writer::Row(kept, columns.collect::<Result<_>>()?)
            }
            other => return exec_err!("{other} cannot be cast to a STRING"),
        })
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Writer::Integer(array) | Writer::Timestamp(array, _) => array.is_null(row),
            Writer::Null => true,
            Writer::Text(array)
            | Writer::Bytes(array)
            | Writer::Boolean(array)
            | Writer::Float(array)
            | Writer::Double(array)
            | Writer::Decimal(array, _)
            | Writer::Date(array)
            | Writer::Time(array)
            | Writer::List(array, _)
            | Writer::Map(array, ..)
            | Writer::Row(array, _) => array.is_null(row),
        }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        match self {
            _ if self.is_null(row) => out.extend_from_slice(b"NULL"),
            Writer::Null => {}
            Writer::Text(array) => {
                out.extend_from_slice(array.as_string_view().value(row).as_bytes())
            }
            Writer::Bytes(array) => out.extend_from_slice(array.as_binary_view().value(row)),
            Writer::Boolean(array) => {
                let value = array.as_boolean().value(row);
                out.extend_from_slice(if value { b"TRUE" } else { b"FALSE" });
            }
            Writer::Integer(array) => print::integer(out, array.value(row)),
            Writer::Float(array) => {
                print::single(out, array.as_primitive::<Float32Type>().value(row))
            }
            Writer::Double(array) => {
                print::double(out, array.as_primitive::<Float64Type>().value(row));
            }
            Writer::Decimal(array, scale) => {
                let unscaled = array.as_primitive::<Decimal128Type>().value(row);
                print::decimal_plain(out, unscaled, *scale);
            }
            Writer::Date(array) => {
                print::date(out, i64::from(array.as_primitive::<Date32Type>().value(row)));
            }
            Writer::Time(array) => {
                let millis = array.as_primitive::<Time32MillisecondType>().value(row);
                print::time(out, i64::from(millis) * 1_000_000);
            }
            Writer::Timestamp(array, precision) => timestamp(out, array.value(row), *precision),
            Writer::List(array, items) => {
                let offsets = array.as_list::<i32>().value_offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                joined(out, (b'[', b']'), range, |at, out| items.write(at, out));
            }
            Writer::Map(array, keys, values) => {
                let offsets = array.as_map().value_offsets();
                let range = offsets[row] as usize..offsets[row + 1] as usize;
                joined(out, (b'{', b'}'), range, |at, out| {
                    keys.write(at, out);
                    out.push(b'=');
                    values.write(at, out);
                });
            }
            Writer::Row(_, columns) => {
                joined(out, (b'(', b')'), 0..columns.len(), |at, out| {
                    columns[at].write(row, out)
                });
            }
        }
    }
}

fn joined(
    out: &mut Vec<u8>,
    (open, close): (u8, u8),
    range: std::ops::Range<usize>,
    write: impl Fn(usize, &mut Vec<u8>),
) {
    out.push(open);
    for at in range.clone() {
        if at > range.start {
            out.extend_from_slice(b", ");
        }
        write(at, out);
    }
    out.push(close);
}

/// `yyyy-MM-dd HH:mm:ss` and as many digits of the fraction as declared.
fn timestamp(out: &mut Vec<u8>, micros: i64, precision: u8) {
    let wall = Wall::of(micros);
    let written = write!(
        out,
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        wall.year, wall.month, wall.day, wall.hour, wall.minute, wall.second
    );
    written.expect("a Vec takes all");
    let width = usize::from(precision.min(9));
    if width > 0 {
        let digits = wall.micro * 1000 / 10i64.pow(9 - width as u32);
        write!(out, ".{digits:0width$}").expect("a Vec takes all");
    }
}
