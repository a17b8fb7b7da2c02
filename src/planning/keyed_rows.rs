//! The rows of a table that others are joined with, by key.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::row::{OwnedRow, RowConverter, SortField};
use datafusion::common::Result;
use datafusion::physical_expr::PhysicalExpr;

use super::closed_plan::ClosedPlan;

/// A bounded plan whose rows are found by their keys, loaded once.
pub struct KeyedRows {
    plan: ClosedPlan,
    keys: Vec<Arc<dyn PhysicalExpr>>,
    loaded: Mutex<Option<Arc<LoadedRows>>>,
}

/// The rows, in memory.
pub struct LoadedRows {
    rows: RecordBatch,
    converter: RowConverter,
    by_key: HashMap<OwnedRow, Vec<u32>>,
}

impl fmt::Debug for KeyedRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.plan.fmt(f)
    }
}

impl KeyedRows {
    /// `keys` are over the plan's columns.
    pub fn new(plan: ClosedPlan, keys: Vec<Arc<dyn PhysicalExpr>>) -> Self {
        Self { plan, keys, loaded: Mutex::default() }
    }

    /// The rows, which are loaded the first time.
    ///
    /// # Errors
    /// Those of the plan. The next call tries again.
    pub fn load(&self) -> Result<Arc<LoadedRows>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rows) = loaded.as_ref() {
            return Ok(Arc::clone(rows));
        }
        let batches = futures::executor::block_on(self.plan.run(Vec::new()))?;
        let rows = concat_batches(&self.plan.schema(), &batches)?;
        let rows = LoadedRows::new(rows, &self.keys)?;
        Ok(Arc::clone(loaded.insert(Arc::new(rows))))
    }
}

impl LoadedRows {
    fn new(rows: RecordBatch, keys: &[Arc<dyn PhysicalExpr>]) -> Result<Self> {
        let columns = keys
            .iter()
            .map(|key| key.evaluate(&rows)?.into_array(rows.num_rows()))
            .collect::<Result<Vec<_>>>()?;
        let fields =
            columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let converter = RowConverter::new(fields)?;
        let keyed = converter.convert_columns(&columns)?;
        let mut by_key: HashMap<OwnedRow, Vec<u32>> = HashMap::new();
        for (number, key) in (0u32..).zip(&keyed) {
            if !has_null(&columns, number as usize) {
                by_key.entry(key.owned()).or_default().push(number);
            }
        }
        Ok(Self { rows, converter, by_key })
    }

    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    /// For each key the numbers of the rows that have it; none where it is NULL.
    pub fn find<'a>(
        &'a self,
        keys: &'a [ArrayRef],
    ) -> Result<impl Iterator<Item = &'a [u32]> + 'a> {
        let keyed = self.converter.convert_columns(keys)?;
        Ok((0..keyed.num_rows()).map(move |number| match has_null(keys, number) {
            true => &[][..],
            false => self.by_key.get(&keyed.row(number).owned()).map_or(&[][..], Vec::as_slice),
        }))
    }
}

fn has_null(columns: &[ArrayRef], row: usize) -> bool {
    columns.iter().any(|column| column.is_null(row))
}
