//! One side's rows that may still find a match.
//!
//! Rows that are stored together stay together: one that no match can come for
//! is dead where it lies, as its time and the watermark tell, and what holds it
//! is made anew once most of it is dead.

use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};

use super::matched::Matched;
use crate::checkpoint::{Piece, PieceId};
use crate::engine::cut::{Namer, PieceOf, piece, stored_piece, under};
use crate::engine::error::EngineError;
use crate::engine::rows::Rows;
use crate::engine::watermark;
use crate::planning::pipeline::IntervalJoin;

pub struct Side {
    kept: Vec<Kept>,
    pub next_number: i64,
    /// Columns without the hidden ones, once a row has come.
    pub width: Option<usize>,
    /// The watermark at which the next row is forgotten.
    pub next_gone: Option<i64>,
    /// Up to which rows have been forgotten.
    forgotten: i64,
    /// Where it matters.
    pub matched: Matched,
}

impl Default for Side {
    fn default() -> Self {
        Self {
            kept: Vec::new(),
            next_number: 0,
            width: None,
            next_gone: None,
            forgotten: watermark::MIN,
            matched: Matched::default(),
        }
    }
}

/// Rows with their hidden columns behind.
pub struct Kept {
    batch: RecordBatch,
    /// The least time of a live row, in milliseconds.
    first: i64,
    /// How many rows are dead, and by which watermark.
    dead: usize,
    dead_by: i64,
    /// Its name, if it has been stored.
    stored: Option<PieceId>,
}

/// The time in milliseconds of each row; `None` where there is none.
type Times = Vec<Option<i64>>;

impl Kept {
    /// Rows of which none is dead.
    fn new(times: &Times, batch: RecordBatch) -> Self {
        let first = times.iter().flatten().copied().min().unwrap_or(i64::MIN);
        Self { batch, first, dead: 0, dead_by: watermark::MIN, stored: None }
    }

    fn numbers(&self) -> impl Iterator<Item = i64> {
        let numbers = self.batch.column(self.batch.num_columns() - 2);
        numbers.as_primitive::<Int64Type>().values().iter().copied()
    }

    fn live_rows(&self) -> usize {
        self.batch.num_rows() - self.dead
    }
}

/// How far apart the times of a side's rows and of their matches may be.
#[derive(Clone, Copy)]
struct Reach(i64);

impl Reach {
    /// Whether no match can come for a row of that time any more.
    fn is_dead(self, time: Option<i64>, watermark: i64) -> bool {
        watermark > watermark::MIN
            && time.is_none_or(|time| time.saturating_add(self.0) < watermark)
    }
}

pub fn batches(kept: &[Kept]) -> Vec<RecordBatch> {
    kept.iter().map(|kept| kept.batch.clone()).collect()
}

fn times(join: &IntervalJoin, side: usize, batch: &RecordBatch) -> Times {
    let times = batch.column(join.times[side]).as_primitive::<TimestampMicrosecondType>();
    times.iter().map(|at| at.map(|micros| micros.div_euclid(1000))).collect()
}

impl Side {
    /// Everything kept. Dead rows among it match nothing that is to come.
    pub fn batches(&self) -> Vec<RecordBatch> {
        batches(&self.kept)
    }

    pub fn add(&mut self, new: Vec<Kept>) {
        self.kept.extend(new);
    }

