//! Window table functions: which windows a row belongs to, as a logical node
//! above its input and as plain arithmetic.
//!
//! `TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '5' MINUTE)` gives every row of
//! `t` with three more columns: window_start, window_end (TIMESTAMP(3), in the
//! session's wall time where `ts` is a TIMESTAMP_LTZ) and window_time, the
//! window's last millisecond, which is a time attribute again.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/window-tvf/>

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion::common::{DFSchema, DFSchemaRef, Result};
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::times::WallTime;
use crate::types::{FLINK_TYPE, SqlType};

pub const WINDOW_START: &str = "window_start";
pub const WINDOW_END: &str = "window_end";
pub const WINDOW_TIME: &str = "window_time";

/// The windows of a window table function. All numbers are milliseconds of the
/// event-time column's own scale: of wall time for a TIMESTAMP_LTZ.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WindowSpec {
    pub kind: WindowKind,
    pub time: TimeKind,
    /// How wall time and instants relate.
    pub wall_time: WallTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// One window after the other.
    Tumble { size_ms: i64, offset_ms: i64 },
    /// A window of `size_ms` every `slide_ms`; the size is a multiple of the slide.
    Hop { size_ms: i64, slide_ms: i64, offset_ms: i64 },
    /// Windows that start together and end every `step_ms`, up to `size_ms`, a
    /// multiple of the step.
    Cumulate { size_ms: i64, step_ms: i64, offset_ms: i64 },
    /// Rows of one key with at most `gap_ms` between neighbours.
    Session { gap_ms: i64 },
    /// All rows of an input that ends.
    Whole,
}

/// What moves time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TimeKind {
    /// The watermark, which rows bring along.
    Event,
    /// The machine's clock: PROCTIME(). No row is late.
    Processing,
}

impl WindowKind {
    /// The length of a slice: the largest piece of time that every window holds
    /// whole or not at all. A session has no such piece; its slices only tell
    /// rows apart that are too far from each other to meet without a third.
    pub fn slice_ms(self) -> i64 {
        match self {
            WindowKind::Tumble { size_ms, .. } => size_ms,
            WindowKind::Hop { slide_ms, .. } => slide_ms,
            WindowKind::Cumulate { step_ms, .. } => step_ms,
            WindowKind::Session { gap_ms } => gap_ms,
            WindowKind::Whole => i64::MAX,
        }
    }

    fn offset_ms(self) -> i64 {
        match self {
            WindowKind::Tumble { offset_ms, .. }
            | WindowKind::Hop { offset_ms, .. }
            | WindowKind::Cumulate { offset_ms, .. } => offset_ms,
            WindowKind::Session { .. } | WindowKind::Whole => 0,
        }
    }

    /// The end of the slice that holds time `at_ms`; it is also the end of the
    /// first window that holds it.
    pub fn slice_end(self, at_ms: i64) -> i64 {
        let into = (at_ms - self.offset_ms()).rem_euclid(self.slice_ms());
        at_ms - into + self.slice_ms()
    }

    /// The number of the slice that ends at `end_ms`, counted from the offset.
    pub fn slice_number(self, end_ms: i64) -> i64 {
        (end_ms - self.offset_ms()).div_euclid(self.slice_ms())
    }

    /// The end of the last window that holds the slice which ends at `end_ms`.
    pub fn last_end(self, end_ms: i64) -> i64 {
        match self {
            WindowKind::Tumble { .. } | WindowKind::Session { .. } | WindowKind::Whole => {
                end_ms
            }
            WindowKind::Hop { size_ms, slide_ms, .. } => end_ms + size_ms - slide_ms,
            WindowKind::Cumulate { size_ms, .. } => self.window_start(end_ms) + size_ms,
        }
    }

    /// The ends of the windows that hold the slice which ends at `end_ms`,
    /// ascending.
    pub fn window_ends(self, end_ms: i64) -> impl Iterator<Item = i64> {
        let step = self.slice_ms();
        let last = self.last_end(end_ms);
        std::iter::successors(Some(end_ms), move |end| Some(end + step))
            .take_while(move |end| *end <= last)
    }

    /// The start of the window that ends at `end_ms`.
    pub fn window_start(self, end_ms: i64) -> i64 {
        match self {
            WindowKind::Tumble { size_ms, .. } | WindowKind::Hop { size_ms, .. } => {
                end_ms - size_ms
            }
            WindowKind::Cumulate { size_ms, offset_ms, .. } => {
                let last = end_ms - 1;
                last - (last - offset_ms).rem_euclid(size_ms)
            }
            WindowKind::Session { gap_ms } => end_ms - gap_ms,
            WindowKind::Whole => i64::MIN,
        }
    }

