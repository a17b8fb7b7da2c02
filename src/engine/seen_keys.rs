//! Keys that have been seen, each since some time: a set that grows at its end
//! and is forgotten from its beginning.
//!
//! Keys lie end to end in the order they came, so what a cut has to store is a
//! stretch of them, a *run*; a run that is stored is not stored again. Runs are
//! merged such that each is less than half of the one before.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::Int64Type;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::cut::{Namer, anonymous, int64s, misfit};
use super::error::EngineError;
use crate::checkpoint::PieceId;

/// The most bytes of keys in one run.
const RUN_BYTES: usize = 1 << 30;

#[derive(Default)]
pub struct SeenKeys {
    bytes: Vec<u8>,
    /// By place, where the key ends in `bytes`.
    ends: Vec<usize>,
    /// By place, in milliseconds; ascending as far as clocks are.
    since: Vec<i64>,
    /// The last place of each key.
    table: HashTable<u32>,
    hasher: RandomState,
    runs: Vec<Run>,
}

/// A stretch of places that is stored, behind that of the run before.
struct Run {
    id: PieceId,
    until: usize,
}

/// A run as a piece: its rows, unless they are stored.
pub type SeenPiece = (PieceId, Option<RecordBatch>);

impl SeenKeys {
    /// Adds a key; `false` if it was there, since a time for which `lives` holds.
    pub fn insert(&mut self, key: &[u8], since: i64, lives: impl Fn(i64) -> bool) -> bool {
        let place = u32::try_from(self.ends.len()).expect("fewer keys than 4 G");
        let (ends, bytes, hasher) = (&self.ends, &self.bytes, &self.hasher);
        let of = |place: &u32| key_at(bytes, ends, *place as usize);
        let entry = self.table.entry(
            hasher.hash_one(key),
            |other| of(other) == key,
            |other| hasher.hash_one(of(other)),
        );
        match entry {
            Entry::Occupied(there) if lives(self.since[*there.get() as usize]) => return false,
            Entry::Occupied(mut there) => *there.get_mut() = place,
            Entry::Vacant(free) => {
                free.insert(place);
            }
        }
        self.bytes.extend_from_slice(key);
        self.ends.push(self.bytes.len());
        self.since.push(since);
        true
    }

    /// Forgets keys at the beginning for which `lives` does not hold, once they
    /// are most of all.
    pub fn purge(&mut self, lives: impl Fn(i64) -> bool) {
        let gone = self.since.iter().take_while(|since| !lives(**since)).count();
        if gone <= self.since.len() / 2 {
            return;
        }
        let cut = self.ends[gone - 1];
        self.bytes.drain(..cut);
        self.bytes.shrink_to_fit();
        self.ends.drain(..gone);
        self.ends.iter_mut().for_each(|end| *end -= cut);
        self.since.drain(..gone);
        self.runs.retain(|run| run.until > gone);
        self.runs.iter_mut().for_each(|run| run.until -= gone);
        self.table.clear();
        self.index_from(0);
    }

    /// Puts the keys from that place on into the table.
    fn index_from(&mut self, first: usize) {
        let (ends, bytes, hasher) = (&self.ends, &self.bytes, &self.hasher);
        let of = |place: &u32| key_at(bytes, ends, *place as usize);
        for place in first..self.ends.len() {
            let place = u32::try_from(place).expect("fewer keys than 4 G");
            let key = of(&place);
            let entry = self.table.entry(
                hasher.hash_one(key),
                |other| of(other) == key,
                |other| hasher.hash_one(of(other)),
            );
            entry.insert(place);
        }
    }

    /// Every run, what came since the last cut being one too.
    pub fn cut(&mut self, namer: &mut Namer) -> Result<Vec<SeenPiece>, EngineError> {
        let until = self.ends.len();
        let mut from = self.runs.last().map_or(0, |run| run.until);
        let is_new = from < until;
        while is_new && let Some((last, before)) = self.runs.split_last() {
            let begin = before.last().map_or(0, |run| run.until);
            let is_small = last.until - begin < 2 * (until - from);
            if !is_small || self.ends[until - 1] - self.begin_of(begin) > RUN_BYTES {
                break;
            }
            from = begin;
            self.runs.pop();
        }
        let mut pieces: Vec<SeenPiece> = self.runs.iter().map(|run| (run.id, None)).collect();
        if is_new {
            let id = namer.name();
            pieces.push((id, Some(self.stretch(from, until)?)));
            self.runs.push(Run { id, until });
        }
        Ok(pieces)
    }

