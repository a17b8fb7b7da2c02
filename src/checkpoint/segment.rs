//! Pieces of state as bytes: Arrow's stream format, one piece behind the other.
//!
//! What is read back is not trusted before its checksum has been seen right.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;

use super::manifest::{StoredPiece, checksum};

/// The bytes of a piece.
///
/// # Errors
/// What Arrow cannot write.
pub fn encode(rows: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let columns = rows.columns().iter().map(compact).collect();
    let rows = RecordBatch::try_new_with_options(
        rows.schema(),
        columns,
        &arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.num_rows())),
    )?;
    let mut writer = StreamWriter::try_new(Vec::new(), &rows.schema())?;
    writer.write(&rows)?;
    writer.into_inner()
}

/// Views may point into payloads that hold much else.
fn compact(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()),
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => Arc::clone(column),
    }
}

/// The rows of a piece, given its segment's bytes.
///
/// # Errors
/// What is wrong with the bytes, for a person.
pub fn decode(piece: &StoredPiece, segment: &[u8]) -> Result<RecordBatch, String> {
    let range = usize::try_from(piece.from).ok().zip(usize::try_from(piece.bytes).ok());
    let bytes = range.and_then(|(from, bytes)| segment.get(from..from.checked_add(bytes)?));
    let bytes = bytes.ok_or("it is too short")?;
    if checksum(bytes) != piece.sha256 {
        return Err("its checksum is wrong".to_owned());
    }
    let read = || -> Result<RecordBatch, ArrowError> {
        let reader = StreamReader::try_new(bytes, None)?;
        let schema = reader.schema();
        let batches = reader.collect::<Result<Vec<_>, _>>()?;
        arrow::compute::concat_batches(&schema, &batches)
    };
    catch_unwind(AssertUnwindSafe(read))
        .map_err(|_| "it cannot be read".to_owned())?
        .map_err(|e| e.to_string())
}
