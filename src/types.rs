//! Flink's SQL types and the Arrow types that carry them.
//!
//! The mapping is one to one except where Arrow has no such type: a
//! `TIMESTAMP(p)` is microseconds for `p` up to 6 and nanoseconds above, and
//! the declared type travels in the field's metadata under [`FLINK_TYPE`].
//! A `TIMESTAMP_LTZ` carries the session's time zone, so that DataFusion's own
//! conversions to wall time are Flink's.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/types/>

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};

/// Metadata key of an Arrow field that holds the declared Flink type, as text.
pub const FLINK_TYPE: &str = "flink.type";

/// A Flink SQL type without its nullability.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SqlType {
    Char(u32),
    /// `VARCHAR(n)`; `STRING` is `VARCHAR(2147483647)`.
    Varchar(u32),
    Boolean,
    Binary(u32),
    /// `VARBINARY(n)`; `BYTES` is `VARBINARY(2147483647)`.
    Varbinary(u32),
    Decimal {
        precision: u8,
        scale: i8,
    },
    TinyInt,
    SmallInt,
    Int,
    BigInt,
    Float,
    Double,
    Date,
    Time(u8),
    Timestamp(u8),
    TimestampLtz(u8),
    Array(Box<ColumnType>),
    Map(Box<ColumnType>, Box<ColumnType>),
    /// Each value and how often it is there: `MAP<T NOT NULL, INT NOT NULL>`.
    Multiset(Box<ColumnType>),
    Row(Vec<RowField>),
}

/// A type with its nullability.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ColumnType {
    pub ty: SqlType,
    pub nullable: bool,
}

/// A named field of a `ROW<…>`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RowField {
    pub name: String,
    pub ty: ColumnType,
}

/// A column that a format reads or writes: its name and type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Column {
    pub name: String,
    pub ty: ColumnType,
}

impl SqlType {
    pub const STRING: SqlType = SqlType::Varchar(i32::MAX as u32);
    pub const BYTES: SqlType = SqlType::Varbinary(i32::MAX as u32);

    /// The type of the counts of a `MULTISET`.
    pub const COUNT: ColumnType = ColumnType { ty: SqlType::Int, nullable: false };

    pub fn nullable(self) -> ColumnType {
        ColumnType { ty: self, nullable: true }
    }

    pub fn not_null(self) -> ColumnType {
        ColumnType { ty: self, nullable: false }
    }

    /// The Arrow type of this type's values; `time_zone` is the session's
    /// (`table.local-time-zone`), as an IANA name or an offset such as `+02:00`.
    pub fn to_arrow(&self, time_zone: &str) -> DataType {
        match self {
            SqlType::Char(_) | SqlType::Varchar(_) => DataType::Utf8View,
            SqlType::Boolean => DataType::Boolean,
            SqlType::Binary(_) | SqlType::Varbinary(_) => DataType::BinaryView,
            SqlType::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale),
            SqlType::TinyInt => DataType::Int8,
            SqlType::SmallInt => DataType::Int16,
            SqlType::Int => DataType::Int32,
            SqlType::BigInt => DataType::Int64,
            SqlType::Float => DataType::Float32,
            SqlType::Double => DataType::Float64,
            SqlType::Date => DataType::Date32,
            SqlType::Time(_) => DataType::Time32(TimeUnit::Millisecond),
            SqlType::Timestamp(p) => DataType::Timestamp(unit(*p), None),
            SqlType::TimestampLtz(p) => DataType::Timestamp(unit(*p), Some(time_zone.into())),
            SqlType::Array(item) => DataType::List(Arc::new(item.to_field("item", time_zone))),
            SqlType::Map(key, value) => map_of(key, value, time_zone),
            SqlType::Multiset(item) => map_of(item, &Self::COUNT, time_zone),
            SqlType::Row(fields) => DataType::Struct(
                fields.iter().map(|f| f.ty.to_field(&f.name, time_zone)).collect(),
            ),
        }
    }
}

fn map_of(key: &ColumnType, value: &ColumnType, time_zone: &str) -> DataType {
    let key = ColumnType { nullable: false, ..key.clone() };
    let entries =
        Fields::from(vec![key.to_field("key", time_zone), value.to_field("value", time_zone)]);
    let entries = Field::new("entries", DataType::Struct(entries), false);
    DataType::Map(Arc::new(entries), false)
}

fn unit(precision: u8) -> TimeUnit {
    if precision <= 6 { TimeUnit::Microsecond } else { TimeUnit::Nanosecond }
}

impl ColumnType {
    /// An Arrow field of this type that carries the declared type with it.
    pub fn to_field(&self, name: &str, time_zone: &str) -> Field {
        Field::new(name, self.ty.to_arrow(time_zone), self.nullable)
            .with_metadata(HashMap::from([(FLINK_TYPE.to_owned(), self.ty.to_string())]))
    }
}

impl Column {
    pub fn to_field(&self, time_zone: &str) -> Field {
        self.ty.to_field(&self.name, time_zone)
    }
}

impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNBOUNDED: u32 = i32::MAX as u32;
        match self {
            SqlType::Char(n) => write!(f, "CHAR({n})"),
            SqlType::Varchar(UNBOUNDED) => f.write_str("STRING"),
            SqlType::Varchar(n) => write!(f, "VARCHAR({n})"),
            SqlType::Boolean => f.write_str("BOOLEAN"),
            SqlType::Binary(n) => write!(f, "BINARY({n})"),
            SqlType::Varbinary(UNBOUNDED) => f.write_str("BYTES"),
            SqlType::Varbinary(n) => write!(f, "VARBINARY({n})"),
            SqlType::Decimal { precision, scale } => write!(f, "DECIMAL({precision}, {scale})"),
            SqlType::TinyInt => f.write_str("TINYINT"),
            SqlType::SmallInt => f.write_str("SMALLINT"),
            SqlType::Int => f.write_str("INT"),
            SqlType::BigInt => f.write_str("BIGINT"),
            SqlType::Float => f.write_str("FLOAT"),
            SqlType::Double => f.write_str("DOUBLE"),
            SqlType::Date => f.write_str("DATE"),
            SqlType::Time(0) => f.write_str("TIME"),
            SqlType::Time(p) => write!(f, "TIME({p})"),
            SqlType::Timestamp(p) => write!(f, "TIMESTAMP({p})"),
            SqlType::TimestampLtz(p) => write!(f, "TIMESTAMP_LTZ({p})"),
            SqlType::Array(item) => write!(f, "ARRAY<{item}>"),
            SqlType::Map(k, v) => write!(f, "MAP<{k}, {v}>"),
            SqlType::Multiset(item) => write!(f, "MULTISET<{item}>"),
            SqlType::Row(fields) => {
                f.write_str("ROW<")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}`{}` {}", field.name.replace('`', "``"), field.ty)?;
                }
                f.write_str(">")
            }
        }
    }
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ty)?;
        if self.nullable { Ok(()) } else { f.write_str(" NOT NULL") }
    }
}
