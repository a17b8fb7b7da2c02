//! Functions of points of time.

mod convert;
pub(crate) mod difference;
pub(crate) mod fields;
mod now;
mod overlaps;
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
