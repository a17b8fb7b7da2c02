//! The log of one partition: batches in offset order, and what readers of
//! committed records need to know about transactions.
//!
//! Offsets: `start <= last stable offset <= end`. The end is also the high
//! watermark, since there are no replicas. The last stable offset is the first
//! offset of the oldest open transaction, or the end.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::batch::{Batch, NO_PRODUCER, Stored};
use super::error_code::ErrorCode;
use super::producers::{Producers, Verdict};

#[derive(Debug, Default)]
pub(super) struct Log {
    batches: VecDeque<Stored>,
    start: i64,
    end: i64,
    size_bytes: u64,
    producers: Producers,
    /// First offset of each open transaction, by producer id.
    open: BTreeMap<i64, i64>,
    aborted: Vec<Aborted>,
}

/// A transaction whose records readers of committed records leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aborted {
    pub producer_id: i64,
    pub first_offset: i64,
    /// The offset of its marker.
    last_offset: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    ReadUncommitted,
    ReadCommitted,
}

impl Isolation {
    pub fn from_wire(level: i8) -> Self {
        if level == 1 { Self::ReadCommitted } else { Self::ReadUncommitted }
    }
}

/// What one fetch takes from a partition.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub batches: Vec<Bytes>,
    pub size_bytes: usize,
    pub aborted: Vec<Aborted>,
}

impl Log {
    pub fn start(&self) -> i64 {
        self.start
    }

    pub fn end(&self) -> i64 {
        self.end
    }

    pub fn last_stable(&self) -> i64 {
        self.open.values().copied().min().unwrap_or(self.end).max(self.start)
    }

    /// Where readers of this isolation level have to stop.
    pub fn readable_end(&self, isolation: Isolation) -> i64 {
        match isolation {
            Isolation::ReadUncommitted => self.end,
            Isolation::ReadCommitted => self.last_stable(),
        }
    }

    /// Appends a batch and gives its first offset; a batch that is in the log
    /// already is not written again.
    pub fn append(&mut self, batch: Batch) -> Result<i64, ErrorCode> {
        let header = batch.header;
        if header.producer_id != NO_PRODUCER {
            if let Verdict::Duplicate(base_offset) = self.producers.judge(&header)? {
                return Ok(base_offset);
            }
            self.producers.appended(&header, self.end);
        }
        if header.is_transactional() {
            self.open.entry(header.producer_id).or_insert(self.end);
        }
        Ok(self.push(batch))
    }

    /// Ends a producer's transaction here with a marker.
    pub fn end_transaction(
        &mut self,
        producer: (i64, i16),
        committed: bool,
        timestamp_ms: i64,
    ) {
        let (producer_id, epoch) = producer;
        self.producers.fence(producer_id, epoch);
        let last_offset = self.push(Batch::marker(producer, committed, timestamp_ms));
        if let Some(first_offset) = self.open.remove(&producer_id)
            && !committed
        {
            self.aborted.push(Aborted { producer_id, first_offset, last_offset });
        }
    }

    fn push(&mut self, batch: Batch) -> i64 {
        let stored = batch.at_offset(self.end);
        let base_offset = stored.base_offset;
        self.end = stored.last_offset() + 1;
        self.size_bytes += stored.bytes.len() as u64;
        self.batches.push_back(stored);
        base_offset
    }