    /// New rows with their hidden columns: a number, and since when a row of the
    /// other side must be that they can be paired with.
    pub fn numbered(
        &mut self,
        join: &IntervalJoin,
        side: usize,
        new: Vec<Rows>,
    ) -> Result<Vec<Kept>, EngineError> {
        let other_reach = join.reach_ms[1 - side];
        let schema = join.pairs.input_schema(side);
        let mut all = Vec::new();
        for rows in new {
            self.width = Some(rows.batch.num_columns());
            let count = rows.batch.num_rows();
            let until = self.next_number + i64::try_from(count).expect("a batch is small");
            let numbers = Int64Array::from_iter_values(self.next_number..until);
            self.next_number = until;
            let since = |row| {
                let least = rows.judged_by(row).max(self.forgotten);
                least.saturating_sub(other_reach).saturating_mul(1000)
            };
            let since = Int64Array::from_iter_values((0..count).map(since));
            let mut columns = rows.batch.columns().to_vec();
            columns.push(Arc::new(numbers));
            columns.push(Arc::new(since));
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns)?;
            all.push(Kept::new(&times(join, side, &batch), batch));
        }
        Ok(all)
    }

    /// Forgets the rows that no row to come can match; gives them if they are
    /// wanted.
    pub fn forget(
        &mut self,
        join: &IntervalJoin,
        side: usize,
        watermark: i64,
        wanted: bool,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let reach = Reach(join.reach_ms[side]);
        self.forgotten = self.forgotten.max(watermark);
        let mut gone = Vec::new();
        for mut kept in std::mem::take(&mut self.kept) {
            if !reach.is_dead(Some(kept.first), watermark) {
                self.kept.push(kept);
                continue;
            }
            let times = times(join, side, &kept.batch);
            let was_dead = |time| reach.is_dead(time, kept.dead_by);
            let dies = |time| reach.is_dead(time, watermark) && !was_dead(time);
            if wanted {
                gone.push(take_where(&kept.batch, &times, dies)?);
            }
            kept.dead_by = watermark;
            self.kept.extend(without_most_dead(kept, &times, reach)?);
        }
        let next = self.kept.iter().map(|kept| kept.first).min();
        self.next_gone = next.map(|first| first.saturating_add(reach.0).saturating_add(1));
        Ok(gone)
    }

    /// What is kept, in pieces. What is not stored becomes one; stored ones are
    /// taken in such that each is less than half of the one before.
    pub fn cut(
        &mut self,
        join: &IntervalJoin,
        (stage, side): (usize, usize),
        namer: &mut Namer,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), EngineError> {
        let of = PieceOf::Joined { stage, side };
        let (mut stored, mut new): (Vec<Kept>, Vec<Kept>) =
            std::mem::take(&mut self.kept).into_iter().partition(|kept| kept.stored.is_some());
        let mut count: usize = new.iter().map(Kept::live_rows).sum();
        while count > 0
            && let Some(small) = stored.pop_if(|last| last.live_rows() < 2 * count)
        {
            count += small.live_rows();
            new.push(small);
        }
        pieces.extend(stored.iter().filter_map(|kept| Some(stored_piece(kept.stored?, &of))));
        if count > 0 {
            let reach = Reach(join.reach_ms[side]);
            let live = |kept: &Kept| {
                let lives = |time| !reach.is_dead(time, kept.dead_by);
                take_where(&kept.batch, &times(join, side, &kept.batch), lives)
            };
            let live = new.iter().map(live).collect::<Result<Vec<_>, _>>()?;
            let batch = concat_batches(&live[0].schema(), &live)?;
            let id = namer.name();
            pieces.push(piece(id, &of, Arc::new(batch.clone())));
            let times = times(join, side, &batch);
            stored.push(Kept { stored: Some(id), ..Kept::new(&times, batch) });
        }
        self.kept = stored;
        let of = PieceOf::Matched { stage, side, next_number: self.next_number };
        let rows = self.kept.iter().map(|kept| kept.batch.num_rows()).sum();
        let alive = || self.kept.iter().flat_map(Kept::numbers).collect();
        for (id, rows) in self.matched.cut(namer, rows, alive)? {
            pieces.push(match rows {
                Some(rows) => piece(id, &of, rows),
                None => stored_piece(id, &of),
            });
        }
        Ok(())
    }

    /// Takes back rows of an earlier process, which had forgotten up to
    /// `watermark`.
    pub fn restore(
        &mut self,
        join: &IntervalJoin,
        side: usize,
        id: PieceId,
        batch: &RecordBatch,
        watermark: i64,
    ) -> Result<(), EngineError> {
        let batch = under(&join.pairs.input_schema(side), batch)?;
        let reach = Reach(join.reach_ms[side]);
        let times = times(join, side, &batch);
        self.width = Some(batch.num_columns() - 2);
        self.forgotten = watermark;
        let mut kept = Kept { stored: Some(id), ..Kept::new(&times, batch) };
        if reach.is_dead(Some(kept.first), watermark) {
            kept.dead_by = watermark;
            let Some(live) = without_most_dead(kept, &times, reach)? else { return Ok(()) };
            kept = live;
        }
        let gone = kept.first.saturating_add(reach.0).saturating_add(1);
        self.next_gone = Some(self.next_gone.map_or(gone, |next| next.min(gone)));
        self.kept.push(kept);
        Ok(())
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let kept = self.kept.iter().map(|kept| kept.batch.get_array_memory_size());
        kept.sum::<usize>() + self.matched.memory()
    }
}

/// Counts what is dead; makes it anew if most is, `None` if all is.
fn without_most_dead(
    kept: Kept,
    times: &Times,
    reach: Reach,
) -> Result<Option<Kept>, EngineError> {
    let lives = |time| !reach.is_dead(time, kept.dead_by);
    let live: Vec<Option<i64>> = times.iter().copied().filter(|time| lives(*time)).collect();
    let Some(first) = live.iter().flatten().copied().min() else { return Ok(None) };
    if live.len() < times.len().div_ceil(2) {
        let batch = take_where(&kept.batch, times, lives)?;
        return Ok(Some(Kept::new(&live, batch)));
    }
    let dead = times.len() - live.len();
    Ok(Some(Kept { first, dead, ..kept }))
}

fn take_where(
    batch: &RecordBatch,
    times: &Times,
    wanted: impl Fn(Option<i64>) -> bool,
) -> Result<RecordBatch, EngineError> {
    let rows = (0u32..).zip(times).filter(|(_, time)| wanted(**time)).map(|(row, _)| row);
    let rows: Vec<u32> = rows.collect();
    if rows.len() == batch.num_rows() {
        return Ok(batch.clone());
    }
    Ok(take_record_batch(batch, &UInt32Array::from(rows))?)
}
