//! Flink's options of `datagen`: one generator per column.
//!
//! An option that the column's type or kind makes nothing of is refused.

use std::time::Duration;

use super::generator::{Bound, Generator, Kind, Lengths, Range, range_of};
use crate::diagnostics::Diagnostic;
use crate::options::{Options, parse_duration};
use crate::sources::SourceTable;
use crate::types::{Column, ColumnType, SqlType};

const ROWS_PER_SECOND: u64 = 10_000;
const LENGTH: u32 = 100;
const ENTRIES: u32 = 3;
const UNBOUNDED: u32 = i32::MAX as u32;

pub struct Read {
    pub rows_per_second: u64,
    pub number_of_rows: Option<u64>,
    pub generators: Vec<Generator>,
}

impl Read {
    /// The number of rows, or the shortest sequence.
    pub fn rows(&self) -> Option<u64> {
        let sequences = self.generators.iter().filter_map(|g| g.kind.sequence_len());
        sequences.chain(self.number_of_rows).min()
    }
}

pub fn take(options: &mut Options, table: &SourceTable<'_>) -> Read {
    let rate = options.parse("rows-per-second", "a number of rows, at least 1", |v| {
        v.parse().ok().filter(|rate| *rate > 0)
    });
    let number_of_rows =
        options.parse("number-of-rows", "a number of rows", |v| v.parse().ok());
    if let Some(value) = options.take("scan.parallelism") {
        let message = "option `scan.parallelism` is not supported";
        let hint = "leave it out: one worker makes the rows";
        options.errors.push(Diagnostic::error(message).at(value.span).hint(hint));
    }
    let mut generators = Vec::new();
    for column in table.columns {
        generators.extend(column_generator(options, column, &column.name));
    }
    Read { rows_per_second: rate.unwrap_or(ROWS_PER_SECOND), number_of_rows, generators }
}

/// The generator of a column, or of a field of a row column by its path.
fn column_generator(options: &mut Options, column: &Column, path: &str) -> Option<Generator> {
    let option = |name: &str| format!("fields.{path}.{name}");
    let null_rate = options.parse(&option("null-rate"), "a rate from 0 to 1", |v| {
        v.parse::<f64>().ok().filter(|rate| (0.0..=1.0).contains(rate))
    });
    if !column.ty.nullable && null_rate.is_some_and(|rate| rate > 0.0) {
        let message = format!("`{path}` is NOT NULL and cannot have a null rate");
        let given = options.take(&option("null-rate"));
        let place = given.map_or(options.table_span, |rate| rate.span);
        options.errors.push(Diagnostic::error(message).at(place));
        return None;
    }
    let sequence = options.parse(&option("kind"), "random or sequence", |v| {
        match v.to_lowercase().as_str() {
            "random" => Some(false),
            "sequence" => Some(true),
            _ => None,
        }
    });
    let kind = if sequence == Some(true) {
        sequence_kind(options, &column.ty.ty, path)
    } else {
        random_kind(options, &column.ty.ty, path)
    };
    Some(Generator { kind: kind?, null_rate: null_rate.unwrap_or(0.0) })
}

fn sequence_kind(options: &mut Options, ty: &SqlType, path: &str) -> Option<Kind> {
    let known = matches!(
        ty,
        SqlType::Char(_)
            | SqlType::Varchar(_)
            | SqlType::Decimal { .. }
            | SqlType::TinyInt
            | SqlType::SmallInt
            | SqlType::Int
            | SqlType::BigInt
            | SqlType::Float
            | SqlType::Double
    );
    if !known {
        let kind = options.take(&format!("fields.{path}.kind"));
        let place = kind.map_or(options.table_span, |kind| kind.span);
        let message = format!("a sequence cannot be of type {ty}");
        options.errors.push(Diagnostic::error(message).at(place).hint("use kind `random`"));
        return None;
    }
    let mut bound = |name: &str| {
        let option = format!("fields.{path}.{name}");
        options.require(&option)?;
        options.parse(&option, "a whole number", |v| v.parse::<i64>().ok())
    };
    let (start, end) = (bound("start"), bound("end"));
    let (start, end) = (start?, end?);
    if start > end {
        let message = format!("the sequence of `{path}` ends before it starts");
        options.errors.push(Diagnostic::error(message).at(options.table_span));
        return None;
    }
    Some(Kind::Sequence { start, end })
}

