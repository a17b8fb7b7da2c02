//! Reads one worker's partitions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::super::{Data, Polled, SourceError, Split, SplitId, SplitReader};
use super::batch_queue::{BatchQueue, Fetched};
use crate::formats::{MessageParts, MessagesBuilder};
use crate::kafka_client::ClientProperties;

/// Messages that one batch call may bring.
const BATCH_CAPACITY: usize = 16_384;
/// No news for this long: ask whether the brokers are still there.
const SILENCE: Duration = Duration::from_secs(10);
/// Brokers that do not answer for this long stop the job.
const GIVE_UP_AFTER: Duration = Duration::from_secs(60);

/// librdkafka's words go to the log.
struct Logged;

impl ClientContext for Logged {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Debug | RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice => {
                tracing::debug!("kafka {facility}: {message}");
            }
            _ => tracing::warn!("kafka {facility}: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!("kafka: {error}: {reason}");
    }
}

impl ConsumerContext for Logged {}

pub struct KafkaReader {
    // Dropped before the consumer it belongs to.
    queue: BatchQueue,
    consumer: BaseConsumer<Logged>,
    brokers: String,
    parts: MessageParts,
    splits: Vec<Reading>,
    last_news: Instant,
    silent_since: Option<Instant>,
}

/// A split and how far it has been read.
struct Reading {
    id: SplitId,
    /// The topic's handle, once a message has shown it.
    topic_key: usize,
    next: i64,
    stop: Option<i64>,
    /// The client fetches it.
    assigned: bool,
    finished: bool,
    batch: MessagesBuilder,
}

impl KafkaReader {
    pub fn new(
        properties: &ClientProperties,
        parts: MessageParts,
        splits: Vec<Split>,
    ) -> Result<Self, SourceError> {
        let defaults = [
            ("group.id", "turnstile"),
            ("isolation.level", "read_committed"),
            ("queued.max.messages.kbytes", "8192"),
            ("queued.min.messages", "1000000"),
            ("fetch.queue.backoff.ms", "10"),
        ];
        let forced = [
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "error"),
        ];
        let consumer: BaseConsumer<Logged> = properties
            .config(&defaults, &forced)
            .create_with_context(Logged)
            .map_err(|e| SourceError::Config(e.to_string()))?;
        let queue = BatchQueue::of(&consumer, BATCH_CAPACITY)
            .ok_or_else(|| SourceError::Config("the client has no queue".to_owned()))?;
        let mut reader = Self {
            queue,
            consumer,
            brokers: properties.bootstrap_servers().to_owned(),
            parts,
            splits: Vec::new(),
            last_news: Instant::now(),
            silent_since: None,
        };
        reader.add(splits)?;
        Ok(reader)
    }

    fn failed(&self, topic: &str, reason: impl ToString) -> SourceError {
        let (topic, brokers) = (topic.to_owned(), self.brokers.clone());
        SourceError::Read { topic, brokers, reason: reason.to_string() }
    }

    /// Nothing came for a while: are the brokers there at all?
    fn check_silence(&mut self) -> Result<(), SourceError> {
        if self.last_news.elapsed() < SILENCE || self.splits.iter().all(|s| s.finished) {
            return Ok(());
        }
        let topic = self.splits[0].id.topic.to_string();
        match self.consumer.fetch_metadata(Some(&topic), Duration::from_secs(5)) {
            Ok(_) => {
                self.last_news = Instant::now();
                self.silent_since = None;
                Ok(())
            }
            Err(error) => {
                let since = *self.silent_since.get_or_insert(self.last_news);
                tracing::warn!("no answer from {}: {error}", self.brokers);
                if since.elapsed() < GIVE_UP_AFTER {
                    return Ok(());
                }
                Err(self.failed(
                    &topic,
                    format!(
                        "no answer for {} s ({error}); start again once they are back",
                        since.elapsed().as_secs()
                    ),
                ))
            }
        }
    }

    /// Marks splits that have nothing to read, and stops fetching them.
    fn finish(&mut self, polled: &mut Polled) -> Result<(), SourceError> {
        let mut done = TopicPartitionList::new();
        for split in &mut self.splits {
            if !split.finished && split.stop.is_some_and(|stop| split.next >= stop) {
                split.finished = true;
                if std::mem::take(&mut split.assigned) {
                    done.add_partition(&split.id.topic, split.id.partition);
                }
                polled.finished.push(split.id.clone());
            }
        }
        if done.count() > 0 {
            self.consumer.incremental_unassign(&done).map_err(|e| self.failed("", e))?;
        }
        Ok(())
    }
}

