//! Numbers as other numbers, as Java narrows them: integers wrap, a DOUBLE
//! saturates, a DECIMAL drops its fraction. What a DECIMAL cannot hold is NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type,
};
use datafusion::common::{Result, exec_err};

use super::function::Outcome;
use crate::formats::parse::{self, Decimal};

pub(super) fn values(
    array: &ArrayRef,
    target: &DataType,
    outcome: &Outcome<'_>,
) -> Result<ArrayRef> {
    match target {
        DataType::Decimal128(precision, scale) => decimals(array, *precision, *scale, outcome),
        DataType::Float32 => {
            Ok(Arc::new(doubles(array)?.unary::<_, Float32Type>(|v| v as f32)))
        }
        DataType::Boolean => {
            let numbers = doubles(array)?;
            let truth = numbers.iter().map(|v| v.map(|v| v != 0.0));
            Ok(Arc::new(truth.collect::<arrow::array::BooleanArray>()))
        }
        target => integers(array, target),
    }
}

fn doubles(array: &ArrayRef) -> Result<arrow::array::Float64Array> {
    Ok(cast(array, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// Java narrows to a `long` first, or to an `int` where the target is no
/// wider, and then wraps.
fn integers(array: &ArrayRef, target: &DataType) -> Result<ArrayRef> {
    let floating = array.data_type().is_floating();
    let wide: Int64Array = match array.data_type() {
        DataType::Decimal128(_, scale) => {
            let unit = 10i128.pow(u32::from(scale.unsigned_abs()));
            array.as_primitive::<Decimal128Type>().unary(|v| (v / unit) as i64)
        }
        _ if floating && *target == DataType::Int64 => doubles(array)?.unary(|v| v as i64),
        _ if floating => doubles(array)?.unary(|v| i64::from(v as i32)),
        _ => cast(array, &DataType::Int64)?.as_primitive::<Int64Type>().clone(),
    };
    Ok(match target {
        DataType::Int8 => Arc::new(wide.unary::<_, Int8Type>(|v| v as i8)),
        DataType::Int16 => Arc::new(wide.unary::<_, Int16Type>(|v| v as i16)),
        DataType::Int32 => Arc::new(wide.unary::<_, Int32Type>(|v| v as i32)),
        DataType::Int64 => Arc::new(wide),
        other => return exec_err!("{} cannot be cast to {other}", array.data_type()),
    })
}

fn decimals(
    array: &ArrayRef,
    precision: u8,
    scale: i8,
    outcome: &Outcome<'_>,
) -> Result<ArrayRef> {
    let limit = 10i128.pow(u32::from(precision));
    let fits = |value: i128| (value.abs() < limit).then_some(value);
    let power = |exponent: i8| 10i128.checked_pow(u32::from(exponent.unsigned_abs()));
    let values: Decimal128Array = match array.data_type() {
        DataType::Decimal128(_, from) if *from > scale => {
            let unit = 10i128.pow(u32::from((from - scale).unsigned_abs()));
            array.as_primitive::<Decimal128Type>().unary_opt(|v| fits(half_up(v, unit)))
        }
        DataType::Decimal128(_, from) => {
            let unit = power(scale - from);
            array.as_primitive::<Decimal128Type>().unary_opt(|v| fits(v.checked_mul(unit?)?))
        }
        ty if ty.is_floating() => {
            let mut text = Vec::new();
            let values = doubles(array)?;
            let single = array.as_primitive_opt::<Float32Type>().cloned();
            let values = (0..values.len()).map(|row| {
                if values.is_null(row) {
                    return Ok(None);
                }
                text.clear();
                match &single {
                    Some(single) => crate::formats::print::single(&mut text, single.value(row)),
                    None => crate::formats::print::double(&mut text, values.value(row)),
                }
                let text = std::str::from_utf8(&text).expect("a number's digits");
                match parse::decimal(text, precision, scale) {
                    Some(Decimal::Fits(value)) => Ok(Some(value)),
                    Some(Decimal::Overflows) => Ok(None),
                    None => outcome.failed(text),
                }
            });
            values.collect::<Result<_>>()?
        }
        _ => {
            let wide = match array.data_type() {
                DataType::Boolean => cast(&cast(array, &DataType::Int32)?, &DataType::Int64)?,
                _ => cast(array, &DataType::Int64)?,
            };
            let unit = power(scale);
            wide.as_primitive::<Int64Type>()
                .unary_opt(|v| fits(i128::from(v).checked_mul(unit?)?))
        }
    };
    Ok(Arc::new(values.with_precision_and_scale(precision, scale)?))
}

/// Divides, rounding halves away from zero.
pub(crate) fn half_up(value: i128, unit: i128) -> i128 {
    let (quotient, rest) = (value / unit, value % unit);
    if rest.abs() >= unit - rest.abs() { quotient + value.signum() } else { quotient }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planning::cast::Failure;

    fn cast_to(array: ArrayRef, target: &DataType) -> ArrayRef {
        let outcome = Outcome::new(Failure::Fails, "x");
        values(&array, target, &outcome).expect("a value")
    }

    #[test]
    fn narrowing_is_javas() {
        let doubles: ArrayRef =
            Arc::new(arrow::array::Float64Array::from(vec![1e10, -1.9, f64::NAN, 300.7]));
        let ints = cast_to(Arc::clone(&doubles), &DataType::Int32);
        assert_eq!(ints.as_primitive::<Int32Type>().values(), &[i32::MAX, -1, 0, 300]);
        let bytes = cast_to(doubles, &DataType::Int8);
        assert_eq!(bytes.as_primitive::<Int8Type>().values(), &[-1, -1, 0, 44]);
        let longs: ArrayRef = Arc::new(Int64Array::from(vec![1 << 32 | 5, -1]));
        let ints = cast_to(longs, &DataType::Int32);
        assert_eq!(ints.as_primitive::<Int32Type>().values(), &[5, -1]);
    }

    #[test]
    fn decimals_round_half_up_and_overflow_to_null() {
        let doubles: ArrayRef =
            Arc::new(arrow::array::Float64Array::from(vec![1.005, -2.345, 12345.0]));
        let out = cast_to(doubles, &DataType::Decimal128(5, 2));
        let out = out.as_primitive::<Decimal128Type>();
        assert_eq!((out.value(0), out.value(1), out.is_null(2)), (101, -235, true));
        assert_eq!((half_up(25, 10), half_up(-25, 10), half_up(24, 10)), (3, -3, 2));
    }
}
