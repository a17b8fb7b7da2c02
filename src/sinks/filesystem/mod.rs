//! The `filesystem` connector: Parquet or text files in a folder of the local
//! disk or of S3, partitioned the Hive way.
//!
//! A row goes `partitioner` → `parquet_file` or `text_file` → a whole file,
//! which becomes visible when it is committed. Nothing but whole files ever lies
//! in the folder, so every tool may read it at any time, and none has to know
//! who wrote it.
//!
//! Options that would do nothing here are refused.

use std::fmt;
use std::sync::Arc;

use self::parquet_file::ParquetSettings;
use self::partition_commit::PartitionCommit;
use self::partitioner::Partitioner;
use self::writer::{FilesystemWriter, Parts};
use super::{OpenSink, Sink, SinkError, SinkTable, SinkWriter};
use crate::diagnostics::Diagnostic;
use crate::formats::EncodingFormat;
use crate::options::Options;
use crate::store::{Folder, Location};

mod encoder;
mod options;
mod parquet_file;
mod partition_commit;
pub(crate) mod partition_path;
mod partitioner;
mod text_file;
mod writer;

pub(super) fn bind(
    table: &SinkTable<'_>,
    options: Options,
) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
    Ok(Arc::new(options::bind(table, options)?))
}

/// A bound table.
#[derive(Debug, Clone)]
struct Filesystem {
    table: String,
    location: Location,
    format: FileFormat,
    rolling: Rolling,
    partition_commit: Option<Arc<PartitionCommit>>,
    /// Indexes and names of the partition columns, in the order declared.
    partitioned_by: Vec<(usize, String)>,
    default_partition: String,
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a sink has one")]
enum FileFormat {
    Parquet(ParquetSettings),
    Text(Arc<dyn EncodingFormat>),
}

impl FileFormat {
    /// Its name, which is also the suffix of its files.
    fn name(&self) -> &'static str {
        match self {
            FileFormat::Parquet(_) => "parquet",
            FileFormat::Text(format) => format.name(),
        }
    }
}

impl fmt::Display for FileFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileFormat::Parquet(settings) => write!(f, "parquet ({})", settings.codec()),
            FileFormat::Text(format) => f.write_str(format.name()),
        }
    }
}

/// When a file is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rolling {
    file_bytes: u64,
    /// `None`: every file ends at every cut.
    interval: Option<RollingInterval>,
}

/// For how long files may stay open. It is the table that rolls: all of its open
/// files end together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct RollingInterval {
    rollover_ms: i64,
    /// How much time passes at least between two looks at the clock.
    check_ms: i64,
}

impl Sink for Filesystem {
    fn describe(&self) -> Vec<(&'static str, String)> {
        let mut facts =
            vec![("path", self.location.to_string()), ("format", self.format.to_string())];
        if !self.partitioned_by.is_empty() {
            let names: Vec<&str> =
                self.partitioned_by.iter().map(|(_, name)| name.as_str()).collect();
            facts.push(("partitioned by", names.join(", ")));
        }
        facts
    }

    fn location(&self) -> Option<&Location> {
        Some(&self.location)
    }

    fn needs_watermark(&self) -> bool {
        self.partition_commit.as_ref().is_some_and(|commit| commit.by_watermark())
    }

    fn open(&self, request: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError> {
        let folder = Folder::open(&self.location).map_err(SinkError::Store)?;
        let by = self.partitioned_by.iter().map(|(index, _)| *index).collect();
        let schema = Arc::clone(&request.schema);
        let partitioner =
            Partitioner::new(schema, by, self.default_partition.clone()).map_err(|error| {
                SinkError::Config { table: self.table.clone(), reason: error.to_string() }
            })?;
        let (format, rolling) = (self.format.clone(), self.rolling);
        let clock = Arc::clone(&request.clock);
        let commit = self.partition_commit.clone();
        let parts = Parts { format, rolling, commit, partitioner, folder, clock };
        let writer = FilesystemWriter::new(&self.table, parts)?;
        Ok(Box::new(writer))
    }
}
