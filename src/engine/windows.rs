//! Makes windows of slices that no row can reach any more.
//!
//! A window of TUMBLE is one slice. HOP and CUMULATE share slices between
//! windows: each is turned into columns once and merged into every window that
//! holds it. Where a window has many, neighbours are merged into blocks of two,
//! four, eight …, each once, so that a window is made of a few blocks and never
//! of all its slices.
//!
//! Source: Arasu and Widom, "Resource Sharing in Continuous Sliding-Window
//! Aggregates" (2004), base intervals; Flink's `SliceAssigners`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, TimestampMicrosecondArray};

use super::cut::{Named, Namer};
use super::error::EngineError;
use super::groups::{Groups, Partial, values_of_nothing};
use super::ops::batch;
use super::slices::{ClosedSlices, Slice, across_splits};
use super::spill::PartedGroups;
use super::watermark;
use crate::checkpoint::PieceId;
use crate::planning::pipeline::{Aggregate, AggregateColumn, AssignTo, Leaf, LeafState};
use crate::planning::window::WindowKind;

/// From how many slices a window is made of blocks.
const BLOCKS_FROM: i64 = 8;

/// The slices of one leaf that windows still to fire hold.
#[derive(Default)]
pub struct SharedSlices {
    /// By slice end: rows that came before any window of theirs had fired.
    slices: BTreeMap<i64, Arc<Partial>>,
    /// The others, by slice end and the end of the first window they count in.
    stragglers: BTreeMap<(i64, i64), Arc<Partial>>,
    /// The names of those that have been stored, by slice end and first window.
    stored: BTreeMap<(i64, i64), PieceId>,
    blocks: HashMap<Block, Option<Arc<Partial>>>,
    /// The end of the last window that has fired.
    done: Option<i64>,
}

/// Slices `number << level` up to, not including, `(number + 1) << level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Block {
    level: u32,
    number: i64,
}

/// What windows that fired hand to the plan above.
#[derive(Default)]
pub struct Fired {
    pub rows: Vec<RecordBatch>,
    /// Windows whose rows are made part by part.
    pub large: Vec<LargeWindow>,
    pub windows: u64,
    pub late: u64,
    /// Late rows that are not counted yet.
    pub late_rows: Vec<RecordBatch>,
}

impl SharedSlices {
    /// Takes in closed slices and gives the windows that fire at or before
    /// `watermark`.
    pub fn fire(
        &mut self,
        leaf: &Leaf,
        closed: ClosedSlices,
        watermark: i64,
    ) -> Result<Fired, EngineError> {
        let LeafState::Aggregate(aggregate) = &leaf.state else {
            self.done = leaf.spec.is_whole().then_some(i64::MAX);
            return rows_of(closed);
        };
        let alone =
            leaf.assigned_to == AssignTo::Windows || leaf.spec.kind.slices_per_window() == 1;
        let closed = if leaf.in_order { across_splits(closed)? } else { closed };
        let mut fired = Fired::default();
        if leaf.spec.is_whole() {
            self.done = Some(i64::MAX);
            // One row even of nothing, where there is no key.
            if closed.is_empty() && aggregate.keys.is_empty() {
                let values = values_of_nothing(aggregate)?;
                let bounds = std::array::from_fn(|_| vec![0].into());
                fired.add(aggregate_rows(leaf, aggregate, &[], &values, &bounds, 1)?);
            }
        }
        if alone {
            for (id, slice) in closed {
                match slice {
                    Slice::Groups(groups) => {
                        fired.add(window(leaf, aggregate, groups, id.end)?);
                    }
                    Slice::Spilled(runs) => {
                        let keys = aggregate.keys.len();
                        let groups = PartedGroups::new(runs, keys)?;
                        fired.large.push(LargeWindow { end_ms: id.end, groups });
                        fired.windows += 1;
                    }
                    Slice::Rows(_) => unreachable!("an aggregate's slice"),
                }
            }
            return Ok(fired);
        }
        for (id, slice) in closed {
            let partial = match slice {
                Slice::Groups(groups) => groups.into_partial()?,
                Slice::Spilled(runs) => {
                    PartedGroups::new(runs, aggregate.keys.len())?.into_partial(aggregate)?
                }
                Slice::Rows(_) => unreachable!("an aggregate's slice"),
            };
            let partial = Arc::new(partial);
            if id.from == id.end {
                self.slices.insert(id.end, partial);
            } else {
                self.stragglers.insert((id.end, id.from), partial);
            }
        }
        for end in self.firing(leaf, watermark) {
            let mut groups = Groups::new(aggregate)?;
            for partial in self.parts(leaf.spec.kind, aggregate, end)? {
                groups.absorb(&partial)?;
            }
            fired.add(window(leaf, aggregate, groups, end)?);
            self.done = Some(end);
        }
        self.forget(leaf, watermark);
        Ok(fired)
    }

