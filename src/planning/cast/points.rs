//! Points of time as other kinds of them: by the session's zone between a
//! TIMESTAMP_LTZ and the rest, cut to the digits that are declared.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Int64Type, Time32MillisecondType};
use datafusion::common::Result;

use crate::planning::functions::time::wall::{Zoned, from_micros, instant_micros, wall_micros};
use crate::times::calendar::split;
use crate::types::FLINK_TYPE;

pub(super) fn values(
    array: &ArrayRef,
    target: &DataType,
    digits: u8,
    time_zone: &str,
) -> Result<ArrayRef> {
    match (array.data_type(), target) {
        (DataType::Timestamp(_, Some(_)), DataType::Timestamp(_, Some(_))) => {
            let instants = instant_micros(array)?;
            from_micros(instants.unary::<_, Int64Type>(|at| cut(at, digits)), target)
        }
        (_, DataType::Timestamp(_, Some(_))) => {
            let zone = Zoned::new(time_zone);
            let wall = wall_micros(array)?;
            from_micros(wall.unary::<_, Int64Type>(|at| zone.instant(cut(at, digits))), target)
        }
        (_, DataType::Time32(_) | DataType::Time64(_)) => {
            let wall = wall_micros(array)?;
            let millis = wall.unary::<_, Time32MillisecondType>(|at| {
                (split(cut(at, digits)).1 / 1000) as i32
            });
            Ok(arrow::compute::cast(&(Arc::new(millis) as ArrayRef), target)?)
        }
        _ => {
            let wall = wall_micros(array)?;
            from_micros(wall.unary::<_, Int64Type>(|at| cut(at, digits)), target)
        }
    }
}

/// Drops what is beyond `digits` of the fraction.
pub(super) fn cut(micros: i64, digits: u8) -> i64 {
    let unit = 10i64.pow(u32::from(6 - digits.min(6)));
    micros - micros.rem_euclid(unit)
}

/// The digits in a declared type: `TIMESTAMP(3)`, `TIMESTAMP_LTZ(3)`.
pub(super) fn declared_digits(declared: &str) -> Option<u8> {
    let (_, rest) = declared.split_once('(')?;
    rest.strip_suffix(')')?.parse().ok()
}

/// The digits of a TIME: none unless declared.
pub(super) fn time_precision(to: &Field) -> Option<u8> {
    let declared = to.metadata().get(FLINK_TYPE)?;
    Some(declared_digits(declared).unwrap_or(0))
}
