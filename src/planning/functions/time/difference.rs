//! `TIMESTAMPDIFF` and `TIMESTAMPADD`, by the unit as a string.
//!
//! Both count on the value's own scale: a TIMESTAMP_LTZ is an instant, and a
//! day is 24 hours of it.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::super::arguments::Arguments;
use super::super::function::{Function, Parameter};
use super::wall::{from_micros, instant_micros};
use crate::times::calendar::{
    MICROS_PER_DAY, MICROS_PER_SECOND, add_months, add_months_to_micros, split,
};

#[derive(Clone, Copy)]
enum Unit {
    Micros(i64),
    Months(i64),
}

fn unit(name: &str) -> Result<Unit> {
    Ok(match name.to_uppercase().trim_start_matches("SQL_TSI_") {
        "MICROSECOND" => Unit::Micros(1),
        "MILLISECOND" => Unit::Micros(1000),
        "SECOND" => Unit::Micros(MICROS_PER_SECOND),
        "MINUTE" => Unit::Micros(60 * MICROS_PER_SECOND),
        "HOUR" => Unit::Micros(3600 * MICROS_PER_SECOND),
        "DAY" => Unit::Micros(MICROS_PER_DAY),
        "WEEK" => Unit::Micros(7 * MICROS_PER_DAY),
        "MONTH" => Unit::Months(1),
        "QUARTER" => Unit::Months(3),
        "YEAR" => Unit::Months(12),
        other => return exec_err!("the unit {other} is not supported here"),
    })
}

fn unit_of(args: &Arguments<'_>) -> Result<Unit> {
    unit(args.texts(0)?.get(0).unwrap_or_default())
}

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![timestampdiff(), timestampadd()]
}

/// `TIMESTAMPDIFF(unit, a, b)`: whole units from `a` to `b`, as INT.
fn timestampdiff() -> Arc<ScalarUDF> {
    let parameters = [Parameter::Text, Parameter::InstantOrText, Parameter::InstantOrText];
    Function::new("timestampdiff", &parameters, DataType::Int32, |args| {
        let unit = unit_of(args)?;
        let from = instants(args, 1)?;
        let to = instants(args, 2)?;
        Ok(args.collect::<Int32Type>(|row| {
            if from.is_null(row) || to.is_null(row) {
                return None;
            }
            let (from, to) = (from.value(row), to.value(row));
            Some(match unit {
                Unit::Micros(length) => ((to - from) / length) as i32,
                Unit::Months(count) => (months_between(from, to) / count) as i32,
            })
        }))
    })
    .udf()
}

fn instants(args: &Arguments<'_>, at: usize) -> Result<super::wall::Micros> {
    let array = args.array(at)?;
    match array.data_type() {
        DataType::Utf8View => super::wall::wall_micros(&array),
        _ => instant_micros(&array),
    }
}

/// Whole months from `from` to `to`.
///
/// Source: Calcite's `DateTimeUtils.subtractMonths`.
fn months_between(from: i64, to: i64) -> i64 {
    let ((from_days, from_time), (to_days, to_time)) = (split(from), split(to));
    let months = if to_days < from_days {
        -whole_months(to_days, from_days)
    } else {
        whole_months(from_days, to_days)
    };
    let reached = add_months(from_days, months);
    if reached == to_days && to_time < from_time { months - 1 } else { months }
}

/// Whole months between two days, the first not later than the second.
fn whole_months(from: i64, to: i64) -> i64 {
    let mut months = (to - from) / 31;
    while add_months(from, months) < to && add_months(from, months + 1) <= to {
        months += 1;
    }
    months
}

/// `TIMESTAMPADD(unit, n, ts)`; a DATE stays one if the unit is a day or more.
fn timestampadd() -> Arc<ScalarUDF> {
    let parameters = [Parameter::Text, Parameter::Integer, Parameter::Instant];
    Function::new("timestampadd", &parameters, DataType::Null, |args| {
        let unit = unit_of(args)?;
        let counts = args.integers(1)?;
        let from = instant_micros(&args.array(2)?)?;
        let sum = args.collect::<Int64Type>(|row| {
            let count = counts.get(row)?;
            if from.is_null(row) {
                return None;
            }
            let from = from.value(row);
            Some(match unit {
                Unit::Micros(length) => from.wrapping_add(length.wrapping_mul(count)),
                Unit::Months(months) => add_months_to_micros(from, months * count),
            })
        });
        let sum = arrow::array::AsArray::as_primitive::<Int64Type>(&sum).clone();
        from_micros(sum, args.returns)
    })
    .returning(|types| {
        Ok(match &types[2] {
            DataType::Timestamp(..) | DataType::Date32 => types[2].clone(),
            _ => DataType::Timestamp(TimeUnit::Microsecond, None),
        })
    })
    .udf()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str) -> i64 {
        crate::times::parse::timestamp(text).expect("a timestamp")
    }

    #[test]
    fn months_are_whole() {
        for (from, to, months) in [
            ("2024-01-31", "2024-02-29", 1),
            ("2024-01-15", "2024-02-14", 0),
            ("2024-01-15", "2024-02-15", 1),
            ("2024-02-15", "2024-01-15", -1),
            ("2024-01-15 10:00:00", "2024-02-15 09:00:00", 0),
            ("2020-02-29", "2024-02-29", 48),
        ] {
            assert_eq!(months_between(micros(from), micros(to)), months, "{from} {to}");
        }
    }
}
