//! PERCENTILE(x, p[, frequency]): the number below which the part `p` of all
//! numbers lies, between two of them where it must be; for an ARRAY of parts
//! the ARRAY of their numbers.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Float64Builder, Int64Array,
    ListBuilder, RecordBatch,
};
use arrow::datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type, Schema};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ColumnarValue, EmitTo, GroupsAccumulator, Signature,
    Volatility,
};

use super::counts::{Bag, Bags, map_type};
use super::values;
use crate::planning::functions::{arrays::list_of, flink_name};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Percentile {
    signature: Signature,
}

impl Percentile {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

fn counts_type() -> DataType {
    map_type(&Field::new("key", DataType::Float64, false), &DataType::Int64)
}

impl AggregateUDFImpl for Percentile {
    fn name(&self) -> &'static str {
        "percentile"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fits = match types {
            [value, part, rest @ ..] => {
                let is_part = match part {
                    DataType::List(item) => item.data_type().is_numeric(),
                    part => part.is_numeric(),
                };
                let counts = rest.iter().all(DataType::is_integer);
                value.is_numeric() && is_part && rest.len() < 2 && counts
            }
            _ => false,
        };
        if !fits {
            let given = types.iter().map(flink_name).collect::<Vec<_>>().join(", ");
            return plan_err!(
                "PERCENTILE takes a number, a part from 0 to 1 or an ARRAY of them, and \
                 perhaps a frequency, not {given}"
            );
        }
        let part = match &types[1] {
            DataType::List(_) => list_of(&DataType::Float64),
            _ => DataType::Float64,
        };
        let all = [DataType::Float64, part, DataType::Int64];
        Ok(all[..types.len()].to_vec())
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[1].clone())
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let name = format_state_name(args.name, "counts");
        Ok(vec![Arc::new(Field::new(name, counts_type(), true))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(Running(Grouped::new(parts(&args)?)?)))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(Grouped::new(parts(&args)?)?))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// What part of the numbers is asked for.
#[derive(Debug, Clone)]
enum Parts {
    One(f64),
    Many(Arc<[f64]>),
}

fn parts(args: &AccumulatorArgs<'_>) -> Result<Parts> {
    if args.is_distinct {
        return plan_err!("PERCENTILE(DISTINCT …) is not possible");
    }
    let no_rows = RecordBatch::new_empty(Arc::new(Schema::clone(args.schema)));
    let ColumnarValue::Scalar(value) = args.exprs[1].evaluate(&no_rows)? else {
        return plan_err!("the part that PERCENTILE takes must be a literal");
    };
    let parts = match &value {
        ScalarValue::List(list) => Parts::Many(numbers(&list.value(0))?.into()),
        value => match numbers(&value.to_array()?)?.as_slice() {
            [one] => Parts::One(*one),
            _ => return plan_err!("the part that PERCENTILE takes must not be NULL"),
        },
    };
    let all = match &parts {
        Parts::One(one) => std::slice::from_ref(one),
        Parts::Many(all) => all,
    };
    match all.iter().find(|part| !(0.0..=1.0).contains(*part)) {
        Some(part) => plan_err!("PERCENTILE takes a part from 0 to 1, not {part}"),
        None => Ok(parts),
    }
}

fn numbers(array: &ArrayRef) -> Result<Vec<f64>> {
    let Some(numbers) = array.as_primitive_opt::<Float64Type>() else {
        return exec_err!("PERCENTILE got a part of type {}", array.data_type());
    };
    Ok(numbers.iter().flatten().collect())
}

/// The number of one part among `numbers`, which are sorted; there is one.
fn percentile(numbers: &[(f64, i64)], total: i64, part: f64) -> f64 {
    let position = part * (total - 1) as f64 + 1.0;
    let (lower, higher) = (position.floor(), position.ceil());
    let mut seen = 0.0;
    let mut below = 0;
    for (at, (_, count)) in numbers.iter().enumerate() {
        below = at;
        seen += *count as f64;
        if seen >= lower {
            break;
        }
    }
    match numbers.get(below + 1) {
        Some((next, _)) if seen < higher => {
            (higher - position) * numbers[below].0 + (position - lower) * next
        }
        _ => numbers[below].0,
    }
}

/// The counts of many groups.
#[derive(Debug)]
struct Grouped {
    bags: Bags,
    parts: Parts,
}

impl Grouped {
    fn new(parts: Parts) -> Result<Self> {
        Ok(Self { bags: Bags::new(&DataType::Float64, false)?, parts })
    }