    /// Slices in the longest window.
    pub fn slices_per_window(self) -> i64 {
        match self {
            WindowKind::Tumble { .. } | WindowKind::Session { .. } | WindowKind::Whole => 1,
            WindowKind::Hop { size_ms, slide_ms, .. } => size_ms / slide_ms,
            WindowKind::Cumulate { size_ms, step_ms, .. } => size_ms / step_ms,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            WindowKind::Tumble { .. } => "TUMBLE",
            WindowKind::Hop { .. } => "HOP",
            WindowKind::Cumulate { .. } => "CUMULATE",
            WindowKind::Session { .. } => "SESSION",
            WindowKind::Whole => "the whole input",
        }
    }
}

impl fmt::Display for WindowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WindowKind::Tumble { size_ms, .. } => write!(f, "TUMBLE(size {}", Millis(*size_ms)),
            WindowKind::Hop { size_ms, slide_ms, .. } => {
                write!(f, "HOP(slide {}, size {}", Millis(*slide_ms), Millis(*size_ms))
            }
            WindowKind::Cumulate { size_ms, step_ms, .. } => {
                write!(f, "CUMULATE(step {}, size {}", Millis(*step_ms), Millis(*size_ms))
            }
            WindowKind::Session { gap_ms } => write!(f, "SESSION(gap {}", Millis(*gap_ms)),
            WindowKind::Whole => return f.write_str(self.name()),
        }?;
        if self.offset_ms() != 0 {
            write!(f, ", offset {}", Millis(self.offset_ms()))?;
        }
        f.write_str(")")
    }
}

/// A stretch of time in the largest unit that keeps it whole.
struct Millis(i64);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(i64, &str); 4] =
            [(86_400_000, "d"), (3_600_000, "h"), (60_000, "min"), (1_000, "s")];
        for (ms, unit) in UNITS {
            if self.0 % ms == 0 {
                return write!(f, "{} {unit}", self.0 / ms);
            }
        }
        write!(f, "{} ms", self.0)
    }
}

impl WindowSpec {
    /// One window that ends with the input.
    pub fn whole() -> Self {
        Self { kind: WindowKind::Whole, time: TimeKind::Event, wall_time: WallTime::Plain }
    }

    pub fn is_whole(&self) -> bool {
        self.kind == WindowKind::Whole
    }

    /// The watermark, an instant in milliseconds, at which the window that ends
    /// at `end_ms` fires: its last millisecond.
    pub fn fires_at(&self, end_ms: i64) -> i64 {
        self.wall_time.last_instant(end_ms.saturating_sub(1))
    }
}

/// The logical node: its input's columns and the three window columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignWindowNode {
    pub input: LogicalPlan,
    pub time_column: String,
    /// The columns whose values have sessions of their own.
    pub partition_by: Vec<String>,
    pub spec: WindowSpec,
    schema: DFSchemaRef,
}

impl AssignWindowNode {
    pub fn try_new(
        input: LogicalPlan,
        time_column: String,
        partition_by: Vec<String>,
        spec: WindowSpec,
    ) -> Result<Self> {
        let time_field = input.schema().field_with_unqualified_name(&time_column)?;
        let mut fields: Vec<_> = input
            .schema()
            .iter()
            .map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)))
            .collect();
        for field in window_fields(time_field) {
            fields.push((None, Arc::new(field)));
        }
        let metadata = input.schema().metadata().clone();
        let schema = DFSchema::new_with_metadata(fields, metadata)?;
        Ok(Self { input, time_column, partition_by, spec, schema: Arc::new(schema) })
    }
}

/// window_start, window_end, window_time for the event-time column `time`.
fn window_fields(time: &Field) -> [Field; 3] {
    let plain = DataType::Timestamp(TimeUnit::Microsecond, None);
    let field = |name: &str, ty: DataType, flink: SqlType| {
        Field::new(name, ty, true)
            .with_metadata(HashMap::from([(FLINK_TYPE.to_owned(), flink.to_string())]))
    };
    let (time_type, time_flink) = match time.data_type() {
        DataType::Timestamp(_, Some(zone)) => (
            DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(zone))),
            SqlType::TimestampLtz(3),
        ),
        _ => (plain.clone(), SqlType::Timestamp(3)),
    };
    [
        field(WINDOW_START, plain.clone(), SqlType::Timestamp(3)),
        field(WINDOW_END, plain, SqlType::Timestamp(3)),
        field(WINDOW_TIME, time_type, time_flink),
    ]
}

impl Hash for AssignWindowNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.time_column.hash(state);
        self.partition_by.hash(state);
        self.spec.hash(state);
    }
}

impl PartialOrd for AssignWindowNode {
    fn partial_cmp(&self, _other: &Self) -> Option<std::cmp::Ordering> {
        None
    }
}

