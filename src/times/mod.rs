//! Points of time as text and as what clocks on the wall show: below SQL's
//! functions and the sinks alike.

pub(crate) mod calendar;
mod lenient;
pub(crate) mod parse;
pub(crate) mod pattern;
mod wall_time;

pub use wall_time::{Localizer, WallTime, Zone};
