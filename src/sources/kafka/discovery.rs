//! Which partitions there are, and from where to where to read them.
//!
//! The first look must succeed: no brokers, no topic and no offset are errors.
//! Later ones look for new partitions, and let an outage be the readers' to
//! judge.
//!
//! Invariant: a partition is found once. One that appears later is read from
//! its first message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::metadata::{MetadataPartition, MetadataTopic};
use rdkafka::{Offset, TopicPartitionList};

use super::KafkaSource;
use super::context::{Client, serve_events};
use super::native::{self, NativeReader};
use super::offsets::{Facts, NoOffset};
use super::reader::KafkaReader;
use super::topic_ids::topic_ids;
use super::topics::{Topics, near};
use crate::formats::MessageParts;
use crate::kafka_client::is_denial;
use crate::sources::{
    OnDataLoss, OpenRequest, OpenSource, Resume, SourceError, Split, SplitId, SplitReader,
};

/// How long a question waits before it is asked again, at first and at most:
/// in between, the client may tell why there is no answer.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(4));
/// A later look must not hold up the job for long.
const LATER_LOOK: Duration = Duration::from_secs(2);

/// A topic as it is now.
struct Topic {
    name: Arc<str>,
    id: Option<Arc<str>>,
    partitions: Vec<i32>,
}

impl Topic {
    fn split(&self, partition: i32) -> SplitId {
        SplitId { topic: Arc::clone(&self.name), partition }
    }
}

/// Splits that have been found, with the ids of their topics.
type Known = BTreeMap<SplitId, Option<Arc<str>>>;

/// A connected Kafka table.
pub struct OpenKafka {
    source: KafkaSource,
    parts: MessageParts,
    client: Client,
    resume: Option<BTreeMap<SplitId, Resume>>,
    on_data_loss: OnDataLoss,
    /// `None`: librdkafka fetches.
    native: Option<Arc<native::Settings>>,
    /// Made with the first commit; `None` where the table names no group.
    group: Option<Client>,
    /// `None` before the first look.
    known: Option<Known>,
}

impl OpenKafka {
    /// Waits for an answer of the brokers.
    pub fn connect(source: KafkaSource, request: &OpenRequest) -> Result<Self, SourceError> {
        let client = source.client()?;
        let (parts, resume) = (request.parts, request.resume.clone());
        let on_data_loss = request.on_data_loss;
        let native = source.native(request.kafka_client)?;
        let open = Self {
            source,
            parts,
            client,
            resume,
            on_data_loss,
            native,
            group: None,
            known: None,
        };
        let asker = open.asker(open.source.patience.answer);
        asker.ask(|within| open.client.fetch_metadata(open.source.topics.single(), within))?;
        Ok(open)
    }

