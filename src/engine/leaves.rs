//! A leaf's state on both sides: what rows are folded into, and what turns it
//! into windows when time moves on.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::cut::{Named, Namer, Notes, PieceOf, misfit, piece};
use super::error::EngineError;
use super::groups::Partial;
use super::memory::Account;
use super::rows::Rows;
use super::sessions::{OpenSessions, SessionShare, WaitingSessions};
use super::slices::{self, ClosedSlices, OpenSlices, SliceId};
use super::watermark;
use super::windows::{Fired, SharedSlices};
use crate::checkpoint::{Piece, PieceId};
use crate::planning::pipeline::{Gathering, Leaf, LeafState};
use crate::planning::window::TimeKind;

/// Where rows are folded in.
pub enum OpenLeaf {
    Slices(OpenSlices),
    Sessions(OpenSessions),
    AsTheyCame(Vec<Rows>),
}

/// What one worker has of the windows that fire.
pub enum Share {
    Slices(ClosedSlices),
    Sessions(SessionShare),
    AsTheyCame(Vec<Rows>),
}

/// What a leaf gives at a cut.
pub enum LeafCut {
    Runs(Vec<Named<SliceId>>),
    Handed(Share),
}

/// Where the shares of all workers become windows.
pub enum ClosingLeaf {
    Windows(SharedSlices),
    Sessions(WaitingSessions),
}

impl OpenLeaf {
    pub fn new(leaf: &Leaf) -> Self {
        match leaf.gathers {
            Gathering::Slices => OpenLeaf::Slices(OpenSlices::default()),
            Gathering::Sessions(_) => OpenLeaf::Sessions(OpenSessions::default()),
            Gathering::AsTheyCome => OpenLeaf::AsTheyCame(Vec::new()),
        }
    }

    /// Takes rows; gives back those that are late, if it shows already. `fired` is the watermark up to
    /// which windows have been closed.
    pub fn fold(
        &mut self,
        leaf: &Leaf,
        rows: Rows,
        fired: i64,
    ) -> Result<Option<RecordBatch>, EngineError> {
        // The clock makes no row late.
        let by_clock = leaf.spec.time == TimeKind::Processing;
        let (rows, fired) =
            if by_clock { (rows.never_late(), watermark::MIN) } else { (rows, fired) };
        match self {
            OpenLeaf::Slices(slices) => slices.fold(leaf, rows, fired),
            OpenLeaf::Sessions(sessions) => sessions.fold(leaf, rows, fired).map(|()| None),
            OpenLeaf::AsTheyCame(all) => {
                if rows.batch.num_rows() > 0 {
                    all.push(rows);
                }
                Ok(None)
            }
        }
    }

    /// Hands over what windows need that fire at or before `watermark`.
    pub fn close(&mut self, leaf: &Leaf, watermark: i64) -> Result<Share, EngineError> {
        Ok(match self {
            OpenLeaf::Slices(slices) => Share::Slices(slices.close(leaf, watermark)?),
            OpenLeaf::Sessions(sessions) => Share::Sessions(sessions.close()?),
            OpenLeaf::AsTheyCame(all) => Share::AsTheyCame(std::mem::take(all)),
        })
    }

    /// Seals slices; hands over what is no slices.
    pub fn cut(&mut self, leaf: &Leaf, namer: &mut Namer) -> Result<LeafCut, EngineError> {
        Ok(match self {
            OpenLeaf::Slices(slices) => LeafCut::Runs(slices.cut(leaf, namer)?),
            OpenLeaf::Sessions(sessions) => LeafCut::Handed(Share::Sessions(sessions.close()?)),
            OpenLeaf::AsTheyCame(all) => {
                LeafCut::Handed(Share::AsTheyCame(std::mem::take(all)))
            }
        })
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        match self {
            OpenLeaf::Slices(slices) => slices.memory(),
            OpenLeaf::Sessions(sessions) => sessions.memory(),
            OpenLeaf::AsTheyCame(all) => {
                all.iter().map(|rows| rows.batch.get_array_memory_size()).sum()
            }
        }
    }

