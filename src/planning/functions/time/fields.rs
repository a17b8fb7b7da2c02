//! EXTRACT and the functions named after its fields; all are BIGINT.

use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::super::function::{Function, Parameter};
use super::wall::{instant_micros, wall_micros};
use crate::times::calendar::{Wall, day_of_week, day_of_year, iso_week};

type Field = fn(&Wall) -> i64;

const FUNCTIONS: [(&str, &str); 10] = [
    ("year", "YEAR"),
    ("quarter", "QUARTER"),
    ("month", "MONTH"),
    ("week", "WEEK"),
    ("dayofyear", "DOY"),
    ("dayofmonth", "DAY"),
    ("dayofweek", "DOW"),
    ("hour", "HOUR"),
    ("minute", "MINUTE"),
    ("second", "SECOND"),
];

fn field(unit: &str) -> Option<Field> {
    Some(match unit {
        "MILLENNIUM" => |w| (w.year + 999).div_euclid(1000),
        "CENTURY" => |w| (w.year + 99).div_euclid(100),
        "DECADE" => |w| w.year.div_euclid(10),
        "YEAR" => |w| w.year,
        "ISOYEAR" => |w| iso_week(w.days).0,
        "QUARTER" => |w| (w.month + 2) / 3,
        "MONTH" => |w| w.month,
        "WEEK" => |w| iso_week(w.days).1,
        "DAY" | "DAYOFMONTH" => |w| w.day,
        "DOY" | "DAYOFYEAR" => |w| day_of_year(w.days),
        "DOW" | "DAYOFWEEK" => |w| day_of_week(w.days),
        "ISODOW" => |w| (w.days + 3).rem_euclid(7) + 1,
        "HOUR" => |w| w.hour,
        "MINUTE" => |w| w.minute,
        "SECOND" => |w| w.second,
        "MILLISECOND" => |w| w.micro / 1000,
        "MICROSECOND" => |w| w.micro,
        "NANOSECOND" => |w| w.micro * 1000,
        _ => return None,
    })
}

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let mut all: Vec<_> = FUNCTIONS.iter().map(|(name, unit)| named(name, unit)).collect();
    all.push(extract());
    all
}

fn named(name: &'static str, unit: &'static str) -> Arc<ScalarUDF> {
    let field = field(unit).expect("listed above");
    Function::new(name, &[Parameter::Temporal], DataType::Int64, move |args| {
        let wall = wall_micros(&args.array(0)?)?;
        Ok(args.collect::<Int64Type>(|row| {
            wall.is_valid(row).then(|| field(&Wall::of(wall.value(row))))
        }))
    })
    .udf()
}

/// `extract('UNIT', ts)`, which `EXTRACT(unit FROM ts)` becomes.
pub(crate) fn extract() -> Arc<ScalarUDF> {
    let parameters = [Parameter::Text, Parameter::Temporal];
    Function::new("extract", &parameters, DataType::Int64, |args| {
        let unit = args.texts(0)?.get(0).unwrap_or_default().to_uppercase();
        let array = args.array(1)?;
        if unit == "EPOCH" {
            let instants = instant_micros(&array)?;
            return Ok(Arc::new(instants.unary::<_, Int64Type>(|m| m.div_euclid(1_000_000))));
        }
        let Some(field) = field(&unit) else {
            return exec_err!("EXTRACT does not know the field {unit}");
        };
        let wall = wall_micros(&array)?;
        Ok(Arc::new(wall.unary::<_, Int64Type>(|micros| field(&Wall::of(micros)))))
    })
    .udf()
}

/// # Errors
/// EXTRACT has no such field.
pub(crate) fn check_field(unit: &str) -> Result<()> {
    let unit = unit.to_uppercase();
    if unit == "EPOCH" || field(&unit).is_some() {
        return Ok(());
    }
    plan_err!("EXTRACT does not know the field {unit}")
}