fn random_kind(options: &mut Options, ty: &SqlType, path: &str) -> Option<Kind> {
    match ty {
        SqlType::Char(n) | SqlType::Binary(n) => {
            Some(Kind::Text(Lengths { max: *n, vary: false }))
        }
        SqlType::Varchar(n) | SqlType::Varbinary(n) => {
            let default = if *n == UNBOUNDED { LENGTH } else { *n };
            lengths(options, path, default, *n).map(Kind::Text)
        }
        SqlType::Boolean => Some(Kind::Boolean),
        SqlType::Date | SqlType::Time(_) => Some(Kind::Now),
        SqlType::Timestamp(_) | SqlType::TimestampLtz(_) => {
            let option = format!("fields.{path}.max-past");
            let past = options.parse(&option, "a duration such as `10 s`", parse_duration);
            Some(Kind::Past(past.unwrap_or(Duration::ZERO)))
        }
        SqlType::Array(item) => {
            let entries = lengths(options, path, ENTRIES, UNBOUNDED)?;
            let item = inner(options, item, &format!("{path}.element"))?;
            Some(Kind::Array(entries, Box::new(item)))
        }
        SqlType::Map(key, value) => {
            let entries = lengths(options, path, ENTRIES, UNBOUNDED)?;
            let key = inner(options, key, &format!("{path}.key"));
            let value = inner(options, value, &format!("{path}.value"));
            Some(Kind::Map(entries, Box::new(key?), Box::new(value?)))
        }
        SqlType::Multiset(item) => {
            let entries = lengths(options, path, ENTRIES, UNBOUNDED)?;
            let item = inner(options, item, &format!("{path}.element"));
            Some(Kind::Map(entries, Box::new(item?), Box::new(COUNTS)))
        }
        SqlType::Row(fields) => {
            let each = fields
                .iter()
                .map(|field| inner(options, &field.ty, &format!("{path}.{}", field.name)));
            let all: Vec<_> = each.collect();
            all.into_iter().collect::<Option<Vec<_>>>().map(Kind::Row)
        }
        number => number_range(options, number, path).map(Kind::Number),
    }
}

/// How often an element of a MULTISET is there.
const COUNTS: Generator = Generator {
    kind: Kind::Number(Range {
        min: Bound { number: 0.0, whole: 0 },
        max: Bound { number: 10.0, whole: 10 },
    }),
    null_rate: 0.0,
};

fn inner(options: &mut Options, ty: &ColumnType, path: &str) -> Option<Generator> {
    let column = Column { name: path.to_owned(), ty: ty.clone() };
    column_generator(options, &column, path)
}

fn lengths(options: &mut Options, path: &str, default: u32, most: u32) -> Option<Lengths> {
    let option = format!("fields.{path}.length");
    let given = options.take(&option).is_some();
    let expected = format!("a length from 1 to {most}");
    let length = options.parse(&option, &expected, |v| {
        v.parse().ok().filter(|length| (1..=most).contains(length))
    });
    let vary = options.boolean(&format!("fields.{path}.var-len"), false);
    if given {
        Some(Lengths { max: length?, vary })
    } else {
        Some(Lengths { max: default, vary })
    }
}

fn number_range(options: &mut Options, ty: &SqlType, path: &str) -> Option<Range> {
    let Range { min: lowest, max: highest } = range_of(ty);
    let mut bound = |name: &str, default: f64, whole: i128| {
        let option = format!("fields.{path}.{name}");
        if options.take(&option).is_none() {
            return Some(Bound { number: default, whole });
        }
        options.parse(&option, &format!("a number of type {ty}"), |v| {
            let bound = Bound::parse(v, ty)?;
            let fits = bound.number >= lowest.number && bound.number <= highest.number;
            fits.then_some(bound)
        })
    };
    let min = bound("min", lowest.number, lowest.whole);
    let max = bound("max", highest.number, highest.whole);
    let (min, max) = (min?, max?);
    if min.number > max.number {
        let message = format!("the least value of `{path}` is above its greatest");
        options.errors.push(Diagnostic::error(message).at(options.table_span));
        return None;
    }
    Some(Range { min, max })
}
