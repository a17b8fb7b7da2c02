//! `||` is for strings: what is none must be CAST, in Flink too.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable};

use crate::planning::functions::flink_name;

pub(super) fn checked(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (left, right) = (binary.left.get_type(schema)?, binary.right.get_type(schema)?);
    if let Some(other) = [&left, &right].iter().find(|ty| !ty.is_string()) {
        return plan_err!("`||` takes strings, not {}: CAST it AS STRING", flink_name(other));
    }
    Ok(Transformed::no(Expr::BinaryExpr(binary)))
}
