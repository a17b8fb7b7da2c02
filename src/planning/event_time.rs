//! Which columns of a plan are time attributes: columns that the watermark
//! speaks of, and window_time above them.
//!
//! A column stays a time attribute as long as it is passed on unchanged; any
//! expression over it, a CAST included, makes it an ordinary timestamp.

use std::collections::BTreeSet;

use datafusion::common::DFSchema;
use datafusion::logical_expr::{Distinct, Expr, LogicalPlan};

use super::window::{AssignWindowNode, EventTimeNode};

/// Indexes of the time attributes among the columns of `plan`, which has not
/// been optimized (an optimizer removes casts that change nothing).
pub fn columns(plan: &LogicalPlan) -> BTreeSet<usize> {
    match plan {
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any();
            if let Some(node) = node.downcast_ref::<EventTimeNode>() {
                node.input
                    .schema()
                    .index_of_column_by_name(None, &node.column)
                    .into_iter()
                    .collect()
            } else if let Some(node) = node.downcast_ref::<AssignWindowNode>() {
                let mut found = columns(&node.input);
                found.insert(node.input.schema().fields().len() + 2);
                found
            } else {
                BTreeSet::new()
            }
        }
        LogicalPlan::Projection(p) => through(&p.expr, p.input.schema(), &columns(&p.input)),
        LogicalPlan::Aggregate(a) => {
            through(&a.group_expr, a.input.schema(), &columns(&a.input))
        }
        LogicalPlan::Filter(f) => columns(&f.input),
        LogicalPlan::SubqueryAlias(a) => columns(&a.input),
        LogicalPlan::Sort(s) => columns(&s.input),
        LogicalPlan::Limit(l) => columns(&l.input),
        LogicalPlan::Window(w) => columns(&w.input),
        LogicalPlan::Distinct(Distinct::All(input)) => columns(input),
        LogicalPlan::Union(u) => u
            .inputs
            .iter()
            .map(|input| columns(input))
            .reduce(|a, b| a.intersection(&b).copied().collect())
            .unwrap_or_default(),
        LogicalPlan::Join(j) => {
            let left = columns(&j.left);
            let width = j.left.schema().fields().len();
            let right = columns(&j.right).into_iter().map(|i| i + width);
            left.into_iter().chain(right).filter(|i| *i < j.schema.fields().len()).collect()
        }
        _ => BTreeSet::new(),
    }
}

fn through(exprs: &[Expr], input: &DFSchema, times: &BTreeSet<usize>) -> BTreeSet<usize> {
    exprs
        .iter()
        .enumerate()
        .filter(|(_, expr)| passed_on(expr, input).is_some_and(|i| times.contains(&i)))
        .map(|(i, _)| i)
        .collect()
}

/// The index of the input column that `expr` passes on unchanged.
pub fn passed_on(expr: &Expr, input: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Column(column) => input.maybe_index_of_column(column),
        Expr::Alias(alias) => passed_on(&alias.expr, input),
        _ => None,
    }
}
