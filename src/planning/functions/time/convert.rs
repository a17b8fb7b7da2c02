//! Between text, numbers and points of time: TO_TIMESTAMP, TO_TIMESTAMP_LTZ,
//! TO_DATE, DATE_FORMAT, FROM_UNIXTIME, UNIX_TIMESTAMP, CONVERT_TZ.
//!
//! A text that does not fit its pattern is NULL; a pattern that is wrong fails.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int64Type, TimeUnit};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::super::Session;
use super::super::arguments::{Arguments, Texts};
use super::super::function::{Function, Parameter};
use super::wall::{Zoned, from_micros, wall_micros};
use crate::times::Zone;
use crate::times::calendar::MICROS_PER_DAY;
use crate::times::parse;
use crate::times::pattern::Pattern;

const TIMESTAMP: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
const DEFAULT: &str = "yyyy-MM-dd HH:mm:ss";

pub(super) fn all(session: &Session) -> Vec<Arc<ScalarUDF>> {
    vec![
        to_timestamp(),
        to_timestamp_ltz(session),
        to_date(),
        date_format(),
        from_unixtime(session),
        unix_timestamp(session),
        convert_tz(),
    ]
}

/// Patterns by their text: one that is the same for all rows is compiled once.
#[derive(Default)]
struct Patterns {
    text: String,
    compiled: Option<Pattern>,
}

impl Patterns {
    fn of(&mut self, text: &str) -> Result<&Pattern> {
        if self.compiled.is_none() || self.text != text {
            self.compiled = None;
            match Pattern::compile(text) {
                Ok(pattern) => self.compiled = Some(pattern),
                Err(message) => return exec_err!("{message}"),
            }
            text.clone_into(&mut self.text);
        }
        Ok(self.compiled.as_ref().expect("compiled above"))
    }
}

/// Wall times read from argument 0 by the patterns in argument `at`, or in the
/// default form.
fn read(args: &Arguments<'_>, at: usize) -> Result<Vec<Option<i64>>> {
    let texts = args.texts(0)?;
    let Some(patterns) = args.texts_if_given(at)? else {
        return Ok((0..args.rows).map(|row| parse::timestamp(texts.get(row)?)).collect());
    };
    read_by(args.rows, &texts, &patterns, |pattern, text| {
        // As Flink: a text in the default form is read whatever the pattern.
        pattern.parse(text).or_else(|| parse::timestamp(text))
    })
}

fn read_by(
    rows: usize,
    texts: &Texts,
    patterns: &Texts,
    parse: impl Fn(&Pattern, &str) -> Option<i64>,
) -> Result<Vec<Option<i64>>> {
    let mut compiled = Patterns::default();
    let mut out = Vec::with_capacity(rows);
    for row in 0..rows {
        out.push(match (texts.get(row), patterns.get(row)) {
            (Some(text), Some(pattern)) => {
                let plain = (pattern == DEFAULT).then(|| parse_default(text)).flatten();
                match plain {
                    Some(at) => Some(at),
                    None => parse(compiled.of(pattern)?, text),
                }
            }
            _ => None,
        });
    }
    Ok(out)
}

/// By [`DEFAULT`] to the letter, where the default form is laxer.
fn parse_default(text: &str) -> Option<i64> {
    if text.len() == DEFAULT.len() { parse::timestamp(text) } else { None }
}

fn to_millis(micros: i64) -> i64 {
    micros - micros.rem_euclid(1000)
}

/// `TO_TIMESTAMP(text[, pattern])` is a TIMESTAMP(3).
fn to_timestamp() -> Arc<ScalarUDF> {
    let parameters = [Parameter::Text, Parameter::Text];
    Function::new("to_timestamp", &parameters, TIMESTAMP, |args| {
        let wall = read(args, 1)?;
        from_micros(wall.into_iter().map(|at| at.map(to_millis)).collect(), &TIMESTAMP)
    })
    .optional(1)
    .udf()
}

/// The years 0 to 9999.
const LTZ_RANGE: std::ops::RangeInclusive<i64> =
    -62_167_219_200_000_000..=253_402_300_799_999_999;

