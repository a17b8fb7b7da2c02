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
mod decimals;
mod distinct;
mod first_last;
mod listagg;
mod mean;
mod moments;
mod sum;
#[cfg(test)]
mod tests;
mod values;
mod variance;

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::AggregateUDF;

use average::Average;
use collect::Collect;
use first_last::{End, EndValue};
use listagg::ListAgg;
use moments::Spread;
use sum::Sum;
use variance::Variance;

/// Of DataFusion's functions those that are Flink's too.
const SHARED: &[&str] = &["array_agg", "count", "grouping", "max", "min"];

/// Flink's aggregate functions, and no others: a script must run on Flink.
pub fn all() -> Vec<Arc<AggregateUDF>> {
    let mut all = SessionStateDefaults::default_aggregate_functions();
    all.retain(|function| SHARED.contains(&function.name()));
    all.extend(flink());
    all
}

fn flink() -> Vec<Arc<AggregateUDF>> {
    vec![
        Arc::new(AggregateUDF::new_from_impl(Sum::new())),
        Arc::new(AggregateUDF::new_from_impl(Average::new())),
        Arc::new(AggregateUDF::new_from_impl(EndValue::new(End::First))),
        Arc::new(AggregateUDF::new_from_impl(EndValue::new(End::Last))),
        Arc::new(AggregateUDF::new_from_impl(ListAgg::new())),
        Arc::new(AggregateUDF::new_from_impl(Collect::new())),
        variance(Variance::new("var_pop", Spread::VarPop)),
        variance(Variance::new("var_samp", Spread::VarSamp).also("variance")),
        variance(Variance::new("stddev_pop", Spread::StddevPop)),
        variance(Variance::new("stddev_samp", Spread::StddevSamp).also("stddev")),
    ]
}

fn variance(function: Variance) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(function))
}
