//! The loop: ask each leader for all of its partitions, make messages of the
//! answer, ask again before they are worked on.
//!
//! One request is on its way to a broker while the messages of the one before
//! are decoded; what has been answered waits in the socket. Nothing here waits
//! but [`poll`](NativeReader::poll), for as long as it may.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::buffer::Buffer;
use crossbeam_channel::{RecvTimeoutError, TryRecvError};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::FetchRequest;
use rustix::event::PollFd;

use super::batches::{self, Wanted};
use super::codecs::Codecs;
use super::connection::{Connection, Fault, wait_for};
use super::fetch::{self, Ask, Fetched};
use super::routes::{self, Finding, Node, Routes};
use super::settings::Settings;
use crate::formats::{MessageParts, Messages};
use crate::sources::kafka::Patience;
use crate::sources::{Data, OnDataLoss, Polled, SourceError, Split, SplitId, SplitReader};

/// Between two attempts, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// A batch that is damaged on the way is fetched so often.
const FETCHES_OF_DAMAGED: u32 = 3;

/// Where a log begins and ends, asked by other means.
pub type Ends = Box<dyn Fn(&SplitId) -> Result<(i64, i64), String> + Send>;

pub struct NativeReader {
    settings: Arc<Settings>,
    parts: MessageParts,
    brokers: String,
    patience: Patience,
    on_data_loss: OnDataLoss,
    ends: Ends,
    splits: Vec<Reading>,
    leaders: BTreeMap<Node, Leader>,
    finding: Option<Finding>,
    looking: Backoff,
    outage: Option<Outage>,
    codecs: Codecs,
    /// Of splits, by their place.
    ready: VecDeque<(usize, Messages)>,
    /// Ended, and not told yet.
    finished: Vec<SplitId>,
}

/// A partition that is being read.
struct Reading {
    id: SplitId,
    /// The next offset to fetch.
    next: i64,
    stop: Option<i64>,
    leader: Option<Node>,
    leader_epoch: Option<i32>,
    read_epoch: Option<i32>,
    /// How often the next batch has been found damaged.
    damaged: u32,
    /// Since when no broker answers for it, and what is said instead.
    refused: Option<(Instant, ResponseError)>,
    /// All has been fetched; messages may still be ready.
    is_done: bool,
}

struct Leader {
    connection: Connection,
    version: i16,
    is_asked: bool,
    not_before: Option<Instant>,
}

/// Since when no broker has answered, and the last reason.
struct Outage {
    since: Instant,
    reason: String,
}

/// When to look for leaders again.
#[derive(Default)]
struct Backoff {
    pause: Duration,
    not_before: Option<Instant>,
}

impl Backoff {
    fn more(&mut self) {
        self.pause = (self.pause * 2).clamp(PAUSE.0, PAUSE.1);
        self.not_before = Some(Instant::now() + self.pause);
    }

    fn rests(&self) -> bool {
        self.not_before.is_some_and(|at| Instant::now() < at)
    }
}

impl NativeReader {
    pub fn new(
        settings: Arc<Settings>,
        parts: MessageParts,
        brokers: &str,
        patience: Patience,
        on_data_loss: OnDataLoss,
        ends: Ends,
    ) -> Self {
        Self {
            settings,
            parts,
            brokers: brokers.to_owned(),
            patience,
            on_data_loss,
            ends,
            splits: Vec::new(),
            leaders: BTreeMap::new(),
            finding: None,
            looking: Backoff::default(),
            outage: None,
            codecs: Codecs::default(),
            ready: VecDeque::new(),
            finished: Vec::new(),
        }
    }

    /// Begins to look for leaders, if any is missing and it is time.
    fn find_leaders(&mut self) {
        if self.finding.is_some() || self.looking.rests() {
            return;
        }
        let lost = self.splits.iter().filter(|split| !split.is_done && split.leader.is_none());
        let wanted: Vec<SplitId> = lost.map(|split| split.id.clone()).collect();
        if !wanted.is_empty() {
            let connected = self.leaders.keys().copied().collect();
            self.finding = Some(routes::find(&self.settings, wanted, connected));
        }
    }

