//! What a leaf keeps of its open windows, slice by slice: partial aggregates
//! by key, or the rows themselves.
//!
//! A slice has a group table of its own with the keys alone, so that a closed
//! slice is dropped whole. Slices of several workers meet in [`Slice::merge`];
//! [`super::windows`] makes windows of them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use serde::{Deserialize, Serialize};

use super::cut::{self, Named, Namer};
use super::error::EngineError;
use super::groups::{Evaluated, Groups, Partial};
use super::memory::Account;
use super::rows::Rows;
use super::spill::SpilledRun;
use crate::checkpoint::{KeptRows, PieceId, PieceRows};
use crate::planning::pipeline::{AssignTo, Leaf, LeafState};

/// Which windows the rows of a slice count in: those that hold it and end at
/// `from` or later. A row that comes when some of its windows have fired counts
/// in the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SliceId {
    /// The slice's end, in milliseconds of the window's own scale.
    pub end: i64,
    /// The end of the first window that its rows count in.
    pub from: i64,
    /// The rows' split, where the order of rows matters; else 0.
    pub split: u64,
}

/// The open slices of one leaf.
#[derive(Default)]
pub struct OpenSlices {
    slices: BTreeMap<SliceId, OpenSlice>,
    /// Rows that have come, where their places are kept.
    come: i64,
}

/// A slice that rows are folded into.
#[derive(Default)]
struct OpenSlice {
    /// What came before the last cut, in the order it came.
    runs: Vec<Run>,
    /// What came since.
    open: Option<Slice>,
}

/// Partial aggregates, or rows, that do not change any more.
struct Run {
    /// `None` before a cut has named it.
    id: Option<PieceId>,
    rows: RunRows,
}

/// Where a run is.
pub enum RunRows {
    Memory(Arc<RecordBatch>),
    Disk(Arc<SpilledRun>),
}

/// The state of one slice.
pub enum Slice {
    Groups(Groups),
    Rows(Vec<RecordBatch>),
    /// Partial aggregates that are not all in memory, in any number of runs.
    Spilled(Vec<RunRows>),
}

/// Slices that no row can reach any more.
pub type ClosedSlices = BTreeMap<SliceId, Slice>;

impl OpenSlices {
    /// Takes rows; gives back those that are late. `fired` is the watermark up to
    /// which windows have been closed.
    pub fn fold(
        &mut self,
        leaf: &Leaf,
        rows: Rows,
        fired: i64,
    ) -> Result<Option<RecordBatch>, EngineError> {
        if rows.batch.num_rows() == 0 {
            return Ok(None);
        }
        let (parts, late) = by_slice(leaf, &rows, fired);
        let late = match late.is_empty() {
            true => None,
            false => Some(take_record_batch(&rows.batch, &UInt32Array::from(late))?),
        };
        if parts.is_empty() {
            return Ok(late);
        }
        let prepared = match &leaf.state {
            LeafState::Aggregate(aggregate) => {
                Prepared::Groups(Evaluated::new(aggregate, &rows.batch)?)
            }
            LeafState::Rows if leaf.places => {
                let placed = rows.with_places(self.come, &leaf.schema)?;
                self.come += placed.batch.num_rows() as i64;
                Prepared::Rows(placed.batch)
            }
            LeafState::Rows => Prepared::Rows(rows.batch.clone()),
        };
        for (id, indexes) in parts {
            let open = &mut self.slices.entry(id).or_default().open;
            let slice = match open {
                Some(slice) => slice,
                None => open.insert(Slice::new(leaf)?),
            };
            slice.add(leaf, &prepared, indexes.as_ref())?;
        }
        Ok(late)
    }

    /// Takes out every slice that is of use to a window which fires at or before
    /// `watermark`. No more rows will be added to them.
    pub fn close(&mut self, leaf: &Leaf, watermark: i64) -> Result<ClosedSlices, EngineError> {
        let fires = |id: &&SliceId| leaf.spec.fires_at(id.from) <= watermark;
        let ids: Vec<SliceId> = self.slices.keys().filter(fires).copied().collect();
        let close = |id| Ok((id, self.slices.remove(&id).expect("just seen").whole(leaf)?));
        ids.into_iter().map(close).collect()
    }

