//! COLLECT: the values that are not NULL and how often each came, as a MULTISET.
//!
//! A MULTISET is a map from value to count, as Flink stores it. Its entries are
//! sorted, so that equal input makes equal files. No value: an empty one.
//!
//! Source: Flink's `CollectAggFunction`.

use std::collections::HashMap;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, MapArray, StructArray, new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{sort_to_indices, take};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Int32Type};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{Accumulator, AggregateUDFImpl, Signature, Volatility};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Collect {
    signature: Signature,
}

impl Collect {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

/// `MULTISET<ty>` in Arrow.
fn multiset(ty: &DataType) -> DataType {
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(entry(ty)), false)), false)
}

fn entry(ty: &DataType) -> Fields {
    let fields =
        [Field::new("key", ty.clone(), false), Field::new("value", DataType::Int32, false)];
    Fields::from(fields.to_vec())
}

impl AggregateUDFImpl for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [ty] if !ty.is_null() => Ok(types.to_vec()),
            [_] => plan_err!("COLLECT takes a value with a type; CAST the NULL"),
            _ => plan_err!("COLLECT takes one argument, not {}", types.len()),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(multiset(&types[0]))
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let ty = args.input_fields[0].data_type().clone();
        let list = |name: &str, ty: DataType| {
            let item = Field::new_list_field(ty, true);
            Arc::new(Field::new_list(format_state_name(args.name, name), item, true))
        };
        Ok(vec![list("values", ty), list("counts", DataType::Int32)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let ty = args.expr_fields[0].data_type().clone();
        Ok(Box::new(Collected { ty, is_distinct: args.is_distinct, counts: HashMap::new() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

#[derive(Debug)]
struct Collected {
    ty: DataType,
    is_distinct: bool,
    counts: HashMap<ScalarValue, i32>,
}

impl Collected {
    fn add(&mut self, values: &dyn Array, counts: Option<&Int32Array>) -> Result<()> {
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let value = ScalarValue::try_from_array(values, row)?;
            let more = counts.map_or(1, |counts| counts.value(row));
            match self.counts.get_mut(&value) {
                Some(_) if self.is_distinct => {}
                Some(count) => *count = count.wrapping_add(more),
                None => {
                    let mut value = value;
                    value.compact();
                    self.counts.insert(value, if self.is_distinct { 1 } else { more });
                }
            }
        }
        Ok(())
    }

    /// Values and counts, sorted by value where values have an order.
    fn sorted(&self) -> Result<(ArrayRef, ArrayRef)> {
        if self.counts.is_empty() {
            return Ok((new_empty_array(&self.ty), new_empty_array(&DataType::Int32)));
        }
        let (values, counts): (Vec<_>, Vec<_>) =
            self.counts.iter().map(|(value, count)| (value.clone(), *count)).unzip();
        let values = ScalarValue::iter_to_array(values)?;
        let counts: ArrayRef = Arc::new(Int32Array::from(counts));
        match sort_to_indices(&values, None, None) {
            Ok(order) => Ok((take(&values, &order, None)?, take(&counts, &order, None)?)),
            Err(_) => Ok((values, counts)),
        }
    }
}

impl Accumulator for Collected {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.add(values[0].as_ref(), None)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let (values, counts) = (states[0].as_list::<i32>(), states[1].as_list::<i32>());
        for (values, counts) in values.iter().zip(counts.iter()) {
            if let (Some(values), Some(counts)) = (values, counts) {
                self.add(values.as_ref(), Some(counts.as_primitive::<Int32Type>()))?;
            }
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let (values, counts) = self.sorted()?;
        let list = |array: ArrayRef| {
            let field = Arc::new(Field::new_list_field(array.data_type().clone(), true));
            let ends = OffsetBuffer::from_lengths([array.len()]);
            let list = arrow::array::ListArray::try_new(field, ends, array, None)?;
            Ok(ScalarValue::List(Arc::new(list)))
        };
        [values, counts].into_iter().map(list).collect()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let (values, counts) = self.sorted()?;
        let ends = OffsetBuffer::from_lengths([values.len()]);
        let entries = StructArray::try_new(entry(&self.ty), vec![values, counts], None)?;
        let field = Field::new("entries", entries.data_type().clone(), false);
        let map = MapArray::try_new(Arc::new(field), ends, entries, None, false)?;
        Ok(ScalarValue::Map(Arc::new(map)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.counts.keys().map(|value| value.size() + 8).sum::<usize>()
    }
}