    fn results(&self, bags: &[Bag]) -> Result<ArrayRef> {
        let values = self.bags.values(bags)?;
        let mut values = values.as_primitive::<Float64Type>().values().iter();
        let mut bags = bags.iter().map(|bag| {
            let numbers = values.by_ref().take(bag.len()).copied();
            numbers.zip(bag.values().copied()).collect::<Vec<(f64, i64)>>()
        });
        let total = |numbers: &[(f64, i64)]| numbers.iter().map(|(_, count)| count).sum();
        match &self.parts {
            Parts::One(part) => {
                let of = |numbers: Vec<(f64, i64)>| {
                    (!numbers.is_empty()).then(|| percentile(&numbers, total(&numbers), *part))
                };
                Ok(Arc::new(bags.map(of).collect::<Float64Array>()))
            }
            Parts::Many(parts) => {
                let mut lists = ListBuilder::new(Float64Builder::new());
                bags.by_ref().for_each(|numbers| {
                    let is_valid = !numbers.is_empty() && !parts.is_empty();
                    if is_valid {
                        let total = total(&numbers);
                        let all = parts.iter().map(|part| percentile(&numbers, total, *part));
                        lists.values().extend(all.map(Some));
                    }
                    lists.append(is_valid);
                });
                Ok(Arc::new(lists.finish()))
            }
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
        let frequencies = arguments.get(2).map(|counts| counts.as_primitive::<Int64Type>());
        let Some(frequencies) = frequencies else {
            return self.bags.add(&arguments[0], groups, filter, count, |_| 1);
        };
        let counts = counted(frequencies, filter);
        let frequency = |row: usize| frequencies.value(row);
        self.bags.add(&arguments[0], groups, Some(&counts), count, frequency)
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
        let taken = self.bags.take(emit_to);
        Ok(vec![self.bags.to_maps(&taken, &counts_type())?])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let taken = self.bags.take(emit_to);
        self.results(&taken)
    }

    fn convert_to_state(
        &self,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        values::states_of_rows(Self::new(self.parts.clone())?, arguments, filter)
    }

    fn size(&self) -> usize {
        self.bags.size()
    }
}

/// The rows that pass the filter and are there at least once.
fn counted(frequencies: &Int64Array, filter: Option<&BooleanArray>) -> BooleanArray {
    let counts = frequencies.iter().enumerate().map(|(row, count)| {
        Some(count.is_some_and(|count| count > 0) && values::passes(filter, row))
    });
    counts.collect()
}

/// The counts of one group.
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
        let bags = &self.0.bags;
        let maps = match bags.groups() {
            [] => bags.to_maps(&[Bag::new()], &counts_type())?,
            groups => bags.to_maps(groups, &counts_type())?,
        };
        Ok(vec![ScalarValue::try_from_array(&maps, 0)?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let results = match self.0.bags.groups() {
            [] => self.0.results(&[Bag::new()])?,
            groups => self.0.results(groups)?,
        };
        ScalarValue::try_from_array(&results, 0)
    }

    fn size(&self) -> usize {
        self.0.size()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From Flink's `PercentileAggFunctionTest`.
    #[test]
    fn a_percentile_lies_between_its_neighbours() {
        let numbers = [(1.0, 1), (2.0, 1), (3.0, 1), (4.0, 1)];
        for (part, expected) in [(0.0, 1.0), (0.25, 1.75), (0.5, 2.5), (0.75, 3.25), (1.0, 4.0)]
        {
            assert_eq!(percentile(&numbers, 4, part), expected, "{part}");
        }
        let repeated = [(-7.0, 2), (5.0, 3)];
        assert_eq!(percentile(&repeated, 5, 0.5), 5.0);
        assert_eq!(percentile(&repeated, 5, 0.25), -7.0);
    }
}