    /// Seals what came since the last cut and names every run there is.
    pub fn cut(
        &mut self,
        leaf: &Leaf,
        namer: &mut Namer,
    ) -> Result<Vec<Named<SliceId>>, EngineError> {
        let mut all = Vec::new();
        for (id, slice) in &mut self.slices {
            slice.seal(leaf, namer)?;
            let named =
                |run: &mut Run| Named { place: *id, id: run.named(namer), rows: run.piece() };
            all.extend(slice.runs.iter_mut().map(named));
        }
        Ok(all)
    }

    /// Takes back a run of an earlier process.
    pub fn restore(&mut self, slice: SliceId, id: PieceId, rows: RecordBatch) {
        let rows = RunRows::Memory(Arc::new(rows));
        self.slices.entry(slice).or_default().runs.push(Run { id: Some(id), rows });
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.slices.values().map(OpenSlice::memory).sum()
    }

    /// Puts the largest slices on disk until `excess` bytes are free, or nothing
    /// is left that can be. Gives how many bytes were freed.
    pub fn spill(
        &mut self,
        leaf: &Leaf,
        excess: usize,
        account: &Account,
    ) -> Result<usize, EngineError> {
        let LeafState::Aggregate(aggregate) = &leaf.state else { return Ok(0) };
        // Of a split's own slices the order matters, and one group is never much.
        if leaf.in_order || aggregate.keys.is_empty() {
            return Ok(0);
        }
        let mut by_size: Vec<_> =
            self.slices.iter().map(|(id, slice)| (slice.memory(), *id)).collect();
        by_size.sort_unstable_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut freed = 0;
        for (bytes, id) in by_size {
            if freed >= excess || bytes == 0 {
                break;
            }
            let slice = self.slices.get_mut(&id).expect("just seen");
            slice.spill(leaf, aggregate.keys.len(), account)?;
            freed += bytes;
        }
        Ok(freed)
    }

    pub fn places(&self) -> i64 {
        self.come
    }

    /// No row is given a place at or before this one.
    pub fn begin_places_at(&mut self, place: i64) {
        self.come = place;
    }

    /// The watermark at which the next window fires that has rows here.
    pub fn next_firing(&self, leaf: &Leaf) -> Option<i64> {
        let first = self.slices.keys().map(|id| id.from).min()?;
        Some(leaf.spec.fires_at(first))
    }

    pub fn len(&self) -> usize {
        self.slices.len()
    }
}

/// Rows by slice, `None` where one slice has all, and those that are late: every
/// window of theirs had fired, by their own split's watermark or because it has
/// been closed here.
fn by_slice(
    leaf: &Leaf,
    rows: &Rows,
    fired: i64,
) -> (Vec<(SliceId, Option<UInt32Array>)>, Vec<u32>) {
    let split = if leaf.in_order { rows.split } else { 0 };
    let Some(window_end) = leaf.window_end else {
        let id = SliceId { end: i64::MAX, from: i64::MAX, split };
        return (vec![(id, None)], Vec::new());
    };
    let ends = rows.batch.column(window_end).as_primitive::<TimestampMicrosecondType>();
    if leaf.spec.fires_at(earliest(ends)) > rows.judged_by_at_most.max(fired) {
        return (on_time(ends, split), Vec::new());
    }
    let mut late = Vec::new();
    let mut slices: BTreeMap<SliceId, Vec<u32>> = BTreeMap::new();
    for (row, end) in (0u32..).zip(ends.values().iter()) {
        let own = rows.judged_by(row as usize);
        match first_window(leaf, end / 1000, own.max(fired)) {
            Some(id) => slices.entry(SliceId { split, ..id }).or_default().push(row),
            None => late.push(row),
        }
    }
    let parts = slices.into_iter().map(|(id, rows)| (id, Some(rows.into()))).collect();
    (parts, late)
}

fn earliest(ends: &TimestampMicrosecondArray) -> i64 {
    ends.values().iter().copied().min().expect("there are rows") / 1000
}

/// The slices of rows that are late for nothing.
fn on_time(
    ends: &TimestampMicrosecondArray,
    split: u64,
) -> Vec<(SliceId, Option<UInt32Array>)> {
    let id = |end: i64| SliceId { end: end / 1000, from: end / 1000, split };
    let values = ends.values();
    let first = values[0];
    if values.iter().all(|end| *end == first) {
        return vec![(id(first), None)];
    }
    let mut slices: BTreeMap<SliceId, Vec<u32>> = BTreeMap::new();
    for (row, end) in (0u32..).zip(values.iter()) {
        slices.entry(id(*end)).or_default().push(row);
    }
    slices.into_iter().map(|(id, rows)| (id, Some(rows.into()))).collect()
}

