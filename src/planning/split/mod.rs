//! Cuts an optimized plan at its windows: the streaming part below, what a
//! window keeps, and the bounded plan above.
//!
//! One walk from the scans up. Below a window rows are a [`Stream`]: branches
//! of operators that run per batch. The first operator that needs a whole
//! window (an aggregate with the window in its key, a join, a ROW_NUMBER) puts
//! a leaf there, and from then on the plan is [`Closed`]. A window function over
//! closed rows starts the next stage. Where every input ends, what has no window
//! waits for the end of them all.

mod aggregate;
mod interval_join;
mod join;
mod keep_first;
mod lookup;
mod over;
mod window_columns;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, DataFusionError};
use datafusion::execution::SessionState;
use datafusion::logical_expr::{self as logical, Expr, LogicalPlan};
use datafusion::physical_expr::PhysicalExpr;

use super::catalog::ScanSource;
use super::closed_plan::{ClosedPlan, ClosedRows};
use super::event_time::passed_on;
use super::job::{JobBuilder, PartialBranch, PartialInput};
use super::lookup::LookupNode;
use super::pipeline::{
    AssignTo, AssignWindow, Gathering, Leaf, LeafState, Op, Sessions, Stage, StageOutput,
    StageWork, Target, Unnest,
};
use super::unnest::UnnestNode;
use super::window::{AssignWindowNode, EventTimeNode, WindowKind, WindowSpec};
use window_columns::{WindowColumns, same_window};

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

pub type Result<T> = std::result::Result<T, SplitError>;

pub fn refused<T>(operator: Operator, message: &str, hint: &str) -> Result<T> {
    let (message, hint) = (message.to_owned(), hint.to_owned());
    Err(SplitError::Refused { operator, message, hint })
}

/// Rows that flow, batch by batch.
struct Stream {
    branches: Vec<PartialBranch>,
    schema: DFSchemaRef,
    window: Option<WindowColumns>,
    /// Columns that the watermark speaks of.
    times: BTreeSet<usize>,
    /// Present while the rows' sessions are not known yet.
    session: Option<Box<OpenSession>>,
}

/// What was put on rows whose sessions are not known yet. Over an aggregate it
/// runs before sessions form, as in Flink; else sessions come first.
struct OpenSession {
    /// How many operators each branch had when its window was assigned, that
    /// one included.
    ops: Vec<usize>,
    schema: DFSchemaRef,
    window: WindowColumns,
    nodes: Vec<LogicalPlan>,
}

/// Rows of windows that have closed.
struct Closed {
    plan: LogicalPlan,
    leaves: Vec<PartialLeaf>,
    /// `None`: all rows of inputs that have ended.
    window: Option<WindowColumns>,
}

struct PartialLeaf {
    branches: Vec<PartialBranch>,
    leaf: Leaf,
    rows: ClosedRows,
}

enum Rel {
    Stream(Stream),
    Closed(Closed),
}

/// Whether every table that `plan` reads ends.
pub fn is_bounded(plan: &LogicalPlan) -> Result<bool> {
    let mut bounded = true;
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            bounded &= scan.source.downcast_ref::<ScanSource>().is_none_or(|s| s.bounded);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(bounded)
}

/// Splits `plan` into `job`, its rows going to output `output`.
pub fn split(
    plan: &LogicalPlan,
    output: usize,
    state: &SessionState,
    options: SplitOptions,
    job: &mut JobBuilder,
) -> Result<()> {
    let SplitOptions { may_wait_for_end, state_ttl } = options;
    let mut splitter = Splitter { state, may_wait_for_end, state_ttl, job };
    match splitter.settled(plan)? {
        Rel::Stream(stream) => {
            for branch in stream.branches {
                splitter.job.add_branch(branch, Target::Output(output));
            }
        }
        Rel::Closed(closed) => {
            splitter.seal(closed, StageOutput::Output(output))?;
        }
    }
    Ok(())
}

/// What a script's settings say about the split.
#[derive(Debug, Clone, Copy)]
pub struct SplitOptions {
    /// An operator without a window waits for the end of its inputs; else it is
    /// refused.
    pub may_wait_for_end: bool,
    /// `table.exec.state.ttl`.
    pub state_ttl: Option<Duration>,
}

struct Splitter<'a> {
    state: &'a SessionState,
    may_wait_for_end: bool,
    state_ttl: Option<Duration>,
    job: &'a mut JobBuilder,
}

