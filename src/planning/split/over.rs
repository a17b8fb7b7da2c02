//! ROW_NUMBER and its like: over closed rows only.
//!
//! Which of two rows that ORDER BY finds equal gets the smaller number must not
//! depend on how the job is run. Rows of a source are told apart by their place
//! in its log: the one that came first is first, as in Flink, save where the
//! last row by time is asked for. Rows of an aggregate are told apart by what
//! they hold.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{Column, DFSchema, DFSchemaRef};
use datafusion::logical_expr::expr::{Sort, WindowFunction};
use datafusion::logical_expr::{self as logical, Expr, LogicalPlan};

use super::{
    Closed, Operator, PartialInput, Places, Rel, Result, Splitter, Stream, WindowColumns,
    above, keep_rows, refused, unaliased,
};
use crate::planning::event_time::passed_on;

/// Hidden columns of rows that are kept: a number for their split, and their
/// place among the rows that came from it.
const PLACE: [&str; 2] = ["__split", "__place"];

impl Splitter<'_> {
    pub(super) fn over(&mut self, plan: &LogicalPlan, over: &logical::Window) -> Result<Rel> {
        let input = self.plan(&over.input)?;
        let (window, schema) = match &input {
            Rel::Stream(stream) => (stream.window.as_ref(), &stream.schema),
            Rel::Closed(closed) => (closed.window.as_ref(), closed.plan.schema()),
        };
        let within_window = |expr: &Expr| {
            let Expr::WindowFunction(function) = unaliased(expr) else { return true };
            let keys: Vec<&Expr> = function.params.partition_by.iter().collect();
            window.is_some_and(|w| w.has_bounds(&keys, schema))
        };
        let of_window = over.window_expr.iter().all(within_window);
        let all_there = matches!(&input, Rel::Closed(closed) if closed.window.is_none());
        let closed = match input {
            input if all_there => self.close(input)?,
            Rel::Stream(stream)
                if of_window || (self.may_wait_for_end && stream.session.is_none()) =>
            {
                let window = stream.window.clone().filter(|_| of_window);
                return self.numbered(over, stream, window);
            }
            input if of_window => self.close(input)?,
            input if self.may_wait_for_end => self.whole(input)?,
            _ => {
                return refused(
                    Operator::Over,
                    "OVER without a window in its PARTITION BY is not supported",
                    "PARTITION BY window_start, window_end",
                );
            }
        };
        let Some(ordered) = with_order(over, closed.plan.schema(), &|_| Vec::new()) else {
            return above(plan, closed, |window| window);
        };
        let window = closed.window;
        let plan = unnamed(over, ordered, closed.plan)?;
        Ok(Rel::Closed(Closed { plan, leaves: closed.leaves, window }))
    }

    /// `over` on rows as they come, by window or on all of them.
    fn numbered(
        &mut self,
        over: &logical::Window,
        mut stream: Stream,
        window: Option<WindowColumns>,
    ) -> Result<Rel> {
        // Rows of an earlier stage have no log to have a place in.
        let of_sources =
            stream.branches.iter().all(|b| matches!(b.input, PartialInput::Scan { .. }));
        let places = if of_sources { Places::Kept } else { Places::Forgotten };
        let (schema, times) = (Arc::clone(&stream.schema), stream.times.clone());
        let mut closed = match stream.session.take() {
            Some(session) => self.session_rows(stream, *session, places)?,
            None => keep_rows(stream.branches, &schema, window, None, places)?,
        };
        let place = |order: &[Sort]| {
            let by_time = |sort: &Sort| {
                passed_on(&sort.expr, &schema).is_some_and(|i| times.contains(&i))
            };
            let asc = !matches!(order, [last] if !last.asc && by_time(last));
            let columns = place_columns().filter(|_| of_sources);
            columns.map(|column| Sort::new(column, asc, true)).collect()
        };
        let ordered = with_order(over, &schema, &place).unwrap_or(over.window_expr.clone());
        closed.plan = unnamed(over, ordered, closed.plan)?;
        Ok(Rel::Closed(closed))
    }
}