    /// Takes whole batches from the one that holds `from` on. They stay below
    /// `max_bytes`, except that with `even_if_large` the first one is always
    /// taken, so that a reader with a small limit gets ahead.
    pub fn take(
        &self,
        from: i64,
        isolation: Isolation,
        max_bytes: usize,
        even_if_large: bool,
    ) -> Result<Taken, ErrorCode> {
        if !(self.start..=self.end).contains(&from) {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        let stop = self.readable_end(isolation);
        let first = self.batches.partition_point(|batch| batch.last_offset() < from);
        let mut taken = Taken::default();
        let mut upto = from;
        for batch in self.batches.range(first..).take_while(|batch| batch.base_offset < stop) {
            let size_bytes = taken.size_bytes + batch.bytes.len();
            let exempt = even_if_large && taken.batches.is_empty();
            if size_bytes > max_bytes && !exempt {
                break;
            }
            taken.batches.push(batch.bytes.clone());
            taken.size_bytes = size_bytes;
            upto = batch.last_offset() + 1;
        }
        if isolation == Isolation::ReadCommitted {
            taken.aborted = self.aborted_within(from, upto);
        }
        Ok(taken)
    }

    fn aborted_within(&self, from: i64, upto: i64) -> Vec<Aborted> {
        let overlaps = |each: &&Aborted| each.last_offset >= from && each.first_offset < upto;
        self.aborted.iter().filter(overlaps).copied().collect()
    }

    /// Offset and timestamp of the first record not older than `timestamp_ms`.
    pub fn find_time(&self, timestamp_ms: i64, isolation: Isolation) -> Option<(i64, i64)> {
        let stop = self.readable_end(isolation);
        self.batches
            .iter()
            .find_map(|batch| batch.first_at_or_after(timestamp_ms))
            .map(|(offset, timestamp)| (offset.max(self.start), timestamp))
            .filter(|(offset, _)| *offset < stop)
    }

    /// Moves the start of the log up to `offset`; batches wholly below it go.
    pub fn truncate(&mut self, offset: i64) -> Result<(), ErrorCode> {
        if offset > self.end || offset < 0 {
            return Err(ErrorCode::OffsetOutOfRange);
        }
        self.start = self.start.max(offset);
        while self.batches.front().is_some_and(|batch| batch.last_offset() < self.start) {
            self.drop_oldest();
        }
        let start = self.start;
        self.aborted.retain(|each| each.last_offset >= start);
        Ok(())
    }

    /// Drops the oldest batches until the log is no larger than `max_bytes`.
    /// The newest one stays.
    pub fn retain_bytes(&mut self, max_bytes: u64) {
        while self.size_bytes > max_bytes && self.batches.len() > 1 {
            self.drop_oldest();
        }
        let oldest = self.batches.front().map_or(self.end, |batch| batch.base_offset);
        self.start = self.start.max(oldest);
        let start = self.start;
        self.aborted.retain(|each| each.last_offset >= start);
    }

    fn drop_oldest(&mut self) {
        if let Some(batch) = self.batches.pop_front() {
            self.size_bytes -= batch.bytes.len() as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::batch::Record;

    const ALL: usize = usize::MAX;

    fn plain(count: usize) -> Batch {
        Batch::of_records(&vec![Record::default(); count])
    }

    fn in_transaction(producer_id: i64, sequence: i32) -> Batch {
        Batch::of_producer((producer_id, 0), sequence, 1, true)
    }

    fn base_offsets(taken: &Taken) -> Vec<i64> {
        let base = |bytes: &Bytes| i64::from_be_bytes(bytes[..8].try_into().unwrap());
        taken.batches.iter().map(base).collect()
    }

    fn take(log: &Log, from: i64, isolation: Isolation) -> Taken {
        log.take(from, isolation, ALL, true).unwrap()
    }

    #[test]
    fn a_fetch_starts_with_the_batch_that_holds_its_offset() {
        let mut log = Log::default();
        for _ in 0..3 {
            log.append(plain(10)).unwrap();
        }
        assert_eq!(log.end(), 30);
        assert_eq!(base_offsets(&take(&log, 19, Isolation::ReadUncommitted)), [10, 20]);
        assert!(take(&log, 30, Isolation::ReadUncommitted).batches.is_empty());
        let beyond = log.take(31, Isolation::ReadUncommitted, ALL, true);
        assert_eq!(beyond.err(), Some(ErrorCode::OffsetOutOfRange));
    }

    #[test]
    fn a_limit_never_stops_the_first_batch_alone() {
        let mut log = Log::default();
        log.append(plain(1)).unwrap();
        log.append(plain(1)).unwrap();
        let read = |exempt| log.take(0, Isolation::ReadUncommitted, 1, exempt).unwrap();
        assert_eq!(base_offsets(&read(true)), [0]);
        assert!(read(false).batches.is_empty());
    }

    #[test]
    fn truncation_moves_the_start_and_drops_whole_batches() {
        let mut log = Log::default();
        log.append(plain(10)).unwrap();
        log.append(plain(10)).unwrap();
        log.truncate(15).unwrap();
        assert_eq!(log.start(), 15);
        assert_eq!(base_offsets(&take(&log, 15, Isolation::ReadUncommitted)), [10]);
        let lost = log.take(14, Isolation::ReadUncommitted, ALL, true);
        assert_eq!(lost.err(), Some(ErrorCode::OffsetOutOfRange));
        assert_eq!(log.truncate(21), Err(ErrorCode::OffsetOutOfRange));
    }

    #[test]
    fn readers_of_committed_records_stop_at_the_oldest_open_transaction() {
        let mut log = Log::default();
        log.append(plain(1)).unwrap();
        log.append(in_transaction(1, 0)).unwrap();
        log.append(in_transaction(2, 0)).unwrap();
        assert_eq!(log.last_stable(), 1);
        assert_eq!(base_offsets(&take(&log, 0, Isolation::ReadCommitted)), [0]);
        log.end_transaction((1, 0), false, 0);
        assert_eq!(log.last_stable(), 2);
        log.end_transaction((2, 0), true, 0);
        assert_eq!(log.last_stable(), 5);
    }

    #[test]
    fn a_fetch_names_the_aborted_transactions_it_overlaps() {
        let mut log = Log::default();
        log.append(in_transaction(1, 0)).unwrap();
        log.end_transaction((1, 0), false, 0);
        log.append(in_transaction(1, 1)).unwrap();
        log.end_transaction((1, 0), true, 0);
        let aborted = Aborted { producer_id: 1, first_offset: 0, last_offset: 1 };
        assert_eq!(take(&log, 0, Isolation::ReadCommitted).aborted, [aborted]);
        assert_eq!(take(&log, 1, Isolation::ReadCommitted).aborted, [aborted]);
        assert_eq!(take(&log, 2, Isolation::ReadCommitted).aborted, []);
        assert_eq!(take(&log, 0, Isolation::ReadUncommitted).aborted, []);
    }

    #[test]
    fn retention_keeps_the_newest_batch() {
        let mut log = Log::default();
        log.append(plain(3)).unwrap();
        log.append(plain(3)).unwrap();
        log.retain_bytes(1);
        assert_eq!((log.start(), log.end()), (3, 6));
    }
}
