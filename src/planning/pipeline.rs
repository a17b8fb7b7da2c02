//! What a job consists of, as plain data that the engine runs.
//!
//! ```text
//! Scan ──> Branch (filter, project, assign windows) ──> Leaf ─┐
//! Scan ──> Branch ─────────────────────────────────────> Leaf ─┤ Stage: the plan above
//!                                                              └──> Sink, or the branches of
//!                                                                   the next stage
//! Scan ──> Branch ──────────────────────────────────────────────> Sink
//! ```
//!
//! A branch runs per batch, on every worker. A leaf keeps rows, or partial
//! aggregates of them, until their window closes. A stage's plan sees only
//! closed windows, so it is an ordinary bounded plan.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use datafusion::common::JoinType;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;

use super::closed_plan::ClosedPlan;
use super::keyed_rows::KeyedRows;
use super::window::{TimeKind, WindowSpec};
use crate::formats::{DecodingFormat, EncodingFormat};
use crate::sinks::Sink;
use crate::sources::files::FileTable;
use crate::sources::{MetadataKey, Source};

/// Everything that one `turnstile run` runs together.
#[derive(Debug)]
pub struct Job {
    pub name: String,
    pub scans: Vec<Scan>,
    pub branches: Vec<Branch>,
    /// In such an order that a stage's inputs come before it.
    pub stages: Vec<Stage>,
    pub outputs: Vec<Output>,
    /// The output for messages that cannot be read; `None`: they stop the job,
    /// or are left out, as their format says.
    pub dead_letters: Option<usize>,
    /// The output for rows that come too late; `None`: they are only counted.
    pub late_rows: Option<LateRows>,
    /// The session's time zone, `table.local-time-zone`.
    pub time_zone: String,
}

impl Job {
    /// True if the job ends by itself.
    pub fn is_bounded(&self) -> bool {
        self.scans.iter().all(|scan| scan.source.is_bounded())
    }
}

/// A table that is read, once, for every query of the job that needs it.
#[derive(Debug)]
pub struct Scan {
    pub table: String,
    pub connector: &'static str,
    pub source: Arc<dyn Source>,
    /// What decodes the payload, and the columns wanted of it.
    pub value: Option<ScanFormat>,
    /// What decodes the key, likewise.
    pub key: Option<ScanFormat>,
    /// For a source that makes rows itself: the physical columns wanted.
    pub row_projection: Vec<usize>,
    /// Where each column of `schema` comes from.
    pub columns: Vec<ScanColumn>,
    pub schema: SchemaRef,
    pub watermark: Option<Watermark>,
    pub idle_timeout: Option<Duration>,
}

#[derive(Debug)]
pub struct ScanFormat {
    pub format: Arc<dyn DecodingFormat>,
    /// Indexes into the columns that the format was bound with, ascending.
    pub projection: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanColumn {
    /// Column `i` of what the value's format decodes.
    Value(usize),
    /// Column `i` of what the key's format decodes.
    Key(usize),
    Metadata(MetadataKey),
    /// Column `i` of the rows that the source makes itself.
    Row(usize),
}

/// `WATERMARK FOR column AS expr`.
#[derive(Debug)]
pub struct Watermark {
    pub column: String,
    /// Over the scan's columns; a timestamp.
    pub expr: Arc<dyn PhysicalExpr>,
    /// Over the scan's columns: the event time itself.
    pub event_time: Arc<dyn PhysicalExpr>,
    /// The expression as written.
    pub text: String,
    pub null_handling: NullEventTime,
}

/// What becomes of a row whose event time is NULL:
/// `table.exec.source.rowtime-null-handling`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NullEventTime {
    /// It stops the job.
    #[default]
    Fail,
    /// It is left out and counted with the messages that could not be decoded.
    Drop,
}