/// The columns that [`with_places`] adds.
pub(super) fn place_columns() -> impl Iterator<Item = Expr> {
    PLACE.iter().map(|name| Expr::Column(Column::from_name(*name)))
}

/// `schema` and, behind its columns, those of the rows' places.
pub(super) fn with_places(schema: &DFSchema) -> Result<DFSchemaRef> {
    let mut fields: Vec<_> = schema.iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
    for name in PLACE {
        fields.push((None, Arc::new(Field::new(name, DataType::Int64, false))));
    }
    Ok(Arc::new(DFSchema::new_with_metadata(fields, Default::default())?))
}

/// The functions of `over` with an order that leaves no two rows equal; `None`
/// if none of them asks for it. `places` gives what tells rows apart that ORDER
/// BY finds equal; where that is nothing, all columns do.
fn with_order(
    over: &logical::Window,
    schema: &DFSchema,
    places: &dyn Fn(&[Sort]) -> Vec<Sort>,
) -> Option<Vec<Expr>> {
    let is_number = |expr: &Expr| match unaliased(expr) {
        Expr::WindowFunction(f) => {
            let name = f.fun.name().to_lowercase();
            ["row_number", "ntile", "lag", "lead"].contains(&name.as_str())
        }
        _ => false,
    };
    if !over.window_expr.iter().any(is_number) {
        return None;
    }
    let ordered = |expr: &Expr| match unaliased(expr) {
        Expr::WindowFunction(function) if is_number(expr) => {
            let mut function: WindowFunction = function.as_ref().clone();
            let more = places(&function.params.order_by);
            let more = if more.is_empty() { every_column(schema) } else { more };
            let order = &mut function.params.order_by;
            for sort in more {
                if !order.iter().any(|there| there.expr == sort.expr) {
                    order.push(sort);
                }
            }
            Expr::WindowFunction(Box::new(function))
        }
        _ => expr.clone(),
    };
    Some(over.window_expr.iter().map(ordered).collect())
}

fn every_column(schema: &DFSchema) -> Vec<Sort> {
    let sorts = |ty: &DataType| !ty.is_nested();
    let columns = schema.iter().filter(|(_, field)| sorts(field.data_type()));
    columns.map(|column| Sort::new(Expr::Column(Column::from(column)), true, true)).collect()
}

/// `exprs` over `input`, with the columns and names that `over` gives. Those whose
/// order has become another than that of the rest are a step of their own.
fn unnamed(
    over: &logical::Window,
    exprs: Vec<Expr>,
    input: LogicalPlan,
) -> Result<LogicalPlan> {
    let functions = exprs.len();
    let kept = over.schema.fields().len() - functions;
    let mut plan = input;
    let mut places = vec![0; functions];
    for changed in [false, true] {
        let is_now = |i: &usize| (exprs[*i] != over.window_expr[*i]) == changed;
        let now: Vec<usize> = (0..functions).filter(is_now).collect();
        if now.is_empty() {
            continue;
        }
        for (place, i) in (plan.schema().fields().len()..).zip(&now) {
            places[*i] = place;
        }
        let exprs = now.into_iter().map(|i| exprs[i].clone()).collect();
        plan = LogicalPlan::Window(logical::Window::try_new(exprs, Arc::new(plan))?);
    }
    let column = |at| Expr::Column(Column::from(plan.schema().qualified_field(at)));
    let mut columns: Vec<Expr> = (0..kept).map(column).collect();
    for (i, at) in places.into_iter().enumerate() {
        columns.push(column(at).alias(over.schema.field(kept + i).name()));
    }
    Ok(LogicalPlan::Projection(logical::Projection::try_new(columns, Arc::new(plan))?))
}
