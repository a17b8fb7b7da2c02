//! Plans `TABLE(TUMBLE(…))` in a FROM clause.

use std::sync::Arc;

use datafusion::common::{
    DataFusionError, Diagnostic, Location, Result, ScalarValue, Span, plan_err,
};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Spanned,
    TableAlias, TableFactor,
};

use super::event_time;
use super::wall_time::WallTime;
use super::window::{AssignWindowNode, WindowKind, WindowSpec};

const WINDOW_FUNCTIONS: [&str; 4] = ["TUMBLE", "HOP", "CUMULATE", "SESSION"];

/// Plans window table functions; leaves every other relation alone.
#[derive(Debug)]
pub struct WindowFunctions;

/// A call as written, before its arguments mean anything.
struct Call {
    name: String,
    span: Span,
    args: Vec<FunctionArg>,
    alias: Option<TableAlias>,
}

impl RelationPlanner for WindowFunctions {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        match window_call(&relation) {
            None => Ok(RelationPlanning::Original(Box::new(relation))),
            Some(call) => {
                let plan = plan_call(&call, context)?;
                let planned = PlannedRelation::new(plan, call.alias);
                Ok(RelationPlanning::Planned(Box::new(planned)))
            }
        }
    }
}

/// `TABLE(F(…))` or `F(…)` where F is a window function.
fn window_call(relation: &TableFactor) -> Option<Call> {
    let (name, args, alias) = match relation {
        TableFactor::TableFunction { expr: ast::Expr::Function(f), alias } => {
            let FunctionArguments::List(list) = &f.args else { return None };
            (&f.name, list.args.clone(), alias)
        }
        TableFactor::Table { name, args: Some(args), alias, .. } => {
            (name, args.args.clone(), alias)
        }
        TableFactor::Function { name, args, alias, .. } => (name, args.clone(), alias),
        _ => return None,
    };
    let upper = name.to_string().to_uppercase();
    WINDOW_FUNCTIONS.contains(&upper.as_str()).then(|| Call {
        name: upper,
        span: span_of(name),
        args,
        alias: alias.clone(),
    })
}

fn span_of(node: &impl Spanned) -> Span {
    let none = Location { line: 0, column: 0 };
    Span::try_from_sqlparser_span(node.span()).unwrap_or(Span::new(none, none))
}

fn error_at(message: impl Into<String>, span: Span, help: Option<&str>) -> DataFusionError {
    let message = message.into();
    let mut diagnostic = Diagnostic::new_error(message.clone(), Some(span));
    if let Some(help) = help {
        diagnostic.add_help(help, None);
    }
    DataFusionError::Plan(message).with_diagnostic(diagnostic)
}

/// The arguments of TUMBLE by the names that Flink gives them.
const TUMBLE_PARAMETERS: [&str; 4] = ["DATA", "TIMECOL", "SIZE", "OFFSET"];

fn plan_call(call: &Call, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    if call.name != "TUMBLE" {
        let message = format!("{} is not supported yet", call.name);
        let help = "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE) is";
        return Err(error_at(message, call.span, Some(help)));
    }
    let mut args = by_parameter(call, &TUMBLE_PARAMETERS)?.into_iter();
    let mut next = || args.next().flatten();
    let (data, time, size, offset) = (next(), next(), next(), next());
    let require = |arg: Option<ast::Expr>, name: &str| {
        arg.ok_or_else(|| {
            let message = format!("TUMBLE needs its argument {name}");
            let help = "write TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE)";
            error_at(message, call.span, Some(help))
        })
    };
    let data = require(data, "DATA")?;
    let time = require(time, "TIMECOL")?;
    let size = require(size, "SIZE")?;
    let input = plan_data(data, context)?;
    let time_column = descriptor(&time)?;
    let size_ms = interval_ms(&size, &input, context)?;
    if size_ms <= 0 {
        return Err(error_at("the size of a window must be positive", span_of(&size), None));
    }
    let offset_ms = match &offset {
        Some(offset) => interval_ms(offset, &input, context)?,
        None => 0,
    };
    if offset_ms.abs() >= size_ms {
        let span = offset.as_ref().map_or(call.span, span_of);
        let message = "the offset of a window must be smaller than its size";
        return Err(error_at(message, span, None));
    }
    let wall_time = event_time_of(&input, &time_column)?;
    let spec = WindowSpec { kind: WindowKind::Tumble { size_ms, offset_ms }, wall_time };
    let node = AssignWindowNode::try_new(input, time_column.value, spec)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// Arguments in the order of `parameters`, given by position or by name.
fn by_parameter(call: &Call, parameters: &[&str]) -> Result<Vec<Option<ast::Expr>>> {
    let mut found: Vec<Option<ast::Expr>> = vec![None; parameters.len()];
    for (position, arg) in call.args.iter().enumerate() {
        let (index, value) = match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => (Some(position), expr),
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                (parameters.iter().position(|p| name.value.eq_ignore_ascii_case(p)), expr)
            }
            FunctionArg::ExprNamed {
                name: ast::Expr::Identifier(name),
                arg: FunctionArgExpr::Expr(expr),
                ..
            } => (parameters.iter().position(|p| name.value.eq_ignore_ascii_case(p)), expr),
            other => {
                let message = format!("{} cannot take the argument `{other}`", call.name);
                return Err(error_at(message, call.span, None));
            }
        };
        let Some(slot) = index.and_then(|i| found.get_mut(i)) else {
            let message = format!("{} has no such argument: `{arg}`", call.name);
            let help = format!("its arguments are {}", parameters.join(", "));
            return Err(error_at(message, span_of(value), Some(&help)));
        };
        *slot = Some(value.clone());
    }
    Ok(found)
}

