//! Tables of files: small tables that rows are looked up in.
//!
//! They are read whole, once for each run of a job, when it starts: what is
//! changed afterwards is seen by the next run.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;
use arrow::compute::cast;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::SourceTable;
use crate::diagnostics::Diagnostic;
use crate::formats::{
    self, DecodingFormat, FormatContext, MessageParts, MessagesBuilder, OnError,
};
use crate::options::Options;
use crate::store::{Folder, Location, StoreError, parse_location};
use crate::types::Column;

/// The connector of such a table.
pub const CONNECTOR: &str = "filesystem";

/// Flink 1's names of the options.
const OLD_NAMES: [(&str, &str); 3] =
    [("connector.type", "connector"), ("connector.path", "path"), ("format.type", "format")];

/// A table of files, bound.
#[derive(Debug)]
pub struct FileTable {
    pub name: String,
    location: Location,
    format: FileFormat,
    columns: Vec<Column>,
    schema: SchemaRef,
    rows: Mutex<Option<Arc<Vec<RecordBatch>>>>,
}

#[derive(Debug)]
enum FileFormat {
    Parquet,
    /// A message a line.
    Text(Arc<dyn DecodingFormat>),
}

/// Why a table of files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileTableError {
    #[error("table `{table}`: there is nothing at {path}")]
    Missing { table: String, path: String },
    #[error("table `{table}`: {path}: {reason}")]
    Unreadable { table: String, path: String, reason: String },
    #[error("table `{table}`: {source}")]
    Store { table: String, source: StoreError },
}

/// Whether `options` are those of a table of files.
pub fn are_files(options: &Options) -> bool {
    let mut options = options.clone();
    let connector = options.take("connector").or_else(|| options.take("connector.type"));
    connector.is_some_and(|connector| connector.value == CONNECTOR)
}

/// Binds a table's options. No I/O.
///
/// # Errors
/// Everything that is wrong with the options, at its place.
pub fn bind(
    table: &SourceTable<'_>,
    mut options: Options,
) -> Result<FileTable, Vec<Diagnostic>> {
    for (old, new) in OLD_NAMES {
        if let Some(value) = options.take(old) {
            options = options.with(new, value.value);
        }
    }
    options.take("connector");
    let location = options.require("path").and_then(|path| {
        let parsed = parse_location(&path.value);
        parsed.map_err(|e| options.errors.push(e.or_at(path.span))).ok()
    });
    let format = bind_format(table, &mut options);
    let fields: Vec<_> = table
        .columns
        .iter()
        .map(|c| c.ty.to_field(&c.name, table.time_zone).with_nullable(true))
        .collect();
    options.finish("a table of files that is read")?;
    Ok(FileTable {
        name: table.name.to_owned(),
        location: location.expect("a missing path is an error"),
        format: format.expect("a missing format is an error"),
        columns: table.columns.to_vec(),
        schema: Arc::new(Schema::new(fields)),
        rows: Mutex::default(),
    })
}

fn bind_format(table: &SourceTable<'_>, options: &mut Options) -> Option<FileFormat> {
    let name = options.require("format")?;
    if name.value == "parquet" {
        return Some(FileFormat::Parquet);
    }
    let context = FormatContext {
        columns: table.columns,
        time_zone: table.time_zone,
        option_prefix: format!("{}.", name.value),
    };
    let errors_before = options.errors.len();
    let format = formats::decoding(&name.value, options, &context);
    if format.is_none() && options.errors.len() == errors_before {
        let known = [&["parquet"], formats::DECODING].concat();
        options.errors.push(formats::unknown(&name.value, &known).or_at(name.span));
    }
    format.map(FileFormat::Text)
}

impl FileTable {
    /// The columns, as declared.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What `explain` shows.
    pub fn describe(&self) -> String {
        let format = match &self.format {
            FileFormat::Parquet => "parquet",
            FileFormat::Text(format) => format.name(),
        };
        format!("{} ({format} files at {})", self.name, self.location)
    }

    /// Every row. The files are read the first time.
    ///
    /// # Errors
    /// What cannot be read, and where. The next call tries again.
    pub fn rows(&self) -> Result<Arc<Vec<RecordBatch>>, FileTableError> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rows) = rows.as_ref() {
            return Ok(Arc::clone(rows));
        }
        let mut all = Vec::new();
        for (path, bytes) in self.files()? {
            let unreadable = |reason: String| FileTableError::Unreadable {
                table: self.name.clone(),
                path,
                reason,
            };
            match &self.format {
                FileFormat::Parquet => all.extend(self.parquet(bytes).map_err(unreadable)?),
                FileFormat::Text(format) => {
                    all.push(self.text(format.as_ref(), &bytes).map_err(unreadable)?);
                }
            }
        }
        Ok(Arc::clone(rows.insert(Arc::new(all))))
    }

    /// The file at the path, or those of the folder there.
    fn files(&self) -> Result<Vec<(String, Vec<u8>)>, FileTableError> {
        let store = |source| FileTableError::Store { table: self.name.clone(), source };
        let mut files = Vec::new();
        if let Some(folder) = Folder::open_existing(&self.location).map_err(store)? {
            for name in folder.list("").map_err(store)? {
                let hidden = name.starts_with(['.', '_']);
                if let Some(bytes) =
                    (!hidden).then(|| folder.read(&name)).transpose().map_err(store)?.flatten()
                {
                    files.push((folder.locate(&name), bytes));
                }
            }
        }
        if files.is_empty()
            && let Some((parent, name)) = self.location.parent()
            && let Some(folder) = Folder::open_existing(&parent).map_err(store)?
            && let Some(bytes) = folder.read(&name).map_err(store)?
        {
            files.push((folder.locate(&name), bytes));
        }
        if files.is_empty() {
            let path = self.location.to_string();
            return Err(FileTableError::Missing { table: self.name.clone(), path });
        }
        Ok(files)
    }

    fn parquet(&self, bytes: Vec<u8>) -> Result<Vec<RecordBatch>, String> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(Bytes::from(bytes))
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|e| e.to_string())?;
        reader
            .map(|batch| {
                let batch = batch.map_err(|e| e.to_string())?;
                let column = |field: &Arc<arrow::datatypes::Field>| {
                    let found = batch.column_by_name(field.name());
                    let found =
                        found.ok_or_else(|| format!("it has no column `{}`", field.name()))?;
                    cast(found, field.data_type())
                        .map_err(|e| format!("column `{}`: {e}", field.name()))
                };
                let columns = self.schema.fields().iter().map(column);
                let columns = columns.collect::<Result<Vec<_>, _>>()?;
                RecordBatch::try_new(Arc::clone(&self.schema), columns)
                    .map_err(|e| e.to_string())
            })
            .collect()
    }

    fn text(&self, format: &dyn DecodingFormat, bytes: &[u8]) -> Result<RecordBatch, String> {
        let mut lines = MessagesBuilder::new("file".into(), 0, MessageParts::default());
        let rows = bytes.split_inclusive(|byte| *byte == b'\n');
        for (number, line) in (0..).zip(rows) {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            lines.push(number, 0, Some(line), None, Vec::new);
        }
        let all: Vec<usize> = (0..self.columns.len()).collect();
        let decoded = format.decoder(&all).decode(&lines.finish());
        match (decoded.errors.first(), format.on_error()) {
            (Some(error), OnError::Fail) => {
                Err(format!("line {}: {}", error.message + 1, error.reason))
            }
            _ => RecordBatch::try_new(Arc::clone(&self.schema), decoded.columns)
                .map_err(|e| e.to_string()),
        }
    }
}
