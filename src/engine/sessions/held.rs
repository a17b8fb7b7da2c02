//! Pieces that wait. One that is stored is never changed, only marked where it is
//! gone, so that a cut has to store what is new and the marks.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;

use super::index;
use super::pieces::Pieces;
use crate::checkpoint::{Piece, PieceId};
use crate::engine::cut::{Namer, PieceOf, anonymous, misfit, piece, stored_piece};
use crate::engine::error::EngineError;
use crate::planning::pipeline::Leaf;

pub struct Held {
    pieces: Pieces,
    stored: Option<PieceId>,
    /// Which of them are still there; `None`: all.
    live: Option<Live>,
}

struct Live {
    marks: BooleanBuffer,
    stored: Option<PieceId>,
}

impl Held {
    pub fn new(pieces: Pieces) -> Self {
        Self { pieces, stored: None, live: None }
    }

    pub fn stored(pieces: Pieces, id: PieceId) -> Self {
        Self { pieces, stored: Some(id), live: None }
    }

    /// How many are still there.
    pub fn len(&self) -> usize {
        self.live.as_ref().map_or(self.pieces.len(), |live| live.marks.count_set_bits())
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        self.pieces.memory()
    }

    fn live(&self) -> Result<Cow<'_, Pieces>, EngineError> {
        let Some(live) = &self.live else { return Ok(Cow::Borrowed(&self.pieces)) };
        let indexes: Vec<u32> = live.marks.set_indices().map(index).collect();
        Ok(Cow::Owned(self.pieces.take(&indexes)?))
    }

    /// Leaves those for which there is `true`, of those that were there.
    fn leave(&mut self, stays: &[bool]) {
        let marks = match &self.live {
            None => BooleanBuffer::from(stays),
            Some(live) => {
                let mut stays = stays.iter();
                let stays =
                    |was: bool| was && *stays.next().expect("a flag for each that was there");
                live.marks.iter().map(stays).collect()
            }
        };
        self.live = Some(Live { marks, stored: None });
    }
}

/// All that are still there, side by side.
pub fn together(leaf: &Leaf, all: &[Held]) -> Result<Pieces, EngineError> {
    let live = all.iter().map(Held::live).collect::<Result<Vec<_>, _>>()?;
    Pieces::concat(leaf, &live)
}

/// Leaves those of [`together`] for which there is `true`; takes it back where
/// it pays to have them written again, or costs nothing.
pub fn keep(all: &mut Vec<Held>, mut stays: &mut [bool]) {
    all.retain_mut(|held| {
        let own;
        (own, stays) = std::mem::take(&mut stays).split_at_mut(held.len());
        let kept = own.iter().filter(|stays| **stays).count();
        if held.stored.is_none() || kept < held.pieces.len().div_ceil(2) {
            own.fill(false);
            return false;
        }
        if kept < own.len() {
            held.leave(own);
        }
        true
    });
}

/// Everything in pieces; those that are not stored become one. Stored ones are
/// taken in such that each is less than half of the one before.
pub fn cut(
    all: &mut Vec<Held>,
    leaf: &Leaf,
    namer: &mut Namer,
    place: (usize, usize),
    pieces: &mut Vec<Piece>,
) -> Result<(), EngineError> {
    let (stage, leaf_index) = place;
    let of = PieceOf::Sessions { stage, leaf: leaf_index };
    let (mut stored, mut new): (Vec<Held>, Vec<Held>) =
        std::mem::take(all).into_iter().partition(|held| held.stored.is_some());
    let mut count: usize = new.iter().map(Held::len).sum();
    if count > 0 {
        while let Some(small) = stored.pop_if(|last| last.len() < 2 * count) {
            count += small.len();
            new.push(small);
        }
        let rows = together(leaf, &new)?;
        let id = namer.name();
        pieces.push(piece(id, &of, Arc::new(rows.to_batch()?)));
        stored.push(Held::stored(rows, id));
    }
    *all = stored;
    let known = if count > 0 { all.len() - 1 } else { all.len() };
    for held in &mut all[..known] {
        let id = held.stored.expect("they were told apart");
        pieces.push(stored_piece(id, &of));
        let Some(live) = &mut held.live else { continue };
        let of = PieceOf::SessionsLive { stage, leaf: leaf_index, piece: id };
        pieces.push(match live.stored {
            Some(id) => stored_piece(id, &of),
            None => {
                let marks: ArrayRef = Arc::new(BooleanArray::new(live.marks.clone(), None));
                let rows = anonymous(vec![marks], live.marks.len())?;
                piece(*live.stored.insert(namer.name()), &of, Arc::new(rows))
            }
        });
    }
    Ok(())
}

/// Takes back which of a piece of an earlier process were still there.
pub fn restore_live(
    all: &mut [Held],
    stored: PieceId,
    id: PieceId,
    rows: &RecordBatch,
) -> Result<(), EngineError> {
    let marks = rows.column(0).as_boolean_opt().ok_or_else(|| misfit("marks", None))?;
    let held = all.iter_mut().find(|held| held.stored == Some(stored));
    let held = held.filter(|held| held.pieces.len() == marks.len());
    let held = held.ok_or_else(|| misfit("marks of no sessions", None))?;
    held.live = Some(Live { marks: marks.values().clone(), stored: Some(id) });
    Ok(())
}
