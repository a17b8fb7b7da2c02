//! CASE: its branches get the type they have in common, and so do its operand
//! and what it is compared with.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::{Case, Expr, ExprSchemable};

use super::common::{common_type, common_type_in_order};
use super::{as_type, condition};
use crate::planning::functions::flink_name;

pub(super) fn typed(mut case: Case, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if case.expr.is_none() {
        case.when_then_expr.iter().try_for_each(|(when, _)| condition(when, schema))?;
    }
    let branches = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    let types = branches.map(|e| e.get_type(schema)).collect::<Result<Vec<_>>>()?;
    let Some(common) = common_type_in_order(&types) else {
        let names = types.iter().map(flink_name).collect::<Vec<_>>().join(", ");
        return plan_err!("the branches of CASE have no type in common: {names}");
    };
    for (_, then) in &mut case.when_then_expr {
        **then = as_type((**then).clone(), &common, schema)?;
    }
    if let Some(otherwise) = case.else_expr.take() {
        case.else_expr = Some(Box::new(as_type(*otherwise, &common, schema)?));
    }
    operand(&mut case, schema)?;
    Ok(Transformed::yes(Expr::Case(case)))
}

fn operand(case: &mut Case, schema: &DFSchema) -> Result<()> {
    let Some(operand) = case.expr.take() else { return Ok(()) };
    let mut types = vec![operand.get_type(schema)?];
    for (when, _) in &case.when_then_expr {
        types.push(when.get_type(schema)?);
    }
    let Some(common) = common_type(&types) else {
        case.expr = Some(operand);
        return Ok(());
    };
    case.expr = Some(Box::new(as_type(*operand, &common, schema)?));
    for (when, _) in &mut case.when_then_expr {
        **when = as_type((**when).clone(), &common, schema)?;
    }
    Ok(())
}
