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
    Aggregate, AggregateColumn, AggregateFunction, AssignTo, AssignWindow, Expansion, Leaf,
    LeafState, Op, Sessions, Stage, StageOutput, Target,
};
use super::window::{AssignWindowNode, EventTimeNode, WindowKind, WindowSpec};

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

/// The window of some rows, and where its columns are among theirs.
#[derive(Debug, Clone)]
struct WindowColumns {
    spec: WindowSpec,
    start: BTreeSet<usize>,
    end: BTreeSet<usize>,
    time: BTreeSet<usize>,
    /// The columns of a session's PARTITION BY.
    partition: Vec<BTreeSet<usize>>,
    /// True once an expression was computed from the window's columns.
    computed_with: bool,
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
            partition: self.partition.iter().map(each).collect(),
            computed_with: self.computed_with,
        }
    }

    /// The three columns, wherever they are.
    fn contains(&self, column: usize) -> bool {
        [&self.start, &self.end, &self.time].iter().any(|set| set.contains(&column))
    }

    /// Notes whether `exprs` do more with the window's columns than pass them on.
    fn note(&mut self, exprs: &[Expr], input: &DFSchema) {
        let computes = |expr: &Expr| {
            passed_on(expr, input).is_none()
                && expr
                    .column_refs()
                    .iter()
                    .any(|c| input.maybe_index_of_column(c).is_some_and(|i| self.contains(i)))
        };
        self.computed_with |= exprs.iter().any(computes);
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
    match splitter.settled(plan)? {
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
                Rel::Stream(mut stream) => {
                    stream.put_on(plan);
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
                Ok(Rel::Stream(Stream::new(Vec::new(), schema)))
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
        match self.plan(&filter.input)? {
            Rel::Stream(mut stream) => {
                stream.put_on(plan);
                self.filter_stream(stream, &filter.predicate)
            }
            Rel::Closed(closed) => above(plan, *closed, |window| window),
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
                stream.put_on(plan);
                stream.schema = Arc::clone(&projection.schema);
                Ok(Rel::Stream(stream))
            }
            Rel::Closed(closed) => {
                let input = Arc::clone(closed.plan.schema());
                above(plan, *closed, |window| window.through(&projection.expr, &input))
            }
        }
    }

    fn assign_window(&mut self, node: &AssignWindowNode) -> Result<Rel> {
        let mut stream = match self.settled(&node.input)? {
            Rel::Stream(stream) => stream,
            Rel::Closed(closed) => self.next_stage(*closed)?,
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

    /// `plan` with the sessions of its rows known.
    fn settled(&mut self, plan: &LogicalPlan) -> Result<Rel> {
        match self.plan(plan)? {
            Rel::Stream(stream) if stream.session.is_some() => {
                Ok(Rel::Closed(Box::new(self.rows_leaf(stream)?)))
            }
            rel => Ok(rel),
        }
    }

    /// Ends a stage; its rows flow again.
    fn next_stage(&mut self, closed: Closed) -> Result<Stream> {
        let schema = Arc::clone(closed.plan.schema());
        let stage = self.seal(closed, StageOutput::Branches(Vec::new()))?;
        let branch = PartialBranch { input: PartialInput::Stage(stage), ops: Vec::new() };
        Ok(Stream::new(vec![branch], schema))
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
        if let Rel::Stream(Stream { session: Some(_), .. }) = &input {
            let sets = matches!(aggregate.group_expr.first(), Some(Expr::GroupingSet(_)));
            session_keys_agree(&window, &keys, &schema, sets)?;
        }
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
        let shared = Self::share_slices(&mut stream, window, aggregate);
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
        let key_schema = Arc::new(Schema::new(key_fields));
        let sessions = stream.session.is_some().then(|| Sessions {
            keys: key_exprs.clone(),
            key_schema: Arc::clone(&key_schema),
            time: first(&window.start),
        });
        let leaf = Leaf {
            spec: window.spec.clone(),
            window_end: first(&window.end),
            assigned_to: if shared { AssignTo::Slice } else { AssignTo::Windows },
            sessions,
            schema: Arc::clone(rows.schema()),
            state: LeafState::Aggregate(Aggregate {
                keys: key_exprs,
                key_schema,
                functions,
                columns,
            }),
        };
        let window = window.through(&keys, &input);
        closed(stream.branches, leaf, rows, &aggregate.schema, window)
    }

    /// Lets rows go to slices, where nothing but the window's aggregate asks for
    /// the windows that they are in. Says whether they do.
    fn share_slices(
        stream: &mut Stream,
        window: &WindowColumns,
        aggregate: &logical::Aggregate,
    ) -> bool {
        let mut window = window.clone();
        let keys = logical::utils::grouping_set_to_exprlist(&aggregate.group_expr);
        let keys: Vec<Expr> = keys.unwrap_or_default().into_iter().cloned().collect();
        window.note(&keys, &stream.schema);
        for function in &aggregate.aggr_expr {
            // Any use of the window's columns, even passed on as an argument.
            window.note(
                &[Expr::IsNotNull(Box::new(unaliased(function).clone()))],
                &stream.schema,
            );
        }
        if window.computed_with {
            return false;
        }
        for branch in &mut stream.branches {
            for op in &mut branch.ops {
                if let Op::AssignWindow(assign) = op {
                    assign.to = AssignTo::Slice;
                }
            }
        }
        true
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
                stream.window.as_ref().is_some_and(|window| window.contains(at))
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
            match self.settled(input)? {
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
    fn rows_leaf(&mut self, mut stream: Stream) -> Result<Closed> {
        let Some(window) = stream.window.filter(|w| !w.end.is_empty()) else {
            return refused(
                Operator::Query,
                "this needs a window",
                "read TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE))",
            );
        };
        let Some(session) = stream.session.take() else {
            return Self::keep_rows(stream.branches, &stream.schema, window, None);
        };
        let schema = &session.schema;
        let columns = session.window.partition.iter().map(first);
        let columns: Vec<Expr> = columns
            .map(|i| Expr::Column(datafusion::common::Column::from(schema.qualified_field(i))))
            .collect();
        let fields: Vec<_> =
            session.window.partition.iter().map(|p| schema.field(first(p)).clone()).collect();
        let sessions = Sessions {
            keys: self.physical_all(&columns, schema)?,
            key_schema: Arc::new(Schema::new(fields)),
            time: first(&session.window.start),
        };
        let mut branches = stream.branches;
        for (branch, ops) in branches.iter_mut().zip(&session.ops) {
            branch.ops.truncate(*ops);
        }
        let mut closed = Self::keep_rows(branches, schema, session.window, Some(sessions))?;
        for node in &session.nodes {
            closed.plan = node.with_new_exprs(node.expressions(), vec![closed.plan])?;
        }
        closed.window = window;
        Ok(closed)
    }

    fn keep_rows(
        branches: Vec<PartialBranch>,
        schema: &DFSchemaRef,
        window: WindowColumns,
        sessions: Option<Sessions>,
    ) -> Result<Closed> {
        let rows = ClosedRows::new(schema);
        let leaf = Leaf {
            spec: window.spec.clone(),
            window_end: first(&window.end),
            assigned_to: if sessions.is_some() { AssignTo::Slice } else { AssignTo::Windows },
            sessions,
            state: LeafState::Rows,
            schema: Arc::clone(rows.schema()),
        };
        match closed(branches, leaf, rows, schema, window)? {
            Rel::Closed(closed) => Ok(*closed),
            Rel::Stream(_) => unreachable!("`closed` makes closed rows"),
        }
    }
}

impl Stream {
    fn new(branches: Vec<PartialBranch>, schema: DFSchemaRef) -> Self {
        Self { branches, schema, window: None, session: None }
    }

    /// Remembers `node` for when the sessions of its rows are known.
    fn put_on(&mut self, node: &LogicalPlan) {
        if let Some(session) = &mut self.session {
            session.nodes.push(node.clone());
        }
    }
}

/// Flink forms sessions by the columns of PARTITION BY; an aggregate over them
/// must be by the same.
fn session_keys_agree(
    window: &WindowColumns,
    keys: &[&Expr],
    schema: &DFSchema,
    in_sets: bool,
) -> Result<()> {
    let columns: Vec<Option<usize>> = keys.iter().map(|key| passed_on(key, schema)).collect();
    let others = columns.iter().filter(|at| !at.is_some_and(|i| window.contains(i)));
    let is_partition = |at: &usize| window.partition.iter().any(|columns| columns.contains(at));
    let by_partition = others.clone().all(|at| at.as_ref().is_some_and(is_partition));
    let all = window.partition.iter().all(|p| columns.iter().flatten().any(|i| p.contains(i)));
    if by_partition && all && !in_sets {
        return Ok(());
    }
    refused(
        Operator::GroupBy,
        "an aggregate over SESSION must be by its window and the columns of PARTITION BY",
        "name the same columns in both: SESSION(TABLE t PARTITION BY (a, b), …) \
         and GROUP BY a, b, window_start, window_end",
    )
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
    Stream { window, ..Stream::new(branches, Arc::clone(schema)) }
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
                partition: Vec::new(),
                computed_with: a.computed_with || b.computed_with,
            })
        })
        .flatten()
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
