//! Whole numbers as Flink types them: INT where they fit, BIGINT otherwise.
//!
//! DataFusion reads every one as BIGINT, which would make `i % 3` a BIGINT too.

use datafusion::common::Result;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan};

/// The plan with INT literals; its columns keep their names.
pub fn narrowed(plan: LogicalPlan) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        let names = NamePreserver::new(&plan);
        let rewritten = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(narrowed_expr(expr)?.update_data(|expr| name.restore(expr)))
        })?;
        rewritten.map_data(LogicalPlan::recompute_schema)
    })
    .map(|t| t.data)
}

/// The expression with INT literals.
pub fn narrowed_expr(expr: Expr) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| match &expr {
        Expr::Literal(ScalarValue::Int64(Some(value)), metadata) => {
            Ok(match i32::try_from(*value) {
                Ok(value) => {
                    let literal = ScalarValue::Int32(Some(value));
                    Transformed::yes(Expr::Literal(literal, metadata.clone()))
                }
                Err(_) => Transformed::no(expr),
            })
        }
        _ => Ok(Transformed::no(expr)),
    })
}