/// `TO_TIMESTAMP_LTZ(number[, precision])` or `(text[, pattern[, zone]])`.
fn to_timestamp_ltz(session: &Session) -> Arc<ScalarUDF> {
    let zone = session.time_zone.as_str().into();
    let returns = DataType::Timestamp(TimeUnit::Microsecond, Some(zone));
    let evaluated = returns.clone();
    let parameters = [Parameter::Any, Parameter::Any, Parameter::Text];
    Function::new("to_timestamp_ltz", &parameters, returns, move |args| {
        let instants = match args.values[0].data_type() {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => read_ltz(args)?,
            ty if ty.is_numeric() || ty.is_null() => epoch(args)?,
            other => {
                return exec_err!("TO_TIMESTAMP_LTZ takes a number or a STRING, not {other}");
            }
        };
        from_micros(instants.into_iter().collect(), &evaluated)
    })
    .optional(2)
    .detail(&session.time_zone)
    .udf()
}

/// Without a zone of its own, the text is the time in UTC.
fn read_ltz(args: &Arguments<'_>) -> Result<Vec<Option<i64>>> {
    let wall = read(args, 1)?;
    let Some(zones) = args.texts_if_given(2)? else {
        return Ok(wall.into_iter().map(|at| at.map(to_millis)).collect());
    };
    let mut out = Vec::with_capacity(args.rows);
    for (row, wall) in wall.into_iter().enumerate() {
        out.push(match (wall, zones.get(row)) {
            (Some(wall), Some(zone)) => Some(to_millis(checked_zone(zone)?.instant(wall))),
            _ => None,
        });
    }
    Ok(out)
}

fn checked_zone(name: &str) -> Result<Zoned> {
    if Zone::parse(name).is_none() {
        return exec_err!("unknown time zone `{name}`");
    }
    Ok(Zoned::new(name))
}

fn epoch(args: &Arguments<'_>) -> Result<Vec<Option<i64>>> {
    let precision = match args.len() {
        1 => 3,
        _ => args.integers(1)?.get(0).unwrap_or(3),
    };
    let micros_per_unit = match precision {
        0 => 1_000_000,
        3 => 1000,
        6 => 1,
        other => {
            return exec_err!("TO_TIMESTAMP_LTZ takes a precision of 0, 3 or 6, not {other}");
        }
    };
    let fits = |micros: i64| LTZ_RANGE.contains(&micros).then_some(micros);
    if args.values[0].data_type().is_integer() {
        let numbers = args.integers(0)?;
        let micros = |row| fits(numbers.get(row)?.checked_mul(micros_per_unit)?);
        return Ok((0..args.rows).map(micros).collect());
    }
    let is_float = args.values[0].data_type().is_floating();
    let numbers = args.numbers::<Float64Type>(0)?;
    let micros = |row| {
        let millis = numbers.get(row)? * (micros_per_unit as f64 / 1000.0);
        let millis = if is_float { millis.floor() } else { millis.trunc() };
        fits((millis as i64).checked_mul(1000)?)
    };
    Ok((0..args.rows).map(micros).collect())
}

/// `TO_DATE(text[, pattern])`.
fn to_date() -> Arc<ScalarUDF> {
    let parameters = [Parameter::Text, Parameter::Text];
    Function::new("to_date", &parameters, DataType::Date32, |args| {
        if args.len() == 1 {
            let texts = args.texts(0)?;
            return Ok(args.collect::<Date32Type>(|row| {
                parse::date(texts.get(row)?).map(|days| days as i32)
            }));
        }
        let (texts, patterns) = (args.texts(0)?, args.texts(1)?);
        let wall = read_by(args.rows, &texts, &patterns, Pattern::parse_leniently)?;
        let days = |micros: i64| micros.div_euclid(MICROS_PER_DAY) as i32;
        Ok(args.collect::<Date32Type>(|row| wall[row].map(days)))
    })
    .optional(1)
    .udf()
}

