//! Wall time and instants: the windows of a TIMESTAMP_LTZ follow the session's
//! local clock, its watermarks do not.
//!
//! In autumn an hour of wall time happens twice and its window holds the rows
//! of both; in spring an hour does not happen and its window stays empty.
//!
//! Source: Flink's `TimeWindowUtil`.

use std::sync::Arc;

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeZone};

/// How an event-time column's own scale relates to instants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum WallTime {
    /// The column is a TIMESTAMP: its watermarks are on the same scale.
    Plain,
    /// The column is a TIMESTAMP_LTZ, seen in this zone.
    Zone(Arc<str>),
}

/// A zone ready to compute with.
#[derive(Debug, Clone, Copy)]
pub enum Zone {
    Fixed { offset_ms: i64 },
    Named(chrono_tz::Tz),
}

impl Zone {
    /// An IANA name (`Europe/Berlin`), `UTC`, or an offset such as `+02:00`,
    /// `GMT-08:00`.
    pub fn parse(name: &str) -> Option<Zone> {
        if let Ok(zone) = name.parse::<chrono_tz::Tz>() {
            return Some(Zone::Named(zone));
        }
        let offset =
            name.strip_prefix("UTC").or_else(|| name.strip_prefix("GMT")).unwrap_or(name);
        let offset: chrono::FixedOffset = offset.parse().ok()?;
        Some(Zone::Fixed { offset_ms: i64::from(offset.local_minus_utc()) * 1000 })
    }

    /// Milliseconds to add to an instant to get wall time.
    pub fn offset_ms(self, instant_ms: i64) -> i64 {
        match self {
            Zone::Fixed { offset_ms } => offset_ms,
            Zone::Named(zone) => DateTime::from_timestamp_millis(instant_ms).map_or(0, |at| {
                let offset = zone.offset_from_utc_datetime(&at.naive_utc()).fix();
                i64::from(offset.local_minus_utc()) * 1000
            }),
        }
    }

    /// The instants of a wall time, the earlier first: two where it happens
    /// twice. A wall time that does not happen is taken as the instant that
    /// many milliseconds after the last one before the gap.
    fn instants(self, wall_ms: i64) -> (i64, i64) {
        let Zone::Named(zone) = self else {
            let at = wall_ms - self.offset_ms(0);
            return (at, at);
        };
        let Some(wall) = naive(wall_ms) else { return (wall_ms, wall_ms) };
        match zone.from_local_datetime(&wall) {
            LocalResult::Single(at) => (at.timestamp_millis(), at.timestamp_millis()),
            LocalResult::Ambiguous(a, b) => {
                let (a, b) = (a.timestamp_millis(), b.timestamp_millis());
                (a.min(b), a.max(b))
            }
            LocalResult::None => {
                let before = self.offset_ms(wall_ms - 86_400_000);
                (wall_ms - before, wall_ms - before)
            }
        }
    }
}

fn naive(ms: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_millis(ms).map(|at| at.naive_utc())
}

impl WallTime {
    fn zone(&self) -> Option<Zone> {
        match self {
            WallTime::Plain => None,
            WallTime::Zone(name) => {
                Some(Zone::parse(name).expect("the session's zone was checked when it was set"))
            }
        }
    }

    /// Turns instants into wall time, many at a time.
    pub fn localizer(&self) -> Localizer {
        Localizer { zone: self.zone(), from_ms: i64::MAX, until_ms: i64::MIN, offset_ms: 0 }
    }

    /// The last instant at which local clocks show `wall_ms`: the one a
    /// window's timer waits for.
    pub fn last_instant(&self, wall_ms: i64) -> i64 {
        self.zone().map_or(wall_ms, |zone| zone.instants(wall_ms).1)
    }

    /// The first instant at which local clocks show `wall_ms`: what
    /// window_time says.
    pub fn first_instant(&self, wall_ms: i64) -> i64 {
        self.zone().map_or(wall_ms, |zone| zone.instants(wall_ms).0)
    }
}

/// Turns instants into wall time; remembers the quarter hour it last saw, which
/// no zone changes its offset within.
#[derive(Debug, Clone)]
pub struct Localizer {
    zone: Option<Zone>,
    from_ms: i64,
    until_ms: i64,
    offset_ms: i64,
}

impl Localizer {
    const SPAN_MS: i64 = 15 * 60 * 1000;

    #[inline]
    pub fn wall(&mut self, instant_ms: i64) -> i64 {
        let Some(zone) = self.zone else { return instant_ms };
        if instant_ms < self.from_ms || instant_ms >= self.until_ms {
            self.from_ms = instant_ms - instant_ms.rem_euclid(Self::SPAN_MS);
            self.until_ms = self.from_ms + Self::SPAN_MS;
            self.offset_ms = zone.offset_ms(instant_ms);
        }
        instant_ms + self.offset_ms
    }
}
