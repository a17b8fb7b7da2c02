//! Cuts an optimized plan at its windows: the streaming part below, what a
//! window keeps, and the bounded plan above.
//!
//! One walk from the scans up. Below a window rows are a [`Stream`]: branches
//! of operators that run per batch. The first operator that needs a whole
//! window (an aggregate with the window in its key, a join, a ROW_NUMBER) puts
//! a leaf there, and from then on the plan is [`Closed`]. A window function over
//! closed rows starts the next stage.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError, ScalarValue};
use datafusion::execution::SessionState;
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{self as logical, Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::physical_expr::expressions::Literal;

use super::catalog::ScanSource;
use super::closed_plan::{ClosedPlan, ClosedRows};
use super::event_time::passed_on;
use super::job::{JobBuilder, PartialBranch, PartialInput};
use super::pipeline::{
    Aggregate, AggregateColumn, AggregateFunction, AssignWindow, Expansion, Leaf, LeafState,
    Op, Stage, StageOutput, Target,
};
use super::window::{AssignWindowNode, EventTimeNode, WindowSpec};

/// Why a plan cannot run.
#[derive(Debug, thiserror::Error)]
pub enum SplitError {
    /// A construct that would have to take back what was written, or that is
    /// not built. `operator` is what the author would call it.
    #[error("{message}")]
    Refused { operator: Operator, message: String, hint: String },
    #[error(transparent)]
    DataFusion(#[from] DataFusionError),
}

/// What in a query is refused, for finding its place in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    GroupBy,
    Join,
    Over,
    OrderBy,
    Limit,
    Query,
}

type Result<T> = std::result::Result<T, SplitError>;

fn refused<T>(operator: Operator, message: &str, hint: &str) -> Result<T> {
    let (message, hint) = (message.to_owned(), hint.to_owned());
    Err(SplitError::Refused { operator, message, hint })
}

/// The window of some rows, and where its columns are among theirs.
#[derive(Debug, Clone)]
struct WindowColumns {
    spec: WindowSpec,
    start: BTreeSet<usize>,
    end: BTreeSet<usize>,
    time: BTreeSet<usize>,
}

impl WindowColumns {
    /// The same window's columns after each became those that `map` gives.
    fn map(&self, map: impl Fn(usize) -> Vec<usize>) -> Self {
        let each = |set: &BTreeSet<usize>| set.iter().flat_map(|i| map(*i)).collect();
        Self {
            spec: self.spec.clone(),
            start: each(&self.start),
            end: each(&self.end),
            time: each(&self.time),
        }
    }

    /// The positions that the columns have after a projection to `exprs`.
    fn through(&self, exprs: &[Expr], input: &DFSchema) -> Self {
        self.map(|column| {
            let passes = |expr: &Expr| passed_on(expr, input) == Some(column);
            (0..exprs.len()).filter(|i| passes(&exprs[*i])).collect()
        })
    }

    /// What `exprs` has of the window's start and end.
    fn has_bounds(&self, exprs: &[&Expr], input: &DFSchema) -> bool {
        let has = |set: &BTreeSet<usize>| {
            exprs.iter().any(|e| passed_on(e, input).is_some_and(|i| set.contains(&i)))
        };
        has(&self.start) && has(&self.end)
    }
}

/// Rows that flow, batch by batch.
struct Stream {
    branches: Vec<PartialBranch>,
    schema: DFSchemaRef,
    window: Option<WindowColumns>,
}

/// Rows of windows that have closed.
struct Closed {
    plan: LogicalPlan,
    leaves: Vec<PartialLeaf>,
    window: WindowColumns,
}

struct PartialLeaf {
    branches: Vec<PartialBranch>,
    leaf: Leaf,
    rows: ClosedRows,
}

enum Rel {
    Stream(Stream),
    Closed(Box<Closed>),
}

/// Splits `plan` into `job`, its rows going to output `output`.
pub fn split(
    plan: &LogicalPlan,
    output: usize,
    state: &SessionState,
    job: &mut JobBuilder,
) -> Result<()> {
    let mut splitter = Splitter { state, job };
    match splitter.plan(plan)? {
        Rel::Stream(stream) => {
            for branch in stream.branches {
                splitter.job.add_branch(branch, Target::Output(output));
            }
        }
        Rel::Closed(closed) => {
            splitter.seal(*closed, StageOutput::Output(output))?;
        }
    }
    Ok(())
}

struct Splitter<'a> {
    state: &'a SessionState,
    job: &'a mut JobBuilder,
}

