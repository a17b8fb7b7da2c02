//! Pieces of sessions, and the rows that were behind.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat, concat_batches, take, take_record_batch};
use arrow::datatypes::{Int64Type, UInt64Type};

use super::{index, sessions, walls};
use crate::engine::cut::{self, int64s, uint64s};
use crate::engine::error::EngineError;
use crate::engine::groups::{Partial, states_of_rows};
use crate::engine::ops::evaluate_all;
use crate::planning::pipeline::{Leaf, LeafState};

/// Stretches of time in which a key has rows, and what they hold.
#[derive(Clone)]
pub struct Pieces {
    pub keys: Vec<ArrayRef>,
    pub first: Vec<i64>,
    pub last: Vec<i64>,
    /// For a row that was behind.
    pub behind: Vec<Option<Behind>>,
    pub content: Content,
}

/// What a row that is behind was judged by, and its place among others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Behind {
    pub watermark: i64,
    pub split: u64,
    pub order: u64,
}

/// What a worker hands over.
#[derive(Default)]
pub struct SessionShare {
    pub pieces: Vec<Pieces>,
    pub behind: Vec<BehindRows>,
}

impl SessionShare {
    /// Takes in another worker's.
    pub fn extend(&mut self, other: SessionShare) {
        self.pieces.extend(other.pieces);
        self.behind.extend(other.behind);
    }
}

/// Rows of one split that were behind, as they came, and their numbers.
pub struct BehindRows {
    pub split: u64,
    pub orders: Vec<u64>,
    pub rows: RecordBatch,
}

impl BehindRows {
    /// Those of its rows for which `wanted` is true.
    pub fn part(&self, wanted: impl Fn(u64, u64) -> bool) -> Result<Option<Self>, EngineError> {
        let all = self.orders.iter().enumerate();
        let wanted: Vec<usize> =
            all.filter(|(_, order)| wanted(self.split, **order)).map(|(at, _)| at).collect();
        if wanted.is_empty() {
            return Ok(None);
        }
        let orders = wanted.iter().map(|at| self.orders[*at]).collect();
        let indexes = UInt32Array::from_iter_values(wanted.into_iter().map(index));
        let rows = take_record_batch(&self.rows, &indexes)?;
        Ok(Some(Self { split: self.split, orders, rows }))
    }

    /// The numbers in front of the rows.
    pub fn to_batch(&self) -> Result<RecordBatch, EngineError> {
        let mut columns = vec![uint64s(self.orders.iter().copied().map(Some))];
        columns.extend(self.rows.columns().iter().cloned());
        cut::anonymous(columns, self.orders.len())
    }

    pub fn from_batch(split: u64, batch: &RecordBatch) -> Result<Self, EngineError> {
        let orders = batch.column(0).as_primitive_opt::<UInt64Type>();
        let orders = orders.ok_or_else(|| cut::misfit("rows behind", None))?;
        let rest: Vec<usize> = (1..batch.num_columns()).collect();
        Ok(Self { split, orders: orders.values().to_vec(), rows: batch.project(&rest)? })
    }
}

#[derive(Clone)]
pub enum Content {
    /// The state columns of each function.
    States(Vec<Vec<ArrayRef>>),
    Rows(RecordBatch),
}

/// Of what is stored of pieces the columns that all have.
const FIXED: usize = 5;

impl Pieces {
    /// Times and judgements, keys, and what the pieces hold, side by side.
    pub fn to_batch(&self) -> Result<RecordBatch, EngineError> {
        let times = |times: &[i64]| int64s(times.iter().copied().map(Some));
        let mut columns = vec![
            times(&self.first),
            times(&self.last),
            int64s(self.behind.iter().map(|b| b.map(|b| b.watermark))),
            uint64s(self.behind.iter().map(|b| b.map(|b| b.split))),
            uint64s(self.behind.iter().map(|b| b.map(|b| b.order))),
        ];
        columns.extend(self.keys.iter().cloned());
        match &self.content {
            Content::States(states) => columns.extend(states.iter().flatten().cloned()),
            Content::Rows(rows) => columns.extend(rows.columns().iter().cloned()),
        }
        cut::anonymous(columns, self.len())
    }

    pub fn from_batch(leaf: &Leaf, batch: &RecordBatch) -> Result<Self, EngineError> {
        let key_count = sessions(leaf).keys.len();
        if batch.num_columns() < FIXED + key_count {
            return Err(cut::misfit("sessions", None));
        }
        let times = |at: usize| {
            batch
                .column(at)
                .as_primitive_opt::<Int64Type>()
                .ok_or_else(|| cut::misfit("times", Some(batch.column(at).data_type())))
        };
        let numbers = |at: usize| {
            batch
                .column(at)
                .as_primitive_opt::<UInt64Type>()
                .ok_or_else(|| cut::misfit("numbers", Some(batch.column(at).data_type())))
        };
        let (first, last, watermarks) = (times(0)?, times(1)?, times(2)?);
        let (splits, orders) = (numbers(3)?, numbers(4)?);
        let behind = |row: usize| {
            watermarks.is_valid(row).then(|| Behind {
                watermark: watermarks.value(row),
                split: splits.value(row),
                order: orders.value(row),
            })
        };
        let rest = &batch.columns()[FIXED..];
        let content = match &leaf.state {
            LeafState::Aggregate(aggregate) => {
                let indexes: Vec<usize> = (FIXED..batch.num_columns()).collect();
                Content::States(
                    Partial::from_batch(aggregate, &batch.project(&indexes)?)?.states,
                )
            }
            LeafState::Rows => {
                let columns = rest[key_count..].to_vec();
                Content::Rows(RecordBatch::try_new(Arc::clone(&leaf.schema), columns)?)
            }
        };
        Ok(Self {
            keys: rest[..key_count].to_vec(),
            first: first.values().to_vec(),
            last: last.values().to_vec(),
            behind: (0..batch.num_rows()).map(behind).collect(),
            content,
        })
    }

