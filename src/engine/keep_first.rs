//! Keeps the first row of each key by event time and drops the rest, without a
//! window.
//!
//! A row comes out once the watermark has passed its time, for then no row that
//! counts can be before it. A row that its own split's watermark had passed when
//! it came is late.
//!
//! Source: Flink's `RowTimeDeduplicateKeepFirstRowFunction`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use arrow::row::{RowConverter, SortField};
use datafusion::physical_expr::PhysicalExpr;

use super::cut::{Namer, PieceOf, piece, stored_piece, under};
use super::error::EngineError;
use super::ops::evaluate_all;
use super::rows::Rows;
use super::seen_keys::SeenKeys;
use super::watermark;
use crate::checkpoint::{Piece, PieceId};
use crate::planning::pipeline::KeepFirst;

pub struct FirstRows {
    /// Keys that have come out, and when by the machine's clock.
    seen: SeenKeys,
    waiting: Vec<Waiting>,
    keys: Option<RowConverter>,
    state_ttl_ms: Option<i64>,
    purged_at_ms: i64,
}

/// Rows that the watermark has not passed.
struct Waiting {
    batch: RecordBatch,
    split: u64,
    first: i64,
    /// Its name, if it has been stored as it is.
    stored: Option<PieceId>,
}

impl FirstRows {
    pub fn new(plan: &KeepFirst) -> Self {
        let millis =
            |ttl: std::time::Duration| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        Self {
            seen: SeenKeys::default(),
            waiting: Vec::new(),
            keys: None,
            state_ttl_ms: plan.state_ttl.map(millis),
            purged_at_ms: i64::MIN,
        }
    }

    /// Bytes of memory, about.
    pub fn memory(&self) -> usize {
        let waiting = self.waiting.iter().map(|waiting| waiting.batch.get_array_memory_size());
        waiting.sum::<usize>() + self.seen.memory()
    }

    /// Takes new rows; gives those that are the first of their key, and those that
    /// were late.
    pub fn keep(
        &mut self,
        plan: &KeepFirst,
        new: Vec<Rows>,
        watermark: i64,
        now_ms: i64,
    ) -> Result<(Vec<RecordBatch>, Vec<RecordBatch>), EngineError> {
        let mut late = Vec::new();
        for rows in new {
            let times = times(plan, &rows.batch);
            let on_time = |row: &u32| times[*row as usize] >= rows.judged_by(*row as usize);
            let count = u32::try_from(times.len()).expect("a batch is small");
            let (kept, behind): (Vec<u32>, Vec<u32>) = (0..count).partition(on_time);
            if !behind.is_empty() {
                late.push(take_record_batch(&rows.batch, &UInt32Array::from(behind))?);
            }
            let Some(first) = kept.iter().map(|row| times[*row as usize]).min() else {
                continue;
            };
            let batch = take_record_batch(&rows.batch, &UInt32Array::from(kept))?;
            self.waiting.push(Waiting { batch, split: rows.split, first, stored: None });
        }
        self.purge(now_ms);
        // Which of two rows with the same time is first is for their split to say.
        self.waiting.sort_by_key(|waiting| waiting.split);
        let passed = |time: i64| time < watermark || watermark == watermark::MAX;
        let mut reached: Vec<RecordBatch> = Vec::new();
        for waiting in std::mem::take(&mut self.waiting) {
            if !passed(waiting.first) {
                self.waiting.push(waiting);
                continue;
            }
            let times = times(plan, &waiting.batch);
            let (mut come, mut wait) = (Vec::new(), Vec::new());
            for (row, time) in (0u32..).zip(&times) {
                if passed(*time) { come.push(row) } else { wait.push(row) }
            }
            reached.push(take_record_batch(&waiting.batch, &UInt32Array::from(come))?);
            if let Some(first) = wait.iter().map(|row| times[*row as usize]).min() {
                let batch = take_record_batch(&waiting.batch, &UInt32Array::from(wait))?;
                self.waiting.push(Waiting { batch, first, stored: None, ..waiting });
            }
        }
        if reached.is_empty() {
            return Ok((Vec::new(), late));
        }
        let reached = concat_batches(&plan.schema, &reached)?;
        let first = self.first_of(plan, &reached, now_ms)?;
        Ok((if first.num_rows() == 0 { Vec::new() } else { vec![first] }, late))
    }

