//! Reads a worker's partitions: batches from the queue, sorted by partition,
//! up to each one's stop.
//!
//! A partition has ended when its position is at its stop or past it. The
//! offsets before the stop may be transaction markers, aborted or compacted
//! away, so the position is known from the next message, or from the end of
//! the partition, which bounded clients are told of.
//!
//! Invariant: of a partition, offsets only rise, and none is at its stop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;

use super::Patience;
use super::batch_queue::{BatchQueue, Taken};
use super::context::{Client, Context, serve_events};
use super::discovery::ends;
use crate::formats::{MessageParts, MessagesBuilder};
use crate::kafka_client::is_denial;
use crate::sources::{Data, OnDataLoss, Polled, SourceError, Split, SplitId, SplitReader};

/// The most bytes of one poll, give or take one call's messages.
const MOST_BYTES: usize = 64 << 20;
/// How long an answer may take when a silence is looked into.
const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

pub struct KafkaReader {
    queue: BatchQueue<Context>,
    sorter: Sorter,
    brokers: String,
    patience: Patience,
    on_data_loss: OnDataLoss,
    /// Ended, and not told yet.
    finished: Vec<SplitId>,
}

/// Puts messages where they belong.
struct Sorter {
    parts: MessageParts,
    splits: Vec<Reading>,
    /// By topic key and partition.
    places: HashMap<(usize, i32), usize>,
    /// Where the last message belonged: runs of one partition are long.
    last: Option<((usize, i32), usize)>,
    bytes: usize,
    ended: Vec<usize>,
    failure: Option<Failure>,
}

/// A partition that is being read.
struct Reading {
    id: SplitId,
    /// No message before it is wanted any more.
    next: i64,
    stop: Option<i64>,
    done: bool,
    builder: Option<MessagesBuilder>,
    /// Messages and bytes of the last batch, to make room for the next.
    last_size: (usize, usize),
}

/// What librdkafka reported of a partition.
struct Failure {
    split: Option<usize>,
    code: RDKafkaErrorCode,
    reason: String,
}

impl KafkaReader {
    pub fn new(
        client: Client,
        parts: MessageParts,
        brokers: &str,
        patience: Patience,
        on_data_loss: OnDataLoss,
    ) -> Self {
        Self {
            queue: BatchQueue::new(client),
            sorter: Sorter {
                parts,
                splits: Vec::new(),
                places: HashMap::new(),
                last: None,
                bytes: 0,
                ended: Vec::new(),
                failure: None,
            },
            brokers: brokers.to_owned(),
            patience,
            on_data_loss,
            finished: Vec::new(),
        }
    }

    fn check_connections(&self, messages: usize) -> Result<(), SourceError> {
        let client = self.queue.client();
        let context = client.context();
        if let Some(reason) = context.denial() {
            return Err(SourceError::Denied { brokers: self.brokers.clone(), reason });
        }
        if messages > 0 {
            context.alive();
        }
        if context.failing_for().is_none_or(|failing| failing < self.patience.outage) {
            return Ok(());
        }
        // The topic may be quiet and the brokers long back.
        let topic = self.sorter.splits.first().map(|split| &*split.id.topic);
        match client.fetch_metadata(topic, SIGN_OF_LIFE) {
            Ok(_) => context.alive(),
            Err(error) => {
                let reason = context.last_failure().unwrap_or_else(|| error.to_string());
                let seconds = self.patience.outage.as_secs();
                let reason = format!("no broker has answered for {seconds} s: {reason}");
                return Err(self.read_error(topic.unwrap_or_default(), reason));
            }
        }
        Ok(())
    }

    fn read_error(&self, topic: &str, reason: String) -> SourceError {
        SourceError::Read { topic: topic.to_owned(), brokers: self.brokers.clone(), reason }
    }

    fn explain(&self, failure: Failure) -> SourceError {
        let split = failure.split.map(|at| &self.sorter.splits[at]);
        let topic = split.map(|s| s.id.topic.to_string()).unwrap_or_default();
        match (failure.code, split) {
            (
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
                Some(split),
            ) => self.lost(split),
            (
                RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownPartition,
                Some(_),
            ) => {
                let brokers = self.brokers.clone();
                SourceError::TopicMissing { topic, brokers, near: None }
            }
            (code, _) if is_denial(code) => {
                let brokers = self.brokers.clone();
                SourceError::Denied { brokers, reason: failure.reason }
            }
            _ => self.read_error(&topic, failure.reason),
        }
    }

    fn lost(&self, split: &Reading) -> SourceError {
        let SplitId { topic, partition } = &split.id;
        let held = ends(self.queue.client(), &split.id, SIGN_OF_LIFE);
        match held {
            Ok((low, high)) => SourceError::OffsetLost {
                topic: topic.to_string(),
                partition: *partition,
                offset: split.next,
                low,
                high,
            },
            Err(error) => {
                let lost = format!("offset {} of partition {partition} is lost", split.next);
                self.read_error(topic, format!("{lost} ({error})"))
            }
        }
    }

