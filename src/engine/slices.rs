//! What a leaf keeps of its open windows, slice by slice: partial aggregates
//! by key, or the rows themselves.
//!
//! A slice has a group table of its own with the keys alone, so that a closed
//! slice is dropped whole. Slices of several workers meet in [`Slice::merge`].

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::{take, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::error::EngineError;
use super::ops::{batch, evaluate_all, truth};
use super::rows::Rows;
use super::watermark;
use crate::planning::pipeline::{
    Aggregate, AggregateColumn, AggregateFunction, Leaf, LeafState,
};

/// The open slices of one leaf, by slice end in milliseconds.
#[derive(Default)]
pub struct OpenSlices {
    slices: BTreeMap<i64, Slice>,
}

/// The state of one slice.
pub enum Slice {
    Groups(Groups),
    Rows(Vec<RecordBatch>),
}

/// Slices that have closed, by end.
pub type ClosedSlices = BTreeMap<i64, Slice>;

impl OpenSlices {
    /// Takes rows; those that are late are left out and counted. `fired` is the
    /// watermark up to which windows have been closed.
    pub fn fold(&mut self, leaf: &Leaf, rows: Rows, fired: i64) -> Result<u64, EngineError> {
        if rows.batch.num_rows() == 0 {
            return Ok(0);
        }
        let (rows, late) = without_late(leaf, rows, fired)?;
        if rows.batch.num_rows() == 0 {
            return Ok(late);
        }
        let prepared = Prepared::new(leaf, &rows.batch)?;
        for (end, indexes) in by_slice(window_ends(leaf, &rows.batch)) {
            let slice = match self.slices.entry(end) {
                std::collections::btree_map::Entry::Occupied(slice) => slice.into_mut(),
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(Slice::new(leaf)?)
                }
            };
            slice.add(leaf, &prepared, indexes.as_ref())?;
        }
        Ok(late)
    }

    /// Takes out every slice whose window fires at or before `watermark`.
    pub fn close(&mut self, leaf: &Leaf, watermark: i64) -> ClosedSlices {
        let mut closed = ClosedSlices::new();
        while let Some(first) = self.slices.first_entry() {
            if leaf.spec.fires_at(*first.key()) > watermark {
                break;
            }
            let (end, slice) = first.remove_entry();
            closed.insert(end, slice);
        }
        closed
    }

    /// The watermark at which the next slice fires.
    pub fn next_firing(&self, leaf: &Leaf) -> Option<i64> {
        self.slices.keys().next().map(|end| leaf.spec.fires_at(*end))
    }

    pub fn len(&self) -> usize {
        self.slices.len()
    }
}

fn window_ends<'a>(leaf: &Leaf, batch: &'a RecordBatch) -> &'a TimestampMicrosecondArray {
    batch.column(leaf.window_end).as_primitive::<TimestampMicrosecondType>()
}

/// Leaves out the rows whose window had fired: by their own split's watermark,
/// or because it has been closed here.
fn without_late(leaf: &Leaf, rows: Rows, fired: i64) -> Result<(Rows, u64), EngineError> {
    let at_most = rows.judged_by_at_most.max(fired);
    let ends = window_ends(leaf, &rows.batch).values();
    let earliest = ends.iter().copied().min().expect("there are rows");
    if leaf.spec.fires_at(earliest / 1000) > at_most {
        return Ok((rows, 0));
    }
    let (mut last_end, mut fires_at) = (i64::MIN, watermark::MIN);
    let mut on_time = |row: usize, end: i64| {
        if end != last_end {
            (last_end, fires_at) = (end, leaf.spec.fires_at(end / 1000));
        }
        let own = rows.judged_by.as_ref().map_or(watermark::MIN, |w| w.value(row));
        fires_at > own.max(fired)
    };
    let mask: BooleanArray =
        ends.iter().enumerate().map(|(row, end)| Some(on_time(row, *end))).collect();
    let late = (mask.len() - mask.true_count()) as u64;
    if late == 0 { Ok((rows, 0)) } else { Ok((rows.keep(&mask)?, late)) }
}

