//! Messages of record batches (magic 2), as ranges of the bytes they came in.
//!
//! A batch is checked before anything of it is believed. The messages of aborted
//! transactions and the transactions' markers are left out, if so wanted, by the
//! list that the broker sends along.
//!
//! Source: <https://kafka.apache.org/documentation/#messageformat>, KIP-98.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use arrow::buffer::Buffer;

use super::codecs::Codecs;
use crate::formats::{Header, MessageParts, Messages, Slot, Stamp, TimestampType};

/// Bytes of a batch before its records.
const HEADER_BYTES: usize = 61;
/// Bytes before those that the batch's length counts.
const LENGTH_COUNTS_FROM: usize = 12;
/// The checksum covers everything from here on.
const CHECKSUM_FROM: usize = 21;
const COMPRESSION: i16 = 0x07;
const LOG_APPEND_TIME: i16 = 0x08;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;
/// When a buffer of inflated batches is large enough.
const ENOUGH_BYTES: usize = 32 << 20;

/// What cannot be read, for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the batch at offset {offset}: {reason}")]
pub struct Corrupt {
    pub offset: i64,
    pub reason: String,
}

/// Of one producer the first offset of a transaction that was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted {
    pub producer: i64,
    pub first: i64,
}

/// What is to be read of a partition.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub topic: &'a Arc<str>,
    pub partition: i32,
    pub parts: MessageParts,
    pub from: i64,
    /// Itself not wanted.
    pub until: Option<i64>,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    pub messages: Vec<Messages>,
    /// Nothing before it is to come.
    pub next: i64,
    /// Of the last batch.
    pub leader_epoch: Option<i32>,
}

/// Reads the batches in a range of a frame; a last one that is cut off is left.
///
/// # Errors
/// A batch that is damaged, or of a format that is not spoken here. What came
/// before it is lost with it, so that it can be fetched again.
pub fn read(
    wanted: &Wanted<'_>,
    frame: &Buffer,
    records: Range<usize>,
    aborted: &[Aborted],
    codecs: &mut Codecs,
) -> Result<Read, Corrupt> {
    let mut reading = Reading {
        wanted,
        frame,
        aborting: Aborting::new(aborted),
        codecs,
        filling: None,
        inflated: Vec::new(),
        read: Read { next: wanted.from, ..Read::default() },
    };
    let mut at = records.start;
    while let Some(batch) = Batch::at(frame, at..records.end) {
        at = batch.records.end;
        reading.batch(&batch)?;
    }
    reading.cut();
    Ok(reading.read)
}

/// The header of a batch that is there as a whole.
#[derive(Debug)]
struct Batch {
    base_offset: i64,
    leader_epoch: i32,
    magic: u8,
    checksum: u32,
    attributes: i16,
    last_offset_delta: i32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: i64,
    count: i32,
    /// From where on the checksum counts.
    summed: Range<usize>,
    records: Range<usize>,
}

impl Batch {
    fn at(frame: &[u8], range: Range<usize>) -> Option<Self> {
        let start = range.start;
        let bytes = frame.get(range)?;
        let head: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
        fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
            head[at..at + N].try_into().expect("it lies in the header")
        }
        let length = usize::try_from(i32::from_be_bytes(field(head, 8))).ok()?;
        let end = LENGTH_COUNTS_FROM.checked_add(length)?;
        if end > bytes.len() || end < HEADER_BYTES {
            return None;
        }
        Some(Self {
            base_offset: i64::from_be_bytes(field(head, 0)),
            leader_epoch: i32::from_be_bytes(field(head, 12)),
            magic: head[16],
            checksum: u32::from_be_bytes(field(head, 17)),
            attributes: i16::from_be_bytes(field(head, 21)),
            last_offset_delta: i32::from_be_bytes(field(head, 23)),
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            producer: i64::from_be_bytes(field(head, 43)),
            count: i32::from_be_bytes(field(head, 57)),
            summed: start + CHECKSUM_FROM..start + end,
            records: start + HEADER_BYTES..start + end,
        })
    }

    fn is(&self, attribute: i16) -> bool {
        self.attributes & attribute != 0
    }

    fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(i64::from(self.last_offset_delta))
    }

    fn stamp(&self) -> Stamp {
        let timestamp_type = match self.is(LOG_APPEND_TIME) {
            true => TimestampType::LogAppendTime,
            false => TimestampType::CreateTime,
        };
        let leader_epoch = (self.leader_epoch >= 0).then_some(self.leader_epoch);
        Stamp { leader_epoch, timestamp_type }
    }

    fn corrupt(&self, reason: impl Into<String>) -> Corrupt {
        Corrupt { offset: self.base_offset, reason: reason.into() }
    }
}

