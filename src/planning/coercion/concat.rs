//! `||`: beside a string, what is no string is written as CAST writes it.

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use crate::planning::cast::{self, Failure};
use crate::planning::functions::flink_name;

pub(super) fn typed(
    binary: BinaryExpr,
    schema: &DFSchema,
    time_zone: &str,
) -> Result<Transformed<Expr>> {
    let BinaryExpr { left, op, right } = binary;
    let (lt, rt) = (left.get_type(schema)?, right.get_type(schema)?);
    if lt.is_binary() && rt.is_binary() {
        return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr::new(left, op, right))));
    }
    if [&lt, &rt].iter().any(|ty| ty.is_nested() || ty.is_binary()) {
        return plan_err!("`||` does not take {} and {}", flink_name(&lt), flink_name(&rt));
    }
    let text = |expr: Expr, ty: &DataType| match ty {
        ty if ty.is_string() => Ok(expr),
        _ => {
            let field = Field::new("", DataType::Utf8View, true);
            cast::rewrite(expr, &field, Failure::Fails, schema, time_zone)
        }
    };
    let (left, right) = (text(*left, &lt)?, text(*right, &rt)?);
    let concat = BinaryExpr::new(Box::new(left), Operator::StringConcat, Box::new(right));
    Ok(Transformed::yes(Expr::BinaryExpr(concat)))
}