/// `DATE_FORMAT(timestamp or text, pattern)`.
fn date_format() -> Arc<ScalarUDF> {
    let parameters = [Parameter::InstantOrText, Parameter::Text];
    Function::new("date_format", &parameters, DataType::Utf8View, |args| {
        let array = args.array(0)?;
        let wall = wall_micros(&array)?;
        let at = |row| wall.is_valid(row).then(|| wall.value(row));
        write(args, at, &args.texts(1)?)
    })
    .udf()
}

/// A column of points of time written by `patterns`.
fn write(
    args: &Arguments<'_>,
    at: impl Fn(usize) -> Option<i64>,
    patterns: &Texts,
) -> Result<ArrayRef> {
    let mut compiled = Patterns::default();
    let mut fault = None;
    let texts = args.write_texts(|row, out| {
        let (micros, pattern) = (at(row)?, patterns.get(row)?);
        match compiled.of(pattern) {
            Ok(pattern) => pattern.format(micros, out),
            Err(error) => fault = Some(error),
        }
        Some(())
    });
    fault.map_or(Ok(texts), Err)
}

fn default_pattern() -> Texts {
    Texts::constant(DEFAULT)
}

/// `FROM_UNIXTIME(seconds[, pattern])`, on the session's clock.
fn from_unixtime(session: &Session) -> Arc<ScalarUDF> {
    let zone = Zoned::new(&session.time_zone);
    let parameters = [Parameter::Integer, Parameter::Text];
    Function::new("from_unixtime", &parameters, DataType::Utf8View, move |args| {
        let seconds = args.integers(0)?;
        let mut zone = zone.clone();
        let wall: Vec<Option<i64>> = (0..args.rows)
            .map(|row| Some(zone.wall(seconds.get(row)?.wrapping_mul(1000).checked_mul(1000)?)))
            .collect();
        let patterns = args.texts_if_given(1)?.unwrap_or_else(default_pattern);
        write(args, |row| wall[row], &patterns)
    })
    .optional(1)
    .detail(&session.time_zone)
    .udf()
}

/// `UNIX_TIMESTAMP()`, `UNIX_TIMESTAMP(text[, pattern])`: seconds since 1970,
/// the text being on the session's clock. What follows the pattern is ignored.
fn unix_timestamp(session: &Session) -> Arc<ScalarUDF> {
    /// What Flink says of a text it cannot read.
    const UNREADABLE: i64 = i64::MIN;
    let zone = Zoned::new(&session.time_zone);
    let parameters = [Parameter::Text, Parameter::Text];
    Function::new("unix_timestamp", &parameters, DataType::Int64, move |args| {
        if args.len() == 0 {
            let now = super::now::now_micros().div_euclid(1_000_000);
            return Ok(args.collect::<Int64Type>(|_| Some(now)));
        }
        let texts = args.texts(0)?;
        let patterns = args.texts_if_given(1)?.unwrap_or_else(default_pattern);
        let wall = read_by(args.rows, &texts, &patterns, Pattern::parse_leniently)?;
        Ok(args.collect::<Int64Type>(|row| {
            texts.get(row).and(patterns.get(row))?;
            Some(wall[row].map_or(UNREADABLE, |at| zone.instant(at).div_euclid(1_000_000)))
        }))
    })
    .optional(2)
    .volatile()
    .detail(&session.time_zone)
    .udf()
}

/// `CONVERT_TZ(text, from, to)`: the wall time of one zone in another.
fn convert_tz() -> Arc<ScalarUDF> {
    let parameters = [Parameter::Text, Parameter::Text, Parameter::Text];
    Function::new("convert_tz", &parameters, DataType::Utf8View, |args| {
        let texts = args.texts(0)?;
        let (from, to) = (args.texts(1)?, args.texts(2)?);
        let mut converted = Vec::with_capacity(args.rows);
        for row in 0..args.rows {
            let wall = texts.get(row).and_then(parse_default);
            converted.push(match (wall, from.get(row), to.get(row)) {
                (Some(wall), Some(from), Some(to)) => {
                    let instant = checked_zone(from)?.instant(wall);
                    Some(checked_zone(to)?.wall(instant))
                }
                _ => None,
            });
        }
        write(args, |row| converted[row], &default_pattern())
    })
    .udf()
}