/// Which transactions are being read that were aborted.
struct Aborting<'a> {
    /// In the order of their first offsets.
    to_come: Vec<&'a Aborted>,
    producers: HashSet<i64>,
}

impl<'a> Aborting<'a> {
    fn new(aborted: &'a [Aborted]) -> Self {
        let mut to_come: Vec<&Aborted> = aborted.iter().collect();
        to_come.sort_by_key(|aborted| std::cmp::Reverse(aborted.first));
        Self { to_come, producers: HashSet::new() }
    }

    fn begin_up_to(&mut self, offset: i64) {
        while let Some(begun) = self.to_come.pop_if(|aborted| aborted.first <= offset) {
            self.producers.insert(begun.producer);
        }
    }
}

struct Reading<'a, 'b> {
    wanted: &'a Wanted<'b>,
    frame: &'a Buffer,
    aborting: Aborting<'a>,
    codecs: &'a mut Codecs,
    filling: Option<Filling>,
    /// Where the ranges being filled lie, unless it is the frame.
    inflated: Vec<u8>,
    read: Read,
}

/// Messages in the making.
struct Filling {
    is_inflated: bool,
    payloads: Vec<Slot>,
    offsets: Vec<i64>,
    timestamps: Vec<i64>,
    keys: Option<Vec<Slot>>,
    headers: Option<Vec<Vec<Header>>>,
    stamps: Vec<(u32, Stamp)>,
}

impl Reading<'_, '_> {
    fn batch(&mut self, batch: &Batch) -> Result<(), Corrupt> {
        if batch.magic != 2 {
            let reason = format!(
                "its format, {}, is older than Kafka 0.11 (`turnstile.kafka.client` = \
                 librdkafka reads it)",
                batch.magic
            );
            return Err(batch.corrupt(reason));
        }
        if crc32c::crc32c(&self.frame[batch.summed.clone()]) != batch.checksum {
            return Err(batch.corrupt("its checksum is wrong"));
        }
        self.read.leader_epoch = batch.stamp().leader_epoch.or(self.read.leader_epoch);
        self.aborting.begin_up_to(batch.last_offset());
        if batch.is(CONTROL) {
            // Of markers only the one of an abort ends what is left out.
            self.aborting.producers.remove(&batch.producer);
        } else if !(batch.is(TRANSACTIONAL)
            && self.aborting.producers.contains(&batch.producer))
            && batch.last_offset() >= self.read.next
        {
            self.messages(batch)?;
        }
        self.read.next = self.read.next.max(batch.last_offset().saturating_add(1));
        Ok(())
    }

    fn messages(&mut self, batch: &Batch) -> Result<(), Corrupt> {
        let codec = batch.attributes & COMPRESSION;
        let is_inflated = codec != 0;
        let is_other = |filling: &Filling| filling.is_inflated != is_inflated;
        if self.filling.as_ref().is_some_and(is_other) || self.inflated.len() > ENOUGH_BYTES {
            self.cut();
        }
        let mut range = batch.records.clone();
        if is_inflated {
            let from = self.inflated.len();
            self.codecs
                .inflate(codec, &self.frame[range], &mut self.inflated)
                .map_err(|error| batch.corrupt(error.to_string()))?;
            range = from..self.inflated.len();
        }
        let bytes = if is_inflated { &self.inflated[..] } else { &self.frame[..] };
        let count = usize::try_from(batch.count).unwrap_or_default();
        let filling =
            self.filling.get_or_insert_with(|| Filling::new(is_inflated, self.wanted));
        filling.room(count.min(range.len()));
        filling.stamp(batch.stamp());
        filling
            .records(self.wanted, batch, &bytes[..range.end], range.start)
            .ok_or_else(|| batch.corrupt("its records are not what its length says"))
    }