/// The streaming part of a plan: row by row, batch by batch.
#[derive(Debug)]
pub struct Branch {
    pub input: Input,
    pub ops: Vec<Op>,
    pub target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    Scan(usize),
    /// The rows of the windows that a stage closed.
    Stage(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Leaf { stage: usize, leaf: usize },
    Output(usize),
}

#[derive(Debug)]
pub enum Op {
    /// Keeps the columns at these indexes.
    Select {
        indexes: Vec<usize>,
        schema: SchemaRef,
    },
    Filter(Arc<dyn PhysicalExpr>),
    Project {
        exprs: Vec<Arc<dyn PhysicalExpr>>,
        schema: SchemaRef,
    },
    /// Appends window_start, window_end and window_time: a row for each of its
    /// windows, or one for its slice.
    AssignWindow(AssignWindow),
    Unnest(Unnest),
    /// Repeats each row once per grouping set: a set is, for each column,
    /// whether it is kept or made NULL. The set's number is appended.
    Expand {
        sets: Vec<Expansion>,
        schema: SchemaRef,
    },
    Lookup(Arc<Lookup>),
}

/// Joins each row with the rows that a table holds, whose columns are appended.
#[derive(Debug)]
pub struct Lookup {
    /// What is looked up in.
    pub files: Vec<Arc<FileTable>>,
    pub table: KeyedRows,
    /// Over the rows; equal to the table's keys where they meet.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Over the columns of both; what more must hold.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
    /// Whether a row that meets none stays, with NULLs.
    pub outer: bool,
    pub schema: SchemaRef,
}

/// Repeats each row once per element of an array or map, whose columns are
/// appended.
#[derive(Debug)]
pub struct Unnest {
    pub list: Arc<dyn PhysicalExpr>,
    /// Whether a row without an element stays, with NULLs.
    pub outer: bool,
    pub schema: SchemaRef,
}

/// One grouping set: the expressions of the output row.
#[derive(Debug)]
pub struct Expansion {
    pub exprs: Vec<Arc<dyn PhysicalExpr>>,
}

#[derive(Debug)]
pub struct AssignWindow {
    pub spec: WindowSpec,
    /// Index of the event-time column.
    pub time_column: usize,
    pub to: AssignTo,
    pub schema: SchemaRef,
}

/// What a row is given the bounds of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AssignTo {
    /// Each of its windows: a row comes out once per window.
    Windows,
    /// Its slice: window_end is the slice's end, window_start the row's own
    /// wall time; window_time has no meaning.
    Slice,
}

/// Where rows of several workers meet.
#[derive(Debug)]
pub struct Stage {
    pub leaves: Vec<Leaf>,
    pub work: StageWork,
    pub output: StageOutput,
}

/// What becomes of the rows.
#[derive(Debug)]
pub enum StageWork {
    /// Windows that close together run through the plan above them.
    Windows(ClosedPlan),
    IntervalJoin(IntervalJoin),
    KeepFirst(KeepFirst),
}

impl Stage {
    /// How far behind its own watermark the rows may be that it gives on, in
    /// milliseconds.
    pub fn delay_ms(&self) -> i64 {
        match &self.work {
            StageWork::IntervalJoin(join) => join.reach_ms.into_iter().fold(0, i64::max),
            StageWork::Windows(_) | StageWork::KeepFirst(_) => 0,
        }
    }

    /// True if the machine's clock closes its windows.
    pub fn by_clock(&self) -> bool {
        self.leaves.iter().any(|leaf| leaf.spec.time == TimeKind::Processing)
    }

    /// True if every worker is asked for what it has whenever something is due.
    pub fn takes_all(&self) -> bool {
        !matches!(self.work, StageWork::Windows(_))
            || self.leaves.iter().any(|leaf| leaf.sessions().is_some())
    }
}

/// A join of rows whose times lie within bounds of each other. The sides are
/// the stage's two leaves; the right row's time minus the left row's is at
/// most `reach_ms[0]` and at least `-reach_ms[1]`.
#[derive(Debug)]
pub struct IntervalJoin {
    pub join_type: JoinType,
    /// Index of the time column of either side.
    pub times: [usize; 2],
    /// For how long after a row's own time rows of the other side may match.
    pub reach_ms: [i64; 2],
    /// The inner join of some rows of either side. Behind a side's columns its
    /// input and its output have two more: the row's number, and the time in
    /// microseconds that a row of the other side must have at least, which is
    /// what the row's own watermark still allowed.
    pub pairs: ClosedPlan,
    /// The join's own columns, left before right.
    pub schema: SchemaRef,
}

