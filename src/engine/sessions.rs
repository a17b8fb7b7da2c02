//! Sessions: rows of one key with no gap between neighbours longer than the
//! window's.
//!
//! Workers do not form sessions. They fold rows into slices as long as the gap:
//! two rows of a key in one slice are always in one session, so a slice keeps
//! per key its first and last time and its partial aggregates, a *piece*.
//! Pieces of all workers meet when time moves on and are stitched where they
//! touch; a session that the watermark has passed goes on to the plan above, the
//! rest waits, merged.
//!
//! A row is *behind* when its split's watermark had already passed it. Only such
//! a row can meet a session that has fired, so it alone stays by itself until
//! [`resolve`] can say what a Flink that saw the split's rows in order would
//! have done with it: it joins the sessions that it touches and that had not
//! fired then; else it begins one, or is late if that one would have fired too.
//! What comes out depends on the splits' logs alone, not on when pieces met.
//!
//! Source: Flink's `MergingWindowSet` and `SessionWindowAssigner`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray,
    UInt32Array, UInt64Array,
};
use arrow::compute::{concat, concat_batches, filter_record_batch, take, take_record_batch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType, UInt64Type};
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::cut::{self, Namer, int64s, uint64s};
use super::error::EngineError;
use super::groups::{Accumulators, Evaluated, Groups, Partial, states_of_rows};
use super::ops::{evaluate_all, window_times};
use super::rows::Rows;
use super::watermark;
use super::windows::{Fired, aggregate_rows};
use crate::checkpoint::PieceId;
use crate::planning::pipeline::{Leaf, LeafState, Sessions};

/// What a worker has of a leaf's sessions since it last handed them over.
#[derive(Default)]
pub struct OpenSessions {
    /// Pieces by the end of their slice.
    slices: BTreeMap<i64, SessionSlice>,
    /// Whole rows, and rows that were behind.
    pieces: Vec<Pieces>,
    /// The latter as they came, where late ones are wanted.
    behind_rows: Vec<BehindRows>,
    /// The least time of any row here.
    earliest: Option<i64>,
    /// Rows behind so far, which keeps them in the order they came.
    behind: u64,
    /// Rows that have come, where their places are kept.
    come: i64,
}

struct SessionSlice {
    groups: Groups,
    /// By group, in milliseconds of wall time.
    first: Vec<i64>,
    last: Vec<i64>,
}

/// Stretches of time in which a key has rows, and what they hold.
pub struct Pieces {
    keys: Vec<ArrayRef>,
    first: Vec<i64>,
    last: Vec<i64>,
    /// For a row that was behind.
    behind: Vec<Option<Behind>>,
    content: Content,
    /// Its name, if it has been stored as it is.
    stored: Option<PieceId>,
}

/// What a row that is behind was judged by, and its place among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Behind {
    watermark: i64,
    split: u64,
    order: u64,
}

/// What a worker hands over.
#[derive(Default)]
pub struct SessionShare {
    pieces: Vec<Pieces>,
    behind: Vec<BehindRows>,
}

impl SessionShare {
    /// Takes in another worker's.
    pub fn extend(&mut self, other: SessionShare) {
        self.pieces.extend(other.pieces);
        self.behind.extend(other.behind);
    }
}

/// Rows of one split that were behind, as they came, and their numbers.
pub struct BehindRows {
    split: u64,
    orders: Vec<u64>,
    rows: RecordBatch,
}

impl BehindRows {
    /// Those of its rows for which `wanted` is true.
    fn part(&self, wanted: impl Fn(u64, u64) -> bool) -> Result<Option<Self>, EngineError> {
        let all = self.orders.iter().enumerate();
        let wanted: Vec<usize> =
            all.filter(|(_, order)| wanted(self.split, **order)).map(|(at, _)| at).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let orders = wanted.iter().map(|at| self.orders[*at]).collect();
        let indexes = UInt32Array::from_iter_values(wanted.into_iter().map(index));
        let rows = take_record_batch(&self.rows, &indexes)?;
        Ok(Some(Self { split: self.split, orders, rows }))
    }

