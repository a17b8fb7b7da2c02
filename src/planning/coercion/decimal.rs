//! Arithmetic of DECIMALs where Flink's precision or rounding is not Arrow's:
//! every division, and results that would take more than 38 digits.
//!
//! A result that does not fit is NULL; what is dropped is rounded half up.
//!
//! Source: Flink's `LogicalTypeMerging`, `DecimalDataUtils`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, i256};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::common::MAX_PRECISION;

/// An operator of two DECIMALs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operation {
    /// The result's precision and scale, and whether digits had to go.
    pub(crate) fn result(self, (p1, s1): (u8, i8), (p2, s2): (u8, i8)) -> (u8, i8, bool) {
        let (p1, s1, p2, s2) = (i32::from(p1), i32::from(s1), i32::from(p2), i32::from(s2));
        let scale = s1.max(s2);
        let (precision, scale) = match self {
            Operation::Add | Operation::Subtract => ((p1 - s1).max(p2 - s2) + scale + 1, scale),
            Operation::Multiply => (p1 + p2 + 1, s1 + s2),
            Operation::Divide => {
                let scale = (s1 + p2 + 1).max(6);
                (p1 - s1 + s2 + scale, scale)
            }
            Operation::Remainder if (s1, s2) == (0, 0) => (p2, 0),
            Operation::Remainder => ((p1 - s1).min(p2 - s2) + scale, scale),
        };
        adjusted(precision, scale)
    }

    fn name(self) -> &'static str {
        match self {
            Operation::Add => "decimal_add",
            Operation::Subtract => "decimal_subtract",
            Operation::Multiply => "decimal_multiply",
            Operation::Divide => "decimal_divide",
            Operation::Remainder => "decimal_remainder",
        }
    }
}

/// Cuts a type of more than 38 digits: the scale gives way, down to six.
fn adjusted(precision: i32, scale: i32) -> (u8, i8, bool) {
    let most = i32::from(MAX_PRECISION);
    if precision <= most {
        return (precision as u8, scale as i8, false);
    }
    let whole = precision - scale;
    let scale = (most - whole).max(scale.min(6));
    (MAX_PRECISION, scale as i8, true)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Arithmetic {
    operation: Operation,
    signature: Signature,
}

/// The function of two DECIMALs that `operation` is.
pub(crate) fn function(operation: Operation) -> Arc<ScalarUDF> {
    let signature = Signature::any(2, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(Arithmetic { operation, signature }))
}

fn decimal(ty: &DataType) -> Result<(u8, i8)> {
    match ty {
        DataType::Decimal128(precision, scale) => Ok((*precision, *scale)),
        other => internal_err!("{other} is no DECIMAL"),
    }
}

impl ScalarUDFImpl for Arithmetic {
    fn name(&self) -> &str {
        self.operation.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        let (precision, scale, _) =
            self.operation.result(decimal(&types[0])?, decimal(&types[1])?);
        Ok(DataType::Decimal128(precision, scale))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let rows = if constant { 1 } else { args.number_rows };
        let (left, right) = (args.args[0].to_array(rows)?, args.args[1].to_array(rows)?);
        let (precision, scale) = decimal(args.return_type())?;
        let array = calculate(self.operation, &left, &right, precision, scale)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(array)))
    }
}

fn calculate(
    operation: Operation,
    left: &ArrayRef,
    right: &ArrayRef,
    precision: u8,
    scale: i8,
) -> Result<Decimal128Array> {
    let ((_, s1), (_, s2)) = (decimal(left.data_type())?, decimal(right.data_type())?);
    let (left, right) =
        (left.as_primitive::<Decimal128Type>(), right.as_primitive::<Decimal128Type>());
    let limit = 10i128.pow(u32::from(precision));
    let mut out = Decimal128Array::builder(left.len());
    for row in 0..left.len() {
        if left.is_null(row) || right.is_null(row) {
            out.append_null();
            continue;
        }
        let (a, b) = (left.value(row), right.value(row));
        if b == 0 && matches!(operation, Operation::Divide | Operation::Remainder) {
            return exec_err!("division by zero");
        }
        let value = exactly(operation, (a, s1), (b, s2), scale);
        out.append_option(value.filter(|v| v.abs() < limit));
    }
    Ok(out.finish().with_precision_and_scale(precision, scale)?)
}