/// The slice that ends at `end`, for a row that comes when windows have fired
/// up to `watermark`; `None` if all of the row's have.
fn first_window(leaf: &Leaf, end: i64, watermark: i64) -> Option<SliceId> {
    let is_open = |from: &i64| leaf.spec.fires_at(*from) > watermark;
    let from = match leaf.assigned_to {
        AssignTo::Windows => Some(end).filter(is_open),
        AssignTo::Slice => leaf.spec.kind.window_ends(end).find(is_open),
    };
    from.map(|from| SliceId { end, from, split: 0 })
}

/// What a batch brings to its slices.
enum Prepared {
    Groups(Evaluated),
    Rows(RecordBatch),
}

impl OpenSlice {
    /// Turns what came since the last cut into a run. Runs are merged such that
    /// each is less than half of the one before, so there are never many, and a
    /// row is not written often.
    fn seal(&mut self, leaf: &Leaf, namer: &mut Namer) -> Result<(), EngineError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let mut run = open.into_batch(leaf)?;
        while let Some(small) = self.runs.pop_if(|last| last.is_less_than(2 * run.num_rows())) {
            let RunRows::Memory(small) = small.rows else { unreachable!("it is small") };
            let mut both = Slice::new(leaf)?;
            both.absorb(leaf, &small)?;
            both.absorb(leaf, &run)?;
            run = both.into_batch(leaf)?;
        }
        self.runs.push(Run { id: Some(namer.name()), rows: RunRows::Memory(Arc::new(run)) });
        Ok(())
    }

    fn memory(&self) -> usize {
        let open = self.open.as_ref().map_or(0, Slice::memory);
        open + self.runs.iter().map(|run| run.rows.memory()).sum::<usize>()
    }

    /// Puts everything on disk.
    fn spill(
        &mut self,
        leaf: &Leaf,
        keys: usize,
        account: &Account,
    ) -> Result<(), EngineError> {
        let to_disk = |rows: &RecordBatch| -> Result<RunRows, EngineError> {
            Ok(RunRows::Disk(Arc::new(SpilledRun::write(rows, keys, account.spool())?)))
        };
        for run in &mut self.runs {
            if let RunRows::Memory(rows) = &run.rows {
                run.rows = to_disk(rows)?;
            }
        }
        if let Some(open) = self.open.take() {
            let rows = to_disk(&open.into_batch(leaf)?)?;
            self.runs.push(Run { id: None, rows });
        }
        Ok(())
    }

    /// All of it as one.
    fn whole(self, leaf: &Leaf) -> Result<Slice, EngineError> {
        let OpenSlice { runs, open } = self;
        if runs.iter().any(|run| matches!(run.rows, RunRows::Disk(_))) {
            let mut all: Vec<RunRows> = runs.into_iter().map(|run| run.rows).collect();
            if let Some(open) = open {
                all.push(RunRows::Memory(Arc::new(open.into_batch(leaf)?)));
            }
            return Ok(Slice::Spilled(all));
        }
        match open {
            Some(open) if runs.is_empty() => Ok(open),
            open => {
                let mut all = Slice::new(leaf)?;
                for run in runs {
                    if let RunRows::Memory(rows) = &run.rows {
                        all.absorb(leaf, rows)?;
                    }
                }
                if let Some(open) = open {
                    all.absorb(leaf, &open.into_batch(leaf)?)?;
                }
                Ok(all)
            }
        }
    }
}

impl Run {
    /// Its name, or a new one.
    fn named(&mut self, namer: &mut Namer) -> PieceId {
        *self.id.get_or_insert_with(|| namer.name())
    }

    fn piece(&self) -> PieceRows {
        match &self.rows {
            RunRows::Memory(rows) => PieceRows::Here(Arc::clone(rows)),
            RunRows::Disk(run) => PieceRows::Kept(Arc::clone(run) as Arc<dyn KeptRows>),
        }
    }

    /// True if it is in memory and has fewer rows.
    fn is_less_than(&self, rows: usize) -> bool {
        matches!(&self.rows, RunRows::Memory(own) if own.num_rows() < rows)
    }
}

impl RunRows {
    fn memory(&self) -> usize {
        match self {
            RunRows::Memory(rows) => rows.get_array_memory_size(),
            RunRows::Disk(_) => 0,
        }
    }
}

impl Slice {
    fn memory(&self) -> usize {
        match self {
            Slice::Groups(groups) => groups.memory(),
            Slice::Rows(rows) => rows.iter().map(RecordBatch::get_array_memory_size).sum(),
            Slice::Spilled(runs) => runs.iter().map(RunRows::memory).sum(),
        }
    }

