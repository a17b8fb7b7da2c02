//! Where a partition is begun and where it ends: `scan.startup.mode` and
//! `scan.bounded.mode`, with what the brokers say of the partition in, offsets
//! out.
//!
//! Pure. An offset that the log does not hold is never replaced by another in
//! silence.

use std::collections::BTreeMap;

use crate::kafka_client::OffsetReset;

/// `scan.startup.mode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Startup {
    Earliest,
    Latest,
    GroupOffsets,
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// By partition. Partitions that are not named begin where the group was
    /// committed, or at their earliest offset.
    Specific(BTreeMap<i32, i64>),
}

/// `scan.bounded.mode`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bounded {
    Unbounded,
    Latest,
    GroupOffsets,
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// By partition, all of them.
    Specific(BTreeMap<i32, i64>),
}

/// What the brokers say of a partition, as far as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// The first offset in the log.
    pub low: i64,
    /// The offset after the last that a reader is let see: the end of the log,
    /// or of what is committed in it.
    pub high: i64,
    /// What the group has committed.
    pub committed: Option<i64>,
    /// The first offset at or after the startup timestamp.
    pub at_startup: Option<i64>,
    /// The first offset at or after the bounded timestamp.
    pub at_bound: Option<i64>,
}

/// Why there is no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoOffset {
    /// The group has committed nothing, and no reset says what then.
    NothingCommitted,
    /// `scan.bounded.specific-offsets` leaves the partition out.
    NotNamed,
    /// The log does not hold the offset.
    NotInLog(i64),
}

impl Startup {
    /// The mode as it is written in an option.
    pub fn name(&self) -> &'static str {
        match self {
            Startup::Earliest => "earliest-offset",
            Startup::Latest => "latest-offset",
            Startup::GroupOffsets => "group-offsets",
            Startup::Timestamp(_) => "timestamp",
            Startup::Specific(_) => "specific-offsets",
        }
    }

    pub fn wants_committed(&self) -> bool {
        matches!(self, Startup::GroupOffsets | Startup::Specific(_))
    }

    pub fn timestamp(&self) -> Option<i64> {
        if let Startup::Timestamp(at) = self { Some(*at) } else { None }
    }

    /// The first offset to read of a partition.
    pub fn offset(
        &self,
        partition: i32,
        facts: &Facts,
        reset: OffsetReset,
    ) -> Result<i64, NoOffset> {
        let chosen = match self {
            Startup::Earliest => facts.low,
            Startup::Latest => facts.high,
            Startup::GroupOffsets => match (facts.committed, reset) {
                (Some(committed), _) => committed,
                (None, OffsetReset::Earliest) => facts.low,
                (None, OffsetReset::Latest) => facts.high,
                (None, OffsetReset::None) => return Err(NoOffset::NothingCommitted),
            },
            Startup::Timestamp(_) => facts.at_startup.unwrap_or(facts.high),
            Startup::Specific(offsets) => {
                offsets.get(&partition).copied().or(facts.committed).unwrap_or(facts.low)
            }
        };
        let held = facts.low..=facts.high;
        if held.contains(&chosen) { Ok(chosen) } else { Err(NoOffset::NotInLog(chosen)) }
    }
}

impl Bounded {
    /// The mode as it is written in an option.
    pub fn name(&self) -> &'static str {
        match self {
            Bounded::Unbounded => "unbounded",
            Bounded::Latest => "latest-offset",
            Bounded::GroupOffsets => "group-offsets",
            Bounded::Timestamp(_) => "timestamp",
            Bounded::Specific(_) => "specific-offsets",
        }
    }

    pub fn wants_committed(&self) -> bool {
        matches!(self, Bounded::GroupOffsets)
    }

    pub fn timestamp(&self) -> Option<i64> {
        if let Bounded::Timestamp(at) = self { Some(*at) } else { None }
    }

    /// The offset at which a partition ends, itself not read; `None`: it does
    /// not end. It may lie beyond the log's end, to be waited for.
    pub fn offset(&self, partition: i32, facts: &Facts) -> Result<Option<i64>, NoOffset> {
        match self {
            Bounded::Unbounded => Ok(None),
            Bounded::Latest => Ok(Some(facts.high)),
            Bounded::GroupOffsets => {
                facts.committed.map(Some).ok_or(NoOffset::NothingCommitted)
            }
            Bounded::Timestamp(_) => Ok(Some(facts.at_bound.unwrap_or(facts.high))),
            Bounded::Specific(offsets) => {
                offsets.get(&partition).copied().map(Some).ok_or(NoOffset::NotNamed)
            }
        }
    }
}

