//! `FLOOR(ts TO unit)` and `CEIL(ts TO unit)`.
//!
//! A TIMESTAMP_LTZ is rounded on the session's clock, and the clock's offset at
//! the value itself is taken back, as Flink does. Weeks begin on Sunday. Above
//! a day, CEIL looks at the day alone, not at its time: that is Flink's too.
//!
//! Source: Flink's `DateTimeUtils.timestampFloor`, `timestampCeil`.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::super::function::{Function, Parameter};
use super::wall::{from_micros, instant_micros, mapped, zone_of};
use crate::times::calendar::{
    MICROS_PER_DAY, civil_from_days, day_of_week, days_from_civil, split,
};

#[derive(Clone, Copy)]
enum Unit {
    /// A fixed number of microseconds.
    Fixed(i64),
    Week,
    Months(i64),
    /// So many years, the first of which is one more than a multiple.
    Years {
        count: i64,
        from_one: bool,
    },
}

fn unit(name: &str) -> Option<Unit> {
    const SECOND: i64 = 1_000_000;
    Some(match name {
        "MILLENNIUM" => Unit::Years { count: 1000, from_one: true },
        "CENTURY" => Unit::Years { count: 100, from_one: true },
        "DECADE" => Unit::Years { count: 10, from_one: false },
        "YEAR" => Unit::Months(12),
        "QUARTER" => Unit::Months(3),
        "MONTH" => Unit::Months(1),
        "WEEK" => Unit::Week,
        "DAY" => Unit::Fixed(MICROS_PER_DAY),
        "HOUR" => Unit::Fixed(3600 * SECOND),
        "MINUTE" => Unit::Fixed(60 * SECOND),
        "SECOND" => Unit::Fixed(SECOND),
        "MILLISECOND" => Unit::Fixed(1000),
        "MICROSECOND" => Unit::Fixed(1),
        _ => return None,
    })
}

impl Unit {
    fn round(self, wall: i64, up: bool) -> i64 {
        if let Unit::Fixed(length) = self {
            let down = wall - wall.rem_euclid(length);
            return if up && down < wall { down + length } else { down };
        }
        let (days, _) = split(wall);
        let down = self.floor_days(days);
        let days = if up && down < days { self.next_days(down) } else { down };
        days * MICROS_PER_DAY
    }

    fn floor_days(self, days: i64) -> i64 {
        let (year, month, _) = civil_from_days(days);
        match self {
            Unit::Fixed(_) => days,
            Unit::Week => days - (day_of_week(days) - 1),
            Unit::Months(count) => {
                days_from_civil(year, month - (month - 1).rem_euclid(count), 1)
            }
            Unit::Years { count, from_one } => {
                let shift = i64::from(from_one);
                days_from_civil(year - (year - shift).rem_euclid(count), 1, 1)
            }
        }
    }

    fn next_days(self, down: i64) -> i64 {
        let (year, _, _) = civil_from_days(down);
        match self {
            Unit::Fixed(_) => down,
            Unit::Week => down + 7,
            Unit::Months(count) => crate::times::calendar::add_months(down, count),
            Unit::Years { count, .. } => days_from_civil(year + count, 1, 1),
        }
    }
}

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![rounding("floor_to", false), rounding("ceil_to", true)]
}

/// `floor_to(ts, 'UNIT')`, which `FLOOR(ts TO unit)` becomes.
fn rounding(name: &'static str, up: bool) -> Arc<ScalarUDF> {
    let parameters = [Parameter::Temporal, Parameter::Text];
    Function::new(name, &parameters, DataType::Null, move |args| {
        let name = args.texts(1)?.get(0).unwrap_or_default().to_uppercase();
        let Some(unit) = unit(&name) else {
            return exec_err!("a timestamp cannot be rounded to {name}");
        };
        round(&args.array(0)?, unit, up)
    })
    .returning(|types| Ok(types[0].clone()))
    .udf()
}

fn round(array: &ArrayRef, unit: Unit, up: bool) -> Result<ArrayRef> {
    let ty = array.data_type();
    let instants = instant_micros(array)?;
    let rounded = match zone_of(ty) {
        None => instants.unary::<_, Int64Type>(|wall| unit.round(wall, up)),
        Some(mut zone) => mapped(&instants, |instant| {
            let offset = zone.offset(instant);
            unit.round(instant + offset, up) - offset
        }),
    };
    match ty {
        DataType::Time32(_) | DataType::Time64(_) => {
            let micros = rounded.reinterpret_cast::<arrow::datatypes::Time64MicrosecondType>();
            Ok(arrow::compute::cast(&micros, ty)?)
        }
        _ => from_micros(rounded, ty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounded(at: &str, to: &str, up: bool) -> String {
        let wall = crate::times::parse::timestamp(at).expect("a timestamp");
        let micros = unit(to).expect("a unit").round(wall, up);
        chrono::DateTime::from_timestamp_micros(micros)
            .expect("within chrono's years")
            .format("%Y-%m-%d %H:%M:%S")
            .to_string()
    }

    #[test]
    fn units_are_flinks() {
        let at = "2024-02-29 13:05:09.5";
        for (to, down, up) in [
            ("SECOND", "2024-02-29 13:05:09", "2024-02-29 13:05:10"),
            ("HOUR", "2024-02-29 13:00:00", "2024-02-29 14:00:00"),
            ("DAY", "2024-02-29 00:00:00", "2024-03-01 00:00:00"),
            ("WEEK", "2024-02-25 00:00:00", "2024-03-03 00:00:00"),
            ("MONTH", "2024-02-01 00:00:00", "2024-03-01 00:00:00"),
            ("QUARTER", "2024-01-01 00:00:00", "2024-04-01 00:00:00"),
            ("YEAR", "2024-01-01 00:00:00", "2025-01-01 00:00:00"),
            ("DECADE", "2020-01-01 00:00:00", "2030-01-01 00:00:00"),
            ("CENTURY", "2001-01-01 00:00:00", "2101-01-01 00:00:00"),
        ] {
            assert_eq!(rounded(at, to, false), down, "FLOOR TO {to}");
            assert_eq!(rounded(at, to, true), up, "CEIL TO {to}");
        }
    }
}