impl Splitter<'_> {
    fn plan(&mut self, plan: &LogicalPlan) -> Result<Rel> {
        match plan {
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::Projection(projection) => self.projection(plan, projection),
            LogicalPlan::Filter(filter) => self.filter(plan, filter),
            LogicalPlan::SubqueryAlias(alias) => match self.plan(&alias.input)? {
                Rel::Stream(mut stream) => {
                    stream.put_on(plan);
                    Ok(Rel::Stream(Stream { schema: Arc::clone(&alias.schema), ..stream }))
                }
                Rel::Closed(closed) => above(plan, closed, |window| window),
            },
            LogicalPlan::Extension(extension) => {
                let node = extension.node.as_any();
                if let Some(node) = node.downcast_ref::<EventTimeNode>() {
                    let mut rel = self.plan(&node.input)?;
                    if let Rel::Stream(stream) = &mut rel {
                        let time = stream.schema.index_of_column_by_name(None, &node.column);
                        stream.times.extend(time);
                    }
                    Ok(rel)
                } else if let Some(node) = node.downcast_ref::<AssignWindowNode>() {
                    self.assign_window(node)
                } else if let Some(node) = node.downcast_ref::<UnnestNode>() {
                    self.unnest(node)
                } else if let Some(node) = node.downcast_ref::<LookupNode>() {
                    self.plan(&node.input)
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
                Ok(Rel::Stream(Stream::new(Vec::new(), schema)))
            }
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => {
                let closed = Closed { plan: plan.clone(), leaves: Vec::new(), window: None };
                Ok(Rel::Closed(closed))
            }
            LogicalPlan::Sort(logical::Sort { input, .. })
            | LogicalPlan::Limit(logical::Limit { input, .. })
                if self.may_wait_for_end =>
            {
                let input = self.plan(input)?;
                above(plan, self.whole(input)?, |window| window)
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
        if ClosedRows::files_of(scan).is_some() {
            let plan = LogicalPlan::TableScan(scan.clone());
            return Ok(Rel::Closed(Closed { plan, leaves: Vec::new(), window: None }));
        }
        let source = scan.source.downcast_ref::<ScanSource>();
        let source = source.expect("the catalog has streams and files alone");
        let width = source.schema_width();
        let columns = scan.projection.clone().unwrap_or_else(|| (0..width).collect());
        self.job.need(&source.table, &columns);
        let input = PartialInput::Scan { table: source.table.clone(), columns };
        let branch = PartialBranch { input, ops: Vec::new() };
        let schema = Arc::clone(&scan.projected_schema);
        let stream = Stream::new(vec![branch], schema);
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
        if let Some(kept) = self.keep_first(filter)? {
            return Ok(kept);
        }
        match self.plan(&filter.input)? {
            Rel::Stream(mut stream) => {
                stream.put_on(plan);
                self.filter_stream(stream, &filter.predicate)
            }
            Rel::Closed(closed) => above(plan, closed, |window| window),
        }
    }

    fn filter_stream(&mut self, mut stream: Stream, predicate: &Expr) -> Result<Rel> {
        if let Some(window) = &mut stream.window {
            window.note(std::slice::from_ref(predicate), &stream.schema);
        }
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
                stream.put_on(plan);
                self.project_stream(stream, projection).map(Rel::Stream)
            }
            Rel::Closed(closed) => {
                let input = Arc::clone(closed.plan.schema());
                above(plan, closed, |window| window.through(&projection.expr, &input))
            }
        }
    }

    fn project_stream(
        &mut self,
        mut stream: Stream,
        projection: &logical::Projection,
    ) -> Result<Stream> {
        let exprs = self.physical_all(&projection.expr, &stream.schema)?;
        let schema = arrow_schema(&projection.schema);
        Self::push(&mut stream, || Op::Project {
            exprs: exprs.clone(),
            schema: Arc::clone(&schema),
        });
        if let Some(window) = &mut stream.window {
            window.note(&projection.expr, &stream.schema);
            *window = window.through(&projection.expr, &stream.schema);
        }
        let passes = |i: &usize| {
            let at = passed_on(&projection.expr[*i], &stream.schema);
            at.is_some_and(|at| stream.times.contains(&at))
        };
        stream.times = (0..projection.expr.len()).filter(passes).collect();
        stream.schema = Arc::clone(&projection.schema);
        Ok(stream)
    }

    fn assign_window(&mut self, node: &AssignWindowNode) -> Result<Rel> {
        let mut stream = match self.settled(&node.input)? {
            Rel::Stream(stream) => stream,
            Rel::Closed(closed) => self.next_stage(closed)?,
        };
        let schema = logical::UserDefinedLogicalNodeCore::schema(node);
        let index = |name: &String| {
            let index = stream.schema.index_of_column_by_name(None, name);
            index.expect("the node was planned over this column")
        };
        let time_column = index(&node.time_column);
        let partition = node.partition_by.iter().map(|name| [index(name)].into()).collect();
        let width = stream.schema.fields().len();
        let arrow = arrow_schema(schema);
        let is_session = matches!(node.spec.kind, WindowKind::Session { .. });
        let to = if is_session { AssignTo::Slice } else { AssignTo::Windows };
        Self::push(&mut stream, || {
            Op::AssignWindow(AssignWindow {
                spec: node.spec.clone(),
                time_column,
                to,
                schema: Arc::clone(&arrow),
            })
        });
        stream.schema = Arc::clone(schema);
        stream.times.insert(width + 2);
        let window = WindowColumns {
            spec: node.spec.clone(),
            start: [width].into(),
            end: [width + 1].into(),
            time: [width + 2].into(),
            partition,
            computed_with: false,
        };
        stream.session = is_session.then(|| {
            Box::new(OpenSession {
                ops: stream.branches.iter().map(|b| b.ops.len()).collect(),
                schema: Arc::clone(schema),
                window: window.clone(),
                nodes: Vec::new(),
            })
        });
        stream.window = Some(window);
        Ok(Rel::Stream(stream))
    }

    fn unnest(&mut self, node: &UnnestNode) -> Result<Rel> {
        let input = self.plan(&node.input)?;
        let mut stream = self.flowing(input)?;
        let list = self.physical(&node.list, &stream.schema)?;
        let schema = logical::UserDefinedLogicalNodeCore::schema(node);
        let arrow = arrow_schema(schema);
        Self::push(&mut stream, || {
            Op::Unnest(Unnest {
                list: Arc::clone(&list),
                outer: node.outer,
                schema: Arc::clone(&arrow),
            })
        });
        stream.schema = Arc::clone(schema);
        Ok(Rel::Stream(stream))
    }

    /// `plan` with the sessions of its rows known.
    fn settled(&mut self, plan: &LogicalPlan) -> Result<Rel> {
        match self.plan(plan)? {
            Rel::Stream(stream) if stream.session.is_some() => {
                Ok(Rel::Closed(self.rows_leaf(stream)?))
            }
            rel => Ok(rel),
        }
    }

    /// Ends a stage; its rows flow again.
    fn next_stage(&mut self, closed: Closed) -> Result<Stream> {
        let schema = Arc::clone(closed.plan.schema());
        let times = closed.times();
        let stage = self.seal(closed, StageOutput::Branches(Vec::new()))?;
        Ok(Stream { times, ..Self::from_stage(stage, schema) })
    }

    fn from_stage(stage: usize, schema: DFSchemaRef) -> Stream {
        let branch = PartialBranch { input: PartialInput::Stage(stage), ops: Vec::new() };
        Stream::new(vec![branch], schema)
    }

    /// `rel` as rows that flow.
    fn flowing(&mut self, rel: Rel) -> Result<Stream> {
        match rel {
            Rel::Closed(closed) => self.next_stage(closed),
            Rel::Stream(stream) if stream.session.is_some() => {
                let closed = self.rows_leaf(stream)?;
                self.next_stage(closed)
            }
            Rel::Stream(stream) => Ok(stream),
        }
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
        let work = StageWork::Windows(above);
        Ok(self.add_stage(Stage { leaves, work, output }, branches))
    }

    /// Adds a stage whose leaves are fed by `branches`.
    fn add_stage(&mut self, stage: Stage, branches: Vec<Vec<PartialBranch>>) -> usize {
        let stage = self.job.add_stage(stage);
        for (leaf, branches) in branches.into_iter().enumerate() {
            for branch in branches {
                self.job.add_branch(branch, Target::Leaf { stage, leaf });
            }
        }
        stage
    }

    fn aggregate(&mut self, plan: &LogicalPlan, aggregate: &logical::Aggregate) -> Result<Rel> {
        let input = self.plan(&aggregate.input)?;
        let keys = logical::utils::grouping_set_to_exprlist(&aggregate.group_expr)?;
        let (window, schema) = match &input {
            Rel::Stream(stream) => (stream.window.clone(), Arc::clone(&stream.schema)),
            Rel::Closed(closed) => (closed.window.clone(), Arc::clone(closed.plan.schema())),
        };
        let Some(window) = window.filter(|w| w.has_bounds(&keys, &schema)) else {
            return self.aggregate_of_all(plan, aggregate, input);
        };
        if let Rel::Stream(Stream { session: Some(_), .. }) = &input {
            let sets = matches!(aggregate.group_expr.first(), Some(Expr::GroupingSet(_)));
            aggregate::session_keys_agree(&window, &keys, &schema, sets)?;
        }
        let owned: Vec<Expr> = keys.into_iter().cloned().collect();
        match input {
            Rel::Closed(closed) => above(plan, closed, |w| w.through(&owned, &schema)),
            Rel::Stream(stream) => self.aggregate_leaf(stream, Some(&window), aggregate, owned),
        }
    }

    /// An aggregate without a window: over closed rows, or at the end.
    fn aggregate_of_all(
        &mut self,
        plan: &LogicalPlan,
        aggregate: &logical::Aggregate,
        input: Rel,
    ) -> Result<Rel> {
        match input {
            Rel::Closed(closed) if closed.window.is_none() => above(plan, closed, |w| w),
            Rel::Stream(stream) if self.may_wait_for_end && stream.session.is_none() => {
                let keys = logical::utils::grouping_set_to_exprlist(&aggregate.group_expr)?;
                let keys = keys.into_iter().cloned().collect();
                self.aggregate_leaf(stream, None, aggregate, keys)
            }
            input if self.may_wait_for_end => above(plan, self.whole(input)?, |w| w),
            _ => refused(
                Operator::GroupBy,
                "a GROUP BY without a window would have to change rows already written",
                "group by window_start and window_end of \
                 TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE))",
            ),
        }
    }

    /// UNION ALL: of the same window on closed rows, else row by row.
    fn union(&mut self, union: &logical::Union) -> Result<Rel> {
        let inputs = union.inputs.iter().map(|input| self.settled(input));
        let inputs = inputs.collect::<Result<Vec<_>>>()?;
        let window = same_window(inputs.iter().map(Rel::window));
        let any_closed = inputs.iter().any(|rel| matches!(rel, Rel::Closed(_)));
        let all_ended =
            inputs.iter().all(|rel| matches!(rel, Rel::Closed(c) if c.window.is_none()));
        if !any_closed || !(window.is_some() || all_ended) {
            let mut streams = Vec::new();
            for input in inputs {
                streams.push(match input {
                    Rel::Stream(stream) => stream,
                    Rel::Closed(closed) => self.next_stage(closed)?,
                });
            }
            return Ok(Rel::Stream(union_streams(streams, &union.schema)));
        }
        let (mut leaves, mut plans) = (Vec::new(), Vec::new());
        for input in inputs {
            let closed = self.close(input)?;
            leaves.extend(closed.leaves);
            plans.push(closed.plan);
        }
        let node = LogicalPlan::Union(union.clone());
        let plan = node.with_new_exprs(vec![], plans)?;
        Ok(Rel::Closed(Closed { plan, leaves, window }))
    }

    /// `rel` as rows of closed windows, or of inputs that have ended.
    fn close(&mut self, rel: Rel) -> Result<Closed> {
        match rel {
            Rel::Closed(closed) => Ok(closed),
            Rel::Stream(stream) => self.rows_leaf(stream),
        }
    }

    /// All rows of `rel`, once its inputs have ended.
    fn whole(&mut self, rel: Rel) -> Result<Closed> {
        let stream = match rel {
            Rel::Closed(closed) if closed.window.is_none() => return Ok(closed),
            rel => self.flowing(rel)?,
        };
        keep_rows(stream.branches, &stream.schema, None, None, Places::Forgotten)
    }

    /// Keeps the rows themselves until their window closes.
    fn rows_leaf(&mut self, mut stream: Stream) -> Result<Closed> {
        match stream.session.take() {
            Some(session) => self.session_rows(stream, *session, Places::Forgotten),
            None => match stream.window.filter(|w| !w.end.is_empty()) {
                Some(window) => {
                    let (branches, schema) = (stream.branches, &stream.schema);
                    keep_rows(branches, schema, Some(window), None, Places::Forgotten)
                }
                None => refused(
                    Operator::Query,
                    "this needs a window",
                    "read TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE))",
                ),
            },
        }
    }

    /// Keeps rows until their session closes; what had been put on them comes
    /// after that.
    fn session_rows(
        &mut self,
        stream: Stream,
        session: OpenSession,
        places: Places,
    ) -> Result<Closed> {
        let schema = &session.schema;
        let columns = session.window.partition.iter().map(first);
        let columns: Vec<Expr> = columns
            .map(|i| Expr::Column(datafusion::common::Column::from(schema.qualified_field(i))))
            .collect();
        let fields: Vec<_> =
            session.window.partition.iter().map(|p| schema.field(first(p)).clone()).collect();
        let sessions = Sessions {
            keeps_late_rows: false,
            keys: self.physical_all(&columns, schema)?,
            key_schema: Arc::new(Schema::new(fields)),
            time: first(&session.window.start),
        };
        let mut branches = stream.branches;
        for (branch, ops) in branches.iter_mut().zip(&session.ops) {
            branch.ops.truncate(*ops);
        }
        let window = Some(session.window);
        let mut closed = keep_rows(branches, schema, window, Some(sessions), places)?;
        for node in &session.nodes {
            let mut exprs = node.expressions();
            if let (LogicalPlan::Projection(_), Places::Kept) = (node, places) {
                exprs.extend(over::place_columns());
            }
            closed.plan = node.with_new_exprs(exprs, vec![closed.plan])?;
        }
        closed.window = stream.window;
        Ok(closed)
    }
}

