//! One file in the making: rows in, bytes out.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::FileFormat;
use crate::formats::EncodingFormat;

/// Bytes of a row group, encoded, before it is closed.
const ROW_GROUP_BYTES: usize = 64 << 20;

/// A file that grows in memory.
pub enum OpenFile {
    Parquet(Box<ArrowWriter<Vec<u8>>>),
    Text { format: Arc<dyn EncodingFormat>, bytes: Vec<u8>, ends: Vec<usize> },
}

impl OpenFile {
    pub fn new(format: &FileFormat, schema: &SchemaRef) -> Result<Self, String> {
        Ok(match format {
            FileFormat::Text(format) => OpenFile::Text {
                format: Arc::clone(format),
                bytes: Vec::new(),
                ends: Vec::new(),
            },
            FileFormat::Parquet(compression) => {
                let properties = WriterProperties::builder()
                    .set_compression(*compression)
                    .set_statistics_enabled(EnabledStatistics::Page)
                    .set_created_by(concat!("turnstile ", env!("CARGO_PKG_VERSION")).to_owned())
                    .build();
                // Readers need no hint of Arrow's own types.
                let options = ArrowWriterOptions::new()
                    .with_properties(properties)
                    .with_skip_arrow_metadata(true);
                let writer =
                    ArrowWriter::try_new_with_options(Vec::new(), bare(schema), options)
                        .map_err(|e| e.to_string())?;
                OpenFile::Parquet(Box::new(writer))
            }
        })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), String> {
        match self {
            OpenFile::Parquet(writer) => {
                let batch =
                    RecordBatch::try_new(bare(&batch.schema()), batch.columns().to_vec())
                        .map_err(|e| e.to_string())?;
                writer.write(&batch).map_err(|e| e.to_string())?;
                if writer.in_progress_size() >= ROW_GROUP_BYTES {
                    writer.flush().map_err(|e| e.to_string())?;
                }
                Ok(())
            }
            OpenFile::Text { format, bytes, ends } => {
                ends.clear();
                let from = bytes.len();
                format.encode(batch, bytes, ends)?;
                end_lines(bytes, from, ends);
                Ok(())
            }
        }
    }

    /// Bytes so far, about.
    pub fn size(&self) -> u64 {
        let size = match self {
            OpenFile::Parquet(writer) => writer.bytes_written() + writer.in_progress_size(),
            OpenFile::Text { bytes, .. } => bytes.len(),
        };
        size as u64
    }

    pub fn finish(self) -> Result<Bytes, String> {
        match self {
            OpenFile::Parquet(writer) => {
                writer.into_inner().map(Bytes::from).map_err(|e| e.to_string())
            }
            OpenFile::Text { bytes, .. } => Ok(bytes.into()),
        }
    }
}

/// Puts a line break after every row that ends at one of `ends`.
fn end_lines(bytes: &mut Vec<u8>, from: usize, ends: &[usize]) {
    let rows = bytes.split_off(from);
    bytes.reserve(rows.len() + ends.len());
    let mut start = 0;
    for end in ends {
        let end = end - from;
        bytes.extend_from_slice(&rows[start..end]);
        bytes.push(b'\n');
        start = end;
    }
}

/// The schema without metadata, which would end up in the file.
fn bare(schema: &SchemaRef) -> SchemaRef {
    let fields: Vec<_> = schema
        .fields()
        .iter()
        .map(|f| f.as_ref().clone().with_metadata(HashMap::new()))
        .collect();
    Arc::new(Schema::new(fields))
}
