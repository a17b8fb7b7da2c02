//! Rows to files: keeps one file open per partition, ends it when it is full, and
//! hands out whole files at a cut.
//!
//! Memory is bounded: by the number of open files, and by what their encoders
//! hold before it goes to a spool.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use serde::{Deserialize, Serialize};

use super::encoder::{EncodeError, FileEncoder};
use super::partition_commit::{OpenPartitions, PartitionCommit};
use super::partitioner::{Group, Partitioner};
use super::text_file::TextFile;
use super::{FileFormat, Rolling, partition_path};
use crate::clock::Clock;
use crate::sinks::{Now, SinkCut, SinkError, SinkWriter};
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
    clock: Arc<dyn Clock>,
    open: BTreeMap<Box<[u8]>, OpenFile>,
    ended: Vec<EndedFile>,
    writes: u64,
    commit: Option<Arc<PartitionCommit>>,
    left: Left,
    /// When the clock was last asked whether files are old enough.
    checked_ms: i64,
}

/// What the writer must know of earlier cuts.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Left {
    /// When the first of the rows came that are in open files.
    since_ms: Option<i64>,
    partitions: OpenPartitions,
}

/// What a writer is made of.
pub(super) struct Parts {
    pub format: FileFormat,
    pub rolling: Rolling,
    pub commit: Option<Arc<PartitionCommit>>,
    pub partitioner: Partitioner,
    pub folder: Folder,
    pub clock: Arc<dyn Clock>,
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
    pub fn new(table: &str, parts: Parts) -> Result<Self, SinkError> {
        let Parts { format, rolling, commit, partitioner, folder, clock } = parts;
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
            clock,
            open: BTreeMap::new(),
            ended: Vec::new(),
            writes: 0,
            commit,
            left: Left::default(),
            checked_ms: i64::MIN,
        })
    }

    /// Notes that rows came to a group's partition.
    fn note_partition(&mut self, batch: &RecordBatch, group: &Group) -> Result<(), SinkError> {
        let Some(commit) = &self.commit else { return Ok(()) };
        let folder = self.partitioner.folder(batch, group.example);
        if !self.left.partitions.contains_key(&folder) {
            let values = self.partitioner.values(batch, group.example);
            let opened = commit
                .opened(&values, self.clock.now_ms())
                .map_err(|reason| SinkError::Config { table: self.table.clone(), reason })?;
            self.left.partitions.insert(folder, opened);
        }
        Ok(())
    }

    fn pending_rows(&self) -> u64 {
        let open = self.open.values().map(|file| file.rows).sum::<u64>();
        open + self.ended.iter().map(|file| file.rows).sum::<u64>()
    }

    /// Whether the files that are open are to end.
    fn is_time_to_roll(&self, now: Now) -> bool {
        let Some(interval) = self.rolling.interval else { return true };
        let is_old = self.left.since_ms.is_some_and(|since| {
            now.clock_ms >= since.saturating_add(interval.rollover_ms)
                && now.clock_ms >= self.checked_ms.saturating_add(interval.check_ms)
        });
        is_old || !self.ended.is_empty() || self.complete(now).next().is_some()
    }

    /// The partitions that no more rows are expected for.
    fn complete(&self, now: Now) -> impl Iterator<Item = &String> {
        let commit = self.commit.iter();
        commit.flat_map(move |commit| {
            commit.complete(&self.left.partitions, now.clock_ms, now.watermark_ms)
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
            self.note_partition(batch, group)?;
            self.write_group(batch, group)?;
        }
        if self.rolling.interval.is_some() && self.left.since_ms.is_none() {
            self.left.since_ms = Some(self.clock.now_ms());
        }
        self.bound_memory()
    }

    fn has_news(&self, now: Now) -> bool {
        self.pending_rows() > 0 && self.is_time_to_roll(now)
            || self.complete(now).next().is_some()
    }

    fn may_keep_rows(&self) -> bool {
        self.rolling.interval.is_some()
    }

    fn notes(&self) -> serde_json::Value {
        serde_json::to_value(&self.left).expect("plain data")
    }

    fn go_on(&mut self, notes: &serde_json::Value) {
        self.left = Left::deserialize(notes).unwrap_or_default();
    }

    fn cut(&mut self, label: &str, now: Now, last: bool) -> Result<SinkCut, SinkError> {
        let kept = !last && !self.is_time_to_roll(now);
        if let Some(interval) = self.rolling.interval
            && now.clock_ms >= self.checked_ms.saturating_add(interval.check_ms)
        {
            self.checked_ms = now.clock_ms;
        }
        if kept {
            return Ok(SinkCut { kept: self.pending_rows() > 0, ..SinkCut::default() });
        }
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
        let mut files: Vec<_> = files.collect();
        // Behind what they speak of.
        let complete: Vec<String> = self.complete(now).cloned().collect();
        for folder in complete {
            self.left.partitions.remove(&folder);
            let name = self.commit.as_ref().map(|commit| commit.file_name.as_str());
            let name = format!("{folder}/{}", name.unwrap_or_default());
            files.push((WholeFile { name, bytes: self.folder.spool() }, 0));
        }
        self.left.since_ms = None;
        Ok(SinkCut { files, ..SinkCut::default() })
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
