//! Functions of points of time.

pub(crate) mod calendar;
mod convert;
pub(crate) mod difference;
pub(crate) mod fields;
mod lenient;
mod now;
mod overlaps;
pub(crate) mod parse;
pub(crate) mod pattern;
mod rounding;
pub(crate) mod wall;

use std::sync::Arc;

use datafusion::logical_expr::ScalarUDF;

use super::Session;

pub(super) fn all(session: &Session) -> Vec<Arc<ScalarUDF>> {
    let mut all = fields::all();
    all.extend(rounding::all());
    all.extend(difference::all());
    all.extend(convert::all(session));
    all.extend(now::all(session));
    all.push(overlaps::overlaps());
    all
}