    fn take_routes(&mut self, found: Result<Routes, Fault>) -> Result<(), SourceError> {
        self.finding = None;
        let routes = match found {
            Ok(routes) => routes,
            Err(Fault::Denied(reason)) => return Err(self.denied(reason)),
            Err(fault) => {
                self.looking.more();
                self.trouble(fault.to_string());
                return Ok(());
            }
        };
        if routes.is_complete() {
            self.looking = Backoff::default();
        } else {
            self.looking.more();
        }
        for (node, connection) in routes.connections {
            let version = match connection.version::<FetchRequest>(fetch::NEWEST) {
                Ok(version) => version,
                Err(fault) => {
                    self.trouble(fault.to_string());
                    continue;
                }
            };
            let leader = Leader { connection, version, is_asked: false, not_before: None };
            self.leaders.insert(node, leader);
        }
        for (id, (node, epoch)) in routes.leaders {
            if let Some(split) = self.splits.iter_mut().find(|split| split.id == id)
                && self.leaders.contains_key(&node)
            {
                (split.leader, split.leader_epoch) = (Some(node), epoch);
            }
        }
        for (node, fault) in routes.unreachable {
            self.trouble(format!("broker {node}: {fault}"));
        }
        for (id, error) in routes.trouble {
            if let Some(at) = self.splits.iter().position(|split| split.id == id) {
                self.refuse(at, error)?;
            }
        }
        Ok(())
    }

    fn trouble(&mut self, reason: String) {
        tracing::debug!(reason, "trouble with brokers");
        let since = self.outage.as_ref().map_or_else(Instant::now, |outage| outage.since);
        self.outage = Some(Outage { since, reason });
    }

    /// Asks every leader that is not asked yet.
    fn ask(&mut self) {
        let now = Instant::now();
        let mut lost = Vec::new();
        for (node, leader) in &mut self.leaders {
            if leader.connection.renew_at.is_some_and(|at| at <= now) && !leader.is_asked {
                lost.push((*node, None));
                continue;
            }
            if leader.is_asked || leader.not_before.is_some_and(|at| now < at) {
                continue;
            }
            let own = self.splits.iter().filter(|s| s.leader == Some(*node) && !s.is_done);
            let asks: Vec<Ask> = own.map(Reading::ask).collect();
            if asks.is_empty() {
                continue;
            }
            let request = fetch::request(&self.settings, &asks, leader.version);
            match leader.connection.send(&request, leader.version) {
                Ok(()) => leader.is_asked = true,
                Err(fault) => lost.push((*node, Some(fault))),
            }
        }
        for (node, fault) in lost {
            self.lose(node, fault);
        }
    }

    /// Gives a connection up; its partitions look for their leaders anew.
    fn lose(&mut self, node: Node, fault: Option<Fault>) {
        self.leaders.remove(&node);
        for split in self.splits.iter_mut().filter(|split| split.leader == Some(node)) {
            split.leader = None;
        }
        if let Some(fault) = fault {
            self.trouble(format!("broker {node}: {fault}"));
        }
    }

    /// Takes what has been answered, waiting at most `wait` for something.
    fn receive(&mut self, wait: Duration) -> Result<(), SourceError> {
        if !self.take_answers()? && !wait.is_zero() && self.ready.is_empty() {
            self.wait(wait)?;
            self.take_answers()?;
        }
        Ok(())
    }

