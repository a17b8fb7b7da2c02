//! ARRAY, MAP and ROW: elements, fields, and DataFusion's functions of arrays
//! under Flink's names.
//!
//! An index counts from 1; what is not there is NULL, and so is everything of
//! a NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StructArray, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, cast, is_null, nullif, take};
use arrow::datatypes::{DataType, Field, FieldRef, Int32Type};
use datafusion::common::{Result, exec_err, internal_err, plan_err};
use datafusion::functions_nested as nested;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

use super::arguments::Arguments;
use super::function::{Function, Parameter};
use Parameter::Any;

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let mut all = vec![item(), field(), row(), cardinality(), element()];
    all.extend([
        nested::set_ops::array_distinct_udf(),
        nested::set_ops::array_union_udf(),
        nested::set_ops::array_intersect_udf(),
        nested::except::array_except_udf(),
        nested::reverse::array_reverse_udf(),
        nested::min_max::array_max_udf(),
        nested::min_max::array_min_udf(),
        nested::map_keys::map_keys_udf(),
        nested::map_values::map_values_udf(),
    ]);
    all
}

fn element_type(ty: &DataType) -> Result<DataType> {
    match ty {
        DataType::List(item) => Ok(item.data_type().clone()),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => Ok(fields[1].data_type().clone()),
            other => internal_err!("{other} is no map's entries"),
        },
        other => plan_err!("{} has no elements", super::flink_name(other)),
    }
}

/// `a[1]` and `m['k']`.
pub(super) fn item() -> Arc<ScalarUDF> {
    Function::new("item", &[Any, Any], DataType::Null, |args| {
        let (array, keys) = (args.array(0)?, args.array(1)?);
        match array.data_type() {
            DataType::List(_) => list_item(&array, &keys),
            DataType::Map(..) => map_item(&array, &keys),
            other => exec_err!("{other} has no elements"),
        }
    })
    .coercing(|types| {
        let key = match &types[0] {
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields) => fields[0].data_type().clone(),
                other => other.clone(),
            },
            _ => DataType::Int64,
        };
        Ok(vec![types[0].clone(), key])
    })
    .returning(|types| element_type(&types[0]))
    .udf()
}

fn list_item(array: &ArrayRef, indexes: &ArrayRef) -> Result<ArrayRef> {
    let list = array.as_list::<i32>();
    let indexes = cast(indexes, &DataType::Int64)?;
    let indexes = indexes.as_primitive::<arrow::datatypes::Int64Type>();
    let offsets = list.value_offsets();
    let places = (0..list.len()).map(|row| {
        let index = indexes.is_valid(row).then(|| indexes.value(row))?;
        let length = i64::from(offsets[row + 1] - offsets[row]);
        let there = list.is_valid(row) && (1..=length).contains(&index);
        there.then(|| offsets[row] as u32 + index as u32 - 1)
    });
    Ok(take(list.values(), &places.collect::<UInt32Array>(), None)?)
}

fn map_item(array: &ArrayRef, keys: &ArrayRef) -> Result<ArrayRef> {
    let map = array.as_map();
    let keys = cast(keys, map.keys().data_type())?;
    let compare = make_comparator(map.keys(), &keys, SortOptions::default())?;
    let offsets = map.value_offsets();
    let places = (0..map.len()).map(|row| {
        if map.is_null(row) || keys.is_null(row) {
            return None;
        }
        let entries = offsets[row] as usize..offsets[row + 1] as usize;
        entries.rev().find(|at| compare(*at, row).is_eq()).map(|at| at as u32)
    });
    Ok(take(map.values(), &places.collect::<UInt32Array>(), None)?)
}

