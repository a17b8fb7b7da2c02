//! Messages held in memory, in place of a topic: what golden cases run on.
//!
//! Partitions are delivered in a fixed interleaving that a seed decides, so
//! that a case can be run in many orders and must give the same rows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{
    Data, OpenRequest, OpenSource, Polled, Source, SourceError, Split, SplitId, SplitReader,
};
use crate::formats::{MessageParts, Messages, MessagesBuilder};

/// One message of a replayed partition; its offset is its index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub payload: Option<Vec<u8>>,
    pub key: Option<Vec<u8>>,
    pub timestamp_ms: i64,
}

/// A topic's messages by partition.
pub type Partitions = BTreeMap<i32, Vec<Message>>;

#[derive(Debug, Clone)]
pub struct Replay {
    topic: Arc<str>,
    partitions: Arc<Partitions>,
    /// Decides which partition comes next.
    seed: u64,
}

impl Replay {
    pub fn new(topic: &str, partitions: Arc<Partitions>, seed: u64) -> Self {
        Self { topic: topic.into(), partitions, seed }
    }
}

impl Source for Replay {
    fn is_bounded(&self) -> bool {
        true
    }

    fn describe(&self) -> Vec<(&'static str, String)> {
        vec![("topic", self.topic.to_string())]
    }

    fn open(&self, request: &OpenRequest) -> Result<Box<dyn OpenSource>, SourceError> {
        Ok(Box::new(OpenReplay { replay: self.clone(), parts: request.parts, told: false }))
    }
}

struct OpenReplay {
    replay: Replay,
    parts: MessageParts,
    told: bool,
}

impl OpenSource for OpenReplay {
    fn discover(&mut self) -> Result<Vec<Split>, SourceError> {
        if std::mem::replace(&mut self.told, true) {
            return Ok(Vec::new());
        }
        let split = |(partition, messages): (&i32, &Vec<Message>)| Split {
            id: SplitId { topic: Arc::clone(&self.replay.topic), partition: *partition },
            start: 0,
            stop: Some(i64::try_from(messages.len()).expect("a case fits in memory")),
        };
        Ok(self.replay.partitions.iter().map(split).collect())
    }

    fn discovery_interval(&self) -> Option<Duration> {
        None
    }

    fn reader(&mut self, splits: Vec<Split>) -> Result<Box<dyn SplitReader>, SourceError> {
        let mut reader = ReplayReader {
            partitions: Arc::clone(&self.replay.partitions),
            parts: self.parts,
            order: StdRng::seed_from_u64(self.replay.seed),
            open: Vec::new(),
        };
        reader.add(splits)?;
        Ok(Box::new(reader))
    }
}

struct ReplayReader {
    partitions: Arc<Partitions>,
    parts: MessageParts,
    order: StdRng,
    open: Vec<Split>,
}

impl SplitReader for ReplayReader {
    fn add(&mut self, splits: Vec<Split>) -> Result<(), SourceError> {
        self.open.extend(splits);
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, SourceError> {
        if self.open.is_empty() {
            std::thread::park_timeout(wait);
            return Ok(Polled::default());
        }
        let at = self.order.random_range(0..self.open.len());
        let split = &mut self.open[at];
        let all = &self.partitions[&split.id.partition];
        let from = usize::try_from(split.start).expect("offsets start at 0");
        let until = all.len().min(from + max);
        split.start = i64::try_from(until).expect("offsets of memory fit");
        let messages = self.messages(at, from, until);
        let split = &self.open[at];
        let id = split.id.clone();
        let finished = if until == all.len() {
            self.open.remove(at);
            vec![id.clone()]
        } else {
            Vec::new()
        };
        let data =
            if messages.is_empty() { vec![] } else { vec![(id, Data::Messages(messages))] };
        Ok(Polled { data, finished })
    }
}

impl ReplayReader {
    fn messages(&self, at: usize, from: usize, until: usize) -> Messages {
        let id = &self.open[at].id;
        let mut builder = MessagesBuilder::new(Arc::clone(&id.topic), id.partition, self.parts);
        for (offset, message) in
            (0i64..).zip(&self.partitions[&id.partition]).skip(from).take(until - from)
        {
            let (payload, key) = (message.payload.as_deref(), message.key.as_deref());
            builder.push(offset, message.timestamp_ms, payload, key, Vec::new);
        }
        builder.finish()
    }
}