    /// Puts on disk what can be; gives how many bytes were freed.
    pub fn spill(
        &mut self,
        leaf: &Leaf,
        excess: usize,
        account: &Account,
    ) -> Result<usize, EngineError> {
        match self {
            OpenLeaf::Slices(slices) => slices.spill(leaf, excess, account),
            OpenLeaf::Sessions(_) | OpenLeaf::AsTheyCame(_) => Ok(0),
        }
    }

    /// Takes back a run of an earlier process.
    pub fn restore(&mut self, slice: SliceId, id: PieceId, rows: RecordBatch) {
        match self {
            OpenLeaf::Slices(slices) => slices.restore(slice, id, rows),
            OpenLeaf::Sessions(_) | OpenLeaf::AsTheyCame(_) => {
                unreachable!("only slices are kept in runs")
            }
        }
    }

    /// Keeps rows that another handed over.
    pub fn take_back(&mut self, rows: Vec<Rows>) {
        if let OpenLeaf::AsTheyCame(all) = self {
            all.extend(rows);
        }
    }

    /// Rows that wait here as they came.
    pub fn came(&self) -> &[Rows] {
        match self {
            OpenLeaf::AsTheyCame(all) => all,
            OpenLeaf::Slices(_) | OpenLeaf::Sessions(_) => &[],
        }
    }

    /// The numbers that rows have been given: of places, and of being behind.
    pub fn numbers(&self) -> (i64, u64) {
        match self {
            OpenLeaf::Slices(slices) => (slices.places(), 0),
            OpenLeaf::Sessions(sessions) => sessions.numbers(),
            OpenLeaf::AsTheyCame(_) => (0, 0),
        }
    }

    /// No number up to these is given again.
    pub fn number_from(&mut self, notes: &Notes) {
        match self {
            OpenLeaf::Slices(slices) => slices.begin_places_at(notes.places),
            OpenLeaf::Sessions(sessions) => sessions.number_from(notes.places, notes.behind),
            OpenLeaf::AsTheyCame(_) => {}
        }
    }

    /// The least watermark at which a window with rows from here may fire.
    pub fn next_firing(&self, leaf: &Leaf) -> Option<i64> {
        match self {
            OpenLeaf::Slices(slices) => slices.next_firing(leaf),
            OpenLeaf::Sessions(sessions) => sessions.next_firing(leaf),
            OpenLeaf::AsTheyCame(all) => (!all.is_empty()).then_some(watermark::MIN),
        }
    }

    /// Windows, or slices of windows, that have rows here.
    pub fn len(&self) -> usize {
        match self {
            OpenLeaf::Slices(slices) => slices.len(),
            OpenLeaf::Sessions(sessions) => usize::from(!sessions.is_empty()),
            OpenLeaf::AsTheyCame(_) => 0,
        }
    }
}

impl Share {
    /// Takes in another worker's.
    pub fn merge(&mut self, other: Share) -> Result<(), EngineError> {
        match (self, other) {
            (Share::Slices(all), Share::Slices(more)) => slices::merge(all, more)?,
            (Share::Sessions(all), Share::Sessions(more)) => all.extend(more),
            (Share::AsTheyCame(all), Share::AsTheyCame(more)) => all.extend(more),
            _ => unreachable!("a leaf gathers one way"),
        }
        Ok(())
    }

    /// The rows of a leaf that gathers them as they come.
    pub fn rows(self) -> Vec<Rows> {
        match self {
            Share::AsTheyCame(rows) => rows,
            Share::Slices(_) | Share::Sessions(_) => unreachable!("a leaf gathers one way"),
        }
    }
}

