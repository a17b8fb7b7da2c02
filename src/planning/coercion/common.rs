//! The type that values of several types become together: in CASE, COALESCE,
//! IN, and between the operands of an operator.
//!
//! Source: Calcite's `leastRestrictive`, with Flink's precisions.

use arrow::datatypes::{DataType, TimeUnit};

/// The most digits of a DECIMAL.
pub(crate) const MAX_PRECISION: u8 = 38;

/// A number's precision and scale as a DECIMAL, if it is exact.
pub(crate) fn exact(ty: &DataType) -> Option<(u8, i8)> {
    Some(match ty {
        DataType::Int8 => (3, 0),
        DataType::Int16 => (5, 0),
        DataType::Int32 => (10, 0),
        DataType::Int64 => (19, 0),
        DataType::UInt64 => (20, 0),
        DataType::Decimal128(precision, scale) => (*precision, *scale),
        _ => return None,
    })
}

/// The type all of `types` become, if there is one; NULL becomes any.
pub(crate) fn common_type<'a>(
    types: impl IntoIterator<Item = &'a DataType>,
) -> Option<DataType> {
    let mut types = types.into_iter();
    let first = types.next()?.clone();
    types.try_fold(first, |common, ty| pair(&common, ty))
}

/// The same, but of a FLOAT and a DOUBLE the one that comes first: so it is in
/// Flink's arithmetic, CASE and IF.
pub(crate) fn common_type_in_order<'a>(
    types: impl IntoIterator<Item = &'a DataType> + Clone,
) -> Option<DataType> {
    let common = common_type(types.clone())?;
    let is_decimal = |ty: &DataType| matches!(ty, DataType::Decimal128(..));
    let first = types.clone().into_iter().find(|ty| ty.is_floating());
    Some(match first {
        Some(DataType::Float32) if !types.into_iter().any(is_decimal) => DataType::Float32,
        _ => common,
    })
}

fn pair(a: &DataType, b: &DataType) -> Option<DataType> {
    use DataType::{
        Binary, BinaryView, Date32, Decimal128, Float32, Float64, LargeUtf8, Null, Timestamp,
        Utf8, Utf8View,
    };
    Some(match (a, b) {
        (a, b) if a == b => a.clone(),
        (Null, other) | (other, Null) => other.clone(),
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => Utf8View,
        (Binary | BinaryView, Binary | BinaryView) => BinaryView,
        (Float64, other) | (other, Float64) if other.is_numeric() => Float64,
        (Float32, Decimal128(..)) | (Decimal128(..), Float32) => Float64,
        (Float32, other) | (other, Float32) if other.is_integer() => Float32,
        (a, b) if a.is_signed_integer() && b.is_signed_integer() => {
            if exact(a)? >= exact(b)? {
                a.clone()
            } else {
                b.clone()
            }
        }
        (a, b) if exact(a).is_some() && exact(b).is_some() => {
            let ((p1, s1), (p2, s2)) = (exact(a)?, exact(b)?);
            let scale = s1.max(s2);
            let whole = (p1 as i8 - s1).max(p2 as i8 - s2);
            let precision = (whole + scale) as u8;
            Decimal128(precision.min(MAX_PRECISION), scale.min(MAX_PRECISION as i8))
        }
        (Date32, Timestamp(..)) => b.clone(),
        (Timestamp(..), Date32) => a.clone(),
        (Timestamp(u1, z1), Timestamp(u2, z2)) => {
            let nanos = [u1, u2].contains(&&TimeUnit::Nanosecond);
            let unit = if nanos { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
            Timestamp(unit, z1.clone().or_else(|| z2.clone()))
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use DataType::{Decimal128, Float32, Float64, Int8, Int32, Int64, Null, Utf8, Utf8View};

    #[test]
    fn types_meet_as_in_flink() {
        for (a, b, both) in [
            (Decimal128(10, 2), Int32, Decimal128(12, 2)),
            (Decimal128(8, 2), Int32, Decimal128(12, 2)),
            (Decimal128(10, 2), Decimal128(5, 4), Decimal128(12, 4)),
            (Int8, Int64, Int64),
            (Float32, Int64, Float32),
            (Float32, Decimal128(5, 1), Float64),
            (Float64, Decimal128(5, 1), Float64),
            (Null, Int32, Int32),
            (Utf8, Utf8View, Utf8View),
        ] {
            assert_eq!(common_type([&a, &b]), Some(both.clone()), "{a} {b}");
            assert_eq!(common_type([&b, &a]), Some(both), "{b} {a}");
        }
        assert_eq!(common_type([&Utf8, &Int32]), None);
    }
}
