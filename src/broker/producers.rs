//! Which sequence numbers a partition takes from idempotent producers.
//!
//! Per producer the last five batches are remembered, as many as a client may
//! have in flight, so that a retry of any of them is recognised and answered
//! with its first offset instead of being written twice.

use std::collections::{HashMap, VecDeque};

use super::batch::Header;
use super::error_code::ErrorCode;

/// `max.in.flight.requests.per.connection` of an idempotent producer.
const REMEMBERED_BATCHES: usize = 5;

#[derive(Debug, Default)]
pub(super) struct Producers(HashMap<i64, Producer>);

#[derive(Debug)]
struct Producer {
    epoch: i16,
    recent: VecDeque<Sequences>,
}

#[derive(Debug, Clone, Copy)]
struct Sequences {
    first: i32,
    last: i32,
    base_offset: i64,
}

/// What to do with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Append,
    /// It is in the log already, from this offset on.
    Duplicate(i64),
}

impl Producers {
    pub fn judge(&self, header: &Header) -> Result<Verdict, ErrorCode> {
        let Some(producer) = self.0.get(&header.producer_id) else {
            // Nothing is known of it, as after a truncation: any sequence will do.
            return Ok(Verdict::Append);
        };
        if header.producer_epoch < producer.epoch {
            return Err(ErrorCode::InvalidProducerEpoch);
        }
        let (first, last) = sequences(header);
        let same_epoch = header.producer_epoch == producer.epoch;
        let known =
            producer.recent.iter().find(|batch| (batch.first, batch.last) == (first, last));
        if let (true, Some(known)) = (same_epoch, known) {
            return Ok(Verdict::Duplicate(known.base_offset));
        }
        let previous = producer.recent.back().filter(|_| same_epoch);
        if first == previous.map_or(0, |batch| following(batch.last)) {
            Ok(Verdict::Append)
        } else {
            Err(ErrorCode::OutOfOrderSequenceNumber)
        }
    }

    /// Remembers a batch that was appended.
    pub fn appended(&mut self, header: &Header, base_offset: i64) {
        let (first, last) = sequences(header);
        let producer = self.at_epoch(header.producer_id, header.producer_epoch);
        if producer.recent.len() == REMEMBERED_BATCHES {
            producer.recent.pop_front();
        }
        producer.recent.push_back(Sequences { first, last, base_offset });
    }

    /// Remembers the epoch of a transaction marker: older ones are fenced.
    pub fn fence(&mut self, producer_id: i64, epoch: i16) {
        self.at_epoch(producer_id, epoch);
    }

    fn at_epoch(&mut self, producer_id: i64, epoch: i16) -> &mut Producer {
        let fresh = || Producer { epoch, recent: VecDeque::new() };
        let producer = self.0.entry(producer_id).or_insert_with(fresh);
        if producer.epoch != epoch {
            *producer = fresh();
        }
        producer
    }
}

fn sequences(header: &Header) -> (i32, i32) {
    (header.base_sequence, advance(header.base_sequence, header.last_offset_delta))
}

fn following(sequence: i32) -> i32 {
    advance(sequence, 1)
}

/// Sequence numbers go from 2^31 - 1 back to 0.
fn advance(sequence: i32, by: i32) -> i32 {
    sequence.wrapping_add(by) & i32::MAX
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::batch::Batch;

    fn header(epoch: i16, sequence: i32, count: usize) -> Header {
        Batch::of_producer((9, epoch), sequence, count, false).header
    }

    fn after(headers: &[Header]) -> Producers {
        let mut producers = Producers::default();
        for (offset, each) in (0..).zip(headers) {
            assert_eq!(producers.judge(each), Ok(Verdict::Append));
            producers.appended(each, offset);
        }
        producers
    }

    #[test]
    fn the_last_five_batches_are_recognised() {
        let sent: Vec<_> = (0..6).map(|at| header(0, at * 10, 10)).collect();
        let producers = after(&sent);
        for (offset, known) in (1..).zip(&sent[1..]) {
            assert_eq!(producers.judge(known), Ok(Verdict::Duplicate(offset)));
        }
        let forgotten = producers.judge(&sent[0]);
        assert_eq!(forgotten, Err(ErrorCode::OutOfOrderSequenceNumber));
    }

    #[test]
    fn a_gap_is_out_of_order() {
        let producers = after(&[header(0, 0, 3)]);
        let gap = producers.judge(&header(0, 4, 1));
        assert_eq!(gap, Err(ErrorCode::OutOfOrderSequenceNumber));
    }

    #[test]
    fn a_new_epoch_starts_at_zero_and_fences_the_old() {
        let mut producers = after(&[header(0, 0, 3)]);
        let late = producers.judge(&header(1, 3, 1));
        assert_eq!(late, Err(ErrorCode::OutOfOrderSequenceNumber));
        producers.fence(9, 1);
        assert_eq!(producers.judge(&header(1, 0, 1)), Ok(Verdict::Append));
        let old = producers.judge(&header(0, 3, 1));
        assert_eq!(old, Err(ErrorCode::InvalidProducerEpoch));
    }

    #[test]
    fn sequences_wrap_to_zero() {
        let producers = after(&[header(0, i32::MAX - 1, 2)]);
        assert_eq!(producers.judge(&header(0, 0, 1)), Ok(Verdict::Append));
    }
}
