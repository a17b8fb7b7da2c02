//! Binds the options of a `filesystem` table. Keys and defaults are Flink's,
//! except that Parquet is compressed with zstd.

use super::parquet_file::ParquetSettings;
use super::{FileFormat, Filesystem, Rolling, RollingInterval, partition_commit};
use crate::diagnostics::Diagnostic;
use crate::formats::{self, FormatContext};
use crate::options::Options;
use crate::sinks::SinkTable;
use crate::store::{Location, parse_location};
use crate::types::{Column, SqlType};
use std::sync::Arc;

const DEFAULT_FILE_BYTES: u64 = 128 << 20;
const DEFAULT_PARTITION: &str = "__DEFAULT_PARTITION__";

pub(super) fn bind(
    table: &SinkTable<'_>,
    mut options: Options,
) -> Result<Filesystem, Vec<Diagnostic>> {
    let location = bind_path(&mut options);
    refuse_idle_options(&mut options);
    refuse_unfit_partitions(table, &mut options);
    let rolling = bind_rolling(&mut options);
    let by = table.partitioned_by.iter();
    let partitioned_by: Vec<_> = by.map(|&i| (i, table.columns[i].name.clone())).collect();
    let names: Vec<String> = partitioned_by.iter().map(|(_, name)| name.clone()).collect();
    let partition_commit = partition_commit::bind(&names, &mut options);
    let default_partition = options
        .parse("partition.default-name", "a name", |v| (!v.is_empty()).then(|| v.to_owned()))
        .unwrap_or_else(|| DEFAULT_PARTITION.to_owned());
    let format = bind_format(table, &mut options);
    options.finish("connector `filesystem`")?;
    Ok(Filesystem {
        table: table.name.to_owned(),
        location: location.expect("a missing path is an error"),
        format: format.expect("a missing format is an error"),
        rolling,
        partition_commit: partition_commit.map(Arc::new),
        partitioned_by,
        default_partition,
    })
}

fn bind_path(options: &mut Options) -> Option<Location> {
    let path = options.require("path")?;
    match parse_location(&path.value) {
        Ok(location) => Some(location),
        Err(diagnostic) => {
            options.errors.push(diagnostic.or_at(path.span));
            None
        }
    }
}

fn bind_rolling(options: &mut Options) -> Rolling {
    let size = "sink.rolling-policy.file-size";
    let given = options.take(size);
    let file_bytes = options.bytes(size).unwrap_or(DEFAULT_FILE_BYTES);
    if let Some(value) = given.filter(|_| file_bytes == 0) {
        let message = format!("option `{size}` must be more than zero");
        options.errors.push(Diagnostic::error(message).at(value.span));
    }
    let interval = bind_interval(options);
    Rolling { file_bytes, interval }
}

fn bind_interval(options: &mut Options) -> Option<RollingInterval> {
    let [rollover, check] = ["rollover-interval", "check-interval"]
        .map(|name| format!("sink.rolling-policy.{name}"));
    let given = options.take(&check);
    let ms = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
    let check_ms = options.duration(&check).map_or(0, ms);
    let rollover_ms = options.duration(&rollover).map(ms);
    if let (Some(value), None) = (given, rollover_ms) {
        let message = format!("option `{check}` does nothing without `{rollover}`");
        let hint = "leave it out: files become visible with each checkpoint";
        options.errors.push(Diagnostic::error(message).at(value.span).hint(hint));
    }
    rollover_ms.map(|rollover_ms| RollingInterval { rollover_ms, check_ms })
}

fn bind_format(table: &SinkTable<'_>, options: &mut Options) -> Option<FileFormat> {
    let name = options.require("format")?;
    let columns = file_columns(table);
    if name.value == "parquet" {
        return Some(FileFormat::Parquet(ParquetSettings::bind(options, &columns)));
    }
    let context = FormatContext {
        columns: &columns,
        time_zone: table.time_zone,
        option_prefix: format!("{}.", name.value),
    };
    let errors_before = options.errors.len();
    let format = formats::encoding(&name.value, options, &context);
    if format.is_none() && options.errors.len() == errors_before {
        let known = [&["parquet"], formats::ENCODING].concat();
        options.errors.push(formats::unknown(&name.value, &known).or_at(name.span));
    }
    format.map(FileFormat::Text)
}

/// The columns that are in the files: all but those of the folders.
fn file_columns(table: &SinkTable<'_>) -> Vec<Column> {
    let columns = table.columns.iter().enumerate();
    columns
        .filter(|(i, _)| !table.partitioned_by.contains(i))
        .map(|(_, column)| column.clone())
        .collect()
}

fn refuse_unfit_partitions(table: &SinkTable<'_>, options: &mut Options) {
    let by = table.partitioned_by;
    for column in by.iter().map(|&i| &table.columns[i]) {
        if has_no_folder_name(&column.ty.ty) {
            let message =
                format!("cannot partition by `{}`: it is {}", column.name, column.ty.ty);
            let hint = "partition by columns of text, numbers, dates or times";
            options.errors.push(Diagnostic::error(message).at(table.name_span).hint(hint));
        }
    }
    if !by.is_empty() && by.len() == table.columns.len() {
        let message = format!("table `{}` is partitioned by all its columns", table.name);
        let hint = "leave a column for the files to hold";
        options.errors.push(Diagnostic::error(message).at(table.name_span).hint(hint));
    }
}

fn has_no_folder_name(ty: &SqlType) -> bool {
    use SqlType::{Array, Binary, Map, Row, Varbinary};
    matches!(ty, Binary(_) | Varbinary(_) | Array(_) | Map(_, _) | Row(_))
}

/// What Flink's sink obeys and ours has no use for.
fn refuse_idle_options(options: &mut Options) {
    const POLICY: &str = "leave it out: 'sink.partition-commit.policy.kind' = 'success-file' is \
                          the only policy";
    const ROLLING: &str = "leave it out: `sink.rolling-policy.*` decides on file sizes";
    const WORKERS: &str = "leave it out: one writer writes each table";
    let idle = [
        ("sink.partition-commit.policy.class", POLICY),
        ("sink.partition-commit.policy.class.parameters", POLICY),
        (
            "partition.time-extractor.class",
            "write 'partition.time-extractor.timestamp-pattern'",
        ),
        ("compaction.file-size", ROLLING),
        ("compaction.parallelism", ROLLING),
        ("sink.parallelism", WORKERS),
        ("sink.shuffle-by-partition.enable", WORKERS),
    ];
    for (key, hint) in idle {
        if let Some(value) = options.take(key) {
            let diagnostic = Diagnostic::error(format!("option `{key}` would do nothing here"));
            options.errors.push(diagnostic.at(value.span).hint(hint));
        }
    }
    let key = "auto-compaction";
    if let Some(value) = options.take(key)
        && !value.value.trim().eq_ignore_ascii_case("false")
    {
        let message = format!("option `{key}` cannot be `{}`", value.value);
        let diagnostic = Diagnostic::error(message).at(value.span).label("expected false");
        options.errors.push(diagnostic.hint(ROLLING));
    }
}
