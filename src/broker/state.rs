//! Everything the broker knows, and the steps that touch more than one part
//! of it. One lock guards it all, so each step is atomic.

use super::batch::Batch;
use super::error_code::ErrorCode;
use super::groups::Groups;
use super::topics::Topics;
use super::transactions::{Caller, Ended, Transactions};

#[derive(Debug, Default)]
pub(super) struct State {
    pub topics: Topics,
    pub transactions: Transactions,
    pub groups: Groups,
    /// The broker is shutting down: nobody waits any longer.
    pub closed: bool,
}

impl State {
    /// Appends what a client sent and gives the first offset.
    pub fn append(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Batch,
    ) -> Result<i64, ErrorCode> {
        let log = self.topics.log_mut(topic, partition)?;
        let header = batch.header;
        if header.is_transactional() {
            let producer = (header.producer_id, header.producer_epoch);
            self.transactions.may_append(producer, topic, partition)?;
        }
        let base_offset = log.append(batch)?;
        self.topics.enforce_retention(topic, partition);
        Ok(base_offset)
    }

    pub fn init_transactional(
        &mut self,
        id: &str,
        timeout_ms: i32,
        expected: Option<(i64, i16)>,
        now_ms: i64,
    ) -> Result<(i64, i16), ErrorCode> {
        let (producer, ended) = self.transactions.init(id, timeout_ms, expected)?;
        self.write_markers(ended, now_ms);
        Ok(producer)
    }

    pub fn end_transaction(
        &mut self,
        caller: Caller<'_>,
        committed: bool,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        let ended = self.transactions.end(caller, committed)?;
        self.write_markers(ended, now_ms);
        Ok(())
    }

    pub fn expire_transactions(&mut self, now_ms: i64) {
        let ended = self.transactions.expire(now_ms);
        self.write_markers(ended, now_ms);
    }

    fn write_markers(&mut self, ended: impl IntoIterator<Item = Ended>, now_ms: i64) {
        for Ended { producer, committed, partitions, offsets } in ended {
            for (topic, partition) in partitions {
                // A topic deleted meanwhile has nothing to end.
                if let Ok(log) = self.topics.log_mut(&topic, partition) {
                    log.end_transaction(producer, committed, now_ms);
                }
            }
            for (group, offsets) in offsets {
                self.groups.commit(&group, offsets);
            }
        }
    }

    pub fn delete_topic(&mut self, name: &str) -> Result<(), ErrorCode> {
        self.topics.delete(name)?;
        self.groups.forget_topic(name);
        Ok(())
    }
}