    /// The numbers in front of the rows.
    fn to_batch(&self) -> Result<RecordBatch, EngineError> {
        let mut columns = vec![uint64s(self.orders.iter().copied().map(Some))];
        columns.extend(self.rows.columns().iter().cloned());
        cut::anonymous(columns, self.orders.len())
    }

    fn from_batch(split: u64, batch: &RecordBatch) -> Result<Self, EngineError> {
        let orders = batch.column(0).as_primitive_opt::<UInt64Type>();
        let orders = orders.ok_or_else(|| cut::misfit("rows behind", None))?;
        let rest: Vec<usize> = (1..batch.num_columns()).collect();
        Ok(Self { split, orders: orders.values().to_vec(), rows: batch.project(&rest)? })
    }
}

enum Content {
    /// The state columns of each function.
    States(Vec<Vec<ArrayRef>>),
    Rows(RecordBatch),
}

fn sessions(leaf: &Leaf) -> &Sessions {
    leaf.sessions().expect("only leaves with sessions come here")
}

impl OpenSessions {
    /// Takes rows. None is late yet: that shows when sessions are formed.
    pub fn fold(&mut self, leaf: &Leaf, rows: Rows, fired: i64) -> Result<(), EngineError> {
        if rows.batch.num_rows() == 0 {
            return Ok(());
        }
        let rows = match leaf.places {
            true => rows.with_places(self.come, &leaf.schema)?,
            false => rows,
        };
        self.come += rows.batch.num_rows() as i64;
        let least = walls(leaf, &rows.batch).min().expect("there are rows");
        self.earliest = Some(self.earliest.map_or(least, |earliest| earliest.min(least)));
        let rows_split = rows.split;
        let judged_by = |row: usize| rows.judged_by(row).max(fired);
        if leaf.spec.fires_at(least) > rows.judged_by_at_most.max(fired) {
            return self.fold_in_order(leaf, &rows.batch);
        }
        let in_order: BooleanArray = walls(leaf, &rows.batch)
            .enumerate()
            .map(|(row, wall)| Some(leaf.spec.fires_at(wall) > judged_by(row)))
            .collect();
        let behind: Vec<usize> =
            (0..in_order.len()).filter(|row| !in_order.value(*row)).collect();
        self.fold_in_order(leaf, &filter_record_batch(&rows.batch, &in_order)?)?;
        if behind.is_empty() {
            return Ok(());
        }
        let indexes: UInt32Array =
            behind.iter().map(|row| u32::try_from(*row).expect("a batch is small")).collect();
        let behind_rows = take_record_batch(&rows.batch, &indexes)?;
        let mut pieces = Pieces::of_rows(leaf, &behind_rows)?;
        if sessions(leaf).keeps_late_rows {
            let orders = self.behind..self.behind + behind.len() as u64;
            let rows = alone(leaf, &behind_rows)?;
            let split = rows_split;
            self.behind_rows.push(BehindRows { split, orders: orders.collect(), rows });
        }
        for (place, row) in pieces.behind.iter_mut().zip(behind) {
            let (watermark, order) = (judged_by(row), self.behind);
            *place = Some(Behind { watermark, split: rows.split, order });
            self.behind += 1;
        }
        self.pieces.push(pieces);
        Ok(())
    }