impl UserDefinedLogicalNodeCore for AssignWindowNode {
    fn name(&self) -> &'static str {
        "AssignWindow"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    /// A filter on the input's own columns may run before windows are known,
    /// unless the row that it removes would have held a session together.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        if matches!(self.spec.kind, WindowKind::Session { .. }) {
            return self.schema.fields().iter().map(|f| f.name().clone()).collect();
        }
        [WINDOW_START, WINDOW_END, WINDOW_TIME].map(str::to_owned).into()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AssignWindow: {} on {}", self.spec.kind, self.time_column)?;
        if !self.partition_by.is_empty() {
            write!(f, " by {}", self.partition_by.join(", "))?;
        }
        Ok(())
    }

    fn with_exprs_and_inputs(
        &self,
        _: Vec<Expr>,
        mut inputs: Vec<LogicalPlan>,
    ) -> Result<Self> {
        let input = inputs.pop().expect("one input");
        let (time, by) = (self.time_column.clone(), self.partition_by.clone());
        Self::try_new(input, time, by, self.spec.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let own = std::iter::once(&self.time_column).chain(&self.partition_by);
        let own = own.map(|name| input.index_of_column_by_name(None, name));
        let own = own.collect::<Option<Vec<_>>>()?;
        let width = input.fields().len();
        let mut needed: Vec<usize> =
            output_columns.iter().copied().filter(|i| *i < width).chain(own).collect();
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}

/// Marks a column as the event time of its rows. The watermark itself belongs
/// to the scan, which sees every row, filtered out or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventTimeNode {
    pub input: LogicalPlan,
    pub column: String,
}

impl Hash for EventTimeNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.column.hash(state);
    }
}

impl PartialOrd for EventTimeNode {
    fn partial_cmp(&self, _other: &Self) -> Option<std::cmp::Ordering> {
        None
    }
}

impl UserDefinedLogicalNodeCore for EventTimeNode {
    fn name(&self) -> &'static str {
        "EventTime"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventTime: {}", self.column)
    }

    fn with_exprs_and_inputs(
        &self,
        _: Vec<Expr>,
        mut inputs: Vec<LogicalPlan>,
    ) -> Result<Self> {
        let input = inputs.pop().expect("one input");
        Ok(Self { input, column: self.column.clone() })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_boundary_opens_the_next_window() {
        let tumble = WindowKind::Tumble { size_ms: 5_000, offset_ms: 0 };
        assert_eq!(tumble.slice_end(4_999), 5_000);
        assert_eq!(tumble.slice_end(5_000), 10_000);
        assert_eq!(tumble.slice_end(-1), 0);
        let shifted = WindowKind::Tumble { size_ms: 10_000, offset_ms: 3_000 };
        assert_eq!(shifted.slice_end(2_999), 3_000);
        assert_eq!(shifted.window_start(3_000), -7_000);
    }

    #[test]
    fn a_cumulating_window_grows_to_its_size() {
        let kind = WindowKind::Cumulate { size_ms: 10_000, step_ms: 2_000, offset_ms: 1_000 };
        let ends: Vec<i64> = kind.window_ends(kind.slice_end(6_500)).collect();
        assert_eq!(ends, [7_000, 9_000, 11_000]);
        assert!(ends.iter().all(|end| kind.window_start(*end) == 1_000));
        assert_eq!(kind.slice_end(11_000), 13_000);
        assert_eq!(kind.window_start(13_000), 11_000);
        assert_eq!(kind.window_start(kind.slice_end(-1)), -9_000);
    }

    proptest! {
        /// Flink's own definition: the window holds the row, has the size, and
        /// starts a whole number of sizes away from the offset.
        #[test]
        fn a_row_lies_in_its_window(
            at in -1_000_000_000_000i64..4_000_000_000_000,
            size in 1i64..100_000_000,
            offset_share in -0.99f64..0.99,
        ) {
            let offset = (size as f64 * offset_share) as i64;
            let tumble = WindowKind::Tumble { size_ms: size, offset_ms: offset };
            let end = tumble.slice_end(at);
            let start = tumble.window_start(end);
            prop_assert!(start <= at && at < end);
            prop_assert_eq!((start - offset).rem_euclid(size), 0);
        }

        /// A hopping window starts at every multiple of the slide; a row is in
        /// those that hold its time, and in no other.
        #[test]
        fn a_row_lies_in_every_hop_that_holds_it(
            at in -1_000_000i64..1_000_000,
            slide in 1i64..1_000,
            times in 1i64..20,
            offset in -999i64..1_000,
        ) {
            let kind = WindowKind::Hop { size_ms: slide * times, slide_ms: slide, offset_ms: offset };
            let found: Vec<i64> =
                kind.window_ends(kind.slice_end(at)).map(|end| kind.window_start(end)).collect();
            let first = (at - slide * times - 1_000) / slide - 2;
            let last = (at + 1_000) / slide + 2;
            let all: Vec<i64> = (first..last)
                .map(|n| n * slide + offset)
                .filter(|start| *start <= at && at < start + slide * times)
                .collect();
            prop_assert_eq!(found, all);
        }
    }
}
