//! A batch of rows on its way through a branch.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{filter, filter_record_batch, take, take_record_batch};

use super::error::EngineError;
use super::watermark;

/// Rows of one split, with what each is judged by when lateness is asked.
#[derive(Debug, Clone)]
pub struct Rows {
    pub batch: RecordBatch,
    /// For each row its split's watermark before the row; `None` where no
    /// watermark was asked for.
    pub judged_by: Option<Arc<Int64Array>>,
    /// The largest of `judged_by`, or more.
    pub judged_by_at_most: i64,
    /// A number for the split, the same in every run.
    pub split: u64,
}

impl Rows {
    /// Rows that are never late.
    pub fn unjudged(batch: RecordBatch) -> Self {
        Self { batch, judged_by: None, judged_by_at_most: watermark::MIN, split: 0 }
    }

    /// The same rows, late for nothing.
    pub fn never_late(self) -> Self {
        Self { judged_by: None, judged_by_at_most: watermark::MIN, ..self }
    }

    /// What the row at `row` is judged by.
    pub fn judged_by(&self, row: usize) -> i64 {
        self.judged_by.as_ref().map_or(watermark::MIN, |own| own.value(row))
    }

    pub fn with_batch(self, batch: RecordBatch) -> Self {
        Self { batch, ..self }
    }

    /// The rows for which `mask` is true.
    pub fn keep(&self, mask: &BooleanArray) -> Result<Self, EngineError> {
        let batch = filter_record_batch(&self.batch, mask)?;
        let judged_by = match &self.judged_by {
            None => None,
            Some(values) => Some(int64(filter(values.as_ref(), mask)?.as_ref())),
        };
        Ok(Self { batch, judged_by, ..*self })
    }

    /// The rows at `indexes`, which may name a row more than once.
    pub fn take(&self, indexes: &UInt32Array) -> Result<Self, EngineError> {
        let batch = take_record_batch(&self.batch, indexes)?;
        let judged_by = self.judged_by_at(indexes)?;
        Ok(Self { batch, judged_by, ..*self })
    }

    /// The rows' watermarks for rows that came out of these by `indexes`.
    pub fn judged_by_at(
        &self,
        indexes: &UInt32Array,
    ) -> Result<Option<Arc<Int64Array>>, EngineError> {
        Ok(match &self.judged_by {
            None => None,
            Some(values) => Some(int64(take(values.as_ref(), indexes, None)?.as_ref())),
        })
    }
}

fn int64(array: &dyn Array) -> Arc<Int64Array> {
    let array = array.as_any().downcast_ref::<Int64Array>();
    Arc::new(array.expect("kernels keep the type").clone())
}