impl Reading {
    fn new(split: Split, parts: MessageParts) -> Self {
        let batch =
            MessagesBuilder::new(Arc::clone(&split.id.topic), split.id.partition, parts);
        Self {
            id: split.id,
            topic_key: 0,
            next: split.start,
            stop: split.stop,
            assigned: false,
            finished: false,
            batch,
        }
    }

    /// Takes a message, unless it lies behind the end.
    fn take(&mut self, message: &Fetched<'_>) {
        let offset = message.offset();
        if self.stop.is_some_and(|stop| offset >= stop) || offset < self.next {
            self.next = self.next.max(offset + 1);
            return;
        }
        self.next = offset + 1;
        self.batch.push(offset, message.timestamp(), message.payload(), message.key(), || {
            message.headers()
        });
    }

    fn is(&self, message: &Fetched<'_>) -> bool {
        self.id.partition == message.partition() && self.topic_key == message.topic_key()
    }
}

/// The split that `message` belongs to.
fn find(splits: &mut [Reading], message: &Fetched<'_>) -> Option<usize> {
    if let Some(at) = splits.iter().position(|split| split.is(message)) {
        return Some(at);
    }
    let topic = message.topic();
    let at = splits.iter().position(|split| {
        split.id.partition == message.partition() && *split.id.topic == topic
    })?;
    splits[at].topic_key = message.topic_key();
    Some(at)
}

impl SplitReader for KafkaReader {
    fn add(&mut self, splits: Vec<Split>) -> Result<(), SourceError> {
        let mut list = TopicPartitionList::new();
        for split in splits {
            let mut reading = Reading::new(split, self.parts);
            if reading.stop.is_none_or(|stop| reading.next < stop) {
                let from = Offset::Offset(reading.next);
                list.add_partition_offset(&reading.id.topic, reading.id.partition, from)
                    .expect("a partition takes any offset");
                reading.assigned = true;
            }
            self.splits.push(reading);
        }
        if list.count() > 0 {
            self.consumer.incremental_assign(&list).map_err(|e| self.failed("", e))?;
        }
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, SourceError> {
        let mut polled = Polled::default();
        let mut error = None;
        let mut current = usize::MAX;
        let mut any = false;
        let Self { queue, splits, .. } = self;
        queue.consume(max, wait, |message| {
            any = true;
            // Runs of one partition are long.
            if current == usize::MAX || !splits[current].is(message) {
                current = find(splits, message).unwrap_or(usize::MAX);
            }
            match (message.error(), splits.get_mut(current)) {
                (None, Some(split)) => split.take(message),
                (None, None) => {}
                (Some(RDKafkaErrorCode::PartitionEOF), Some(split)) => {
                    // Everything before is read, markers of transactions included.
                    split.next = split.next.max(message.offset());
                }
                (Some(code), split) => {
                    let id = split.map(|s| s.id.clone());
                    error.get_or_insert((code, message.error_text(), id, message.offset()));
                }
            }
        });
        if let Some((code, text, id, offset)) = error {
            self.judge(code, text, id, offset)?;
        }
        if any {
            self.last_news = Instant::now();
            self.silent_since = None;
        } else {
            self.check_silence()?;
        }
        for split in &mut self.splits {
            if !split.batch.is_empty() {
                let (topic, partition) = (Arc::clone(&split.id.topic), split.id.partition);
                let mut next = MessagesBuilder::new(topic, partition, self.parts);
                next.reserve(split.batch.len(), split.batch.size());
                let batch = std::mem::replace(&mut split.batch, next);
                polled.data.push((split.id.clone(), Data::Messages(batch.finish())));
            }
        }
        self.finish(&mut polled)?;
        Ok(polled)
    }
}

impl KafkaReader {
    /// Decides which errors of a partition stop the job; librdkafka goes on by
    /// itself after the others.
    fn judge(
        &self,
        code: RDKafkaErrorCode,
        text: String,
        id: Option<SplitId>,
        offset: i64,
    ) -> Result<(), SourceError> {
        let topic = id.as_ref().map(|id| id.topic.to_string()).unwrap_or_default();
        match code {
            RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::AutoOffsetReset => {
                let partition = id.as_ref().map_or(-1, |id| id.partition);
                let reached = self.splits.iter().find(|s| Some(&s.id) == id.as_ref());
                let offset = reached.map_or(offset, |split| split.next);
                let bounds =
                    self.consumer.fetch_watermarks(&topic, partition, Duration::from_secs(5));
                let (low, high) = bounds.unwrap_or((-1, -1));
                Err(SourceError::OffsetLost { topic, partition, offset, low, high })
            }
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition => {
                Err(SourceError::TopicMissing { topic, brokers: self.brokers.clone() })
            }
            RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::Fatal => Err(self.failed(&topic, text)),
            _ => {
                tracing::warn!("kafka: {code}: {text}");
                Ok(())
            }
        }
    }
}
