//! Turns syntax that DataFusion's SQL planner refuses, or reads with less than
//! it says, into calls of functions it knows.
//!
//! | in the query | planned as |
//! |---|---|
//! | `FLOOR(ts TO HOUR)`, `CEIL(…)` | `floor_to(ts, 'HOUR')`, `ceil_to(…)` |
//! | `1.5E0` | `cast('1.5E0', 'DOUBLE')`: a number with an exponent is no DECIMAL |
//! | `INTERVAL '2:06' MINUTE TO SECOND` | `INTERVAL '126 seconds'` |
//! | `INTERVAL '1' HOUR * 2` | `INTERVAL '2' HOUR` |
//! | `CAST(x AS INT)`, `TRY_CAST` | `cast(x, 'INT')`, see [`cast::call`] |
//! | `SELECT a + 1, v, v` | `` SELECT a + 1 AS `EXPR$0`, v, v AS v0 ``, as Flink names them |
//! | `GROUPING_ID(a, b)` | `GROUPING(a, b)` |
//! | `JSON_VALUE(js, path RETURNING INT)` | `try_cast(json_value(js, path, …), 'INT')` |
//! | `JSON_OBJECT('k' VALUE x)` | `json_object('k', json_or_null(json_string(x)))`, see [`super::json_syntax`] |
//! | `(a, b) OVERLAPS (c, INTERVAL '1' DAY)` | `overlaps(a, b, c, c + INTERVAL '1' DAY)` |

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self as sql, BinaryOperator, CastKind, CeilFloorKind, DataType, DateTimeField, Expr,
    FunctionArg, FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Interval,
    ObjectName, Select, SelectItem, Value, VisitMut, VisitorMut,
};

use super::json_syntax;
use crate::planning::cast::{self, Failure};
use crate::planning::errors::Misuse;
use crate::sql::may_repeat;
use crate::times::parse;

