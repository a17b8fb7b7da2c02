//! Messages held in memory, in place of topics: what golden cases run on.
//!
//! They come in an [`Order`]: partitions by turns that a seed decides, so that
//! a case can be run in many orders and must give the same rows, or arranged
//! step by step, with pauses in which time passes.

mod arrival;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::{
    Data, OpenRequest, OpenSource, Polled, Source, SourceError, Split, SplitId, SplitReader,
};
use crate::formats::{Header, MessageParts, Messages, MessagesBuilder};
pub use arrival::{Arrival, Step};

/// One message of a replayed partition; its offset is its index.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Message {
    pub payload: Option<Vec<u8>>,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<Header>,
    pub timestamp_ms: i64,
}

/// A topic's messages by partition.
pub type Partitions = BTreeMap<i32, Vec<Message>>;

/// Topics by name.
pub type Topics = BTreeMap<Arc<str>, Arc<Partitions>>;

/// In what order messages come. Those of one partition always come in theirs.
#[derive(Debug, Clone)]
pub enum Order {
    /// Partitions take turns that this seed decides.
    Mixed(u64),
    /// The same, and when so many messages have come, something happens.
    Interrupted {
        seed: u64,
        interruption: Arc<Interruption>,
    },
    Arranged(Arc<Arrival>),
}

/// What happens when so many messages have come.
pub struct Interruption {
    left: AtomicI64,
    then: Box<dyn Fn() + Send + Sync>,
}

impl Interruption {
    pub fn after(messages: i64, then: impl Fn() + Send + Sync + 'static) -> Self {
        Self { left: AtomicI64::new(messages), then: Box::new(then) }
    }

    fn came(&self, messages: usize) {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        if self.left.fetch_sub(messages, Ordering::SeqCst) <= messages {
            (self.then)();
        }
    }
}

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interruption({:?})", self.left)
    }
}

/// The order of the next run, which all topics of a case share; none while the
/// case is only planned.
#[derive(Debug, Default)]
pub struct NextOrder(Mutex<Option<Order>>);

impl NextOrder {
    pub fn set(&self, order: Order) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(order);
    }

    fn get(&self) -> Option<Order> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// How long a reader with nothing to give waits. Commands come in between, and
/// a case should not wait for them.
const IDLE: Duration = Duration::from_micros(200);

#[derive(Debug, Clone)]
pub struct Replay {
    topics: Topics,
    order: Arc<NextOrder>,
    plans_as_bounded: bool,
}

impl Replay {
    /// Stands in for a source that is bounded or not: a query must be planned
    /// as it is when it runs, although what is replayed always ends.
    pub fn new(topics: Topics, order: Arc<NextOrder>, plans_as_bounded: bool) -> Self {
        Self { topics, order, plans_as_bounded }
    }
}

impl Source for Replay {
    fn is_bounded(&self) -> bool {
        self.plans_as_bounded || self.order.get().is_some()
    }

    fn describe(&self) -> Vec<(&'static str, String)> {
        let names: Vec<&str> = self.topics.keys().map(AsRef::as_ref).collect();
        vec![("topic", names.join(";"))]
    }

    fn open(&self, request: &OpenRequest) -> Result<Box<dyn OpenSource>, SourceError> {
        let order = self.order.get().unwrap_or(Order::Mixed(0));
        let scan = match &order {
            Order::Mixed(_) | Order::Interrupted { .. } => 0,
            Order::Arranged(arrival) => arrival.join(),
        };
        let topics = self.topics.clone();
        let (parts, request) = (request.parts, Some(request.clone()));
        Ok(Box::new(OpenReplay { topics, order, scan, parts, request }))
    }
}

struct OpenReplay {
    topics: Topics,
    order: Order,
    /// Which of those that read by one [`Arrival`].
    scan: usize,
    parts: MessageParts,
    /// `None` once the splits have been found.
    request: Option<OpenRequest>,
}

impl OpenReplay {
    fn splits(&self) -> Vec<Split> {
        let all = self.topics.iter().flat_map(|(topic, partitions)| {
            partitions.iter().map(move |(partition, messages)| Split {
                id: SplitId { topic: Arc::clone(topic), partition: *partition },
                start: 0,
                stop: Some(i64::try_from(messages.len()).expect("a case fits in memory")),
                topic_id: None,
            })
        });
        all.collect()
    }
}

impl OpenSource for OpenReplay {
    fn discover(&mut self) -> Result<Vec<Split>, SourceError> {
        let request = self.request.take();
        let first = request.is_some();
        let splits = request.map(|request| request.gone_on_with(self.splits()));
        let mut splits = splits.unwrap_or_default();
        if let Order::Arranged(arrival) = &self.order {
            if first {
                splits.iter().for_each(|split| arrival.expect(self.scan, &split.id));
                splits.push(Split {
                    id: arrival.waker(),
                    start: 0,
                    stop: Some(0),
                    topic_id: None,
                });
            } else {
                arrival.round(self.scan);
            }
        }
        Ok(splits)
    }

