//! VAR_POP, VAR_SAMP, STDDEV_POP and STDDEV_SAMP, computed in double and given
//! back in the argument's type.
//!
//! An integer is truncated toward zero, a DECIMAL(p, s) becomes
//! DECIMAL(38, max(6, s)). The sample forms of one row are NULL, the population
//! forms 0. Welford's recurrence, and Chan's where states meet, as Flink's
//! digits show.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
    PrimitiveArray, make_array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Field, FieldRef, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::moments::{Moments, Spread};
use super::{arguments, decimals, distinct, values};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Variance {
    name: &'static str,
    aliases: Vec<String>,
    spread: Spread,
    signature: Signature,
}

impl Variance {
    pub fn new(name: &'static str, spread: Spread) -> Self {
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { name, aliases: Vec::new(), spread, signature }
    }

    pub fn also(mut self, alias: &str) -> Self {
        self.aliases.push(alias.to_owned());
        self
    }
}

impl AggregateUDFImpl for Variance {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        arguments::number(&self.name.to_uppercase(), types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(arguments::average_of(&types[0]))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            return Ok(distinct::state_fields(&args));
        }
        let field =
            |name, ty| Arc::new(Field::new(format_state_name(args.name, name), ty, false));
        Ok(vec![
            field("count", DataType::Int64),
            field("mean", DataType::Float64),
            field("squares", DataType::Float64),
        ])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let running = Running {
            moments: Moments::default(),
            spread: self.spread,
            ty: args.return_type().clone(),
        };
        if args.is_distinct {
            let of = args.expr_fields[0].data_type().clone();
            let plain = Box::new(move || Ok(Box::new(running.clone()) as Box<dyn Accumulator>));
            return Ok(Box::new(distinct::Distinct::new(of, plain)));
        }
        Ok(Box::new(running))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        let ty = args.return_type().clone();
        Ok(Box::new(Grouped { groups: Vec::new(), spread: self.spread, ty }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn doubles(values: &ArrayRef) -> Result<Float64Array> {
    Ok(cast(values, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// Results as values of the type `ty`, converted as Java converts a double.
fn converted(results: Vec<Option<f64>>, ty: &DataType) -> Result<ArrayRef> {
    fn each<T: ArrowPrimitiveType>(
        results: Vec<Option<f64>>,
        convert: impl Fn(f64) -> T::Native,
    ) -> Result<ArrayRef> {
        let array: PrimitiveArray<T> =
            results.into_iter().map(|result| result.map(&convert)).collect();
        Ok(make_array(array.into_data()))
    }
    match ty {
        DataType::Int8 => each::<Int8Type>(results, |v| v as i32 as i8),
        DataType::Int16 => each::<Int16Type>(results, |v| v as i32 as i16),
        DataType::Int32 => each::<Int32Type>(results, |v| v as i32),
        DataType::Int64 => each::<Int64Type>(results, |v| v as i64),
        DataType::Float32 => each::<Float32Type>(results, |v| v as f32),
        DataType::Float64 => each::<Float64Type>(results, |v| v),
        DataType::Decimal128(_, scale) => {
            let decimals: Decimal128Array = results
                .into_iter()
                .map(|result| decimals::of_double(result?, *scale))
                .collect();
            Ok(Arc::new(decimals.with_data_type(ty.clone())))
        }
        other => internal_err!("a variance of type {other} was planned"),
    }
}

fn merge_states(states: &[ArrayRef], mut into: impl FnMut(usize, Moments)) {
    let counts = states[0].as_primitive::<Int64Type>().values();
    let means = states[1].as_primitive::<Float64Type>().values();
    let squares = states[2].as_primitive::<Float64Type>().values();
    for (row, ((count, mean), squares)) in counts.iter().zip(means).zip(squares).enumerate() {
        into(row, Moments { count: *count, mean: *mean, squares: *squares });
    }
}

/// The moments of many groups.
struct Grouped {
    groups: Vec<Moments>,
    spread: Spread,
    ty: DataType,
}

impl GroupsAccumulator for Grouped {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.groups.resize(count, Moments::default());
        values::for_each(&doubles(&arguments[0])?, groups, filter, |group, value| {
            self.groups[group].add(value);
        });
        Ok(())
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        count: usize,
    ) -> Result<()> {
        self.groups.resize(count, Moments::default());
        merge_states(states, |row, moments| self.groups[groups[row]].merge(moments));
        Ok(())
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let groups = emit_to.take_needed(&mut self.groups);
        let counts = Int64Array::from_iter_values(groups.iter().map(|g| g.count));
        let means = Float64Array::from_iter_values(groups.iter().map(|g| g.mean));
        let squares = Float64Array::from_iter_values(groups.iter().map(|g| g.squares));
        Ok(vec![Arc::new(counts), Arc::new(means), Arc::new(squares)])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        converted(groups.iter().map(|g| self.spread.of(g)).collect(), &self.ty)
    }

    fn convert_to_state(
        &self,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let ty = self.ty.clone();
        let empty = Self { groups: Vec::new(), spread: self.spread, ty };
        values::states_of_rows(empty, arguments, filter)
    }

    fn size(&self) -> usize {
        self.groups.capacity() * size_of::<Moments>()
    }
}

/// The moments of one group.
#[derive(Debug, Clone)]
struct Running {
    moments: Moments,
    spread: Spread,
    ty: DataType,
}

impl Accumulator for Running {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for value in doubles(&arguments[0])?.iter().flatten() {
            self.moments.add(value);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        merge_states(states, |_, moments| self.moments.merge(moments));
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::Int64(Some(self.moments.count)),
            ScalarValue::Float64(Some(self.moments.mean)),
            ScalarValue::Float64(Some(self.moments.squares)),
        ])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let result = converted(vec![self.spread.of(&self.moments)], &self.ty)?;
        ScalarValue::try_from_array(&result, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
