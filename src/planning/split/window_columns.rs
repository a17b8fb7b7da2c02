//! Where a window's columns are among the columns of its rows.

use std::collections::BTreeSet;

use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;

use crate::planning::event_time::passed_on;
use crate::planning::window::WindowSpec;

/// The window of some rows, and where its columns are among theirs.
#[derive(Debug, Clone)]
pub struct WindowColumns {
    pub spec: WindowSpec,
    pub start: BTreeSet<usize>,
    pub end: BTreeSet<usize>,
    pub time: BTreeSet<usize>,
    /// The columns of a session's PARTITION BY.
    pub partition: Vec<BTreeSet<usize>>,
    /// True once an expression was computed from the window's columns.
    pub computed_with: bool,
}

impl WindowColumns {
    /// The same window's columns after each became those that `map` gives.
    pub fn map(&self, map: impl Fn(usize) -> Vec<usize>) -> Self {
        let each = |set: &BTreeSet<usize>| set.iter().flat_map(|i| map(*i)).collect();
        Self {
            spec: self.spec.clone(),
            start: each(&self.start),
            end: each(&self.end),
            time: each(&self.time),
            partition: self.partition.iter().map(each).collect(),
            computed_with: self.computed_with,
        }
    }

    /// The three columns, wherever they are.
    pub fn contains(&self, column: usize) -> bool {
        [&self.start, &self.end, &self.time].iter().any(|set| set.contains(&column))
    }

    /// Notes whether `exprs` do more with the window's columns than pass them on.
    pub fn note(&mut self, exprs: &[Expr], input: &DFSchema) {
        let computes = |expr: &Expr| {
            passed_on(expr, input).is_none()
                && expr
                    .column_refs()
                    .iter()
                    .any(|c| input.maybe_index_of_column(c).is_some_and(|i| self.contains(i)))
        };
        self.computed_with |= exprs.iter().any(computes);
    }

    /// The positions that the columns have after a projection to `exprs`.
    pub fn through(&self, exprs: &[Expr], input: &DFSchema) -> Self {
        self.map(|column| {
            let passes = |expr: &Expr| passed_on(expr, input) == Some(column);
            (0..exprs.len()).filter(|i| passes(&exprs[*i])).collect()
        })
    }

    /// What `exprs` has of the window's start and end.
    pub fn has_bounds(&self, exprs: &[&Expr], input: &DFSchema) -> bool {
        let has = |set: &BTreeSet<usize>| {
            exprs.iter().any(|e| passed_on(e, input).is_some_and(|i| set.contains(&i)))
        };
        has(&self.start) && has(&self.end)
    }
}

/// The window that all have, with the columns that all have it in.
pub fn same_window<'a>(
    windows: impl IntoIterator<Item = Option<&'a WindowColumns>>,
) -> Option<WindowColumns> {
    let both = |a: &BTreeSet<usize>, b: &BTreeSet<usize>| a.intersection(b).copied().collect();
    windows
        .into_iter()
        .map(Option::<&WindowColumns>::cloned)
        .reduce(|a, b| {
            let (a, b) = (a?, b?);
            (a.spec == b.spec).then(|| WindowColumns {
                spec: a.spec,
                start: both(&a.start, &b.start),
                end: both(&a.end, &b.end),
                time: both(&a.time, &b.time),
                partition: Vec::new(),
                computed_with: a.computed_with || b.computed_with,
            })
        })
        .flatten()
}
