//! Gives every expression of a plan Flink's type, where DataFusion would have
//! given another: literals, arithmetic, CASE, casts.
//!
//! Runs on a plan as DataFusion's SQL planner left it, before its own type
//! coercion, which then finds nothing left to do. Columns keep their names.

mod arithmetic;
mod case;
pub(crate) mod common;
mod comparison;
mod concat;
pub(crate) mod decimal;
pub(crate) mod declared;
mod interval;
mod like;
mod literal;
mod similar;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, Operator, Values, lit,
    when,
};

use super::cast;
use super::functions::flink_name;

/// The plan with Flink's types.
///
/// # Errors
/// Types that have nothing in common.
pub fn typed_plan(plan: LogicalPlan, time_zone: &str) -> Result<LogicalPlan> {
    plan.transform_up_with_subqueries(|plan| {
        if matches!(plan, LogicalPlan::Limit(_)) {
            return Ok(Transformed::no(plan));
        }
        let mut schema = merge_schema(&plan.inputs());
        if let LogicalPlan::TableScan(scan) = &plan {
            let source = DFSchema::try_from_qualified_schema(
                scan.table_name.clone(),
                &scan.source.schema(),
            )?;
            schema.merge(&source);
        }
        let names = NamePreserver::new(&plan);
        let rewritten = plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(typed(expr, &schema, time_zone)?.update_data(|expr| name.restore(expr)))
        })?;
        rewritten.map_data(|plan| match plan {
            // Its types follow from its literals.
            LogicalPlan::Values(values) => typed_values(values.values),
            plan => plan.recompute_schema(),
        })
    })
    .map(|t| t.data)
}

/// `VALUES (…), (…)` with the types of its rows.
fn typed_values(mut rows: Vec<Vec<Expr>>) -> Result<LogicalPlan> {
    let nothing = DFSchema::empty();
    let width = rows.first().map_or(0, Vec::len);
    let mut fields = Vec::new();
    for column in 0..width {
        let types = rows.iter().map(|row| row[column].get_type(&nothing));
        let mut types = types.collect::<Result<Vec<_>>>()?;
        types.retain(|ty| !ty.is_null());
        types.dedup();
        let [ty] = types.as_slice() else { return LogicalPlanBuilder::values(rows)?.build() };
        for row in &mut rows {
            let value = std::mem::replace(&mut row[column], lit(ScalarValue::Null));
            row[column] = as_type(value, ty, &nothing)?;
        }
        fields.push(Field::new(format!("column{}", column + 1), ty.clone(), true));
    }
    let schema = DFSchema::from_unqualified_fields(fields.into(), Default::default())?;
    Ok(LogicalPlan::Values(Values { schema: Arc::new(schema), values: rows }))
}

/// The expression with Flink's types.
///
/// # Errors
/// As of [`typed_plan`].
pub fn typed_expr(expr: Expr, schema: &DFSchema, time_zone: &str) -> Result<Expr> {
    typed(expr, schema, time_zone).map(|t| t.data)
}

fn typed(expr: Expr, schema: &DFSchema, time_zone: &str) -> Result<Transformed<Expr>> {
    expr.transform_up(|expr| step(expr, schema, time_zone))
}

fn step(expr: Expr, schema: &DFSchema, time_zone: &str) -> Result<Transformed<Expr>> {
    match expr {
        Expr::Literal(value, metadata) => Ok(literal::typed(value, metadata)),
        Expr::BinaryExpr(binary) if arithmetic::is_arithmetic(binary.op) => {
            arithmetic::typed(binary, schema)
        }
        Expr::BinaryExpr(binary) if binary.op == Operator::StringConcat => {
            concat::checked(binary, schema)
        }
        Expr::BinaryExpr(binary) => {
            let typed = comparison::typed(binary, schema, time_zone)?;
            // Sides that cannot be compared are told while their place is known.
            typed.data.get_type(schema)?;
            Ok(typed)
        }
        Expr::Between(between) => comparison::between(between, schema, time_zone),
        Expr::InList(list) => comparison::in_list(list, schema, time_zone),
        Expr::Like(given) if !given.case_insensitive => like::typed(given),
        Expr::SimilarTo(given) => similar::typed(given, schema),
        Expr::AggregateFunction(call) => {
            if let Some(filter) = &call.params.filter {
                condition(filter, schema)?;
            }
            Ok(Transformed::no(Expr::AggregateFunction(call)))
        }
        Expr::Case(case) => case::typed(case, schema),
        Expr::Cast(given) => {
            cast::rewrite(*given.expr, &given.field, cast::Failure::Fails, schema, time_zone)
                .map(Transformed::yes)
        }
        Expr::TryCast(given) => {
            cast::rewrite(*given.expr, &given.field, cast::Failure::IsNull, schema, time_zone)
                .map(Transformed::yes)
        }
        Expr::ScalarFunction(function) if function.func.name() == "mod" => {
            arithmetic::modulo(function.args, schema)
        }
        Expr::ScalarFunction(function) if function.func.name() == "nullif" => {
            null_if(function.args, schema, time_zone)
        }
        Expr::ScalarFunction(function) if function.func.name() == "timestampadd" => {
            interval::timestampadd(function, schema)
        }
        Expr::ScalarFunction(function) if function.func.name() == "json_object" => {
            super::functions::check_json_keys(&function.args, schema)?;
            Ok(Transformed::no(Expr::ScalarFunction(function)))
        }
        Expr::ScalarFunction(function) => {
            match cast::call::resolved(&function.func, &function.args, schema) {
                Some(cast) => Ok(Transformed::yes(cast?)),
                None => Ok(Transformed::no(Expr::ScalarFunction(function))),
            }
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Refuses a condition that is neither true nor false.
fn condition(expr: &Expr, schema: &DFSchema) -> Result<()> {
    match expr.get_type(schema)? {
        DataType::Boolean | DataType::Null => Ok(()),
        other => {
            plan_err!("a condition must be BOOLEAN, this is {}", flink_name(&other))
        }
    }
}

/// `NULLIF(a, b)` has the type of `a`, whatever `a` is compared as.
fn null_if(args: Vec<Expr>, schema: &DFSchema, time_zone: &str) -> Result<Transformed<Expr>> {
    let [value, other]: [Expr; 2] = match args.try_into() {
        Ok(both) => both,
        Err(args) => return plan_err!("NULLIF takes two values, not {}", args.len()),
    };
    let null = lit(ScalarValue::try_from(&value.get_type(schema)?)?);
    let equal = BinaryExpr::new(Box::new(value.clone()), Operator::Eq, Box::new(other));
    let equal = comparison::typed(equal, schema, time_zone)?.data;
    Ok(Transformed::yes(when(equal, null).otherwise(value)?))
}

/// `expr` as `ty`; a literal NULL too.
fn as_type(expr: Expr, ty: &arrow::datatypes::DataType, schema: &DFSchema) -> Result<Expr> {
    if expr.get_type(schema)? == *ty {
        return Ok(expr);
    }
    if let Expr::Literal(value, metadata) = &expr
        && let Ok(value) = value.cast_to(ty)
    {
        return Ok(Expr::Literal(value, metadata.clone()));
    }
    Ok(Expr::Cast(datafusion::logical_expr::Cast::new(Box::new(expr), ty.clone())))
}
