//! The transaction coordinator: who may write under a transactional id, what
//! its open transaction covers, and how it ends.
//!
//! Pure: it decides, and [`State`](super::state::State) writes the markers.
//! Since a transaction ends in one step under one lock, no client ever sees
//! one half ended.
//!
//! Invariant: of one transactional id, only the latest epoch may write.

use std::collections::{BTreeMap, BTreeSet};

use super::error_code::ErrorCode;
use super::groups::Offsets;

/// Kafka's `transaction.max.timeout.ms`.
const MAX_TIMEOUT_MS: i32 = 900_000;

#[derive(Debug, Default)]
pub(super) struct Transactions {
    by_id: BTreeMap<String, Transactional>,
    /// The transactional id of each producer id.
    owners: BTreeMap<i64, String>,
    next_producer_id: i64,
}

#[derive(Debug)]
struct Transactional {
    producer_id: i64,
    epoch: i16,
    /// The epoch of a producer whose transaction timed out: it was fenced, but
    /// may ask for the next epoch instead of giving up.
    timed_out_epoch: Option<i16>,
    timeout_ms: i64,
    ongoing: Option<Ongoing>,
    /// How the latest transaction ended, so that a repeated request succeeds.
    last_committed: Option<bool>,
}

#[derive(Debug)]
struct Ongoing {
    started_ms: i64,
    partitions: BTreeSet<(String, i32)>,
    offsets: BTreeMap<String, Offsets>,
}

/// A transaction that has ended and whose markers are to be written.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub producer: (i64, i16),
    pub committed: bool,
    pub partitions: BTreeSet<(String, i32)>,
    /// Offsets to commit, by group. Those of an aborted transaction are gone.
    pub offsets: BTreeMap<String, Offsets>,
}

/// Whoever calls under a transactional id.
#[derive(Debug, Clone, Copy)]
pub(super) struct Caller<'a> {
    pub transactional_id: &'a str,
    pub producer_id: i64,
    pub epoch: i16,
}

impl Transactions {
    /// A producer id without a transactional id: idempotence alone.
    pub fn new_producer_id(&mut self) -> i64 {
        self.next_producer_id += 1;
        self.next_producer_id
    }

    /// Gives the next epoch to a transactional id, which fences every older
    /// one and aborts what it left open. With `expected`, the caller claims to
    /// be that producer and is fenced if another has come since.
    pub fn init(
        &mut self,
        id: &str,
        timeout_ms: i32,
        expected: Option<(i64, i16)>,
    ) -> Result<((i64, i16), Option<Ended>), ErrorCode> {
        if !(1..=MAX_TIMEOUT_MS).contains(&timeout_ms) {
            return Err(ErrorCode::InvalidTransactionTimeout);
        }
        let timeout_ms = i64::from(timeout_ms);
        let Some(known) = self.by_id.get_mut(id) else {
            return Ok((self.register(id, timeout_ms), None));
        };
        if expected.is_some_and(|producer| !known.is(producer)) {
            return Err(ErrorCode::ProducerFenced);
        }
        known.timeout_ms = timeout_ms;
        let ended = known.advance_epoch();
        known.timed_out_epoch = None;
        let producer = (known.producer_id, known.epoch);
        if known.epoch < i16::MAX {
            return Ok((producer, ended));
        }
        Ok((self.register(id, timeout_ms), ended))
    }

    fn register(&mut self, id: &str, timeout_ms: i64) -> (i64, i16) {
        let producer_id = self.new_producer_id();
        let fresh = Transactional {
            producer_id,
            epoch: 0,
            timed_out_epoch: None,
            timeout_ms,
            ongoing: None,
            last_committed: None,
        };
        self.by_id.insert(id.to_owned(), fresh);
        self.owners.insert(producer_id, id.to_owned());
        (producer_id, 0)
    }

    /// The transactional id's state, if the caller is its latest producer.
    fn latest(&mut self, caller: Caller<'_>) -> Result<&mut Transactional, ErrorCode> {
        let known = self.by_id.get_mut(caller.transactional_id);
        let known = known.filter(|known| known.producer_id == caller.producer_id);
        let known = known.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        if known.epoch == caller.epoch { Ok(known) } else { Err(ErrorCode::ProducerFenced) }
    }

