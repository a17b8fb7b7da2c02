//! Calls that make JSON: every value comes to the function as JSON already.
//!
//! | in the query | planned as |
//! |---|---|
//! | `JSON_OBJECT('k' VALUE x)` | `json_object('k', json_or_null(json_string(x)))` |
//! | `JSON_OBJECT('k' VALUE x ABSENT ON NULL)` | `json_object('k', json_string(x))` |
//! | `JSON_ARRAY(x, JSON_ARRAY(y))` | `json_array(json_string(x), json_array(json_string(y)))` |
//! | `JSON_ARRAY(JSON(s))` | `json_array(json_text(s))` |
//! | `JSON_OBJECTAGG`, `JSON_ARRAYAGG` | the same |

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectNamePart,
    Value,
};

use super::syntax::{call, call_at};
use crate::planning::errors::Misuse;

/// Rewrites a call, before its arguments are.
pub(super) fn step(expr: &mut Expr) -> Result<(), Misuse> {
    let Expr::Function(function) = &*expr else { return Ok(()) };
    let name = function.name.to_string().to_uppercase();
    let rewritten = match name.as_str() {
        "JSON_OBJECT" | "JSON_OBJECTAGG" => made(function, true)?,
        "JSON_ARRAY" | "JSON_ARRAYAGG" => made(function, false)?,
        "JSON_STRING" => match arguments(function).as_slice() {
            [value] => json_already(value, false),
            _ => None,
        },
        "JSON" => {
            let message = "JSON() is a value in JSON_OBJECT or JSON_ARRAY only";
            return Err(Misuse::new(message.to_owned(), expr));
        }
        _ => None,
    };
    let Some(rewritten) = rewritten else { return Ok(()) };
    *expr = rewritten;
    // What JSON_STRING leaves is a call of the same kind.
    if name == "JSON_STRING" { step(expr) } else { Ok(()) }
}

/// A call that says what is done with NULLs is one that was not rewritten yet.
fn made(function: &Function, pairs: bool) -> Result<Option<Expr>, Misuse> {
    let FunctionArguments::List(list) = &function.args else { return Ok(None) };
    let on_null = list.args.iter().find_map(|arg| match arg {
        FunctionArg::Named { name, arg, .. } if name.value == "ON NULL" => {
            Some(arg.to_string())
        }
        _ => None,
    });
    let Some(on_null) = on_null else { return Ok(None) };
    let name = name(function);
    let upper = name.value.to_uppercase();
    let clause = [
        (list.duplicate_treatment.is_some(), "DISTINCT"),
        (!list.clauses.is_empty() || !function.within_group.is_empty(), "ORDER BY"),
        (function.filter.is_some(), "FILTER"),
        (function.over.is_some(), "OVER"),
    ];
    if let Some((_, clause)) = clause.iter().find(|(is_there, _)| *is_there) {
        let message = format!("{upper} takes no {clause}");
        return Err(Misuse::new(message, &Expr::Function(function.clone())));
    }
    let takes_json = !upper.ends_with("AGG");
    let values = arguments(function).into_iter().enumerate().map(|(at, value)| {
        if matches!(&value, Expr::Value(literal) if literal.value == Value::Null) {
            let message = format!("a NULL of no type in {upper}: CAST it AS STRING");
            return Err(Misuse::new(message, &value));
        }
        if pairs && at % 2 == 0 {
            return Ok(value);
        }
        let json = json_already(&value, takes_json)
            .unwrap_or_else(|| call("json_string", vec![value.clone()]));
        let is_kept = on_null == "'NULL'";
        Ok(if is_kept { call("json_or_null", vec![json]) } else { json })
    });
    Ok(Some(call_at(name, values.collect::<Result<_, _>>()?)))
}

/// A value that is written as it is: a call that makes JSON, or perhaps JSON().
fn json_already(value: &Expr, takes_json: bool) -> Option<Expr> {
    let Expr::Function(function) = value else { return None };
    match function.name.to_string().to_uppercase().as_str() {
        "JSON_OBJECT" | "JSON_ARRAY" => Some(value.clone()),
        "JSON" if takes_json => Some(call("json_text", arguments(function))),
        _ => None,
    }
}

fn name(function: &Function) -> Ident {
    match function.name.0.first() {
        Some(ObjectNamePart::Identifier(name)) => name.clone(),
        _ => Ident::new(function.name.to_string()),
    }
}

fn arguments(function: &Function) -> Vec<Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let args = list.args.iter().filter_map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    });
    args.collect()
}
