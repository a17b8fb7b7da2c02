//! Parquet files: what their options say and how they are written.
//!
//! Timestamps are INT64, never INT96. The files carry Parquet's own logical
//! types and no copy of our Arrow schema, so every reader sees the same types.

use std::collections::HashMap;
use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::encoder::{EncodeError, FileEncoder};
use crate::diagnostics::Diagnostic;
use crate::options::Options;
use crate::store::Spool;
use crate::types::{Column, SqlType};

const MAX_ROW_GROUP_ROWS: usize = 1 << 20;
const DEFAULT_BLOCK_BYTES: u64 = 128 << 20;
const DEFAULT_PAGE_BYTES: u64 = 1 << 20;
/// zstd's own default, and Flink's.
const DEFAULT_ZSTD_LEVEL: i32 = 3;

const CODECS: &[&str] = &["UNCOMPRESSED", "SNAPPY", "GZIP", "LZ4_RAW", "ZSTD"];

/// The table's `parquet.*` options.
#[derive(Debug, Clone)]
pub(super) struct ParquetSettings {
    properties: WriterProperties,
    codec: String,
}

impl ParquetSettings {
    /// Leaves what is wrong in `options.errors`.
    pub fn bind(options: &mut Options, columns: &[Column]) -> Self {
        refuse_other_timestamps(options, columns);
        let zstd_level = options
            .parse("parquet.compression.codec.zstd.level", "a level from 1 to 22", |v| {
                v.parse().ok().and_then(|level| ZstdLevel::try_new(level).ok())
            })
            .unwrap_or_else(|| ZstdLevel::try_new(DEFAULT_ZSTD_LEVEL).expect("3 is a level"));
        let zstd = ("ZSTD", Compression::ZSTD(zstd_level));
        let expected = CODECS.join(", ");
        let (codec, compression) =
            options.parse("parquet.compression", &expected, |v| codec(v, zstd)).unwrap_or(zstd);
        let mut bytes = |key, default| {
            let bytes = options.parse(key, "a number of bytes above 0", positive);
            usize::try_from(bytes.unwrap_or(default)).unwrap_or(usize::MAX)
        };
        let properties = WriterProperties::builder()
            .set_created_by(concat!("turnstile ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(compression)
            .set_max_row_group_row_count(Some(MAX_ROW_GROUP_ROWS))
            .set_max_row_group_bytes(Some(bytes("parquet.block.size", DEFAULT_BLOCK_BYTES)))
            .set_data_page_size_limit(bytes("parquet.page.size", DEFAULT_PAGE_BYTES))
            .set_dictionary_page_size_limit(bytes(
                "parquet.dictionary.page.size",
                DEFAULT_PAGE_BYTES,
            ))
            .set_dictionary_enabled(options.boolean("parquet.enable.dictionary", true))
            // Lists and maps with the standard's own names for their parts.
            .set_coerce_types(true)
            .build();
        Self { properties, codec: codec.to_lowercase() }
    }

    pub fn codec(&self) -> &str {
        &self.codec
    }

    pub fn file(
        &self,
        schema: SchemaRef,
        spool: Spool,
    ) -> Result<Box<dyn FileEncoder>, EncodeError> {
        let options = ArrowWriterOptions::new()
            .with_properties(self.properties.clone())
            .with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(spool, schema, options)?;
        Ok(Box::new(ParquetFile { writer }))
    }
}

fn positive(text: &str) -> Option<u64> {
    text.parse().ok().filter(|bytes| *bytes > 0)
}

fn codec(text: &str, zstd: (&'static str, Compression)) -> Option<(&'static str, Compression)> {
    let known: HashMap<&str, Compression> = HashMap::from([
        ("UNCOMPRESSED", Compression::UNCOMPRESSED),
        ("SNAPPY", Compression::SNAPPY),
        ("GZIP", Compression::GZIP(GzipLevel::default())),
        ("LZ4_RAW", Compression::LZ4_RAW),
        zstd,
    ]);
    let name = CODECS.iter().find(|name| name.eq_ignore_ascii_case(text))?;
    Some((name, known[name]))
}

/// Flink writes INT96 in the machine's time zone unless it is told otherwise.
/// Here the better way is the only one, so asking for it is all one can do.
fn refuse_other_timestamps(options: &mut Options, columns: &[Column]) {
    let always = ["parquet.write.int64.timestamp", "parquet.utc-timezone"];
    for key in always {
        let Some(value) = options.take(key) else { continue };
        if !value.value.trim().eq_ignore_ascii_case("true") {
            let message = format!("option `{key}` cannot be `{}`", value.value);
            let diagnostic = Diagnostic::error(message)
                .at(value.span)
                .label("expected true")
                .hint("timestamps are written as INT64, as they are, in no machine's zone");
            options.errors.push(diagnostic);
        }
    }
    let key = "parquet.timestamp.time.unit";
    let Some(value) = options.take(key) else { return };
    let is_micros = value.value.trim().eq_ignore_ascii_case("micros");
    if !is_micros || columns.iter().any(|column| has_nanoseconds(&column.ty.ty)) {
        let diagnostic = Diagnostic::error(format!("option `{key}` does not change here"))
            .at(value.span)
            .hint("leave it out: a TIMESTAMP up to precision 6 is written in microseconds")
            .hint("a finer one is written in nanoseconds");
        options.errors.push(diagnostic);
    }
}

fn has_nanoseconds(ty: &SqlType) -> bool {
    match ty {
        SqlType::Timestamp(precision) | SqlType::TimestampLtz(precision) => *precision > 6,
        SqlType::Array(item) | SqlType::Multiset(item) => has_nanoseconds(&item.ty),
        SqlType::Map(key, value) => has_nanoseconds(&key.ty) || has_nanoseconds(&value.ty),
        SqlType::Row(fields) => fields.iter().any(|field| has_nanoseconds(&field.ty.ty)),
        _ => false,
    }
}

struct ParquetFile {
    writer: ArrowWriter<Spool>,
}

impl FileEncoder for ParquetFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        Ok(self.writer.write(batch)?)
    }

    fn encoded_bytes(&self) -> u64 {
        (self.writer.bytes_written() + self.writer.in_progress_size()) as u64
    }

    fn buffered_bytes(&self) -> usize {
        self.writer.memory_size()
    }

    fn flush(&mut self) -> Result<(), EncodeError> {
        self.writer.flush()?;
        Ok(self.writer.inner_mut().flush()?)
    }

    fn finish(self: Box<Self>) -> Result<Spool, EncodeError> {
        Ok(self.writer.into_inner()?)
    }
}
