//! Functions of arrays that look at elements one by one: ARRAY_APPEND,
//! ARRAY_PREPEND, ARRAY_CONTAINS, ARRAY_POSITION, ARRAY_SORT.
//!
//! A NULL array gives NULL; a NULL element is an element like any other, except
//! that it has no position.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array, make_comparator};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{SortOptions, cast, concat, take};
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::function::{Function, Parameter};
use crate::planning::coercion::common::common_type;
use Parameter::{Any, Boolean};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![
        added("array_append", End::Back),
        added("array_prepend", End::Front),
        contains(),
        position(),
        sort(),
    ]
}

/// `ARRAY<item>`.
pub(super) fn list_of(item: &DataType) -> DataType {
    DataType::List(Arc::new(Field::new("item", item.clone(), true)))
}

/// The array and the element brought to one type of elements.
fn meet(name: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let common = match &types[0] {
        DataType::List(item) => common_type([item.data_type(), &types[1]]),
        DataType::Null => return Ok(vec![list_of(&types[1]), types[1].clone()]),
        _ => None,
    };
    match common {
        Some(item) => Ok(vec![list_of(&item), item]),
        None => plan_err!(
            "{}(ARRAY, element) got {} and {}",
            name.to_uppercase(),
            super::flink_name(&types[0]),
            super::flink_name(&types[1])
        ),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Front,
    Back,
}

/// `ARRAY_APPEND(array, element)`, `ARRAY_PREPEND(array, element)`.
fn added(name: &'static str, end: End) -> Arc<ScalarUDF> {
    Function::new(name, &[Any, Any], DataType::Null, move |args| {
        let lists = cast(&args.array(0)?, args.returns)?;
        let lists = lists.as_list::<i32>();
        let elements = cast(&args.array(1)?, lists.values().data_type())?;
        with_elements(lists, &elements, end)
    })
    .coercing(move |types| meet(name, types))
    .returning(|types| Ok(types[0].clone()))
    .udf()
}

fn with_elements(lists: &ListArray, elements: &ArrayRef, end: End) -> Result<ArrayRef> {
    let all = concat(&[lists.values().as_ref(), elements.as_ref()])?;
    let first_element = lists.values().len();
    let mut places = Vec::with_capacity(all.len());
    let mut lengths = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let before = places.len();
        if lists.is_valid(row) {
            let element = (first_element + row) as u32;
            let own = range_of(lists, row).map(|at| at as u32);
            match end {
                End::Front => places.extend(std::iter::once(element).chain(own)),
                End::Back => places.extend(own.chain(std::iter::once(element))),
            }
        }
        lengths.push(places.len() - before);
    }
    rebuilt(lists, &all, places, lengths)
}

fn range_of(lists: &ListArray, row: usize) -> std::ops::Range<usize> {
    let offsets = lists.value_offsets();
    offsets[row] as usize..offsets[row + 1] as usize
}