    /// What there is, as it is stored.
    fn into_batch(self, leaf: &Leaf) -> Result<RecordBatch, EngineError> {
        match self {
            Slice::Groups(groups) => groups.into_partial()?.to_batch(),
            Slice::Rows(rows) => Ok(concat_batches(&leaf.schema, &rows)?),
            Slice::Spilled(_) => unreachable!("what is on disk is not open"),
        }
    }

    /// Takes in what was stored.
    fn absorb(&mut self, leaf: &Leaf, stored: &RecordBatch) -> Result<(), EngineError> {
        match (self, &leaf.state) {
            (Slice::Groups(groups), LeafState::Aggregate(aggregate)) => {
                groups.absorb(&Partial::from_batch(aggregate, stored)?)
            }
            (Slice::Rows(rows), LeafState::Rows) => {
                rows.push(cut::under(&leaf.schema, stored)?);
                Ok(())
            }
            _ => unreachable!("a leaf keeps either rows or groups"),
        }
    }

    fn new(leaf: &Leaf) -> Result<Self, EngineError> {
        Ok(match &leaf.state {
            LeafState::Rows => Slice::Rows(Vec::new()),
            LeafState::Aggregate(aggregate) => Slice::Groups(Groups::new(aggregate)?),
        })
    }

    fn add(
        &mut self,
        leaf: &Leaf,
        prepared: &Prepared,
        indexes: Option<&UInt32Array>,
    ) -> Result<(), EngineError> {
        match (self, prepared) {
            (Slice::Rows(kept), Prepared::Rows(batch)) => {
                let part = match indexes {
                    Some(indexes) => take_record_batch(batch, indexes)?,
                    None => batch.clone(),
                };
                let schema = Arc::clone(&leaf.schema);
                kept.push(RecordBatch::try_new(schema, part.columns().to_vec())?);
                Ok(())
            }
            (Slice::Groups(groups), Prepared::Groups(rows)) => {
                groups.update(rows, indexes).map(|_| ())
            }
            _ => unreachable!("a leaf keeps either rows or groups"),
        }
    }

    /// Takes in the same slice of another worker.
    pub fn merge(&mut self, other: Slice) -> Result<(), EngineError> {
        match (self, other) {
            (Slice::Rows(kept), Slice::Rows(more)) => kept.extend(more),
            (Slice::Groups(groups), Slice::Groups(more)) => groups.merge(more)?,
            (Slice::Spilled(runs), more) => runs.extend(more.into_runs()?),
            (own, Slice::Spilled(mut runs)) => {
                let groups = std::mem::replace(own, Slice::Spilled(Vec::new()));
                runs.extend(groups.into_runs()?);
                *own = Slice::Spilled(runs);
            }
            _ => unreachable!("a leaf keeps either rows or groups"),
        }
        Ok(())
    }

    /// Partial aggregates as runs.
    fn into_runs(self) -> Result<Vec<RunRows>, EngineError> {
        match self {
            Slice::Spilled(runs) => Ok(runs),
            Slice::Groups(groups) => {
                let rows = groups.into_partial()?.to_batch()?;
                Ok(vec![RunRows::Memory(Arc::new(rows))])
            }
            Slice::Rows(_) => unreachable!("rows are not put on disk"),
        }
    }
}

/// The slices with those of several splits as one, in the order of the splits.
pub fn across_splits(slices: ClosedSlices) -> Result<ClosedSlices, EngineError> {
    let mut all = ClosedSlices::new();
    for (id, slice) in slices {
        match all.entry(SliceId { split: 0, ..id }) {
            Entry::Vacant(free) => {
                free.insert(slice);
            }
            Entry::Occupied(mut there) => match (there.get_mut(), slice) {
                (Slice::Groups(groups), Slice::Groups(more)) => {
                    groups.absorb(&more.into_partial()?)?;
                }
                (there, slice) => there.merge(slice)?,
            },
        }
    }
    Ok(all)
}

/// Takes in the slices of another worker.
pub fn merge(all: &mut ClosedSlices, more: ClosedSlices) -> Result<(), EngineError> {
    for (id, slice) in more {
        match all.entry(id) {
            Entry::Vacant(free) => {
                free.insert(slice);
            }
            Entry::Occupied(mut there) => there.get_mut().merge(slice)?,
        }
    }
    Ok(())
}