/// Reads `partition:0,offset:42;partition:1,offset:300`.
pub fn parse_specific(text: &str) -> Option<BTreeMap<i32, i64>> {
    let mut offsets = BTreeMap::new();
    for entry in text.split(';').map(str::trim).filter(|entry| !entry.is_empty()) {
        let (partition, offset) = entry.split_once(',')?;
        let partition: i32 =
            partition.trim().strip_prefix("partition:")?.trim().parse().ok()?;
        let offset: i64 = offset.trim().strip_prefix("offset:")?.trim().parse().ok()?;
        if partition < 0 || offset < 0 || offsets.insert(partition, offset).is_some() {
            return None;
        }
    }
    (!offsets.is_empty()).then_some(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FACTS: Facts = Facts {
        low: 10,
        high: 50,
        committed: Some(20),
        at_startup: Some(30),
        at_bound: Some(40),
    };
    const BARE: Facts =
        Facts { low: 10, high: 50, committed: None, at_startup: None, at_bound: None };

    fn start(mode: &Startup, facts: Facts) -> Result<i64, NoOffset> {
        mode.offset(0, &facts, OffsetReset::None)
    }

    #[test]
    fn every_startup_mode_begins_where_flink_does() {
        assert_eq!(start(&Startup::Earliest, FACTS), Ok(10));
        assert_eq!(start(&Startup::Latest, FACTS), Ok(50));
        assert_eq!(start(&Startup::GroupOffsets, FACTS), Ok(20));
        assert_eq!(start(&Startup::Timestamp(1), FACTS), Ok(30));
        // No message is that young: the end.
        assert_eq!(start(&Startup::Timestamp(1), BARE), Ok(50));
        let specific = Startup::Specific(BTreeMap::from([(0, 42)]));
        assert_eq!(start(&specific, FACTS), Ok(42));
        assert_eq!(specific.offset(1, &FACTS, OffsetReset::None), Ok(20));
        assert_eq!(specific.offset(1, &BARE, OffsetReset::None), Ok(10));
    }

    #[test]
    fn a_group_without_offsets_follows_auto_offset_reset() {
        let mode = Startup::GroupOffsets;
        assert_eq!(mode.offset(0, &BARE, OffsetReset::Earliest), Ok(10));
        assert_eq!(mode.offset(0, &BARE, OffsetReset::Latest), Ok(50));
        assert_eq!(mode.offset(0, &BARE, OffsetReset::None), Err(NoOffset::NothingCommitted));
    }

    #[test]
    fn an_offset_outside_the_log_is_an_error() {
        let lost = Facts { committed: Some(9), ..FACTS };
        assert_eq!(start(&Startup::GroupOffsets, lost), Err(NoOffset::NotInLog(9)));
        let beyond = Startup::Specific(BTreeMap::from([(0, 51)]));
        assert_eq!(start(&beyond, FACTS), Err(NoOffset::NotInLog(51)));
    }

    #[test]
    fn every_bounded_mode_ends_where_flink_does() {
        assert_eq!(Bounded::Unbounded.offset(0, &FACTS), Ok(None));
        assert_eq!(Bounded::Latest.offset(0, &FACTS), Ok(Some(50)));
        assert_eq!(Bounded::GroupOffsets.offset(0, &FACTS), Ok(Some(20)));
        assert_eq!(Bounded::GroupOffsets.offset(0, &BARE), Err(NoOffset::NothingCommitted));
        assert_eq!(Bounded::Timestamp(1).offset(0, &FACTS), Ok(Some(40)));
        assert_eq!(Bounded::Timestamp(1).offset(0, &BARE), Ok(Some(50)));
        let specific = Bounded::Specific(BTreeMap::from([(0, 77)]));
        assert_eq!(specific.offset(0, &FACTS), Ok(Some(77)));
        assert_eq!(specific.offset(1, &FACTS), Err(NoOffset::NotNamed));
    }

    #[test]
    fn specific_offsets_read_as_in_flink() {
        let read = parse_specific("partition:0,offset:42;partition:1,offset:300");
        assert_eq!(read, Some(BTreeMap::from([(0, 42), (1, 300)])));
        for wrong in
            ["", "0:42", "partition:0", "partition:0,offset:-1", "partition:x,offset:1"]
        {
            assert_eq!(parse_specific(wrong), None, "{wrong}");
        }
        assert_eq!(parse_specific("partition:0,offset:1;partition:0,offset:2"), None);
    }
}
