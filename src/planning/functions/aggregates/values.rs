//! Walks the values of a batch that count: not NULL and not filtered out.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, BooleanArray, PrimitiveArray};
use datafusion::common::Result;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};

/// Calls `each` with the group and the value of every row that counts.
pub fn for_each<T: ArrowPrimitiveType>(
    values: &PrimitiveArray<T>,
    groups: &[usize],
    filter: Option<&BooleanArray>,
    mut each: impl FnMut(usize, T::Native),
) {
    debug_assert_eq!(values.len(), groups.len(), "every row has a group");
    if values.null_count() == 0 && filter.is_none() {
        for (group, value) in groups.iter().zip(values.values()) {
            each(*group, *value);
        }
        return;
    }
    for (row, (group, value)) in groups.iter().zip(values.values()).enumerate() {
        if values.is_valid(row) && passes(filter, row) {
            each(*group, *value);
        }
    }
}

/// Whether a row passes the FILTER clause; an unknown condition does not.
pub fn passes(filter: Option<&BooleanArray>, row: usize) -> bool {
    filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row))
}

/// The states of a batch in which every row is a group of its own; `empty` has
/// seen nothing yet.
pub fn states_of_rows(
    mut empty: impl GroupsAccumulator,
    arguments: &[ArrayRef],
    filter: Option<&BooleanArray>,
) -> Result<Vec<ArrayRef>> {
    let rows: Vec<usize> = (0..arguments[0].len()).collect();
    empty.update_batch(arguments, &rows, filter, rows.len())?;
    empty.state(EmitTo::All)
}