    pub fn may_call(&mut self, caller: Caller<'_>) -> Result<(), ErrorCode> {
        self.latest(caller).map(drop)
    }

    /// Opens a transaction if none is open, and adds partitions to it.
    pub fn add_partitions(
        &mut self,
        caller: Caller<'_>,
        partitions: impl IntoIterator<Item = (String, i32)>,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        self.latest(caller)?.opened(now_ms).partitions.extend(partitions);
        Ok(())
    }

    /// Opens a transaction if none is open, and adds a group's offsets to it.
    pub fn add_group(
        &mut self,
        caller: Caller<'_>,
        group: &str,
        now_ms: i64,
    ) -> Result<(), ErrorCode> {
        self.latest(caller)?.opened(now_ms).offsets.entry(group.to_owned()).or_default();
        Ok(())
    }

    /// Keeps offsets until the transaction commits.
    pub fn stage_offsets(
        &mut self,
        caller: Caller<'_>,
        group: &str,
        offsets: Offsets,
    ) -> Result<(), ErrorCode> {
        let ongoing = self.latest(caller)?.ongoing.as_mut();
        let staged = ongoing.and_then(|ongoing| ongoing.offsets.get_mut(group));
        staged.ok_or(ErrorCode::InvalidTxnState)?.extend(offsets);
        Ok(())
    }

    /// Ends the open transaction; `None` if it had ended this way already.
    pub fn end(
        &mut self,
        caller: Caller<'_>,
        committed: bool,
    ) -> Result<Option<Ended>, ErrorCode> {
        let known = self.latest(caller)?;
        match known.end(committed) {
            None if known.last_committed != Some(committed) => Err(ErrorCode::InvalidTxnState),
            ended => Ok(ended),
        }
    }

    /// Says whether a transactional batch may be appended to a partition.
    pub fn may_append(
        &self,
        producer: (i64, i16),
        topic: &str,
        partition: i32,
    ) -> Result<(), ErrorCode> {
        let (producer_id, epoch) = producer;
        let owner = self.owners.get(&producer_id);
        let known = owner.and_then(|id| self.by_id.get(id));
        let known = known.ok_or(ErrorCode::InvalidProducerIdMapping)?;
        if (known.producer_id, known.epoch) != (producer_id, epoch) {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        let place = (topic.to_owned(), partition);
        let ongoing = known.ongoing.as_ref();
        if ongoing.is_some_and(|ongoing| ongoing.partitions.contains(&place)) {
            Ok(())
        } else {
            Err(ErrorCode::InvalidTxnState)
        }
    }

    pub fn any_expired(&self, now_ms: i64) -> bool {
        self.by_id.values().any(|known| known.has_expired(now_ms))
    }

    /// Aborts the transactions that have been open for longer than their
    /// producers asked for, and fences these producers.
    pub fn expire(&mut self, now_ms: i64) -> Vec<Ended> {
        let expired = |known: &&mut Transactional| known.has_expired(now_ms);
        self.by_id.values_mut().filter(expired).filter_map(Transactional::time_out).collect()
    }
}

impl Transactional {
    fn is(&self, (producer_id, epoch): (i64, i16)) -> bool {
        let may = epoch == self.epoch || Some(epoch) == self.timed_out_epoch;
        self.producer_id == producer_id && may
    }

    fn opened(&mut self, now_ms: i64) -> &mut Ongoing {
        self.ongoing.get_or_insert_with(|| Ongoing {
            started_ms: now_ms,
            partitions: BTreeSet::new(),
            offsets: BTreeMap::new(),
        })
    }

    fn end(&mut self, committed: bool) -> Option<Ended> {
        let Ongoing { partitions, offsets, .. } = self.ongoing.take()?;
        self.last_committed = Some(committed);
        let offsets = if committed { offsets } else { BTreeMap::new() };
        Some(Ended { producer: (self.producer_id, self.epoch), committed, partitions, offsets })
    }

    /// Fences the present epoch. The markers of what it left open carry the
    /// next one, which tells the partitions too.
    fn advance_epoch(&mut self) -> Option<Ended> {
        self.epoch = self.epoch.saturating_add(1);
        let ended = self.end(false);
        self.last_committed = None;
        ended
    }

