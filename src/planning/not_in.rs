//! `x NOT IN (subquery)` where the subquery names columns from outside.
//!
//! A NULL on either side makes NOT IN unknown, and the row is left out. The
//! optimizer's anti join can do that for one key alone, but such a subquery has
//! more: of a window at least its bounds. So it becomes
//! `NOT EXISTS (subquery … WHERE (x = y) IS NOT FALSE)`.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery};
use datafusion::logical_expr::{
    Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Subquery,
};

/// The plan with every such condition rewritten.
///
/// # Errors
/// Those of DataFusion's plan builder.
pub fn rewrite(plan: LogicalPlan) -> Result<LogicalPlan> {
    let rewritten = plan.transform_up_with_subqueries(|plan| {
        let LogicalPlan::Filter(filter) = &plan else { return Ok(Transformed::no(plan)) };
        let input = filter.input.schema();
        let predicate = filter.predicate.clone().transform_up(|expr| match expr {
            Expr::InSubquery(part) if is_correlated_not_in(&part) => {
                not_exists(part, input).map(Transformed::yes)
            }
            other => Ok(Transformed::no(other)),
        })?;
        if !predicate.transformed {
            return Ok(Transformed::no(plan));
        }
        let inputs = vec![filter.input.as_ref().clone()];
        plan.with_new_exprs(vec![predicate.data], inputs).map(Transformed::yes)
    })?;
    Ok(rewritten.data)
}

fn is_correlated_not_in(part: &InSubquery) -> bool {
    part.negated && !part.subquery.outer_ref_columns.is_empty()
}

fn not_exists(part: InSubquery, outside: &DFSchema) -> Result<Expr> {
    let InSubquery { expr, subquery, .. } = part;
    let inside = subquery.subquery.as_ref().clone();
    let value = Expr::Column(Column::from(inside.schema().qualified_field(0)));
    let may_be_null = expr.nullable(outside)? || value.nullable(inside.schema())?;
    let outer = seen_from_inside(*expr, outside)?;
    let equal = outer.eq(value);
    let condition = if may_be_null { equal.is_not_false() } else { equal };
    let plan = LogicalPlanBuilder::from(inside).filter(condition)?.build()?;
    let outer_ref_columns = plan.all_out_ref_exprs();
    let subquery = Subquery { subquery: plan.into(), outer_ref_columns, spans: subquery.spans };
    Ok(Expr::Exists(Exists { subquery, negated: true }))
}

/// The expression with its columns as those of the query outside.
fn seen_from_inside(expr: Expr, outside: &DFSchema) -> Result<Expr> {
    let outer = expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            let field = outside.field_from_column(&column)?;
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field.clone(), column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(outer.data)
}
