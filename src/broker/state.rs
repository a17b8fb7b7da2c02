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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::groups::{Committed, Offsets};

    fn place() -> (String, i32) {
        ("bids".to_owned(), 0)
    }

    /// A topic of one partition, and a producer with a record in it.
    fn with_open_transaction(now_ms: i64) -> State {
        let mut state = State::default();
        state.topics.create("bids", 1, None).unwrap();
        let (producer_id, epoch) = state.init_transactional("t", 1000, None, now_ms).unwrap();
        let caller = Caller { transactional_id: "t", producer_id, epoch };
        state.transactions.add_partitions(caller, [place()], now_ms).unwrap();
        let batch = Batch::of_producer((producer_id, epoch), 0, 1, true);
        state.append("bids", 0, batch).unwrap();
        state
    }

    fn last_stable(state: &State) -> i64 {
        state.topics.log("bids", 0).unwrap().last_stable()
    }

    #[test]
    fn a_transaction_that_times_out_stops_holding_readers_back() {
        let mut state = with_open_transaction(5000);
        state.expire_transactions(6000);
        assert_eq!(last_stable(&state), 0);
        state.expire_transactions(6001);
        assert_eq!(last_stable(&state), 2);
        let late = Batch::of_producer((1, 0), 1, 1, true);
        assert_eq!(state.append("bids", 0, late), Err(ErrorCode::InvalidProducerEpoch));
    }

    #[test]
    fn a_topic_deleted_and_made_anew_starts_afresh() {
        let mut state = with_open_transaction(0);
        let committed = Committed { offset: 1, leader_epoch: 0, metadata: None };
        state.groups.commit("g", Offsets::from([(place(), committed)]));
        state.delete_topic("bids").unwrap();
        state.topics.create("bids", 1, None).unwrap();
        assert_eq!(state.groups.committed("g", "bids", 0), None);
        // The transaction that knew the old topic still ends.
        state.init_transactional("t", 1000, None, 1).unwrap();
        assert_eq!(last_stable(&state), state.topics.log("bids", 0).unwrap().end());
    }
}
