//! Functions that make maps, and MAP_ENTRIES, which takes one apart:
//! `MAP[…]`, MAP_FROM_ARRAYS, MAP_UNION, STR_TO_MAP.
//!
//! Of equal keys the last one counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, StringViewBuilder, StructArray, UInt32Array,
    make_comparator,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{SortOptions, cast, concat, take};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::arrays::list_of;
use super::function::{Function, Parameter};
use crate::planning::coercion::common::common_type;
use Parameter::{Any, Text};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![literal(), from_arrays(), union(), str_to_map(), entries_of()]
}

fn map_of(key: &DataType, value: &DataType) -> DataType {
    let entries = Fields::from(vec![
        Field::new("key", key.clone(), false),
        Field::new("value", value.clone(), true),
    ]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entries), false)), false)
}

fn maps(
    ty: &DataType,
    keys: ArrayRef,
    values: ArrayRef,
    lengths: Vec<usize>,
    nulls: Option<NullBuffer>,
) -> Result<ArrayRef> {
    let DataType::Map(entries, sorted) = ty else { return exec_err!("{ty} is no MAP") };
    let DataType::Struct(fields) = entries.data_type() else {
        return exec_err!("{ty} has no entries");
    };
    let columns = StructArray::try_new(fields.clone(), vec![keys, values], None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, columns, nulls, *sorted)?))
}

/// `MAP[key, value, …]`.
pub(super) fn literal() -> Arc<ScalarUDF> {
    Function::new("map", &[Any], DataType::Null, |args| {
        let arrays = (0..args.len()).map(|at| args.array(at)).collect::<Result<Vec<_>>>()?;
        let column = |first: usize| {
            let arrays = arrays.iter().skip(first).step_by(2).map(AsRef::as_ref);
            concat(&arrays.collect::<Vec<&dyn Array>>())
        };
        let (keys, values) = (column(0)?, column(1)?);
        if keys.null_count() > 0 {
            return exec_err!("a key of a MAP is NULL");
        }
        let compare = make_comparator(&keys, &keys, SortOptions::default())?;
        let (mut key_places, mut value_places) = (Vec::<u32>::new(), Vec::<u32>::new());
        let mut lengths = Vec::with_capacity(args.rows);
        for row in 0..args.rows {
            let before = key_places.len();
            for at in (0..args.len() / 2).map(|pair| pair * args.rows + row) {
                let same = |earlier: &u32| compare(*earlier as usize, at).is_eq();
                match key_places[before..].iter().position(same) {
                    Some(earlier) => value_places[before + earlier] = at as u32,
                    None => {
                        key_places.push(at as u32);
                        value_places.push(at as u32);
                    }
                }
            }
            lengths.push(key_places.len() - before);
        }
        let keys = take(&keys, &UInt32Array::from(key_places), None)?;
        let values = take(&values, &UInt32Array::from(value_places), None)?;
        maps(args.returns, keys, values, lengths, None)
    })
    .coercing(|types| {
        let common = |first: usize| common_type(types.iter().skip(first).step_by(2));
        match (common(0), common(1)) {
            (Some(key), Some(value)) if types.len() % 2 == 0 => {
                let pair = [key, value];
                Ok(pair.iter().cycle().take(types.len()).cloned().collect())
            }
            (Some(_), Some(_)) => plan_err!("a key of a MAP has no value"),
            (None, _) => plan_err!("the keys of a MAP have no type in common"),
            (_, None) => plan_err!("the values of a MAP have no type in common"),
        }
    })
    .returning(|types| Ok(map_of(&types[0], &types[1])))
    .repeating()
    .udf()
}

/// `MAP_FROM_ARRAYS(keys, values)`: as many of one as of the other.
fn from_arrays() -> Arc<ScalarUDF> {
    Function::new("map_from_arrays", &[Any, Any], DataType::Null, |args| {
        let (keys, values) = (args.array(0)?, args.array(1)?);
        let (keys, values) = (keys.as_list::<i32>(), values.as_list::<i32>());
        let nulls = NullBuffer::union(keys.nulls(), values.nulls());
        let (mut key_places, mut value_places, mut lengths) =
            (Vec::new(), Vec::new(), Vec::new());
        for row in 0..args.rows {
            if keys.is_null(row) || values.is_null(row) {
                lengths.push(0);
                continue;
            }
            let own = |offsets: &[i32]| offsets[row] as u32..offsets[row + 1] as u32;
            let (own_keys, own_values) =
                (own(keys.value_offsets()), own(values.value_offsets()));
            if own_keys.len() != own_values.len() {
                return exec_err!(
                    "MAP_FROM_ARRAYS got {} keys and {} values",
                    own_keys.len(),
                    own_values.len()
                );
            }
            lengths.push(own_keys.len());
            key_places.extend(own_keys);
            value_places.extend(own_values);
        }
        let keys = take(keys.values(), &UInt32Array::from(key_places), None)?;
        let values = take(values.values(), &UInt32Array::from(value_places), None)?;
        if keys.null_count() > 0 {
            return exec_err!("a key of a MAP is NULL");
        }
        maps(args.returns, keys, values, lengths, nulls)
    })
    .returning(|types| match (&types[0], &types[1]) {
        (DataType::List(key), DataType::List(value)) => {
            Ok(map_of(key.data_type(), value.data_type()))
        }
        _ => plan_err!("MAP_FROM_ARRAYS takes two ARRAYs"),
    })
    .udf()
}

