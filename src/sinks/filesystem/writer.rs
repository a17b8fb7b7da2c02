//! Rows to files: keeps one file open per partition, ends it when it is full, and
//! hands out whole files at a cut.
//!
//! Memory is bounded: by the number of open files, and by what their encoders
//! hold before it goes to a spool.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::encoder::{EncodeError, FileEncoder};
use super::partitioner::{Group, Partitioner};
use super::text_file::TextFile;
use super::{FileFormat, Rolling, partition_path};
use crate::sinks::{SinkCut, SinkError, SinkWriter};
use crate::store::{Folder, Spool, WholeFile};

/// A file holds an encoder's buffers and perhaps a file descriptor.
const MAX_OPEN_FILES: usize = 128;
/// How many are ended at once when there are too many.
const FILES_ENDED_AT_ONCE: usize = MAX_OPEN_FILES / 4;
/// What all open files may hold in memory before the largest are flushed.
const MAX_BUFFERED_BYTES: usize = 256 << 20;
/// A file's size is looked at after this many rows.
const ROWS_PER_WRITE: usize = 16_384;

pub(super) struct FilesystemWriter {
    table: String,
    format: FileFormat,
    rolling: Rolling,
    partitioner: Partitioner,
    file_schema: SchemaRef,
    folder: Folder,
    open: BTreeMap<Box<[u8]>, OpenFile>,
    ended: Vec<EndedFile>,
    writes: u64,
}

struct OpenFile {
    /// The folder of its partition.
    partition: String,
    encoder: Box<dyn FileEncoder>,
    rows: u64,
    /// The number of the write that last touched it.
    last_write: u64,
}

/// A file that is complete and has no name yet.
struct EndedFile {
    partition: String,
    bytes: Spool,
    rows: u64,
}

impl FilesystemWriter {
    pub fn new(
        table: &str,
        format: FileFormat,
        rolling: Rolling,
        partitioner: Partitioner,
        folder: Folder,
    ) -> Result<Self, SinkError> {
        let file_schema = partitioner.file_schema().map_err(|error| SinkError::Config {
            table: table.to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Self {
            table: table.to_owned(),
            format,
            rolling,
            partitioner,
            file_schema,
            folder,
            open: BTreeMap::new(),
            ended: Vec::new(),
            writes: 0,
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
                return Err(encode_error(&self.folder, &file.partition, error));
            }
            if file.encoder.encoded_bytes() >= self.rolling.file_bytes {
                self.end(&group.key)?;
            }
        }
        Ok(())
    }

    fn begin(&mut self, batch: &RecordBatch, group: &Group) -> Result<(), SinkError> {
        if self.open.len() >= MAX_OPEN_FILES {
            self.end_idlest()?;
        }
        let partition = self.partitioner.folder(batch, group.example);
        let spool = self.folder.spool();
        let encoder: Box<dyn FileEncoder> = match &self.format {
            FileFormat::Parquet(settings) => settings
                .file(Arc::clone(&self.file_schema), spool)
                .map_err(|error| encode_error(&self.folder, &partition, error))?,
            FileFormat::Text(format) => Box::new(TextFile::new(Arc::clone(format), spool)),
        };
        let file = OpenFile { partition, encoder, rows: 0, last_write: self.writes };
        self.open.insert(group.key.clone(), file);
        Ok(())
    }

    /// Ends the files that no row came to for longest.
    fn end_idlest(&mut self) -> Result<(), SinkError> {
        let mut keys: Vec<_> =
            self.open.iter().map(|(key, file)| (file.last_write, key.clone())).collect();
        keys.sort();
        keys.truncate(FILES_ENDED_AT_ONCE);
        keys.iter().try_for_each(|(_, key)| self.end(key))
    }

    fn end(&mut self, key: &[u8]) -> Result<(), SinkError> {
        let file = self.open.remove(key).expect("the key is of an open file");
        let finished = file.encoder.finish();
        let bytes =
            finished.map_err(|error| encode_error(&self.folder, &file.partition, error))?;
        self.ended.push(EndedFile { partition: file.partition, bytes, rows: file.rows });
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
            flushed.map_err(|error| encode_error(&self.folder, &file.partition, error))?;
            total -= bytes;
        }
        Ok(())
    }
}

impl SinkWriter for FilesystemWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.writes += 1;
        let groups = self.partitioner.split(batch).map_err(|error| {
            encode_error(&self.folder, "", EncodeError::Value(error.to_string()))
        })?;
        for group in &groups {
            self.write_group(batch, group)?;
        }
        self.bound_memory()
    }

    fn pending_rows(&self) -> u64 {
        let open = self.open.values().map(|file| file.rows).sum::<u64>();
        open + self.ended.iter().map(|file| file.rows).sum::<u64>()
    }

    fn cut(&mut self, label: &str) -> Result<SinkCut, SinkError> {
        let keys: Vec<_> = self.open.keys().cloned().collect();
        keys.iter().try_for_each(|key| self.end(key))?;
        let stem = partition_path::escape(&format!("{}-{label}", self.table));
        let suffix = self.format.name();
        let ended = std::mem::take(&mut self.ended).into_iter().enumerate();
        let files = ended.map(|(number, file)| {
            let slash = if file.partition.is_empty() { "" } else { "/" };
            let name = format!("{}{slash}{stem}-{number}.{suffix}", file.partition);
            (WholeFile { name, bytes: file.bytes }, file.rows)
        });
        Ok(SinkCut { files: files.collect(), ..SinkCut::default() })
    }

    fn folder(&self) -> Option<&Folder> {
        Some(&self.folder)
    }
}

fn encode_error(folder: &Folder, partition: &str, error: EncodeError) -> SinkError {
    let path = folder.locate(partition);
    match error {
        EncodeError::Io(source) => SinkError::io(path, source),
        EncodeError::Value(reason) => SinkError::Encode { path, reason },
    }
}
