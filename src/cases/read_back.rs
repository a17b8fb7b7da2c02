//! Reads the files of a `filesystem` table as any reader of the lake would:
//! Parquet, CSV or JSON, with partition columns from the folders' names.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use percent_encoding::percent_decode_str;

use super::{CaseError, io, sorted};
use crate::formats::{self, FormatContext, MessageParts, MessagesBuilder};
use crate::options::Options;
use crate::sinks::SinkTable;
use crate::types::Column;

/// How to read a table's files.
#[derive(Debug, Clone)]
pub struct Files {
    pub folder: PathBuf,
    columns: Vec<Column>,
    partitioned_by: Vec<usize>,
    default_partition: String,
    time_zone: String,
    format: String,
    options: Options,
}

impl Files {
    pub fn new(folder: PathBuf, table: &SinkTable<'_>, options: &Options) -> Self {
        let mut taken = options.clone();
        let mut text = |key: &str| taken.take(key).map(|value| value.value);
        Self {
            folder,
            columns: table.columns.to_vec(),
            partitioned_by: table.partitioned_by.to_vec(),
            default_partition: text("partition.default-name")
                .unwrap_or_else(|| "__DEFAULT_PARTITION__".to_owned()),
            time_zone: table.time_zone.to_owned(),
            format: text("format").unwrap_or_default(),
            options: options.clone(),
        }
    }

    /// True if a file cannot tell a null from an empty text.
    pub fn empty_is_null(&self) -> bool {
        self.format == "csv" && self.options.clone().take("csv.null-literal").is_none()
    }

    /// Every row, the columns in the order of the table's declaration.
    pub fn read(&self) -> Result<Vec<RecordBatch>, CaseError> {
        let mut batches = Vec::new();
        self.read_folder(&self.folder, &[], &mut batches)?;
        Ok(batches)
    }

    fn read_folder(
        &self,
        folder: &Path,
        values: &[Option<String>],
        batches: &mut Vec<RecordBatch>,
    ) -> Result<(), CaseError> {
        if !folder.is_dir() {
            return Ok(());
        }
        for path in sorted(folder)? {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('_') {
                continue;
            }
            if path.is_dir() {
                let value = self.partition_value(&path, values.len())?;
                self.read_folder(&path, &[values, &[value]].concat(), batches)?;
                continue;
            }
            if values.len() != self.partitioned_by.len() {
                return Err(unreadable(&path, "a file outside the partitions' folders"));
            }
            for columns in self.read_file(&path)? {
                batches.push(self.row_order(&path, columns, values)?);
            }
        }
        Ok(())
    }

    /// The value in a folder's name: that of partition column number `depth`.
    fn partition_value(&self, path: &Path, depth: usize) -> Result<Option<String>, CaseError> {
        let column = self.partitioned_by.get(depth).map(|at| &self.columns[*at].name);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        match name.split_once('=').map(|(name, value)| (decode(name), decode(value))) {
            Some((name, value)) if Some(&name) == column => {
                Ok((value != self.default_partition).then_some(value))
            }
            _ => Err(unreadable(path, "a folder that is no partition")),
        }
    }

    /// The columns that are in the files.
    fn in_files(&self) -> Vec<Column> {
        let columns = self.columns.iter().enumerate();
        let in_files = columns.filter(|(at, _)| !self.partitioned_by.contains(at));
        in_files.map(|(_, column)| column.clone()).collect()
    }

    fn read_file(&self, path: &Path) -> Result<Vec<Vec<ArrayRef>>, CaseError> {
        if self.format == "parquet" { self.read_parquet(path) } else { self.read_text(path) }
    }

    fn read_parquet(&self, path: &Path) -> Result<Vec<Vec<ArrayRef>>, CaseError> {
        let file = std::fs::File::open(path).map_err(|e| io(path, e))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|e| unreadable(path, &e.to_string()))?;
        let wanted: Vec<String> = self.in_files().into_iter().map(|c| c.name).collect();
        let mut batches = Vec::new();
        for batch in reader {
            let batch = batch.map_err(|e| unreadable(path, &e.to_string()))?;
            let schema = batch.schema();
            let found: Vec<&String> = schema.fields().iter().map(|f| f.name()).collect();
            if found != wanted.iter().collect::<Vec<_>>() {
                return Err(unreadable(path, &format!("it has the columns {found:?}")));
            }
            batches.push(batch.columns().to_vec());
        }
        Ok(batches)
    }

    /// A text file is a message a line.
    fn read_text(&self, path: &Path) -> Result<Vec<Vec<ArrayRef>>, CaseError> {
        let columns = self.in_files();
        let context = FormatContext {
            columns: &columns,
            time_zone: &self.time_zone,
            option_prefix: format!("{}.", self.format),
        };
        let mut options = self.options.clone();
        if self.empty_is_null() {
            options = options.with("csv.null-literal", String::new());
        }
        let format = formats::decoding(&self.format, &mut options, &context)
            .ok_or_else(|| unreadable(path, &format!("no reader of `{}`", self.format)))?;
        let bytes = std::fs::read(path).map_err(|e| io(path, e))?;
        let mut lines = MessagesBuilder::new("file".into(), 0, MessageParts::default());
        let rows = bytes.split_inclusive(|byte| *byte == b'\n');
        for (number, line) in (0..).zip(rows) {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            lines.push(number, 0, Some(line), None, Vec::new);
        }
        let all: Vec<usize> = (0..columns.len()).collect();
        let decoded = format.decoder(&all).decode(&lines.finish());
        match decoded.errors.first() {
            None => Ok(vec![decoded.columns]),
            Some(error) => {
                let place = format!("line {}: {}", error.message + 1, error.reason);
                Err(unreadable(path, &place))
            }
        }
    }

    /// The columns of a file and of its folders, as the table has them.
    fn row_order(
        &self,
        path: &Path,
        in_file: Vec<ArrayRef>,
        values: &[Option<String>],
    ) -> Result<RecordBatch, CaseError> {
        let rows = in_file.first().map_or(0, |column| column.len());
        let mut in_file = in_file.into_iter();
        let mut arrays = Vec::with_capacity(self.columns.len());
        for (at, column) in self.columns.iter().enumerate() {
            match self.partitioned_by.iter().position(|by| *by == at) {
                Some(by) => {
                    let ty = column.ty.ty.to_arrow(&self.time_zone);
                    arrays.push(repeated(values[by].as_deref(), rows, &ty).map_err(|e| {
                        unreadable(path, &format!("partition column `{}`: {e}", column.name))
                    })?);
                }
                None => arrays
                    .push(in_file.next().ok_or_else(|| unreadable(path, "too few columns"))?),
            }
        }
        let fields: Vec<Field> = self
            .columns
            .iter()
            .zip(&arrays)
            .map(|(column, array)| Field::new(&column.name, array.data_type().clone(), true))
            .collect();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .map_err(|e| unreadable(path, &e.to_string()))
    }
}

/// A folder's value as a column.
fn repeated(
    value: Option<&str>,
    rows: usize,
    ty: &DataType,
) -> Result<ArrayRef, arrow::error::ArrowError> {
    match value {
        None => Ok(new_null_array(ty, rows)),
        Some(value) => cast(&StringArray::from(vec![value; rows]), ty),
    }
}

fn unreadable(path: &Path, reason: &str) -> CaseError {
    CaseError::Unreadable { path: path.display().to_string(), reason: reason.to_owned() }
}
