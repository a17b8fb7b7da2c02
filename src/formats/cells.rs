//! The columns of a batch as an encoder reads them: by row, each with its
//! declared type.
//!
//! Invariant: a cell's array has the Arrow type that its declared type maps
//! to; [`Cells::of`] casts what a plan made otherwise.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, ListArray, MapArray,
    PrimitiveArray, RecordBatch, StringViewArray, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, TimestampMicrosecondType, TimestampNanosecondType,
};

use super::print;
use crate::types::{Column, ColumnType, SqlType};

/// A column, or a part of one.
pub struct Cells {
    pub values: CellValues,
    nulls: Option<NullBuffer>,
}

pub enum CellValues {
    Boolean(BooleanArray),
    TinyInt(PrimitiveArray<Int8Type>),
    SmallInt(PrimitiveArray<Int16Type>),
    Int(PrimitiveArray<Int32Type>),
    BigInt(PrimitiveArray<Int64Type>),
    Float(PrimitiveArray<Float32Type>),
    Double(PrimitiveArray<Float64Type>),
    Decimal(PrimitiveArray<Decimal128Type>, i8),
    Date(PrimitiveArray<Date32Type>),
    Time(PrimitiveArray<Time32MillisecondType>),
    Micros(PrimitiveArray<TimestampMicrosecondType>, Zoned),
    Nanos(PrimitiveArray<TimestampNanosecondType>, Zoned),
    Text(StringViewArray),
    Bytes(BinaryViewArray),
    Array(ListArray, Box<Cells>),
    Map(MapArray, Box<Cells>, Box<Cells>),
    Row(Vec<(String, Cells)>),
}

/// Whether a timestamp is an instant, printed in UTC with `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zoned {
    Wall,
    Utc,
}

impl Cells {
    /// The columns of `batch`, which are `columns` in that order.
    pub fn of_batch(
        batch: &RecordBatch,
        columns: &[Column],
        time_zone: &str,
    ) -> Result<Vec<Cells>, String> {
        if batch.num_columns() != columns.len() {
            let (expected, found) = (columns.len(), batch.num_columns());
            return Err(format!("{expected} columns are declared, the batch has {found}"));
        }
        let pairs = batch.columns().iter().zip(columns);
        pairs
            .map(|(array, column)| {
                let expected = column.ty.ty.to_arrow(time_zone);
                let array = if *array.data_type() == expected {
                    Arc::clone(array)
                } else {
                    cast(array, &expected)
                        .map_err(|error| format!("column `{}`: {error}", column.name))?
                };
                Ok(Self::of(&array, &column.ty))
            })
            .collect()
    }

    fn of(array: &ArrayRef, ty: &ColumnType) -> Self {
        use CellValues as V;
        let values = match &ty.ty {
            SqlType::Char(_) | SqlType::Varchar(_) => V::Text(array.as_string_view().clone()),
            SqlType::Binary(_) | SqlType::Varbinary(_) => {
                V::Bytes(array.as_binary_view().clone())
            }
            SqlType::Boolean => V::Boolean(array.as_boolean().clone()),
            SqlType::Decimal { scale, .. } => V::Decimal(array.as_primitive().clone(), *scale),
            SqlType::TinyInt => V::TinyInt(array.as_primitive().clone()),
            SqlType::SmallInt => V::SmallInt(array.as_primitive().clone()),
            SqlType::Int => V::Int(array.as_primitive().clone()),
            SqlType::BigInt => V::BigInt(array.as_primitive().clone()),
            SqlType::Float => V::Float(array.as_primitive().clone()),
            SqlType::Double => V::Double(array.as_primitive().clone()),
            SqlType::Date => V::Date(array.as_primitive().clone()),
            SqlType::Time(_) => V::Time(array.as_primitive().clone()),
            SqlType::Timestamp(p) => timestamps(array, *p, Zoned::Wall),
            SqlType::TimestampLtz(p) => timestamps(array, *p, Zoned::Utc),
            SqlType::Array(item) => {
                let list: &ListArray = array.as_list();
                V::Array(list.clone(), Box::new(Self::of(list.values(), item)))
            }
            SqlType::Map(key, value) => {
                let map = array.as_map();
                let keys = Self::of(map.keys(), key);
                V::Map(map.clone(), Box::new(keys), Box::new(Self::of(map.values(), value)))
            }
            SqlType::Multiset(item) => {
                let map = array.as_map();
                let keys = Self::of(map.keys(), item);
                let counts = Self::of(map.values(), &SqlType::COUNT);
                V::Map(map.clone(), Box::new(keys), Box::new(counts))
            }
            SqlType::Row(fields) => {
                let row: &StructArray = array.as_struct();
                let cells = row.columns().iter().zip(fields);
                V::Row(cells.map(|(c, f)| (f.name.clone(), Self::of(c, &f.ty))).collect())
            }
        };
        Cells { values, nulls: array.nulls().cloned() }
    }

    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }
}

fn timestamps(array: &ArrayRef, precision: u8, zoned: Zoned) -> CellValues {
    if precision > 6 {
        CellValues::Nanos(array.as_primitive().clone(), zoned)
    } else {
        CellValues::Micros(array.as_primitive().clone(), zoned)
    }
}

/// The entries of the list or map at `row`.
pub fn entries(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    offsets[row] as usize..offsets[row + 1] as usize
}

impl CellValues {
    /// Appends the value at `row` if it is a timestamp; `separator` stands
    /// between date and time.
    pub fn print_timestamp(&self, row: usize, separator: u8, out: &mut Vec<u8>) {
        let (units, units_per_second, zoned) = match self {
            CellValues::Micros(values, zoned) => (values.value(row), 1_000_000, *zoned),
            CellValues::Nanos(values, zoned) => (values.value(row), 1_000_000_000, *zoned),
            _ => return,
        };
        print::timestamp(out, units, units_per_second, separator);
        if zoned == Zoned::Utc {
            out.push(b'Z');
        }
    }
}