    /// Ends the messages in the making.
    fn cut(&mut self) {
        let Some(filling) = self.filling.take() else { return };
        let inflated = std::mem::take(&mut self.inflated);
        if filling.payloads.is_empty() {
            return;
        }
        let bytes =
            if filling.is_inflated { Buffer::from_vec(inflated) } else { self.frame.clone() };
        self.read.messages.push(Messages {
            topic: Arc::clone(self.wanted.topic),
            partition: self.wanted.partition,
            bytes,
            payloads: filling.payloads,
            offsets: filling.offsets,
            timestamps: filling.timestamps,
            keys: filling.keys,
            headers: filling.headers,
            stamps: filling.stamps,
        });
    }
}

impl Filling {
    fn new(is_inflated: bool, wanted: &Wanted<'_>) -> Self {
        Self {
            is_inflated,
            payloads: Vec::new(),
            offsets: Vec::new(),
            timestamps: Vec::new(),
            keys: wanted.parts.keys.then(Vec::new),
            headers: wanted.parts.headers.then(Vec::new),
            stamps: Vec::new(),
        }
    }

    fn room(&mut self, count: usize) {
        self.payloads.reserve(count);
        self.offsets.reserve(count);
        self.timestamps.reserve(count);
    }

    fn stamp(&mut self, stamp: Stamp) {
        if self.stamps.last().is_none_or(|(_, last)| *last != stamp) {
            let first =
                u32::try_from(self.payloads.len()).expect("a batch holds less than 4 G");
            self.stamps.push((first, stamp));
        }
    }

    /// Takes the records from `at` to the end of `bytes`. `None`: they are not.
    fn records(
        &mut self,
        wanted: &Wanted<'_>,
        batch: &Batch,
        bytes: &[u8],
        mut at: usize,
    ) -> Option<()> {
        let until = wanted.until.unwrap_or(i64::MAX);
        for _ in 0..batch.count {
            let length = varint(bytes, &mut at)?;
            let end = at.checked_add(usize::try_from(length).ok()?)?;
            let record = bytes.get(..end)?;
            // No attribute has a meaning yet.
            at += 1;
            let timestamp = batch.base_timestamp.checked_add(varint(record, &mut at)?)?;
            let offset = batch.base_offset.checked_add(varint(record, &mut at)?)?;
            let key = slot(record, &mut at)?;
            let payload = slot(record, &mut at)?;
            if (wanted.from..until).contains(&offset) {
                self.payloads.push(payload);
                self.offsets.push(offset);
                let is_appended = batch.is(LOG_APPEND_TIME);
                self.timestamps.push(if is_appended { batch.max_timestamp } else { timestamp });
                if let Some(keys) = &mut self.keys {
                    keys.push(key);
                }
                if let Some(all) = &mut self.headers {
                    all.push(headers(record, &mut at)?);
                }
            }
            at = end;
        }
        (at == bytes.len()).then_some(())
    }
}

/// A length and so many bytes; null for a length of -1.
#[inline]
fn slot(record: &[u8], at: &mut usize) -> Option<Slot> {
    let length = varint(record, at)?;
    if length == -1 {
        return Some(Slot::NULL);
    }
    let (start, end) = (*at, at.checked_add(usize::try_from(length).ok()?)?);
    if end > record.len() {
        return None;
    }
    *at = end;
    Some(Slot::new(start, end))
}

fn headers(record: &[u8], at: &mut usize) -> Option<Vec<Header>> {
    let count = usize::try_from(varint(record, at)?).ok()?;
    // Each takes two bytes at least.
    let mut all = Vec::with_capacity(count.min(record.len() - *at));
    for _ in 0..count {
        let key = slot(record, at)?.range()?;
        let value = slot(record, at)?.range().map(|range| record[range].to_vec());
        all.push(Header { key: String::from_utf8_lossy(&record[key]).into_owned(), value });
    }
    Some(all)
}

/// A signed integer of seven bits a byte in zigzag order.
#[inline]
fn varint(bytes: &[u8], at: &mut usize) -> Option<i64> {
    let first = *bytes.get(*at)?;
    *at += 1;
    let mut raw = u64::from(first & 0x7f);
    if first & 0x80 != 0 {
        let mut shift = 7;
        loop {
            let byte = *bytes.get(*at)?;
            *at += 1;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }
    Some((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
}