/// Whether rows that are kept come with their places in their log, in columns
/// behind their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Places {
    Kept,
    Forgotten,
}

/// A leaf that keeps rows of `schema` until their window closes, or to the end.
fn keep_rows(
    branches: Vec<PartialBranch>,
    schema: &DFSchemaRef,
    window: Option<WindowColumns>,
    sessions: Option<Sessions>,
    places: Places,
) -> Result<Closed> {
    let schema = match places {
        Places::Kept => &over::with_places(schema)?,
        Places::Forgotten => schema,
    };
    let rows = ClosedRows::new(schema);
    let leaf = Leaf {
        spec: window.as_ref().map_or_else(WindowSpec::whole, |w| w.spec.clone()),
        window_end: window.as_ref().map(|w| first(&w.end)),
        assigned_to: if sessions.is_some() { AssignTo::Slice } else { AssignTo::Windows },
        gathers: sessions.map_or(Gathering::Slices, Gathering::Sessions),
        places: places == Places::Kept,
        in_order: false,
        state: LeafState::Rows,
        schema: Arc::clone(rows.schema()),
    };
    closed(branches, leaf, rows, schema, window)
}

impl Rel {
    fn window(&self) -> Option<&WindowColumns> {
        match self {
            Rel::Stream(stream) => stream.window.as_ref(),
            Rel::Closed(closed) => closed.window.as_ref(),
        }
    }
}

