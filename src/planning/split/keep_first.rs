//! Deduplication without a window that keeps the first row of each key:
//! `ROW_NUMBER() OVER (PARTITION BY k ORDER BY ts ASC) = 1`.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/deduplication/>

use std::sync::Arc;

use datafusion::common::ScalarValue;
use datafusion::logical_expr::utils::{conjunction, split_conjunction};
use datafusion::logical_expr::{self as logical, BinaryExpr, Expr, LogicalPlan, lit};

use super::{Op, Rel, Result, Splitter, Stream, arrow_schema, unaliased};
use crate::planning::event_time::passed_on;
use crate::planning::pipeline::{KeepFirst, Leaf, Stage, StageOutput, StageWork};

/// What makes a filter over a row number keep the first row.
struct First<'a> {
    over: &'a logical::Window,
    /// What leaves columns out in between.
    projection: Option<&'a logical::Projection>,
    keys: &'a [Expr],
    order: &'a Expr,
    /// What else the filter asks.
    others: Option<Expr>,
}

impl Splitter<'_> {
    /// Plans `filter` if it keeps the first row of each key by event time.
    pub(super) fn keep_first(&mut self, filter: &logical::Filter) -> Result<Option<Rel>> {
        let Some(first) = first_of(filter) else { return Ok(None) };
        let input = self.plan(&first.over.input)?;
        let Rel::Stream(stream) = &input else { return Ok(None) };
        let time = passed_on(first.order, &stream.schema);
        let Some(time) = time.filter(|i| stream.times.contains(i)) else { return Ok(None) };
        let in_window = |w: &super::WindowColumns| {
            w.has_bounds(&first.keys.iter().collect::<Vec<_>>(), &stream.schema)
        };
        if stream.window.as_ref().is_some_and(in_window) || stream.session.is_some() {
            return Ok(None);
        }
        let Rel::Stream(stream) = input else { unreachable!("just seen") };
        let stage = Stage {
            leaves: vec![Leaf::passing(arrow_schema(&stream.schema))],
            work: StageWork::KeepFirst(KeepFirst {
                keys: self.physical_all(first.keys, &stream.schema)?,
                time,
                state_ttl: self.state_ttl,
                schema: arrow_schema(&stream.schema),
            }),
            output: StageOutput::Branches(Vec::new()),
        };
        let times = stream.times.clone();
        let input_schema = Arc::clone(&stream.schema);
        let stage = self.add_stage(stage, vec![stream.branches]);
        let mut kept = Stream { times, ..Self::from_stage(stage, Arc::clone(&input_schema)) };
        // The row number itself is one.
        let mut columns: Vec<Expr> = input_schema
            .iter()
            .map(|(q, f)| Expr::Column(datafusion::common::Column::new(q.cloned(), f.name())))
            .collect();
        columns.push(lit(1i64));
        let exprs = self.physical_all(&columns, &input_schema)?;
        let schema = arrow_schema(&first.over.schema);
        Self::push(&mut kept, || Op::Project {
            exprs: exprs.clone(),
            schema: Arc::clone(&schema),
        });
        kept.schema = Arc::clone(&first.over.schema);
        if let Some(projection) = first.projection {
            kept = self.project_stream(kept, projection)?;
        }
        match &first.others {
            Some(others) => self.filter_stream(kept, others).map(Some),
            None => Ok(Some(Rel::Stream(kept))),
        }
    }
}

fn first_of(filter: &logical::Filter) -> Option<First<'_>> {
    let (over, projection) = match filter.input.as_ref() {
        LogicalPlan::Window(over) => (over, None),
        LogicalPlan::Projection(projection) => match projection.input.as_ref() {
            LogicalPlan::Window(over) => (over, Some(projection)),
            _ => return None,
        },
        _ => return None,
    };
    let [expr] = over.window_expr.as_slice() else { return None };
    let Expr::WindowFunction(function) = unaliased(expr) else { return None };
    let params = &function.params;
    let [order] = params.order_by.as_slice() else { return None };
    if !function.fun.name().eq_ignore_ascii_case("row_number") || !order.asc {
        return None;
    }
    let number = over.schema.fields().len() - 1;
    let is_number = |expr: &Expr| match projection {
        None => passed_on(expr, &over.schema) == Some(number),
        Some(p) => passed_on(expr, &p.schema)
            .is_some_and(|i| passed_on(&p.expr[i], &over.schema) == Some(number)),
    };
    let (ones, others): (Vec<&Expr>, Vec<&Expr>) = split_conjunction(&filter.predicate)
        .into_iter()
        .partition(|condition| asks_for_one(condition, &is_number));
    if ones.is_empty() || params.partition_by.is_empty() {
        return None;
    }
    let others = conjunction(others.into_iter().cloned());
    Some(First { over, projection, keys: &params.partition_by, order: &order.expr, others })
}

/// `rn = 1`, `rn <= 1`, `rn < 2`, either way round.
fn asks_for_one(condition: &Expr, is_number: &impl Fn(&Expr) -> bool) -> bool {
    use datafusion::logical_expr::Operator::{Eq, Gt, GtEq, Lt, LtEq};
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = condition else { return false };
    let number = |expr: &Expr| match expr {
        Expr::Literal(value, _) => {
            let value = value.cast_to(&arrow::datatypes::DataType::Int64).ok()?;
            if let ScalarValue::Int64(value) = value { value } else { None }
        }
        _ => None,
    };
    match (is_number(left), number(right), number(left), is_number(right)) {
        (true, Some(n), ..) => matches!((op, n), (Eq | LtEq, 1) | (Lt, 2)),
        (_, _, Some(n), true) => matches!((op, n), (Eq | GtEq, 1) | (Gt, 2)),
        _ => false,
    }
}
