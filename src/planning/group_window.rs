//! The older spelling of windows, `GROUP BY TUMBLE(ts, INTERVAL '5' MINUTE)` with
//! TUMBLE_START, TUMBLE_END and TUMBLE_ROWTIME, as the window table function that
//! means the same.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/window-agg/#group-window-aggregation>

use datafusion::sql::sqlparser::ast::{
    CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgOperator,
    FunctionArgumentList, FunctionArguments, GroupByExpr, Ident, ObjectName, Query, Select,
    SelectItem, SetExpr, TableAlias, TableFactor, TableFunctionArgs,
};

use super::window::{WINDOW_END, WINDOW_START, WINDOW_TIME};
use crate::sql::PARTITION_BY;

const GROUP_WINDOWS: [&str; 3] = ["TUMBLE", "HOP", "SESSION"];
/// What follows the window's name, and the column that it stands for.
const AUXILIARY: [(&str, &str); 3] =
    [("_START", WINDOW_START), ("_END", WINDOW_END), ("_ROWTIME", WINDOW_TIME)];

/// Rewrites every group window in `query`, and in the queries inside its FROM.
pub fn rewrite(query: &mut Query) {
    if let Some(with) = &mut query.with {
        with.cte_tables.iter_mut().for_each(|cte| rewrite(&mut cte.query));
    }
    rewrite_body(&mut query.body);
}

fn rewrite_body(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => rewrite_select(select),
        SetExpr::Query(query) => rewrite(query),
        SetExpr::SetOperation { left, right, .. } => {
            rewrite_body(left);
            rewrite_body(right);
        }
        _ => {}
    }
}

fn rewrite_select(select: &mut Select) {
    for from in &mut select.from {
        let joined = from.joins.iter_mut().map(|join| &mut join.relation);
        for relation in std::iter::once(&mut from.relation).chain(joined) {
            if let TableFactor::Derived { subquery, .. } = relation {
                rewrite(subquery);
            }
        }
    }
    let GroupByExpr::Expressions(keys, _) = &mut select.group_by else { return };
    let Some(at) = keys.iter().position(|key| window_of(key).is_some()) else { return };
    let [from] = select.from.as_mut_slice() else { return };
    if !from.joins.is_empty() {
        return;
    }
    let Some((data, alias)) = data_of(&from.relation) else { return };
    let Some((function, time, sizes)) = window_of(&keys[at]).map(|w| (w.0, w.1.clone(), w.2))
    else {
        return;
    };
    let window = keys[at].clone();
    let mut args = vec![unnamed(data), unnamed(descriptor(vec![time]))];
    args.extend(sizes.into_iter().map(unnamed));
    if function.value.eq_ignore_ascii_case("SESSION") {
        args.extend(partition_by(keys, at));
    }
    from.relation = TableFactor::Table {
        name: ObjectName::from(vec![function]),
        alias: Some(alias),
        args: Some(TableFunctionArgs { args, settings: None }),
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    };
    let columns = [WINDOW_START, WINDOW_END, WINDOW_TIME].map(column);
    keys.splice(at..=at, columns);
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            replace_auxiliary(expr, &window);
        }
    }
    if let Some(having) = &mut select.having {
        replace_auxiliary(having, &window);
    }
}

fn column(name: &str) -> Expr {
    Expr::Identifier(Ident::new(name))
}

fn unnamed(expr: Expr) -> FunctionArg {
    FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))
}

fn arguments(function: &Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let expr = |arg| match arg {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(expr),
        _ => None,
    };
    list.args.iter().filter_map(expr).collect()
}

/// A group window's name, its time column, and its intervals.
fn window_of(key: &Expr) -> Option<(Ident, &Ident, Vec<Expr>)> {
    let Expr::Function(function) = key else { return None };
    let name = function.name.0.first()?.as_ident()?;
    if !GROUP_WINDOWS.iter().any(|window| name.value.eq_ignore_ascii_case(window)) {
        return None;
    }
    let (time, intervals) = arguments(function).split_first().map(|(t, i)| (*t, i.to_vec()))?;
    Some((name.clone(), time_of(time)?, intervals.into_iter().cloned().collect()))
}

fn time_of(argument: &Expr) -> Option<&Ident> {
    match argument {
        Expr::Identifier(time) => Some(time),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    }
}

