//! A leaf's state on both sides: what rows are folded into, and what turns it
//! into windows when time moves on.

use super::error::EngineError;
use super::rows::Rows;
use super::sessions::{OpenSessions, Pieces, WaitingSessions};
use super::slices::{self, ClosedSlices, OpenSlices};
use super::watermark;
use super::windows::{Fired, SharedSlices};
use crate::planning::pipeline::{Gathering, Leaf};
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
    Sessions(Vec<Pieces>),
    AsTheyCame(Vec<Rows>),
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

    /// Takes rows and says how many were late. `fired` is the watermark up to
    /// which windows have been closed.
    pub fn fold(&mut self, leaf: &Leaf, rows: Rows, fired: i64) -> Result<u64, EngineError> {
        // The clock makes no row late.
        let by_clock = leaf.spec.time == TimeKind::Processing;
        let (rows, fired) =
            if by_clock { (rows.never_late(), watermark::MIN) } else { (rows, fired) };
        match self {
            OpenLeaf::Slices(slices) => slices.fold(leaf, rows, fired),
            OpenLeaf::Sessions(sessions) => sessions.fold(leaf, rows, fired).map(|()| 0),
            OpenLeaf::AsTheyCame(all) => {
                if rows.batch.num_rows() > 0 {
                    all.push(rows);
                }
                Ok(0)
            }
        }
    }

    /// Hands over what windows need that fire at or before `watermark`.
    pub fn close(&mut self, leaf: &Leaf, watermark: i64) -> Result<Share, EngineError> {
        Ok(match self {
            OpenLeaf::Slices(slices) => Share::Slices(slices.close(leaf, watermark)),
            OpenLeaf::Sessions(sessions) => Share::Sessions(sessions.close()?),
            OpenLeaf::AsTheyCame(all) => Share::AsTheyCame(std::mem::take(all)),
        })
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