    fn fold_in_order(&mut self, leaf: &Leaf, batch: &RecordBatch) -> Result<(), EngineError> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let LeafState::Aggregate(aggregate) = &leaf.state else {
            self.pieces.push(Pieces::of_rows(leaf, batch)?);
            return Ok(());
        };
        let evaluated = Evaluated::new(aggregate, batch)?;
        let window_end = leaf.window_end.expect("a session has an end");
        let ends = batch.column(window_end).as_primitive::<TimestampMicrosecondType>();
        let times: Vec<i64> = walls(leaf, batch).collect();
        let mut by_slice: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
        for (row, end) in (0u32..).zip(ends.values().iter()) {
            by_slice.entry(*end).or_default().push(row);
        }
        for (end, rows) in by_slice {
            let slice = match self.slices.entry(end) {
                std::collections::btree_map::Entry::Occupied(slice) => slice.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => free.insert(SessionSlice {
                    groups: Groups::new(aggregate)?,
                    first: Vec::new(),
                    last: Vec::new(),
                }),
            };
            let rows = UInt32Array::from(rows);
            let groups = slice.groups.update(&evaluated, Some(&rows))?;
            for (group, row) in groups.iter().zip(rows.values()) {
                let at = times[*row as usize];
                if *group >= slice.first.len() {
                    slice.first.resize(group + 1, i64::MAX);
                    slice.last.resize(group + 1, i64::MIN);
                }
                slice.first[*group] = slice.first[*group].min(at);
                slice.last[*group] = slice.last[*group].max(at);
            }
        }
        Ok(())
    }

    /// How many rows have come, and how many of them were behind.
    pub fn numbers(&self) -> (i64, u64) {
        (self.come, self.behind)
    }

    /// No row is given a number before these.
    pub fn number_from(&mut self, come: i64, behind: u64) {
        (self.come, self.behind) = (come, behind);
    }

    /// Hands over everything.
    pub fn close(&mut self) -> Result<SessionShare, EngineError> {
        let mut all = std::mem::take(&mut self.pieces);
        for slice in std::mem::take(&mut self.slices).into_values() {
            let partial = slice.groups.into_partial()?;
            all.push(Pieces {
                keys: partial.keys,
                behind: vec![None; slice.first.len()],
                first: slice.first,
                last: slice.last,
                content: Content::States(partial.states),
                stored: None,
            });
        }
        self.earliest = None;
        Ok(SessionShare { pieces: all, behind: std::mem::take(&mut self.behind_rows) })
    }

    /// The least watermark at which a session with rows from here may fire.
    pub fn next_firing(&self, leaf: &Leaf) -> Option<i64> {
        self.earliest.map(|at| leaf.spec.fires_at(at + leaf.spec.kind.slice_ms()))
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let slices = self.slices.values().map(|slice| slice.groups.memory());
        slices.chain(self.pieces.iter().map(Pieces::memory)).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.earliest.is_none()
    }
}

/// Rows with the window that each would have by itself.
fn alone(leaf: &Leaf, rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
    let end = leaf.window_end.expect("a session has an end");
    let gap = leaf.spec.kind.slice_ms();
    let ends: TimestampMicrosecondArray =
        walls(leaf, rows).map(|wall| Some((wall + gap) * 1000)).collect();
    let mut columns = rows.columns().to_vec();
    let ty = columns[end].data_type().clone();
    columns[end] = Arc::new(ends.with_data_type(ty));
    Ok(RecordBatch::try_new(rows.schema(), columns)?)
}

/// The rows' own wall times in milliseconds.
fn walls<'a>(leaf: &Leaf, batch: &'a RecordBatch) -> impl Iterator<Item = i64> + 'a {
    let column = batch.column(sessions(leaf).time).as_primitive::<TimestampMicrosecondType>();
    column.values().iter().map(|micros| micros.div_euclid(1000))
}

/// Of what is stored of pieces the columns that all have.
const FIXED: usize = 5;

impl Pieces {
    /// Times and judgements, keys, and what the pieces hold, side by side.
    fn to_batch(&self) -> Result<RecordBatch, EngineError> {
        let times = |times: &[i64]| int64s(times.iter().copied().map(Some));
        let mut columns = vec![
            times(&self.first),
            times(&self.last),
            int64s(self.behind.iter().map(|b| b.map(|b| b.watermark))),
            uint64s(self.behind.iter().map(|b| b.map(|b| b.split))),
            uint64s(self.behind.iter().map(|b| b.map(|b| b.order))),
        ];
        columns.extend(self.keys.iter().cloned());
        match &self.content {
            Content::States(states) => columns.extend(states.iter().flatten().cloned()),
            Content::Rows(rows) => columns.extend(rows.columns().iter().cloned()),
        }
        cut::anonymous(columns, self.len())
    }

