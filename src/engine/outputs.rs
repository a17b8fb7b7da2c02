//! The sinks of a running job: fits rows to the declared columns, writes them,
//! and makes them visible in time.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};

use super::RunOptions;
use super::error::EngineError;
use super::status::{Status, add};
use crate::planning::pipeline::{Job, Output};
use crate::sinks::{OpenSink, SinkWriter};

pub struct Outputs {
    job: Arc<Job>,
    writers: Vec<Box<dyn SinkWriter>>,
    status: Arc<Status>,
    publish_interval_ms: Option<i64>,
    published_at_ms: Option<i64>,
}

impl Outputs {
    pub fn open(
        job: &Arc<Job>,
        options: &RunOptions,
        status: &Arc<Status>,
    ) -> Result<Self, EngineError> {
        let open = |output: &Output| {
            let request = OpenSink {
                schema: Arc::clone(&output.schema),
                run_id: options.run_id.clone(),
                clock: Arc::clone(&options.clock),
            };
            output
                .sink
                .open(&request)
                .map_err(|source| EngineError::Sink { table: output.table.clone(), source })
        };
        let writers = job.outputs.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self {
            job: Arc::clone(job),
            writers,
            status: Arc::clone(status),
            publish_interval_ms: options.publish_interval.map(milliseconds),
            published_at_ms: None,
        })
    }

    pub fn write(&mut self, output: usize, batches: &[RecordBatch]) -> Result<(), EngineError> {
        let plan = &self.job.outputs[output];
        for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
            let batch = fit(plan, batch)?;
            self.writers[output]
                .write(&batch)
                .map_err(|source| EngineError::Sink { table: plan.table.clone(), source })?;
            add(&self.status.rows_out, batch.num_rows() as u64);
        }
        Ok(())
    }

    /// Publishes if rows wait and the last time is long enough ago.
    pub fn publish_if_due(&mut self, now_ms: i64) -> Result<(), EngineError> {
        let Some(interval_ms) = self.publish_interval_ms else { return Ok(()) };
        // The first rows are what someone is waiting for.
        let due = self.published_at_ms.is_none_or(|at| now_ms - at >= interval_ms);
        if !due || self.writers.iter().all(|writer| writer.pending_rows() == 0) {
            return Ok(());
        }
        self.published_at_ms = Some(now_ms);
        self.publish()
    }

    pub fn publish(&mut self) -> Result<(), EngineError> {
        for (writer, plan) in self.writers.iter_mut().zip(&self.job.outputs) {
            let published = writer
                .publish()
                .map_err(|source| EngineError::Sink { table: plan.table.clone(), source })?;
            add(&self.status.files, published.files);
            add(&self.status.bytes_out, published.bytes);
            add(&self.status.rows_published, published.rows);
        }
        Ok(())
    }
}

/// The batch under the sink's own schema.
fn fit(output: &Output, batch: &RecordBatch) -> Result<RecordBatch, EngineError> {
    for (field, column) in output.schema.fields().iter().zip(batch.columns()) {
        if !field.is_nullable() && column.logical_null_count() > 0 {
            return Err(EngineError::NullInSink {
                table: output.table.clone(),
                column: field.name().clone(),
            });
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Arc::clone(&output.schema);
    Ok(RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &options)?)
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
