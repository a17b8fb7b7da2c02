//! The sessions of all workers, until they fire.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, RecordBatch, TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::compute::{take, take_record_batch};
use datafusion::physical_plan::aggregates::group_values::new_group_values;
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::held::{self, Held};
use super::pieces::{Behind, BehindRows, Content, Pieces, SessionShare};
use super::resolve::{Interval, Place, Resolved, Session, resolve};
use super::{index, sessions};
use crate::checkpoint::{Piece, PieceId};
use crate::engine::cut::Namer;
use crate::engine::error::EngineError;
use crate::engine::groups::Accumulators;
use crate::engine::ops::window_times;
use crate::engine::watermark;
use crate::engine::windows::{Fired, aggregate_rows};
use crate::planning::pipeline::{Leaf, LeafState};

/// Sessions that have not fired, and rows that cannot be judged yet.
#[derive(Default)]
pub struct WaitingSessions {
    held: Vec<Held>,
    /// Rows that cannot be judged yet, where late ones are wanted.
    behind: Vec<BehindRows>,
    next_firing: Option<i64>,
}

impl WaitingSessions {
    /// Takes in what the workers had and gives the sessions that fire at or
    /// before `watermark`.
    pub fn fire(
        &mut self,
        leaf: &Leaf,
        more: SessionShare,
        watermark: i64,
    ) -> Result<Fired, EngineError> {
        self.held.extend(more.pieces.into_iter().map(Held::new));
        self.behind.extend(more.behind);
        self.next_firing = None;
        if self.held.is_empty() {
            return Ok(Fired::default());
        }
        let all = held::together(leaf, &self.held)?;
        let keys = key_numbers(leaf, &all)?;
        let gap = leaf.spec.kind.slice_ms();
        let intervals: Vec<Interval> = (0..all.len())
            .map(|i| Interval {
                key: keys[i],
                first: all.first[i],
                last: all.last[i],
                behind: all.behind[i],
            })
            .collect();
        let fires_at = |end: i64| leaf.spec.fires_at(end);
        let resolved = resolve(&intervals, gap, &fires_at, watermark);
        let fires = |s: &Session| fires_at(s.last + gap) <= watermark;
        let firing: Vec<bool> = resolved.sessions.iter().map(fires).collect();
        let mut fired = self.emit(leaf, &all, &resolved, &firing)?;
        if sessions(leaf).keeps_late_rows {
            fired.late_rows = self.late_rows(&all, &resolved)?;
            fired.late = 0;
        }
        self.keep(leaf, &all, &resolved, &firing)?;
        let waiting = resolved.sessions.iter().zip(&firing).filter(|(_, fires)| !**fires);
        let ends = waiting.map(|(s, _)| fires_at(s.last + gap));
        let unjudged = resolved.unjudged().map(|i| {
            let behind = all.behind[i].expect("only rows behind wait to be judged");
            behind.watermark.saturating_add(1)
        });
        self.next_firing = ends.chain(unjudged).min();
        Ok(fired)
    }

    /// The rows of the sessions that fire.
    fn emit(
        &self,
        leaf: &Leaf,
        all: &Pieces,
        resolved: &Resolved,
        firing: &[bool],
    ) -> Result<Fired, EngineError> {
        let mut fired = Fired { late: resolved.late(), ..Fired::default() };
        let (pieces, sessions) = resolved.of(firing, true);
        if pieces.is_empty() {
            return Ok(fired);
        }
        fired.windows = firing.iter().filter(|fires| **fires).count() as u64;
        let gap = leaf.spec.kind.slice_ms();
        let micros = |ms: &dyn Fn(&Session) -> i64, of: &[usize]| {
            let values: Vec<i64> =
                of.iter().map(|s| ms(&resolved.sessions[*s]) * 1000).collect();
            TimestampMicrosecondArray::from(values)
        };
        let bounds = |of: &[usize]| {
            let start = micros(&|s| s.first, of);
            let end = micros(&|s| s.last + gap, of);
            let time = window_times(&leaf.spec, &end);
            [start, end, time]
        };
        let batch = match (&leaf.state, &all.content) {
            (LeafState::Aggregate(aggregate), _) => {
                let mut merged = Merged::new(&sessions);
                let part = all.take(&pieces)?;
                let mut accumulators = Accumulators::new(aggregate)?;
                accumulators.merge(part.states(), &merged.index, merged.sessions.len())?;
                let keys = merged.keys(&part.keys)?;
                let values = accumulators.finish()?;
                let bounds = bounds(&merged.sessions);
                let rows = merged.sessions.len();
                aggregate_rows(leaf, aggregate, &keys, &values, &bounds, rows)?
            }
            (LeafState::Rows, Content::Rows(rows)) => {
                let rows = take_record_batch(rows, &UInt32Array::from(pieces))?;
                let mut columns = rows.columns().to_vec();
                let first = super::sessions(leaf).time;
                for (i, times) in bounds(&sessions).into_iter().enumerate() {
                    let ty = leaf.schema.field(first + i).data_type().clone();
                    columns[first + i] = Arc::new(times.with_data_type(ty));
                }
                RecordBatch::try_new(Arc::clone(&leaf.schema), columns)?
            }
            (LeafState::Rows, Content::States(_)) => {
                unreachable!("a leaf of rows keeps rows")
            }
        };
        fired.rows.push(batch);
        Ok(fired)
    }

