//! Joins rows whose times lie within bounds of each other, and forgets a row
//! once the watermark says that no match can come.
//!
//! Two rows are paired if neither came so late that its own split's watermark
//! had already ruled the other out. So which pairs there are depends on the
//! splits' logs alone, not on when the rows met.
//!
//! Source: Flink's `TimeIntervalJoin`.

mod matched;
mod side;

use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch, new_null_array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Int64Type;
use datafusion::common::JoinType;
use tokio::runtime::Runtime;

use self::side::{Side, batches};
use super::cut::Namer;
use super::error::EngineError;
use super::rows::Rows;
use crate::checkpoint::{Piece, PieceId};
use crate::planning::pipeline::IntervalJoin;

/// Rows of either side that may still find a match.
#[derive(Default)]
pub struct JoinedRows {
    sides: [Side; 2],
}

const LEFT: usize = 0;
const RIGHT: usize = 1;

impl JoinedRows {
    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.sides.iter().map(Side::memory).sum()
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
        self.sides[RIGHT].add(right);
        let all_right = self.sides[RIGHT].batches();
        if !left.is_empty() && !all_right.is_empty() {
            let inputs = vec![batches(&left), all_right];
            self.pair(join, inputs, runtime, &mut rows)?;
        }
        self.sides[LEFT].add(left);
        for side in [LEFT, RIGHT] {
            let is_outer = is_outer(join, side);
            let gone = self.sides[side].forget(join, side, watermark, is_outer)?;
            self.pad(join, side, gone, &mut rows)?;
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
                numbers.values().iter().map(|n| Some(!matched.remove(*n))).collect();
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
        join: &IntervalJoin,
        stage: usize,
        namer: &mut Namer,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), EngineError> {
        let mut sides = self.sides.iter_mut().enumerate();
        sides.try_for_each(|(number, side)| side.cut(join, (stage, number), namer, pieces))
    }

    /// Takes back rows of an earlier process, which had come to `watermark`.
    pub fn restore_rows(
        &mut self,
        join: &IntervalJoin,
        side: usize,
        id: PieceId,
        batch: &RecordBatch,
        watermark: i64,
    ) -> Result<(), EngineError> {
        self.sides[side].restore(join, side, id, batch, watermark)
    }

    pub fn restore_matched(
        &mut self,
        side: usize,
        next_number: i64,
        id: PieceId,
        numbers: &RecordBatch,
    ) -> Result<(), EngineError> {
        let side = &mut self.sides[side];
        side.next_number = next_number;
        side.matched.restore(id, numbers)
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