impl Stream {
    fn new(branches: Vec<PartialBranch>, schema: DFSchemaRef) -> Self {
        Self { branches, schema, window: None, times: BTreeSet::new(), session: None }
    }

    /// Remembers `node` for when the sessions of its rows are known.
    fn put_on(&mut self, node: &LogicalPlan) {
        if let Some(session) = &mut self.session {
            session.nodes.push(node.clone());
        }
    }
}

fn closed(
    branches: Vec<PartialBranch>,
    leaf: Leaf,
    rows: ClosedRows,
    schema: &DFSchemaRef,
    window: Option<WindowColumns>,
) -> Result<Closed> {
    let plan = rows.plan(schema)?;
    let leaves = vec![PartialLeaf { branches, leaf, rows }];
    Ok(Closed { plan, leaves, window })
}

/// `plan` put on top of what has closed.
fn above(
    plan: &LogicalPlan,
    closed: Closed,
    window: impl FnOnce(WindowColumns) -> WindowColumns,
) -> Result<Rel> {
    let plan = plan.with_new_exprs(plan.expressions(), vec![closed.plan])?;
    let window = closed.window.map(window);
    Ok(Rel::Closed(Closed { plan, leaves: closed.leaves, window }))
}

fn union_streams(streams: Vec<Stream>, schema: &DFSchemaRef) -> Stream {
    let window = same_window(streams.iter().map(|s| s.window.as_ref()));
    let times = streams.iter().map(|s| s.times.clone()).reduce(|a, b| &a & &b);
    let branches = streams.into_iter().flat_map(|s| s.branches).collect();
    let times = times.unwrap_or_default();
    Stream { window, times, ..Stream::new(branches, Arc::clone(schema)) }
}

pub fn unaliased(expr: &Expr) -> &Expr {
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