/// `MAP_UNION(map, …)`.
fn union() -> Arc<ScalarUDF> {
    Function::new("map_union", &[Any], DataType::Null, |args| {
        let arrays = (0..args.len())
            .map(|at| Ok(cast(&args.array(at)?, args.returns)?))
            .collect::<Result<Vec<_>>>()?;
        let all: Vec<&MapArray> = arrays.iter().map(|array| array.as_map()).collect();
        let key_columns: Vec<&dyn Array> = all.iter().map(|m| m.keys().as_ref()).collect();
        let value_columns: Vec<&dyn Array> = all.iter().map(|m| m.values().as_ref()).collect();
        let (keys, values) = (concat(&key_columns)?, concat(&value_columns)?);
        let compare = make_comparator(&keys, &keys, SortOptions::default())?;
        let nulls = all.iter().fold(None, |nulls: Option<NullBuffer>, map| {
            NullBuffer::union(nulls.as_ref(), map.nulls())
        });
        let (mut places, mut lengths) = (Vec::<u32>::new(), Vec::new());
        for row in 0..args.rows {
            let before = places.len();
            let mut start = 0;
            for map in &all {
                let offsets = map.value_offsets();
                let valid = nulls.as_ref().is_none_or(|n| n.is_valid(row));
                for at in (offsets[row]..offsets[row + 1]).filter(|_| valid) {
                    let at = start + at as usize;
                    let same = |p: &u32| compare(*p as usize, at).is_eq();
                    match places[before..].iter().position(same) {
                        Some(earlier) => places[before + earlier] = at as u32,
                        None => places.push(at as u32),
                    }
                }
                start += map.keys().len();
            }
            lengths.push(places.len() - before);
        }
        let places = UInt32Array::from(places);
        let (keys, values) = (take(&keys, &places, None)?, take(&values, &places, None)?);
        maps(args.returns, keys, values, lengths, nulls)
    })
    .repeating()
    .returning(|types| match types.first() {
        Some(first @ DataType::Map(..)) => Ok(first.clone()),
        _ => plan_err!("MAP_UNION takes MAPs"),
    })
    .udf()
}

/// `STR_TO_MAP(text[, between entries[, between key and value]])`: by `,` and
/// `=` unless others are given; a key without a value has NULL.
fn str_to_map() -> Arc<ScalarUDF> {
    let returns = map_of(&DataType::Utf8View, &DataType::Utf8View);
    Function::new("str_to_map", &[Text, Text, Text], returns, |args| {
        let texts = args.texts(0)?;
        let (entry_ends, key_ends) = (args.texts_if_given(1)?, args.texts_if_given(2)?);
        let (mut keys, mut values) = (StringViewBuilder::new(), StringViewBuilder::new());
        let (mut lengths, mut valid) = (Vec::new(), Vec::new());
        for row in 0..args.rows {
            let between = entry_ends.as_ref().map_or(Some(","), |e| e.get(row));
            let after_key = key_ends.as_ref().map_or(Some("="), |k| k.get(row));
            let (Some(text), Some(between), Some(after_key)) =
                (texts.get(row), between, after_key)
            else {
                lengths.push(0);
                valid.push(false);
                continue;
            };
            let entries = entries(text, between, after_key);
            lengths.push(entries.len());
            valid.push(true);
            for (key, value) in entries {
                keys.append_value(key);
                values.append_option(value);
            }
        }
        let (keys, values) = (Arc::new(keys.finish()), Arc::new(values.finish()));
        maps(args.returns, keys, values, lengths, Some(NullBuffer::from(valid)))
    })
    .optional(2)
    .udf()
}

/// `MAP_ENTRIES(map)`: an ARRAY of ROWs `key` and `value`, in the map's order.
fn entries_of() -> Arc<ScalarUDF> {
    Function::new("map_entries", &[Any], DataType::Null, |args| {
        let maps = args.array(0)?;
        let maps = maps.as_map();
        let DataType::List(item) = args.returns else { return exec_err!("no ARRAY") };
        let entries: ArrayRef = Arc::new(maps.entries().clone());
        let (offsets, nulls) = (maps.offsets().clone(), maps.nulls().cloned());
        Ok(Arc::new(ListArray::try_new(Arc::clone(item), offsets, entries, nulls)?))
    })
    .returning(|types| match &types[0] {
        DataType::Map(entries, _) => Ok(list_of(entries.data_type())),
        other => plan_err!("MAP_ENTRIES takes a MAP, not {}", super::flink_name(other)),
    })
    .udf()
}

fn entries<'t>(
    text: &'t str,
    between: &str,
    after_key: &str,
) -> BTreeMap<&'t str, Option<&'t str>> {
    let mut found = BTreeMap::new();
    for entry in text.split(between).filter(|entry| !entry.is_empty()) {
        match entry.split_once(after_key) {
            Some((key, value)) => found.insert(key, Some(value)),
            None => found.insert(entry, None),
        };
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_becomes_entries() {
        let found: Vec<_> = entries("b=2,a=1=x,c,b=3", ",", "=").into_iter().collect();
        assert_eq!(found, [("a", Some("1=x")), ("b", Some("3")), ("c", None)]);
    }
}
