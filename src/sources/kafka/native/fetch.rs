//! A fetch: what is asked of a leader, and where in its answer the batches are.
//!
//! The answer is read here and not by the library that reads all others: of it
//! nothing is copied but a few numbers for each partition.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::{BrokerId, FetchRequest, TopicName};
use kafka_protocol::protocol::StrBytes;

use super::batches::Aborted;
use super::settings::Settings;
use crate::kafka_wire::{Malformed, Reader};

/// The last version that names topics: later ones know them by their ids.
pub const NEWEST: i16 = 12;
/// The first that tells of truncation.
const TRUNCATION_FROM: i16 = 12;
/// The first with compact lengths.
const FLEXIBLE_FROM: i16 = 12;
/// Tagged: where the log of the leader parts from the one that was read.
const DIVERGING_EPOCH: u64 = 0;
const NO_EPOCH: i32 = -1;

/// A partition to fetch.
#[derive(Debug, Clone)]
pub struct Ask {
    pub topic: Arc<str>,
    pub partition: i32,
    pub offset: i64,
    /// Of the leader that is asked.
    pub leader_epoch: Option<i32>,
    /// Of the last batch that was read.
    pub read_epoch: Option<i32>,
}

/// The request for all of `asks` in a version of the protocol.
pub fn request(settings: &Settings, asks: &[Ask], version: i16) -> FetchRequest {
    let mut topics: BTreeMap<&Arc<str>, FetchTopic> = BTreeMap::new();
    for ask in asks {
        let tells_truncation = version >= TRUNCATION_FROM;
        let read_epoch = ask.read_epoch.filter(|_| tells_truncation).unwrap_or(NO_EPOCH);
        let partition = FetchPartition::default()
            .with_partition(ask.partition)
            .with_current_leader_epoch(ask.leader_epoch.unwrap_or(NO_EPOCH))
            .with_fetch_offset(ask.offset)
            .with_last_fetched_epoch(read_epoch)
            .with_log_start_offset(-1)
            .with_partition_max_bytes(settings.partition_bytes);
        let topic = topics.entry(&ask.topic).or_insert_with(|| {
            let name = TopicName(StrBytes::from_string(ask.topic.to_string()));
            FetchTopic::default().with_topic(name)
        });
        topic.partitions.push(partition);
    }
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(i32::try_from(settings.fetch_wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(settings.least_bytes)
        .with_max_bytes(settings.fetch_bytes)
        .with_isolation_level(i8::from(settings.read_committed))
        .with_session_epoch(-1)
        .with_topics(topics.into_values().collect())
}

/// What a broker answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// How long it asks to be left alone, in milliseconds.
    pub throttle_ms: u64,
    pub error: i16,
    /// In the order of the request's, as far as brokers keep it.
    pub partitions: Vec<Fetched>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Fetched {
    pub topic: Arc<str>,
    pub partition: i32,
    pub error: i16,
    pub aborted: Vec<Aborted>,
    /// The log does not hold what was read before.
    pub is_truncated: bool,
    /// Where in the frame the batches are.
    pub records: Range<usize>,
}

/// Reads an answer, with its header.
///
/// # Errors
/// A frame that is none.
pub fn answer(frame: &[u8], version: i16) -> Result<Answer, Malformed> {
    let mut reader = Reader::new(frame);
    reader.set_flexible(version >= FLEXIBLE_FROM);
    let _correlation = reader.i32()?;
    reader.tags()?;
    let throttle_ms = u64::try_from(reader.i32()?).unwrap_or_default();
    let (mut error, mut _session) = (0, 0);
    if version >= 7 {
        (error, _session) = (reader.i16()?, reader.i32()?);
    }
    let topics = reader.array(|reader| {
        let topic: Arc<str> = Arc::from(reader.string()?);
        let partitions = reader.array(|reader| partition(reader, &topic, version))?;
        reader.tags()?;
        Ok(partitions)
    })?;
    reader.tags()?;
    Ok(Answer { throttle_ms, error, partitions: topics.into_iter().flatten().collect() })
}

fn partition(
    reader: &mut Reader<'_>,
    topic: &Arc<str>,
    version: i16,
) -> Result<Fetched, Malformed> {
    let (partition, error) = (reader.i32()?, reader.i16()?);
    let (_high_watermark, _last_stable) = (reader.i64()?, reader.i64()?);
    if version >= 5 {
        let _log_start = reader.i64()?;
    }
    let aborted = reader.nullable_array(|reader| {
        let aborted = Aborted { producer: reader.i64()?, first: reader.i64()? };
        reader.tags()?;
        Ok(aborted)
    })?;
    if version >= 11 {
        let _preferred_replica = reader.i32()?;
    }
    let records = reader.nullable_bytes()?.unwrap_or(0..0);
    let mut is_truncated = false;
    reader.each_tag(|tag| is_truncated |= tag == DIVERGING_EPOCH)?;
    let aborted = aborted.unwrap_or_default();
    Ok(Fetched { topic: Arc::clone(topic), partition, error, aborted, is_truncated, records })
}
