//! Refuses aggregates that Flink cannot merge over windows whose slices or
//! pieces are shared: it is asked of the plan as written, before an optimizer
//! takes DISTINCT apart.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};

use super::split::{Operator, Result, refused, unaliased};
use super::window::{AssignWindowNode, WindowKind};

/// Checks every aggregate of `plan`.
pub fn check(plan: &LogicalPlan) -> Result<()> {
    let mut found = Ok(());
    let visited = plan.apply(|node| {
        if let LogicalPlan::Aggregate(aggregate) = node
            && let Some(kind) = window_of(&aggregate.input)
            && !matches!(kind, WindowKind::Tumble { .. })
        {
            found = functions_merge(kind, &aggregate.aggr_expr);
        }
        Ok(if found.is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    visited?;
    found
}

/// The window that an aggregate over `plan` is of, if it is not of one that has
/// been aggregated before.
fn window_of(plan: &LogicalPlan) -> Option<WindowKind> {
    match plan {
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any().downcast_ref::<AssignWindowNode>()?;
            Some(node.spec.kind)
        }
        LogicalPlan::Projection(p) => window_of(&p.input),
        LogicalPlan::Filter(f) => window_of(&f.input),
        LogicalPlan::SubqueryAlias(a) => window_of(&a.input),
        _ => None,
    }
}

/// Flink's FIRST_VALUE, LAST_VALUE, JSON_ARRAYAGG and most DISTINCT aggregates do
/// not merge.
fn functions_merge(kind: WindowKind, functions: &[Expr]) -> Result<()> {
    for function in functions {
        let Expr::AggregateFunction(function) = unaliased(function) else { continue };
        let name = function.func.name().to_uppercase();
        let in_order = matches!(name.as_str(), "FIRST_VALUE" | "LAST_VALUE" | "JSON_ARRAYAGG");
        let distinct = function.params.distinct && !matches!(name.as_str(), "COUNT" | "AVG");
        if in_order || distinct {
            let what = if distinct { format!("{name}(DISTINCT …)") } else { name };
            return refused(
                Operator::GroupBy,
                &format!("{what} over {} is not possible, in Flink neither", kind.name()),
                "use it over TUMBLE",
            );
        }
    }
    Ok(())
}
