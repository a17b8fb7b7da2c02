//! COLLECT: a MULTISET of the values that are not NULL; an empty one where
//! nothing has come. Its entries are sorted by value.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::counts::{Bags, map_type};
use super::values;
use crate::planning::functions::flink_name;
use crate::types::FLINK_TYPE;

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Collect {
    signature: Signature,
}

impl Collect {
    pub fn new() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Collect {
    fn name(&self) -> &'static str {
        "collect"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(map_type(&Field::new("key", types[0].clone(), false), &DataType::Int32))
    }

    fn return_field(&self, arguments: &[FieldRef]) -> Result<FieldRef> {
        let item = &arguments[0];
        let name = match item.metadata().get(FLINK_TYPE) {
            Some(declared) => declared.clone(),
            None => flink_name(item.data_type()),
        };
        let field = Field::new("collect", map_type(item, &DataType::Int32), true);
        let declared = (FLINK_TYPE.to_owned(), format!("MULTISET<{name}>"));
        Ok(Arc::new(field.with_metadata([declared].into())))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "counts");
        Ok(vec![Arc::new(args.return_field.as_ref().clone().with_name(name))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Running(Grouped::new(&args)?)))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Grouped::new(&args)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The multisets of many groups.
#[derive(Debug)]
struct Grouped {
    bags: Bags,
    item: DataType,
    returns: DataType,
    is_distinct: bool,
}

impl Grouped {
    fn new(args: &AccumulatorArgs<'_>) -> Result<Self> {
        let item = args.exprs[0].data_type(args.schema)?;
        Ok(Self {
            bags: Bags::new(&item, args.is_distinct)?,
            item,
            returns: args.return_type().clone(),
            is_distinct: args.is_distinct,
        })
    }

    fn empty(&self) -> Result<Self> {
        Ok(Self {
            bags: Bags::new(&self.item, self.is_distinct)?,
            item: self.item.clone(),
            returns: self.returns.clone(),
            is_distinct: self.is_distinct,
        })
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
        self.bags.add(&arguments[0], groups, filter, count, |_| 1)
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        count: usize,
    ) -> Result<()> {
        self.bags.merge(&states[0], groups, count)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let taken = self.bags.take(emit_to);
        self.bags.to_maps(&taken, &self.returns)
    }

    fn convert_to_state(
        &self,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        values::states_of_rows(self.empty()?, arguments, filter)
    }

    fn size(&self) -> usize {
        self.bags.size()
    }
}

/// The multiset of one group.
#[derive(Debug)]
struct Running(Grouped);

impl Accumulator for Running {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        self.0.update_batch(arguments, &vec![0; arguments[0].len()], None, 1)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0.merge_batch(states, &vec![0; states[0].len()], 1)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let Grouped { bags, returns, .. } = &self.0;
        let maps = match bags.groups() {
            [] => bags.to_maps(&[Default::default()], returns)?,
            groups => bags.to_maps(groups, returns)?,
        };
        ScalarValue::try_from_array(&maps, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
