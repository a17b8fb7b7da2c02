//! The sinks of a running job: fits rows to the declared columns and writes
//! them.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};

use super::error::EngineError;
use super::status::{Status, add};
use crate::checkpoint::{Destination, NewFile};
use crate::clock::Clock;
use crate::planning::pipeline::{Job, Output};
use crate::sinks::{OpenSink, SinkWriter};

pub struct Outputs {
    job: Arc<Job>,
    writers: Vec<Box<dyn SinkWriter>>,
    status: Arc<Status>,
    rows: u64,
}

impl Outputs {
    pub fn open(
        job: &Arc<Job>,
        clock: &Arc<dyn Clock>,
        status: &Arc<Status>,
    ) -> Result<Self, EngineError> {
        let open = |output: &Output| {
            let request =
                OpenSink { schema: Arc::clone(&output.schema), clock: Arc::clone(clock) };
            output
                .sink
                .open(&request)
                .map_err(|source| EngineError::Sink { table: output.table.clone(), source })
        };
        let writers = job.outputs.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self { job: Arc::clone(job), writers, status: Arc::clone(status), rows: 0 })
    }

    /// Where the files of each belong.
    pub fn destinations(&self) -> Vec<Destination> {
        let mut all = Vec::with_capacity(self.writers.len());
        for (output, writer) in self.job.outputs.iter().zip(&self.writers) {
            let folder = output.sink.location().cloned().zip(writer.folder().cloned());
            all.push(Destination { table: output.table.clone(), folder });
        }
        all
    }

    pub fn write(&mut self, output: usize, batches: &[RecordBatch]) -> Result<(), EngineError> {
        let plan = &self.job.outputs[output];
        for batch in batches.iter().filter(|batch| batch.num_rows() > 0) {
            let batch = fit(plan, batch)?;
            self.writers[output]
                .write(&batch)
                .map_err(|source| EngineError::Sink { table: plan.table.clone(), source })?;
            self.rows += batch.num_rows() as u64;
            add(&self.status.rows_out, batch.num_rows() as u64);
        }
        Ok(())
    }

    /// Rows written in this process.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether rows wait to be committed.
    pub fn have_rows(&self) -> bool {
        self.writers.iter().any(|writer| writer.pending_rows() > 0)
    }

    /// Ends files and gives them out.
    pub fn cut(&mut self, label: &str) -> Result<Vec<NewFile>, EngineError> {
        let mut files = Vec::new();
        for (output, writer) in self.writers.iter_mut().enumerate() {
            let table = &self.job.outputs[output].table;
            let cut = writer
                .cut(label)
                .map_err(|source| EngineError::Sink { table: table.clone(), source })?;
            let ended = cut.files.into_iter();
            files.extend(ended.map(|(file, rows)| NewFile { output, file, rows }));
            add(&self.status.rows_published, cut.shown.rows);
            add(&self.status.bytes_out, cut.shown.bytes);
        }
        Ok(files)
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
