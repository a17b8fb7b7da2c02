//! Where rows come from.
//!
//! A table's options are bound to a [`Source`] without any I/O; the engine
//! opens it, asks which splits there are, spreads them over its workers, and
//! each worker reads its splits through a [`SplitReader`].

mod datagen;
pub mod files;
pub(crate) mod kafka;
pub mod replay;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;

use crate::diagnostics::{Diagnostic, Span};
use crate::formats::{DecodingFormat, MessageParts, Messages};
use crate::options::Options;
use crate::types::{Column, ColumnType};

/// A split of a source: a partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SplitId {
    pub topic: Arc<str>,
    pub partition: i32,
}

impl SplitId {
    /// A number that is the same in every run, for putting splits in an order.
    pub fn number(&self) -> u64 {
        let topic = self
            .topic
            .bytes()
            .fold(0u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        (topic << 32) ^ u64::from(self.partition.unsigned_abs())
    }
}

/// A split and the offsets to read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    pub id: SplitId,
    /// First offset to read.
    pub start: i64,
    /// The offset at which a bounded split ends, itself not read.
    pub stop: Option<i64>,
    /// What tells a topic from one made anew under its name, if the brokers know.
    pub topic_id: Option<Arc<str>>,
}

/// What the engine asks of a source when it opens it.
#[derive(Debug, Clone, Default)]
pub struct OpenRequest {
    pub parts: MessageParts,
    /// For a source that makes rows itself: the physical columns to make.
    pub projection: Vec<usize>,
    /// Where an earlier process of the job had come to. A split that is not among
    /// them is new, and read from its beginning. `None`: the job has never run.
    pub resume: Option<BTreeMap<SplitId, Resume>>,
    pub on_data_loss: OnDataLoss,
    pub kafka_client: KafkaClient,
}

/// What is done when the log no longer holds the next message to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnDataLoss {
    /// The job stops and says what is lost.
    #[default]
    Stop,
    /// It goes on at the first message that is there.
    Earliest,
    /// It goes on at the log's end.
    Latest,
}

impl OnDataLoss {
    /// Where to go on in a log of these ends; `None`: nowhere.
    pub fn next(self, low: i64, high: i64) -> Option<i64> {
        match self {
            OnDataLoss::Stop => None,
            OnDataLoss::Earliest => Some(low),
            OnDataLoss::Latest => Some(high),
        }
    }
}

/// Who fetches messages from Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KafkaClient {
    /// Our own client where it understands the table's properties, else librdkafka.
    #[default]
    Auto,
    Native,
    Librdkafka,
}

/// How far an earlier process has read a split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The offset to go on at.
    pub next: i64,
    /// Where the split ends.
    pub stop: Option<i64>,
    /// As [`Split::topic_id`].
    pub topic_id: Option<Arc<str>>,
}

impl OpenRequest {
    /// The splits as an earlier process has left them.
    fn gone_on_with(&self, mut splits: Vec<Split>) -> Vec<Split> {
        for split in &mut splits {
            if let Some(resume) = self.resume.as_ref().and_then(|all| all.get(&split.id)) {
                (split.start, split.stop) = (resume.next, resume.stop);
            }
        }
        splits
    }
}

/// A bound source. Holds no connection.
pub trait Source: Debug + Send + Sync {
    /// True if the source ends by itself.
    fn is_bounded(&self) -> bool;

    /// What `explain` says of it, such as ("topic", "ev").
    fn describe(&self) -> Vec<(&'static str, String)>;

    /// Connects.
    fn open(&self, request: &OpenRequest) -> Result<Box<dyn OpenSource>, SourceError>;
}

/// A connected source.
pub trait OpenSource: Send {
    /// The splits that this call found and no earlier one did; the first call
    /// finds all there are. A topic that does not exist is an error.
    fn discover(&mut self) -> Result<Vec<Split>, SourceError>;

    /// How often to ask again; `None`: never.
    fn discovery_interval(&self) -> Option<Duration>;

    /// Told of the offsets that a commit has reached, for those who watch from
    /// outside. Nothing depends on it.
    fn committed(&mut self, _offsets: &[(SplitId, i64)]) {}

    /// A reader for one worker's splits, which may be none at first.
    fn reader(&mut self, splits: Vec<Split>) -> Result<Box<dyn SplitReader>, SourceError>;
}

/// One worker's view of its splits.
///
/// # Contract
/// - Of each split, messages come in offset order, none twice, none left out,
///   and none at or after the split's `stop`.
/// - A split is reported finished exactly once, at or after its last message.
pub trait SplitReader: Send {
    /// Takes on splits found later.
    fn add(&mut self, splits: Vec<Split>) -> Result<(), SourceError>;

