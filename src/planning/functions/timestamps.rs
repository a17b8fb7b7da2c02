//! Text to timestamps and back: TO_TIMESTAMP, TO_TIMESTAMP_LTZ, DATE_FORMAT.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, StringViewBuilder, TimestampMicrosecondArray,
    TimestampMicrosecondBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimeUnit, TimestampMicrosecondType};
use chrono::DateTime;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::Session;
use super::java_pattern::Pattern;
use crate::formats::parse::{TimestampForm, timestamp};
use crate::planning::Zone;

/// These functions, for a session.
pub fn all(session: &Session) -> Vec<Arc<ScalarUDF>> {
    let zone: Arc<str> = session.time_zone.as_str().into();
    vec![
        Arc::new(ScalarUDF::from(ToTimestamp { signature: text_arguments() })),
        Arc::new(ScalarUDF::from(ToTimestampLtz {
            signature: Signature::user_defined(Volatility::Immutable),
            zone: Arc::clone(&zone),
        })),
        Arc::new(ScalarUDF::from(DateFormat {
            signature: Signature::user_defined(Volatility::Immutable),
            zone,
        })),
    ]
}

fn text_arguments() -> Signature {
    Signature::user_defined(Volatility::Immutable)
}

/// Texts as views, whatever they came as.
fn views(types: &[DataType], from: usize) -> Vec<DataType> {
    types
        .iter()
        .enumerate()
        .map(|(i, ty)| if i >= from { DataType::Utf8View } else { ty.clone() })
        .collect()
}

/// The pattern of a constant argument.
fn constant_pattern(
    function: &str,
    args: &[ColumnarValue],
    at: usize,
) -> Result<Option<Pattern>> {
    match args.get(at) {
        None => Ok(None),
        Some(ColumnarValue::Scalar(value)) => match value.try_as_str() {
            Some(Some(text)) => match Pattern::new(text) {
                Ok(pattern) => Ok(Some(pattern)),
                Err(reason) => exec_err!("{function}: `{text}`: {reason}"),
            },
            _ => exec_err!("{function}: the pattern is NULL"),
        },
        Some(ColumnarValue::Array(_)) => {
            exec_err!("{function} takes a constant pattern; a column's is not supported")
        }
    }
}

/// `TO_TIMESTAMP(text[, pattern])`: NULL where the text is no timestamp.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestamp {
    signature: Signature,
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &'static str {
        "to_timestamp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types.len() {
            1 | 2 => Ok(views(types, 0)),
            n => plan_err!("TO_TIMESTAMP takes a text and a pattern, not {n} arguments"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let pattern = constant_pattern("TO_TIMESTAMP", &args.args, 1)?;
        let texts = args.args[0].to_array(args.number_rows)?;
        let texts = texts.as_string_view();
        let mut out = TimestampMicrosecondBuilder::with_capacity(texts.len());
        for text in texts {
            out.append_option(text.and_then(|text| match &pattern {
                None => timestamp(text, TimestampForm::Sql).and_then(|at| at.micros()),
                Some(pattern) => pattern.parse(text).map(|at| at.and_utc().timestamp_micros()),
            }));
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// `TO_TIMESTAMP_LTZ(number, 0|3)`: seconds or milliseconds since the epoch.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestampLtz {
    signature: Signature,
    zone: Arc<str>,
}

impl ScalarUDFImpl for ToTimestampLtz {
    fn name(&self) -> &'static str {
        "to_timestamp_ltz"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [number] if number.is_numeric() => Ok(vec![DataType::Int64]),
            [number, _] if number.is_numeric() => Ok(vec![DataType::Int64, DataType::Int64]),
            _ => plan_err!("TO_TIMESTAMP_LTZ takes a number and a precision of 0 or 3"),
        }
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::clone(&self.zone))))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let micros_per_unit = match args.args.get(1) {
            None | Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(3)))) => 1_000,
            Some(ColumnarValue::Scalar(ScalarValue::Int64(Some(0)))) => 1_000_000,
            _ => return exec_err!("TO_TIMESTAMP_LTZ takes a precision of 0 or 3"),
        };
        let numbers = args.args[0].to_array(args.number_rows)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let times: TimestampMicrosecondArray =
            numbers.unary_opt(|number| number.checked_mul(micros_per_unit));
        let times = times.with_timezone(Arc::clone(&self.zone));
        Ok(ColumnarValue::Array(Arc::new(times)))
    }
}

/// `DATE_FORMAT(timestamp, pattern)`; a text is read as a timestamp first.
#[derive(Debug, PartialEq, Eq, Hash)]
struct DateFormat {
    signature: Signature,
    zone: Arc<str>,
}

impl ScalarUDFImpl for DateFormat {
    fn name(&self) -> &'static str {
        "date_format"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [time, _] = types else {
            return plan_err!("DATE_FORMAT takes a timestamp and a pattern");
        };
        let time = match time {
            DataType::Timestamp(_, zone) => {
                DataType::Timestamp(TimeUnit::Microsecond, zone.clone())
            }
            DataType::Date32 => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => DataType::Utf8View,
        };
        Ok(vec![time, DataType::Utf8View])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let pattern = constant_pattern("DATE_FORMAT", &args.args, 1)?;
        let pattern = pattern.expect("coercion asked for two arguments");
        let times = wall_micros(&args.args[0].to_array(args.number_rows)?, &self.zone)?;
        let mut out = StringViewBuilder::with_capacity(times.len());
        let mut text = String::new();
        // The rows of one window show the same time.
        let mut last = None;
        for micros in &times {
            let Some(micros) = micros else {
                out.append_null();
                continue;
            };
            if last != Some(micros) {
                text.clear();
                match DateTime::from_timestamp_micros(micros) {
                    Some(at) => pattern.format(at.naive_utc(), &mut text),
                    None => return exec_err!("DATE_FORMAT: {micros} µs is no date"),
                }
                last = Some(micros);
            }
            out.append_value(&text);
        }
        Ok(ColumnarValue::Array(Arc::new(out.finish())))
    }
}

/// Wall time in microseconds, of timestamps of either kind or of texts.
fn wall_micros(times: &ArrayRef, session: &str) -> Result<TimestampMicrosecondArray> {
    match times.data_type() {
        DataType::Timestamp(_, Some(zone)) => {
            let zone = Zone::parse(zone).or_else(|| Zone::parse(session));
            let zone = zone.expect("the session's zone was checked when it was set");
            let times = times.as_primitive::<TimestampMicrosecondType>();
            let wall = |us: i64| us + zone.offset_ms(us.div_euclid(1000)) * 1000;
            Ok(times.unary(wall))
        }
        DataType::Timestamp(..) => Ok(times.as_primitive::<TimestampMicrosecondType>().clone()),
        _ => {
            let texts = cast(times, &DataType::Utf8View)?;
            let read = |text: Option<&str>| {
                text.and_then(|t| timestamp(t, TimestampForm::Sql)).and_then(|at| at.micros())
            };
            Ok(texts.as_string_view().iter().map(read).collect())
        }
    }
}