/// Row indexes by slice end in milliseconds; `None` where one slice has all.
fn by_slice(ends: &TimestampMicrosecondArray) -> Vec<(i64, Option<UInt32Array>)> {
    let values = ends.values();
    let first = values[0];
    if values.iter().all(|end| *end == first) {
        return vec![(first / 1000, None)];
    }
    let mut slices: BTreeMap<i64, Vec<u32>> = BTreeMap::new();
    for (row, end) in (0u32..).zip(values.iter()) {
        slices.entry(*end / 1000).or_default().push(row);
    }
    slices.into_iter().map(|(end, rows)| (end, Some(rows.into()))).collect()
}

/// What a batch brings to its slices, evaluated once.
enum Prepared<'a> {
    Groups { keys: Vec<ArrayRef>, functions: Vec<Arguments>, rows: usize },
    Rows(&'a RecordBatch),
}

struct Arguments {
    values: Vec<ArrayRef>,
    filter: Option<BooleanArray>,
}

impl<'a> Prepared<'a> {
    fn new(leaf: &Leaf, batch: &'a RecordBatch) -> Result<Self, EngineError> {
        let LeafState::Aggregate(aggregate) = &leaf.state else {
            return Ok(Prepared::Rows(batch));
        };
        let arguments = |f: &AggregateFunction| {
            let values = evaluate_all(&f.function.expressions(), batch)?;
            let filter = f.filter.as_ref().map(|filter| truth(filter, batch)).transpose()?;
            Ok(Arguments { values, filter })
        };
        Ok(Prepared::Groups {
            keys: evaluate_all(&aggregate.keys, batch)?,
            functions: aggregate
                .functions
                .iter()
                .map(arguments)
                .collect::<Result<_, EngineError>>()?,
            rows: batch.num_rows(),
        })
    }
}

impl Slice {
    fn new(leaf: &Leaf) -> Result<Self, EngineError> {
        Ok(match &leaf.state {
            LeafState::Rows => Slice::Rows(Vec::new()),
            LeafState::Aggregate(aggregate) => Slice::Groups(Groups::new(aggregate)?),
        })
    }

    fn add(
        &mut self,
        leaf: &Leaf,
        prepared: &Prepared<'_>,
        indexes: Option<&UInt32Array>,
    ) -> Result<(), EngineError> {
        match (self, prepared) {
            (Slice::Rows(kept), Prepared::Rows(batch)) => {
                let part = match indexes {
                    Some(indexes) => take_record_batch(batch, indexes)?,
                    None => (*batch).clone(),
                };
                let schema = Arc::clone(&leaf.schema);
                kept.push(RecordBatch::try_new(schema, part.columns().to_vec())?);
                Ok(())
            }
            (Slice::Groups(groups), Prepared::Groups { keys, functions, rows }) => {
                groups.update(keys, functions, *rows, indexes)
            }
            _ => unreachable!("a leaf keeps either rows or groups"),
        }
    }

    /// Takes in the same slice of another worker.
    pub fn merge(&mut self, other: Slice) -> Result<(), EngineError> {
        match (self, other) {
            (Slice::Rows(kept), Slice::Rows(more)) => kept.extend(more),
            (Slice::Groups(groups), Slice::Groups(mut more)) => {
                if more.count() > groups.count() {
                    std::mem::swap(groups, &mut more);
                }
                groups.merge(more)?;
            }
            _ => unreachable!("a leaf keeps either rows or groups"),
        }
        Ok(())
    }

    /// The rows that a closed slice gives to the plan above.
    pub fn finish(self, leaf: &Leaf, end_ms: i64) -> Result<Vec<RecordBatch>, EngineError> {
        match (self, &leaf.state) {
            (Slice::Rows(rows), _) => Ok(rows),
            (Slice::Groups(groups), LeafState::Aggregate(aggregate)) => {
                Ok(vec![groups.finish(leaf, aggregate, end_ms)?])
            }
            (Slice::Groups(_), LeafState::Rows) => unreachable!("a rows leaf has no groups"),
        }
    }
}

/// Partial aggregates by key.
pub struct Groups {
    /// `None` where there is no key: one group for all.
    keys: Option<Box<dyn GroupValues>>,
    accumulators: Vec<Box<dyn GroupsAccumulator>>,
    /// The group of each row, reused from batch to batch.
    indexes: Vec<usize>,
}