    fn discovery_interval(&self) -> Option<Duration> {
        match &self.order {
            Order::Mixed(_) | Order::Interrupted { .. } => None,
            // Asked again whenever the engine has seen to its news: an arrival
            // goes on when what came before has been taken in.
            Order::Arranged(_) => Some(Duration::ZERO),
        }
    }

    fn reader(&mut self, splits: Vec<Split>) -> Result<Box<dyn SplitReader>, SourceError> {
        let (seed, interruption, arrival) = match &self.order {
            Order::Mixed(seed) => (*seed, None, None),
            Order::Interrupted { seed, interruption } => {
                (*seed, Some(Arc::clone(interruption)), None)
            }
            Order::Arranged(arrival) => (0, None, Some(Arc::clone(arrival))),
        };
        let mut reader = ReplayReader {
            topics: self.topics.clone(),
            parts: self.parts,
            turns: StdRng::seed_from_u64(seed),
            open: Vec::new(),
            scan: self.scan,
            interruption,
            arrival,
            waker: None,
            under_way: None,
            finished: Vec::new(),
        };
        reader.add(splits)?;
        Ok(Box::new(reader))
    }
}

struct ReplayReader {
    topics: Topics,
    parts: MessageParts,
    turns: StdRng,
    open: Vec<Split>,
    scan: usize,
    interruption: Option<Arc<Interruption>>,
    arrival: Option<Arc<Arrival>>,
    /// A split without messages, finished from the beginning, in whose name the
    /// engine can be woken.
    waker: Option<SplitId>,
    /// Arranged messages that were given and may not have been told of yet: a
    /// worker tells before it polls again.
    under_way: Option<(SplitId, usize)>,
    /// Ended, and not told yet.
    finished: Vec<SplitId>,
}

impl SplitReader for ReplayReader {
    fn add(&mut self, splits: Vec<Split>) -> Result<(), SourceError> {
        for split in splits {
            if self.arrival.as_ref().is_some_and(|arrival| split.id == arrival.waker()) {
                self.finished.push(split.id.clone());
                self.waker = Some(split.id);
            } else {
                self.open.push(split);
            }
        }
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, SourceError> {
        if !self.finished.is_empty() {
            return Ok(Polled { data: vec![], finished: std::mem::take(&mut self.finished) });
        }
        match self.arrival.clone() {
            Some(arrival) if !arrival.is_over() => Ok(self.poll_arranged(&arrival, max)),
            _ if self.open.is_empty() => {
                std::thread::park_timeout(wait.min(IDLE));
                Ok(Polled::default())
            }
            _ => {
                let at = self.turns.random_range(0..self.open.len());
                Ok(self.take(at, max))
            }
        }
    }
}

impl ReplayReader {
    /// Up to `max` messages of the split at `at`, which may end with them.
    fn take(&mut self, at: usize, max: usize) -> Polled {
        let id = self.open[at].id.clone();
        let messages = self.messages(at, max);
        if let Some(interruption) = &self.interruption {
            interruption.came(messages.len());
        }
        let all = self.topics[&id.topic][&id.partition].len();
        let mut finished = Vec::new();
        if usize::try_from(self.open[at].start).expect("offsets start at 0") == all {
            self.open.remove(at);
            finished.push(id.clone());
        }
        let data =
            if messages.is_empty() { vec![] } else { vec![(id, Data::Messages(messages))] };
        Polled { data, finished }
    }

    /// What the arrival lets come now. No split ends before all has arrived: a
    /// partition that is quiet has not ended.
    fn poll_arranged(&mut self, arrival: &Arrival, max: usize) -> Polled {
        if let Some((split, count)) = self.under_way.take() {
            arrival.came(self.scan, &split, count);
        }
        for at in 0..self.open.len() {
            let id = self.open[at].id.clone();
            let free = arrival.free(&id, self.open[at].start).min(max);
            if free > 0 {
                let messages = self.messages(at, free);
                self.under_way = Some((id.clone(), messages.len()));
                return Polled { data: vec![(id, Data::Messages(messages))], finished: vec![] };
            }
        }
        arrival.go_on();
        std::thread::park_timeout(IDLE);
        let wake = self.waker.iter().map(|waker| {
            let nothing = MessagesBuilder::new(Arc::clone(&waker.topic), 0, self.parts);
            (waker.clone(), Data::Messages(nothing.finish()))
        });
        Polled { data: wake.collect(), finished: vec![] }
    }

    /// Takes up to `max` messages of the split at `at`.
    fn messages(&mut self, at: usize, max: usize) -> Messages {
        let split = &mut self.open[at];
        let id = &split.id;
        let all = &self.topics[&id.topic][&id.partition];
        let from = usize::try_from(split.start).expect("offsets start at 0");
        let until = all.len().min(from.saturating_add(max));
        let mut builder = MessagesBuilder::new(Arc::clone(&id.topic), id.partition, self.parts);
        for (offset, message) in (split.start..).zip(&all[from..until]) {
            let (payload, key) = (message.payload.as_deref(), message.key.as_deref());
            let headers = || message.headers.clone();
            builder.push(offset, message.timestamp_ms, payload, key, headers);
        }
        split.start = i64::try_from(until).expect("a case fits in memory");
        builder.finish()
    }
}