    fn stretch(&self, from: usize, until: usize) -> Result<RecordBatch, EngineError> {
        let keys = (from..until).map(|place| key_at(&self.bytes, &self.ends, place));
        let keys: ArrayRef = Arc::new(BinaryArray::from_iter_values(keys));
        let since = int64s(self.since[from..until].iter().copied().map(Some));
        anonymous(vec![keys, since], until - from)
    }

    /// Takes back a run; they come in their order.
    pub fn restore(&mut self, id: PieceId, rows: &RecordBatch) -> Result<(), EngineError> {
        let keys = rows.column(0).as_binary_opt::<i32>();
        let since = rows.column(1).as_primitive_opt::<Int64Type>();
        let (Some(keys), Some(since)) = (keys, since) else {
            return Err(misfit("keys", None));
        };
        let first = self.ends.len();
        for (key, since) in keys.iter().flatten().zip(since.values()) {
            self.bytes.extend_from_slice(key);
            self.ends.push(self.bytes.len());
            self.since.push(*since);
        }
        self.index_from(first);
        self.runs.push(Run { id, until: self.ends.len() });
        Ok(())
    }

    fn begin_of(&self, place: usize) -> usize {
        place.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let places = self.ends.capacity() * size_of::<usize>() + self.since.capacity() * 8;
        self.bytes.capacity() + places + self.table.allocation_size()
    }
}

fn key_at<'a>(bytes: &'a [u8], ends: &[usize], place: usize) -> &'a [u8] {
    let begin = place.checked_sub(1).map_or(0, |before| ends[before]);
    &bytes[begin..ends[place]]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What is written of each cut, in rows.
    fn written(keys: &mut SeenKeys, epoch: u64) -> usize {
        let pieces = keys.cut(&mut Namer::new(epoch, 0)).unwrap();
        pieces.iter().filter_map(|(_, rows)| rows.as_ref()).map(RecordBatch::num_rows).sum()
    }

    #[test]
    fn a_cut_writes_what_is_new() {
        let mut keys = SeenKeys::default();
        for n in 0..100_000_u32 {
            assert!(keys.insert(&n.to_be_bytes(), 0, |_| true));
        }
        assert_eq!(written(&mut keys, 1), 100_000);
        assert_eq!(written(&mut keys, 2), 0);
        for n in 99_000..101_000_u32 {
            assert_eq!(keys.insert(&n.to_be_bytes(), 0, |_| true), n >= 100_000);
        }
        assert_eq!(written(&mut keys, 3), 1000);
    }

    proptest! {
        /// Against a map; stopped and gone on with at every cut.
        #[test]
        fn a_key_is_new_once_in_its_time(
            steps in prop::collection::vec((0u8..4, 0u8..20, 0i64..4), 0..200),
        ) {
            const LIFE: i64 = 10;
            let (mut keys, mut model) = (SeenKeys::default(), std::collections::HashMap::new());
            let mut stored = std::collections::HashMap::new();
            let mut now = 0;
            for (epoch, (what, key, passed)) in steps.into_iter().enumerate() {
                now += passed;
                let lives = |since: i64| now - since < LIFE;
                match what {
                    0 => {
                        let mut again = SeenKeys::default();
                        for (id, rows) in keys.cut(&mut Namer::new(epoch as u64, 0)).unwrap() {
                            let rows = stored.entry(id).or_insert_with(|| rows.unwrap());
                            again.restore(id, rows).unwrap();
                        }
                        keys = again;
                    }
                    1 => keys.purge(lives),
                    _ => {
                        let is_new = !model.get(&key).is_some_and(|since| lives(*since));
                        if is_new {
                            model.insert(key, now);
                        }
                        prop_assert_eq!(keys.insert(&[key], now, lives), is_new);
                    }
                }
            }
        }
    }
}
