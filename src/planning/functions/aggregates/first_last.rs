//! FIRST_VALUE and LAST_VALUE: the first or last value to arrive that is not
//! NULL.
//!
//! Arrival is the order of a partition's rows; between partitions, and where
//! states meet, either may count as the earlier.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, new_empty_array};
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::values::{self, passes};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    First,
    Last,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct EndValue {
    end: End,
    signature: Signature,
}

impl EndValue {
    pub fn new(end: End) -> Self {
        Self { end, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for EndValue {
    fn name(&self) -> &'static str {
        match self.end {
            End::First => "first_value",
            End::Last => "last_value",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "value");
        Ok(vec![Arc::new(args.return_field.as_ref().clone().with_name(name))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        check(&args)?;
        Ok(Box::new(Running { end: self.end, value: args.return_type().try_into()? }))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        check(&args)?;
        Ok(Box::new(Grouped::new(self.end, args.return_type().clone())?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn check(args: &AccumulatorArgs<'_>) -> Result<()> {
    if args.order_bys.is_empty() {
        return Ok(());
    }
    plan_err!("{} takes values as they arrive, without ORDER BY", args.name)
}

fn value_at(array: &dyn Array, row: usize) -> Result<ScalarValue> {
    let mut value = ScalarValue::try_from_array(array, row)?;
    value.compact();
    Ok(value)
}

/// The first or last values of many groups; NULL where none has come.
struct Grouped {
    end: End,
    groups: Vec<ScalarValue>,
    /// The row of the batch that each group takes; `None` between batches.
    rows: Vec<Option<usize>>,
    /// The groups that take a row of the batch.
    touched: Vec<usize>,
    null: ScalarValue,
    ty: DataType,
}

impl Grouped {
    fn new(end: End, ty: DataType) -> Result<Self> {
        let null = ScalarValue::try_from(&ty)?;
        let (groups, rows, touched) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { end, groups, rows, touched, null, ty })
    }

    fn takes(&self, group: usize) -> bool {
        match self.end {
            End::First => self.rows[group].is_none() && self.groups[group].is_null(),
            End::Last => true,
        }
    }
}

impl GroupsAccumulator for Grouped {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        let values = arguments[0].as_ref();
        self.groups.resize(count, self.null.clone());
        self.rows.resize(count, None);
        for (row, group) in groups.iter().enumerate() {
            let taken = values.is_valid(row) && passes(filter, row) && self.takes(*group);
            if taken && self.rows[*group].replace(row).is_none() {
                self.touched.push(*group);
            }
        }
        for group in self.touched.drain(..) {
            let row = self.rows[group].take().expect("a touched group takes a row");
            self.groups[group] = value_at(values, row)?;
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        count: usize,
    ) -> Result<()> {
        self.update_batch(states, groups, None, count)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        if groups.is_empty() {
            return Ok(new_empty_array(&self.ty));
        }
        ScalarValue::iter_to_array(groups)
    }

    fn convert_to_state(
        &self,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let empty = Self::new(self.end, self.ty.clone())?;
        values::states_of_rows(empty, arguments, filter)
    }

    fn size(&self) -> usize {
        self.groups.iter().map(ScalarValue::size).sum::<usize>()
            + self.rows.capacity() * size_of::<Option<usize>>()
            + self.touched.capacity() * size_of::<usize>()
    }
}

/// The first or last value of one group; NULL where none has come.
#[derive(Debug)]
struct Running {
    end: End,
    value: ScalarValue,
}

impl Accumulator for Running {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let values = arguments[0].as_ref();
        let mut rows = (0..values.len()).filter(|row| values.is_valid(*row));
        let row = match self.end {
            End::First if !self.value.is_null() => None,
            End::First => rows.next(),
            End::Last => rows.next_back(),
        };
        if let Some(row) = row {
            self.value = value_at(values, row)?;
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone()])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size()
    }
}