impl ClosingLeaf {
    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        match self {
            ClosingLeaf::Windows(windows) => windows.memory(),
            ClosingLeaf::Sessions(sessions) => sessions.memory(),
        }
    }

    pub fn new(leaf: &Leaf) -> Self {
        match leaf.sessions() {
            None => ClosingLeaf::Windows(SharedSlices::default()),
            Some(_) => ClosingLeaf::Sessions(WaitingSessions::default()),
        }
    }

    /// The windows that fire at or before `watermark`.
    pub fn fire(
        &mut self,
        leaf: &Leaf,
        share: Share,
        watermark: i64,
    ) -> Result<Fired, EngineError> {
        match (self, share) {
            (ClosingLeaf::Windows(windows), Share::Slices(slices)) => {
                windows.fire(leaf, slices, watermark)
            }
            (ClosingLeaf::Sessions(sessions), Share::Sessions(pieces)) => {
                sessions.fire(leaf, pieces, watermark)
            }
            _ => unreachable!("a leaf gathers one way"),
        }
    }

    /// What is kept, in pieces.
    pub fn cut(
        &mut self,
        plan: &Leaf,
        (stage, leaf): (usize, usize),
        namer: &mut Namer,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), EngineError> {
        match self {
            ClosingLeaf::Windows(windows) => {
                for Named { place: (end, from), id, rows } in windows.cut(namer)? {
                    pieces.push(piece(id, &PieceOf::Shared { stage, leaf, end, from }, rows));
                }
            }
            ClosingLeaf::Sessions(sessions) => {
                sessions.cut(plan, namer, (stage, leaf), pieces)?;
                for rows in sessions.cut_behind() {
                    let (split, rows) = rows?;
                    let of = PieceOf::Behind { stage, leaf, split };
                    pieces.push(piece(namer.name(), &of, Arc::new(rows)));
                }
            }
        }
        Ok(())
    }

    pub fn restore_slice(
        &mut self,
        leaf: &Leaf,
        place: (i64, i64),
        id: PieceId,
        rows: &RecordBatch,
    ) -> Result<(), EngineError> {
        match (self, &leaf.state) {
            (ClosingLeaf::Windows(windows), LeafState::Aggregate(aggregate)) => {
                windows.restore(place, id, Partial::from_batch(aggregate, rows)?);
                Ok(())
            }
            _ => Err(misfit("a slice", None)),
        }
    }

    pub fn restore_behind(
        &mut self,
        split: u64,
        rows: &RecordBatch,
    ) -> Result<(), EngineError> {
        match self {
            ClosingLeaf::Sessions(sessions) => sessions.restore_behind(split, rows),
            ClosingLeaf::Windows(_) => Err(misfit("rows behind sessions", None)),
        }
    }

    pub fn restore_sessions(
        &mut self,
        leaf: &Leaf,
        id: PieceId,
        rows: &RecordBatch,
    ) -> Result<(), EngineError> {
        match self {
            ClosingLeaf::Sessions(sessions) => sessions.restore(leaf, id, rows),
            ClosingLeaf::Windows(_) => Err(misfit("sessions", None)),
        }
    }

    pub fn restore_live(
        &mut self,
        stored: PieceId,
        id: PieceId,
        rows: &RecordBatch,
    ) -> Result<(), EngineError> {
        match self {
            ClosingLeaf::Sessions(sessions) => sessions.restore_live(stored, id, rows),
            ClosingLeaf::Windows(_) => Err(misfit("sessions", None)),
        }
    }

    pub fn done(&self) -> Option<i64> {
        match self {
            ClosingLeaf::Windows(windows) => windows.done(),
            ClosingLeaf::Sessions(_) => None,
        }
    }

    pub fn set_done(&mut self, done: Option<i64>) {
        if let ClosingLeaf::Windows(windows) = self {
            windows.set_done(done);
        }
    }

    pub fn next_firing(&self, leaf: &Leaf) -> Option<i64> {
        match self {
            ClosingLeaf::Windows(windows) => windows.next_firing(leaf),
            ClosingLeaf::Sessions(sessions) => sessions.next_firing(),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            ClosingLeaf::Windows(windows) => windows.len(),
            ClosingLeaf::Sessions(sessions) => sessions.len(),
        }
    }
}
