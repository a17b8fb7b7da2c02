//! JSON_ARRAYAGG and JSON_OBJECTAGG: the array of values in order of arrival,
//! the object of keys and values.
//!
//! Values come as JSON, or NULL for what is to be absent. The state of a group
//! is the JSON that it has come to so far.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringViewArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::values::{self, passes};
use crate::planning::functions::json::Fields;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Array,
    Object,
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct JsonAgg {
    kind: Kind,
    signature: Signature,
}

impl JsonAgg {
    pub fn new(kind: Kind) -> Self {
        Self { kind, signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for JsonAgg {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Array => "json_arrayagg",
            Kind::Object => "json_objectagg",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match (self.kind, types) {
            (Kind::Array, [_]) => {}
            (Kind::Object, [key, _]) if key.is_string() => {}
            (Kind::Array, _) => return plan_err!("JSON_ARRAYAGG takes a value"),
            (Kind::Object, _) => {
                return plan_err!("JSON_OBJECTAGG takes a key, which is a STRING, and a value");
            }
        }
        Ok(vec![DataType::Utf8View; types.len()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn is_nullable(&self) -> bool {
        false
    }

    fn default_value(&self, _: &DataType) -> Result<ScalarValue> {
        Ok(ScalarValue::Utf8View(Some(Made::new(self.kind).text())))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "json");
        Ok(vec![Arc::new(Field::new(name, DataType::Utf8View, true))])
    }

    fn accumulator(&self, _: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Running(Made::new(self.kind))))
    }

    fn groups_accumulator_supported(&self, _: AccumulatorArgs<'_>) -> bool {
        true
    }

    fn create_groups_accumulator(
        &self,
        _: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Grouped { kind: self.kind, groups: Vec::new() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// What one group has come to.
#[derive(Debug, Clone)]
enum Made {
    /// The values with commas between.
    Array(String),
    Object(Fields),
}

impl Made {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Array => Made::Array(String::new()),
            Kind::Object => Made::Object(Fields::default()),
        }
    }

    /// Takes in one row.
    fn add(&mut self, columns: &[&StringViewArray], row: usize) -> Result<()> {
        let value = columns[columns.len() - 1];
        let value = value.is_valid(row).then(|| value.value(row));
        match self {
            Made::Array(values) => value.into_iter().for_each(|value| append(values, value)),
            Made::Object(fields) => {
                let Some(key) = columns[0].is_valid(row).then(|| columns[0].value(row)) else {
                    return exec_err!("a key of JSON_OBJECTAGG is NULL");
                };
                check_new(fields, key)?;
                if let Some(value) = value {
                    fields.set(Some(key), value.to_owned())?;
                }
            }
        }
        Ok(())
    }

    /// Takes in what another has come to.
    fn merge(&mut self, state: &str) -> Result<()> {
        match self {
            Made::Array(values) => match &state[1..state.len() - 1] {
                "" => {}
                more => append(values, more),
            },
            Made::Object(fields) => {
                for (key, value) in Fields::read(state).0 {
                    check_new(fields, &key)?;
                    fields.set(Some(&key), value)?;
                }
            }
        }
        Ok(())
    }

    fn text(&self) -> String {
        match self {
            Made::Array(values) => format!("[{values}]"),
            Made::Object(fields) => {
                let mut out = String::new();
                fields.write(&mut out);
                out
            }
        }
    }

    fn size(&self) -> usize {
        let content = match self {
            Made::Array(values) => values.capacity(),
            Made::Object(fields) => {
                let sizes = fields.0.iter().map(|(k, v)| k.capacity() + v.capacity() + 64);
                sizes.sum()
            }
        };
        size_of_val(self) + content
    }
}

fn append(values: &mut String, more: &str) {
    if !values.is_empty() {
        values.push(',');
    }
    values.push_str(more);
}

fn check_new(fields: &Fields, key: &str) -> Result<()> {
    if fields.0.contains_key(key) {
        return exec_err!("the key '{key}' comes twice in JSON_OBJECTAGG");
    }
    Ok(())
}

/// What many groups have come to.
struct Grouped {
    kind: Kind,
    groups: Vec<Made>,
}

impl GroupsAccumulator for Grouped {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.groups.resize(count, Made::new(self.kind));
        let columns: Vec<_> = arguments.iter().map(|a| a.as_string_view()).collect();
        for (row, group) in groups.iter().enumerate() {
            if passes(filter, row) {
                self.groups[*group].add(&columns, row)?;
            }
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        count: usize,
    ) -> Result<()> {
        self.groups.resize(count, Made::new(self.kind));
        for (group, state) in groups.iter().zip(states[0].as_string_view()) {
            if let Some(state) = state {
                self.groups[*group].merge(state)?;
            }
        }
        Ok(())
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        let texts = groups.iter().map(|made| Some(made.text()));
        Ok(Arc::new(texts.collect::<StringViewArray>()))
    }

    fn convert_to_state(
        &self,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let empty = Self { kind: self.kind, groups: Vec::new() };
        values::states_of_rows(empty, arguments, filter)
    }

    fn size(&self) -> usize {
        self.groups.iter().map(Made::size).sum()
    }
}

/// What one group has come to, alone.
#[derive(Debug)]
struct Running(Made);

impl Accumulator for Running {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        let columns: Vec<_> = arguments.iter().map(|a| a.as_string_view()).collect();
        (0..columns[0].len()).try_for_each(|row| self.0.add(&columns, row))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        states[0].as_string_view().iter().flatten().try_for_each(|state| self.0.merge(state))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Utf8View(Some(self.0.text())))
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}
