//! How a payload becomes columns, and a row becomes text.
//!
//! A source yields payloads and positions, a format decodes payloads, so that
//! formats and sources are N + M. One malformed message never harms its
//! neighbours: a decoder returns columns for the messages it could read and an
//! error for each that it could not.

mod cells;
mod columns;
mod csv;
mod json;
mod names;
pub mod parse;
pub mod print;
mod raw;
#[cfg(any(test, fuzzing))]
pub(crate) mod testing;
mod texts;
mod views;

use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;

use crate::diagnostics::Diagnostic;
use crate::options::Options;
use crate::types::Column;

/// Messages of one partition in offset order, their payloads end to end in one
/// buffer, so that a decoder may hand out views into it.
#[derive(Debug, Clone)]
pub struct Messages {
    pub topic: Arc<str>,
    pub partition: i32,
    /// At most 2 GiB.
    pub bytes: Buffer,
    /// The payload of each message as a range of `bytes`.
    pub payloads: Vec<Slot>,
    pub offsets: Vec<i64>,
    /// Kafka timestamps in milliseconds since the epoch, -1 where there is none.
    pub timestamps: Vec<i64>,
    /// Keys as ranges of `bytes`; present only if they were asked for.
    pub keys: Option<Vec<Slot>>,
    /// Present only if they were asked for.
    pub headers: Option<Vec<Vec<Header>>>,
    /// What whole runs of messages have in common, each with the index of its
    /// first message, ascending; see [`Messages::stamp`].
    pub stamps: Vec<(u32, Stamp)>,
}

/// What a broker noted beside a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    /// `None` where the broker does not know it.
    pub leader_epoch: Option<i32>,
    pub timestamp_type: TimestampType,
}

/// Who set a message's timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TimestampType {
    NoTimestampType,
    #[default]
    CreateTime,
    LogAppendTime,
}

/// A range of a [`Messages`] buffer, or nothing: a null payload (a tombstone)
/// or a null key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    start: u32,
    end: u32,
}

impl Slot {
    pub const NULL: Slot = Slot { start: u32::MAX, end: u32::MAX };

    pub fn new(start: usize, end: usize) -> Self {
        let limit = i32::MAX as usize;
        assert!(start <= end && end <= limit, "a batch holds at most 2 GiB of payload");
        Slot { start: start as u32, end: end as u32 }
    }

    pub fn is_null(self) -> bool {
        self.start == u32::MAX
    }

    /// The range of bytes, `None` for null.
    pub fn range(self) -> Option<std::ops::Range<usize>> {
        (!self.is_null()).then_some(self.start as usize..self.end as usize)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    pub key: String,
    pub value: Option<Vec<u8>>,
}

impl Messages {
    pub fn len(&self) -> usize {
        self.payloads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// The payload of message `i`; `None` is a tombstone.
    pub fn payload(&self, i: usize) -> Option<&[u8]> {
        self.payloads[i].range().map(|r| &self.bytes[r])
    }

    pub fn key(&self, i: usize) -> Option<&[u8]> {
        let slot = self.keys.as_ref()?[i];
        slot.range().map(|r| &self.bytes[r])
    }

    /// Takes the messages from `at` on.
    #[must_use]
    pub fn split_off(&mut self, at: usize) -> Self {
        let first = u32::try_from(at).expect("a batch holds fewer than 4 G");
        let behind = self.stamps.partition_point(|(from, _)| *from < first);
        let mut stamps = vec![(0, self.stamp(at))];
        stamps.extend(self.stamps[behind..].iter().map(|(from, stamp)| (from - first, *stamp)));
        if stamps.get(1).is_some_and(|(from, _)| *from == 0) {
            stamps.remove(0);
        }
        self.stamps.truncate(behind);
        Self {
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            bytes: self.bytes.clone(),
            payloads: self.payloads.split_off(at),
            offsets: self.offsets.split_off(at),
            timestamps: self.timestamps.split_off(at),
            keys: self.keys.as_mut().map(|keys| keys.split_off(at)),
            headers: self.headers.as_mut().map(|headers| headers.split_off(at)),
            stamps,
        }
    }

    /// What the broker noted beside message `i`.
    pub fn stamp(&self, i: usize) -> Stamp {
        let after = self.stamps.partition_point(|(first, _)| *first as usize <= i);
        after.checked_sub(1).map_or_else(Stamp::default, |run| self.stamps[run].1)
    }
}

/// Collects messages of one partition; see [`Messages`].
#[derive(Debug)]
pub struct MessagesBuilder {
    topic: Arc<str>,
    partition: i32,
    bytes: Vec<u8>,
    payloads: Vec<Slot>,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    keys: Option<Vec<Slot>>,
    headers: Option<Vec<Vec<Header>>>,
    stamps: Vec<(u32, Stamp)>,
}

/// What a plan reads of a message besides its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MessageParts {
    pub keys: bool,
    pub headers: bool,
}

impl MessagesBuilder {
    pub fn new(topic: Arc<str>, partition: i32, parts: MessageParts) -> Self {
        Self {
            topic,
            partition,
            bytes: Vec::new(),
            payloads: Vec::new(),
            offsets: Vec::new(),
            timestamps: Vec::new(),
            keys: parts.keys.then(Vec::new),
            headers: parts.headers.then(Vec::new),
            stamps: Vec::new(),
        }
    }

    pub fn reserve(&mut self, messages: usize, bytes: usize) {
        self.bytes.reserve(bytes);
        self.payloads.reserve(messages);
        self.offsets.reserve(messages);
        self.timestamps.reserve(messages);
    }

