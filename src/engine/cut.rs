//! A cut through the running job: for every worker the state after some batch,
//! all of them together a state that the job may go on from.
//!
//! Workers seal what they have when they are told to and go on; what they tell
//! the loop after that belongs to the next epoch and is held back until every
//! worker has been heard. State is cut into pieces: a piece never changes, so
//! that one which is stored need not be stored again.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use serde::{Deserialize, Serialize};

use super::error::EngineError;
use super::leaves::Share;
use super::slices::SliceId;
use crate::checkpoint::{Counters, Piece, PieceId, PieceRows};
use crate::sources::SplitId;

/// What a piece of state is of.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "kebab-case")]
pub enum PieceOf {
    /// Rows folded into a slice that may get more; `own`: in the loop, not in a
    /// worker.
    Open {
        stage: usize,
        leaf: usize,
        own: bool,
        slice: SliceId,
    },
    /// A slice that no row can reach, which windows to come still need.
    Shared {
        stage: usize,
        leaf: usize,
        end: i64,
        from: i64,
    },
    Sessions {
        stage: usize,
        leaf: usize,
    },
    /// Which of a piece of them are still there.
    SessionsLive {
        stage: usize,
        leaf: usize,
        piece: PieceId,
    },
    /// Rows that may turn out to be late for every session.
    Behind {
        stage: usize,
        leaf: usize,
        split: u64,
    },
    /// Rows that wait to be worked on, as they came.
    Came {
        stage: usize,
        leaf: usize,
        judged_by_at_most: i64,
        split: u64,
    },
    /// Rows of an interval join.
    Joined {
        stage: usize,
        side: usize,
    },
    /// The numbers of rows of an outer side that have found a match.
    Matched {
        stage: usize,
        side: usize,
        next_number: i64,
    },
    /// Rows whose key may not have come out yet.
    Waiting {
        stage: usize,
        split: u64,
    },
    /// Keys that have come out.
    Seen {
        stage: usize,
    },
    /// Results that are in no file yet.
    Output {
        table: String,
    },
}

impl PieceOf {
    /// The stage and the leaf that it belongs to; `None` for results.
    pub fn place(&self) -> Option<(usize, usize)> {
        Some(match self {
            PieceOf::Output { .. } => return None,
            PieceOf::Open { stage, leaf, .. }
            | PieceOf::Shared { stage, leaf, .. }
            | PieceOf::Sessions { stage, leaf }
            | PieceOf::SessionsLive { stage, leaf, .. }
            | PieceOf::Behind { stage, leaf, .. }
            | PieceOf::Came { stage, leaf, .. } => (*stage, *leaf),
            PieceOf::Joined { stage, side } | PieceOf::Matched { stage, side, .. } => {
                (*stage, *side)
            }
            PieceOf::Waiting { stage, .. } | PieceOf::Seen { stage } => (*stage, 0),
        })
    }
}

/// Small things that go with the pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// No row has had a place in its log beyond this one.
    pub places: i64,
    /// No row that was behind has had a number beyond this one.
    pub behind: u64,
    /// By stage and leaf, the end of the last window that has fired.
    pub done: Vec<Vec<Option<i64>>>,
    /// By table, what its sink must know.
    #[serde(default)]
    pub sinks: BTreeMap<String, serde_json::Value>,
}

/// Names pieces of one epoch.
#[derive(Debug)]
pub struct Namer {
    epoch: u64,
    maker: u32,
    number: u32,
}

impl Namer {
    pub fn new(epoch: u64, maker: usize) -> Self {
        let maker = u32::try_from(maker).expect("fewer workers than 4 G");
        Self { epoch, maker, number: 0 }
    }

    pub fn name(&mut self) -> PieceId {
        let id = PieceId { epoch: self.epoch, maker: self.maker, number: self.number };
        self.number += 1;
        id
    }
}

/// Makes a piece.
pub fn piece(id: PieceId, of: &PieceOf, rows: impl Into<PieceRows>) -> Piece {
    let of = serde_json::to_value(of).expect("plain data");
    Piece { id, of, rows: Some(rows.into()) }
}

/// A piece that has been stored under its name.
pub fn stored_piece(id: PieceId, of: &PieceOf) -> Piece {
    let of = serde_json::to_value(of).expect("plain data");
    Piece { id, of, rows: None }
}

/// State that does not change any more, with its name.
pub struct Named<P> {
    pub place: P,
    pub id: PieceId,
    pub rows: PieceRows,
}

/// What a worker hands in at a cut.
pub struct WorkersCut {
    pub pieces: Vec<Piece>,
    /// State that is not kept by workers but handed to the loop.
    pub handed: Vec<(usize, usize, Share)>,
    pub positions: Vec<Position>,
    pub places: i64,
    pub behind: u64,
    /// What the worker has counted in its life.
    pub counters: Counters,
}

/// How far a split has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    pub scan: usize,
    pub split: SplitId,
    pub next: i64,
    pub stop: Option<i64>,
    pub topic_id: Option<Arc<str>>,
    pub watermark: i64,
}

/// Columns under names of no meaning, as one batch.
pub fn anonymous(columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, EngineError> {
    let field = |(i, column): (usize, &ArrayRef)| {
        Field::new(format!("c{i}"), column.data_type().clone(), true)
    };
    let fields: Vec<Field> = columns.iter().enumerate().map(field).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Schema::new(fields).into(), columns, &options)?)
}

/// A batch under another schema of the same types.
pub fn under(schema: &Arc<Schema>, batch: &RecordBatch) -> Result<RecordBatch, EngineError> {
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let columns = batch.columns().to_vec();
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

pub fn int64s(values: impl IntoIterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(Int64Array::from_iter(values))
}

pub fn uint64s(values: impl IntoIterator<Item = Option<u64>>) -> ArrayRef {
    Arc::new(UInt64Array::from_iter(values))
}

/// State that was stored by an earlier run does not fit the plan.
pub fn misfit(what: &str, ty: Option<&DataType>) -> EngineError {
    let ty = ty.map(|ty| format!(" of {ty}")).unwrap_or_default();
    EngineError::Worker(format!("stored state does not fit the query: {what}{ty}"))
}