/// The unscaled result at `scale`; `None` if it fits no 128 bits.
fn exactly(
    operation: Operation,
    (a, s1): (i128, i8),
    (b, s2): (i128, i8),
    scale: i8,
) -> Option<i128> {
    let (a, b) = (i256::from_i128(a), i256::from_i128(b));
    let common = s1.max(s2);
    let aligned = || Some((scaled(a, common - s1)?, scaled(b, common - s2)?));
    let value = match operation {
        Operation::Add => {
            let (a, b) = aligned()?;
            rescaled(a.checked_add(b)?, common, scale)?
        }
        Operation::Subtract => {
            let (a, b) = aligned()?;
            rescaled(a.checked_sub(b)?, common, scale)?
        }
        Operation::Remainder => {
            let (a, b) = aligned()?;
            rescaled(a.checked_rem(b)?, common, scale)?
        }
        Operation::Multiply => rescaled(a.checked_mul(b)?, s1 + s2, scale)?,
        // a / 10^s1 / (b / 10^s2) * 10^scale
        Operation::Divide => match scale + s2 - s1 {
            shift @ 0.. => half_up(scaled(a, shift)?, b)?,
            shift => half_up(a, scaled(b, -shift)?)?,
        },
    };
    value.to_i128()
}

fn power(exponent: i8) -> Option<i256> {
    i256::from_i128(10).checked_pow(u32::try_from(exponent).ok()?)
}

fn scaled(value: i256, by: i8) -> Option<i256> {
    value.checked_mul(power(by)?)
}

fn rescaled(value: i256, from: i8, to: i8) -> Option<i256> {
    if to >= from { scaled(value, to - from) } else { half_up(value, power(from - to)?) }
}

/// Divides, rounding halves away from zero.
fn half_up(value: i256, by: i256) -> Option<i256> {
    let quotient = value.checked_div(by)?;
    let rest = value.checked_rem(by)?;
    let double = rest.checked_abs()?.checked_mul(i256::from_i128(2))?;
    if double < by.checked_abs()? {
        return Some(quotient);
    }
    let away =
        if value.is_negative() == by.is_negative() { i256::ONE } else { i256::MINUS_ONE };
    quotient.checked_add(away)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_types_are_flinks() {
        use Operation::{Add, Divide, Multiply, Remainder};
        for (operation, left, right, expected) in [
            (Divide, (38, 2), (10, 0), (38, 6)),
            (Divide, (10, 2), (10, 0), (21, 13)),
            (Multiply, (19, 0), (4, 3), (24, 3)),
            (Multiply, (10, 2), (10, 2), (21, 4)),
            (Multiply, (38, 10), (38, 10), (38, 6)),
            (Add, (10, 2), (12, 2), (13, 2)),
            (Add, (38, 10), (38, 2), (38, 6)),
            (Remainder, (10, 2), (5, 0), (7, 2)),
            (Remainder, (19, 0), (10, 0), (10, 0)),
        ] {
            let (precision, scale, _) = operation.result(left, right);
            assert_eq!((precision, scale), expected, "{operation:?} {left:?} {right:?}");
        }
    }

    #[test]
    fn halves_round_away_from_zero() {
        let divide = |a, b, scale| exactly(Operation::Divide, (a, 0), (b, 0), scale);
        assert_eq!(divide(1, 3, 6), Some(333_333));
        assert_eq!(divide(2, 3, 6), Some(666_667));
        assert_eq!(divide(-2, 3, 6), Some(-666_667));
        assert_eq!(divide(5, 2, 0), Some(3));
        assert_eq!(divide(-5, 2, 0), Some(-3));
        let product = exactly(Operation::Multiply, (15, 1), (15, 1), 1);
        assert_eq!(product, Some(23));
    }
}