    /// Keeps the sessions that wait, each as one piece, and the rows that cannot
    /// be judged yet. What has not changed stays where it is.
    fn keep(
        &mut self,
        leaf: &Leaf,
        all: &Pieces,
        resolved: &Resolved,
        firing: &[bool],
    ) -> Result<(), EngineError> {
        let (_, sessions) = resolved.of(firing, false);
        let mut pieces_of = vec![0_u32; resolved.sessions.len()];
        sessions.iter().for_each(|session| pieces_of[*session] += 1);
        // Rows are kept as they are, of whatever session.
        let is_one =
            |session: usize| matches!(leaf.state, LeafState::Rows) || pieces_of[session] == 1;
        let is_kept = |(place, behind): (&Place, &Option<Behind>)| match place {
            Place::Session(session) => {
                !firing[*session] && is_one(*session) && behind.is_none()
            }
            Place::Unjudged => true,
            Place::Late => false,
        };
        let mut stays: Vec<bool> =
            resolved.places.iter().zip(&all.behind).map(is_kept).collect();
        held::keep(&mut self.held, &mut stays);
        let moves = |i: &usize| !stays[*i];
        let unjudged: Vec<u32> = resolved.unjudged().filter(moves).map(index).collect();
        if !unjudged.is_empty() {
            self.held.push(Held::new(all.take(&unjudged)?));
        }
        let (pieces, sessions) = resolved.of(firing, false);
        let moving = pieces.into_iter().zip(sessions).filter(|(i, _)| moves(&(*i as usize)));
        let (pieces, sessions): (Vec<u32>, Vec<usize>) = moving.unzip();
        if pieces.is_empty() {
            return Ok(());
        }
        let mut part = all.take(&pieces)?;
        part.behind.fill(None);
        if let LeafState::Aggregate(aggregate) = &leaf.state {
            let mut merged = Merged::new(&sessions);
            let mut accumulators = Accumulators::new(aggregate)?;
            accumulators.merge(part.states(), &merged.index, merged.sessions.len())?;
            let of = |time: &dyn Fn(&Session) -> i64| {
                merged.sessions.iter().map(|s| time(&resolved.sessions[*s])).collect()
            };
            part = Pieces {
                first: of(&|s| s.first),
                last: of(&|s| s.last),
                behind: vec![None; merged.sessions.len()],
                content: Content::States(accumulators.states()?),
                keys: merged.keys(&part.keys)?,
            };
        }
        self.held.push(Held::new(part));
        Ok(())
    }

    pub fn next_firing(&self) -> Option<i64> {
        self.next_firing
    }

    /// The late rows among those that were behind; keeps the ones that cannot be
    /// judged yet.
    fn late_rows(
        &mut self,
        all: &Pieces,
        resolved: &Resolved,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let (mut late, mut unjudged) = (HashSet::new(), HashSet::new());
        for (behind, place) in all.behind.iter().zip(&resolved.places) {
            match (behind, place) {
                (Some(behind), Place::Late) => late.insert((behind.split, behind.order)),
                (Some(behind), Place::Unjudged) => {
                    unjudged.insert((behind.split, behind.order))
                }
                _ => false,
            };
        }
        let mut found = Vec::new();
        for rows in std::mem::take(&mut self.behind) {
            let part = rows.part(|split, order| late.contains(&(split, order)))?;
            found.extend(part.map(|part| part.rows));
            self.behind.extend(rows.part(|split, order| unjudged.contains(&(split, order)))?);
        }
        Ok(found)
    }