    fn first_of(
        &mut self,
        plan: &KeepFirst,
        reached: &RecordBatch,
        now_ms: i64,
    ) -> Result<RecordBatch, EngineError> {
        let times = times(plan, reached);
        let mut order: Vec<u32> = (0..).take(times.len()).collect();
        order.sort_by_key(|row| times[*row as usize]);
        let order = UInt32Array::from(order);
        let keys = evaluate_all(&plan.keys, reached)?;
        let keys = keys.iter().map(|key| take(key, &order, None));
        let keys = keys.collect::<Result<Vec<ArrayRef>, _>>()?;
        let keys = self.converter(plan)?.convert_columns(&keys)?;
        let mut first = Vec::new();
        let lives = self.lives_at(now_ms);
        for (key, row) in keys.iter().zip(order.values()) {
            if self.seen.insert(key.as_ref(), now_ms, lives) {
                first.push(*row);
            }
        }
        Ok(take_record_batch(reached, &UInt32Array::from(first))?)
    }

    /// Keys that have come out, and rows that wait.
    pub fn cut(
        &mut self,
        stage: usize,
        namer: &mut Namer,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), EngineError> {
        for (id, rows) in self.seen.cut(namer)? {
            let of = PieceOf::Seen { stage };
            pieces.push(match rows {
                Some(rows) => piece(id, &of, Arc::new(rows)),
                None => stored_piece(id, &of),
            });
        }
        for waiting in &mut self.waiting {
            let of = PieceOf::Waiting { stage, split: waiting.split };
            let id = *waiting.stored.get_or_insert_with(|| namer.name());
            pieces.push(piece(id, &of, Arc::new(waiting.batch.clone())));
        }
        Ok(())
    }

    /// Takes back rows of an earlier process.
    pub fn restore_waiting(
        &mut self,
        plan: &KeepFirst,
        split: u64,
        id: PieceId,
        batch: &RecordBatch,
    ) -> Result<(), EngineError> {
        let batch = under(&plan.schema, batch)?;
        if let Some(first) = times(plan, &batch).into_iter().min() {
            self.waiting.push(Waiting { batch, split, first, stored: Some(id) });
        }
        Ok(())
    }

    /// Takes back keys that an earlier process has let out.
    pub fn restore_seen(&mut self, id: PieceId, rows: &RecordBatch) -> Result<(), EngineError> {
        self.seen.restore(id, rows)
    }

    fn converter(&mut self, plan: &KeepFirst) -> Result<&RowConverter, EngineError> {
        if self.keys.is_none() {
            let field =
                |key: &Arc<dyn PhysicalExpr>| Ok(SortField::new(key.data_type(&plan.schema)?));
            let fields = plan.keys.iter().map(field).collect::<Result<_, EngineError>>()?;
            self.keys = Some(RowConverter::new(fields)?);
        }
        Ok(self.keys.as_ref().expect("just made"))
    }

    /// Forgets keys whose time has run out.
    fn purge(&mut self, now_ms: i64) {
        let Some(ttl) = self.state_ttl_ms else { return };
        if now_ms.saturating_sub(self.purged_at_ms) < ttl / 4 {
            return;
        }
        self.purged_at_ms = now_ms;
        self.seen.purge(self.lives_at(now_ms));
    }

    /// Whether a key is still remembered that came out at some time.
    fn lives_at(&self, now_ms: i64) -> impl Fn(i64) -> bool + Copy + use<> {
        let ttl = self.state_ttl_ms;
        move |since| ttl.is_none_or(|ttl| now_ms.saturating_sub(since) < ttl)
    }

    /// The watermark at which the next row comes out.
    pub fn next_firing(&self) -> Option<i64> {
        self.waiting.iter().map(|waiting| waiting.first.saturating_add(1)).min()
    }
}

/// The rows' times in milliseconds; one without a time comes at once.
fn times(plan: &KeepFirst, batch: &RecordBatch) -> Vec<i64> {
    let times = batch.column(plan.time).as_primitive::<TimestampMicrosecondType>();
    let millis = |at: Option<i64>| at.map_or(watermark::MIN, |micros| micros.div_euclid(1000));
    times.iter().map(millis).collect()
}
