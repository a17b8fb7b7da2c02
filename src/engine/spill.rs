//! Partial aggregates on disk, split by the hash of their keys: so that those of
//! one window can be merged part by part, each small enough for memory.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use datafusion::common::hash_utils::{QualityRandomState, create_hashes};

use super::error::EngineError;
use super::groups::{Groups, Partial};
use super::slices::RunRows;
use crate::checkpoint::KeptRows;
use crate::planning::pipeline::Aggregate;
use crate::store::Spool;

/// Into how many parts keys are split: by eight bits of their hash.
pub const PARTS: usize = 256;

/// A run on disk.
#[derive(Debug)]
pub struct SpilledRun {
    schema: SchemaRef,
    bytes: Spool,
    /// Of each part.
    ranges: Vec<Range<u64>>,
    rows: usize,
}

impl SpilledRun {
    /// Writes `rows`, whose first `keys` columns are their keys.
    pub fn write(
        rows: &RecordBatch,
        keys: usize,
        mut bytes: Spool,
    ) -> Result<Self, EngineError> {
        let parts = indexes_by_part(&rows.columns()[..keys], rows.num_rows())?;
        let mut ranges = Vec::with_capacity(PARTS);
        for indexes in parts {
            let from = bytes.len();
            if !indexes.is_empty() {
                let part = take_record_batch(rows, &UInt32Array::from(indexes))?;
                let mut writer = StreamWriter::try_new(&mut bytes, &part.schema())?;
                writer.write(&part)?;
                writer.finish()?;
            }
            ranges.push(from..bytes.len());
        }
        Ok(Self { schema: rows.schema(), bytes, ranges, rows: rows.num_rows() })
    }

    /// The rows of a part, if it has any.
    pub fn part(&self, part: usize) -> io::Result<Option<RecordBatch>> {
        let range = &self.ranges[part];
        if range.is_empty() {
            return Ok(None);
        }
        let bytes = self.bytes.read(range.clone())?;
        let mut reader = StreamReader::try_new(bytes.as_slice(), None)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        reader.next().transpose().map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
    }
}

impl KeptRows for SpilledRun {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn batch(&self, number: usize) -> io::Result<Option<RecordBatch>> {
        let mut with_rows = (0..PARTS).filter(|part| !self.ranges[*part].is_empty());
        with_rows.nth(number).map_or(Ok(None), |part| self.part(part))
    }
}

/// The groups of a window, some of them on disk, to be merged part by part.
pub struct PartedGroups {
    runs: Vec<PartedRun>,
    next: usize,
}

enum PartedRun {
    Memory(Vec<Option<RecordBatch>>),
    Disk(Arc<SpilledRun>),
}

impl PartedGroups {
    /// `runs` have `keys` columns of keys.
    pub fn new(runs: Vec<RunRows>, keys: usize) -> Result<Self, EngineError> {
        let parted = |run| match run {
            RunRows::Memory(rows) => Ok(PartedRun::Memory(parts_of(&rows, keys)?)),
            RunRows::Disk(run) => Ok(PartedRun::Disk(run)),
        };
        let runs = runs.into_iter().map(parted).collect::<Result<_, EngineError>>()?;
        Ok(Self { runs, next: 0 })
    }

    /// The groups of the next part that has any; `None` behind the last.
    pub fn next(&mut self, aggregate: &Aggregate) -> Result<Option<Groups>, EngineError> {
        while self.next < PARTS {
            let part = self.next;
            self.next += 1;
            let mut groups: Option<Groups> = None;
            for run in &mut self.runs {
                let rows = match run {
                    PartedRun::Memory(parts) => parts[part].take(),
                    PartedRun::Disk(run) => run.part(part)?,
                };
                if let Some(rows) = rows {
                    let groups = match &mut groups {
                        Some(groups) => groups,
                        none => none.insert(Groups::new(aggregate)?),
                    };
                    groups.absorb(&Partial::from_batch(aggregate, &rows)?)?;
                }
            }
            if groups.is_some() {
                return Ok(groups);
            }
        }
        Ok(None)
    }

    /// All groups, in memory.
    pub fn into_partial(mut self, aggregate: &Aggregate) -> Result<Partial, EngineError> {
        let mut parts = Vec::new();
        while let Some(groups) = self.next(aggregate)? {
            parts.push(groups.into_partial()?.to_batch()?);
        }
        let schema = parts.first().map(RecordBatch::schema);
        let Some(schema) = schema else { return Groups::new(aggregate)?.into_partial() };
        Partial::from_batch(aggregate, &concat_batches(&schema, &parts)?)
    }
}

/// Rows in memory, by part.
fn parts_of(rows: &RecordBatch, keys: usize) -> Result<Vec<Option<RecordBatch>>, EngineError> {
    let parts = indexes_by_part(&rows.columns()[..keys], rows.num_rows())?;
    let part = |indexes: Vec<u32>| match indexes.is_empty() {
        true => Ok(None),
        false => Ok(Some(take_record_batch(rows, &UInt32Array::from(indexes))?)),
    };
    parts.into_iter().map(part).collect()
}

fn indexes_by_part(keys: &[ArrayRef], rows: usize) -> Result<Vec<Vec<u32>>, EngineError> {
    let mut parts: Vec<Vec<u32>> = vec![Vec::new(); PARTS];
    // The same in every run of a process: parts of several runs are put together.
    let state = QualityRandomState::with_seed(0x7475_726E);
    let mut hashes = vec![0; rows];
    create_hashes(keys, &state, &mut hashes)?;
    for (row, hash) in (0u32..).zip(&hashes) {
        parts[usize::try_from(hash >> 56).expect("eight bits")].push(row);
    }
    Ok(parts)
}
