//! The sinks of a running job: fits rows to the declared columns and writes
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::compute::concat_batches;
use serde_json::Value;

use super::cut::{Namer, PieceOf, anonymous, piece, under};
use super::error::EngineError;
use super::status::{Status, add};
use crate::checkpoint::{Destination, NewFile, Piece, PieceId};
use crate::clock::Clock;
use crate::planning::pipeline::{Job, Output};
use crate::sinks::{Now, OpenSink, SinkWriter};

pub struct Outputs {
    job: Arc<Job>,
    writers: Vec<Box<dyn SinkWriter>>,
    /// By output, the rows that are in no file that has ended; empty where cuts
    /// leave no rows.
    open: Vec<OpenRows>,
    status: Arc<Status>,
    rows: u64,
}

#[derive(Default)]
struct OpenRows {
    /// Named by an earlier cut.
    stored: Vec<PieceId>,
    since: Vec<RecordBatch>,
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
        let open = job.outputs.iter().map(|_| OpenRows::default()).collect();
        Ok(Self { job: Arc::clone(job), writers, open, status: Arc::clone(status), rows: 0 })
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
            if self.writers[output].may_keep_rows() {
                self.open[output].since.push(batch.clone());
            }
            self.rows += batch.num_rows() as u64;
            add(&self.status.rows_out, batch.num_rows() as u64);
        }
        Ok(())
    }

    /// Rows written in this process.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Whether a cut would show something new; `now` by output.
    pub fn have_news(&self, now: impl Fn(usize) -> Now) -> bool {
        let mut writers = self.writers.iter().enumerate();
        writers.any(|(output, writer)| writer.has_news(now(output)))
    }

    /// Takes back rows that were in no file when an earlier process cut.
    pub fn restore(
        &mut self,
        table: &str,
        id: PieceId,
        rows: &RecordBatch,
    ) -> Result<(), EngineError> {
        let mut outputs = self.job.outputs.iter();
        let output = outputs.position(|output| output.table == table);
        let output = output.filter(|output| {
            let fields = self.job.outputs[*output].schema.fields();
            let types = rows.columns().iter().map(|column| column.data_type());
            fields.iter().map(|field| field.data_type()).eq(types)
        });
        let Some(output) = output else {
            let (table, rows) = (table.to_owned(), rows.num_rows());
            return Err(EngineError::RowsWithoutTable { table, rows });
        };
        let rows = under(&self.job.outputs[output].schema, rows)?;
        self.writers[output]
            .write(&rows)
            .map_err(|source| EngineError::Sink { table: table.to_owned(), source })?;
        self.open[output].stored.push(id);
        Ok(())
    }

    /// Tells the sinks what they knew; the rows they had are restored before.
    pub fn go_on(&mut self, notes: &BTreeMap<String, Value>) {
        for (output, writer) in self.job.outputs.iter().zip(&mut self.writers) {
            if let Some(notes) = notes.get(&output.table) {
                writer.go_on(notes);
            }
        }
    }

    /// What the sinks must know to go on from the last cut.
    pub fn notes(&self) -> BTreeMap<String, Value> {
        let all = self.job.outputs.iter().zip(&self.writers);
        let notes = all.map(|(output, writer)| (output.table.clone(), writer.notes()));
        notes.filter(|(_, notes)| !notes.is_null()).collect()
    }

    /// The rows that the last cut left, as pieces of state.
    pub fn left(
        &mut self,
        namer: &mut Namer,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), EngineError> {
        for (output, open) in self.job.outputs.iter().zip(&mut self.open) {
            let of = PieceOf::Output { table: output.table.clone() };
            let value = serde_json::to_value(&of).expect("plain data");
            let stored = open.stored.iter();
            pieces.extend(stored.map(|id| Piece { id: *id, of: value.clone(), rows: None }));
            if !open.since.is_empty() {
                let rows = concat_batches(&output.schema, &std::mem::take(&mut open.since))?;
                let rows = anonymous(rows.columns().to_vec(), rows.num_rows())?;
                let id = namer.name();
                pieces.push(piece(id, &of, Arc::new(rows)));
                open.stored.push(id);
            }
        }
        Ok(())
    }

    /// Ends files and gives them out; `now` by output.
    pub fn cut(
        &mut self,
        label: &str,
        now: impl Fn(usize) -> Now,
        last: bool,
    ) -> Result<Vec<NewFile>, EngineError> {
        let mut files = Vec::new();
        for (output, writer) in self.writers.iter_mut().enumerate() {
            let table = &self.job.outputs[output].table;
            let cut = writer
                .cut(label, now(output), last)
                .map_err(|source| EngineError::Sink { table: table.clone(), source })?;
            if !cut.kept {
                self.open[output] = OpenRows::default();
            }
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
