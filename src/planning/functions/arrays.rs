//! Functions of arrays that look at elements one by one: ARRAY_APPEND,
//! ARRAY_PREPEND, ARRAY_CONTAINS, ARRAY_POSITION, ARRAY_REMOVE, ARRAY_CONCAT,
//! ARRAY_SLICE, ARRAY_JOIN, ARRAY_SORT.
//!
//! A NULL array gives NULL; a NULL element is an element like any other, except
//! that it has no position.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt32Array, make_comparator};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, cast, concat, not, nullif, take};
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::arguments::Texts;
use super::function::{Function, Parameter};
use crate::planning::coercion::common::common_type;
use Parameter::{Any, Boolean, Integer, Text};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![
        added("array_append", End::Back),
        added("array_prepend", End::Front),
        contains(),
        position(),
        removed(),
        joined(),
        slice(),
        text(),
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

/// The same, where the element must be of the array's type. Among integers this
/// is not looked at: a literal has no size of its own yet.
fn fits(name: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let met = meet(name, types)?;
    match &types[0] {
        DataType::List(item)
            if !(item.data_type().is_null()
                || item.data_type().is_integer() && types[1].is_integer())
                && super::flink_name(item.data_type()) != super::flink_name(&met[1]) =>
        {
            plan_err!(
                "{} looks for {} in {}",
                name.to_uppercase(),
                super::flink_name(&types[1]),
                super::flink_name(&types[0])
            )
        }
        _ => Ok(met),
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
    .coercing(|types| fits(NAME, types))
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
    .coercing(|types| fits(NAME, types))
    .udf()
}

/// `ARRAY_REMOVE(array, element)`: the array without all that equal it, a NULL
/// too.
fn removed() -> Arc<ScalarUDF> {
    const NAME: &str = "array_remove";
    Function::new(NAME, &[Any, Any], DataType::Null, |args| {
        let lists = cast(&args.array(0)?, args.returns)?;
        let lists = lists.as_list::<i32>();
        let elements = cast(&args.array(1)?, lists.values().data_type())?;
        let compare = make_comparator(lists.values(), &elements, SortOptions::default())?;
        chosen(lists, |row| {
            range_of(lists, row).filter(|at| compare(*at, row).is_ne()).collect()
        })
    })
    .coercing(|types| fits(NAME, types))
    .returning(|types| Ok(types[0].clone()))
    .udf()
}

/// Lists of the elements at the places that `places` gives for a row.
fn chosen(lists: &ListArray, places: impl Fn(usize) -> Vec<usize>) -> Result<ArrayRef> {
    let (mut all, mut lengths) = (Vec::new(), Vec::with_capacity(lists.len()));
    for row in 0..lists.len() {
        let own = if lists.is_valid(row) { places(row) } else { Vec::new() };
        lengths.push(own.len());
        all.extend(own.into_iter().map(|at| at as u32));
    }
    rebuilt(lists, lists.values(), all, lengths)
}

/// `ARRAY_CONCAT(array, …)`: NULL if one of them is.
fn joined() -> Arc<ScalarUDF> {
    Function::new("array_concat", &[Any, Any], DataType::Null, |args| {
        let arrays = (0..args.len()).map(|at| Ok(cast(&args.array(at)?, args.returns)?));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let lists: Vec<&ListArray> = arrays.iter().map(|array| array.as_list()).collect();
        let values: Vec<&dyn Array> = lists.iter().map(|list| list.values().as_ref()).collect();
        let nulls = lists.iter().fold(None, |nulls: Option<NullBuffer>, list| {
            NullBuffer::union(nulls.as_ref(), list.nulls())
        });
        let (mut places, mut lengths) = (Vec::new(), Vec::new());
        for row in 0..args.rows {
            let before = places.len();
            let is_valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
            let mut first = 0;
            for list in lists.iter().filter(|_| is_valid) {
                places.extend(range_of(list, row).map(|at| (first + at) as u32));
                first += list.values().len();
            }
            lengths.push(places.len() - before);
        }
        let DataType::List(item) = args.returns else {
            return plan_err!("ARRAY_CONCAT takes ARRAYs");
        };
        let values = take(&concat(&values)?, &UInt32Array::from(places), None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, values, nulls)?))
    })
    .coercing(|types| {
        let items = types.iter().map(|ty| match ty {
            DataType::List(item) => Ok(item.data_type()),
            DataType::Null => Ok(&DataType::Null),
            other => {
                plan_err!("ARRAY_CONCAT takes ARRAYs, not {}", super::flink_name(other))
            }
        });
        match common_type(items.collect::<Result<Vec<_>>>()?) {
            Some(item) => Ok(vec![list_of(&item); types.len()]),
            None => plan_err!("the ARRAYs of ARRAY_CONCAT have no type in common"),
        }
    })
    .returning(|types| Ok(types[0].clone()))
    .repeating()
    .udf()
}