impl Groups {
    fn new(aggregate: &Aggregate) -> Result<Self, EngineError> {
        let keys = if aggregate.keys.is_empty() {
            None
        } else {
            let schema = Arc::clone(&aggregate.key_schema);
            Some(new_group_values(schema, &GroupOrdering::None)?)
        };
        let accumulators =
            aggregate.functions.iter().map(accumulator).collect::<Result<_, _>>()?;
        Ok(Self { keys, accumulators, indexes: Vec::new() })
    }

    fn count(&self) -> usize {
        self.keys.as_ref().map_or(1, |keys| keys.len())
    }

    fn update(
        &mut self,
        keys: &[ArrayRef],
        functions: &[Arguments],
        rows: usize,
        part: Option<&UInt32Array>,
    ) -> Result<(), EngineError> {
        let pick = |array: &ArrayRef| match part {
            Some(indexes) => take(array.as_ref(), indexes, None),
            None => Ok(Arc::clone(array)),
        };
        let keys = keys.iter().map(pick).collect::<Result<Vec<_>, _>>()?;
        self.intern(&keys, part.map_or(rows, |part| part.len()))?;
        let count = self.count();
        for (accumulator, arguments) in self.accumulators.iter_mut().zip(functions) {
            let values = arguments.values.iter().map(pick).collect::<Result<Vec<_>, _>>()?;
            let filter = match (&arguments.filter, part) {
                (Some(filter), Some(indexes)) => {
                    Some(take(filter, indexes, None)?.as_boolean().clone())
                }
                (Some(filter), None) => Some(filter.clone()),
                (None, _) => None,
            };
            accumulator.update_batch(&values, &self.indexes, filter.as_ref(), count)?;
        }
        Ok(())
    }

    /// Finds the group of each row.
    fn intern(&mut self, keys: &[ArrayRef], rows: usize) -> Result<(), EngineError> {
        self.indexes.clear();
        match &mut self.keys {
            Some(table) => table.intern(keys, &mut self.indexes)?,
            None => self.indexes.resize(rows, 0),
        }
        Ok(())
    }

    fn merge(&mut self, mut other: Groups) -> Result<(), EngineError> {
        let rows = other.count();
        let keys = match &mut other.keys {
            Some(keys) => keys.emit(EmitTo::All)?,
            None => Vec::new(),
        };
        self.intern(&keys, rows)?;
        let count = self.count();
        for (accumulator, from) in self.accumulators.iter_mut().zip(&mut other.accumulators) {
            let state = from.state(EmitTo::All)?;
            accumulator.merge_batch(&state, &self.indexes, count)?;
        }
        Ok(())
    }

    fn finish(
        mut self,
        leaf: &Leaf,
        aggregate: &Aggregate,
        end_ms: i64,
    ) -> Result<RecordBatch, EngineError> {
        let rows = self.count();
        let keys = match &mut self.keys {
            Some(keys) => keys.emit(EmitTo::All)?,
            None => Vec::new(),
        };
        let values = self
            .accumulators
            .iter_mut()
            .map(|accumulator| accumulator.evaluate(EmitTo::All))
            .collect::<Result<Vec<_>, _>>()?;
        let spec = &leaf.spec;
        let constant = |ms: i64, column: usize| -> ArrayRef {
            let values = TimestampMicrosecondArray::from(vec![ms * 1000; rows]);
            let ty = leaf.schema.field(column).data_type().clone();
            Arc::new(values.with_data_type(ty))
        };
        let columns = aggregate.columns.iter().enumerate().map(|(i, column)| match column {
            AggregateColumn::WindowStart => constant(spec.kind.window_start(end_ms), i),
            AggregateColumn::WindowEnd => constant(end_ms, i),
            AggregateColumn::WindowTime => {
                constant(spec.wall_time.first_instant(end_ms - 1), i)
            }
            AggregateColumn::Key(key) => Arc::clone(&keys[*key]),
            AggregateColumn::Function(function) => Arc::clone(&values[*function]),
        });
        batch(&leaf.schema, columns.collect(), rows)
    }
}

fn accumulator(
    function: &AggregateFunction,
) -> Result<Box<dyn GroupsAccumulator>, EngineError> {
    let function = &function.function;
    if function.groups_accumulator_supported() {
        return Ok(function.create_groups_accumulator()?);
    }
    let function = Arc::clone(function);
    let factory = move || function.create_accumulator();
    Ok(Box::new(GroupsAccumulatorAdapter::new(factory)))
}
