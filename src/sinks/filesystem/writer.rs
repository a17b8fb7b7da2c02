//! Rows into open files, one per partition folder; full files are published.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::super::{OpenSink, Published, SinkError, SinkWriter};
use super::Filesystem;
use super::encode::OpenFile;
use super::partition::Partitioner;
use super::store::Store;
use crate::clock::Clock;

/// Folders written to at a time; beyond it, all files are published.
const MAX_OPEN_FILES: usize = 512;

pub struct Writer {
    sink: Filesystem,
    store: Store,
    clock: Arc<dyn Clock>,
    run_id: String,
    partitioner: Partitioner,
    /// The columns that are in the files.
    file_schema: SchemaRef,
    open: BTreeMap<Arc<str>, Open>,
    next_file: u64,
    /// What became visible before anyone asked.
    rolled: Published,
}

struct Open {
    file: OpenFile,
    rows: u64,
    opened_at_ms: i64,
}

impl Writer {
    pub fn new(sink: Filesystem, request: &OpenSink, store: Store) -> Self {
        let partitioner =
            Partitioner::new(&request.schema, &sink.partitioned_by, &sink.default_name)
                .expect("binding refused what cannot be a partition column");
        let file_schema = request.schema.project(partitioner.kept()).expect("its own columns");
        Self {
            store,
            clock: Arc::clone(&request.clock),
            run_id: request.run_id.clone(),
            partitioner,
            file_schema: Arc::new(file_schema),
            open: BTreeMap::new(),
            next_file: 0,
            rolled: Published::default(),
            sink,
        }
    }

    fn failed(&self, folder: &str, reason: String) -> SinkError {
        SinkError::Encode { path: self.store.name_of(folder), reason }
    }

    fn add(&mut self, folder: Arc<str>, rows: &RecordBatch) -> Result<(), SinkError> {
        let now = self.clock.now_ms();
        if !self.open.contains_key(&folder) {
            if self.open.len() >= MAX_OPEN_FILES {
                let all = std::mem::take(&mut self.open);
                self.roll(all)?;
            }
            let file = OpenFile::new(&self.sink.format, &self.file_schema)
                .map_err(|reason| self.failed(&folder, reason))?;
            let open = Open { file, rows: 0, opened_at_ms: now };
            self.open.insert(Arc::clone(&folder), open);
        }
        let open = self.open.get_mut(&folder).expect("it was opened");
        open.rows += rows.num_rows() as u64;
        let written = open.file.write(rows);
        let too_old =
            i64::try_from(self.sink.rollover_interval.as_millis()).unwrap_or(i64::MAX);
        let full =
            open.file.size() >= self.sink.file_size || now - open.opened_at_ms >= too_old;
        written.map_err(|reason| self.failed(&folder, reason))?;
        if full {
            let open = self.open.remove(&folder).expect("it was opened");
            self.roll(BTreeMap::from([(folder, open)]))?;
        }
        Ok(())
    }

    /// Makes `files` visible.
    fn roll(&mut self, files: BTreeMap<Arc<str>, Open>) -> Result<(), SinkError> {
        let mut finished: Vec<(String, Bytes)> = Vec::with_capacity(files.len());
        let mut published = Published::default();
        for (folder, open) in files {
            let name = self.file_name(&folder);
            let bytes = open.file.finish().map_err(|reason| self.failed(&name, reason))?;
            published.files += 1;
            published.rows += open.rows;
            published.bytes += bytes.len() as u64;
            finished.push((name, bytes));
        }
        self.store.put_all(finished)?;
        self.rolled.files += published.files;
        self.rolled.rows += published.rows;
        self.rolled.bytes += published.bytes;
        Ok(())
    }

    /// `folder/table-run-000001.parquet`.
    fn file_name(&mut self, folder: &str) -> String {
        self.next_file += 1;
        let (table, run) = (&self.sink.table, &self.run_id);
        let extension = self.sink.format.name();
        let table: String =
            table.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect();
        format!("{folder}{table}-{run}-{:06}.{extension}", self.next_file)
    }
}

impl SinkWriter for Writer {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let parts =
            self.partitioner.split(batch).map_err(|e| self.failed("", e.to_string()))?;
        parts.into_iter().try_for_each(|(folder, rows)| self.add(folder, &rows))
    }

    fn pending_rows(&self) -> u64 {
        self.open.values().map(|open| open.rows).sum()
    }

    fn publish(&mut self) -> Result<Published, SinkError> {
        let all = std::mem::take(&mut self.open);
        self.roll(all)?;
        Ok(std::mem::take(&mut self.rolled))
    }
}
