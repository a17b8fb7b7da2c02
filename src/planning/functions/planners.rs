//! What DataFusion's SQL planner makes of syntax that is not a plain call:
//! EXTRACT, POSITION, SUBSTRING, OVERLAY, `a[1]`, `m['k']`, `row.field`.

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, Result, TableReference, internal_err, plan_err};
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawAggregateExpr, RawFieldAccessExpr, RawWindowExpr,
};
use datafusion::logical_expr::{Expr, ExprSchemable, GetFieldAccess, lit};

use super::{aggregates, collections, maps, text, time};

/// Syntax with functions of ours behind it.
#[derive(Debug)]
pub(super) struct FlinkSyntax;

impl ExprPlanner for FlinkSyntax {
    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        if let Some(Expr::Literal(unit, _)) = args.first() {
            time::fields::check_field(unit.try_as_str().flatten().unwrap_or_default())?;
        }
        Ok(PlannerResult::Planned(time::fields::extract().call(args)))
    }

    fn plan_make_map(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(maps::literal().call(args)))
    }

    fn plan_position(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(text::position().call(args)))
    }

    fn plan_substring(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(text::substring().call(args)))
    }

    fn plan_overlay(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(text::overlay().call(args)))
    }

    fn plan_aggregate(
        &self,
        call: RawAggregateExpr,
    ) -> Result<PlannerResult<RawAggregateExpr>> {
        aggregates::check_constants(call.func.name(), &call.args)?;
        aggregates::check_clauses(call.func.name(), call.distinct, !call.order_by.is_empty())?;
        Ok(PlannerResult::Original(call))
    }

    fn plan_window(&self, call: RawWindowExpr) -> Result<PlannerResult<RawWindowExpr>> {
        aggregates::check_constants(call.func_def.name(), &call.args)?;
        Ok(PlannerResult::Original(call))
    }

    fn plan_field_access(
        &self,
        expr: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        let RawFieldAccessExpr { field_access, expr } = expr;
        Ok(PlannerResult::Planned(match field_access {
            GetFieldAccess::NamedStructField { name } => {
                let name = name.try_as_str().flatten().unwrap_or_default().to_owned();
                match expr.get_type(schema)? {
                    DataType::Map(..) => collections::item().call(vec![expr, lit(name)]),
                    ty => field(expr, &ty, &name)?,
                }
            }
            GetFieldAccess::ListIndex { key } => collections::item().call(vec![expr, *key]),
            GetFieldAccess::ListRange { .. } => {
                return internal_err!("`:` in brackets is refused as it is read");
            }
        }))
    }

    fn plan_compound_identifier(
        &self,
        column: &Field,
        qualifier: Option<&TableReference>,
        nested: &[String],
    ) -> Result<PlannerResult<Vec<Expr>>> {
        let mut expr = Expr::Column(Column::from((qualifier, column)));
        let mut ty = column.data_type().clone();
        for name in nested {
            expr = field(expr, &ty, name)?;
            ty = type_of_field(&ty, name).expect("found just now");
        }
        // The column is called like its last part, as in Flink.
        Ok(PlannerResult::Planned(match nested.last() {
            Some(name) => expr.alias(name),
            None => expr,
        }))
    }
}

fn type_of_field(ty: &DataType, name: &str) -> Option<DataType> {
    let DataType::Struct(fields) = ty else { return None };
    fields.iter().find(|f| f.name() == name).map(|f| f.data_type().clone())
}

fn field(expr: Expr, ty: &DataType, name: &str) -> Result<Expr> {
    let DataType::Struct(fields) = ty else {
        return plan_err!("{} has no field `{name}`", super::flink_name(ty));
    };
    if !fields.iter().any(|f| f.name() == name) {
        let known = fields.iter().map(|f| f.name().as_str());
        let near = crate::diagnostics::closest(name, known)
            .map(|near| format!("; did you mean `{near}`?"))
            .unwrap_or_default();
        return plan_err!("unknown field `{name}`{near}");
    }
    Ok(collections::field().call(vec![expr, lit(name)]))
}
