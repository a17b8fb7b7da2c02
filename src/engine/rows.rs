//! A batch of rows on its way through a branch.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array,
};
use arrow::compute::{filter, filter_record_batch, take, take_record_batch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::cut::misfit;
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
    /// The rows with what each is judged by as a column in front.
    pub fn to_batch(&self) -> Result<RecordBatch, EngineError> {
        let count = self.batch.num_rows();
        let judged: ArrayRef = match &self.judged_by {
            Some(own) => Arc::clone(own) as ArrayRef,
            None => Arc::new(Int64Array::from(vec![None; count])),
        };
        let mut fields = vec![Arc::new(Field::new("judged_by", DataType::Int64, true))];
        fields.extend(self.batch.schema().fields().iter().cloned());
        let columns = [judged].into_iter().chain(self.batch.columns().iter().cloned());
        Ok(RecordBatch::try_new(Schema::new(fields).into(), columns.collect())?)
    }

    /// What [`to_batch`](Self::to_batch) made.
    pub fn from_batch(
        batch: &RecordBatch,
        judged_by_at_most: i64,
        split: u64,
    ) -> Result<Self, EngineError> {
        let judged = batch.column(0).as_primitive_opt::<Int64Type>();
        let judged = judged.ok_or_else(|| misfit("rows", None))?;
        let judged_by = (judged.null_count() == 0).then(|| Arc::new(judged.clone()));
        let rest: Vec<usize> = (1..batch.num_columns()).collect();
        Ok(Self { batch: batch.project(&rest)?, judged_by, judged_by_at_most, split })
    }

    /// The rows with their split's number and their own places, from `first` on,
    /// as columns behind.
    pub fn with_places(&self, first: i64, schema: &SchemaRef) -> Result<Self, EngineError> {
        let count = self.batch.num_rows();
        let last = first + i64::try_from(count).expect("a batch is small");
        let mut columns = self.batch.columns().to_vec();
        columns.push(Arc::new(Int64Array::from(vec![self.split.cast_signed(); count])));
        columns.push(Arc::new(Int64Array::from_iter_values(first..last)));
        let batch = RecordBatch::try_new(Arc::clone(schema), columns)?;
        Ok(Self { batch, ..self.clone() })
    }

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