    fn wait(&mut self, wait: Duration) -> Result<(), SourceError> {
        let asked: Vec<PollFd<'_>> = self
            .leaders
            .values()
            .filter(|leader| leader.is_asked)
            .map(|leader| leader.connection.readable())
            .collect();
        if !asked.is_empty() {
            return wait_for(&asked, wait).map_err(|e| self.read_error("", e.to_string()));
        }
        drop(asked);
        let Some(finding) = &self.finding else {
            std::thread::sleep(wait);
            return Ok(());
        };
        match finding.recv_timeout(wait) {
            Ok(found) => {
                self.take_routes(found)?;
                self.ask();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => self.finding = None,
        }
        Ok(())
    }

    /// True if an answer was whole.
    fn take_answers(&mut self) -> Result<bool, SourceError> {
        let nodes: Vec<Node> = self.leaders.keys().copied().collect();
        let mut any = false;
        for node in nodes {
            let leader = self.leaders.get_mut(&node).expect("it was just there");
            if !leader.is_asked {
                continue;
            }
            match leader.connection.receive() {
                Ok(None) => {}
                Ok(Some(frame)) => {
                    leader.is_asked = false;
                    any = true;
                    self.answered(node, frame)?;
                }
                Err(fault) => self.lose(node, Some(fault)),
            }
        }
        if any {
            self.ask();
        }
        Ok(any)
    }

    fn answered(&mut self, node: Node, frame: Vec<u8>) -> Result<(), SourceError> {
        let leader = self.leaders.get_mut(&node).expect("it has answered");
        let answer = match fetch::answer(&frame, leader.version) {
            Ok(answer) => answer,
            Err(malformed) => {
                self.lose(node, Some(Fault::Protocol(malformed.to_string())));
                return Ok(());
            }
        };
        if answer.throttle_ms > 0 {
            leader.not_before =
                Some(Instant::now() + Duration::from_millis(answer.throttle_ms));
        }
        if let Some(error) = ResponseError::try_from_code(answer.error) {
            self.lose(node, Some(Fault::Protocol(error.to_string())));
            return Ok(());
        }
        self.outage = None;
        let frame = Buffer::from_vec(frame);
        for fetched in answer.partitions {
            self.fetched(&frame, &fetched)?;
        }
        Ok(())
    }

    fn fetched(&mut self, frame: &Buffer, fetched: &Fetched) -> Result<(), SourceError> {
        let same =
            |s: &Reading| s.id.partition == fetched.partition && s.id.topic == fetched.topic;
        let Some(at) = self.splits.iter().position(same) else { return Ok(()) };
        if fetched.is_truncated {
            return self.pass_over(at, true);
        }
        if let Some(error) = ResponseError::try_from_code(fetched.error) {
            return self.refuse(at, error);
        }
        let split = &mut self.splits[at];
        split.refused = None;
        if split.is_done || fetched.records.is_empty() {
            return Ok(());
        }
        let wanted = Wanted {
            topic: &split.id.topic,
            partition: split.id.partition,
            parts: self.parts,
            from: split.next,
            until: split.stop,
        };
        let records = fetched.records.clone();
        match batches::read(&wanted, frame, records, &fetched.aborted, &mut self.codecs) {
            Ok(read) => {
                split.next = read.next;
                split.read_epoch = read.leader_epoch.or(split.read_epoch);
                split.damaged = 0;
                split.is_done = split.stop.is_some_and(|stop| split.next >= stop);
                self.ready.extend(read.messages.into_iter().map(|messages| (at, messages)));
                Ok(())
            }
            Err(corrupt) => {
                split.damaged += 1;
                if split.damaged < FETCHES_OF_DAMAGED {
                    tracing::warn!(%corrupt, topic = &*split.id.topic, "fetched again");
                    return Ok(());
                }
                let topic = Arc::clone(&split.id.topic);
                let reason = format!("partition {}: {corrupt}", split.id.partition);
                Err(self.read_error(&topic, reason))
            }
        }
    }

    /// What a broker says instead of answering for a partition.
    fn refuse(&mut self, at: usize, error: ResponseError) -> Result<(), SourceError> {
        if error == ResponseError::OffsetOutOfRange {
            return self.pass_over(at, false);
        }
        let split = &mut self.splits[at];
        if !error.is_retriable() {
            let id = split.id.clone();
            return Err(self.refused(&id, error));
        }
        // Another may lead it by now.
        split.leader = None;
        let since = split.refused.map_or_else(Instant::now, |(since, _)| since);
        split.refused = Some((since, error));
        Ok(())
    }

    /// Goes on behind what is lost, if it is told to.
    fn pass_over(&mut self, at: usize, is_truncated: bool) -> Result<(), SourceError> {
        let id = self.splits[at].id.clone();
        let offset = self.splits[at].next;
        let (topic, partition) = (id.topic.to_string(), id.partition);
        let (low, high) = match (self.ends)(&id) {
            Ok(ends) => ends,
            Err(reason) => {
                let lost = format!("offset {offset} of partition {partition} is lost");
                return Err(self.read_error(&topic, format!("{lost} ({reason})")));
            }
        };
        let error = match is_truncated {
            true => SourceError::LogTruncated { topic, partition, offset, high },
            false => SourceError::OffsetLost { topic, partition, offset, low, high },
        };
        let Some(next) = self.on_data_loss.next(low, high) else { return Err(error) };
        tracing::warn!(%error, next, "messages are lost");
        let split = &mut self.splits[at];
        (split.next, split.read_epoch) = (next, None);
        split.is_done = split.stop.is_some_and(|stop| next >= stop);
        Ok(())
    }

    fn refused(&self, id: &SplitId, error: ResponseError) -> SourceError {
        let topic = id.topic.to_string();
        match error {
            ResponseError::TopicAuthorizationFailed
            | ResponseError::ClusterAuthorizationFailed
            | ResponseError::GroupAuthorizationFailed => {
                self.denied(format!("{error} (topic `{topic}`)"))
            }
            error => self.read_error(&topic, format!("partition {}: {error}", id.partition)),
        }
    }

    fn denied(&self, reason: String) -> SourceError {
        SourceError::Denied { brokers: self.brokers.clone(), reason }
    }

    fn read_error(&self, topic: &str, reason: String) -> SourceError {
        SourceError::Read { topic: topic.to_owned(), brokers: self.brokers.clone(), reason }
    }

    /// What has not worked for too long.
    fn check_patience(&self) -> Result<(), SourceError> {
        let is_over = |since: Instant| since.elapsed() >= self.patience.outage;
        let seconds = self.patience.outage.as_secs();
        if let Some(outage) = self.outage.as_ref().filter(|outage| is_over(outage.since)) {
            let topic = self.splits.first().map(|split| split.id.topic.to_string());
            let reason = format!("no broker has answered for {seconds} s: {}", outage.reason);
            return Err(self.read_error(&topic.unwrap_or_default(), reason));
        }
        for split in &self.splits {
            let Some((_, error)) = split.refused.filter(|(since, _)| is_over(*since)) else {
                continue;
            };
            let topic = split.id.topic.to_string();
            if error == ResponseError::UnknownTopicOrPartition {
                let brokers = self.brokers.clone();
                return Err(SourceError::TopicMissing { topic, brokers, near: None });
            }
            let partition = split.id.partition;
            let reason = format!("partition {partition} for {seconds} s: {error}");
            return Err(self.read_error(&topic, reason));
        }
        Ok(())
    }

    /// Takes from what is ready: of each split one stretch, `max` messages in all.
    fn hand_on(&mut self, max: usize) -> Polled {
        let mut data: Vec<(SplitId, Data)> = Vec::new();
        let mut left = max;
        while left > 0
            && let Some((at, mut messages)) = self.ready.pop_front()
        {
            let id = &self.splits[at].id;
            if data.iter().any(|(other, _)| other == id) {
                self.ready.push_front((at, messages));
                break;
            }
            if messages.len() > left {
                let rest = messages.split_off(left);
                self.ready.push_front((at, rest));
            }
            left -= messages.len();
            data.push((id.clone(), Data::Messages(messages)));
        }
        Polled { data, finished: self.finish() }
    }

    /// Splits of which nothing more is to come.
    fn finish(&mut self) -> Vec<SplitId> {
        let mut finished = std::mem::take(&mut self.finished);
        if self.ready.is_empty() {
            let done = self.splits.extract_if(.., |split| split.is_done);
            finished.extend(done.map(|split| split.id));
        }
        finished
    }
}

impl Reading {
    fn ask(&self) -> Ask {
        Ask {
            topic: Arc::clone(&self.id.topic),
            partition: self.id.partition,
            offset: self.next,
            leader_epoch: self.leader_epoch,
            read_epoch: self.read_epoch,
        }
    }
}

impl SplitReader for NativeReader {
    fn add(&mut self, splits: Vec<Split>) -> Result<(), SourceError> {
        for Split { id, start, stop, .. } in splits {
            if stop.is_some_and(|stop| start >= stop) {
                self.finished.push(id);
                continue;
            }
            self.splits.push(Reading {
                id,
                next: start,
                stop,
                leader: None,
                leader_epoch: None,
                read_epoch: None,
                damaged: 0,
                refused: None,
                is_done: false,
            });
        }
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, SourceError> {
        match self.finding.as_ref().map(|finding| finding.try_recv()) {
            Some(Ok(found)) => self.take_routes(found)?,
            Some(Err(TryRecvError::Disconnected)) => self.finding = None,
            Some(Err(TryRecvError::Empty)) | None => {}
        }
        self.find_leaders();
        // What is ready comes first: the next answer can wait where it is.
        if self.ready.is_empty() {
            self.ask();
            let wait = if self.finished.is_empty() { wait } else { Duration::ZERO };
            self.receive(wait)?;
        }
        self.check_patience()?;
        Ok(self.hand_on(max))
    }
}
