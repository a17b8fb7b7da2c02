//! `+ - * / %` of numbers. Integers stay integers and wrap; `%` has the type of
//! its right side; a DECIMAL beside a DOUBLE becomes one; of FLOAT and DOUBLE the
//! left one counts.

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator};

use super::common::{common_type_in_order, exact};
use super::decimal::{self, Operation};
use super::{as_type, interval};
use crate::planning::cast;
use crate::planning::functions::flink_name;

pub(super) fn is_arithmetic(op: Operator) -> bool {
    use Operator::{Divide, Minus, Modulo, Multiply, Plus};
    matches!(op, Plus | Minus | Multiply | Divide | Modulo)
}

pub(super) fn typed(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let BinaryExpr { mut left, op, mut right } = binary;
    if let Some(sum) = interval::typed(&left, op, &right, schema)? {
        return Ok(sum);
    }
    let (mut lt, mut rt) = (left.get_type(schema)?, right.get_type(schema)?);
    if lt.is_string() && rt.is_numeric() {
        *left = read_as(*left, &rt, schema)?;
        lt = rt.clone();
    } else if rt.is_string() && lt.is_numeric() {
        *right = read_as(*right, &lt, schema)?;
        rt = lt.clone();
    }
    let unchanged =
        |left, right| Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr::new(left, op, right))));
    let numeric = |ty: &DataType| ty.is_numeric() || ty.is_null();
    if [&lt, &rt].iter().any(|ty| ty.is_string() || **ty == DataType::Boolean) {
        let (lt, rt) = (flink_name(&lt), flink_name(&rt));
        return plan_err!("`{op}` does not take {lt} and {rt}");
    }
    if let (Operator::Modulo, Some(other)) = (op, [&lt, &rt].iter().find(|ty| ty.is_floating()))
    {
        return plan_err!(
            "`%` and MOD take whole numbers and DECIMALs, not {}",
            flink_name(other)
        );
    }
    if !numeric(&lt) || !numeric(&rt) || (lt.is_null() && rt.is_null()) {
        return unchanged(left, right);
    }
    let Some(common) = common_type_in_order([&lt, &rt]) else { return unchanged(left, right) };
    if matches!(common, DataType::Decimal128(..)) {
        return decimals(*left, op, *right, schema);
    }
    let (left, right) = (as_type(*left, &common, schema)?, as_type(*right, &common, schema)?);
    let result = Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
    if op == Operator::Modulo && rt.is_integer() && common.is_integer() {
        return Ok(Transformed::yes(as_type(result, &rt, schema)?));
    }
    Ok(Transformed::yes(result))
}

/// A string beside a number is read as a number of that type.
fn read_as(text: Expr, ty: &DataType, schema: &DFSchema) -> Result<Expr> {
    let field = Field::new("", ty.clone(), true);
    cast::rewrite(text, &field, cast::Failure::Fails, schema, "UTC")
}

/// `MOD(a, b)` is `a % b`.
pub(super) fn modulo(args: Vec<Expr>, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let [left, right] =
        <[Expr; 2]>::try_from(args).expect("MOD has been checked to have two arguments");
    let binary = BinaryExpr::new(Box::new(left), Operator::Modulo, Box::new(right));
    Ok(Transformed::yes(typed(binary, schema)?.data))
}

/// Arrow's own arithmetic has Flink's types wherever a sum, product or
/// remainder keeps all its digits; the rest is ours.
fn decimals(
    left: Expr,
    op: Operator,
    right: Expr,
    schema: &DFSchema,
) -> Result<Transformed<Expr>> {
    let operation = match op {
        Operator::Plus => Operation::Add,
        Operator::Minus => Operation::Subtract,
        Operator::Multiply => Operation::Multiply,
        Operator::Divide => Operation::Divide,
        _ => Operation::Remainder,
    };
    let (lt, rt) = (left.get_type(schema)?, right.get_type(schema)?);
    // A NULL has the other side's type.
    let left_digits = exact(&lt).or_else(|| exact(&rt));
    let right_digits = exact(&rt).or(left_digits);
    let (Some((p1, s1)), Some((p2, s2))) = (left_digits, right_digits) else {
        let binary = BinaryExpr::new(Box::new(left), op, Box::new(right));
        return Ok(Transformed::no(Expr::BinaryExpr(binary)));
    };
    let left = as_type(left, &DataType::Decimal128(p1, s1), schema)?;
    let right = as_type(right, &DataType::Decimal128(p2, s2), schema)?;
    let (_, _, cut) = operation.result((p1, s1), (p2, s2));
    let arrows = !cut && !matches!(operation, Operation::Divide | Operation::Remainder);
    Ok(Transformed::yes(if arrows {
        Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
    } else {
        decimal::function(operation).call(vec![left, right])
    }))
}