impl Splitter<'_> {
    fn plan(&mut self, plan: &LogicalPlan) -> Result<Rel> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Projection(projection) => self.projection(plan, projection),
            LogicalPlan::Filter(filter) => self.filter(plan, filter),
            LogicalPlan::SubqueryAlias(alias) => match self.plan(&alias.input)? {
                Rel::Stream(stream) => {
                    Ok(Rel::Stream(Stream { schema: Arc::clone(&alias.schema), ..stream }))
                }
                Rel::Closed(closed) => above(plan, *closed, |window| window),
            },
            LogicalPlan::Extension(extension) => {
                let node = extension.node.as_any();
                if let Some(node) = node.downcast_ref::<EventTimeNode>() {
                    self.plan(&node.input)
                } else if let Some(node) = node.downcast_ref::<AssignWindowNode>() {
                    self.assign_window(node)
                } else {
                    refused(
                        Operator::Query,
                        &format!("{} is not supported", plan.display()),
                        "",
                    )
                }
            }
            LogicalPlan::Aggregate(aggregate) => self.aggregate(plan, aggregate),
            LogicalPlan::Window(window) => self.over(plan, window),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::Union(union) => self.union(union),
            LogicalPlan::EmptyRelation(empty) if !empty.produce_one_row => {
                let schema = Arc::clone(&empty.schema);
                Ok(Rel::Stream(Stream { branches: Vec::new(), schema, window: None }))
            }
            LogicalPlan::Sort(_) => refused(
                Operator::OrderBy,
                "ORDER BY has no meaning for rows that keep coming",
                "leave it out, or take the first N of each window with ROW_NUMBER()",
            ),
            LogicalPlan::Limit(_) => refused(
                Operator::Limit,
                "LIMIT has no meaning for rows that keep coming",
                "take the first N of each window with ROW_NUMBER()",
            ),
            other => {
                let message = format!("{} is not supported", other.display());
                refused(Operator::Query, &message, "read a table declared in this file")
            }
        }
    }

    fn scan(&mut self, scan: &logical::TableScan) -> Result<Rel> {
        let Some(source) = scan.source.downcast_ref::<ScanSource>() else {
            return refused(Operator::Query, "this relation cannot be read as a stream", "");
        };
        let width = source.schema_width();
        let columns = scan.projection.clone().unwrap_or_else(|| (0..width).collect());
        self.job.need(&source.table, &columns);
        let input = PartialInput::Scan { table: source.table.clone(), columns };
        let branch = PartialBranch { input, ops: Vec::new() };
        let schema = Arc::clone(&scan.projected_schema);
        let stream = Stream { branches: vec![branch], schema, window: None };
        scan.filters.iter().try_fold(Rel::Stream(stream), |rel, filter| {
            let Rel::Stream(stream) = rel else { unreachable!("a scan is a stream") };
            self.filter_stream(stream, filter)
        })
    }

    fn physical(&self, expr: &Expr, schema: &DFSchema) -> Result<Arc<dyn PhysicalExpr>> {
        Ok(self.state.create_physical_expr(expr.clone(), schema)?)
    }

    fn physical_all(
        &self,
        exprs: &[Expr],
        schema: &DFSchema,
    ) -> Result<Vec<Arc<dyn PhysicalExpr>>> {
        exprs.iter().map(|expr| self.physical(expr, schema)).collect()
    }

    /// The operator that `make` makes, on every branch.
    fn push(stream: &mut Stream, make: impl Fn() -> Op) {
        for branch in &mut stream.branches {
            branch.ops.push(make());
        }
    }

    fn filter(&mut self, plan: &LogicalPlan, filter: &logical::Filter) -> Result<Rel> {
        match self.plan(&filter.input)? {
            Rel::Stream(stream) => self.filter_stream(stream, &filter.predicate),
            Rel::Closed(closed) => above(plan, *closed, |window| window),
        }
    }

    fn filter_stream(&mut self, mut stream: Stream, predicate: &Expr) -> Result<Rel> {
        let predicate = self.physical(predicate, &stream.schema)?;
        Self::push(&mut stream, || Op::Filter(Arc::clone(&predicate)));
        Ok(Rel::Stream(stream))
    }

    fn projection(
        &mut self,
        plan: &LogicalPlan,
        projection: &logical::Projection,
    ) -> Result<Rel> {
        match self.plan(&projection.input)? {
            Rel::Stream(mut stream) => {
                let exprs = self.physical_all(&projection.expr, &stream.schema)?;
                let schema = arrow_schema(&projection.schema);
                Self::push(&mut stream, || Op::Project {
                    exprs: exprs.clone(),
                    schema: Arc::clone(&schema),
                });
                let window =
                    stream.window.as_ref().map(|w| w.through(&projection.expr, &stream.schema));
                let schema = Arc::clone(&projection.schema);
                Ok(Rel::Stream(Stream { branches: stream.branches, schema, window }))
            }
            Rel::Closed(closed) => {
                let input = Arc::clone(closed.plan.schema());
                above(plan, *closed, |window| window.through(&projection.expr, &input))
            }
        }
    }

    fn assign_window(&mut self, node: &AssignWindowNode) -> Result<Rel> {
        let mut stream = match self.plan(&node.input)? {
            Rel::Stream(stream) => stream,
            Rel::Closed(closed) => self.next_stage(*closed)?,
        };
        let schema = logical::UserDefinedLogicalNodeCore::schema(node);
        let time_column = stream
            .schema
            .index_of_column_by_name(None, &node.time_column)
            .expect("the node was planned over this column");
        let width = stream.schema.fields().len();
        let arrow = arrow_schema(schema);
        Self::push(&mut stream, || {
            Op::AssignWindow(AssignWindow {
                spec: node.spec.clone(),
                time_column,
                schema: Arc::clone(&arrow),
            })
        });
        stream.schema = Arc::clone(schema);
        stream.window = Some(WindowColumns {
            spec: node.spec.clone(),
            start: [width].into(),
            end: [width + 1].into(),
            time: [width + 2].into(),
        });
        Ok(Rel::Stream(stream))
    }

    /// Ends a stage; its rows flow again.
    fn next_stage(&mut self, closed: Closed) -> Result<Stream> {
        let schema = Arc::clone(closed.plan.schema());
        let stage = self.seal(closed, StageOutput::Branches(Vec::new()))?;
        let branch = PartialBranch { input: PartialInput::Stage(stage), ops: Vec::new() };
        Ok(Stream { branches: vec![branch], schema, window: None })
    }

    fn seal(&mut self, closed: Closed, output: StageOutput) -> Result<usize> {
        let mut leaves = Vec::new();
        let mut inputs = Vec::new();
        let mut branches = Vec::new();
        for partial in closed.leaves {
            branches.push(partial.branches);
            leaves.push(partial.leaf);
            inputs.push(partial.rows);
        }
        let above = ClosedPlan::try_new(closed.plan, inputs, self.state)?;
        let stage = self.job.add_stage(Stage { leaves, above, output });
        for (leaf, branches) in branches.into_iter().enumerate() {
            for branch in branches {
                self.job.add_branch(branch, Target::Leaf { stage, leaf });
            }
        }
        Ok(stage)
    }

    fn aggregate(&mut self, plan: &LogicalPlan, aggregate: &logical::Aggregate) -> Result<Rel> {
        let input = self.plan(&aggregate.input)?;
        let keys = logical::utils::grouping_set_to_exprlist(&aggregate.group_expr)?;
        let (window, schema) = match &input {
            Rel::Stream(stream) => (stream.window.clone(), Arc::clone(&stream.schema)),
            Rel::Closed(closed) => {
                (Some(closed.window.clone()), Arc::clone(closed.plan.schema()))
            }
        };
        let Some(window) = window.filter(|w| w.has_bounds(&keys, &schema)) else {
            return refused(
                Operator::GroupBy,
                "a GROUP BY without a window would have to change rows already written",
                "group by window_start and window_end of \
                 TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE))",
            );
        };
        let owned: Vec<Expr> = keys.into_iter().cloned().collect();
        match input {
            Rel::Closed(closed) => above(plan, *closed, |w| w.through(&owned, &schema)),
            Rel::Stream(stream) => self.aggregate_leaf(stream, &window, aggregate, owned),
        }
    }

    /// Puts an aggregate's state where rows stop flowing.
    fn aggregate_leaf(
        &mut self,
        mut stream: Stream,
        window: &WindowColumns,
        aggregate: &logical::Aggregate,
        mut keys: Vec<Expr>,
    ) -> Result<Rel> {
        if let Some(Expr::GroupingSet(sets)) = aggregate.group_expr.first() {
            keys = self.expand(&mut stream, sets, keys)?;
        }
        let input = Arc::clone(&stream.schema);
        let mut columns = Vec::new();
        let mut key_exprs = Vec::new();
        let mut key_fields: Vec<Field> = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            let at = passed_on(key, &input);
            let is = |set: &BTreeSet<usize>| at.is_some_and(|i| set.contains(&i));
            columns.push(if is(&window.start) {
                AggregateColumn::WindowStart
            } else if is(&window.end) {
                AggregateColumn::WindowEnd
            } else if is(&window.time) {
                AggregateColumn::WindowTime
            } else {
                key_exprs.push(self.physical(key, &input)?);
                key_fields.push(aggregate.schema.field(i).as_ref().clone());
                AggregateColumn::Key(key_exprs.len() - 1)
            });
        }
        let functions = self.functions(aggregate, &input)?;
        columns.extend((0..functions.len()).map(AggregateColumn::Function));
        let rows = ClosedRows::new(&aggregate.schema);
        let leaf = Leaf {
            spec: window.spec.clone(),
            window_end: first(&window.end),
            schema: Arc::clone(rows.schema()),
            state: LeafState::Aggregate(Aggregate {
                keys: key_exprs,
                key_schema: Arc::new(Schema::new(key_fields)),
                functions,
                columns,
            }),
        };
        let window = window.through(&keys, &input);
        closed(stream.branches, leaf, rows, &aggregate.schema, window)
    }

    fn functions(
        &self,
        aggregate: &logical::Aggregate,
        input: &DFSchemaRef,
    ) -> Result<Vec<AggregateFunction>> {
        let arrow = arrow_schema(input);
        let context = PhysicalPlanningContext::default();
        let lower = |expr: &Expr| {
            let props = self.state.execution_props();
            let lowered =
                LoweredAggregateBuilder::new(expr, input, &arrow, props, &context).build()?;
            Ok(AggregateFunction { function: lowered.aggregate, filter: lowered.filter })
        };
        aggregate.aggr_expr.iter().map(lower).collect()
    }

    /// Repeats rows once per grouping set; the keys become columns of their
    /// own, so that an aggregate over the same column still sees its values.
    fn expand(
        &mut self,
        stream: &mut Stream,
        sets: &logical::GroupingSet,
        keys: Vec<Expr>,
    ) -> Result<Vec<Expr>> {
        let logical::GroupingSet::GroupingSets(sets) = sets else {
            return refused(Operator::GroupBy, "this grouping is not supported", "");
        };
        let input = Arc::clone(&stream.schema);
        let mut fields: Vec<_> =
            input.iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
        let mut expanded = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            use datafusion::logical_expr::ExprSchemable;
            let name = format!("__key{i}");
            let field = key.to_field(&input)?.1.as_ref().clone();
            fields.push((None, Arc::new(field.with_name(&name).with_nullable(true))));
            // The window's own columns are in every set: keep them recognizable.
            let is_window = passed_on(key, &input).is_some_and(|at| {
                let w = stream.window.as_ref();
                w.is_some_and(|w| [&w.start, &w.end, &w.time].iter().any(|s| s.contains(&at)))
            });
            expanded.push(if is_window { key.clone() } else { logical::col(name) });
        }
        let id_type = logical::Aggregate::grouping_id_type(keys.len(), 0);
        let id = logical::Aggregate::INTERNAL_GROUPING_ID;
        fields.push((None, Arc::new(Field::new(id, id_type.clone(), false))));
        expanded.push(logical::col(id));
        let schema = Arc::new(DFSchema::new_with_metadata(fields, Default::default())?);
        let arrow = arrow_schema(&schema);
        let make = || -> Result<Vec<Expansion>> {
            sets.iter().map(|set| self.expansion(set, &keys, &input, &id_type)).collect()
        };
        for branch in &mut stream.branches {
            branch.ops.push(Op::Expand { sets: make()?, schema: Arc::clone(&arrow) });
        }
        stream.schema = schema;
        Ok(expanded)
    }

    fn expansion(
        &self,
        set: &[Expr],
        keys: &[Expr],
        input: &DFSchemaRef,
        id_type: &arrow::datatypes::DataType,
    ) -> Result<Expansion> {
        use datafusion::logical_expr::ExprSchemable;
        let mut exprs = Vec::new();
        for (qualifier, field) in input.iter() {
            let column = datafusion::common::Column::new(qualifier.cloned(), field.name());
            exprs.push(self.physical(&Expr::Column(column), input)?);
        }
        let mut id = 0u64;
        for key in keys {
            let kept = set.contains(key);
            id = id << 1 | u64::from(!kept);
            exprs.push(if kept {
                self.physical(key, input)?
            } else {
                let null = ScalarValue::try_from(&key.get_type(input)?)?;
                Arc::new(Literal::new(null)) as Arc<dyn PhysicalExpr>
            });
        }
        let id = ScalarValue::UInt64(Some(id)).cast_to(id_type)?;
        exprs.push(Arc::new(Literal::new(id)));
        Ok(Expansion { exprs })
    }

    /// ROW_NUMBER and its like: over whole windows only.
    fn over(&mut self, plan: &LogicalPlan, window: &logical::Window) -> Result<Rel> {
        let closed = match self.plan(&window.input)? {
            Rel::Closed(closed) => *closed,
            Rel::Stream(stream) => match self.rows_leaf(stream) {
                Ok(closed) => closed,
                Err(_) => return unbounded_over(),
            },
        };
        let input = Arc::clone(closed.plan.schema());
        for expr in &window.window_expr {
            let Expr::WindowFunction(function) = unaliased(expr) else { continue };
            let keys: Vec<&Expr> = function.params.partition_by.iter().collect();
            if !closed.window.has_bounds(&keys, &input) {
                return unbounded_over();
            }
        }
        above(plan, closed, |window| window)
    }

    fn join(&mut self, join: &logical::Join) -> Result<Rel> {
        let left = self.plan(&join.left)?;
        let right = self.plan(&join.right)?;
        let (left, right) = match (self.close(left), self.close(right)) {
            (Ok(left), Ok(right)) => (left, right),
            _ => return unbounded_join(),
        };
        let (ls, rs) = (Arc::clone(left.plan.schema()), Arc::clone(right.plan.schema()));
        let equal = |a: &BTreeSet<usize>, b: &BTreeSet<usize>| {
            join.on.iter().any(|(l, r)| {
                passed_on(l, &ls).is_some_and(|i| a.contains(&i))
                    && passed_on(r, &rs).is_some_and(|i| b.contains(&i))
            })
        };
        let same = left.window.spec == right.window.spec;
        if !same
            || !equal(&left.window.start, &right.window.start)
            || !equal(&left.window.end, &right.window.end)
        {
            return unbounded_join();
        }
        let width = match join.join_type {
            logical::JoinType::LeftSemi | logical::JoinType::LeftAnti => None,
            logical::JoinType::RightSemi | logical::JoinType::RightAnti => Some(0),
            _ => Some(ls.fields().len()),
        };
        let mut window = match join.join_type {
            logical::JoinType::RightSemi | logical::JoinType::RightAnti => {
                right.window.map(|_| Vec::new())
            }
            _ => left.window.clone(),
        };
        if let Some(width) = width {
            let shifted = right.window.map(|i| vec![i + width]);
            window.start.extend(shifted.start);
            window.end.extend(shifted.end);
            window.time.extend(shifted.time);
        }
        let mut leaves = left.leaves;
        leaves.extend(right.leaves);
        let node = LogicalPlan::Join(join.clone());
        let plan = node.with_new_exprs(node.expressions(), vec![left.plan, right.plan])?;
        Ok(Rel::Closed(Box::new(Closed { plan, leaves, window })))
    }

    fn union(&mut self, union: &logical::Union) -> Result<Rel> {
        let mut streams = Vec::new();
        let mut closed = Vec::new();
        for input in &union.inputs {
            match self.plan(input)? {
                Rel::Stream(stream) => streams.push(stream),
                Rel::Closed(c) => closed.push(*c),
            }
        }
        if closed.is_empty() {
            return Ok(Rel::Stream(union_streams(streams, &union.schema)));
        }
        for stream in streams {
            closed.push(self.rows_leaf(stream)?);
        }
        let window = same_window(closed.iter().map(|c| Some(&c.window)));
        let Some(window) = window else {
            return refused(
                Operator::Query,
                "UNION ALL of different windows is not supported",
                "write each with an INSERT of its own",
            );
        };
        let mut leaves = Vec::new();
        let mut plans = Vec::new();
        for part in closed {
            leaves.extend(part.leaves);
            plans.push(part.plan);
        }
        let node = LogicalPlan::Union(union.clone());
        let plan = node.with_new_exprs(vec![], plans)?;
        Ok(Rel::Closed(Box::new(Closed { plan, leaves, window })))
    }

    fn close(&mut self, rel: Rel) -> Result<Closed> {
        match rel {
            Rel::Closed(closed) => Ok(*closed),
            Rel::Stream(stream) => self.rows_leaf(stream),
        }
    }

    /// Keeps the rows themselves until their window closes.
    fn rows_leaf(&mut self, stream: Stream) -> Result<Closed> {
        let Some(window) = stream.window.filter(|w| !w.end.is_empty()) else {
            return refused(
                Operator::Query,
                "this needs a window",
                "read TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE))",
            );
        };
        let rows = ClosedRows::new(&stream.schema);
        let leaf = Leaf {
            spec: window.spec.clone(),
            window_end: first(&window.end),
            state: LeafState::Rows,
            schema: Arc::clone(rows.schema()),
        };
        match closed(stream.branches, leaf, rows, &stream.schema, window)? {
            Rel::Closed(closed) => Ok(*closed),
            Rel::Stream(_) => unreachable!("`closed` makes closed rows"),
        }
    }
}