    /// Names every slice, by its end and the first window that it counts in.
    pub fn cut(&mut self, namer: &mut Namer) -> Result<Vec<Named<(i64, i64)>>, EngineError> {
        let on_time = self.slices.iter().map(|(end, partial)| ((*end, *end), partial));
        let stragglers = self.stragglers.iter().map(|(place, partial)| (*place, partial));
        let mut all = Vec::new();
        for (place, partial) in on_time.chain(stragglers) {
            let id = *self.stored.entry(place).or_insert_with(|| namer.name());
            all.push(Named { place, id, rows: Arc::new(partial.to_batch()?).into() });
        }
        Ok(all)
    }

    /// Takes back a slice of an earlier process.
    pub fn restore(&mut self, (end, from): (i64, i64), id: PieceId, partial: Partial) {
        let partial = Arc::new(partial);
        self.stored.insert((end, from), id);
        if from == end {
            self.slices.insert(end, partial);
        } else {
            self.stragglers.insert((end, from), partial);
        }
    }

    pub fn done(&self) -> Option<i64> {
        self.done
    }

    pub fn set_done(&mut self, done: Option<i64>) {
        self.done = done;
    }

    /// The watermark at which the next window fires.
    pub fn next_firing(&self, leaf: &Leaf) -> Option<i64> {
        if leaf.spec.is_whole() {
            return self.done.is_none().then_some(watermark::MAX);
        }
        let on_time = self.slices.keys().map(|end| (*end, *end));
        let all = on_time.chain(self.stragglers.keys().copied());
        let next = all.map(|(_, from)| self.not_done(leaf.spec.kind, from)).min()?;
        Some(leaf.spec.fires_at(next))
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let blocks = self.blocks.values().flatten();
        let all = self.slices.values().chain(self.stragglers.values()).chain(blocks);
        all.map(|partial| partial.memory()).sum()
    }

    /// Slices that wait for windows to come.
    pub fn len(&self) -> usize {
        self.slices.len() + self.stragglers.len()
    }

    /// The end of the first window from `from` on that has not fired.
    fn not_done(&self, kind: WindowKind, from: i64) -> i64 {
        self.done.map_or(from, |done| from.max(done + kind.slice_ms()))
    }

    /// Ends of the windows that have rows and fire now.
    fn firing(&self, leaf: &Leaf, watermark: i64) -> BTreeSet<i64> {
        let kind = leaf.spec.kind;
        let step = kind.slice_ms();
        let mut ends = BTreeSet::new();
        let mut add = |slice: i64, from: i64| {
            let mut end = self.not_done(kind, from);
            while end <= kind.last_end(slice) && leaf.spec.fires_at(end) <= watermark {
                ends.insert(end);
                end += step;
            }
            end
        };
        // Slices that follow each other have most of their windows in common.
        let mut next = i64::MIN;
        for end in self.slices.keys() {
            next = add(*end, next.max(*end));
        }
        self.stragglers.keys().for_each(|(end, from)| {
            add(*end, *from);
        });
        ends
    }

    /// The pieces that the window which ends at `end` is made of.
    fn parts(
        &mut self,
        kind: WindowKind,
        aggregate: &Aggregate,
        end: i64,
    ) -> Result<Vec<Arc<Partial>>, EngineError> {
        let within = kind.window_start(end) + 1..=end;
        let mut parts = Vec::new();
        if kind.slices_per_window() < BLOCKS_FROM {
            parts.extend(self.slices.range(within.clone()).map(|(_, slice)| Arc::clone(slice)));
        } else {
            let last = kind.slice_number(end);
            let mut first = kind.slice_number(kind.window_start(end)) + 1;
            while first <= last {
                let block = largest_block(first, last);
                parts.extend(self.block(kind, aggregate, block, end)?);
                first += 1 << block.level;
            }
        }
        let late = self.stragglers.range((*within.start(), i64::MIN)..=(end, i64::MAX));
        parts.extend(late.filter(|((_, from), _)| *from <= end).map(|(_, p)| Arc::clone(p)));
        Ok(parts)
    }

