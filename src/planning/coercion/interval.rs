//! Points of time plus and minus intervals, on the value's own scale: a day of
//! a TIMESTAMP_LTZ is 24 hours, a month is counted in UTC.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator};

/// The sum, if one side is a point of time and the other an interval.
pub(super) fn typed(
    left: &Expr,
    op: Operator,
    right: &Expr,
    schema: &DFSchema,
) -> Result<Option<Transformed<Expr>>> {
    if !matches!(op, Operator::Plus | Operator::Minus) {
        return Ok(None);
    }
    let is_interval = |ty: &DataType| matches!(ty, DataType::Interval(_));
    let (lt, rt) = (left.get_type(schema)?, right.get_type(schema)?);
    let (point, interval, ty) = match (&lt, &rt) {
        (DataType::Timestamp(..) | DataType::Date32, rt) if is_interval(rt) => {
            (left, right, lt)
        }
        (lt, DataType::Timestamp(..) | DataType::Date32)
            if is_interval(lt) && op == Operator::Plus =>
        {
            (right, left, rt)
        }
        _ => return Ok(None),
    };
    Ok(Some(Transformed::yes(shifted(point.clone(), op, interval.clone(), ty))))
}

fn shifted(point: Expr, op: Operator, interval: Expr, ty: DataType) -> Expr {
    let sum = |point, interval| {
        Expr::BinaryExpr(BinaryExpr::new(Box::new(point), op, Box::new(interval)))
    };
    let cast = |expr, ty| Expr::Cast(Cast::new(Box::new(expr), ty));
    let fixed = fixed_nanos(&interval);
    match (&ty, fixed) {
        (DataType::Timestamp(unit, _), Some(nanos)) => {
            let length = match unit {
                TimeUnit::Nanosecond => {
                    ScalarValue::DurationNanosecond(i64::try_from(nanos).ok())
                }
                _ => ScalarValue::DurationMicrosecond(i64::try_from(nanos / 1000).ok()),
            };
            sum(point, Expr::Literal(length, None))
        }
        (DataType::Timestamp(unit, Some(_)), None) => {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            cast(sum(cast(point, utc), interval), ty)
        }
        // A DATE moves by whole days.
        (DataType::Date32, Some(nanos)) => {
            let days = i32::try_from(nanos / NANOS_PER_DAY).unwrap_or_default();
            let days = ScalarValue::new_interval_mdn(0, days, 0);
            sum(point, Expr::Literal(days, None))
        }
        _ => sum(point, interval),
    }
}

/// `TIMESTAMPADD(HOUR, n, date)` is a TIMESTAMP: the unit is shorter than a day.
pub(super) fn timestampadd(
    mut function: ScalarFunction,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    const SHORT: [&str; 5] = ["HOUR", "MINUTE", "SECOND", "MILLISECOND", "MICROSECOND"];
    let short = matches!(function.args.first(), Some(Expr::Literal(unit, _))
        if unit.try_as_str().flatten().is_some_and(|unit| SHORT.contains(&unit)));
    if let [_, _, point] = function.args.as_mut_slice()
        && short
        && point.get_type(schema)? == DataType::Date32
    {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
        *point = Expr::Cast(Cast::new(Box::new(point.clone()), timestamp));
        return Ok(Transformed::yes(Expr::ScalarFunction(function)));
    }
    Ok(Transformed::no(Expr::ScalarFunction(function)))
}

const NANOS_PER_DAY: i128 = 86_400_000_000_000;

/// The length of a literal interval that has no months.
fn fixed_nanos(interval: &Expr) -> Option<i128> {
    match interval {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(i)), _) if i.months == 0 => {
            Some(i128::from(i.days) * NANOS_PER_DAY + i128::from(i.nanoseconds))
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(i)), _) => {
            let millis = i128::from(i.milliseconds);
            Some(i128::from(i.days) * NANOS_PER_DAY + millis * 1_000_000)
        }
        _ => None,
    }
}