fn unbounded_over<T>() -> Result<T> {
    refused(
        Operator::Over,
        "OVER without a window in its PARTITION BY is not supported",
        "PARTITION BY window_start, window_end",
    )
}

fn unbounded_join<T>() -> Result<T> {
    refused(
        Operator::Join,
        "a join without a window would have to keep its rows for ever",
        "join on window_start and window_end of two equal windows",
    )
}

fn closed(
    branches: Vec<PartialBranch>,
    leaf: Leaf,
    rows: ClosedRows,
    schema: &DFSchemaRef,
    window: WindowColumns,
) -> Result<Rel> {
    let plan = rows.plan(schema)?;
    let leaves = vec![PartialLeaf { branches, leaf, rows }];
    Ok(Rel::Closed(Box::new(Closed { plan, leaves, window })))
}

/// `plan` put on top of what has closed.
fn above(
    plan: &LogicalPlan,
    closed: Closed,
    window: impl FnOnce(WindowColumns) -> WindowColumns,
) -> Result<Rel> {
    let plan = plan.with_new_exprs(plan.expressions(), vec![closed.plan])?;
    let window = window(closed.window);
    Ok(Rel::Closed(Box::new(Closed { plan, leaves: closed.leaves, window })))
}

fn union_streams(streams: Vec<Stream>, schema: &DFSchemaRef) -> Stream {
    let window = same_window(streams.iter().map(|s| s.window.as_ref()));
    let branches = streams.into_iter().flat_map(|s| s.branches).collect();
    Stream { branches, schema: Arc::clone(schema), window }
}

/// The window that all have, with the columns that all have it in.
fn same_window<'a>(
    windows: impl IntoIterator<Item = Option<&'a WindowColumns>>,
) -> Option<WindowColumns> {
    let both = |a: &BTreeSet<usize>, b: &BTreeSet<usize>| a.intersection(b).copied().collect();
    windows
        .into_iter()
        .map(Option::<&WindowColumns>::cloned)
        .reduce(|a, b| {
            let (a, b) = (a?, b?);
            (a.spec == b.spec).then(|| WindowColumns {
                spec: a.spec,
                start: both(&a.start, &b.start),
                end: both(&a.end, &b.end),
                time: both(&a.time, &b.time),
            })
        })
        .flatten()
}

fn unaliased(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => unaliased(&alias.expr),
        other => other,
    }
}

fn first(set: &BTreeSet<usize>) -> usize {
    *set.first().expect("a windowed stream has its window's columns")
}

fn arrow_schema(schema: &DFSchema) -> SchemaRef {
    Arc::clone(schema.inner())
}
