//! Comparisons: a string beside a number or a point of time is read as one;
//! other types meet in what they have in common.

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, ExprSchemable, Operator};

use super::as_type;
use super::common::common_type;
use crate::planning::cast::{self, Failure};

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

pub(super) fn typed(
    binary: BinaryExpr,
    schema: &DFSchema,
    time_zone: &str,
) -> Result<Transformed<Expr>> {
    if !is_comparison(binary.op) {
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    }
    let [left, right] = meet(vec![*binary.left, *binary.right], schema, time_zone)?
        .try_into()
        .expect("as many as were given");
    let binary = BinaryExpr::new(Box::new(left), binary.op, Box::new(right));
    Ok(Transformed::yes(Expr::BinaryExpr(binary)))
}

pub(super) fn between(
    between: Between,
    schema: &DFSchema,
    time_zone: &str,
) -> Result<Transformed<Expr>> {
    let all = vec![*between.expr, *between.low, *between.high];
    let [expr, low, high] =
        meet(all, schema, time_zone)?.try_into().expect("as many as were given");
    let between = Between::new(Box::new(expr), between.negated, Box::new(low), Box::new(high));
    Ok(Transformed::yes(Expr::Between(between)))
}

pub(super) fn in_list(
    list: InList,
    schema: &DFSchema,
    time_zone: &str,
) -> Result<Transformed<Expr>> {
    let mut all = vec![*list.expr];
    all.extend(list.list);
    let mut all = meet(all, schema, time_zone)?.into_iter();
    let expr = all.next().expect("as many as were given");
    let list = InList::new(Box::new(expr), all.collect(), list.negated);
    Ok(Transformed::yes(Expr::InList(list)))
}

/// Brings expressions to one type; leaves them as they are, for DataFusion to
/// refuse, if there is none.
fn meet(mut exprs: Vec<Expr>, schema: &DFSchema, time_zone: &str) -> Result<Vec<Expr>> {
    let mut types = Vec::with_capacity(exprs.len());
    for expr in &exprs {
        types.push(expr.get_type(schema)?);
    }
    let others: Vec<DataType> = types.iter().filter(|ty| !ty.is_string()).cloned().collect();
    if others.len() < types.len()
        && let Some(target) = common_type(&others)
        && (target.is_numeric() || target.is_temporal() || target == DataType::Boolean)
    {
        let field = Field::new("", target.clone(), true);
        for (expr, ty) in exprs.iter_mut().zip(&mut types).filter(|(_, ty)| ty.is_string()) {
            let text = std::mem::take(expr);
            *expr = cast::rewrite(text, &field, Failure::Fails, schema, time_zone)?;
            *ty = target.clone();
        }
    }
    let Some(common) = common_type(&types) else { return Ok(exprs) };
    exprs.into_iter().map(|expr| as_type(expr, &common, schema)).collect()
}
