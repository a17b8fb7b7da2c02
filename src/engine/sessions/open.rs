//! A worker's side: rows are folded into the pieces of their slices.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;

use super::pieces::{Behind, BehindRows, Content, Pieces, SessionShare};
use super::{sessions, walls};
use crate::engine::error::EngineError;
use crate::engine::groups::{Evaluated, Groups};
use crate::engine::rows::Rows;
use crate::planning::pipeline::{Leaf, LeafState};

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