    fn has_expired(&self, now_ms: i64) -> bool {
        let started_ms = self.ongoing.as_ref().map(|ongoing| ongoing.started_ms);
        started_ms.is_some_and(|started_ms| now_ms - started_ms > self.timeout_ms)
    }

    fn time_out(&mut self) -> Option<Ended> {
        self.timed_out_epoch = Some(self.epoch);
        self.advance_epoch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(epoch: i16) -> Caller<'static> {
        Caller { transactional_id: "t", producer_id: 1, epoch }
    }

    fn place() -> (String, i32) {
        ("bids".to_owned(), 0)
    }

    fn with_open_transaction() -> Transactions {
        let mut transactions = Transactions::default();
        assert_eq!(transactions.init("t", 1000, None), Ok(((1, 0), None)));
        transactions.add_partitions(caller(0), [place()], 0).unwrap();
        transactions
    }

    #[test]
    fn a_second_producer_aborts_and_fences_the_first() {
        let mut transactions = with_open_transaction();
        let (producer, ended) = transactions.init("t", 1000, None).unwrap();
        let ended = ended.unwrap();
        assert_eq!(producer, (1, 1));
        assert_eq!((ended.producer, ended.committed), ((1, 1), false));
        assert_eq!(ended.partitions, BTreeSet::from([place()]));
        assert_eq!(transactions.end(caller(0), true), Err(ErrorCode::ProducerFenced));
        let append = transactions.may_append((1, 0), "bids", 0);
        assert_eq!(append, Err(ErrorCode::InvalidProducerEpoch));
        let again = transactions.init("t", 1000, Some((1, 0)));
        assert_eq!(again, Err(ErrorCode::ProducerFenced));
    }

    #[test]
    fn an_end_may_be_repeated_but_not_reversed() {
        let mut transactions = with_open_transaction();
        assert!(transactions.end(caller(0), true).unwrap().is_some());
        assert_eq!(transactions.end(caller(0), true), Ok(None));
        assert_eq!(transactions.end(caller(0), false), Err(ErrorCode::InvalidTxnState));
    }

    #[test]
    fn only_partitions_of_the_open_transaction_take_its_batches() {
        let mut transactions = with_open_transaction();
        assert_eq!(transactions.may_append((1, 0), "bids", 0), Ok(()));
        let other = transactions.may_append((1, 0), "bids", 1);
        assert_eq!(other, Err(ErrorCode::InvalidTxnState));
        transactions.end(caller(0), false).unwrap();
        let late = transactions.may_append((1, 0), "bids", 0);
        assert_eq!(late, Err(ErrorCode::InvalidTxnState));
    }

    #[test]
    fn a_transaction_times_out_and_its_producer_may_go_on() {
        let mut transactions = with_open_transaction();
        assert_eq!(transactions.expire(1000), []);
        assert_eq!(transactions.expire(1001).len(), 1);
        assert_eq!(transactions.expire(5000), []);
        assert_eq!(transactions.end(caller(0), true), Err(ErrorCode::ProducerFenced));
        let (producer, _) = transactions.init("t", 1000, Some((1, 0))).unwrap();
        assert_eq!(producer, (1, 2));
    }

    #[test]
    fn epochs_run_out_into_a_new_producer_id() {
        let mut transactions = with_open_transaction();
        transactions.by_id.get_mut("t").unwrap().epoch = i16::MAX - 1;
        let (producer, ended) = transactions.init("t", 1000, None).unwrap();
        assert_eq!(producer, (2, 0));
        assert_eq!(ended.unwrap().producer, (1, i16::MAX));
        let old = transactions.may_append((1, i16::MAX), "bids", 0);
        assert_eq!(old, Err(ErrorCode::InvalidProducerEpoch));
    }

    #[test]
    fn aborted_offsets_are_gone() {
        let mut transactions = with_open_transaction();
        let early = transactions.stage_offsets(caller(0), "g", Offsets::new());
        assert_eq!(early, Err(ErrorCode::InvalidTxnState));
        transactions.add_group(caller(0), "g", 0).unwrap();
        transactions.stage_offsets(caller(0), "g", Offsets::new()).unwrap();
        let ended = transactions.end(caller(0), false).unwrap().unwrap();
        assert!(ended.offsets.is_empty());
    }
}
