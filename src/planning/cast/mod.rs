//! CAST and TRY_CAST with Flink's rules: where Arrow's own cast gives Flink's
//! values it is used, everywhere else a function of ours.
//!
//! A CAST that cannot succeed fails the job, TRY_CAST gives NULL. What Flink
//! does not cast, such as a number to a TIMESTAMP, is refused.

pub(super) mod call;
mod function;
mod numbers;
mod points;
mod read;
mod write;

use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::{Cast, Expr, ExprSchemable};

use super::coercion::declared;
use super::functions::flink_name;
use crate::types::FLINK_TYPE;
use function::{Conversion, FlinkCast};
pub(super) use numbers::half_up;

/// What becomes of a value that cannot be cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Failure {
    Fails,
    IsNull,
}

/// `CAST(expr AS to)`; `to` carries the declared type in its metadata.
///
/// # Errors
/// Flink has no such cast.
pub fn rewrite(
    expr: Expr,
    to: &Field,
    failure: Failure,
    schema: &DFSchema,
    time_zone: &str,
) -> Result<Expr> {
    let from = expr.get_type(schema)?;
    let target = to.data_type();
    let Some(way) = way(&from, to, declared::precision(&expr, schema)) else {
        return refused(&from, target);
    };
    let conversion = match way {
        Way::Arrows => {
            let to = std::sync::Arc::new(to.clone().with_name("").with_nullable(true));
            return Ok(Expr::Cast(Cast::new_from_field(Box::new(expr), to)));
        }
        Way::Ours(conversion) => conversion,
    };
    let cast =
        FlinkCast::new(conversion, target.clone(), declared_name(to), failure, time_zone);
    Ok(cast.call(expr))
}

fn declared_name(to: &Field) -> String {
    to.metadata().get(FLINK_TYPE).cloned().unwrap_or_else(|| flink_name(to.data_type()))
}

enum Way {
    Arrows,
    Ours(Conversion),
}

/// How a value gets from one type to another; `None` if Flink refuses.
fn way(from: &DataType, to: &Field, precision: u8) -> Option<Way> {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Decimal128, List, Map, Null, Struct, Timestamp,
        Utf8View,
    };
    let is_point = |ty: &DataType| matches!(ty, Timestamp(..) | Date32) || is_time(ty);
    Some(match (from, to.data_type()) {
        (Null, _) => Way::Arrows,
        (from, Utf8View) => to_text(from, to, precision)?,
        (from, Binary | BinaryView) if from.is_string() => Way::Arrows,
        (Binary | BinaryView, Binary | BinaryView) => Way::Arrows,
        (from, to) if from.is_string() => {
            let readable = to.is_numeric() || *to == Boolean || is_point(to);
            readable.then_some(Way::Ours(Conversion::Read))?
        }
        (Boolean, Boolean) => Way::Arrows,
        (Boolean, Decimal128(..)) | (Decimal128(..), Boolean) => Way::Ours(Conversion::Number),
        (Boolean, to) if to.is_numeric() => Way::Arrows,
        (from, Boolean) if from.is_numeric() => Way::Arrows,
        (from, to) if from.is_numeric() && to.is_numeric() => number(from, to),
        (from, target) if is_point(from) && is_point(target) => point(from, to, precision)?,
        (List(_), List(_)) | (Map(..), Map(..)) | (Struct(_), Struct(_)) => Way::Arrows,
        _ => return None,
    })
}

fn is_time(ty: &DataType) -> bool {
    matches!(ty, DataType::Time32(_) | DataType::Time64(_))
}

fn to_text(from: &DataType, to: &Field, precision: u8) -> Option<Way> {
    let length = write::Length::declared(to);
    let nested = matches!(from, DataType::List(_) | DataType::Map(..) | DataType::Struct(_));
    if length == write::Length::Any && (from.is_string() || from.is_binary()) {
        return Some(Way::Arrows);
    }
    (!nested || write::is_writable(from))
        .then_some(Way::Ours(Conversion::Write { length, precision }))
}

fn number(from: &DataType, to: &DataType) -> Way {
    use DataType::{Decimal128, Float32, Float64};
    let widens = match (from, to) {
        (Decimal128(p1, s1), Decimal128(p2, s2)) => {
            s1 <= s2 && i16::from(*p1) - i16::from(*s1) <= i16::from(*p2) - i16::from(*s2)
        }
        (_, Float64) => true,
        (from, Float32) => *from != Float64 && !matches!(from, Decimal128(..)),
        (from, to) if from.is_integer() && to.is_integer() => {
            from.primitive_width() <= to.primitive_width()
        }
        _ => false,
    };
    if widens { Way::Arrows } else { Way::Ours(Conversion::Number) }
}

fn point(from: &DataType, to: &Field, precision: u8) -> Option<Way> {
    use DataType::{Date32, Timestamp};
    let wanted = declared::declared(to);
    Some(match (from, to.data_type()) {
        (from, to) if is_time(from) && *to == Date32 => return None,
        (Date32, to) if is_time(to) => return None,
        (Date32, Date32) => Way::Arrows,
        (Timestamp(a, None), Timestamp(b, None))
        | (Timestamp(a, Some(_)), Timestamp(b, Some(_)))
            if a == b && wanted.is_none_or(|wanted| wanted >= precision) =>
        {
            Way::Arrows
        }
        (_, target) => {
            let digits = if is_time(target) { points::time_precision(to) } else { wanted };
            Way::Ours(Conversion::Point { digits: digits.unwrap_or(6) })
        }
    })
}

fn refused(from: &DataType, to: &DataType) -> Result<Expr> {
    let hint = match (from, to) {
        (from, DataType::Timestamp(_, Some(_))) if from.is_numeric() => {
            "; write TO_TIMESTAMP_LTZ(number, 3)"
        }
        (from, DataType::Timestamp(_, None)) if from.is_numeric() => {
            "; write TO_TIMESTAMP(FROM_UNIXTIME(number))"
        }
        (DataType::Timestamp(..), to) if to.is_numeric() => {
            "; write UNIX_TIMESTAMP(CAST(timestamp AS STRING))"
        }
        _ => "",
    };
    plan_err!("{} cannot be cast to {}{hint}", flink_name(from), flink_name(to))
}
