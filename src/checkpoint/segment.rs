//! Pieces of state as bytes: Arrow's stream format, one piece behind the other.
//!
//! What is read back is not trusted before its checksum has been seen right.

use std::fmt::Debug;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;

use sha2::{Digest, Sha256};

use super::manifest::{StoredPiece, checksum, hexadecimal};

/// The rows of a piece that is to be written.
#[derive(Debug, Clone)]
pub enum PieceRows {
    Here(Arc<RecordBatch>),
    /// Elsewhere, to be read batch by batch.
    Kept(Arc<dyn KeptRows>),
}

/// Rows that are not in memory.
pub trait KeptRows: Debug + Send + Sync {
    fn schema(&self) -> SchemaRef;

    fn rows(&self) -> usize;

    /// The batch of that number, from 0 on; `None` behind the last.
    fn batch(&self, number: usize) -> io::Result<Option<RecordBatch>>;
}

impl From<Arc<RecordBatch>> for PieceRows {
    fn from(rows: Arc<RecordBatch>) -> Self {
        PieceRows::Here(rows)
    }
}

impl PieceRows {
    pub fn rows(&self) -> usize {
        match self {
            PieceRows::Here(rows) => rows.num_rows(),
            PieceRows::Kept(kept) => kept.rows(),
        }
    }

    fn schema(&self) -> SchemaRef {
        match self {
            PieceRows::Here(rows) => rows.schema(),
            PieceRows::Kept(kept) => kept.schema(),
        }
    }

    fn batch(&self, number: usize) -> io::Result<Option<RecordBatch>> {
        match self {
            PieceRows::Here(rows) => Ok((number == 0).then(|| rows.as_ref().clone())),
            PieceRows::Kept(kept) => kept.batch(number),
        }
    }
}

/// Writes a piece. Gives how many bytes it has, and their checksum.
///
/// # Errors
/// What Arrow cannot write, `out` cannot take, or cannot be read.
pub fn write(rows: &PieceRows, out: impl Write) -> Result<(u64, String), ArrowError> {
    let out = Summing { out, hash: Sha256::new(), bytes: 0 };
    let mut writer = StreamWriter::try_new(out, &rows.schema())?;
    let mut number = 0;
    while let Some(batch) = rows.batch(number)? {
        let columns = batch.columns().iter().map(compact).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(batch.schema(), columns, &options)?;
        writer.write(&batch)?;
        number += 1;
    }
    let sum = writer.into_inner()?;
    Ok((sum.bytes, hexadecimal(&sum.hash.finalize())))
}

/// Counts and sums up what is written through it.
struct Summing<W> {
    out: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Views may point into payloads that hold much else.
fn compact(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    }
}

/// The rows of a piece, given its bytes.
///
/// # Errors
/// What is wrong with the bytes, for a person.
pub fn decode(piece: &StoredPiece, bytes: Option<&[u8]>) -> Result<RecordBatch, String> {
    let bytes = bytes.ok_or("it is too short")?;
    if checksum(bytes) != piece.sha256 {
        return Err("its checksum is wrong".to_owned());
    }
    // A reader of streams would make room for as much as the bytes say is to come.
    let read = || -> Result<RecordBatch, ArrowError> {
        let mut buffer = Buffer::from(bytes);
        let mut decoder = StreamDecoder::new();
        let mut batches = Vec::new();
        while let Some(batch) = decoder.decode(&mut buffer)? {
            batches.push(batch);
        }
        decoder.finish()?;
        let schema = decoder.schema();
        let schema = schema.ok_or_else(|| ArrowError::IpcError("it is empty".to_owned()))?;
        match <[RecordBatch; 1]>::try_from(batches) {
            Ok([only]) => Ok(only),
            Err(batches) => arrow::compute::concat_batches(&schema, &batches),
        }
    };
    catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| "it cannot be read".to_owned())?
        .map_err(|e| e.to_string())
}