/// Rewrites every expression in `part`.
///
/// # Errors
/// An interval that says nothing, for a person.
pub fn rewrite(part: &mut impl VisitMut) -> Result<(), Misuse> {
    let flow = part.visit(&mut Rewriter);
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(misuse) => Err(misuse),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Misuse;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Misuse> {
        name_columns(&mut select.projection);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Misuse> {
        match json_syntax::step(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(misuse) => ControlFlow::Break(misuse),
        }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Misuse> {
        match step(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(message) => ControlFlow::Break(Misuse::new(message, expr)),
        }
    }
}

/// Names columns that have no name of their own by their position, and one
/// that is selected again by a number behind its name.
fn name_columns(items: &mut [SelectItem]) {
    let mut seen = Vec::new();
    for (position, item) in items.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let name = match &*expr {
            Expr::Identifier(_) | Expr::CompoundIdentifier(_) => {
                let text = expr.to_string();
                let before = seen.iter().filter(|s| **s == text).count();
                seen.push(text);
                if before == 0 {
                    continue;
                }
                format!("{}{}", last_name(expr), before - 1)
            }
            _ => format!("EXPR${position}"),
        };
        let alias = Ident::with_quote('`', name);
        *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
    }
}

fn last_name(expr: &Expr) -> &str {
    match expr {
        Expr::Identifier(ident) => &ident.value,
        Expr::CompoundIdentifier(idents) => idents.last().map_or("", |ident| &ident.value),
        _ => "",
    }
}

fn step(expr: &mut Expr) -> Result<(), String> {
    match expr {
        Expr::Floor { expr: inner, field } => {
            if let Some(call) = rounding("floor_to", inner, field) {
                *expr = call;
            }
        }
        Expr::Ceil { expr: inner, field } => {
            if let Some(call) = rounding("ceil_to", inner, field) {
                *expr = call;
            }
        }
        Expr::Value(value) => {
            if let Value::Number(number, _) = &value.value
                && number.contains(['e', 'E'])
            {
                let span = value.span;
                let text = Value::SingleQuotedString(number.clone()).with_span(span);
                *expr = cast_to(Failure::Fails, Expr::Value(text), "DOUBLE");
            }
        }
        Expr::Cast { kind, expr: inner, data_type, array: false, format: None } => {
            let failure = match kind {
                CastKind::TryCast | CastKind::SafeCast => Failure::IsNull,
                CastKind::Cast | CastKind::DoubleColon => Failure::Fails,
            };
            let ty = match &*data_type {
                DataType::Custom(name, modifiers) if modifiers.is_empty() => last_ident(name),
                other => other.to_string(),
            };
            let value = std::mem::replace(&mut **inner, null());
            *expr = call(cast::call::name(failure), vec![value, text(&ty)]);
        }
        Expr::Interval(interval) => plain_interval(interval)?,
        Expr::TypedString(typed) => refuse_literal(typed)?,
        Expr::BinaryOp { left, op: BinaryOperator::Multiply, right } => {
            let product = times(left, right).or_else(|| times(right, left));
            if let Some(interval) = product {
                *expr = Expr::Interval(interval);
            }
        }
        Expr::BinaryOp { left, op: BinaryOperator::Overlaps, right } => {
            *expr = call("overlaps", [ends(left)?, ends(right)?].concat());
        }
        Expr::Function(function) => {
            if let Some(name) = function.name.0.first().and_then(|part| part.as_ident())
                && name.value.eq_ignore_ascii_case("GROUPING_ID")
            {
                let name = Ident { value: "GROUPING".to_owned(), ..name.clone() };
                function.name = ObjectName::from(vec![name]);
            }
            refuse_call(function)?;
            if let Some(call) = json_call(function) {
                *expr = call;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Refuses a DATE, TIME or TIMESTAMP that there is not.
fn refuse_literal(typed: &sql::TypedString) -> Result<(), String> {
    let Some(text) = typed.value.clone().into_string() else { return Ok(()) };
    let text = text.trim();
    let (ty, is_one, example) = match typed.data_type {
        DataType::Date => ("DATE", parse::date(text).is_some(), "2024-01-31"),
        DataType::Time(..) => {
            let time = chrono::NaiveTime::parse_from_str(text, "%H:%M:%S%.f");
            ("TIME", time.is_ok(), "13:45:00")
        }
        DataType::Timestamp(..) => {
            let is_one = parse::timestamp(text).is_some() || parse::date(text).is_some();
            ("TIMESTAMP", is_one, "2024-01-31 13:45:00")
        }
        _ => return Ok(()),
    };
    if is_one {
        Ok(())
    } else {
        Err(format!("there is no {ty} '{text}'; write {ty} '{example}'"))
    }
}

/// What would be taken for something else.
fn refuse_call(function: &sql::Function) -> Result<(), String> {
    let name = function.name.to_string();
    let has_arguments = match &function.args {
        FunctionArguments::List(list) => !list.args.is_empty(),
        FunctionArguments::Subquery(_) => true,
        FunctionArguments::None => false,
    };
    if name.eq_ignore_ascii_case("COUNT") && !has_arguments {
        return Err("COUNT needs an argument, or a star: COUNT(*)".to_owned());
    }
    if function.over.is_some() && super::is_scalar(&name) {
        return Err(format!(
            "{} is not for OVER: it has a value for each row",
            name.to_uppercase()
        ));
    }
    Ok(())
}

fn rounding(name: &str, inner: &Expr, field: &CeilFloorKind) -> Option<Expr> {
    match field {
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) | CeilFloorKind::Scale(_) => {
            None
        }
        CeilFloorKind::DateTimeField(unit) => {
            Some(call(name, vec![inner.clone(), text(&unit.to_string().to_uppercase())]))
        }
    }
}

/// The first and the last point of a period.
fn ends(period: &Expr) -> Result<Vec<Expr>, String> {
    match period {
        Expr::Tuple(ends) if ends.len() == 2 => {
            let (start, end) = (Box::new(ends[0].clone()), Box::new(ends[1].clone()));
            let end = match *end {
                Expr::Interval(_) if !may_repeat(&start, 2) => {
                    return Err("OVERLAPS nests too deeply: split the query into views".into());
                }
                Expr::Interval(_) => {
                    Expr::BinaryOp { left: start.clone(), op: BinaryOperator::Plus, right: end }
                }
                point => point,
            };
            Ok(vec![*start, end])
        }
        _ => Err("OVERLAPS is between periods: (start, end) OVERLAPS (start, end)".to_owned()),
    }
}

fn text(text: &str) -> Expr {
    Expr::value(Value::SingleQuotedString(text.to_owned()))
}

fn null() -> Expr {
    Expr::value(Value::Null)
}

pub(super) fn call(name: &str, args: Vec<Expr>) -> Expr {
    call_at(Ident::new(name), args)
}

/// A call whose name stands somewhere in the script.
pub(super) fn call_at(name: Ident, args: Vec<Expr>) -> Expr {
    let args = args.into_iter().map(|a| FunctionArg::Unnamed(FunctionArgExpr::Expr(a)));
    let list = FunctionArgumentList {
        duplicate_treatment: None,
        args: args.collect(),
        clauses: Vec::new(),
    };
    Expr::Function(sql::Function {
        name: ObjectName::from(vec![name]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

fn cast_to(failure: Failure, expr: Expr, ty: &str) -> Expr {
    call(cast::call::name(failure), vec![expr, text(ty)])
}

/// The text of a type that sqlparser took for a name.
fn last_ident(name: &ObjectName) -> String {
    match name.0.as_slice() {
        [sql::ObjectNamePart::Identifier(ident)] => ident.value.clone(),
        _ => name.to_string(),
    }
}

/// Puts an interval of several units into one.
fn plain_interval(interval: &mut Interval) -> Result<(), String> {
    interval.leading_precision = None;
    interval.fractional_seconds_precision = None;
    let (Some(first), Some(last)) = (&interval.leading_field, interval.last_field.take())
    else {
        return Ok(());
    };
    let Expr::Value(value) = interval.value.as_ref() else { return Ok(()) };
    let Value::SingleQuotedString(given) = &value.value else { return Ok(()) };
    let span = value.span;
    let (first, last) = (first.to_string().to_uppercase(), last.to_string().to_uppercase());
    let plain = combined(given, &first, &last)
        .ok_or_else(|| format!("the interval '{given}' does not read as {first} TO {last}"))?;
    let value = Value::SingleQuotedString(plain).with_span(span);
    *interval.value = Expr::Value(value);
    interval.leading_field = None;
    Ok(())
}

/// `INTERVAL '1' HOUR * 2`, of literals in whole numbers.
fn times(interval: &Expr, count: &Expr) -> Option<Interval> {
    let (Expr::Interval(interval), Expr::Value(count)) = (interval, count) else { return None };
    let Value::Number(count, _) = &count.value else { return None };
    let Expr::Value(value) = interval.value.as_ref() else { return None };
    let Value::SingleQuotedString(given) = &value.value else { return None };
    let (length, unit) = given.split_at(given.find(' ').unwrap_or(given.len()));
    let product = length.parse::<i64>().ok()?.checked_mul(count.parse().ok()?)?;
    let product = Value::SingleQuotedString(format!("{product}{unit}"));
    let value = Box::new(Expr::Value(product.with_span(value.span)));
    Some(Interval { value, ..interval.clone() })
}

/// `2:06` from MINUTE to SECOND is `126 seconds`.
fn combined(given: &str, first: &str, last: &str) -> Option<String> {
    let (negative, unsigned) = match given.trim().strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, given.trim().trim_start_matches('+')),
    };
    let sign = if negative { "-" } else { "" };
    if first == "YEAR" && last == "MONTH" {
        let (years, months) = unsigned.split_once('-')?;
        let months = years.parse::<i64>().ok()? * 12 + months.parse::<i64>().ok()?;
        return Some(format!("{sign}{months} months"));
    }
    const UNITS: [(&str, i64); 4] =
        [("DAY", 86_400), ("HOUR", 3600), ("MINUTE", 60), ("SECOND", 1)];
    let at = |name: &str| UNITS.iter().position(|(unit, _)| *unit == name);
    let units = UNITS.get(at(first)?..=at(last)?)?;
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) if last == "SECOND" => (whole, fraction),
        Some(_) => return None,
        None => (unsigned, ""),
    };
    let parts: Vec<&str> = whole.split([' ', ':']).collect();
    if parts.len() != units.len() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let mut seconds = 0i64;
    for (part, (_, length)) in parts.iter().zip(units) {
        seconds = seconds.checked_add(part.parse::<u32>().map(i64::from).ok()? * length)?;
    }
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    Some(format!("{sign}{seconds}{fraction} seconds"))
}

/// A JSON function's clauses as arguments at their places.
fn json_call(function: &sql::Function) -> Option<Expr> {
    let name = function.name.to_string().to_uppercase();
    let FunctionArguments::List(list) = &function.args else { return None };
    let is_clause = |arg: &FunctionArg| matches!(arg, FunctionArg::Named { .. });
    if !matches!(name.as_str(), "JSON_VALUE" | "JSON_QUERY" | "JSON_EXISTS")
        || !list.args.iter().any(is_clause)
    {
        return None;
    }
    let mut args = list.args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    let (document, path) = (args.next()?, args.next()?);
    let clause = |wanted: &str| {
        list.args.iter().find_map(|arg| match arg {
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(value), .. } => {
                (name.value == wanted).then(|| value.clone())
            }
            _ => None,
        })
    };
    if name == "JSON_EXISTS" {
        return Some(call(
            "json_exists",
            vec![document, path, clause("ON ERROR").unwrap_or_else(null)],
        ));
    }
    let mut all = vec![document, path];
    for occasion in ["ON EMPTY", "ON ERROR"] {
        match clause(&format!("DEFAULT {occasion}")) {
            Some(default) => {
                all.extend([text("DEFAULT"), cast_to(Failure::Fails, default, "STRING")])
            }
            None => all.extend([clause(occasion).unwrap_or_else(null), null()]),
        }
    }
    if name == "JSON_QUERY" {
        all.push(clause("WRAPPER").unwrap_or_else(null));
        return Some(call("json_query", all));
    }
    let fails = clause("ON ERROR").is_some_and(|e| e.to_string() == "'ERROR'");
    let value = call("json_value", all);
    let Some(Expr::Value(returning)) = clause("RETURNING") else { return Some(value) };
    let ty = returning.value.into_string()?;
    let failure = if fails { Failure::Fails } else { Failure::IsNull };
    Some(cast_to(failure, value, &ty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_of_several_units_become_one() {
        for (given, first, last, expected) in [
            ("2:06", "MINUTE", "SECOND", Some("126 seconds")),
            ("1 02:03:04.5", "DAY", "SECOND", Some("93784.5 seconds")),
            ("-1:30", "HOUR", "MINUTE", Some("-5400 seconds")),
            ("1-2", "YEAR", "MONTH", Some("14 months")),
            ("2", "MINUTE", "SECOND", None),
            ("a:b", "MINUTE", "SECOND", None),
        ] {
            assert_eq!(combined(given, first, last).as_deref(), expected, "{given}");
        }
    }
}
