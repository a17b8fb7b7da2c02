//! SUM: a number of the argument's own type; DECIMAL(p, s) gives DECIMAL(38, s).
//!
//! Integers wrap around in silence, as Flink's do. A decimal sum that leaves 38
//! digits is NULL, and stays so whatever follows. No rows give NULL.

use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, FieldRef, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type,
};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::{AggregateOrderSensitivity, format_state_name};
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, Signature, Volatility,
};

use super::{arguments, decimals, distinct, values};

/// Applies a macro to the Arrow type and the addition of a sum of type `$ty`.
macro_rules! with_sum_type {
    ($ty:expr, $make:ident) => {
        match $ty {
            DataType::Int8 => $make!(Int8Type, Wrapping),
            DataType::Int16 => $make!(Int16Type, Wrapping),
            DataType::Int32 => $make!(Int32Type, Wrapping),
            DataType::Int64 => $make!(Int64Type, Wrapping),
            DataType::Float32 => $make!(Float32Type, Wrapping),
            DataType::Float64 => $make!(Float64Type, Wrapping),
            DataType::Decimal128(_, _) => $make!(Decimal128Type, Decimals),
            other => internal_err!("SUM of {other} was planned"),
        }
    };
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Sum {
    signature: Signature,
}

impl Sum {
    pub fn new() -> Self {
        Self { signature: Signature::user_defined(Volatility::Immutable) }
    }
}

impl AggregateUDFImpl for Sum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        arguments::number("SUM", types)
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(match &types[0] {
            DataType::Decimal128(_, scale) => DataType::Decimal128(38, *scale),
            other => other.clone(),
        })
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        if args.is_distinct {
            return Ok(distinct::state_fields(&args));
        }
        let name = format_state_name(args.name, "sum");
        Ok(vec![Arc::new(args.return_field.as_ref().clone().with_name(name))])
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let ty = args.return_type().clone();
        if args.is_distinct {
            let of = args.expr_fields[0].data_type().clone();
            let plain = Box::new(move || running(&ty));
            return Ok(Box::new(distinct::Distinct::new(of, plain)));
        }
        running(&ty)
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(
        &self,
        args: AccumulatorArgs<'_>,
    ) -> Result<Box<dyn GroupsAccumulator>> {
        grouped(args.return_type())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }
}

fn running(ty: &DataType) -> Result<Box<dyn Accumulator>> {
    macro_rules! make {
        ($t:ty, $addition:ty) => {
            Ok(Box::new(Running::<$t, $addition> {
                sum: Default::default(),
                count: 0,
                ty: ty.clone(),
                addition: Default::default(),
            }))
        };
    }
    with_sum_type!(ty, make)
}

fn grouped(ty: &DataType) -> Result<Box<dyn GroupsAccumulator>> {
    macro_rules! make {
        ($t:ty, $addition:ty) => {
            Ok(Box::new(Grouped::<$t, $addition> {
                sums: Vec::new(),
                seen: Vec::new(),
                ty: ty.clone(),
                addition: Default::default(),
            }))
        };
    }
    with_sum_type!(ty, make)
}

/// How two sums of one type become one.
trait Addition<T: ArrowPrimitiveType>: Default + Send + Sync + 'static {
    fn add(a: T::Native, b: T::Native) -> T::Native;

    fn subtract(a: T::Native, b: T::Native) -> T::Native;

    /// Whether a sum is a value, rather than a mark of overflow.
    fn is_value(sum: T::Native) -> bool;
}

/// Two's complement for integers, IEEE 754 for floating point.
#[derive(Default)]
struct Wrapping;

impl<T: ArrowPrimitiveType<Native: ArrowNativeTypeOp>> Addition<T> for Wrapping {
    fn add(a: T::Native, b: T::Native) -> T::Native {
        a.add_wrapping(b)
    }

    fn subtract(a: T::Native, b: T::Native) -> T::Native {
        a.sub_wrapping(b)
    }

    fn is_value(_: T::Native) -> bool {
        true
    }
}

/// Up to 38 digits; beyond them the sum is no value any more.
#[derive(Default)]
struct Decimals;

impl Addition<Decimal128Type> for Decimals {
    fn add(a: i128, b: i128) -> i128 {
        decimals::add(a, b)
    }

    fn subtract(a: i128, b: i128) -> i128 {
        decimals::add(a, -b)
    }

    fn is_value(sum: i128) -> bool {
        decimals::value(sum).is_some()
    }
}

/// The sums of many groups.
struct Grouped<T: ArrowPrimitiveType, A> {
    sums: Vec<T::Native>,
    seen: Vec<bool>,
    ty: DataType,
    addition: std::marker::PhantomData<A>,
}

impl<T: ArrowPrimitiveType, A: Addition<T>> Grouped<T, A> {
    fn emit(&mut self, emit_to: EmitTo, is_valid: impl Fn(T::Native) -> bool) -> ArrayRef {
        let sums = emit_to.take_needed(&mut self.sums);
        let seen = emit_to.take_needed(&mut self.seen);
        let valid = sums.iter().zip(seen).map(|(sum, seen)| seen && is_valid(*sum)).collect();
        let array = PrimitiveArray::<T>::new(sums.into(), Some(valid));
        Arc::new(array.with_data_type(self.ty.clone()))
    }
}

impl<T: ArrowPrimitiveType, A: Addition<T>> GroupsAccumulator for Grouped<T, A> {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        count: usize,
    ) -> Result<()> {
        self.sums.resize(count, T::Native::default());
        self.seen.resize(count, false);
        values::for_each(arguments[0].as_primitive::<T>(), groups, filter, |group, value| {
            self.sums[group] = A::add(self.sums[group], value);
            self.seen[group] = true;
        });
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
        Ok(vec![self.emit(emit_to, |_| true)])
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        Ok(self.emit(emit_to, A::is_value))
    }

    fn convert_to_state(
        &self,
        arguments: &[ArrayRef],
        filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        let ty = self.ty.clone();
        let empty = Self { sums: Vec::new(), seen: Vec::new(), ty, addition: self.addition };
        values::states_of_rows(empty, arguments, filter)
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<T::Native>() + self.seen.capacity()
    }
}

/// The sum of one group, or of a frame that slides over rows.
struct Running<T: ArrowPrimitiveType, A> {
    sum: T::Native,
    /// How many values are in the sum.
    count: usize,
    ty: DataType,
    addition: std::marker::PhantomData<A>,
}

impl<T: ArrowPrimitiveType, A: Addition<T>> Running<T, A> {
    fn scalar(&self, is_valid: bool) -> Result<ScalarValue> {
        let sum = (self.count > 0 && is_valid).then_some(self.sum);
        ScalarValue::new_primitive::<T>(sum, &self.ty)
    }
}

impl<T: ArrowPrimitiveType, A> std::fmt::Debug for Running<T, A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sum({}, {:?} of {})", self.ty, self.sum, self.count)
    }
}

impl<T: ArrowPrimitiveType, A: Addition<T>> Accumulator for Running<T, A> {
    fn update_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for value in arguments[0].as_primitive::<T>().iter().flatten() {
            self.sum = A::add(self.sum, value);
            self.count += 1;
        }
        Ok(())
    }

    fn retract_batch(&mut self, arguments: &[ArrayRef]) -> Result<()> {
        for value in arguments[0].as_primitive::<T>().iter().flatten() {
            self.sum = A::subtract(self.sum, value);
            self.count -= 1;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.scalar(true)?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.scalar(A::is_value(self.sum))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}