    fn from_batch(leaf: &Leaf, batch: &RecordBatch) -> Result<Self, EngineError> {
        let key_count = sessions(leaf).keys.len();
        if batch.num_columns() < FIXED + key_count {
            return Err(cut::misfit("sessions", None));
        }
        let times = |at: usize| {
            batch
                .column(at)
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| cut::misfit("times", Some(batch.column(at).data_type())))
        };
        let numbers = |at: usize| {
            batch
                .column(at)
                .as_primitive_opt::<UInt64Type>()
                .ok_or_else(|| cut::misfit("numbers", Some(batch.column(at).data_type())))
        };
        let (first, last, watermarks) = (times(0)?, times(1)?, times(2)?);
        let (splits, orders) = (numbers(3)?, numbers(4)?);
        let behind = |row: usize| {
            watermarks.is_valid(row).then(|| Behind {
                watermark: watermarks.value(row),
                split: splits.value(row),
                order: orders.value(row),
            })
        };
        let rest = &batch.columns()[FIXED..];
        let content = match &leaf.state {
            LeafState::Aggregate(aggregate) => {
                let indexes: Vec<usize> = (FIXED..batch.num_columns()).collect();
                Content::States(
                    Partial::from_batch(aggregate, &batch.project(&indexes)?)?.states,
                )
            }
            LeafState::Rows => {
                let columns = rest[key_count..].to_vec();
                Content::Rows(RecordBatch::try_new(Arc::clone(&leaf.schema), columns)?)
            }
        };
        Ok(Self {
            keys: rest[..key_count].to_vec(),
            first: first.values().to_vec(),
            last: last.values().to_vec(),
            behind: (0..batch.num_rows()).map(behind).collect(),
            content,
            stored: None,
        })
    }

    /// A piece a row.
    fn of_rows(leaf: &Leaf, batch: &RecordBatch) -> Result<Self, EngineError> {
        let times: Vec<i64> = walls(leaf, batch).collect();
        let content = match &leaf.state {
            LeafState::Aggregate(aggregate) => {
                Content::States(states_of_rows(aggregate, batch)?)
            }
            LeafState::Rows => {
                let schema = Arc::clone(&leaf.schema);
                Content::Rows(RecordBatch::try_new(schema, batch.columns().to_vec())?)
            }
        };
        Ok(Self {
            keys: evaluate_all(&sessions(leaf).keys, batch)?,
            first: times.clone(),
            behind: vec![None; times.len()],
            last: times,
            content,
            stored: None,
        })
    }

    fn len(&self) -> usize {
        self.first.len()
    }

    /// Bytes of memory.
    fn memory(&self) -> usize {
        let columns = |all: &[ArrayRef]| -> usize {
            all.iter().map(|column| column.get_array_memory_size()).sum()
        };
        let content = match &self.content {
            Content::States(states) => states.iter().map(|state| columns(state)).sum(),
            Content::Rows(rows) => rows.get_array_memory_size(),
        };
        let each = 2 * size_of::<i64>() + size_of::<Option<Behind>>();
        columns(&self.keys) + content + self.len() * each
    }

    fn concat(leaf: &Leaf, all: &[Pieces]) -> Result<Self, EngineError> {
        let columns = |of: &dyn Fn(&Pieces) -> &ArrayRef| -> Result<ArrayRef, EngineError> {
            let arrays: Vec<&dyn Array> = all.iter().map(|p| of(p).as_ref()).collect();
            Ok(concat(&arrays)?)
        };
        let keys = 0..sessions(leaf).keys.len();
        let content = match &leaf.state {
            LeafState::Rows => {
                let batches = all.iter().map(|pieces| match &pieces.content {
                    Content::Rows(rows) => rows,
                    Content::States(_) => unreachable!("a leaf of rows keeps rows"),
                });
                Content::Rows(concat_batches(&leaf.schema, batches)?)
            }
            LeafState::Aggregate(aggregate) => {
                let state = |function: usize| {
                    let width = all.first().map_or(0, |p| p.states()[function].len());
                    let column = |i: usize| columns(&|p| &p.states()[function][i]);
                    (0..width).map(column).collect::<Result<Vec<_>, _>>()
                };
                let functions = 0..aggregate.functions.len();
                Content::States(functions.map(state).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self {
            keys: keys.map(|i| columns(&|p| &p.keys[i])).collect::<Result<_, _>>()?,
            first: all.iter().flat_map(|p| p.first.iter().copied()).collect(),
            last: all.iter().flat_map(|p| p.last.iter().copied()).collect(),
            behind: all.iter().flat_map(|p| p.behind.iter().copied()).collect(),
            content,
            stored: None,
        })
    }

    fn states(&self) -> &[Vec<ArrayRef>] {
        match &self.content {
            Content::States(states) => states,
            Content::Rows(_) => unreachable!("an aggregate keeps states"),
        }
    }

    /// The pieces at `indexes`, with the times and judgements given.
    fn take(&self, indexes: &[u32]) -> Result<Self, EngineError> {
        let at = UInt32Array::from(indexes.to_vec());
        let pick = |array: &ArrayRef| take(array.as_ref(), &at, None);
        let content = match &self.content {
            Content::Rows(rows) => Content::Rows(take_record_batch(rows, &at)?),
            Content::States(states) => {
                let state = |columns: &Vec<ArrayRef>| {
                    columns.iter().map(pick).collect::<Result<Vec<_>, _>>()
                };
                Content::States(states.iter().map(state).collect::<Result<_, _>>()?)
            }
        };
        let rows = || indexes.iter().map(|i| *i as usize);
        Ok(Self {
            keys: self.keys.iter().map(pick).collect::<Result<_, _>>()?,
            first: rows().map(|i| self.first[i]).collect(),
            last: rows().map(|i| self.last[i]).collect(),
            behind: rows().map(|i| self.behind[i]).collect(),
            content,
            stored: None,
        })
    }
}

/// Sessions that have not fired, and rows that cannot be judged yet.
#[derive(Default)]
pub struct WaitingSessions {
    pieces: Vec<Pieces>,
    /// Rows that cannot be judged yet, where late ones are wanted.
    behind: Vec<BehindRows>,
    next_firing: Option<i64>,
}

impl WaitingSessions {
    /// Takes in what the workers had and gives the sessions that fire at or
    /// before `watermark`.
    pub fn fire(
        &mut self,
        leaf: &Leaf,
        more: SessionShare,
        watermark: i64,
    ) -> Result<Fired, EngineError> {
        let mut all = std::mem::take(&mut self.pieces);
        all.extend(more.pieces);
        self.behind.extend(more.behind);
        self.next_firing = None;
        if all.is_empty() {
            return Ok(Fired::default());
        }
        let all = Pieces::concat(leaf, &all)?;
        let keys = key_numbers(leaf, &all)?;
        let gap = leaf.spec.kind.slice_ms();
        let intervals: Vec<Interval> = (0..all.len())
            .map(|i| Interval {
                key: keys[i],
                first: all.first[i],
                last: all.last[i],
                behind: all.behind[i],
            })
            .collect();
        let fires_at = |end: i64| leaf.spec.fires_at(end);
        let resolved = resolve(&intervals, gap, &fires_at, watermark);
        let fires = |s: &Session| fires_at(s.last + gap) <= watermark;
        let firing: Vec<bool> = resolved.sessions.iter().map(fires).collect();
        let mut fired = self.emit(leaf, &all, &resolved, &firing)?;
        if sessions(leaf).keeps_late_rows {
            fired.late_rows = self.late_rows(&all, &resolved)?;
            fired.late = 0;
        }
        self.keep(leaf, &all, &resolved, &firing)?;
        let waiting = resolved.sessions.iter().zip(&firing).filter(|(_, fires)| !**fires);
        let ends = waiting.map(|(s, _)| fires_at(s.last + gap));
        let unjudged = resolved.unjudged().map(|i| {
            let behind = all.behind[i].expect("only rows behind wait to be judged");
            behind.watermark.saturating_add(1)
        });
        self.next_firing = ends.chain(unjudged).min();
        Ok(fired)
    }

    /// The rows of the sessions that fire.
    fn emit(
        &self,
        leaf: &Leaf,
        all: &Pieces,
        resolved: &Resolved,
        firing: &[bool],
    ) -> Result<Fired, EngineError> {
        let mut fired = Fired { late: resolved.late(), ..Fired::default() };
        let (pieces, sessions) = resolved.of(firing, true);
        if pieces.is_empty() {
            return Ok(fired);
        }
        fired.windows = firing.iter().filter(|fires| **fires).count() as u64;
        let gap = leaf.spec.kind.slice_ms();
        let micros = |ms: &dyn Fn(&Session) -> i64, of: &[usize]| {
            let values: Vec<i64> =
                of.iter().map(|s| ms(&resolved.sessions[*s]) * 1000).collect();
            TimestampMicrosecondArray::from(values)
        };
        let bounds = |of: &[usize]| {
            let start = micros(&|s| s.first, of);
            let end = micros(&|s| s.last + gap, of);
            let time = window_times(&leaf.spec, &end);
            [start, end, time]
        };
        let batch = match (&leaf.state, &all.content) {
            (LeafState::Aggregate(aggregate), _) => {
                let mut merged = Merged::new(&sessions);
                let part = all.take(&pieces)?;
                let mut accumulators = Accumulators::new(aggregate)?;
                accumulators.merge(part.states(), &merged.index, merged.sessions.len())?;
                let keys = merged.keys(&part.keys)?;
                let values = accumulators.finish()?;
                let bounds = bounds(&merged.sessions);
                let rows = merged.sessions.len();
                aggregate_rows(leaf, aggregate, &keys, &values, &bounds, rows)?
            }
            (LeafState::Rows, Content::Rows(rows)) => {
                let rows = take_record_batch(rows, &UInt32Array::from(pieces))?;
                let mut columns = rows.columns().to_vec();
                let first = super::sessions::sessions(leaf).time;
                for (i, times) in bounds(&sessions).into_iter().enumerate() {
                    let ty = leaf.schema.field(first + i).data_type().clone();
                    columns[first + i] = Arc::new(times.with_data_type(ty));
                }
                RecordBatch::try_new(Arc::clone(&leaf.schema), columns)?
            }
            (LeafState::Rows, Content::States(_)) => {
                unreachable!("a leaf of rows keeps rows")
            }
        };
        fired.rows.push(batch);
        Ok(fired)
    }

    /// Keeps the sessions that wait, each as one piece, and the rows that cannot
    /// be judged yet.
    fn keep(
        &mut self,
        leaf: &Leaf,
        all: &Pieces,
        resolved: &Resolved,
        firing: &[bool],
    ) -> Result<(), EngineError> {
        let unjudged: Vec<u32> = resolved.unjudged().map(index).collect();
        if !unjudged.is_empty() {
            self.pieces.push(all.take(&unjudged)?);
        }
        let (pieces, sessions) = resolved.of(firing, false);
        if pieces.is_empty() {
            return Ok(());
        }
        let mut part = all.take(&pieces)?;
        part.behind.fill(None);
        if let LeafState::Aggregate(aggregate) = &leaf.state {
            let mut merged = Merged::new(&sessions);
            let mut accumulators = Accumulators::new(aggregate)?;
            accumulators.merge(part.states(), &merged.index, merged.sessions.len())?;
            let of = |time: &dyn Fn(&Session) -> i64| {
                merged.sessions.iter().map(|s| time(&resolved.sessions[*s])).collect()
            };
            part = Pieces {
                first: of(&|s| s.first),
                last: of(&|s| s.last),
                behind: vec![None; merged.sessions.len()],
                content: Content::States(accumulators.states()?),
                keys: merged.keys(&part.keys)?,
                stored: None,
            };
        }
        self.pieces.push(part);
        Ok(())
    }

    pub fn next_firing(&self) -> Option<i64> {
        self.next_firing
    }

    /// The late rows among those that were behind; keeps the ones that cannot be
    /// judged yet.
    fn late_rows(
        &mut self,
        all: &Pieces,
        resolved: &Resolved,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let (mut late, mut unjudged) = (HashSet::new(), HashSet::new());
        for (behind, place) in all.behind.iter().zip(&resolved.places) {
            match (behind, place) {
                (Some(behind), Place::Late) => late.insert((behind.split, behind.order)),
                (Some(behind), Place::Unjudged) => {
                    unjudged.insert((behind.split, behind.order))
                }
                _ => false,
            };
        }
        let mut found = Vec::new();
        for rows in std::mem::take(&mut self.behind) {
            let part = rows.part(|split, order| late.contains(&(split, order)))?;
            found.extend(part.map(|part| part.rows));
            self.behind.extend(rows.part(|split, order| unjudged.contains(&(split, order)))?);
        }
        Ok(found)
    }

    /// Takes pieces in without looking at them yet.
    pub fn add(&mut self, share: SessionShare) {
        if !share.pieces.is_empty() {
            self.pieces.extend(share.pieces);
            self.behind.extend(share.behind);
            self.next_firing = Some(watermark::MIN);
        }
    }

    /// The rows that cannot be judged yet, by their split.
    pub fn cut_behind(&self) -> impl Iterator<Item = Result<(u64, RecordBatch), EngineError>> {
        self.behind.iter().map(|rows| Ok((rows.split, rows.to_batch()?)))
    }

    /// Takes back such rows of an earlier process.
    pub fn restore_behind(
        &mut self,
        split: u64,
        rows: &RecordBatch,
    ) -> Result<(), EngineError> {
        self.behind.push(BehindRows::from_batch(split, rows)?);
        Ok(())
    }

    /// All there is, named.
    pub fn cut(
        &mut self,
        namer: &mut Namer,
    ) -> Result<Vec<(PieceId, Arc<RecordBatch>)>, EngineError> {
        let named = |pieces: &mut Pieces| {
            let id = *pieces.stored.get_or_insert_with(|| namer.name());
            Ok((id, Arc::new(pieces.to_batch()?)))
        };
        self.pieces.iter_mut().map(named).collect()
    }

    /// Takes back pieces of an earlier process.
    pub fn restore(
        &mut self,
        leaf: &Leaf,
        id: PieceId,
        batch: &RecordBatch,
    ) -> Result<(), EngineError> {
        let pieces = vec![Pieces { stored: Some(id), ..Pieces::from_batch(leaf, batch)? }];
        self.add(SessionShare { pieces, ..SessionShare::default() });
        Ok(())
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.pieces.iter().map(Pieces::memory).sum()
    }

    /// Sessions that wait.
    pub fn len(&self) -> usize {
        self.pieces.iter().map(Pieces::len).sum()
    }
}

fn index(i: usize) -> u32 {
    u32::try_from(i).expect("fewer pieces than 4 G")
}

/// Pieces on their way into one row a session.
struct Merged {
    /// The sessions, each once.
    sessions: Vec<usize>,
    /// For each piece its session's place among `sessions`.
    index: Vec<usize>,
    /// For each of `sessions` one of its pieces.
    any_piece: Vec<u64>,
}

impl Merged {
    /// `of`: the session of each piece.
    fn new(of: &[usize]) -> Self {
        let mut places: HashMap<usize, usize> = HashMap::with_capacity(of.len());
        let (mut sessions, mut any_piece) = (Vec::new(), Vec::new());
        let mut place = |(piece, session): (usize, &usize)| {
            *places.entry(*session).or_insert_with(|| {
                sessions.push(*session);
                any_piece.push(piece as u64);
                sessions.len() - 1
            })
        };
        let index = of.iter().enumerate().map(&mut place).collect();
        Self { sessions, index, any_piece }
    }

    fn keys(&mut self, of_pieces: &[ArrayRef]) -> Result<Vec<ArrayRef>, EngineError> {
        let any = UInt64Array::from(std::mem::take(&mut self.any_piece));
        Ok(of_pieces.iter().map(|key| take(key, &any, None)).collect::<Result<_, _>>()?)
    }
}

/// A number for each piece's key.
fn key_numbers(leaf: &Leaf, pieces: &Pieces) -> Result<Vec<usize>, EngineError> {
    if pieces.keys.is_empty() {
        return Ok(vec![0; pieces.len()]);
    }
    let schema = Arc::clone(&sessions(leaf).key_schema);
    let mut table = new_group_values(schema, &GroupOrdering::None)?;
    let mut numbers = Vec::new();
    table.intern(&pieces.keys, &mut numbers)?;
    Ok(numbers)
}

/// A piece as [`resolve`] sees it.
#[derive(Debug, Clone, Copy)]
struct Interval {
    key: usize,
    first: i64,
    last: i64,
    behind: Option<Behind>,
}

/// A session's first and last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Session {
    first: i64,
    last: i64,
    /// The session that took this one in.
    into: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Session(usize),
    Late,
    Unjudged,
}