/// Of all rows with the same key only the one with the least time.
#[derive(Debug)]
pub struct KeepFirst {
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    /// Index of the time column.
    pub time: usize,
    /// How long a key is remembered by the machine's clock; `None`: for ever.
    pub state_ttl: Option<Duration>,
    pub schema: SchemaRef,
}

/// Where a stage's rows go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageOutput {
    Output(usize),
    /// Indexes of the branches that read it.
    Branches(Vec<usize>),
}

/// What is kept of a window's rows until it closes.
#[derive(Debug)]
pub struct Leaf {
    pub spec: WindowSpec,
    /// Index of window_end among the columns of the rows that arrive; `None`
    /// where all rows wait for the end of the input.
    pub window_end: Option<usize>,
    /// Whether rows arrive once per window or once per slice.
    pub assigned_to: AssignTo,
    pub gathers: Gathering,
    /// For rows that are kept: whether their split and their place among its
    /// rows are kept too, as two columns behind.
    pub places: bool,
    /// Whether it matters in which order rows come: those of a split are then
    /// kept apart from those of others, which are behind them.
    pub in_order: bool,
    pub state: LeafState,
    /// What the leaf hands to the plan above.
    pub schema: SchemaRef,
}

impl Leaf {
    /// One that hands rows over as they come.
    pub fn passing(schema: SchemaRef) -> Self {
        Self {
            spec: WindowSpec::whole(),
            window_end: None,
            assigned_to: AssignTo::Windows,
            gathers: Gathering::AsTheyCome,
            places: false,
            in_order: false,
            state: LeafState::Rows,
            schema,
        }
    }

    pub fn sessions(&self) -> Option<&Sessions> {
        match &self.gathers {
            Gathering::Sessions(sessions) => Some(sessions),
            Gathering::Slices | Gathering::AsTheyCome => None,
        }
    }
}

/// How rows wait for what becomes of them.
#[derive(Debug)]
pub enum Gathering {
    /// By slice of time.
    Slices,
    Sessions(Sessions),
    /// In no order, with what each is judged by.
    AsTheyCome,
}

/// What sessions are made of.
#[derive(Debug)]
pub struct Sessions {
    /// Whether late rows are wanted themselves, not only their number.
    pub keeps_late_rows: bool,
    /// Rows with equal values of these share sessions: the keys of the
    /// aggregate, or the columns of PARTITION BY.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    pub key_schema: SchemaRef,
    /// Index of the row's own wall time among the columns of the rows that
    /// arrive.
    pub time: usize,
}

#[derive(Debug)]
pub enum LeafState {
    /// Partial aggregates, by key.
    Aggregate(Aggregate),
    /// The rows themselves.
    Rows,
}

#[derive(Debug)]
pub struct Aggregate {
    /// The grouping expressions without the window's own columns, over the
    /// rows that arrive.
    pub keys: Vec<Arc<dyn PhysicalExpr>>,
    pub key_schema: SchemaRef,
    pub functions: Vec<AggregateFunction>,
    /// What the columns of the leaf's schema are.
    pub columns: Vec<AggregateColumn>,
}

#[derive(Debug)]
pub struct AggregateFunction {
    pub function: Arc<AggregateFunctionExpr>,
    /// `FILTER (WHERE …)`.
    pub filter: Option<Arc<dyn PhysicalExpr>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateColumn {
    WindowStart,
    WindowEnd,
    WindowTime,
    Key(usize),
    Function(usize),
}

/// Where late rows go.
#[derive(Debug)]
pub struct LateRows {
    pub output: usize,
    /// By stage and leaf, how their rows are told.
    pub leaves: Vec<Vec<LateLeaf>>,
}

#[derive(Debug)]
pub struct LateLeaf {
    /// The sink that the rows would have reached.
    pub sink: String,
    /// Writes a row as text.
    pub format: Arc<dyn EncodingFormat>,
}

/// A table that is written.
#[derive(Debug)]
pub struct Output {
    pub table: String,
    pub connector: String,
    pub sink: Arc<dyn Sink>,
    pub schema: SchemaRef,
}
