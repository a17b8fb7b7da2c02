//! Files in a folder or a bucket: Flink's `filesystem` connector, writing.
//!
//! `PARTITIONED BY` columns become Hive folders (`DATE=09-23-23/`) and are left
//! out of the files. A file appears whole or not at all, and nothing but data
//! ever lies in the folder.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/filesystem/>

mod encode;
mod partition;
mod store;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use parquet::basic::{Compression, GzipLevel, ZstdLevel};

use super::{OpenSink, Sink, SinkError, SinkTable, SinkWriter};
use crate::diagnostics::Diagnostic;
use crate::formats::{self, EncodingFormat, FormatContext};
use crate::options::Options;
use crate::types::Column;
use store::Location;

#[derive(Debug, Clone)]
pub struct Filesystem {
    table: String,
    location: Location,
    format: FileFormat,
    /// Indexes of the partition columns.
    partitioned_by: Vec<usize>,
    /// The folder's name where the value is NULL or empty.
    default_name: String,
    /// A file that has reached this many bytes is full.
    file_size: u64,
    /// A file that has been open this long is full.
    rollover_interval: Duration,
}

#[derive(Debug, Clone)]
pub enum FileFormat {
    Parquet(Compression),
    Text(Arc<dyn EncodingFormat>),
}

impl FileFormat {
    fn name(&self) -> &'static str {
        match self {
            FileFormat::Parquet(_) => "parquet",
            FileFormat::Text(format) => format.name(),
        }
    }
}

const FORMATS: &[&str] = &["csv", "json", "parquet"];

/// Options of Flink's that would leave debris or do nothing here.
const REFUSED: [(&str, &str); 6] = [
    ("sink.partition-commit.policy.kind", "a file appears whole, so no marker is needed"),
    ("sink.partition-commit.trigger", "results are visible as soon as they are final"),
    ("sink.partition-commit.delay", "results are visible as soon as they are final"),
    ("compaction.file-size", "set 'sink.rolling-policy.file-size'"),
    ("parquet.utc-timezone", "a TIMESTAMP is written as wall time, a TIMESTAMP_LTZ in UTC"),
    ("sink.parallelism", "one writer writes each file"),
];

pub fn bind(
    table: &SinkTable<'_>,
    mut options: Options,
) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
    options.take("connector");
    let location =
        options.require("path").and_then(|path| match Location::parse(&path.value) {
            Ok(location) => Some(location),
            Err(reason) => {
                let message = format!("`path` cannot be `{}`: {reason}", path.value);
                options.errors.push(Diagnostic::error(message).at(path.span));
                None
            }
        });
    let format = format(table, &mut options);
    let default_name = options.take("partition.default-name").map(|v| v.value);
    let file_size = options.bytes("sink.rolling-policy.file-size").unwrap_or(128 << 20);
    let rollover = options.duration("sink.rolling-policy.rollover-interval");
    // How often Flink looks whether a file is old enough; we look at every batch.
    options.duration("sink.rolling-policy.check-interval");
    if options.boolean("auto-compaction", false) {
        let message = "`auto-compaction` is not supported";
        options.errors.push(
            Diagnostic::error(message)
                .at(options.table_span)
                .hint("set 'sink.rolling-policy.file-size' for larger files"),
        );
    }
    for (key, instead) in REFUSED {
        if let Some(value) = options.take(key) {
            let message = format!("option `{key}` is not supported");
            options.errors.push(Diagnostic::error(message).at(value.span).hint(instead));
        }
    }
    if !table.columns.is_empty() && table.partitioned_by.len() == table.columns.len() {
        let message = "every column is a partition column, so the files would be empty";
        options.errors.push(Diagnostic::error(message).at(table.name_span));
    }
    options.finish("connector `filesystem`")?;
    let (Some(location), Some(format)) = (location, format) else {
        unreachable!("what is missing has been told");
    };
    Ok(Arc::new(Filesystem {
        table: table.name.to_owned(),
        location,
        format,
        partitioned_by: table.partitioned_by.to_vec(),
        default_name: default_name.unwrap_or_else(|| "__DEFAULT_PARTITION__".to_owned()),
        file_size,
        rollover_interval: rollover.unwrap_or(Duration::from_secs(30 * 60)),
    }))
}

fn format(table: &SinkTable<'_>, options: &mut Options) -> Option<FileFormat> {
    let name = options.require("format")?;
    if !FORMATS.contains(&name.value.as_str()) {
        options.errors.push(formats::unknown(&name.value, FORMATS).at(name.span));
        return None;
    }
    if name.value == "parquet" {
        // Timestamps are INT64 always, so only `true` says what is done.
        options.parse("parquet.write.int64.timestamp", "true", |v| (v == "true").then_some(()));
        return Some(FileFormat::Parquet(compression(options)?));
    }
    let columns: Vec<Column> = table
        .columns
        .iter()
        .enumerate()
        .filter(|(i, _)| !table.partitioned_by.contains(i))
        .map(|(_, column)| column.clone())
        .collect();
    let context = FormatContext {
        columns: &columns,
        time_zone: table.time_zone,
        option_prefix: format!("{}.", name.value),
    };
    formats::encoding(&name.value, options, &context).map(FileFormat::Text)
}

fn compression(options: &mut Options) -> Option<Compression> {
    let zstd = Compression::ZSTD(ZstdLevel::default());
    if options.clone().take("parquet.compression").is_none() {
        return Some(zstd);
    }
    options.parse("parquet.compression", "zstd, snappy, gzip, lz4 or uncompressed", |v| {
        Some(match v.to_lowercase().as_str() {
            "zstd" => zstd,
            "snappy" => Compression::SNAPPY,
            "gzip" => Compression::GZIP(GzipLevel::default()),
            "lz4" | "lz4_raw" => Compression::LZ4_RAW,
            "uncompressed" | "none" => Compression::UNCOMPRESSED,
            _ => return None,
        })
    })
}

impl Sink for Filesystem {
    fn describe(&self) -> Vec<(&'static str, String)> {
        vec![("path", self.location.to_string()), ("format", self.format.name().to_owned())]
    }

    fn open(&self, request: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError> {
        let store = self.location.open(&self.table)?;
        Ok(Box::new(writer::Writer::new(self.clone(), request, store)))
    }
}
