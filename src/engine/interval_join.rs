//! Joins rows whose times lie within bounds of each other, and forgets a row
//! once the watermark says that no match can come.
//!
//! Two rows are paired if neither came so late that its own split's watermark
//! had already ruled the other out. So which pairs there are depends on the
//! splits' logs alone, not on when the rows met.
//!
//! Source: Flink's `TimeIntervalJoin`.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array, new_null_array,
};
use arrow::compute::{filter_record_batch, take_record_batch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::common::JoinType;
use tokio::runtime::Runtime;

use super::cut::{Namer, PieceOf, anonymous, int64s, piece, under};
use super::error::EngineError;
use super::rows::Rows;
use crate::checkpoint::{Piece, PieceId};
use crate::planning::pipeline::IntervalJoin;

/// Rows of either side that may still find a match.
#[derive(Default)]
pub struct JoinedRows {
    sides: [Side; 2],
}

#[derive(Default)]
struct Side {
    kept: Vec<Kept>,
    next_number: i64,
    /// Columns without the hidden ones, once a row has come.
    width: Option<usize>,
    /// The watermark at which the next row is forgotten.
    next_gone: Option<i64>,
    /// Numbers of rows that have found a match, where it matters.
    matched: HashSet<i64>,
}

/// Rows with their hidden columns behind.
struct Kept {
    batch: RecordBatch,
    /// The least and the largest time, in milliseconds.
    first: i64,
    last: i64,
    /// Its name, if it has been stored as it is.
    stored: Option<PieceId>,
}

impl Kept {
    fn new(join: &IntervalJoin, side: usize, batch: RecordBatch) -> Self {
        let times = times(join, side, &batch);
        let known = || times.iter().flatten().copied();
        let first = known().min().unwrap_or(i64::MIN);
        let last = known().max().unwrap_or(i64::MIN);
        Self { batch, first, last, stored: None }
    }
}

/// Of a set of numbers, with what is free in it.
const BYTES_PER_NUMBER: usize = 16;

const LEFT: usize = 0;
const RIGHT: usize = 1;

impl JoinedRows {
    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let side = |side: &Side| {
            let kept = side.kept.iter().map(|kept| kept.batch.get_array_memory_size());
            kept.sum::<usize>() + side.matched.len() * BYTES_PER_NUMBER
        };
        self.sides.iter().map(side).sum()
    }

    /// Pairs new rows with those kept and with each other, then forgets what the
    /// watermark has passed. A row of an outer side that goes without a match
    /// comes out with NULLs.
    pub fn join(
        &mut self,
        join: &IntervalJoin,
        new: [Vec<Rows>; 2],
        watermark: i64,
        runtime: &Runtime,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let [left, right] = new;
        let left = self.sides[LEFT].numbered(join, LEFT, left)?;
        let right = self.sides[RIGHT].numbered(join, RIGHT, right)?;
        let mut rows = Vec::new();
        let old_left = self.sides[LEFT].batches();
        if !right.is_empty() && !old_left.is_empty() {
            let inputs = vec![old_left, batches(&right)];
            self.pair(join, inputs, runtime, &mut rows)?;
        }
        self.sides[RIGHT].kept.extend(right);
        let all_right = self.sides[RIGHT].batches();
        if !left.is_empty() && !all_right.is_empty() {
            let inputs = vec![batches(&left), all_right];
            self.pair(join, inputs, runtime, &mut rows)?;
        }
        self.sides[LEFT].kept.extend(left);
        for side in [LEFT, RIGHT] {
            let gone = self.sides[side].forget(join, side, watermark)?;
            if is_outer(join, side) {
                self.pad(join, side, gone, &mut rows)?;
            }
        }
        Ok(rows)
    }

    fn pair(
        &mut self,
        join: &IntervalJoin,
        inputs: Vec<Vec<RecordBatch>>,
        runtime: &Runtime,
        rows: &mut Vec<RecordBatch>,
    ) -> Result<(), EngineError> {
        let pairs = runtime.block_on(join.pairs.run(inputs))?;
        for batch in pairs.iter().filter(|batch| batch.num_rows() > 0) {
            let width = batch.num_columns();
            let left_width = self.sides[LEFT].width.unwrap_or_default();
            let numbers = [left_width, width - 2];
            for side in [LEFT, RIGHT] {
                if is_outer(join, side) {
                    let numbers = batch.column(numbers[side]).as_primitive::<Int64Type>();
                    self.sides[side].matched.extend(numbers.values());
                }
            }
            let shown = (0..left_width).chain(left_width + 2..width - 2);
            let columns = shown.map(|i| Arc::clone(batch.column(i))).collect();
            rows.push(RecordBatch::try_new(Arc::clone(&join.schema), columns)?);
        }
        Ok(())
    }

    /// Rows that found no match, with NULLs for the other side.
    fn pad(
        &mut self,
        join: &IntervalJoin,
        side: usize,
        gone: Vec<RecordBatch>,
        rows: &mut Vec<RecordBatch>,
    ) -> Result<(), EngineError> {
        for batch in gone {
            let shown = batch.num_columns() - 2;
            let numbers = batch.column(shown).as_primitive::<Int64Type>();
            let matched = &mut self.sides[side].matched;
            let alone: BooleanArray =
                numbers.values().iter().map(|n| Some(!matched.remove(n))).collect();
            let batch = filter_record_batch(&batch, &alone)?;
            if batch.num_rows() == 0 {
                continue;
            }
            let nulls = |field: &Arc<arrow::datatypes::Field>| {
                new_null_array(field.data_type(), batch.num_rows())
            };
            let fields = join.schema.fields();
            let own = batch.columns()[..shown].iter().cloned();
            let columns = match side {
                LEFT => own.chain(fields[shown..].iter().map(nulls)).collect(),
                _ => {
                    let others = fields.len() - shown;
                    fields[..others].iter().map(nulls).chain(own).collect()
                }
            };
            rows.push(RecordBatch::try_new(Arc::clone(&join.schema), columns)?);
        }
        Ok(())
    }

    /// The rows of both sides, and what is known of their matches.
    pub fn cut(
        &mut self,
        stage: usize,
        namer: &mut Namer,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), EngineError> {
        for (side, state) in self.sides.iter_mut().enumerate() {
            for kept in &mut state.kept {
                let id = *kept.stored.get_or_insert_with(|| namer.name());
                let rows = Arc::new(kept.batch.clone());
                pieces.push(piece(id, &PieceOf::Joined { stage, side }, rows));
            }
            let mut matched: Vec<i64> = state.matched.iter().copied().collect();
            matched.sort_unstable();
            let rows = matched.len();
            let batch = anonymous(vec![int64s(matched.into_iter().map(Some))], rows)?;
            let of = PieceOf::Matched { stage, side, next_number: state.next_number };
            pieces.push(piece(namer.name(), &of, Arc::new(batch)));
        }
        Ok(())
    }

    /// Takes back rows of an earlier process.
    pub fn restore_rows(
        &mut self,
        join: &IntervalJoin,
        side: usize,
        id: PieceId,
        batch: &RecordBatch,
    ) -> Result<(), EngineError> {
        let batch = under(&join.pairs.input_schema(side), batch)?;
        let state = &mut self.sides[side];
        state.width = Some(batch.num_columns() - 2);
        let kept = Kept { stored: Some(id), ..Kept::new(join, side, batch) };
        let gone = kept.first.saturating_add(join.reach_ms[side]).saturating_add(1);
        state.next_gone = Some(state.next_gone.map_or(gone, |next| next.min(gone)));
        state.kept.push(kept);
        Ok(())
    }

    pub fn restore_matched(&mut self, side: usize, next_number: i64, matched: &RecordBatch) {
        let state = &mut self.sides[side];
        state.next_number = next_number;
        if let Some(numbers) = matched.column(0).as_primitive_opt::<Int64Type>() {
            state.matched.extend(numbers.values());
        }
    }

    /// The watermark at which a row that has found no match comes out.
    pub fn next_firing(&self) -> Option<i64> {
        self.sides.iter().filter_map(|side| side.next_gone).min()
    }
}

