//! One file being written, whatever its format.

use std::io;

use arrow::array::RecordBatch;
use parquet::errors::ParquetError;

use crate::store::Spool;

/// Turns batches into the bytes of one file.
pub(super) trait FileEncoder: Send {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError>;

    /// About how large the file would be if it ended here.
    fn encoded_bytes(&self) -> u64;

    /// Memory that [`flush`](Self::flush) would give back.
    fn buffered_bytes(&self) -> usize;

    /// Moves what is in memory to the spool.
    fn flush(&mut self) -> Result<(), EncodeError>;

    fn finish(self: Box<Self>) -> Result<Spool, EncodeError>;
}

#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("{0}")]
    Value(String),
}

impl From<ParquetError> for EncodeError {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::External(cause) => match cause.downcast::<io::Error>() {
                Ok(error) => EncodeError::Io(*error),
                Err(cause) => EncodeError::Value(cause.to_string()),
            },
            other => EncodeError::Value(other.to_string()),
        }
    }
}
