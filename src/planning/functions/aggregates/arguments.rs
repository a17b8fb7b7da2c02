//! What types the numeric aggregates take.
//!
//! Owns the one coercion they share: a number stays what it is, so that SUM of
//! an INT is an INT. Refuses everything else, in the author's words.

use arrow::datatypes::DataType;
use datafusion::common::{Result, plan_err};

use super::super::flink_name;

/// The type in which `function` takes its one argument.
///
/// Flink has no unsigned integers; those that the engine's own functions give
/// become the signed type that holds them.
pub fn number(function: &str, types: &[DataType]) -> Result<Vec<DataType>> {
    let [ty] = types else {
        return plan_err!("{function} takes one argument, not {}", types.len());
    };
    Ok(vec![match ty {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Decimal128(_, _) => ty.clone(),
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        other => return plan_err!("{function} takes a number, not {}", flink_name(other)),
    }])
}

/// The type of an average: a decimal gets all 38 digits and at least six after
/// the point, any other number stays as it is.
pub fn average_of(ty: &DataType) -> DataType {
    match ty {
        DataType::Decimal128(_, scale) => DataType::Decimal128(38, (*scale).max(6)),
        other => other.clone(),
    }
}
