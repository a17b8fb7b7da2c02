//! Literals: a number without a point that fits is an INT, a string is a
//! Utf8View, `0.908` is a DECIMAL(4, 3).

use datafusion::common::ScalarValue;
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::Expr;

pub(super) fn typed(value: ScalarValue, metadata: Option<FieldMetadata>) -> Transformed<Expr> {
    let typed = match &value {
        ScalarValue::Int64(Some(number)) => {
            i32::try_from(*number).ok().map(|n| ScalarValue::Int32(Some(n)))
        }
        ScalarValue::UInt64(Some(number)) => {
            Some(ScalarValue::Decimal128(Some(i128::from(*number)), 20, 0))
        }
        ScalarValue::Utf8(text) => Some(ScalarValue::Utf8View(text.clone())),
        ScalarValue::Decimal128(Some(unscaled), precision, scale) => {
            decimal(*unscaled, *precision, *scale)
        }
        _ => None,
    };
    match typed {
        Some(value) => Transformed::yes(Expr::Literal(value, metadata)),
        None => Transformed::no(Expr::Literal(value, metadata)),
    }
}

/// The digit before the point counts, also if it is a zero.
fn decimal(unscaled: i128, precision: u8, scale: i8) -> Option<ScalarValue> {
    if scale < 0 {
        let unscaled =
            unscaled.checked_mul(10i128.checked_pow(u32::from(scale.unsigned_abs()))?)?;
        let precision = precision + scale.unsigned_abs();
        return (precision <= 38).then_some(ScalarValue::Decimal128(
            Some(unscaled),
            precision,
            0,
        ));
    }
    let digits = scale.unsigned_abs() + 1;
    (scale > 0 && precision < digits && digits <= 38).then_some(ScalarValue::Decimal128(
        Some(unscaled),
        digits,
        scale,
    ))
}
