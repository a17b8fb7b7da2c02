//! Partial aggregates by key: the open table that rows fold into, and the
//! immutable columns that it becomes once no row can reach it.

use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::GroupsAccumulatorAdapter;
use datafusion::physical_plan::aggregates::group_values::{GroupValues, new_group_values};
use datafusion::physical_plan::aggregates::order::GroupOrdering;

use super::cut;
use super::error::EngineError;
use super::ops::{evaluate_all, truth};
use crate::planning::pipeline::{Aggregate, AggregateFunction};

/// Keys and function arguments of a batch, evaluated once.
pub struct Evaluated {
    keys: Vec<ArrayRef>,
    functions: Vec<Arguments>,
    rows: usize,
}

struct Arguments {
    values: Vec<ArrayRef>,
    filter: Option<BooleanArray>,
}

impl Evaluated {
    pub fn new(aggregate: &Aggregate, batch: &RecordBatch) -> Result<Self, EngineError> {
        let arguments = |f: &AggregateFunction| {
            let values = evaluate_all(&f.function.expressions(), batch)?;
            let filter = f.filter.as_ref().map(|filter| truth(filter, batch)).transpose()?;
            Ok(Arguments { values, filter })
        };
        Ok(Self {
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

/// Partial aggregates that rows are folded into.
pub struct Groups {
    /// `None` where there is no key: one group for all.
    keys: Option<Box<dyn GroupValues>>,
    accumulators: Accumulators,
    /// The group of each row, reused from batch to batch.
    indexes: Vec<usize>,
}

/// Partial aggregates that have become columns: a row a key.
#[derive(Debug, Clone)]
pub struct Partial {
    pub keys: Vec<ArrayRef>,
    /// The state columns of each function.
    pub states: Vec<Vec<ArrayRef>>,
    pub rows: usize,
}

impl Partial {
    /// Its columns side by side.
    pub fn to_batch(&self) -> Result<RecordBatch, EngineError> {
        let states = self.states.iter().flatten();
        cut::anonymous(self.keys.iter().chain(states).cloned().collect(), self.rows)
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let columns = self.keys.iter().chain(self.states.iter().flatten());
        columns.map(|column| column.get_array_memory_size()).sum()
    }

    pub fn from_batch(aggregate: &Aggregate, batch: &RecordBatch) -> Result<Self, EngineError> {
        let mut columns = batch.columns().iter().cloned();
        let mut take = |count: usize| columns.by_ref().take(count).collect::<Vec<_>>();
        let keys = take(aggregate.keys.len());
        let mut states = Vec::with_capacity(aggregate.functions.len());
        for function in &aggregate.functions {
            states.push(take(function.function.state_fields()?.len()));
        }
        let given: usize = keys.len() + states.iter().map(Vec::len).sum::<usize>();
        if given != batch.num_columns() {
            return Err(cut::misfit("another number of columns", None));
        }
        Ok(Self { keys, states, rows: batch.num_rows() })
    }
}

impl Groups {
    pub fn new(aggregate: &Aggregate) -> Result<Self, EngineError> {
        let keys = if aggregate.keys.is_empty() {
            None
        } else {
            let schema = Arc::clone(&aggregate.key_schema);
            Some(new_group_values(schema, &GroupOrdering::None)?)
        };
        Ok(Self { keys, accumulators: Accumulators::new(aggregate)?, indexes: Vec::new() })
    }

    fn count(&self) -> usize {
        self.keys.as_ref().map_or(1, |keys| keys.len())
    }

    /// Folds in the rows of a batch, or those at `part`. Gives the group of
    /// each row.
    pub fn update(
        &mut self,
        rows: &Evaluated,
        part: Option<&UInt32Array>,
    ) -> Result<&[usize], EngineError> {
        let pick = |array: &ArrayRef| match part {
            Some(indexes) => take(array.as_ref(), indexes, None),
            None => Ok(Arc::clone(array)),
        };
        let keys = rows.keys.iter().map(pick).collect::<Result<Vec<_>, _>>()?;
        self.intern(&keys, part.map_or(rows.rows, |part| part.len()))?;
        let count = self.count();
        for (accumulator, arguments) in self.accumulators.0.iter_mut().zip(&rows.functions) {
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
        Ok(&self.indexes)
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let keys = self.keys.as_ref().map_or(0, |keys| keys.size());
        keys + self.accumulators.0.iter().map(|a| a.size()).sum::<usize>()
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

    /// Takes in the groups of another table.
    pub fn merge(&mut self, mut other: Groups) -> Result<(), EngineError> {
        if other.count() > self.count() {
            std::mem::swap(self, &mut other);
        }
        self.absorb(&other.into_partial()?)
    }

    pub fn absorb(&mut self, partial: &Partial) -> Result<(), EngineError> {
        self.intern(&partial.keys, partial.rows)?;
        let count = self.count();
        self.accumulators.merge(&partial.states, &self.indexes, count)
    }

    pub fn into_partial(mut self) -> Result<Partial, EngineError> {
        let rows = self.count();
        Ok(Partial { keys: self.emit_keys()?, states: self.accumulators.states()?, rows })
    }

    /// Keys, the functions' values, and how many groups there are.
    pub fn finish(mut self) -> Result<(Vec<ArrayRef>, Vec<ArrayRef>, usize), EngineError> {
        let rows = self.count();
        Ok((self.emit_keys()?, self.accumulators.finish()?, rows))
    }

    fn emit_keys(&mut self) -> Result<Vec<ArrayRef>, EngineError> {
        Ok(match &mut self.keys {
            Some(keys) => keys.emit(EmitTo::All)?,
            None => Vec::new(),
        })
    }
}

/// One accumulator a function; each has a value for every group.
pub struct Accumulators(Vec<Box<dyn GroupsAccumulator>>);

impl Accumulators {
    pub fn new(aggregate: &Aggregate) -> Result<Self, EngineError> {
        let all = aggregate.functions.iter().map(accumulator).collect::<Result<_, _>>()?;
        Ok(Self(all))
    }

    /// Merges states, row `i` into group `indexes[i]` of `count`.
    pub fn merge(
        &mut self,
        states: &[Vec<ArrayRef>],
        indexes: &[usize],
        count: usize,
    ) -> Result<(), EngineError> {
        for (accumulator, state) in self.0.iter_mut().zip(states) {
            accumulator.merge_batch(state, indexes, count)?;
        }
        Ok(())
    }

    pub fn states(&mut self) -> Result<Vec<Vec<ArrayRef>>, EngineError> {
        Ok(self.0.iter_mut().map(|a| a.state(EmitTo::All)).collect::<Result<_, _>>()?)
    }

    pub fn finish(&mut self) -> Result<Vec<ArrayRef>, EngineError> {
        Ok(self.0.iter_mut().map(|a| a.evaluate(EmitTo::All)).collect::<Result<_, _>>()?)
    }
}

/// The states that each row of `batch` gives by itself, a row each.
pub fn states_of_rows(
    aggregate: &Aggregate,
    batch: &RecordBatch,
) -> Result<Vec<Vec<ArrayRef>>, EngineError> {
    let mut accumulators = Accumulators::new(aggregate)?;
    let rows = Evaluated::new(aggregate, batch)?;
    let indexes: Vec<usize> = (0..rows.rows).collect();
    for (accumulator, arguments) in accumulators.0.iter_mut().zip(&rows.functions) {
        let filter = arguments.filter.as_ref();
        accumulator.update_batch(&arguments.values, &indexes, filter, rows.rows)?;
    }
    accumulators.states()
}

/// What the functions say of no rows at all.
pub fn values_of_nothing(aggregate: &Aggregate) -> Result<Vec<ArrayRef>, EngineError> {
    let value =
        |f: &AggregateFunction| Ok(f.function.create_accumulator()?.evaluate()?.to_array()?);
    aggregate.functions.iter().map(value).collect()
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
