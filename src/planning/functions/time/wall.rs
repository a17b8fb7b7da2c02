//! Columns of points of time as microseconds on some scale: the wall time that
//! people read, or the instant.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use datafusion::common::{Result, exec_err};

use crate::times::parse;
use crate::times::{Localizer, WallTime};

/// Microseconds of each row.
pub(crate) type Micros = PrimitiveArray<Int64Type>;

/// Turns instants into the session's wall time and back, in microseconds.
#[derive(Debug, Clone)]
pub(crate) struct Zoned {
    wall: WallTime,
    localizer: Localizer,
}

impl Zoned {
    pub(crate) fn new(time_zone: &str) -> Self {
        let wall = WallTime::Zone(time_zone.into());
        Self { localizer: wall.localizer(), wall }
    }

    pub(crate) fn wall(&mut self, instant: i64) -> i64 {
        instant + self.offset(instant)
    }

    /// Microseconds to add to the instant to get wall time.
    pub(crate) fn offset(&mut self, instant: i64) -> i64 {
        let millis = instant.div_euclid(1000);
        (self.localizer.wall(millis) - millis) * 1000
    }

    /// The first instant at which clocks show `wall`.
    pub(crate) fn instant(&self, wall: i64) -> i64 {
        let millis = wall.div_euclid(1000);
        self.wall.first_instant(millis) * 1000 + wall.rem_euclid(1000)
    }
}

/// Every value mapped by a function that may remember what it saw.
pub(crate) fn mapped(micros: &Micros, map: impl FnMut(i64) -> i64) -> Micros {
    let values: Vec<i64> = micros.values().iter().copied().map(map).collect();
    Micros::new(values.into(), micros.nulls().cloned())
}

/// Wall time: a TIMESTAMP_LTZ is seen in its zone, a DATE is its midnight, a
/// string is read in the default form.
pub(crate) fn wall_micros(array: &ArrayRef) -> Result<Micros> {
    match array.data_type() {
        DataType::Timestamp(_, Some(zone)) => {
            let mut zone = Zoned::new(zone);
            Ok(mapped(&instant_micros(array)?, |instant| zone.wall(instant)))
        }
        DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 => {
            let texts = cast(array, &DataType::Utf8View)?;
            Ok(texts.as_string_view().iter().map(|text| parse::timestamp(text?)).collect())
        }
        _ => instant_micros(array),
    }
}

/// The value as it is stored: the instant of a TIMESTAMP_LTZ.
pub(crate) fn instant_micros(array: &ArrayRef) -> Result<Micros> {
    Ok(match array.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            array.as_primitive::<TimestampMicrosecondType>().reinterpret_cast()
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => array
            .as_primitive::<TimestampNanosecondType>()
            .unary(|nanos| nanos.div_euclid(1000)),
        DataType::Timestamp(_, zone) => {
            let micros =
                cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone.clone()))?;
            micros.as_primitive::<TimestampMicrosecondType>().reinterpret_cast()
        }
        DataType::Date32 => {
            let days = array.as_primitive::<arrow::datatypes::Date32Type>();
            days.unary(|days| i64::from(days) * crate::times::calendar::MICROS_PER_DAY)
        }
        DataType::Time32(_) | DataType::Time64(_) => {
            let micros = cast(array, &DataType::Time64(TimeUnit::Microsecond))?;
            micros.as_primitive::<arrow::datatypes::Time64MicrosecondType>().reinterpret_cast()
        }
        other => return exec_err!("{other} is no point of time"),
    })
}

/// A column of type `ty`, a timestamp or a date, from values on its own scale.
pub(crate) fn from_micros(micros: Micros, ty: &DataType) -> Result<ArrayRef> {
    Ok(match ty {
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => {
            let nanos = micros.unary_opt::<_, TimestampNanosecondType>(|m| m.checked_mul(1000));
            Arc::new(nanos.with_timezone_opt(zone.clone()))
        }
        DataType::Timestamp(_, zone) => {
            let micros = micros.reinterpret_cast::<TimestampMicrosecondType>();
            Arc::new(micros.with_timezone_opt(zone.clone()))
        }
        DataType::Date32 => {
            let days = micros.unary::<_, arrow::datatypes::Date32Type>(|m| {
                m.div_euclid(crate::times::calendar::MICROS_PER_DAY) as i32
            });
            Arc::new(days)
        }
        other => return exec_err!("{other} is no point of time"),
    })
}

/// The zone of a TIMESTAMP_LTZ.
pub(crate) fn zone_of(ty: &DataType) -> Option<Zoned> {
    match ty {
        DataType::Timestamp(_, Some(zone)) => Some(Zoned::new(zone)),
        _ => None,
    }
}