    fn asker(&self, patience: Duration) -> Asker<'_> {
        let brokers = self.source.properties.bootstrap_servers();
        Asker { client: &self.client, brokers, patience }
    }

    fn first_look(&self) -> Result<Vec<Split>, SourceError> {
        let asker = self.asker(self.source.patience.answer);
        let mut splits = Vec::new();
        for topic in self.identified_topics(&asker)? {
            splits.extend(self.splits(&asker, &topic)?);
        }
        Ok(splits)
    }

    /// Finds what is new; an outage finds nothing.
    fn later_look(&self, known: &Known) -> Result<Vec<Split>, SourceError> {
        let asker = self.asker(LATER_LOOK);
        match self.new_partitions(&asker, known) {
            Err(
                error @ (SourceError::Unreachable { .. } | SourceError::TopicMissing { .. }),
            ) => {
                tracing::warn!(%error, "no look for new partitions this time");
                Ok(Vec::new())
            }
            other => other,
        }
    }

    fn new_partitions(
        &self,
        asker: &Asker<'_>,
        known: &Known,
    ) -> Result<Vec<Split>, SourceError> {
        let mut splits = Vec::new();
        for topic in self.identified_topics(asker)? {
            for &partition in &topic.partitions {
                let id = topic.split(partition);
                if let Some(before) = known.get(&id) {
                    replaced(before.as_ref(), &topic, partition, None)?;
                    continue;
                }
                let (start, _) = asker.ask(|within| ends(&self.client, &id, within))?;
                tracing::info!(topic = &*id.topic, partition, start, "new partition");
                splits.push(Split { id, start, stop: None, topic_id: topic.id.clone() });
            }
        }
        Ok(splits)
    }

    /// The topics of the table with their ids.
    fn identified_topics(&self, asker: &Asker<'_>) -> Result<Vec<Topic>, SourceError> {
        let mut topics = self.table_topics(asker)?;
        let names: Vec<Arc<str>> = topics.iter().map(|topic| Arc::clone(&topic.name)).collect();
        let mut ids = asker.ask(|within| topic_ids(&self.client, &names, within))?;
        for topic in &mut topics {
            topic.id = ids.remove(&topic.name);
        }
        Ok(topics)
    }

    /// The topics of the table, without their ids.
    fn table_topics(&self, asker: &Asker<'_>) -> Result<Vec<Topic>, SourceError> {
        match &self.source.topics {
            Topics::List(names) => {
                let each = names.iter().map(|name| {
                    let all = self.topics(asker, Some(name))?;
                    all.into_iter().next().ok_or_else(|| self.missing(name))
                });
                each.collect()
            }
            Topics::Pattern { text, .. } => {
                let mut found = self.topics(asker, None)?;
                found.retain(|topic| self.source.topics.matches(&topic.name));
                if found.is_empty() { Err(self.missing(text)) } else { Ok(found) }
            }
        }
    }

    /// One topic, or all, that exist.
    fn topics(
        &self,
        asker: &Asker<'_>,
        topic: Option<&str>,
    ) -> Result<Vec<Topic>, SourceError> {
        let metadata = asker.ask(|within| self.client.fetch_metadata(topic, within))?;
        let mut found = Vec::new();
        for topic in metadata.topics() {
            match topic.error().map(RDKafkaErrorCode::from) {
                Some(
                    RDKafkaErrorCode::UnknownTopic
                    | RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::InvalidTopic,
                ) => {}
                Some(code) if is_denial(code) => {
                    return Err(asker.denied(format!("{code} (topic `{}`)", topic.name())));
                }
                _ => {
                    let mut partitions: Vec<i32> =
                        topic.partitions().iter().map(MetadataPartition::id).collect();
                    partitions.sort_unstable();
                    found.push(Topic { name: topic.name().into(), id: None, partitions });
                }
            }
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn missing(&self, topic: &str) -> SourceError {
        let asker = self.asker(LATER_LOOK);
        let all = asker.ask(|within| self.client.fetch_metadata(None, within));
        let near =
            all.ok().and_then(|all| near(topic, all.topics().iter().map(MetadataTopic::name)));
        let brokers = asker.brokers.to_owned();
        SourceError::TopicMissing { topic: topic.to_owned(), brokers, near }
    }

    /// The splits of a topic at the first look.
    fn splits(&self, asker: &Asker<'_>, topic: &Topic) -> Result<Vec<Split>, SourceError> {
        if let Some(resume) = &self.resume {
            return self.resumed_splits(asker, topic, resume);
        }
        let Topic { name, partitions, .. } = topic;
        let source = &self.source;
        let wants = source.startup.wants_committed() || source.bounded.wants_committed();
        let committed = match source.properties.group_id() {
            Some(group) if wants => self.committed(asker, group, name, partitions)?,
            _ => BTreeMap::new(),
        };
        let at_startup = self.at_time(asker, name, partitions, source.startup.timestamp())?;
        let at_bound = self.at_time(asker, name, partitions, source.bounded.timestamp())?;
        let mut splits = Vec::new();
        for &partition in partitions {
            let id = topic.split(partition);
            let (low, high) = asker.ask(|within| ends(&self.client, &id, within))?;
            let facts = Facts {
                low,
                high,
                committed: committed.get(&partition).copied(),
                at_startup: at_startup.get(&partition).copied(),
                at_bound: at_bound.get(&partition).copied(),
            };
            splits.push(self.split(topic, partition, &facts)?);
        }
        Ok(splits)
    }

    /// The splits of a topic that an earlier process has read: each goes on
    /// where it was, and a new one begins at its first message.
    fn resumed_splits(
        &self,
        asker: &Asker<'_>,
        topic: &Topic,
        resume: &BTreeMap<SplitId, Resume>,
    ) -> Result<Vec<Split>, SourceError> {
        let mut splits = Vec::new();
        for &partition in &topic.partitions {
            let id = topic.split(partition);
            let (low, high) = asker.ask(|within| ends(&self.client, &id, within))?;
            let new = Resume { next: low, stop: None, topic_id: None };
            let Resume { next: mut start, mut stop, topic_id } =
                resume.get(&id).cloned().unwrap_or(new);
            let ended = stop.is_some_and(|stop| start >= stop);
            let lost = match replaced(topic_id.as_ref(), topic, partition, Some(start)) {
                _ if ended => None,
                Err(error) => {
                    // The end that was set was one of the old topic's.
                    stop = stop.map(|_| high);
                    Some(error)
                }
                Ok(()) if (low..=high).contains(&start) => None,
                Ok(()) => {
                    let (topic, offset) = (id.topic.to_string(), start);
                    Some(SourceError::OffsetLost { topic, partition, offset, low, high })
                }
            };
            if let Some(error) = lost {
                let Some(next) = self.on_data_loss.next(low, high) else { return Err(error) };
                tracing::warn!(%error, low, high, next, "messages are lost");
                start = next;
            }
            splits.push(Split { id, start, stop, topic_id: topic.id.clone() });
        }
        Ok(splits)
    }

    fn split(
        &self,
        topic: &Topic,
        partition: i32,
        facts: &Facts,
    ) -> Result<Split, SourceError> {
        let source = &self.source;
        let reset = source.properties.offset_reset();
        let no_offset = |why, mode| self.no_offset(why, &topic.name, partition, facts, mode);
        let start = source
            .startup
            .offset(partition, facts, reset)
            .map_err(|why| no_offset(why, "scan.startup.mode"))?;
        let stop = source
            .bounded
            .offset(partition, facts)
            .map_err(|why| no_offset(why, "scan.bounded.mode"))?;
        Ok(Split { id: topic.split(partition), start, stop, topic_id: topic.id.clone() })
    }

    fn no_offset(
        &self,
        why: NoOffset,
        topic: &str,
        partition: i32,
        facts: &Facts,
        mode: &'static str,
    ) -> SourceError {
        let topic = topic.to_owned();
        match why {
            NoOffset::NotInLog(offset) => {
                let (low, high) = (facts.low, facts.high);
                SourceError::OffsetLost { topic, partition, offset, low, high }
            }
            NoOffset::NothingCommitted => {
                let group = self.source.properties.group_id().unwrap_or_default().to_owned();
                SourceError::NothingCommitted { group, topic, partition, mode }
            }
            NoOffset::NotNamed => SourceError::Config(format!(
                "`scan.bounded.specific-offsets` names no offset of `{topic}` partition \
                 {partition}, so it would never end"
            )),
        }
    }

    /// What a group has committed, for the partitions it has.
    fn committed(
        &self,
        asker: &Asker<'_>,
        group: &str,
        topic: &str,
        partitions: &[i32],
    ) -> Result<BTreeMap<i32, i64>, SourceError> {
        let client = self.source.group_client(group)?;
        let asker = Asker { client: &client, ..*asker };
        let list = list(topic, partitions, Offset::Invalid);
        let answer = asker.ask(|within| client.committed_offsets(list.clone(), within))?;
        Ok(offsets(&answer))
    }

    /// The first offsets at or after a time, for the partitions that have one.
    fn at_time(
        &self,
        asker: &Asker<'_>,
        topic: &str,
        partitions: &[i32],
        at_ms: Option<i64>,
    ) -> Result<BTreeMap<i32, i64>, SourceError> {
        let Some(at_ms) = at_ms else { return Ok(BTreeMap::new()) };
        let list = list(topic, partitions, Offset::Offset(at_ms));
        let answer = asker.ask(|within| self.client.offsets_for_times(list.clone(), within))?;
        Ok(offsets(&answer))
    }
}

impl OpenSource for OpenKafka {
    fn discover(&mut self) -> Result<Vec<Split>, SourceError> {
        let splits = match &self.known {
            None => self.first_look()?,
            Some(known) => self.later_look(known)?,
        };
        let known = self.known.get_or_insert_default();
        known.extend(splits.iter().map(|split| (split.id.clone(), split.topic_id.clone())));
        Ok(splits)
    }

    fn discovery_interval(&self) -> Option<Duration> {
        self.source.discovery_interval
    }

    fn committed(&mut self, offsets: &[(SplitId, i64)]) {
        let Some(group) = self.source.properties.group_id() else { return };
        if self.group.is_none() {
            self.group = self
                .source
                .group_client(group)
                .inspect_err(|error| tracing::warn!(%error, "no offsets are committed"))
                .ok();
        }
        let Some(client) = &self.group else { return };
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (id, next) in offsets {
            list.add_partition_offset(&id.topic, id.partition, Offset::Offset(*next))
                .expect("no offset is negative");
        }
        if let Err(error) = client.commit(&list, CommitMode::Async) {
            tracing::warn!(%error, "offsets were not committed to the group");
        }
        serve_events(client);
    }

    fn reader(&mut self, splits: Vec<Split>) -> Result<Box<dyn SplitReader>, SourceError> {
        let (source, parts, on_data_loss) = (&self.source, self.parts, self.on_data_loss);
        let (brokers, patience) = (source.properties.bootstrap_servers(), source.patience);
        let mut reader: Box<dyn SplitReader> = match &self.native {
            None => {
                let client = source.client()?;
                Box::new(KafkaReader::new(client, parts, brokers, patience, on_data_loss))
            }
            Some(settings) => {
                let (settings, source) = (Arc::clone(settings), source.clone());
                let ends = Box::new(move |log: &SplitId| {
                    let client = source.client().map_err(|error| error.to_string())?;
                    ends(&client, log, LATER_LOOK).map_err(|error| error.to_string())
                });
                Box::new(NativeReader::new(
                    settings,
                    parts,
                    brokers,
                    patience,
                    on_data_loss,
                    ends,
                ))
            }
        };
        reader.add(splits)?;
        Ok(reader)
    }
}

/// An error if the topic is another than the one of `before`, which was read up
/// to `offset`. Where either id is not known, nothing can be said.
fn replaced(
    before: Option<&Arc<str>>,
    topic: &Topic,
    partition: i32,
    offset: Option<i64>,
) -> Result<(), SourceError> {
    match (before, &topic.id) {
        (Some(expected), Some(found)) if expected != found => Err(SourceError::TopicReplaced {
            topic: topic.name.to_string(),
            partition,
            offset,
            expected: expected.to_string(),
            found: found.to_string(),
        }),
        _ => Ok(()),
    }
}

fn list(topic: &str, partitions: &[i32], offset: Offset) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for &partition in partitions {
        list.add_partition_offset(topic, partition, offset)
            .expect("any offset that is not negative, or invalid, can be set");
    }
    list
}