    /// Up to `max` messages, waiting at most `wait` for the first of them.
    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, SourceError>;
}

/// What one poll brought.
#[derive(Debug, Default)]
pub struct Polled {
    /// At most one entry per split.
    pub data: Vec<(SplitId, Data)>,
    /// Splits that have reached their end.
    pub finished: Vec<SplitId>,
}

#[derive(Debug)]
pub enum Data {
    /// To be decoded by the table's format.
    Messages(Messages),
    /// Made by the source itself, with the columns of
    /// [`OpenRequest::projection`].
    Rows(RecordBatch),
}

impl Data {
    /// The offset after the last of these, which begin at `from` or later.
    pub fn next_offset(&self, from: i64) -> i64 {
        match self {
            Data::Messages(messages) => messages.offsets.last().map_or(from, |last| last + 1),
            Data::Rows(rows) => {
                from.saturating_add(i64::try_from(rows.num_rows()).unwrap_or(i64::MAX))
            }
        }
    }
}

/// What the world did to a source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error(
        "topic `{topic}` does not exist on {brokers}{}",
        .near.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
    )]
    TopicMissing { topic: String, brokers: String, near: Option<String> },
    #[error("no answer from the brokers at {brokers} within {seconds} s: {reason}")]
    Unreachable { brokers: String, seconds: u64, reason: String },
    #[error(
        "offset {offset} of `{topic}` partition {partition} is not in the log, \
         which holds {low} to {high}: messages were deleted before they were read, or the \
         topic was made anew (`turnstile.on-data-loss` = earliest or latest goes on)"
    )]
    OffsetLost { topic: String, partition: i32, offset: i64, low: i64, high: i64 },
    #[error(
        "the log of `{topic}` partition {partition} was cut off: it was read up to offset \
         {offset} and parts from what was read before that, it ends at {high} now. Its leader \
         was lost with messages that no other replica had, or the topic was made anew \
         (`turnstile.on-data-loss` = earliest or latest goes on)"
    )]
    LogTruncated { topic: String, partition: i32, offset: i64, high: i64 },
    #[error(
        "topic `{topic}` was deleted and made anew while it was read{}: its id was {expected} and \
         is {found}. What it held and had not been read is lost (`turnstile.on-data-loss` = \
         earliest or latest goes on in the new one)",
        .offset.map(|offset| format!(", partition {partition} up to offset {offset}"))
            .unwrap_or_default()
    )]
    TopicReplaced {
        topic: String,
        partition: i32,
        offset: Option<i64>,
        expected: String,
        found: String,
    },
    #[error("the brokers at {brokers} do not let us in: {reason}")]
    Denied { brokers: String, reason: String },
    #[error(
        "group `{group}` has no committed offset of `{topic}` partition {partition}; set \
         `properties.auto.offset.reset` to earliest or latest, or choose another {mode}"
    )]
    NothingCommitted { group: String, topic: String, partition: i32, mode: &'static str },
    #[error("reading `{topic}` from {brokers}: {reason}")]
    Read { topic: String, brokers: String, reason: String },
    #[error("client configuration: {0}")]
    Config(String),
}

/// A metadata column that a source offers: `name TYPE METADATA FROM 'key'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetadataKey {
    Topic,
    Partition,
    Offset,
    Timestamp,
    TimestampType,
    LeaderEpoch,
    Headers,
}

/// The declaration a source is bound with.
#[derive(Debug)]
pub struct SourceTable<'a> {
    pub name: &'a str,
    pub name_span: Span,
    /// The physical columns, in the order of the declaration.
    pub columns: &'a [Column],
    pub time_zone: &'a str,
}

/// A source with the format of its payloads.
#[derive(Debug, Clone)]
pub struct BoundSource {
    /// Flink's identifier of the connector.
    pub connector: &'static str,
    pub source: Arc<dyn Source>,
    /// `None` if the source makes rows itself.
    pub value: Option<BoundFormat>,
    /// The format of the keys, where columns come from them.
    pub key: Option<BoundFormat>,
    /// The metadata columns the connector offers, with their types.
    pub metadata: Vec<(&'static str, MetadataKey, ColumnType)>,
    /// `scan.watermark.idle-timeout`.
    pub idle_timeout: Option<Duration>,
}

/// A format and the physical columns of the table that it fills: column `i` of
/// the format is column `columns[i]` of the table.
#[derive(Debug, Clone)]
pub struct BoundFormat {
    pub format: Arc<dyn DecodingFormat>,
    pub columns: Vec<usize>,
}

/// The connectors that can be read from.
pub const CONNECTORS: &[&str] = &["datagen", "kafka"];

/// Binds a table's options to its connector and format. No I/O.
///
/// # Errors
/// Everything that is wrong with the options, at its place.
pub fn bind(
    table: &SourceTable<'_>,
    mut options: Options,
) -> Result<BoundSource, Vec<Diagnostic>> {
    let Some(connector) = options.require("connector") else {
        return Err(options.errors);
    };
    match connector.value.as_str() {
        "datagen" => datagen::bind(table, options),
        "kafka" => kafka::bind(table, options),
        other => {
            let message = match other {
                "blackhole" | "print" => format!("connector `{other}` cannot be read from"),
                _ => format!("unknown connector `{other}`"),
            };
            let diagnostic = Diagnostic::error(message)
                .at(connector.span)
                .label(format!("can be read from: {}", CONNECTORS.join(", ")))
                .did_you_mean(other, CONNECTORS.iter().copied());
            Err(vec![diagnostic])
        }
    }
}
