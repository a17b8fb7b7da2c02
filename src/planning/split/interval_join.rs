//! Joins of rows whose times lie within bounds of each other.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, DFSchemaRef, JoinType};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{self as logical, Expr, LogicalPlan, col};

use super::{Closed, Operator, Rel, Result, Splitter, Stream, arrow_schema, refused};
use crate::planning::closed_plan::{ClosedPlan, ClosedRows};
use crate::planning::pipeline::{IntervalJoin, Leaf, Stage, StageOutput, StageWork};
use crate::planning::time_bounds::{self, TimeBounds};
use crate::times::WallTime;

/// Names of a side's hidden columns: the row's number, and the least time of a
/// row that it may be paired with.
const HIDDEN: [[&str; 2]; 2] =
    [["__left_number", "__left_since"], ["__right_number", "__right_since"]];

impl Splitter<'_> {
    /// The bounds on time that the join's condition has.
    pub(super) fn bounds(
        &self,
        join: &logical::Join,
        left: &Rel,
        right: &Rel,
    ) -> Option<TimeBounds> {
        let conditions: Vec<&Expr> = join.filter.iter().flat_map(split_conjunction).collect();
        let schemas = (join.left.schema().as_ref(), join.right.schema().as_ref());
        let (left, right) = (left.times(), right.times());
        let is_time = |times: &BTreeSet<usize>, i: usize| times.contains(&i);
        let (l, r) = (|i| is_time(&left, i), |i| is_time(&right, i));
        time_bounds::find(&conditions, schemas, (&l, &r))
    }

    pub(super) fn interval_join(
        &mut self,
        join: &logical::Join,
        left: Rel,
        right: Rel,
    ) -> Result<Rel> {
        use JoinType::{Full, Inner, Left, Right};
        let bounds = self.bounds(join, &left, &right).expect("asked before");
        if join.on.is_empty() || !matches!(join.join_type, Inner | Left | Right | Full) {
            return refused(
                Operator::Join,
                "a join within bounds on time needs an equality too, and is no IN or EXISTS",
                "write a.k = b.k AND b.ts BETWEEN a.ts AND a.ts + INTERVAL '10' SECOND",
            );
        }
        let (left, right) = (self.flowing(left)?, self.flowing(right)?);
        let width = left.schema.fields().len();
        let right_times = right.times.iter().map(|i| i + width);
        let times: BTreeSet<usize> = left.times.iter().copied().chain(right_times).collect();
        let (left_rows, left_plan) = side(&left.schema, HIDDEN[0])?;
        let (right_rows, right_plan) = side(&right.schema, HIDDEN[1])?;
        let on_time = |plan: &LogicalPlan, time: usize, since: &str| {
            let column = datafusion::common::Column::from(plan.schema().qualified_field(time));
            logical::cast(Expr::Column(column), DataType::Int64).gt_eq(col(since))
        };
        let filter = join
            .filter
            .clone()
            .expect("bounds are a filter")
            .and(on_time(&right_plan, bounds.right, HIDDEN[0][1]))
            .and(on_time(&left_plan, bounds.left, HIDDEN[1][1]));
        let pairs = logical::Join::try_new(
            Arc::new(left_plan),
            Arc::new(right_plan),
            join.on.clone(),
            Some(filter),
            Inner,
            join.join_constraint,
            join.null_equality,
            false,
        )?;
        let inputs = vec![left_rows, right_rows];
        let pairs = ClosedPlan::try_new(LogicalPlan::Join(pairs), inputs, self.state)?;
        let stage = Stage {
            leaves: vec![
                Leaf::passing(arrow_schema(&left.schema)),
                Leaf::passing(arrow_schema(&right.schema)),
            ],
            work: StageWork::IntervalJoin(IntervalJoin {
                join_type: join.join_type,
                times: [bounds.left, bounds.right],
                reach_ms: [bounds.upper_ms, -bounds.lower_ms],
                pairs,
                schema: arrow_schema(&join.schema),
            }),
            output: StageOutput::Branches(Vec::new()),
        };
        let stage = self.add_stage(stage, vec![left.branches, right.branches]);
        let schema = Arc::clone(&join.schema);
        Ok(Rel::Stream(Stream { times, ..Self::from_stage(stage, schema) }))
    }
}

/// One side's rows with the hidden columns behind them.
fn side(schema: &DFSchemaRef, hidden: [&str; 2]) -> Result<(ClosedRows, LogicalPlan)> {
    let mut fields: Vec<_> = schema.iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
    for name in hidden {
        fields.push((None, Arc::new(Field::new(name, DataType::Int64, false))));
    }
    let schema = Arc::new(DFSchema::new_with_metadata(fields, Default::default())?);
    let rows = ClosedRows::new(&schema);
    let plan = rows.plan(&schema)?;
    Ok((rows, plan))
}

impl Rel {
    /// Columns that tell time.
    pub(super) fn times(&self) -> BTreeSet<usize> {
        match self {
            Rel::Stream(stream) => stream.times.clone(),
            Rel::Closed(closed) => closed.times(),
        }
    }
}

impl Closed {
    /// Columns that tell time once the rows flow on: they come when the
    /// watermark has reached their window's last millisecond.
    pub(super) fn times(&self) -> BTreeSet<usize> {
        let Some(window) = &self.window else { return BTreeSet::new() };
        let plain = window.spec.wall_time == WallTime::Plain;
        let ends = window.end.iter().filter(|_| plain);
        window.time.iter().chain(ends).copied().collect()
    }
}