    pub fn len(&self) -> usize {
        self.payloads.len()
    }

    pub fn is_empty(&self) -> bool {
        self.payloads.is_empty()
    }

    /// Bytes of payload and keys so far.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Adds a message. Key and headers are kept only if they were asked for.
    pub fn push(
        &mut self,
        offset: i64,
        timestamp_ms: i64,
        payload: Option<&[u8]>,
        key: Option<&[u8]>,
        headers: impl FnOnce() -> Vec<Header>,
    ) {
        let payload = self.append(payload);
        self.payloads.push(payload);
        self.offsets.push(offset);
        self.timestamps.push(timestamp_ms);
        if self.keys.is_some() {
            let key = self.append(key);
            self.keys.as_mut().expect("checked above").push(key);
        }
        if let Some(all) = &mut self.headers {
            all.push(headers());
        }
    }

    /// Says what the broker noted beside the messages pushed from now on.
    pub fn stamp(&mut self, stamp: Stamp) {
        if self.stamps.last().is_none_or(|(_, last)| *last != stamp) {
            let first = u32::try_from(self.len()).expect("fewer messages than bytes");
            self.stamps.push((first, stamp));
        }
    }

    fn append(&mut self, bytes: Option<&[u8]>) -> Slot {
        let Some(bytes) = bytes else { return Slot::NULL };
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Slot::new(start, self.bytes.len())
    }

    pub fn finish(self) -> Messages {
        Messages {
            topic: self.topic,
            partition: self.partition,
            bytes: Buffer::from_vec(self.bytes),
            payloads: self.payloads,
            offsets: self.offsets,
            timestamps: self.timestamps,
            keys: self.keys,
            headers: self.headers,
            stamps: self.stamps,
        }
    }
}

/// What a decoder made of some messages.
#[derive(Debug)]
pub struct Decoded {
    /// One array per column asked for, each of `rows.len()` values, of the
    /// Arrow type of its column.
    pub columns: Vec<ArrayRef>,
    /// For each row the index of the message it came from, ascending.
    pub rows: Vec<u32>,
    /// The messages that could not be decoded, ascending. A message that is
    /// simply no row (a tombstone) is in neither list.
    pub errors: Vec<DecodeError>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    /// Index of the message.
    pub message: u32,
    /// Why, for a person: "field `v`: expected BIGINT, found \"x\"".
    pub reason: String,
}

/// Turns payloads into columns.
///
/// # Contract
/// - Decoding messages in any grouping gives the same rows and errors.
/// - A column's array has the type `Column::ty` maps to.
/// - No input panics, allocates without bound, or touches a neighbour's row.
pub trait Decoder: Debug + Send {
    fn decode(&mut self, messages: &Messages) -> Decoded;
}

/// What becomes of a message that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The job stops, naming topic, partition, offset and reason.
    Fail,
    /// The message is counted and left out (`ignore-parse-errors`).
    Skip,
}

/// A decoding format bound to its table's options.
pub trait DecodingFormat: Debug + Send + Sync {
    /// Flink's identifier, such as `json`.
    fn name(&self) -> &'static str;

    fn on_error(&self) -> OnError;

    /// A decoder that reads the columns at `projection`, ascending indexes into
    /// the table's physical columns that the format was bound with.
    fn decoder(&self, projection: &[usize]) -> Box<dyn Decoder>;
}

/// An encoding format bound to its table's options: rows to bytes of a text
/// file or to one payload per row.
pub trait EncodingFormat: Debug + Send + Sync {
    fn name(&self) -> &'static str;

    /// Appends every row of `batch` to `out`, and the end of each row in `out`
    /// to `ends`. A row carries no line break of its own.
    ///
    /// # Errors
    /// A value the format cannot write, for a person.
    fn encode(
        &self,
        batch: &RecordBatch,
        out: &mut Vec<u8>,
        ends: &mut Vec<usize>,
    ) -> Result<(), String>;
}

/// What a format is bound with.
#[derive(Debug, Clone)]
pub struct FormatContext<'a> {
    /// All physical columns that the format sees, in order.
    pub columns: &'a [Column],
    /// `table.local-time-zone`.
    pub time_zone: &'a str,
    /// What its options start with: `json.`, or `value.json.`, `key.csv.`.
    pub option_prefix: String,
}

/// The names of the formats that can be read.
pub const DECODING: &[&str] = &["csv", "json", "raw"];
/// The text formats that can be written; `parquet` belongs to the sink.
pub const ENCODING: &[&str] = &["csv", "json"];

/// Binds the decoding format `name`; takes its options from `options` and
/// leaves what is wrong in `options.errors`.
pub fn decoding(
    name: &str,
    options: &mut Options,
    context: &FormatContext<'_>,
) -> Option<Arc<dyn DecodingFormat>> {
    match name {
        "csv" => csv::decoding(options, context),
        "json" => json::decoding(options, context),
        "raw" => raw::decoding(options, context),
        _ => None,
    }
}

/// Binds the encoding format `name`, likewise.
pub fn encoding(
    name: &str,
    options: &mut Options,
    context: &FormatContext<'_>,
) -> Option<Arc<dyn EncodingFormat>> {
    match name {
        "csv" => csv::encoding(options, context),
        "json" => json::encoding(options, context),
        _ => None,
    }
}

/// The diagnostic for a format nobody knows.
pub fn unknown(name: &str, known: &[&str]) -> Diagnostic {
    Diagnostic::error(format!("unknown format `{name}`"))
        .label(format!("known formats: {}", known.join(", ")))
        .did_you_mean(name, known.iter().copied())
}
