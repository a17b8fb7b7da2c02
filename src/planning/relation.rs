//! Plans `TABLE(TUMBLE(…))` and the other window functions in a FROM clause.

use std::sync::Arc;

use datafusion::common::{DataFusionError, Diagnostic, Location, Result, ScalarValue, Span};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{Expr, Extension, LogicalPlan};
use datafusion::sql::sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, Spanned,
    TableAlias, TableFactor,
};

use super::event_time;
use super::window::{AssignWindowNode, TimeKind, WindowKind, WindowSpec};
use crate::sql::PARTITION_BY;
use crate::times::WallTime;

/// A window function, its arguments by the names that Flink gives them, and
/// how it is written.
struct WindowFunction {
    name: &'static str,
    parameters: &'static [&'static str],
    usage: &'static str,
}

const WINDOW_FUNCTIONS: [WindowFunction; 4] = [
    WindowFunction {
        name: "TUMBLE",
        parameters: &["DATA", "TIMECOL", "SIZE", "OFFSET"],
        usage: "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE)",
    },
    WindowFunction {
        name: "HOP",
        parameters: &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"],
        usage: "HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '5' MINUTE), \
                the slide before the size",
    },
    WindowFunction {
        name: "CUMULATE",
        parameters: &["DATA", "TIMECOL", "STEP", "SIZE", "OFFSET"],
        usage: "CUMULATE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE, INTERVAL '1' HOUR), \
                the step before the size",
    },
    WindowFunction {
        name: "SESSION",
        parameters: &["DATA", "TIMECOL", "GAP", PARTITION_BY],
        usage: "SESSION(TABLE t PARTITION BY key, DESCRIPTOR(ts), INTERVAL '5' MINUTE)",
    },
];

/// Plans window table functions; leaves every other relation alone.
#[derive(Debug)]
pub struct WindowFunctions;

/// A call as written, before its arguments mean anything.
struct Call {
    function: &'static WindowFunction,
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
            None => match &relation {
                TableFactor::TableFunction { expr: ast::Expr::Function(f), .. } => {
                    let name = f.name.to_string();
                    let known = WINDOW_FUNCTIONS.iter().map(|window| window.name);
                    let help = crate::diagnostics::closest(&name, known)
                        .map(|near| format!("did you mean `{near}`?"));
                    let message = format!("unknown table function `{name}`");
                    Err(error_at(message, span_of(&f.name), help.as_deref()))
                }
                _ => Ok(RelationPlanning::Original(Box::new(relation))),
            },
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
    let function = WINDOW_FUNCTIONS.iter().find(|f| f.name == upper)?;
    Some(Call { function, span: span_of(name), args, alias: alias.clone() })
}

pub(super) fn span_of(node: &impl Spanned) -> Span {
    let none = Location { line: 0, column: 0 };
    Span::try_from_sqlparser_span(node.span()).unwrap_or(Span::new(none, none))
}

pub(super) fn error_at(
    message: impl Into<String>,
    span: Span,
    help: Option<&str>,
) -> DataFusionError {
    let message = message.into();
    let mut diagnostic = Diagnostic::new_error(message.clone(), Some(span));
    if let Some(help) = help {
        diagnostic.add_help(help, None);
    }
    DataFusionError::Plan(message).with_diagnostic(diagnostic)
}

/// The arguments of a call, by the names of their parameters.
struct Arguments<'a> {
    call: &'a Call,
    given: Vec<Option<ast::Expr>>,
}

impl<'a> Arguments<'a> {
    /// Sorts out what is given by position and what by name.
    fn of(call: &'a Call) -> Result<Self> {
        let parameters = call.function.parameters;
        let mut given: Vec<Option<ast::Expr>> = vec![None; parameters.len()];
        let mut position = 0;
        for arg in &call.args {
            let (index, value) = match arg {
                FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => {
                    position += 1;
                    (Some(position - 1), expr)
                }
                FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. }
                | FunctionArg::ExprNamed {
                    name: ast::Expr::Identifier(name),
                    arg: FunctionArgExpr::Expr(expr),
                    ..
                } => (parameters.iter().position(|p| name.value.eq_ignore_ascii_case(p)), expr),
                other => {
                    let name = call.function.name;
                    let message = format!("{name} cannot take the argument `{other}`");
                    return Err(error_at(message, call.span, None));
                }
            };
            let Some(slot) = index.and_then(|i| given.get_mut(i)) else {
                if matches!(arg, FunctionArg::Named { name, .. } if name.value == PARTITION_BY)
                {
                    let message = format!("{} takes no PARTITION BY", call.function.name);
                    let help = "leave it out: the key belongs into GROUP BY";
                    return Err(error_at(message, span_of(value), Some(help)));
                }
                let message = format!("{} has no such argument: `{arg}`", call.function.name);
                let help = format!("its arguments are {}", parameters.join(", "));
                return Err(error_at(message, span_of(value), Some(&help)));
            };
            *slot = Some(value.clone());
        }
        Ok(Self { call, given })
    }

    fn optional(&self, name: &str) -> Option<&ast::Expr> {
        let at = self.call.function.parameters.iter().position(|p| *p == name)?;
        self.given[at].as_ref()
    }

    fn require(&self, name: &str) -> Result<&ast::Expr> {
        self.optional(name).ok_or_else(|| {
            let function = self.call.function;
            let message = format!("{} needs its argument {name}", function.name);
            let help = format!("write {}", function.usage);
            error_at(message, self.call.span, Some(&help))
        })
    }
}

