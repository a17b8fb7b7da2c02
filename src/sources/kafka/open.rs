//! A connected Kafka source: which partitions there are, and where each begins
//! and ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::super::{OpenRequest, OpenSource, SourceError, Split, SplitId, SplitReader};
use super::Kafka;
use super::options::{Otherwise, Positions, Topics};
use super::reader::KafkaReader;
use crate::formats::MessageParts;

/// How long a broker may take to answer before the job gives up, unless
/// `properties.default.api.timeout.ms` says otherwise.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Between two questions to brokers that cannot be reached.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(250);

pub struct OpenKafka {
    kafka: Kafka,
    client: BaseConsumer,
    parts: MessageParts,
    known: BTreeSet<SplitId>,
    first: bool,
    timeout: Duration,
}

/// A partition's log: its first offset and the next one to be written.
type Bounds = (i64, i64);

impl OpenKafka {
    pub fn connect(kafka: Kafka, request: &OpenRequest) -> Result<Self, SourceError> {
        let timeout = kafka
            .properties
            .get("default.api.timeout.ms")
            .and_then(|ms| ms.parse().ok())
            .map_or(ANSWER_WITHIN, Duration::from_millis);
        let client = kafka
            .properties
            .config(&[("group.id", "turnstile")], &[("enable.auto.commit", "false")])
            .create::<BaseConsumer>()
            .map_err(|e| SourceError::Config(e.to_string()))?;
        let (parts, known) = (request.parts, BTreeSet::new());
        Ok(Self { kafka, client, parts, known, first: true, timeout })
    }

    fn brokers(&self) -> String {
        self.kafka.properties.bootstrap_servers().to_owned()
    }

    fn failed(&self, topic: &str, error: &KafkaError) -> SourceError {
        let unreachable = matches!(
            error.rdkafka_error_code(),
            Some(
                RDKafkaErrorCode::BrokerTransportFailure
                    | RDKafkaErrorCode::AllBrokersDown
                    | RDKafkaErrorCode::OperationTimedOut
                    | RDKafkaErrorCode::Resolve
            )
        );
        let (brokers, reason) = (self.brokers(), error.to_string());
        if unreachable {
            SourceError::Unreachable { brokers, seconds: self.timeout.as_secs(), reason }
        } else {
            SourceError::Read { topic: topic.to_owned(), brokers, reason }
        }
    }

    /// Asks the brokers, again and again within the bound while they cannot be
    /// reached.
    fn ask<T>(
        &self,
        topic: &str,
        question: impl Fn(&BaseConsumer, Duration) -> Result<T, KafkaError>,
    ) -> Result<T, SourceError> {
        let until = Instant::now() + self.timeout;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match question(&self.client, left.max(Duration::from_millis(100))) {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let failed = self.failed(topic, &error);
                    let again = matches!(failed, SourceError::Unreachable { .. });
                    if !again || Instant::now() + ASK_AGAIN_AFTER >= until {
                        return Err(failed);
                    }
                    tracing::warn!("{failed}; asking again");
                    std::thread::park_timeout(ASK_AGAIN_AFTER);
                }
            }
        }
    }

    /// The partitions of every topic wanted.
    fn partitions(&self) -> Result<Vec<SplitId>, SourceError> {
        let mut found = Vec::new();
        match &self.kafka.topics {
            Topics::List(names) => {
                for name in names {
                    found.extend(self.partitions_of(name)?);
                }
            }
            Topics::Pattern(pattern) => {
                let metadata = self
                    .ask(pattern.as_str(), |client, wait| client.fetch_metadata(None, wait))?;
                for topic in metadata.topics().iter().filter(|t| pattern.is_match(t.name())) {
                    found.extend(split_ids(topic.name(), topic.partitions().len()));
                }
            }
        }
        Ok(found)
    }

    fn partitions_of(&self, topic: &str) -> Result<Vec<SplitId>, SourceError> {
        let metadata =
            self.ask(topic, |client, wait| client.fetch_metadata(Some(topic), wait))?;
        let missing =
            || SourceError::TopicMissing { topic: topic.to_owned(), brokers: self.brokers() };
        let found = metadata.topics().iter().find(|t| t.name() == topic).ok_or_else(missing)?;
        match found.error().map(RDKafkaErrorCode::from) {
            None => {}
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic,
            ) => {
                return Err(missing());
            }
            Some(code) => return Err(self.failed(topic, &KafkaError::MetadataFetch(code))),
        }
        if found.partitions().is_empty() {
            return Err(missing());
        }
        Ok(split_ids(topic, found.partitions().len()))
    }

    fn bounds(&self, id: &SplitId) -> Result<Bounds, SourceError> {
        self.ask(&id.topic, |client, wait| {
            client.fetch_watermarks(&id.topic, id.partition, wait)
        })
    }

    /// The offset of each split that `positions` means.
    fn resolve(
        &self,
        positions: &Positions,
        splits: &BTreeMap<SplitId, Bounds>,
    ) -> Result<BTreeMap<SplitId, i64>, SourceError> {
        let each = |of: &dyn Fn(&SplitId, &Bounds) -> i64| {
            splits.iter().map(|(id, bounds)| (id.clone(), of(id, bounds))).collect()
        };
        Ok(match positions {
            Positions::Earliest => each(&|_, (low, _)| *low),
            Positions::Latest => each(&|_, (_, high)| *high),
            Positions::Specific(offsets) => {
                each(&|id, (low, _)| offsets.get(&id.partition).copied().unwrap_or(*low))
            }
            Positions::Timestamp(ms) => self.by_time(*ms, splits)?,
            Positions::Group { otherwise } => self.by_group(*otherwise, splits)?,
        })
    }

    fn list(splits: &BTreeMap<SplitId, Bounds>, offset: Offset) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for id in splits.keys() {
            list.add_partition_offset(&id.topic, id.partition, offset)
                .expect("a partition takes any offset");
        }
        list
    }

    fn by_time(
        &self,
        ms: i64,
        splits: &BTreeMap<SplitId, Bounds>,
    ) -> Result<BTreeMap<SplitId, i64>, SourceError> {
        let found = self.ask(&self.kafka.topics.to_string(), |client, wait| {
            client.offsets_for_times(Self::list(splits, Offset::Offset(ms)), wait)
        })?;
        Ok(offsets(&found, splits, |(_, high)| *high))
    }

    fn by_group(
        &self,
        otherwise: Otherwise,
        splits: &BTreeMap<SplitId, Bounds>,
    ) -> Result<BTreeMap<SplitId, i64>, SourceError> {
        let topic = self.kafka.topics.to_string();
        let found = self.ask(&topic, |client, wait| {
            client.committed_offsets(Self::list(splits, Offset::Invalid), wait)
        })?;
        let committed = |id: &SplitId| {
            let found = found.find_partition(&id.topic, id.partition)?;
            found.offset().to_raw().filter(|offset| *offset >= 0)
        };
        if otherwise == Otherwise::Fail && splits.keys().any(|id| committed(id).is_none()) {
            let group = self.kafka.properties.get("group.id").unwrap_or_default();
            return Err(SourceError::Config(format!(
                "group `{group}` has committed no offset for `{topic}`; set \
                 'scan.startup.mode' = 'earliest-offset', or \
                 'properties.auto.offset.reset' = 'earliest'"
            )));
        }
        Ok(offsets(&found, splits, |(low, high)| match otherwise {
            Otherwise::Earliest => *low,
            Otherwise::Latest | Otherwise::Fail => *high,
        }))
    }
}

