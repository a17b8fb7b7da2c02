//! `ROUND(x[, digits])` and `TRUNCATE(x[, digits])`.
//!
//! A DECIMAL's type follows from the digits, which must therefore be a literal.
//! A DOUBLE is rounded as it is printed, half up.
//!
//! Source: Flink's `LogicalTypeMerging.findRoundDecimalType`,
//! `SqlFunctionUtils.sround`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    [("round", true), ("truncate", false)]
        .map(|(name, half_up)| {
            let signature = Signature::user_defined(Volatility::Immutable);
            Arc::new(ScalarUDF::new_from_impl(Rounding { name, half_up, signature }))
        })
        .to_vec()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounding {
    name: &'static str,
    half_up: bool,
    signature: Signature,
}

/// The type of a DECIMAL rounded to `digits`.
fn rounded_type(precision: u8, scale: i8, digits: i64) -> (u8, i8) {
    if digits >= i64::from(scale) {
        return (precision, scale);
    }
    let kept = digits.max(0) as i8;
    ((1 + precision - scale as u8 + kept as u8).min(38), kept)
}

impl ScalarUDFImpl for Rounding {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let fits = match types {
            [number] => number.is_numeric() || number.is_null(),
            [number, digits] => {
                (number.is_numeric() || number.is_null())
                    && (digits.is_integer() || digits.is_null())
            }
            _ => false,
        };
        if !fits {
            return plan_err!("{} takes a number and an INT", self.name.to_uppercase());
        }
        let mut coerced = types.to_vec();
        if coerced[0].is_null() {
            coerced[0] = DataType::Int32;
        }
        Ok(coerced)
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args says it")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let ty = match args.arg_fields[0].data_type() {
            DataType::Decimal128(precision, scale) => {
                let digits = match args.scalar_arguments.get(1) {
                    None => Some(0),
                    Some(given) => given.and_then(integer),
                };
                let Some(digits) = digits else {
                    return plan_err!(
                        "the digits of {} of a DECIMAL must be a literal",
                        self.name.to_uppercase()
                    );
                };
                let (precision, scale) = rounded_type(*precision, *scale, digits);
                DataType::Decimal128(precision, scale)
            }
            other => other.clone(),
        };
        Ok(Arc::new(Field::new(self.name, ty, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let numbers = args.args[0].to_array(rows)?;
        let digits = match args.args.get(1) {
            Some(digits) => cast(&digits.to_array(rows)?, &DataType::Int64)?,
            None => Arc::new(arrow::array::Int64Array::from_value(0, rows)),
        };
        let array = self.round(&numbers, digits.as_primitive(), args.return_type())?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}

fn integer(value: &ScalarValue) -> Option<i64> {
    match value.cast_to(&DataType::Int64) {
        Ok(ScalarValue::Int64(number)) => number,
        _ => None,
    }
}

impl Rounding {
    fn round(
        &self,
        numbers: &ArrayRef,
        digits: &arrow::array::Int64Array,
        returns: &DataType,
    ) -> Result<ArrayRef> {
        let digits_of = |row: usize| digits.is_valid(row).then(|| digits.value(row));
        let ty = numbers.data_type();
        if let (DataType::Decimal128(_, scale), DataType::Decimal128(precision, to)) =
            (ty, returns)
        {
            let values = numbers.as_primitive::<Decimal128Type>();
            let most = 10i128.pow(u32::from(*precision)) - 1;
            let out = values.iter().enumerate().map(|(row, value)| {
                let digits = digits_of(row)?;
                let rounded = self.decimal(value?, i64::from(*scale), i64::from(*to), digits);
                (rounded.abs() <= most).then_some(rounded)
            });
            let out = out.collect::<Decimal128Array>();
            return Ok(Arc::new(out.with_precision_and_scale(*precision, *to)?));
        }
        if ty.is_integer() {
            let wide = cast(numbers, &DataType::Int64)?;
            let values = wide.as_primitive::<Int64Type>();
            let out = values.iter().enumerate().map(|(row, value)| {
                // Beyond the type's limits it wraps, as Java's numbers do.
                let rounded = self.decimal(i128::from(value?), 0, 0, digits_of(row)?);
                Some(match returns {
                    DataType::Int8 => i64::from(rounded as i8),
                    DataType::Int16 => i64::from(rounded as i16),
                    DataType::Int32 => i64::from(rounded as i32),
                    _ => rounded as i64,
                })
            });
            let out: arrow::array::Int64Array = out.collect();
            return Ok(cast(&out, returns)?);
        }
        let wide = cast(numbers, &DataType::Float64)?;
        let values = wide.as_primitive::<Float64Type>();
        let mut text = String::new();
        let out = values
            .iter()
            .enumerate()
            .map(|(row, value)| Some(self.double(value?, digits_of(row)?, &mut text)));
        let out: arrow::array::Float64Array = out.collect();
        Ok(cast(&out, returns)?)
    }

    /// From `scale` to `digits`, and then written with the scale `to`.
    fn decimal(&self, value: i128, scale: i64, to: i64, digits: i64) -> i128 {
        let power = |exponent: i64| 10i128.pow(exponent.clamp(0, 38) as u32);
        let dropped = scale - digits;
        if dropped <= 0 {
            return value * power(to - scale);
        }
        if dropped > 38 {
            return 0;
        }
        let unit = power(dropped);
        let kept = if self.half_up {
            crate::planning::cast::half_up(value, unit)
        } else {
            value / unit
        };
        kept.saturating_mul(power(to - digits))
    }

    fn double(&self, value: f64, digits: i64, text: &mut String) -> f64 {
        if !value.is_finite() || value == 0.0 || digits >= 330 {
            return value;
        }
        text.clear();
        std::fmt::write(text, format_args!("{value:e}")).expect("a String takes all");
        rounded_text(text, digits, self.half_up).unwrap_or(value)
    }
}

/// Rounds `1.2345e3`, whose digits are the fewest that say which number it is.
fn rounded_text(text: &str, digits: i64, half_up: bool) -> Option<f64> {
    let (mantissa, exponent) = text.split_once('e')?;
    let exponent: i64 = exponent.parse().ok()?;
    let negative = mantissa.starts_with('-');
    let mut unscaled = 0i128;
    let mut count = 0;
    for digit in mantissa.bytes().filter(u8::is_ascii_digit) {
        unscaled = unscaled * 10 + i128::from(digit - b'0');
        count += 1;
    }
    // The number is unscaled * 10^-scale.
    let scale = count - 1 - exponent;
    let dropped = scale - digits;
    if dropped <= 0 {
        return None;
    }
    let kept = match u32::try_from(dropped).ok().and_then(|d| 10i128.checked_pow(d)) {
        Some(unit) if half_up => crate::planning::cast::half_up(unscaled, unit),
        Some(unit) => unscaled / unit,
        None => 0,
    };
    let sign = if negative && kept != 0 { "-" } else { "" };
    format!("{sign}{kept}e{}", -digits).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_round_as_they_are_printed() {
        let round = |value: f64, digits| {
            rounded_text(&format!("{value:e}"), digits, true).unwrap_or(value)
        };
        let truncate = |value: f64, digits| {
            rounded_text(&format!("{value:e}"), digits, false).unwrap_or(value)
        };
        assert_eq!(round(1.005, 2), 1.01);
        assert_eq!(round(-2.5, 0), -3.0);
        assert_eq!(round(1234.5, -2), 1200.0);
        assert_eq!(round(1e300, 2), 1e300);
        assert_eq!(round(0.001, 1), 0.0);
        assert_eq!(truncate(610_482.39, 1), 610_482.3);
        assert_eq!(truncate(-1.99, 1), -1.9);
    }

    #[test]
    fn types_follow_the_digits() {
        assert_eq!(rounded_type(10, 2, -1), (9, 0));
        assert_eq!(rounded_type(9, 0, 0), (9, 0));
        assert_eq!(rounded_type(13, 3, 0), (11, 0));
        assert_eq!(rounded_type(10, 2, 1), (10, 1));
        assert_eq!(rounded_type(10, 2, 5), (10, 2));
    }
}
