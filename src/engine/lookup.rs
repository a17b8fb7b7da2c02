//! Joins a batch with the rows that a table holds.

use arrow::array::{ArrayRef, BooleanArray, UInt32Array};
use arrow::compute::take;

use super::error::EngineError;
use super::ops::{batch, evaluate_all, fitting, truth};
use super::rows::Rows;
use crate::planning::pipeline::Lookup;

/// Each row with every row of the table that it meets, in their order; with
/// NULLs if it meets none and may stay.
pub fn look_up(lookup: &Lookup, rows: &Rows) -> Result<Rows, EngineError> {
    let table = lookup.table.load()?;
    let keys = evaluate_all(&lookup.keys, &rows.batch)?;
    let (mut left, mut right) = (Vec::new(), Vec::new());
    for (row, met) in (0u32..).zip(table.find(&keys)?) {
        left.extend(std::iter::repeat_n(row, met.len()));
        right.extend(met.iter().copied().map(Some));
    }
    if let Some(filter) = &lookup.filter {
        let pairs = paired(lookup, rows, left.clone(), right.clone())?;
        let mask = truth(filter, &pairs.batch)?;
        left = kept(left, &mask);
        right = kept(right, &mask);
    }
    if lookup.outer {
        (left, right) = with_the_unmet(&left, &right, rows.batch.num_rows());
    }
    paired(lookup, rows, left, right)
}

fn kept<T>(all: Vec<T>, mask: &BooleanArray) -> Vec<T> {
    all.into_iter().zip(mask.values()).filter_map(|(one, keep)| keep.then_some(one)).collect()
}

/// The pairs, and each row of `count` that is in none of them with no partner.
fn with_the_unmet(
    left: &[u32],
    right: &[Option<u32>],
    count: usize,
) -> (Vec<u32>, Vec<Option<u32>>) {
    let mut pairs = left.iter().copied().zip(right.iter().copied()).peekable();
    let mut all = Vec::with_capacity(count.max(left.len()));
    for row in (0u32..).take(count) {
        let before = all.len();
        while let Some(pair) = pairs.next_if(|(of, _)| *of == row) {
            all.push(pair);
        }
        if all.len() == before {
            all.push((row, None));
        }
    }
    all.into_iter().unzip()
}

fn paired(
    lookup: &Lookup,
    rows: &Rows,
    left: Vec<u32>,
    right: Vec<Option<u32>>,
) -> Result<Rows, EngineError> {
    let table = lookup.table.load()?;
    let rows = rows.take(&UInt32Array::from(left))?;
    let right = UInt32Array::from(right);
    let mut columns: Vec<ArrayRef> = rows.batch.columns().to_vec();
    for column in table.rows().columns() {
        columns.push(take(column, &right, None)?);
    }
    let joined = batch(&fitting(&lookup.schema, &columns), columns, rows.batch.num_rows())?;
    Ok(rows.with_batch(joined))
}