fn is_outer(join: &IntervalJoin, side: usize) -> bool {
    let outer = match side {
        LEFT => JoinType::Left,
        _ => JoinType::Right,
    };
    join.join_type == outer || join.join_type == JoinType::Full
}

fn batches(kept: &[Kept]) -> Vec<RecordBatch> {
    kept.iter().map(|kept| kept.batch.clone()).collect()
}

/// The rows' times in milliseconds; `None` where there is none.
fn times(join: &IntervalJoin, side: usize, batch: &RecordBatch) -> Vec<Option<i64>> {
    let times = batch.column(join.times[side]).as_primitive::<TimestampMicrosecondType>();
    times.iter().map(|at| at.map(|micros| micros.div_euclid(1000))).collect()
}

impl Side {
    fn batches(&self) -> Vec<RecordBatch> {
        batches(&self.kept)
    }

    /// New rows with their hidden columns.
    fn numbered(
        &mut self,
        join: &IntervalJoin,
        side: usize,
        new: Vec<Rows>,
    ) -> Result<Vec<Kept>, EngineError> {
        let other_reach = join.reach_ms[1 - side];
        let schema = join.pairs.input_schema(side);
        let mut all = Vec::new();
        for rows in new {
            self.width = Some(rows.batch.num_columns());
            let count = rows.batch.num_rows();
            let until = self.next_number + i64::try_from(count).expect("a batch is small");
            let numbers = Int64Array::from_iter_values(self.next_number..until);
            self.next_number = until;
            let since = |row| {
                let least = rows.judged_by(row).saturating_sub(other_reach);
                least.saturating_mul(1000)
            };
            let since = Int64Array::from_iter_values((0..count).map(since));
            let mut columns = rows.batch.columns().to_vec();
            columns.push(Arc::new(numbers));
            columns.push(Arc::new(since));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            all.push(Kept::new(join, side, batch));
        }
        Ok(all)
    }

    /// Takes out the rows that no row to come can match.
    fn forget(
        &mut self,
        join: &IntervalJoin,
        side: usize,
        watermark: i64,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let reach = join.reach_ms[side];
        let passed = |time: i64| time.saturating_add(reach) < watermark;
        let mut gone = Vec::new();
        for kept in std::mem::take(&mut self.kept) {
            if !passed(kept.first) {
                self.kept.push(kept);
            } else if passed(kept.last) {
                gone.push(kept.batch);
            } else {
                let times = times(join, side, &kept.batch);
                let stays = |time: &Option<i64>| time.is_some_and(|time| !passed(time));
                let (mut stay, mut go) = (Vec::new(), Vec::new());
                for (row, time) in (0u32..).zip(&times) {
                    if stays(time) { stay.push(row) } else { go.push(row) }
                }
                gone.push(take_record_batch(&kept.batch, &UInt32Array::from(go))?);
                let first = times.iter().flatten().filter(|time| !passed(**time)).min();
                let first = *first.expect("the last of them stays");
                let batch = take_record_batch(&kept.batch, &UInt32Array::from(stay))?;
                self.kept.push(Kept { batch, first, last: kept.last, stored: None });
            }
        }
        let next = self.kept.iter().map(|kept| kept.first).min();
        self.next_gone = next.map(|first| first.saturating_add(reach).saturating_add(1));
        Ok(gone)
    }
}