/// Lists with the NULLs of `lists` and the elements of `values` at `places`.
fn rebuilt(
    lists: &ListArray,
    values: &ArrayRef,
    places: Vec<u32>,
    lengths: Vec<usize>,
) -> Result<ArrayRef> {
    let DataType::List(item) = lists.data_type() else {
        return plan_err!("{} is no ARRAY", super::flink_name(lists.data_type()));
    };
    let values = take(values, &UInt32Array::from(places), None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    let list = ListArray::try_new(Arc::clone(item), offsets, values, lists.nulls().cloned())?;
    Ok(Arc::new(list))
}

/// `ARRAY_CONTAINS(array, element)`
fn contains() -> Arc<ScalarUDF> {
    const NAME: &str = "array_contains";
    Function::new(NAME, &[Any, Any], DataType::Boolean, |args| {
        let lists = args.array(0)?;
        let lists = lists.as_list::<i32>();
        let elements = cast(&args.array(1)?, lists.values().data_type())?;
        let compare = make_comparator(lists.values(), &elements, SortOptions::default())?;
        Ok(args.collect_booleans(|row| {
            let found = range_of(lists, row).any(|at| compare(at, row).is_eq());
            lists.is_valid(row).then_some(found)
        }))
    })
    .coercing(|types| meet(NAME, types))
    .udf()
}

/// `ARRAY_POSITION(array, element)`: from 1; 0 if it is not there.
fn position() -> Arc<ScalarUDF> {
    const NAME: &str = "array_position";
    Function::new(NAME, &[Any, Any], DataType::Int32, |args| {
        let lists = args.array(0)?;
        let lists = lists.as_list::<i32>();
        let elements = cast(&args.array(1)?, lists.values().data_type())?;
        let compare = make_comparator(lists.values(), &elements, SortOptions::default())?;
        Ok(args.collect::<Int32Type>(|row| {
            if lists.is_null(row) || elements.is_null(row) {
                return None;
            }
            let found = range_of(lists, row).position(|at| compare(at, row).is_eq());
            Some(found.map_or(0, |at| at as i32 + 1))
        }))
    })
    .coercing(|types| meet(NAME, types))
    .udf()
}

/// `ARRAY_SORT(array[, ascending[, nulls first]])`: NULLs go first when
/// ascending and last when descending, unless it is said.
fn sort() -> Arc<ScalarUDF> {
    Function::new("array_sort", &[Any, Boolean, Boolean], DataType::Null, |args| {
        let lists = args.array(0)?;
        let lists = lists.as_list::<i32>();
        let given = |at: usize| (args.len() > at).then(|| args.booleans(at)).transpose();
        let (ascending, nulls_first) = (given(1)?, given(2)?);
        let orders = [(true, true), (true, false), (false, true), (false, false)].map(
            |(ascending, nulls_first)| {
                let options = SortOptions { descending: !ascending, nulls_first };
                make_comparator(lists.values(), lists.values(), options)
            },
        );
        let [up_first, up_last, down_first, down_last] = orders;
        let orders = [up_first?, up_last?, down_first?, down_last?];
        let mut places: Vec<u32> = Vec::with_capacity(lists.values().len());
        let mut lengths = Vec::with_capacity(lists.len());
        for row in 0..lists.len() {
            let before = places.len();
            if lists.is_valid(row) {
                let ascending = ascending.as_ref().is_none_or(|a| a.value(row));
                let nulls_first = nulls_first.as_ref().map_or(ascending, |n| n.value(row));
                let order = &orders[usize::from(!ascending) * 2 + usize::from(!nulls_first)];
                places.extend(range_of(lists, row).map(|at| at as u32));
                places[before..].sort_by(|a, b| order(*a as usize, *b as usize));
            }
            lengths.push(places.len() - before);
        }
        rebuilt(lists, lists.values(), places, lengths)
    })
    .optional(2)
    .returning(|types| match &types[0] {
        DataType::List(_) => Ok(types[0].clone()),
        other => plan_err!("ARRAY_SORT takes an ARRAY, not {}", super::flink_name(other)),
    })
    .udf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_element_joins_at_either_end() {
        let lists = vec![Some(vec![Some(1), None]), None, Some(vec![])];
        let lists = ListArray::from_iter_primitive::<Int32Type, _, _>(lists);
        let elements: ArrayRef =
            Arc::new(arrow::array::Int32Array::from(vec![Some(9), Some(8), None]));
        let back = with_elements(&lists, &elements, End::Back).expect("lists");
        let expected = vec![Some(vec![Some(1), None, Some(9)]), None, Some(vec![None])];
        let expected = ListArray::from_iter_primitive::<Int32Type, _, _>(expected);
        assert_eq!(back.as_list::<i32>(), &expected);
        let front = with_elements(&lists, &elements, End::Front).expect("lists");
        let expected = vec![Some(vec![Some(9), Some(1), None]), None, Some(vec![None])];
        let expected = ListArray::from_iter_primitive::<Int32Type, _, _>(expected);
        assert_eq!(front.as_list::<i32>(), &expected);
    }
}