/// The offsets that are numbers.
fn offsets(list: &TopicPartitionList) -> BTreeMap<i32, i64> {
    let number = |offset| if let Offset::Offset(number) = offset { Some(number) } else { None };
    let elements = list.elements();
    elements.iter().filter_map(|e| Some((e.partition(), number(e.offset())?))).collect()
}

/// A log's first offset and the one behind its last.
///
/// `fetch_watermarks` asks the same, but when only its first question is refused it may tell
/// of an empty log.
pub(super) fn ends(
    client: &Client,
    log: &SplitId,
    within: Duration,
) -> KafkaResult<(i64, i64)> {
    let end = |which| {
        let asked = list(&log.topic, &[log.partition], which);
        let told = client.offsets_for_times(asked, within)?;
        let unknown = || KafkaError::OffsetFetch(RDKafkaErrorCode::LeaderNotAvailable);
        offsets(&told).remove(&log.partition).ok_or_else(unknown)
    };
    Ok((end(Offset::Beginning)?, end(Offset::End)?))
}

/// Asks brokers until they answer or patience ends.
struct Asker<'a> {
    client: &'a Client,
    brokers: &'a str,
    patience: Duration,
}

impl Asker<'_> {
    /// `question` is given the time that it may wait.
    fn ask<T>(
        &self,
        mut question: impl FnMut(Duration) -> KafkaResult<T>,
    ) -> Result<T, SourceError> {
        let asked = Instant::now();
        let (mut wait, longest) = ASK_AGAIN;
        loop {
            let left = self.patience.saturating_sub(asked.elapsed());
            let error = match question(left.min(wait)) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            serve_events(self.client);
            if let Some(reason) = self.client.context().denial() {
                return Err(self.denied(reason));
            }
            let code = error.rdkafka_error_code();
            if code.is_some_and(is_denial) {
                return Err(self.denied(error.to_string()));
            }
            wait = (wait * 2).min(longest);
            if !code.is_some_and(may_pass) || asked.elapsed() >= self.patience {
                return Err(self.unanswered(asked.elapsed(), &error));
            }
        }
    }

    fn denied(&self, reason: String) -> SourceError {
        SourceError::Denied { brokers: self.brokers.to_owned(), reason }
    }

    fn unanswered(&self, waited: Duration, error: &KafkaError) -> SourceError {
        let reason = self.client.context().last_failure();
        SourceError::Unreachable {
            brokers: self.brokers.to_owned(),
            seconds: waited.as_secs_f64().round() as u64,
            reason: reason.unwrap_or_else(|| error.to_string()),
        }
    }
}

/// Errors that another attempt may not meet. Each comes after some waiting of
/// librdkafka's own.
fn may_pass(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::AllBrokersDown
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::RequestTimedOut
            | RDKafkaErrorCode::Resolve
            | RDKafkaErrorCode::LeaderNotAvailable
            | RDKafkaErrorCode::NotLeaderForPartition
            // Those of a broker that has just started.
            | RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownLeaderEpoch
            | RDKafkaErrorCode::FencedLeaderEpoch
            | RDKafkaErrorCode::OffsetNotAvailable
            | RDKafkaErrorCode::ReplicaNotAvailable
            | RDKafkaErrorCode::KafkaStorageError
            | RDKafkaErrorCode::WaitingForCoordinator
            | RDKafkaErrorCode::CoordinatorNotAvailable
            | RDKafkaErrorCode::CoordinatorLoadInProgress
            | RDKafkaErrorCode::NotCoordinator
            | RDKafkaErrorCode::WaitCache
            | RDKafkaErrorCode::NetworkException
    )
}