/// The relation as a window function's argument, and the name it goes by.
fn data_of(relation: &TableFactor) -> Option<(Expr, TableAlias)> {
    let alias = |name: &Ident| TableAlias {
        explicit: false,
        name: name.clone(),
        columns: vec![],
        at: None,
    };
    match relation {
        TableFactor::Table { name, alias: given, args: None, .. } => {
            let table = name.0.last()?.as_ident()?;
            let alias = given.clone().unwrap_or_else(|| alias(table));
            Some((Expr::Identifier(table.clone()), alias))
        }
        TableFactor::Derived { subquery, alias: given, .. } => {
            let alias = given.clone().unwrap_or_else(|| alias(&Ident::new("windowed")));
            Some((Expr::Subquery(subquery.clone()), alias))
        }
        _ => None,
    }
}

/// The keys beside the window at `at`, which sessions are told apart by.
fn partition_by(keys: &[Expr], at: usize) -> Option<FunctionArg> {
    let others = keys.iter().enumerate().filter(|(i, _)| *i != at).map(|(_, key)| key);
    let column = |key: &Expr| match key {
        Expr::Identifier(column) => Some(column.clone()),
        Expr::CompoundIdentifier(parts) => parts.last().cloned(),
        _ => None,
    };
    // A key that is no column is refused later, as no column of the PARTITION BY.
    let columns: Vec<Ident> = others.filter_map(column).collect();
    (!columns.is_empty()).then(|| FunctionArg::Named {
        name: Ident::new(PARTITION_BY),
        arg: FunctionArgExpr::Expr(descriptor(columns)),
        operator: FunctionArgOperator::RightArrow,
    })
}

fn descriptor(columns: Vec<Ident>) -> Expr {
    let list = FunctionArgumentList {
        duplicate_treatment: None,
        args: columns.into_iter().map(|column| unnamed(Expr::Identifier(column))).collect(),
        clauses: vec![],
    };
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("DESCRIPTOR")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(list),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// Puts the window's columns in place of TUMBLE_START and its like, where they
/// have the arguments of `window`.
fn replace_auxiliary(expr: &mut Expr, window: &Expr) {
    if let Expr::Function(function) = expr {
        if let Some(column) = auxiliary(function, window) {
            *expr = column;
            return;
        }
        if let FunctionArguments::List(list) = &mut function.args {
            for arg in &mut list.args {
                if let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg {
                    replace_auxiliary(expr, window);
                }
            }
        }
        return;
    }
    match expr {
        Expr::Cast { expr, .. }
        | Expr::Nested(expr)
        | Expr::UnaryOp { expr, .. }
        | Expr::Extract { expr, .. }
        | Expr::IsNull(expr)
        | Expr::IsNotNull(expr) => replace_auxiliary(expr, window),
        Expr::BinaryOp { left, right, .. } => {
            replace_auxiliary(left, window);
            replace_auxiliary(right, window);
        }
        Expr::Between { expr, low, high, .. } => {
            [expr, low, high].into_iter().for_each(|e| replace_auxiliary(e, window));
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            operand.iter_mut().chain(else_result).for_each(|e| replace_auxiliary(e, window));
            for CaseWhen { condition, result } in conditions {
                replace_auxiliary(condition, window);
                replace_auxiliary(result, window);
            }
        }
        _ => {}
    }
}

fn auxiliary(function: &Function, of: &Expr) -> Option<Expr> {
    let name = function.name.0.first()?.as_ident()?;
    let upper = name.value.to_uppercase();
    let window = GROUP_WINDOWS.iter().find(|window| upper.starts_with(**window))?;
    let Expr::Function(of) = of else { return None };
    let said =
        |arguments: &[&Expr]| arguments.iter().map(|a| a.to_string()).collect::<Vec<_>>();
    let (own, its) = (arguments(function), arguments(of));
    if !of.name.to_string().eq_ignore_ascii_case(window)
        || time_of(own.first()?)?.value != time_of(its.first()?)?.value
        || said(&own[1..]) != said(&its[1..])
    {
        return None;
    }
    let (_, target) = AUXILIARY.iter().find(|(suffix, _)| upper[window.len()..] == **suffix)?;
    // The place of the call stays, for what may be wrong with it.
    Some(Expr::Identifier(Ident {
        value: (*target).to_owned(),
        quote_style: None,
        span: name.span,
    }))
}