    /// Goes on behind what is lost, if it is told to.
    fn pass_over(&mut self, failure: Failure) -> Result<(), SourceError> {
        let at = failure.split;
        let error = self.explain(failure);
        let (SourceError::OffsetLost { offset, low, high, .. }, Some(at)) = (&error, at) else {
            return Err(error);
        };
        let Some(next) = self.on_data_loss.next(*low, *high) else { return Err(error) };
        let split = &mut self.sorter.splits[at];
        let (topic, partition) = (Arc::clone(&split.id.topic), split.id.partition);
        tracing::warn!(%topic, partition, offset, low, high, next, "messages are lost");
        split.next = next;
        self.queue.stop(&topic, partition);
        let started = self.queue.start(&topic, partition, next);
        started.map_err(|reason| self.read_error(&topic, reason))
    }

    /// Stops fetching what has ended.
    fn settle(&mut self) {
        for at in self.sorter.ended.drain(..) {
            let id = &self.sorter.splits[at].id;
            self.queue.stop(&id.topic, id.partition);
            self.finished.push(id.clone());
        }
    }
}

impl SplitReader for KafkaReader {
    fn add(&mut self, splits: Vec<Split>) -> Result<(), SourceError> {
        for Split { id, start, stop, .. } in splits {
            if stop.is_some_and(|stop| start >= stop) {
                self.finished.push(id);
                continue;
            }
            self.queue
                .start(&id.topic, id.partition, start)
                .map_err(|reason| self.read_error(&id.topic, reason))?;
            self.sorter.splits.push(Reading {
                id,
                next: start,
                stop,
                done: false,
                builder: None,
                last_size: (0, 0),
            });
        }
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, SourceError> {
        let mut wait = if self.finished.is_empty() { wait } else { Duration::ZERO };
        let mut messages = 0;
        self.sorter.bytes = 0;
        while messages < max && self.sorter.bytes < MOST_BYTES {
            let sorter = &mut self.sorter;
            let taken = self.queue.take(max - messages, wait, |message| sorter.see(&message));
            if taken == 0 {
                break;
            }
            messages += taken;
            wait = Duration::ZERO;
        }
        serve_events(self.queue.client());
        if let Some(failure) = self.sorter.failure.take() {
            self.pass_over(failure)?;
        }
        self.check_connections(messages)?;
        self.settle();
        Ok(Polled { data: self.sorter.batches(), finished: std::mem::take(&mut self.finished) })
    }
}

impl Sorter {
    fn see(&mut self, message: &Taken<'_>) {
        let place = self.place(message);
        if let Some(code) = message.event() {
            self.event(place, code, message);
            return;
        }
        let Some(at) = place else { return };
        let split = &mut self.splits[at];
        let offset = message.offset();
        if split.done || offset < split.next {
            return;
        }
        if split.stop.is_none_or(|stop| offset < stop) {
            let (parts, payload) = (self.parts, message.payload());
            self.bytes += payload.map_or(0, <[u8]>::len);
            split.take(parts, offset, payload, message);
        }
        self.reached(at, offset + 1);
    }

    fn event(&mut self, place: Option<usize>, code: RDKafkaErrorCode, message: &Taken<'_>) {
        if place.is_some_and(|at| self.splits[at].done) {
            return;
        }
        match (code, place) {
            (RDKafkaErrorCode::PartitionEOF, Some(at)) => self.reached(at, message.offset()),
            (RDKafkaErrorCode::PartitionEOF, None) => {}
            _ => {
                let reason = message.event_text();
                self.failure.get_or_insert(Failure { split: place, code, reason });
            }
        }
    }

    /// Nothing before `next` is to come any more.
    fn reached(&mut self, at: usize, next: i64) {
        let split = &mut self.splits[at];
        split.next = split.next.max(next);
        if !split.done && split.stop.is_some_and(|stop| split.next >= stop) {
            split.done = true;
            self.ended.push(at);
        }
    }

    fn place(&mut self, message: &Taken<'_>) -> Option<usize> {
        let key = (message.topic_key(), message.partition());
        if let Some((last, at)) = self.last
            && last == key
        {
            return Some(at);
        }
        let at = match self.places.get(&key) {
            Some(at) => *at,
            None => {
                let topic = message.topic();
                let same = |s: &Reading| s.id.partition == key.1 && &*s.id.topic == topic;
                let at = self.splits.iter().position(same)?;
                self.places.insert(key, at);
                at
            }
        };
        self.last = Some((key, at));
        Some(at)
    }

    fn batches(&mut self) -> Vec<(SplitId, Data)> {
        let each = self.splits.iter_mut().filter_map(|split| {
            let messages = split.builder.take()?;
            split.last_size = (messages.len(), messages.size());
            Some((split.id.clone(), Data::Messages(messages.finish())))
        });
        each.collect()
    }
}

impl Reading {
    fn take(
        &mut self,
        parts: MessageParts,
        offset: i64,
        payload: Option<&[u8]>,
        message: &Taken<'_>,
    ) {
        let (id, last_size) = (&self.id, self.last_size);
        let builder = self.builder.get_or_insert_with(|| {
            let mut builder = MessagesBuilder::new(Arc::clone(&id.topic), id.partition, parts);
            builder.reserve(last_size.0, last_size.1);
            builder
        });
        let (timestamp, stamp) = message.timestamp();
        builder.stamp(stamp);
        builder.push(offset, timestamp, payload, message.key(), || message.headers());
    }
}
