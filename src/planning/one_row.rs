//! `(SELECT …)` as a value: it must not have more than one row.
//!
//! The optimizer makes a join of it, which would repeat rows where Flink stops the
//! job. So what may have more rows is refused.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, LogicalPlan};

/// `plan`, if every subquery that is a value has one row at most.
///
/// # Errors
/// One that may have more.
pub fn checked(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| match expr {
                Expr::ScalarSubquery(part) if part.subquery.max_rows().is_none_or(|n| n > 1) => {
                    plan_err!(
                        "a subquery as a value may have one row only: aggregate without GROUP BY"
                    )
                }
                _ => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(plan)
}