struct Resolved {
    sessions: Vec<Session>,
    /// For each piece.
    places: Vec<Place>,
}

impl Resolved {
    fn late(&self) -> u64 {
        self.places.iter().filter(|place| **place == Place::Late).count() as u64
    }

    fn unjudged(&self) -> impl Iterator<Item = usize> + '_ {
        let places = self.places.iter().enumerate();
        places.filter(|(_, place)| **place == Place::Unjudged).map(|(i, _)| i)
    }

    /// The pieces of the sessions that fire, or of those that do not, and the
    /// session of each.
    fn of(&self, firing: &[bool], fire: bool) -> (Vec<u32>, Vec<usize>) {
        let places = self.places.iter().enumerate();
        let wanted = places.filter_map(|(i, place)| match place {
            Place::Session(session) if firing[*session] == fire => Some((index(i), *session)),
            _ => None,
        });
        wanted.unzip()
    }
}

/// Forms sessions. `fires_at` gives the watermark at which a session with that
/// end fires. A row behind is judged once the watermark is past the one that
/// it came under, for then every row that decides about it is here.
fn resolve(
    pieces: &[Interval],
    gap: i64,
    fires_at: &impl Fn(i64) -> i64,
    watermark: i64,
) -> Resolved {
    let mut places = vec![Place::Unjudged; pieces.len()];
    let mut sessions: Vec<Session> = Vec::new();
    let mut order: Vec<usize> =
        (0..pieces.len()).filter(|i| pieces[*i].behind.is_none()).collect();
    order.sort_unstable_by_key(|i| (pieces[*i].key, pieces[*i].first));
    let mut key = None;
    for i in order {
        let piece = &pieces[i];
        match sessions
            .last_mut()
            .filter(|s| key == Some(piece.key) && piece.first <= s.last + gap)
        {
            Some(session) => session.last = session.last.max(piece.last),
            None => {
                let (first, last) = (piece.first, piece.last);
                sessions.push(Session { first, last, into: None });
            }
        }
        key = Some(piece.key);
        places[i] = Place::Session(sessions.len() - 1);
    }
    let judged = |i: &usize| {
        let behind = pieces[*i].behind;
        behind.is_some_and(|b| watermark == watermark::MAX || b.watermark < watermark)
    };
    let mut behind: Vec<usize> = (0..pieces.len()).filter(judged).collect();
    if behind.is_empty() {
        return Resolved { sessions, places };
    }
    behind.sort_unstable_by_key(|i| pieces[*i].behind);
    let mut by_key: HashMap<usize, Vec<usize>> = HashMap::new();
    for i in &behind {
        by_key.entry(pieces[*i].key).or_default();
    }
    for (i, place) in places.iter().enumerate() {
        if let (Place::Session(session), Some(of_key)) = (place, by_key.get_mut(&pieces[i].key))
            && !of_key.contains(session)
        {
            of_key.push(*session);
        }
    }
    for i in behind {
        let piece = &pieces[i];
        let came_under = piece.behind.expect("it is behind").watermark;
        let of_key = by_key.get_mut(&piece.key).expect("made above");
        let meets = |s: &Session| {
            s.first <= piece.last + gap
                && piece.first <= s.last + gap
                && fires_at(s.last + gap) > came_under
        };
        let met: Vec<usize> = of_key.iter().copied().filter(|s| meets(&sessions[*s])).collect();
        let Some(&home) = met.first() else {
            if fires_at(piece.last + gap) > came_under {
                let (first, last) = (piece.first, piece.last);
                sessions.push(Session { first, last, into: None });
                of_key.push(sessions.len() - 1);
                places[i] = Place::Session(sessions.len() - 1);
            } else {
                places[i] = Place::Late;
            }
            continue;
        };
        let first = met.iter().map(|s| sessions[*s].first).min().unwrap_or(piece.first);
        let last = met.iter().map(|s| sessions[*s].last).max().unwrap_or(piece.last);
        sessions[home].first = first.min(piece.first);
        sessions[home].last = last.max(piece.last);
        for other in &met[1..] {
            sessions[*other].into = Some(home);
        }
        of_key.retain(|s| !met[1..].contains(s));
        places[i] = Place::Session(home);
    }
    for place in &mut places {
        if let Place::Session(session) = place {
            while let Some(into) = sessions[*session].into {
                *session = into;
            }
        }
    }
    Resolved { sessions, places }
}
