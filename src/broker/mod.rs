//! An in-memory Kafka broker for the demo and the tests.
//!
//! It speaks the real protocol to real clients on the loopback interface, and
//! keeps nothing: when it is dropped, its topics are gone.
//!
//! ```text
//! server        listener, a thread per connection
//! connection    frames in, frames out
//! wire/         Kafka's primitive types
//! api           which requests, in which versions
//! handlers/     one function per request
//! shared        the lock, and the signal fetches wait for
//! state         everything the broker knows
//!   topics      topics and their partitions
//!   log         one partition: offsets, batches, aborted transactions
//!     batch     record batches: checked, built, searched by time
//!     producers sequence numbers of idempotent producers
//!   transactions  who may write under a transactional id
//!   groups      committed offsets
//! faults        misbehaviour on order
//! ```
//!
//! Deliberately absent: group membership (consumers assign partitions
//! themselves), replication, authentication, topic ids, fetch sessions,
//! compaction, retention by time, creation of topics by asking for them,
//! quotas, log append time, and message formats before magic 2. Batches are
//! never decompressed, so a search by time in a compressed batch ends at that
//! batch's first record.

mod api;
mod batch;
mod connection;
mod error_code;
mod faults;
mod groups;
mod handlers;
mod log;
mod producers;
mod server;
mod shared;
mod state;
#[cfg(test)]
mod tests;
mod topics;
mod transactions;

use std::io;
use std::sync::Arc;

use thiserror::Error;

pub use api::Api;
pub use batch::Record;
pub use error_code::ErrorCode;
pub use faults::Faults;

use batch::Batch;
use log::Log;
use server::Server;
use shared::Shared;

/// What to tell whoever starts an embedded broker.
pub const KEEPS_NOTHING: &str = "The embedded broker keeps everything in memory and listens on \
     127.0.0.1 only: topics, messages and committed offsets are gone when this process ends.";

const HOST: &str = "127.0.0.1";
const NODE_ID: i32 = 1;
/// The leader never changes.
const LEADER_EPOCH: i32 = 0;

/// Why a call on the broker itself had no effect.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BrokerError {
    #[error("topic `{topic}`: {code}")]
    Topic { topic: String, code: ErrorCode },
    #[error("partition {partition} of topic `{topic}`: {code}")]
    Partition { topic: String, partition: i32, code: ErrorCode },
}

/// A running broker. Dropping it closes its port and its connections.
#[derive(Debug)]
pub struct EmbeddedBroker {
    shared: Arc<Shared>,
    server: Server,
}

impl EmbeddedBroker {
    /// Starts a broker on any free port of the loopback interface.
    pub fn start() -> io::Result<Self> {
        Self::start_on(0)
    }

    /// Starts a broker on this port of the loopback interface.
    pub fn start_on(port: u16) -> io::Result<Self> {
        let (server, shared) = Server::start(port)?;
        Ok(Self { shared, server })
    }

    /// The value for a client's `bootstrap.servers`.
    pub fn address(&self) -> String {
        format!("{HOST}:{}", self.shared.port)
    }

    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), BrokerError> {
        self.on_topic(name, |state| state.topics.create(name, partitions, None))
    }

    /// Makes a topic whose partitions each drop their oldest batches when they
    /// outgrow `retention_bytes`, so that a long demo stays within its memory.
    pub fn create_topic_with_retention(
        &self,
        name: &str,
        partitions: i32,
        retention_bytes: u64,
    ) -> Result<(), BrokerError> {
        let retention_bytes = Some(retention_bytes);
        self.on_topic(name, |state| state.topics.create(name, partitions, retention_bytes))
    }

    /// Widens a topic to `total` partitions.
    pub fn add_partitions(&self, name: &str, total: i32) -> Result<(), BrokerError> {
        self.on_topic(name, |state| state.topics.widen(name, total))
    }

    pub fn delete_topic(&self, name: &str) -> Result<(), BrokerError> {
        self.on_topic(name, |state| state.delete_topic(name))
    }

    /// Appends records as one uncompressed batch and gives the first offset.
    /// Without records nothing is written.
    pub fn append(
        &self,
        topic: &str,
        partition: i32,
        records: &[Record],
    ) -> Result<i64, BrokerError> {
        if records.is_empty() {
            return self.end_offset(topic, partition);
        }
        let batch = Batch::of_records(records);
        let appended = self.shared.change(|state| state.append(topic, partition, batch));
        appended.map_err(|code| partition_error(topic, partition, code))
    }

    /// Moves the start of a partition's log, as retention does: records below
    /// `new_start_offset` are lost.
    pub fn truncate(
        &self,
        topic: &str,
        partition: i32,
        new_start_offset: i64,
    ) -> Result<(), BrokerError> {
        let truncated = self
            .shared
            .change(|state| state.topics.log_mut(topic, partition)?.truncate(new_start_offset));
        truncated.map_err(|code| partition_error(topic, partition, code))
    }

    /// The offset of the oldest record there is.
    pub fn start_offset(&self, topic: &str, partition: i32) -> Result<i64, BrokerError> {
        self.of_log(topic, partition, Log::start)
    }

    /// The offset the next record will have.
    pub fn end_offset(&self, topic: &str, partition: i32) -> Result<i64, BrokerError> {
        self.of_log(topic, partition, Log::end)
    }

    /// The offset a group has committed: the next one it would read.
    pub fn committed_offset(&self, group: &str, topic: &str, partition: i32) -> Option<i64> {
        self.shared.read(|state| {
            let committed = state.groups.committed(group, topic, partition)?;
            Some(committed.offset)
        })
    }

    /// The handle to make this broker misbehave.
    pub fn faults(&self) -> Faults {
        self.shared.faults.clone()
    }

    /// Closes every open connection, at once. Clients may come back.
    pub fn cut_connections(&self) {
        self.server.cut_connections();
    }

    fn on_topic(
        &self,
        topic: &str,
        step: impl FnOnce(&mut state::State) -> Result<(), ErrorCode>,
    ) -> Result<(), BrokerError> {
        let outcome = self.shared.change(step);
        outcome.map_err(|code| BrokerError::Topic { topic: topic.to_owned(), code })
    }

    fn of_log(
        &self,
        topic: &str,
        partition: i32,
        look: impl FnOnce(&Log) -> i64,
    ) -> Result<i64, BrokerError> {
        let found = self.shared.read(|state| state.topics.log(topic, partition).map(look));
        found.map_err(|code| partition_error(topic, partition, code))
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.server.stop();
    }
}

fn partition_error(topic: &str, partition: i32, code: ErrorCode) -> BrokerError {
    BrokerError::Partition { topic: topic.to_owned(), partition, code }
}