    /// A block's slices as one; `None` if it has none. `end` is the end of any
    /// slice, which block numbers are counted from.
    fn block(
        &mut self,
        kind: WindowKind,
        aggregate: &Aggregate,
        block: Block,
        end: i64,
    ) -> Result<Option<Arc<Partial>>, EngineError> {
        if block.level == 0 {
            let slice = end + (block.number - kind.slice_number(end)) * kind.slice_ms();
            return Ok(self.slices.get(&slice).cloned());
        }
        if let Some(made) = self.blocks.get(&block) {
            return Ok(made.clone());
        }
        let half = |number| Block { level: block.level - 1, number };
        let left = self.block(kind, aggregate, half(block.number * 2), end)?;
        let right = self.block(kind, aggregate, half(block.number * 2 + 1), end)?;
        let made = match (left, right) {
            (Some(left), Some(right)) => {
                let mut groups = Groups::new(aggregate)?;
                groups.absorb(&left)?;
                groups.absorb(&right)?;
                Some(Arc::new(groups.into_partial()?))
            }
            (one, other) => one.or(other),
        };
        self.blocks.insert(block, made.clone());
        Ok(made)
    }

    /// Drops what no window to come holds.
    fn forget(&mut self, leaf: &Leaf, watermark: i64) {
        let kind = leaf.spec.kind;
        let wanted = |slice: i64| leaf.spec.fires_at(kind.last_end(slice)) > watermark;
        self.slices.retain(|end, _| wanted(*end));
        self.stragglers.retain(|(end, _), _| wanted(*end));
        self.stored.retain(|(end, _), _| wanted(*end));
        let first = self.slices.keys().next().map(|end| kind.slice_number(*end));
        let used = |block: &Block| {
            first.is_some_and(|first| (block.number + 1) << block.level > first)
        };
        self.blocks.retain(|block, _| used(block));
    }
}

/// The largest block that starts at slice `first` and ends at or before `last`.
fn largest_block(first: i64, last: i64) -> Block {
    let mut level = 0;
    while first % (2 << level) == 0 && first + (2 << level) - 1 <= last {
        level += 1;
    }
    Block { level, number: first >> level }
}

impl Fired {
    fn add(&mut self, window: RecordBatch) {
        self.rows.push(window);
        self.windows += 1;
    }
}

fn rows_of(closed: ClosedSlices) -> Result<Fired, EngineError> {
    let windows = closed.len() as u64;
    let rows = closed.into_values().flat_map(|slice| match slice {
        Slice::Rows(rows) => rows,
        Slice::Groups(_) | Slice::Spilled(_) => {
            unreachable!("a leaf of rows has no groups")
        }
    });
    Ok(Fired { rows: rows.collect(), windows, ..Fired::default() })
}

/// A window whose groups are not all in memory.
pub struct LargeWindow {
    end_ms: i64,
    groups: PartedGroups,
}

impl LargeWindow {
    /// The rows of the next part; `None` behind the last.
    pub fn next(&mut self, leaf: &Leaf) -> Result<Option<RecordBatch>, EngineError> {
        let LeafState::Aggregate(aggregate) = &leaf.state else {
            unreachable!("only aggregates are put on disk")
        };
        let groups = self.groups.next(aggregate)?;
        groups.map(|groups| window(leaf, aggregate, groups, self.end_ms)).transpose()
    }
}

/// The rows of the window that ends at `end_ms`.
fn window(
    leaf: &Leaf,
    aggregate: &Aggregate,
    groups: Groups,
    end_ms: i64,
) -> Result<RecordBatch, EngineError> {
    let (keys, values, rows) = groups.finish()?;
    let spec = &leaf.spec;
    let constant =
        |ms: i64| TimestampMicrosecondArray::from(vec![ms.saturating_mul(1000); rows]);
    let start = constant(spec.kind.window_start(end_ms));
    let time = constant(spec.wall_time.first_instant(end_ms - 1));
    aggregate_rows(leaf, aggregate, &keys, &values, &[start, constant(end_ms), time], rows)
}

/// An aggregate's result: keys, values and the window's columns, each where the
/// leaf's schema has it.
pub fn aggregate_rows(
    leaf: &Leaf,
    aggregate: &Aggregate,
    keys: &[ArrayRef],
    values: &[ArrayRef],
    [start, end, time]: &[TimestampMicrosecondArray; 3],
    rows: usize,
) -> Result<RecordBatch, EngineError> {
    let of_window = |times: &TimestampMicrosecondArray, column: usize| -> ArrayRef {
        let ty = leaf.schema.field(column).data_type().clone();
        Arc::new(times.clone().with_data_type(ty))
    };
    let columns = aggregate.columns.iter().enumerate().map(|(i, column)| match column {
        AggregateColumn::WindowStart => of_window(start, i),
        AggregateColumn::WindowEnd => of_window(end, i),
        AggregateColumn::WindowTime => of_window(time, i),
        AggregateColumn::Key(key) => Arc::clone(&keys[*key]),
        AggregateColumn::Function(function) => Arc::clone(&values[*function]),
    });
    batch(&leaf.schema, columns.collect(), rows)
}