    /// A piece a row.
    pub fn of_rows(leaf: &Leaf, batch: &RecordBatch) -> Result<Self, EngineError> {
        let times: Vec<i64> = walls(leaf, batch).collect();
        let content = match &leaf.state {
            LeafState::Aggregate(aggregate) => {
                Content::States(states_of_rows(aggregate, batch)?)
            }
            LeafState::Rows => {
                let schema = Arc::clone(&leaf.schema);
                Content::Rows(RecordBatch::try_new(schema, batch.columns().to_vec())?)
            }
        };
        Ok(Self {
            keys: evaluate_all(&sessions(leaf).keys, batch)?,
            first: times.clone(),
            behind: vec![None; times.len()],
            last: times,
            content,
        })
    }

    pub fn len(&self) -> usize {
        self.first.len()
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let columns = |all: &[ArrayRef]| -> usize {
            all.iter().map(|column| column.get_array_memory_size()).sum()
        };
        let content = match &self.content {
            Content::States(states) => states.iter().map(|state| columns(state)).sum(),
            Content::Rows(rows) => rows.get_array_memory_size(),
        };
        let each = 2 * size_of::<i64>() + size_of::<Option<Behind>>();
        columns(&self.keys) + content + self.len() * each
    }

    pub fn concat(leaf: &Leaf, all: &[Cow<'_, Pieces>]) -> Result<Self, EngineError> {
        let columns =
            |of: &dyn for<'a> Fn(&'a Pieces) -> &'a ArrayRef| -> Result<ArrayRef, EngineError> {
                let arrays: Vec<&dyn Array> = all.iter().map(|p| of(p).as_ref()).collect();
                Ok(concat(&arrays)?)
            };
        let keys = 0..sessions(leaf).keys.len();
        let content = match &leaf.state {
            LeafState::Rows => {
                let batches = all.iter().map(|pieces| match &pieces.content {
                    Content::Rows(rows) => rows,
                    Content::States(_) => unreachable!("a leaf of rows keeps rows"),
                });
                Content::Rows(concat_batches(&leaf.schema, batches)?)
            }
            LeafState::Aggregate(aggregate) => {
                let state = |function: usize| {
                    let width = all.first().map_or(0, |p| p.states()[function].len());
                    let column = |i: usize| columns(&|p| &p.states()[function][i]);
                    (0..width).map(column).collect::<Result<Vec<_>, _>>()
                };
                let functions = 0..aggregate.functions.len();
                Content::States(functions.map(state).collect::<Result<_, _>>()?)
            }
        };
        Ok(Self {
            keys: keys.map(|i| columns(&|p| &p.keys[i])).collect::<Result<_, _>>()?,
            first: all.iter().flat_map(|p| p.first.iter().copied()).collect(),
            last: all.iter().flat_map(|p| p.last.iter().copied()).collect(),
            behind: all.iter().flat_map(|p| p.behind.iter().copied()).collect(),
            content,
        })
    }

    pub fn states(&self) -> &[Vec<ArrayRef>] {
        match &self.content {
            Content::States(states) => states,
            Content::Rows(_) => unreachable!("an aggregate keeps states"),
        }
    }

    /// The pieces at `indexes`, with the times and judgements given.
    pub fn take(&self, indexes: &[u32]) -> Result<Self, EngineError> {
        let at = UInt32Array::from(indexes.to_vec());
        let pick = |array: &ArrayRef| take(array.as_ref(), &at, None);
        let content = match &self.content {
            Content::Rows(rows) => Content::Rows(take_record_batch(rows, &at)?),
            Content::States(states) => {
                let state = |columns: &Vec<ArrayRef>| {
                    columns.iter().map(pick).collect::<Result<Vec<_>, _>>()
                };
                Content::States(states.iter().map(state).collect::<Result<_, _>>()?)
            }
        };
        let rows = || indexes.iter().map(|i| *i as usize);
        Ok(Self {
            keys: self.keys.iter().map(pick).collect::<Result<_, _>>()?,
            first: rows().map(|i| self.first[i]).collect(),
            last: rows().map(|i| self.last[i]).collect(),
            behind: rows().map(|i| self.behind[i]).collect(),
            content,
        })
    }
}