fn plan_data(data: ast::Expr, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let table = |name: ObjectName| TableFactor::Table {
        name,
        alias: None,
        args: None,
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    };
    match data {
        ast::Expr::Identifier(ident) => context.plan(table(ObjectName::from(vec![ident]))),
        ast::Expr::CompoundIdentifier(idents) => context.plan(table(ObjectName::from(idents))),
        ast::Expr::Subquery(query) => context.plan(TableFactor::Derived {
            lateral: false,
            subquery: query,
            alias: None,
            sample: None,
        }),
        other => {
            let message = format!("`{other}` is not a table");
            Err(error_at(message, span_of(&other), Some("write TABLE and the table's name")))
        }
    }
}

/// The column in `DESCRIPTOR(column)`.
fn descriptor(arg: &ast::Expr) -> Result<Ident> {
    if let ast::Expr::Function(f) = arg
        && f.name.to_string().eq_ignore_ascii_case("DESCRIPTOR")
        && let FunctionArguments::List(list) = &f.args
        && let [FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Identifier(column)))] =
            list.args.as_slice()
    {
        return Ok(column.clone());
    }
    let message = format!("`{arg}` does not name a time column");
    Err(error_at(message, span_of(arg), Some("write DESCRIPTOR(column)")))
}

/// A constant interval in milliseconds.
fn interval_ms(
    arg: &ast::Expr,
    input: &LogicalPlan,
    context: &mut dyn RelationPlannerContext,
) -> Result<i64> {
    let expr = context.sql_to_expr(arg.clone(), input.schema())?;
    let (days, nanos) = match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(i)), _) if i.months == 0 => {
            (i64::from(i.days), i.nanoseconds)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(i)), _) => {
            (i64::from(i.days), i64::from(i.milliseconds) * 1_000_000)
        }
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(_)), _) => {
            let message = "a window cannot be measured in months";
            return Err(error_at(message, span_of(arg), Some("use DAY or smaller units")));
        }
        _ => {
            let message = format!("`{arg}` is not an interval");
            return Err(error_at(message, span_of(arg), Some("write INTERVAL '5' MINUTE")));
        }
    };
    match days.checked_mul(86_400_000).and_then(|ms| ms.checked_add(nanos / 1_000_000)) {
        Some(ms) => Ok(ms),
        None => plan_err!("the interval `{arg}` is too long"),
    }
}

/// Checks that `column` is a time attribute of `input` and says whether its
/// windows follow the local clock.
fn event_time_of(input: &LogicalPlan, column: &Ident) -> Result<WallTime> {
    let span = span_of(&ast::Expr::Identifier(column.clone()));
    let schema = input.schema();
    let Some(index) = schema.index_of_column_by_name(None, &column.value) else {
        let names = schema.fields().iter().map(|f| f.name().as_str());
        let help = crate::diagnostics::closest(&column.value, names)
            .map(|near| format!("did you mean `{near}`?"));
        let message = format!("unknown column `{}`", column.value);
        return Err(error_at(message, span, help.as_deref()));
    };
    if !event_time::columns(input).contains(&index) {
        let message = format!("`{}` is not a time attribute", column.value);
        let help = "declare WATERMARK FOR it in its table, and pass the column on unchanged";
        return Err(error_at(message, span, Some(help)));
    }
    Ok(match schema.field(index).data_type() {
        arrow::datatypes::DataType::Timestamp(_, Some(zone)) => {
            WallTime::Zone(Arc::clone(zone))
        }
        _ => WallTime::Plain,
    })
}
