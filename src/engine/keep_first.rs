//! Keeps the first row of each key by event time and drops the rest, without a
//! window.
//!
//! A row comes out once the watermark has passed its time, for then no row that
//! counts can be before it. A row that its own split's watermark had passed when
//! it came is late.
//!
//! Source: Flink's `RowTimeDeduplicateKeepFirstRowFunction`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take, take_record_batch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::row::{OwnedRow, RowConverter, SortField};

use super::error::EngineError;
use super::ops::evaluate_all;
use super::rows::Rows;
use super::watermark;
use crate::planning::pipeline::KeepFirst;

pub struct FirstRows {
    /// Keys that have come out, and when by the machine's clock.
    seen: HashMap<OwnedRow, i64>,
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
}

impl FirstRows {
    pub fn new(plan: &KeepFirst) -> Self {
        let millis =
            |ttl: std::time::Duration| i64::try_from(ttl.as_millis()).unwrap_or(i64::MAX);
        Self {
            seen: HashMap::new(),
            waiting: Vec::new(),
            keys: None,
            state_ttl_ms: plan.state_ttl.map(millis),
            purged_at_ms: i64::MIN,
        }
    }

    /// Takes new rows; gives those that are the first of their key, and how many
    /// were late.
    pub fn keep(
        &mut self,
        plan: &KeepFirst,
        new: Vec<Rows>,
        watermark: i64,
        now_ms: i64,
    ) -> Result<(Vec<RecordBatch>, u64), EngineError> {
        let mut late = 0;
        for rows in new {
            let times = times(plan, &rows.batch);
            let on_time = |row: &u32| times[*row as usize] >= rows.judged_by(*row as usize);
            let count = u32::try_from(times.len()).expect("a batch is small");
            let kept: Vec<u32> = (0..count).filter(on_time).collect();
            late += u64::from(count) - kept.len() as u64;
            let Some(first) = kept.iter().map(|row| times[*row as usize]).min() else {
                continue;
            };
            let batch = take_record_batch(&rows.batch, &UInt32Array::from(kept))?;
            self.waiting.push(Waiting { batch, split: rows.split, first });
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
                self.waiting.push(Waiting { batch, first, ..waiting });
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
        if self.keys.is_none() {
            let fields =
                keys.iter().map(|key| SortField::new(DataType::clone(key.data_type())));
            self.keys = Some(RowConverter::new(fields.collect())?);
        }
        let converter = self.keys.as_ref().expect("just made");
        let keys = converter.convert_columns(&keys)?;
        let mut first = Vec::new();
        for (key, row) in keys.iter().zip(order.values()) {
            if let Entry::Vacant(new) = self.seen.entry(key.owned()) {
                new.insert(now_ms);
                first.push(*row);
            }
        }
        Ok(take_record_batch(reached, &UInt32Array::from(first))?)
    }

    /// Forgets keys whose time has run out.
    fn purge(&mut self, now_ms: i64) {
        let Some(ttl) = self.state_ttl_ms else { return };
        if now_ms.saturating_sub(self.purged_at_ms) < ttl / 4 {
            return;
        }
        self.purged_at_ms = now_ms;
        self.seen.retain(|_, since| now_ms - *since < ttl);
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
