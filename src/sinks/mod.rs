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
use crate::store::{Folder, Location, StoreError, StoreFault, WholeFile};
use crate::types::Column;

mod blackhole;
pub mod capture;
pub(crate) mod filesystem;
mod print;
mod value_text;

/// A bound sink. Holds no connection.
pub trait Sink: Debug + Send + Sync {
    /// What `explain` says of it, such as ("path", "file:///lake").
    fn describe(&self) -> Vec<(&'static str, String)>;

    /// The folder of its files; `None` for a sink that is no files.
    fn location(&self) -> Option<&Location> {
        None
    }

    /// Whether its writer asks for the watermark.
    fn needs_watermark(&self) -> bool {
        false
    }

    /// Connects, and fails early on what cannot be written to.
    fn open(&self, request: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError>;
}

/// What the engine tells a sink when it opens it.
#[derive(Debug, Clone)]
pub struct OpenSink {
    /// The table's columns as Arrow fields, in the order of its declaration.
    pub schema: SchemaRef,
    pub clock: Arc<dyn Clock>,
}

/// Takes rows and turns them into whole files.
///
/// # Contract
/// - Nothing of what was written is visible before the files of a
///   [`cut`](Self::cut) are published, which is not the writer's to do.
/// - A cut gives all rows written so far, or none of them and says so.
/// - A sink that is no files shows its rows as they are written.
/// - Dropped, it leaves nothing behind.
pub trait SinkWriter: Send {
    /// Takes a batch of the opened schema.
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError>;

    /// Whether a cut now would show something new.
    fn has_news(&self, now: Now) -> bool;

    /// Ends files. `label` is in their names, and unique to this cut; `last`
    /// leaves no row for a later one.
    fn cut(&mut self, label: &str, now: Now, last: bool) -> Result<SinkCut, SinkError>;

    /// Whether rows may be left for a later cut.
    fn may_keep_rows(&self) -> bool {
        false
    }

    /// What it must be told if the job goes on from the last cut.
    fn notes(&self) -> serde_json::Value {
        serde_json::Value::Null
    }

    /// Goes on from such a cut; the rows that were left are written again.
    fn go_on(&mut self, _notes: &serde_json::Value) {}

    /// The folder of its files.
    fn folder(&self) -> Option<&Folder> {
        None
    }
}

/// The time of a cut, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// By the machine's clock.
    pub clock_ms: i64,
    /// No row before this event time is still to come.
    pub watermark_ms: i64,
}

/// What a sink gives at a cut.
#[derive(Debug, Default)]
pub struct SinkCut {
    /// Complete files, by their names in the sink's folder, and their rows. They
    /// become visible in this order.
    pub files: Vec<(WholeFile, u64)>,
    /// Whether the rows written so far were left for a later cut.
    pub kept: bool,
    /// What is visible already.
    pub shown: Shown,
}

/// Rows that were shown as they came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shown {
    pub rows: u64,
    pub bytes: u64,
}

/// What the world did to a sink.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    #[error("writing {0}")]
    Store(StoreError),
    #[error("encoding {path}: {reason}")]
    Encode { path: String, reason: String },
    #[error("sink `{table}`: {reason}")]
    Config { table: String, reason: String },
}

impl SinkError {
    /// A fault of the system at `path`.
    pub fn io(path: String, cause: std::io::Error) -> Self {
        SinkError::Store(StoreError { path, cause: StoreFault::Io(cause) })
    }
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
            let message = match other {
                "datagen" | "kafka" => format!("connector `{other}` cannot be written to"),
                _ => format!("unknown connector `{other}`"),
            };
            let diagnostic = Diagnostic::error(message)
                .at(connector.span)
                .label(format!("can be written to: {}", CONNECTORS.join(", ")))
                .did_you_mean(other, CONNECTORS.iter().copied());
            Err(vec![diagnostic])
        }
    }
}
