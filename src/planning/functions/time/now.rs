//! The time now: CURRENT_TIMESTAMP and its kin. They differ at every batch, as
//! they differ at every row in Flink's streaming mode.

use std::sync::Arc;

use arrow::datatypes::{DataType, Time32MillisecondType, TimeUnit};
use datafusion::logical_expr::ScalarUDF;

use super::super::Session;
use super::super::arguments::Arguments;
use super::super::function::Function;
use super::wall::{Micros, Zoned, from_micros};
use crate::clock::{Clock, SystemClock};
use crate::times::calendar::split;

pub(super) fn now_micros() -> i64 {
    SystemClock.now_ms() * 1000
}

pub(super) fn all(session: &Session) -> Vec<Arc<ScalarUDF>> {
    let zone = session.time_zone.as_str();
    let ltz = DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into()));
    let instants = ["now", "current_timestamp", "current_row_timestamp", "proctime"];
    let mut all: Vec<_> = instants.iter().map(|name| point(name, &ltz, None)).collect();
    let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
    all.push(point("localtimestamp", &timestamp, Some(zone)));
    all.push(point("current_date", &DataType::Date32, Some(zone)));
    all.extend(["current_time", "localtime"].iter().map(|name| time_of_day(name, zone)));
    all
}

fn repeated(args: &Arguments<'_>, value: i64) -> Micros {
    Micros::from_value(value, args.rows)
}

fn point(name: &'static str, ty: &DataType, zone: Option<&str>) -> Arc<ScalarUDF> {
    let zone = zone.map(Zoned::new);
    let returns = ty.clone();
    Function::new(name, &[], ty.clone(), move |args| {
        let now = now_micros();
        let now = zone.clone().map_or(now, |mut zone| zone.wall(now));
        from_micros(repeated(args, now), &returns)
    })
    .volatile()
    .detail(&ty.to_string())
    .udf()
}

fn time_of_day(name: &'static str, zone: &str) -> Arc<ScalarUDF> {
    let zone = Zoned::new(zone);
    let returns = DataType::Time32(TimeUnit::Millisecond);
    Function::new(name, &[], returns, move |args| {
        let (_, of_day) = split(zone.clone().wall(now_micros()));
        let millis = (of_day / 1000) as i32;
        let all = repeated(args, 0);
        Ok(Arc::new(all.unary::<_, Time32MillisecondType>(|_| millis)))
    })
    .volatile()
    .udf()
}
