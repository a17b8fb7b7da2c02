//! Rows to files: keeps one file open per partition, ends it when the rolling
//! policy says so, and hands whole files to the destination.
//!
//! Memory is bounded: by the number of open files, and by what their encoders
//! hold before it goes to a spool. Files are numbered in the order they were
//! begun, so equal input makes equal names.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::destination::{Destination, WholeFile};
use super::encoder::{EncodeError, FileEncoder};
use super::partitioner::{Group, Partitioner};
use super::spool::Spool;
use super::text_file::TextFile;
use super::{FileFormat, Rolling, partition_path};
use crate::clock::Clock;
use crate::sinks::{OpenSink, Published, SinkError, SinkWriter};

/// A file holds an encoder's buffers and perhaps a file descriptor.
const MAX_OPEN_FILES: usize = 128;
/// How many are ended at once when there are too many, to be placed together.
const FILES_ENDED_AT_ONCE: usize = MAX_OPEN_FILES / 4;
/// What all open files may hold in memory before the largest are flushed.
const MAX_BUFFERED_BYTES: usize = 256 << 20;
/// A file's size is looked at after this many rows.
const ROWS_PER_WRITE: usize = 16_384;

pub(super) struct FilesystemWriter {
    /// What every file of this writer is called, up to its number.
    stem: String,
    format: FileFormat,
    rolling: Rolling,
    clock: Arc<dyn Clock>,
    partitioner: Partitioner,
    file_schema: SchemaRef,
    spools: Arc<Path>,
    destination: Box<dyn Destination>,
    open: BTreeMap<Box<[u8]>, OpenFile>,
    files_begun: u64,
    writes: u64,
    last_check_ms: i64,
    /// What became visible since the last `publish`.
    published: Published,
}

struct OpenFile {
    name: String,
    encoder: Box<dyn FileEncoder>,
    rows: u64,
    begun_ms: i64,
    /// The number of the write that last touched it.
    last_write: u64,
}

impl FilesystemWriter {
    pub fn new(
        table: &str,
        format: FileFormat,
        rolling: Rolling,
        partitioner: Partitioner,
        destination: Box<dyn Destination>,
        spools: Arc<Path>,
        request: &OpenSink,
    ) -> Result<Self, SinkError> {
        let file_schema = partitioner.file_schema().map_err(|error| SinkError::Config {
            table: table.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            stem: partition_path::escape(&format!("{table}-{}", request.run_id)),
            format,
            rolling,
            partitioner,
            file_schema,
            spools,
            destination,
            open: BTreeMap::new(),
            files_begun: 0,
            writes: 0,
            last_check_ms: request.clock.now_ms(),
            clock: Arc::clone(&request.clock),
            published: Published::default(),
        })
    }