/// `ARRAY_SLICE(array, first[, last])`: both counted from 1, or from the end if
/// they are negative; 0 is 1.
fn slice() -> Arc<ScalarUDF> {
    Function::new("array_slice", &[Any, Integer, Integer], DataType::Null, |args| {
        let lists = args.array(0)?;
        let lists = lists.as_list::<i32>();
        let first = args.integers(1)?;
        let last = (args.len() > 2).then(|| args.integers(2)).transpose()?;
        let bounds = |row: usize| {
            let last = last.as_ref().map_or(Some(-1), |last| last.get(row));
            first.get(row).zip(last)
        };
        let known = (0..lists.len()).map(|row| bounds(row).is_some()).collect();
        let slices = chosen(lists, |row| {
            let own = range_of(lists, row);
            let Some((first, last)) = bounds(row) else { return Vec::new() };
            let length = own.len() as i64;
            let place =
                |at: i64| if at < 0 { at.saturating_add(length + 1) } else { at }.max(1);
            let (first, last) = (place(first), place(last).min(length));
            let places = first..=last;
            places.map(|at| own.start + at as usize - 1).collect()
        })?;
        Ok(nullif(&slices, &not(&known)?)?)
    })
    .coercing(|types| match &types[0] {
        DataType::List(_) => Ok(types.to_vec()),
        other => plan_err!("ARRAY_SLICE takes an ARRAY, not {}", super::flink_name(other)),
    })
    .returning(|types| Ok(types[0].clone()))
    .optional(1)
    .udf()
}

/// `ARRAY_JOIN(array, separator[, instead of NULL])`: the strings of an array
/// as one; NULLs are left out unless something is to stand for them.
fn text() -> Arc<ScalarUDF> {
    Function::new("array_join", &[Any, Text, Text], DataType::Utf8View, |args| {
        let lists = args.array(0)?;
        let lists = lists.as_list::<i32>();
        let items = Texts::of_array(&cast(lists.values(), &DataType::Utf8View)?);
        let (separators, instead) = (args.texts(1)?, args.texts_if_given(2)?);
        Ok(args.write_texts(|row, out| {
            let separator = separators.get(row).filter(|_| lists.is_valid(row))?;
            let instead = match &instead {
                Some(instead) => Some(instead.get(row)?),
                None => None,
            };
            let items = range_of(lists, row).filter_map(|at| items.get(at).or(instead));
            for (at, item) in items.enumerate() {
                if at > 0 {
                    out.push_str(separator);
                }
                out.push_str(item);
            }
            Some(())
        }))
    })
    .coercing(|types| {
        let list = match &types[0] {
            DataType::List(item)
                if item.data_type().is_string() || item.data_type().is_null() =>
            {
                list_of(&DataType::Utf8View)
            }
            DataType::Null => list_of(&DataType::Utf8View),
            other => {
                return plan_err!(
                    "ARRAY_JOIN takes an ARRAY<STRING>, not {}",
                    super::flink_name(other)
                );
            }
        };
        Ok(std::iter::once(list).chain(types[1..].iter().cloned()).collect())
    })
    .optional(1)
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