fn split_ids(topic: &str, partitions: usize) -> Vec<SplitId> {
    let topic: Arc<str> = topic.into();
    let count = i32::try_from(partitions).expect("Kafka counts partitions in 32 bits");
    (0..count).map(|partition| SplitId { topic: Arc::clone(&topic), partition }).collect()
}

/// The offsets in a list; for those without one, what `otherwise` says.
fn offsets(
    list: &TopicPartitionList,
    splits: &BTreeMap<SplitId, Bounds>,
    otherwise: impl Fn(&Bounds) -> i64,
) -> BTreeMap<SplitId, i64> {
    splits
        .iter()
        .map(|(id, bounds)| {
            let found = list.find_partition(&id.topic, id.partition);
            let offset = found.and_then(|f| match f.offset() {
                Offset::Offset(offset) => Some(offset),
                _ => None,
            });
            (id.clone(), offset.unwrap_or_else(|| otherwise(bounds)))
        })
        .collect()
}

impl OpenSource for OpenKafka {
    fn discover(&mut self) -> Result<Vec<Split>, SourceError> {
        let first = std::mem::replace(&mut self.first, false);
        let mut fresh = BTreeMap::new();
        for id in self.partitions()? {
            if self.known.insert(id.clone()) {
                let bounds = self.bounds(&id)?;
                fresh.insert(id, bounds);
            }
        }
        // A partition that came later is read from its beginning.
        let earliest = Positions::Earliest;
        let startup = if first { &self.kafka.startup } else { &earliest };
        let starts = self.resolve(startup, &fresh)?;
        let stops = match &self.kafka.bounded {
            Some(positions) => Some(self.resolve(positions, &fresh)?),
            None => None,
        };
        fresh
            .into_iter()
            .map(|(id, (low, high))| {
                let start = starts[&id];
                if start < low || start > high {
                    let (topic, partition) = (id.topic.to_string(), id.partition);
                    return Err(SourceError::OffsetLost {
                        topic,
                        partition,
                        offset: start,
                        low,
                        high,
                    });
                }
                let stop = stops.as_ref().map(|stops| stops[&id]);
                Ok(Split { id, start, stop })
            })
            .collect()
    }

    fn discovery_interval(&self) -> Option<Duration> {
        self.kafka.discovery
    }

    fn reader(&mut self, splits: Vec<Split>) -> Result<Box<dyn SplitReader>, SourceError> {
        let reader = KafkaReader::new(&self.kafka.properties, self.parts, splits)?;
        Ok(Box::new(reader))
    }
}