    fn write_group(&mut self, batch: &RecordBatch, group: &Group) -> Result<(), SinkError> {
        let mut start = 0;
        while start < group.rows.num_rows() {
            let rows = ROWS_PER_WRITE.min(group.rows.num_rows() - start);
            let piece = group.rows.slice(start, rows);
            start += rows;
            if !self.open.contains_key(&group.key) {
                self.begin(batch, group)?;
            }
            let file = self.open.get_mut(&group.key).expect("begun above");
            let written = file.encoder.write(&piece);
            file.rows += rows as u64;
            file.last_write = self.writes;
            if let Err(error) = written {
                return Err(encode_error(self.destination.locate(&file.name), error));
            }
            if file.encoder.encoded_bytes() >= self.rolling.file_bytes {
                self.end(vec![group.key.clone()])?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, batch: &RecordBatch, group: &Group) -> Result<(), SinkError> {
        if self.open.len() >= MAX_OPEN_FILES {
            self.end_idlest()?;
        }
        let mut name = self.partitioner.folder(batch, group.example);
        if !name.is_empty() {
            name.push('/');
        }
        let (number, suffix) = (self.files_begun, self.format.name());
        name.push_str(&format!("{}-{number}.{suffix}", self.stem));
        self.files_begun += 1;
        let spool = Spool::new(Arc::clone(&self.spools));
        let encoder: Box<dyn FileEncoder> = match &self.format {
            FileFormat::Parquet(settings) => settings
                .file(Arc::clone(&self.file_schema), spool)
                .map_err(|error| encode_error(self.destination.locate(&name), error))?,
            FileFormat::Text(format) => Box::new(TextFile::new(Arc::clone(format), spool)),
        };
        let begun_ms = self.clock.now_ms();
        let file = OpenFile { name, encoder, rows: 0, begun_ms, last_write: self.writes };
        self.open.insert(group.key.clone(), file);
        Ok(())
    }

    /// Ends the files that no row came to for longest.
    fn end_idlest(&mut self) -> Result<(), SinkError> {
        let mut keys: Vec<_> =
            self.open.iter().map(|(key, file)| (file.last_write, key.clone())).collect();
        keys.sort();
        keys.truncate(FILES_ENDED_AT_ONCE);
        self.end(keys.into_iter().map(|(_, key)| key).collect())
    }

    fn end_old(&mut self) -> Result<(), SinkError> {
        let now_ms = self.clock.now_ms();
        if now_ms - self.last_check_ms < self.rolling.check_interval_ms {
            return Ok(());
        }
        self.last_check_ms = now_ms;
        let is_old =
            |file: &OpenFile| now_ms - file.begun_ms >= self.rolling.rollover_interval_ms;
        let old = self.open.iter().filter(|(_, file)| is_old(file));
        let keys = old.map(|(key, _)| key.clone()).collect();
        self.end(keys)
    }

    /// Ends files and makes them visible.
    fn end(&mut self, keys: Vec<Box<[u8]>>) -> Result<(), SinkError> {
        let mut ended = Published::default();
        let mut files = Vec::with_capacity(keys.len());
        for key in keys {
            let file = self.open.remove(&key).expect("the keys are of open files");
            let finished = file.encoder.finish();
            let bytes = finished
                .map_err(|error| encode_error(self.destination.locate(&file.name), error))?;
            ended.files += 1;
            ended.rows += file.rows;
            ended.bytes += bytes.len();
            files.push(WholeFile { name: file.name, bytes });
        }
        if !files.is_empty() {
            self.destination.place(files)?;
        }
        self.published.files += ended.files;
        self.published.rows += ended.rows;
        self.published.bytes += ended.bytes;
        Ok(())
    }

    /// Flushes the fullest encoders until half of the allowed memory is free.
    fn bound_memory(&mut self) -> Result<(), SinkError> {
        let sizes = self.open.values_mut().map(|file| (file.encoder.buffered_bytes(), file));
        let mut by_size: Vec<_> = sizes.collect();
        let mut total: usize = by_size.iter().map(|(bytes, _)| bytes).sum();
        if total <= MAX_BUFFERED_BYTES {
            return Ok(());
        }
        by_size.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        for (bytes, file) in by_size {
            if total <= MAX_BUFFERED_BYTES / 2 {
                break;
            }
            let flushed = file.encoder.flush();
            flushed
                .map_err(|error| encode_error(self.destination.locate(&file.name), error))?;
            total -= bytes;
        }
        Ok(())
    }
}

impl SinkWriter for FilesystemWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.end_old()?;
        self.writes += 1;
        let groups = self.partitioner.split(batch).map_err(|error| {
            encode_error(self.destination.locate(""), EncodeError::Value(error.to_string()))
        })?;
        for group in &groups {
            self.write_group(batch, group)?;
        }
        self.bound_memory()
    }

    fn pending_rows(&self) -> u64 {
        self.open.values().map(|file| file.rows).sum()
    }

    fn publish(&mut self) -> Result<Published, SinkError> {
        let keys = self.open.keys().cloned().collect();
        self.end(keys)?;
        Ok(std::mem::take(&mut self.published))
    }
}

fn encode_error(path: String, error: EncodeError) -> SinkError {
    match error {
        EncodeError::Io(source) => SinkError::Io { path, source },
        EncodeError::Value(reason) => SinkError::Encode { path, reason },
    }
}
