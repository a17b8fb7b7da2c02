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

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::AggregateUDF;

use average::Average;
use first_last::{End, EndValue};
use listagg::ListAgg;
use moments::Spread;
use sum::Sum;
use variance::Variance;

/// DataFusion's functions, with Flink's in the place of those of the same name.
pub fn all() -> Vec<Arc<AggregateUDF>> {
    let ours = flink();
    let taken: HashSet<&str> = ours.iter().flat_map(|function| names(function)).collect();
    let others = SessionStateDefaults::default_aggregate_functions();
    let mut all: Vec<_> = others
        .into_iter()
        .filter(|function| names(function).all(|name| !taken.contains(name)))
        .collect();
    all.extend(ours.iter().cloned());
    all
}

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
        variance(Variance::new("var_pop", Spread::VarPop)),
        variance(Variance::new("var_samp", Spread::VarSamp).also("variance")),
        variance(Variance::new("stddev_pop", Spread::StddevPop)),
        variance(Variance::new("stddev_samp", Spread::StddevSamp).also("stddev")),
    ]
}

fn variance(function: Variance) -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(function))
}
