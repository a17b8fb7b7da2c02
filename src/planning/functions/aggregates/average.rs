//! AVG: a number of the argument's own type, truncated toward zero for
//! integers; DECIMAL(p, s) gives DECIMAL(38, max(6, s)), rounded half up.
//!
//! The sum of integers is held in 64 bits and wraps around in silence, as
//! Flink's does. A decimal sum that leaves 38 digits gives NULL.

use std::fmt::Debug;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, PrimitiveArray};
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

use super::mean::{Decimals, Mean, Numbers};
use super::{arguments, distinct, values};

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Average {
    signature: Signature,
}

impl Average {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Average {
    fn name(&self) -> &'static str {
        "avg"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        arguments::number("AVG", types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(arguments::average_of(&types[0]))
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            return Ok(distinct::state_fields(&args));
        }
        let sum = sum_type(args.input_fields[0].data_type());
        let field =
            |name, ty| Arc::new(Field::new(format_state_name(args.name, name), ty, false));
        Ok(vec![field("sum", sum), field("count", DataType::Int64)])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let of = args.expr_fields[0].data_type().clone();
        if args.is_distinct {
            let ty = of.clone();
            let plain = Box::new(move || running(&ty));
            return Ok(Box::new(distinct::Distinct::new(of, plain)));
        }
        running(&of)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        grouped(args.expr_fields[0].data_type())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

/// The type of the sum that an average of `ty` holds.
fn sum_type(ty: &DataType) -> DataType {
    match ty {
        DataType::Decimal128(_, scale) => DataType::Decimal128(38, *scale),
        DataType::Float32 | DataType::Float64 => DataType::Float64,
        _ => DataType::Int64,
    }
}

/// Calls `$make!` with how values of type `$ty` are averaged.
macro_rules! with_mean {
    ($ty:expr, $make:ident) => {
        match $ty {
            DataType::Int8 => $make!(Numbers::<Int8Type>::new()),
            DataType::Int16 => $make!(Numbers::<Int16Type>::new()),
            DataType::Int32 => $make!(Numbers::<Int32Type>::new()),
            DataType::Int64 => $make!(Numbers::<Int64Type>::new()),
            DataType::Float32 => $make!(Numbers::<Float32Type>::new()),
            DataType::Float64 => $make!(Numbers::<Float64Type>::new()),
            DataType::Decimal128(_, scale) => $make!(Decimals::of_scale(*scale)),
            other => internal_err!("AVG of {other} was planned"),
        }
    };
}

fn running(ty: &DataType) -> Result<Box<dyn Accumulator>> {
    macro_rules! make {
        ($mean:expr) => {
            Ok(Box::new(Running {
                sum: Default::default(),
                count: 0,
                mean: $mean,
                types: Types::of(ty),
            }))
        };
    }
    with_mean!(ty, make)
}

fn grouped(ty: &DataType) -> Result<Box<dyn GroupsAccumulator>> {
    macro_rules! make {
        ($mean:expr) => {
            Ok(Box::new(Grouped {
                sums: Vec::new(),
                counts: Vec::new(),
                mean: $mean,
                types: Types::of(ty),
            }))
        };
    }
    with_mean!(ty, make)
}

#[derive(Debug, Clone)]
struct Types {
    sum: DataType,
    result: DataType,
}

impl Types {
    fn of(ty: &DataType) -> Self {
        Self { sum: sum_type(ty), result: arguments::average_of(ty) }
    }
}

type Native<T> = <T as ArrowPrimitiveType>::Native;

/// The averages of many groups.
struct Grouped<M: Mean> {
    sums: Vec<Native<M::Sum>>,
    counts: Vec<i64>,
    mean: M,
    types: Types,
}

impl<M: Mean> Grouped<M> {
    fn resize(&mut self, count: usize) {
        self.sums.resize(count, Default::default());
        self.counts.resize(count, 0);
    }
}

impl<M: Mean> GroupsAccumulator for Grouped<M> {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.resize(count);
        let of = arguments[0].as_primitive::<M::Value>();
        values::for_each(of, groups, filter, |group, value| {
            self.sums[group] = M::add(self.sums[group], M::widen(value));
            self.counts[group] += 1;
        });
        Ok(())
    }

    fn merge_batch(
        &mut self,
        states: &[ArrayRef],
        groups: &[usize],
        count: usize,
    ) -> Result<()> {
        self.resize(count);
        let sums = states[0].as_primitive::<M::Sum>().values();
        let counts = states[1].as_primitive::<Int64Type>().values();
        for ((group, sum), count) in groups.iter().zip(sums).zip(counts) {
            self.sums[*group] = M::add(self.sums[*group], *sum);
            self.counts[*group] += count;
        }
        Ok(())
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts = emit_to.take_needed(&mut self.counts);
        let sums = PrimitiveArray::<M::Sum>::new(sums.into(), None);
        Ok(vec![
            Arc::new(sums.with_data_type(self.types.sum.clone())),
            Arc::new(Int64Array::from(counts)),
        ])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = emit_to.take_needed(&mut self.sums);
        let counts = emit_to.take_needed(&mut self.counts);
        let means = sums.into_iter().zip(counts);
        let means: PrimitiveArray<M::Value> =
            means.map(|(sum, count)| quotient(&self.mean, sum, count)).collect();
        Ok(Arc::new(means.with_data_type(self.types.result.clone())))
    }

    fn convert_to_state(
        &self,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let (mean, types) = (self.mean.clone(), self.types.clone());
        let empty = Self { sums: Vec::new(), counts: Vec::new(), mean, types };
        values::states_of_rows(empty, arguments, filter)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<Native<M::Sum>>()
            + self.counts.capacity() * size_of::<i64>()
    }
}

fn quotient<M: Mean>(mean: &M, sum: Native<M::Sum>, count: i64) -> Option<Native<M::Value>> {
    if count == 0 { None } else { mean.divide(sum, count) }
}

/// The average of one group, or of a frame that slides over rows.
#[derive(Debug)]
struct Running<M: Mean> {
    sum: Native<M::Sum>,
    count: i64,
    mean: M,
    types: Types,
}

impl<M: Mean> Accumulator for Running<M> {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for value in arguments[0].as_primitive::<M::Value>().iter().flatten() {
            self.sum = M::add(self.sum, M::widen(value));
            self.count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for value in arguments[0].as_primitive::<M::Value>().iter().flatten() {
            self.sum = M::subtract(self.sum, M::widen(value));
            self.count -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let sums = states[0].as_primitive::<M::Sum>().values();
        let counts = states[1].as_primitive::<Int64Type>().values();
        for (sum, count) in sums.iter().zip(counts) {
            self.sum = M::add(self.sum, *sum);
            self.count += count;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![
            ScalarValue::new_primitive::<M::Sum>(Some(self.sum), &self.types.sum)?,
            ScalarValue::Int64(Some(self.count)),
        ])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = quotient(&self.mean, self.sum, self.count);
        ScalarValue::new_primitive::<M::Value>(value, &self.types.result)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