fn plan_call(call: &Call, context: &mut dyn RelationPlannerContext) -> Result<LogicalPlan> {
    let args = Arguments::of(call)?;
    let input = plan_data(args.require("DATA")?.clone(), context)?;
    let time_column = descriptor(args.require("TIMECOL")?)?;
    let kind = {
        let mut length = |name: &str| -> Result<i64> {
            let arg = args.require(name)?;
            let ms = interval_ms(arg, &input, context)?;
            if ms <= 0 {
                let message =
                    format!("the {} of a window must be positive", name.to_lowercase());
                return Err(error_at(message, span_of(arg), None));
            }
            Ok(ms)
        };
        match call.function.name {
            "TUMBLE" => WindowKind::Tumble { size_ms: length("SIZE")?, offset_ms: 0 },
            "HOP" => {
                let (slide_ms, size_ms) = (length("SLIDE")?, length("SIZE")?);
                WindowKind::Hop { size_ms, slide_ms, offset_ms: 0 }
            }
            "CUMULATE" => {
                let (step_ms, size_ms) = (length("STEP")?, length("SIZE")?);
                WindowKind::Cumulate { size_ms, step_ms, offset_ms: 0 }
            }
            _ => WindowKind::Session { gap_ms: length("GAP")? },
        }
    };
    let offset = args.optional("OFFSET");
    let offset_ms = offset.map_or(Ok(0), |offset| interval_ms(offset, &input, context))?;
    let kind = shifted(kind, offset_ms, &args)?;
    let partition_by = match args.optional(PARTITION_BY) {
        Some(columns) => known(partition_columns(columns)?, &input)?,
        None => Vec::new(),
    };
    let (time, wall_time) = time_of(&input, &time_column)?;
    let spec = WindowSpec { kind, time, wall_time };
    let node = AssignWindowNode::try_new(input, time_column.value, partition_by, spec)?;
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

/// The window moved by its offset, if its lengths fit together.
fn shifted(kind: WindowKind, offset_ms: i64, args: &Arguments<'_>) -> Result<WindowKind> {
    let place = |name: &str| args.optional(name).map_or(args.call.span, span_of);
    let (kind, size_ms, part) = match kind {
        WindowKind::Tumble { size_ms, .. } => {
            (WindowKind::Tumble { size_ms, offset_ms }, size_ms, None)
        }
        WindowKind::Hop { size_ms, slide_ms, .. } => {
            let kind = WindowKind::Hop { size_ms, slide_ms, offset_ms };
            (kind, size_ms, Some(("slide", slide_ms)))
        }
        WindowKind::Cumulate { size_ms, step_ms, .. } => {
            let kind = WindowKind::Cumulate { size_ms, step_ms, offset_ms };
            (kind, size_ms, Some(("step", step_ms)))
        }
        WindowKind::Session { .. } | WindowKind::Whole => return Ok(kind),
    };
    if let Some((part, ms)) = part
        && size_ms % ms != 0
    {
        let name = kind.name();
        let message =
            format!("the size of a {name} window must be a whole number of its {part}s");
        let help = format!("write {}", args.call.function.usage);
        return Err(error_at(message, place("SIZE"), Some(&help)));
    }
    if offset_ms.abs() >= size_ms {
        let message = "the offset of a window must be smaller than its size";
        return Err(error_at(message, place("OFFSET"), None));
    }
    Ok(kind)
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

/// The columns of `PARTITION BY`, which the reader of the script has put into a
/// DESCRIPTOR.
fn partition_columns(arg: &ast::Expr) -> Result<Vec<Ident>> {
    let wrong = || error_at("PARTITION BY takes columns", span_of(arg), None);
    let ast::Expr::Function(f) = arg else { return Err(wrong()) };
    let FunctionArguments::List(list) = &f.args else { return Err(wrong()) };
    let column = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Identifier(column))) => {
            Ok(column.clone())
        }
        _ => Err(wrong()),
    };
    list.args.iter().map(column).collect()
}

/// The names of `columns`, all of which are columns of `input`.
fn known(columns: Vec<Ident>, input: &LogicalPlan) -> Result<Vec<String>> {
    let known = |column: Ident| {
        index_of(&column, input)?;
        Ok(column.value)
    };
    columns.into_iter().map(known).collect()
}

fn index_of(column: &Ident, input: &LogicalPlan) -> Result<usize> {
    let schema = input.schema();
    schema.index_of_column_by_name(None, &column.value).ok_or_else(|| {
        let names = schema.fields().iter().map(|f| f.name().as_str());
        let help = crate::diagnostics::closest(&column.value, names)
            .map(|near| format!("did you mean `{near}`?"));
        let message = format!("unknown column `{}`", column.value);
        let span = span_of(&ast::Expr::Identifier(column.clone()));
        error_at(message, span, help.as_deref())
    })
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
        None => Err(error_at(format!("the interval `{arg}` is too long"), span_of(arg), None)),
    }
}

/// Checks that `column` is a time attribute of `input` and says whether its
/// windows follow the local clock.
fn time_of(input: &LogicalPlan, column: &Ident) -> Result<(TimeKind, WallTime)> {
    let span = span_of(&ast::Expr::Identifier(column.clone()));
    let schema = input.schema();
    let index = index_of(column, input)?;
    let Some(kind) = event_time::columns(input).get(&index).copied() else {
        let message = format!("`{}` is not a time attribute", column.value);
        let help = "declare WATERMARK FOR it in its table and pass the column on unchanged, \
                    or take PROCTIME()";
        return Err(error_at(message, span, Some(help)));
    };
    let wall_time = match schema.field(index).data_type() {
        arrow::datatypes::DataType::Timestamp(_, Some(zone)) => {
            WallTime::Zone(Arc::clone(zone))
        }
        _ => WallTime::Plain,
    };
    Ok((kind, wall_time))
}
