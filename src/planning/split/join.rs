//! Joins: of equal windows, and of whole inputs that end.

use std::collections::BTreeSet;

use datafusion::logical_expr::{self as logical, LogicalPlan};

use super::window_columns::WindowColumns;
use super::{Closed, Operator, Rel, Result, Splitter, refused};
use crate::planning::event_time::passed_on;
use crate::planning::lookup::is_lookup;

impl Splitter<'_> {
    pub(super) fn join(&mut self, join: &logical::Join) -> Result<Rel> {
        if is_lookup(&join.right) {
            return self.lookup_join(join);
        }
        let left = self.plan(&join.left)?;
        let right = self.plan(&join.right)?;
        match equal_windows(join, &left, &right) {
            Some(window) => {
                let (left, right) = (self.close(left)?, self.close(right)?);
                joined(join, left, right, Some(window))
            }
            None if self.bounds(join, &left, &right).is_some() => {
                self.interval_join(join, left, right)
            }
            None if self.may_wait_for_end => {
                let (left, right) = (self.whole(left)?, self.whole(right)?);
                joined(join, left, right, None)
            }
            None => unbounded_join(),
        }
    }
}

/// The join as part of the plan above closed rows.
pub(super) fn joined(
    join: &logical::Join,
    left: Closed,
    right: Closed,
    window: Option<WindowColumns>,
) -> Result<Rel> {
    let mut leaves = left.leaves;
    leaves.extend(right.leaves);
    let node = LogicalPlan::Join(join.clone());
    let plan = node.with_new_exprs(node.expressions(), vec![left.plan, right.plan])?;
    Ok(Rel::Closed(Closed { plan, leaves, window }))
}

/// The window of a join of two equal windows on their bounds, with its columns
/// among the join's.
fn equal_windows(join: &logical::Join, left: &Rel, right: &Rel) -> Option<WindowColumns> {
    let (ls, rs) = (join.left.schema(), join.right.schema());
    let (left, right) = (left.window()?, right.window()?);
    let equal = |a: &BTreeSet<usize>, b: &BTreeSet<usize>| {
        join.on.iter().any(|(l, r)| {
            passed_on(l, ls).is_some_and(|i| a.contains(&i))
                && passed_on(r, rs).is_some_and(|i| b.contains(&i))
        })
    };
    if left.spec != right.spec
        || !equal(&left.start, &right.start)
        || !equal(&left.end, &right.end)
    {
        return None;
    }
    let width = match join.join_type {
        logical::JoinType::LeftSemi | logical::JoinType::LeftAnti => None,
        logical::JoinType::RightSemi | logical::JoinType::RightAnti => Some(0),
        _ => Some(ls.fields().len()),
    };
    let mut window = match join.join_type {
        logical::JoinType::RightSemi | logical::JoinType::RightAnti => {
            right.map(|_| Vec::new())
        }
        _ => left.clone(),
    };
    if let Some(width) = width {
        let shifted = right.map(|i| vec![i + width]);
        window.start.extend(shifted.start);
        window.end.extend(shifted.end);
        window.time.extend(shifted.time);
    }
    Some(window)
}

fn unbounded_join<T>() -> Result<T> {
    refused(
        Operator::Join,
        "a join without a window would have to keep its rows for ever",
        "join on window_start and window_end of two equal windows, or within bounds on time: \
         a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '10' SECOND",
    )
}
