//! Where rows go.
//!
//! A table's options are bound to a [`Sink`] without any I/O; the engine opens
//! it once and writes every result batch to it, in order, from one thread.

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::clock::Clock;
use crate::diagnostics::{Diagnostic, Span};
use crate::options::Options;
use crate::types::Column;

mod blackhole;
pub mod capture;
mod filesystem;
mod print;
mod value_text;

/// A bound sink. Holds no connection.
pub trait Sink: Debug + Send + Sync {
    /// What `explain` says of it, such as ("path", "file:///lake").
    fn describe(&self) -> Vec<(&'static str, String)>;

    /// Connects, and fails early on what cannot be written to.
    fn open(&self, request: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError>;
}

/// What the engine tells a sink when it opens it.
#[derive(Debug, Clone)]
pub struct OpenSink {
    /// The table's columns as Arrow fields, in the order of its declaration.
    pub schema: SchemaRef,
    /// Unique to this run; goes into file names.
    pub run_id: String,
    pub clock: Arc<dyn Clock>,
}

/// Takes rows and makes them visible, whole files at a time.
///
/// # Contract
/// - What was written is invisible until [`publish`](Self::publish), or until
///   a file is full by the table's rolling policy.
/// - A reader of the destination never sees part of a file.
/// - Dropped without `publish`, nothing of what was not published is left.
pub trait SinkWriter: Send {
    /// Takes a batch of the opened schema.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError>;

    /// Rows written and not visible yet.
    fn pending_rows(&self) -> u64;

    /// Makes everything written so far visible.
    fn publish(&mut self) -> Result<Published, SinkError>;
}

/// What became visible, for the user's eyes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Published {
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// What the world did to a sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("writing {path}: {source}")]
    Store {
        path: String,
        #[source]
        source: object_store::Error,
    },
    #[error("writing {path}: {source}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("encoding {path}: {reason}")]
    Encode { path: String, reason: String },
    #[error("sink `{table}`: {reason}")]
    Config { table: String, reason: String },
}

/// The declaration a sink is bound with.
#[derive(Debug)]
pub struct SinkTable<'a> {
    pub name: &'a str,
    pub name_span: Span,
    /// All columns that can be written, in the order of the declaration.
    pub columns: &'a [Column],
    /// `PARTITIONED BY`, as indexes into `columns`.
    pub partitioned_by: &'a [usize],
    pub time_zone: &'a str,
}

/// The connectors that can be written to.
pub const CONNECTORS: &[&str] = &["blackhole", "filesystem", "print"];

/// Binds a table's options to its connector. No I/O.
///
/// # Errors
/// Everything that is wrong with the options, at its place.
pub fn bind(
    table: &SinkTable<'_>,
    mut options: Options,
) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
    let Some(connector) = options.require("connector") else {
        return Err(options.errors);
    };
    match connector.value.as_str() {
        "blackhole" => blackhole::bind(options),
        "filesystem" => filesystem::bind(table, options),
        "print" => print::bind(options),
        other => {
            let diagnostic = Diagnostic::error(format!("unknown connector `{other}`"))
                .at(connector.span)
                .label(format!("can be written to: {}", CONNECTORS.join(", ")))
                .did_you_mean(other, CONNECTORS.iter().copied());
            Err(vec![diagnostic])
        }
    }
}
