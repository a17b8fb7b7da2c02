//! LISTAGG: the strings that are not NULL, joined by a separator (a comma
//! unless a literal says otherwise), in order of arrival.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ColumnarValue, EmitTo, GroupsAccumulator, Signature,
    Volatility,
};

use super::super::flink_name;
use super::distinct;
use super::values::{self, passes};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ListAgg {
    signature: Signature,
}

impl ListAgg {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for ListAgg {
    fn name(&self) -> &'static str {
        "listagg"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        if !matches!(types.len(), 1 | 2) {
            return plan_err!("LISTAGG takes a string and perhaps a separator");
        }
        if let Some(other) = types.iter().find(|ty| !ty.is_string()) {
            let other = flink_name(other);
            return plan_err!("LISTAGG takes strings, not {other}; CAST it AS STRING");
        }
        Ok(vec![DataType::Utf8View; types.len()])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            return Ok(distinct::state_fields(&args));
        }
        let name = format_state_name(args.name, "joined");
        Ok(vec![Arc::new(Field::new(name, DataType::Utf8View, true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let empty = Running { separator: separator(&args)?, joined: Joined::default() };
        if args.is_distinct {
            let plain = Box::new(move || Ok(Box::new(empty.clone()) as Box<dyn Accumulator>));
            return Ok(Box::new(distinct::Distinct::new(DataType::Utf8View, plain)));
        }
        Ok(Box::new(empty))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Grouped { separator: separator(&args)?, groups: Vec::new() }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The separator, which must not depend on a row.
fn separator(args: &AccumulatorArgs<'_>) -> Result<Arc<str>> {
    let Some(expr) = args.exprs.get(1) else {
        return Ok(Arc::from(","));
    };
    let no_rows = RecordBatch::new_empty(Arc::new(Schema::clone(args.schema)));
    match expr.evaluate(&no_rows)? {
        ColumnarValue::Scalar(value) => {
            let Some(Some(text)) = value.try_as_str() else {
                return plan_err!("LISTAGG's separator must be a string");
            };
            Ok(Arc::from(text))
        }
        ColumnarValue::Array(_) => plan_err!("LISTAGG's separator must be a literal"),
    }
}

/// What has been joined; `None` where nothing has come.
#[derive(Debug, Clone, Default)]
struct Joined(Option<String>);

impl Joined {
    fn add(&mut self, separator: &str, text: &str) {
        match &mut self.0 {
            Some(joined) => {
                joined.push_str(separator);
                joined.push_str(text);
            }
            None => self.0 = Some(text.to_owned()),
        }
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.as_ref().map_or(0, String::capacity)
    }
}

/// The joined strings of many groups.
struct Grouped {
    separator: Arc<str>,
    groups: Vec<Joined>,
}

impl GroupsAccumulator for Grouped {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.groups.resize(count, Joined::default());
        let texts = arguments[0].as_string_view();
        for (row, group) in groups.iter().enumerate() {
            if texts.is_valid(row) && passes(filter, row) {
                self.groups[*group].add(&self.separator, texts.value(row));
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
        self.update_batch(states, groups, None, count)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        let texts: StringViewArray = groups.into_iter().map(|joined| joined.0).collect();
        Ok(Arc::new(texts))
    }

    fn convert_to_state(
        &self,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let empty = Self { separator: Arc::clone(&self.separator), groups: Vec::new() };
        values::states_of_rows(empty, arguments, filter)
    }

    fn size(&self) -> usize {
        self.groups.iter().map(Joined::size).sum()
    }
}

/// The joined strings of one group.
#[derive(Debug, Clone)]
struct Running {
    separator: Arc<str>,
    joined: Joined,
}

impl Accumulator for Running {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for text in arguments[0].as_string_view().iter().flatten() {
            self.joined.add(&self.separator, text);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Utf8View(self.joined.0.clone()))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.joined.size()
    }
}