/// `row.field`, with the field's declared type.
pub(super) fn field() -> Arc<ScalarUDF> {
    let signature = Signature::any(2, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(FieldOf { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FieldOf {
    signature: Signature,
}

impl ScalarUDFImpl for FieldOf {
    fn name(&self) -> &'static str {
        "field_of"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args says it")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let name = args.scalar_arguments.get(1).copied().flatten();
        let name = name.and_then(|n| n.try_as_str().flatten()).unwrap_or_default();
        let DataType::Struct(fields) = args.arg_fields[0].data_type() else {
            return internal_err!("only a ROW has fields");
        };
        match fields.iter().find(|f| f.name() == name) {
            Some(field) => {
                let nullable = Field::clone(field).with_nullable(true);
                Ok(Arc::new(nullable))
            }
            None => internal_err!("a field that was not looked for: {name}"),
        }
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.args[0].to_array(args.number_rows)?;
        let ColumnarValue::Scalar(name) = &args.args[1] else {
            return internal_err!("the name of a field is a literal");
        };
        let name = name.try_as_str().flatten().unwrap_or_default();
        let Some(column) = rows.as_struct().column_by_name(name) else {
            return internal_err!("the field `{name}` was there when the query was planned");
        };
        if rows.null_count() == 0 {
            return Ok(ColumnarValue::Array(Arc::clone(column)));
        }
        Ok(ColumnarValue::Array(nullif(column, &is_null(&rows)?)?))
    }
}

/// `ROW(a, b)`: its fields are named by their places, as in Flink.
fn row() -> Arc<ScalarUDF> {
    let fields = |types: &[DataType]| {
        let names = (0..types.len()).map(|at| format!("EXPR${at}"));
        names.zip(types).map(|(name, ty)| Field::new(name, ty.clone(), true)).collect()
    };
    Function::new("row", &[Any], DataType::Null, |args| {
        let DataType::Struct(fields) = args.returns else {
            return internal_err!("ROW is a struct");
        };
        let columns = (0..args.len()).map(|at| args.array(at)).collect::<Result<_>>()?;
        Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None)?))
    })
    .repeating()
    .returning(move |types| Ok(DataType::Struct(fields(types))))
    .udf()
}

fn lengths(args: &Arguments<'_>) -> Result<Vec<Option<i32>>> {
    let array = args.array(0)?;
    let offsets = match array.data_type() {
        DataType::List(_) => array.as_list::<i32>().value_offsets(),
        DataType::Map(..) => array.as_map().value_offsets(),
        other => return exec_err!("CARDINALITY takes an ARRAY or a MAP, not {other}"),
    };
    let length = |row: usize| array.is_valid(row).then(|| offsets[row + 1] - offsets[row]);
    Ok((0..array.len()).map(length).collect())
}

fn cardinality() -> Arc<ScalarUDF> {
    Function::new("cardinality", &[Any], DataType::Int32, |args| {
        let lengths = lengths(args)?;
        Ok(args.collect::<Int32Type>(|row| lengths[row]))
    })
    .coercing(|types| match &types[0] {
        DataType::List(_) | DataType::Map(..) => Ok(types.to_vec()),
        other => {
            plan_err!("CARDINALITY takes an ARRAY or a MAP, not {}", super::flink_name(other))
        }
    })
    .udf()
}

/// The only element of an array; more fail, none is NULL.
fn element() -> Arc<ScalarUDF> {
    Function::new("element", &[Any], DataType::Null, |args| {
        if lengths(args)?.into_iter().flatten().any(|length| length > 1) {
            return exec_err!("ELEMENT takes an ARRAY of at most one element");
        }
        let array = args.array(0)?;
        let first: ArrayRef = Arc::new(arrow::array::Int64Array::from_value(1, array.len()));
        list_item(&array, &first)
    })
    .returning(|types| element_type(&types[0]))
    .udf()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int32Array, ListArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    #[test]
    fn an_index_beyond_the_end_is_null() {
        let lists = vec![Some(vec![Some(1), Some(2)]), None, Some(vec![])];
        let lists: ArrayRef =
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists));
        for (index, expected) in [
            (1, vec![Some(1), None, None]),
            (2, vec![Some(2), None, None]),
            (3, vec![None, None, None]),
            (0, vec![None, None, None]),
        ] {
            let indexes: ArrayRef = Arc::new(Int32Array::from(vec![index; 3]));
            let found = list_item(&lists, &indexes).expect("elements");
            assert_eq!(found.as_primitive::<Int32Type>(), &Int32Array::from(expected));
        }
    }
}
