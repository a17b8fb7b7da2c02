//! Flink's aggregate functions, with Flink's result types.
//!
//! Owns what a window function of the `GROUP BY` kind computes: the types it
//! takes and gives, its state, and how partial states meet. Refuses arguments
//! that Flink refuses. Every function ignores NULLs, and every state can be
//! split over any number of accumulators and merged without changing the
//! result, apart from the order of arrival where a function speaks of it and
//! the last digits of floating point.

mod arguments;
mod average;
mod collect;
mod counts;
mod decimals;
mod distinct;
mod first_last;
mod json;
mod listagg;
mod mean;
mod moments;
mod percentile;
mod sum;
#[cfg(test)]
mod tests;
mod values;
mod variance;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::{AggregateUDF, Expr};

use average::Average;
use collect::Collect;
use first_last::{End, EndValue};
use json::{JsonAgg, Kind};
use listagg::ListAgg;
use moments::Spread;
use percentile::Percentile;
use sum::Sum;
use variance::Variance;

/// DataFusion's functions that mean in Flink what they do there.
const SHARED: [&str; 5] = ["array_agg", "count", "grouping", "max", "min"];

/// The functions that Flink has, and no other.
pub fn all() -> Vec<Arc<AggregateUDF>> {
    let mut all = SessionStateDefaults::default_aggregate_functions();
    all.retain(|function| SHARED.contains(&function.name()));
    all.extend(flink());
    all
}

/// Refuses an argument that must be the same for all rows and is not.
///
/// # Errors
/// LISTAGG's separator, PERCENTILE's part.
pub(super) fn check_constants(function: &str, arguments: &[Expr]) -> Result<()> {
    match (function, arguments) {
        ("listagg", [_, separator, ..]) if !matches!(separator, Expr::Literal(..)) => {
            plan_err!("LISTAGG's separator must be a literal")
        }
        ("percentile", [_, part, ..]) if part.any_column_refs() || part.is_volatile() => {
            plan_err!("the part that PERCENTILE takes must be a literal")
        }
        ("percentile", [_, Expr::Literal(part, _), ..]) => {
            match part.cast_to(&DataType::Float64) {
                Ok(ScalarValue::Float64(Some(part))) if !(0.0..=1.0).contains(&part) => {
                    plan_err!("PERCENTILE takes a part from 0 to 1, not {part}")
                }
                Ok(ScalarValue::Float64(None)) => {
                    plan_err!("the part that PERCENTILE takes must not be NULL")
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// Refuses what a call says beside its arguments and `function` has no use for.
///
/// # Errors
/// `PERCENTILE(DISTINCT …)`, `FIRST_VALUE(… ORDER BY …)`.
pub(super) fn check_clauses(function: &str, distinct: bool, ordered: bool) -> Result<()> {
    match function {
        "percentile" if distinct => plan_err!("PERCENTILE(DISTINCT …) is not possible"),
        "first_value" | "last_value" if ordered => {
            let name = function.to_uppercase();
            plan_err!("{name} takes values as they arrive, without ORDER BY")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
fn names(function: &AggregateUDF) -> impl Iterator<Item = &str> {
    std::iter::once(function.name()).chain(function.aliases().iter().map(String::as_str))
}

fn flink() -> Vec<Arc<AggregateUDF>> {
    vec![
        Arc::new(AggregateUDF::new_from_impl(Sum::new())),
        Arc::new(AggregateUDF::new_from_impl(Average::new())),
        Arc::new(AggregateUDF::new_from_impl(EndValue::new(End::First))),
        Arc::new(AggregateUDF::new_from_impl(EndValue::new(End::Last))),
        Arc::new(AggregateUDF::new_from_impl(ListAgg::new())),
        Arc::new(AggregateUDF::new_from_impl(Collect::new())),
        Arc::new(AggregateUDF::new_from_impl(JsonAgg::new(Kind::Array))),
        Arc::new(AggregateUDF::new_from_impl(JsonAgg::new(Kind::Object))),
        Arc::new(AggregateUDF::new_from_impl(Percentile::new())),
        variance(Variance::new("var_pop", Spread::VarPop)),
        variance(Variance::new("var_samp", Spread::VarSamp).also("variance")),
        variance(Variance::new("stddev_pop", Spread::StddevPop)),
        variance(Variance::new("stddev_samp", Spread::StddevSamp).also("stddev")),
    ]
}

fn variance(function: Variance) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(function))
}
