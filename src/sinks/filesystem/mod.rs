//! The `filesystem` connector: Parquet or text files in a folder of the local
//! disk or of S3, partitioned the Hive way.
//!
//! A row goes `partitioner` → `parquet_file` or `text_file` → `spool` →
//! `local` or `s3`. Nothing but whole files ever lies in the folder, so every
//! tool may read it at any time, and none has to know who wrote it.
//!
//! Options that could only be obeyed by leaving something else beside the data,
//! or that would do nothing here, are refused.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use self::destination::Destination;
use self::local::LocalFolder;
use self::location::Location;
use self::parquet_file::ParquetSettings;
use self::partitioner::Partitioner;
use self::s3::S3Folder;
use self::writer::FilesystemWriter;
use super::{OpenSink, Sink, SinkError, SinkTable, SinkWriter};
use crate::diagnostics::Diagnostic;
use crate::formats::EncodingFormat;
use crate::options::Options;

mod destination;
mod encoder;
mod local;
mod location;
mod options;
mod parquet_file;
mod partition_path;
mod partitioner;
mod s3;
mod spool;
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
    rollover_interval_ms: i64,
    /// How often the age of open files is looked at, at least a write apart.
    check_interval_ms: i64,
}

impl Filesystem {
    /// `variables` is the environment, where S3 finds its credentials.
    fn open_with(
        &self,
        request: &OpenSink,
        variables: &[(String, String)],
    ) -> Result<FilesystemWriter, SinkError> {
        let (destination, spools): (Box<dyn Destination>, Arc<Path>) = match &self.location {
            Location::Local(path) => {
                let folder = LocalFolder::open(path)?;
                let spools = folder.root().into();
                (Box::new(folder), spools)
            }
            Location::S3 { bucket, prefix } => {
                let folder = S3Folder::open(bucket, prefix, variables)?;
                (Box::new(folder), std::env::temp_dir().into())
            }
        };
        let by = self.partitioned_by.iter().map(|(index, _)| *index).collect();
        let schema = Arc::clone(&request.schema);
        let partitioner =
            Partitioner::new(schema, by, self.default_partition.clone()).map_err(|error| {
                SinkError::Config { table: self.table.clone(), reason: error.to_string() }
            })?;
        FilesystemWriter::new(
            &self.table,
            self.format.clone(),
            self.rolling,
            partitioner,
            destination,
            spools,
            request,
        )
    }
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

    fn open(&self, request: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError> {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        let variables: Vec<(String, String)> =
            std::env::vars_os().filter_map(|(k, v)| Some((text(k)?, text(v)?))).collect();
        Ok(Box::new(self.open_with(request, &variables)?))
    }
}
