//! `(a, b) OVERLAPS (c, d)`: whether two periods have a point in common, their
//! ends included; the ends of a period come in any order.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::super::flink_name;
use super::super::function::{Function, Parameter};
use super::wall::instant_micros;

pub(super) fn overlaps() -> Arc<ScalarUDF> {
    Function::new("overlaps", &[Parameter::Any; 4], DataType::Boolean, |args| {
        let ends = (0..4).map(|at| instant_micros(&args.array(at)?));
        let ends = ends.collect::<Result<Vec<_>>>()?;
        Ok(args.collect_booleans(|row| {
            let end = |at: usize| ends[at].is_valid(row).then(|| ends[at].value(row));
            let (first, last) = sorted(end(0), end(1));
            let (other_first, other_last) = sorted(end(2), end(3));
            and(reaches(last, other_first), reaches(other_last, first))
        }))
    })
    .coercing(|types| match types.iter().find(|ty| flink_name(ty) != flink_name(&types[0])) {
        None if types[0].is_temporal() => Ok(types.to_vec()),
        None => {
            plan_err!("OVERLAPS is between periods of time, not of {}", flink_name(&types[0]))
        }
        Some(other) => plan_err!(
            "OVERLAPS is between periods of one type, not {} and {}",
            flink_name(&types[0]),
            flink_name(other)
        ),
    })
    .udf()
}

type Point = Option<i64>;

/// The ends in order; as they are if that is not known.
fn sorted(a: Point, b: Point) -> (Point, Point) {
    match a.zip(b).map(|(a, b)| a.cmp(&b)) {
        Some(Ordering::Less | Ordering::Equal) => (a, b),
        _ => (b, a),
    }
}

fn reaches(last: Point, first: Point) -> Option<bool> {
    last.zip(first).map(|(last, first)| last >= first)
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}