    /// Takes pieces in without looking at them yet.
    pub fn add(&mut self, share: SessionShare) {
        if !share.pieces.is_empty() {
            self.held.extend(share.pieces.into_iter().map(Held::new));
            self.behind.extend(share.behind);
            self.next_firing = Some(watermark::MIN);
        }
    }

    /// The rows that cannot be judged yet, by their split.
    pub fn cut_behind(&self) -> impl Iterator<Item = Result<(u64, RecordBatch), EngineError>> {
        self.behind.iter().map(|rows| Ok((rows.split, rows.to_batch()?)))
    }

    /// Takes back such rows of an earlier process.
    pub fn restore_behind(
        &mut self,
        split: u64,
        rows: &RecordBatch,
    ) -> Result<(), EngineError> {
        self.behind.push(BehindRows::from_batch(split, rows)?);
        Ok(())
    }

    /// All there is, in pieces. `place`: the stage's and the leaf's number.
    pub fn cut(
        &mut self,
        leaf: &Leaf,
        namer: &mut Namer,
        place: (usize, usize),
        pieces: &mut Vec<Piece>,
    ) -> Result<(), EngineError> {
        held::cut(&mut self.held, leaf, namer, place, pieces)
    }

    /// Takes back pieces of an earlier process.
    pub fn restore(
        &mut self,
        leaf: &Leaf,
        id: PieceId,
        batch: &RecordBatch,
    ) -> Result<(), EngineError> {
        self.held.push(Held::stored(Pieces::from_batch(leaf, batch)?, id));
        self.next_firing = Some(watermark::MIN);
        Ok(())
    }

    /// Takes back which of `stored` were still there.
    pub fn restore_live(
        &mut self,
        stored: PieceId,
        id: PieceId,
        rows: &RecordBatch,
    ) -> Result<(), EngineError> {
        held::restore_live(&mut self.held, stored, id, rows)
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.held.iter().map(Held::memory).sum()
    }

    /// Sessions that wait.
    pub fn len(&self) -> usize {
        self.held.iter().map(Held::len).sum()
    }
}

/// Pieces on their way into one row a session.
struct Merged {
    /// The sessions, each once.
    sessions: Vec<usize>,
    /// For each piece its session's place among `sessions`.
    index: Vec<usize>,
    /// For each of `sessions` one of its pieces.
    any_piece: Vec<u64>,
}

impl Merged {
    /// `of`: the session of each piece.
    fn new(of: &[usize]) -> Self {
        let mut places: HashMap<usize, usize> = HashMap::with_capacity(of.len());
        let (mut sessions, mut any_piece) = (Vec::new(), Vec::new());
        let mut place = |(piece, session): (usize, &usize)| {
            *places.entry(*session).or_insert_with(|| {
                sessions.push(*session);
                any_piece.push(piece as u64);
                sessions.len() - 1
            })
        };
        let index = of.iter().enumerate().map(&mut place).collect();
        Self { sessions, index, any_piece }
    }

    fn keys(&mut self, of_pieces: &[ArrayRef]) -> Result<Vec<ArrayRef>, EngineError> {
        let any = UInt64Array::from(std::mem::take(&mut self.any_piece));
        Ok(of_pieces.iter().map(|key| take(key, &any, None)).collect::<Result<_, _>>()?)
    }
}

/// A number for each piece's key.
fn key_numbers(leaf: &Leaf, pieces: &Pieces) -> Result<Vec<usize>, EngineError> {
    if pieces.keys.is_empty() {
        return Ok(vec![0; pieces.len()]);
    }
    let schema = Arc::clone(&sessions(leaf).key_schema);
    let mut table = new_group_values(schema, &GroupOrdering::None)?;
    let mut numbers = Vec::new();
    table.intern(&pieces.keys, &mut numbers)?;
    Ok(numbers)
}
