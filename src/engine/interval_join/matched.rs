//! Which rows of an outer side have found a match, by their numbers.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use crate::checkpoint::PieceId;
use crate::engine::cut::{Namer, anonymous, int64s, misfit};
use crate::engine::error::EngineError;

#[derive(Default)]
pub struct Matched {
    numbers: HashSet<i64>,
    /// Those found since the last cut.
    new: Vec<i64>,
    /// What is stored, in the order of the cuts; some of it may be forgotten.
    runs: Vec<Run>,
}

struct Run {
    id: PieceId,
    numbers: Vec<i64>,
}

/// A run as a piece: its rows, unless they are stored.
pub type MatchedPiece = (PieceId, Option<Arc<RecordBatch>>);

impl Matched {
    pub fn extend(&mut self, numbers: &[i64]) {
        for number in numbers {
            if self.numbers.insert(*number) {
                self.new.push(*number);
            }
        }
    }

    /// Forgets a number; `true` if it had found a match.
    pub fn remove(&mut self, number: i64) -> bool {
        self.numbers.remove(&number)
    }

    /// Every run. One is written for what is new, even if that is nothing: what
    /// else is to be known of the side goes with it. Runs are taken into it such
    /// that each is less than half of the one before, and all of them once most
    /// of their numbers are forgotten: `rows` is how many rows there are, and
    /// `alive` gives their numbers.
    pub fn cut(
        &mut self,
        namer: &mut Namer,
        rows: usize,
        alive: impl FnOnce() -> HashSet<i64>,
    ) -> Result<Vec<MatchedPiece>, EngineError> {
        let mut new = std::mem::take(&mut self.new);
        let all = self.runs.iter().map(|run| run.numbers.len()).sum::<usize>() + new.len();
        let is_stale = all > 2 * rows;
        if is_stale {
            let alive = alive();
            self.numbers.retain(|number| alive.contains(number));
        }
        let is_small = |run: &mut Run, new: &[i64]| {
            is_stale || run.numbers.is_empty() || run.numbers.len() < 2 * new.len()
        };
        while let Some(small) = self.runs.pop_if(|run| is_small(run, &new)) {
            new.extend(small.numbers);
        }
        new.retain(|number| self.numbers.contains(number));
        let stored = self.runs.iter().map(|run| (run.id, None));
        let mut pieces: Vec<MatchedPiece> = stored.collect();
        let rows = anonymous(vec![int64s(new.iter().copied().map(Some))], new.len())?;
        let id = namer.name();
        pieces.push((id, Some(Arc::new(rows))));
        self.runs.push(Run { id, numbers: new });
        Ok(pieces)
    }

    /// Takes back a run of an earlier process.
    pub fn restore(&mut self, id: PieceId, rows: &RecordBatch) -> Result<(), EngineError> {
        let numbers = rows.column(0).as_primitive_opt::<Int64Type>();
        let numbers = numbers.ok_or_else(|| misfit("numbers", None))?.values().to_vec();
        self.numbers.extend(&numbers);
        self.runs.push(Run { id, numbers });
        Ok(())
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let stored: usize = self.runs.iter().map(|run| run.numbers.capacity()).sum();
        (stored + self.new.capacity() + 2 * self.numbers.capacity()) * size_of::<i64>()
    }
}
