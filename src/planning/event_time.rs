//! Which columns of a plan are time attributes: columns that the watermark
//! speaks of, window_time above them, and PROCTIME().
//!
//! A column stays a time attribute as long as it is passed on unchanged; any
//! expression over it, a CAST included, makes it an ordinary timestamp. So does
//! a join without a window or bounds on time.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/concepts/time_attributes/>

use std::collections::BTreeMap;

use datafusion::common::DFSchema;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Distinct, Expr, Join, LogicalPlan};

use super::lookup::is_lookup;
use super::time_bounds;
use super::unnest::UnnestNode;
use super::window::{AssignWindowNode, EventTimeNode, TimeKind};

/// The time attributes among the columns of a plan, by index.
pub type TimeColumns = BTreeMap<usize, TimeKind>;

/// The time attributes of `plan`, which has not been optimized (an optimizer
/// removes casts that change nothing).
pub fn columns(plan: &LogicalPlan) -> TimeColumns {
    match plan {
        LogicalPlan::Extension(extension) => {
            let node = extension.node.as_any();
            if let Some(node) = node.downcast_ref::<EventTimeNode>() {
                let mut found = columns(&node.input);
                let schema = node.input.schema();
                let marked = schema.index_of_column_by_name(None, &node.column);
                found.extend(marked.map(|i| (i, TimeKind::Event)));
                found
            } else if let Some(node) = node.downcast_ref::<AssignWindowNode>() {
                let mut found = columns(&node.input);
                found.insert(node.input.schema().fields().len() + 2, node.spec.time);
                found
            } else if let Some(node) = node.downcast_ref::<UnnestNode>() {
                columns(&node.input)
            } else {
                TimeColumns::new()
            }
        }
        LogicalPlan::Projection(p) => through(&p.expr, p.input.schema(), &columns(&p.input)),
        LogicalPlan::Aggregate(a) => {
            through(&a.group_expr, a.input.schema(), &columns(&a.input))
        }
        LogicalPlan::Filter(f) => match f.input.as_ref() {
            LogicalPlan::Join(join) => of_join(join, &split_conjunction(&f.predicate)),
            input => columns(input),
        },
        LogicalPlan::SubqueryAlias(a) => columns(&a.input),
        LogicalPlan::Sort(s) => columns(&s.input),
        LogicalPlan::Limit(l) => columns(&l.input),
        LogicalPlan::Window(w) => columns(&w.input),
        LogicalPlan::Distinct(Distinct::All(input)) => columns(input),
        LogicalPlan::Union(u) => u
            .inputs
            .iter()
            .map(|input| columns(input))
            .reduce(|a, b| a.into_iter().filter(|(i, kind)| b.get(i) == Some(kind)).collect())
            .unwrap_or_default(),
        LogicalPlan::Join(j) => of_join(j, &[]),
        _ => TimeColumns::new(),
    }
}

fn through(exprs: &[Expr], input: &DFSchema, times: &TimeColumns) -> TimeColumns {
    let kind = |expr: &Expr| match passed_on(expr, input) {
        Some(i) => times.get(&i).copied(),
        None => is_proctime(expr).then_some(TimeKind::Processing),
    };
    exprs.iter().enumerate().filter_map(|(i, expr)| Some((i, kind(expr)?))).collect()
}

fn is_proctime(expr: &Expr) -> bool {
    match expr {
        Expr::ScalarFunction(call) => call.name().eq_ignore_ascii_case("proctime"),
        Expr::Alias(alias) => is_proctime(&alias.expr),
        _ => false,
    }
}

/// Both sides' columns with the right ones behind the left ones.
fn of_join(join: &Join, above: &[&Expr]) -> TimeColumns {
    let left = columns(&join.left);
    if is_lookup(&join.right) {
        return left;
    }
    let right = columns(&join.right);
    let mut conditions: Vec<&Expr> = above.to_vec();
    conditions.extend(join.filter.iter().flat_map(split_conjunction));
    let schemas = (join.left.schema().as_ref(), join.right.schema().as_ref());
    let is_time = |expr: &Expr| {
        let field = |schema: &DFSchema| {
            passed_on(expr, schema).map(|i| schema.field(i).data_type().is_temporal())
        };
        field(schemas.0).or_else(|| field(schemas.1)).unwrap_or(false)
    };
    let timestamps = |l: &Expr, r: &Expr| is_time(l) && is_time(r);
    let on = join.on.iter().filter(|(l, r)| timestamps(l, r)).count();
    let equal = conditions.iter().filter(|condition| match condition {
        Expr::BinaryExpr(b) => {
            b.op == datafusion::logical_expr::Operator::Eq && timestamps(&b.left, &b.right)
        }
        _ => false,
    });
    let of_windows = on + equal.count() >= 2;
    let bounded = || {
        let is = |times: &TimeColumns, i: usize| times.contains_key(&i);
        let (l, r) = (|i| is(&left, i), |i| is(&right, i));
        time_bounds::find(&conditions, schemas, (&l, &r)).is_some()
    };
    if !of_windows && !bounded() {
        return TimeColumns::new();
    }
    let width = join.left.schema().fields().len();
    let shifted = right.into_iter().map(|(i, kind)| (i + width, kind));
    left.into_iter().chain(shifted).filter(|(i, _)| *i < join.schema.fields().len()).collect()
}

/// The index of the input column that `expr` passes on unchanged.
pub fn passed_on(expr: &Expr, input: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Column(column) => input.maybe_index_of_column(column),
        Expr::Alias(alias) => passed_on(&alias.expr, input),
        _ => None,
    }
}
