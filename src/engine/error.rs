//! What stops a running job.

use crate::checkpoint::CheckpointError;
use crate::sinks::SinkError;
use crate::sources::SourceError;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("source `{table}`: {source}")]
    Source {
        table: String,
        #[source]
        source: SourceError,
    },
    #[error("sink `{table}`: {source}")]
    Sink {
        table: String,
        #[source]
        source: SinkError,
    },
    /// A message that the table's format cannot decode, where its options do
    /// not say to leave it out.
    #[error(
        "cannot decode a message of `{table}`: {reason} \
         (topic `{topic}`, partition {partition}, offset {offset})"
    )]
    Decode { table: String, topic: String, partition: i32, offset: i64, reason: String },
    #[error(
        "the event time `{column}` of `{table}` is NULL \
         (topic `{topic}`, partition {partition}, offset {offset})"
    )]
    NullEventTime { table: String, column: String, topic: String, partition: i32, offset: i64 },
    #[error(
        "{rows} rows are waiting to be written to `{table}`, but the query writes no table of \
         that name and these columns any more"
    )]
    RowsWithoutTable { table: String, rows: usize },
    #[error("column `{column}` of `{table}` is NOT NULL, but a row for it has NULL")]
    NullInSink { table: String, column: String },
    /// An expression failed on some row's values, such as a CAST or a division
    /// by zero.
    #[error("{0}")]
    Compute(String),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    #[error("{0}")]
    Failpoint(std::io::Error),
    #[error(
        "state needs {} of memory, `turnstile.state.memory-limit` is {}: the job goes on from \
         its last checkpoint under a larger limit",
        mebibytes(*used), mebibytes(*limit)
    )]
    MemoryLimit { used: u64, limit: u64 },
    #[error("a file of state on the local disk: {0}")]
    Spill(#[from] std::io::Error),
    /// It was told to.
    #[error("the run ended at {step}")]
    Ended { step: &'static str },
    #[error("a worker thread failed: {0}")]
    Worker(String),
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
}

impl From<datafusion::error::DataFusionError> for EngineError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        EngineError::Compute(crate::planning::plain_message(&error))
    }
}

impl From<arrow::error::ArrowError> for EngineError {
    fn from(error: arrow::error::ArrowError) -> Self {
        EngineError::Compute(error.to_string())
    }
}
