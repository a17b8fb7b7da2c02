//! Decides how far event time has advanced.
//!
//! A watermark `W` promises that rows older than `W` are late. Each split of a
//! source has its own; a scan's is the least over its active splits, so that
//! one partition running ahead never makes another's rows late.
//!
//! Pure: no clock, no I/O. The engine says what it saw and when.
//!
//! Invariant: no watermark ever moves back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::sources::SplitId;

/// Before any row.
pub const MIN: i64 = i64::MIN;
/// After the last row of all.
pub const MAX: i64 = i64::MAX;

/// The watermarks of one scan's splits.
#[derive(Debug)]
pub struct ScanWatermark {
    idle_timeout_ms: Option<i64>,
    splits: BTreeMap<SplitId, SplitWatermark>,
    current: i64,
}

#[derive(Debug)]
struct SplitWatermark {
    watermark: i64,
    last_row_at_ms: i64,
    finished: bool,
}

impl ScanWatermark {
    /// A split without a row for `idle_timeout` holds nothing back.
    pub fn new(idle_timeout: Option<Duration>) -> Self {
        let idle_timeout_ms = idle_timeout
            .filter(|timeout| !timeout.is_zero())
            .map(|timeout| i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX));
        Self { idle_timeout_ms, splits: BTreeMap::new(), current: MIN }
    }

    pub fn add(&mut self, split: SplitId, now_ms: i64) {
        let fresh = SplitWatermark { watermark: MIN, last_row_at_ms: now_ms, finished: false };
        self.splits.entry(split).or_insert(fresh);
    }

    /// Rows of `split` came and moved its watermark to `watermark`.
    pub fn advance(&mut self, split: &SplitId, watermark: i64, now_ms: i64) {
        if let Some(state) = self.splits.get_mut(split) {
            state.watermark = state.watermark.max(watermark);
            state.last_row_at_ms = now_ms;
        }
    }

    pub fn finish(&mut self, split: &SplitId) {
        if let Some(state) = self.splits.get_mut(split) {
            state.finished = true;
        }
    }

    pub fn all_finished(&self) -> bool {
        self.splits.values().all(|split| split.finished)
    }

    /// The scan's watermark when it was last asked for.
    pub fn reached(&self) -> i64 {
        self.current
    }

    /// Goes on from a watermark of an earlier process.
    pub fn resume(&mut self, reached: i64) {
        self.current = self.current.max(reached);
    }

    /// The scan's watermark as of `now_ms`. All splits idle: it stays.
    pub fn current(&mut self, now_ms: i64) -> i64 {
        let idle = |split: &SplitWatermark| {
            self.idle_timeout_ms.is_some_and(|timeout| now_ms - split.last_row_at_ms >= timeout)
        };
        let active = self.splits.values().filter(|split| !split.finished && !idle(split));
        if let Some(least) = active.map(|split| split.watermark).min() {
            self.current = self.current.max(least);
        } else if self.all_finished() && !self.splits.is_empty() {
            self.current = MAX;
        }
        self.current
    }
}

/// Turns the watermark expression's values, one per row and in offset order,
/// into what each row is judged by: the largest of the rows before it. Starts
/// from, and leaves in `running`, the split's watermark.
pub fn judged_by(values: impl Iterator<Item = Option<i64>>, running: &mut i64) -> Vec<i64> {
    values
        .map(|value| {
            let before = *running;
            if let Some(value) = value {
                *running = before.max(value);
            }
            before
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(partition: i32) -> SplitId {
        SplitId { topic: "t".into(), partition }
    }

    #[test]
    fn the_slowest_active_split_decides() {
        let mut scan = ScanWatermark::new(Some(Duration::from_millis(100)));
        scan.add(split(0), 0);
        scan.add(split(1), 0);
        scan.advance(&split(0), 50, 10);
        assert_eq!(scan.current(10), MIN, "split 1 has shown nothing yet");
        scan.advance(&split(1), 20, 20);
        assert_eq!(scan.current(20), 20);
        assert_eq!(scan.current(115), 20, "split 0 is idle, split 1 holds at 20");
        scan.advance(&split(0), 90, 118);
        assert_eq!(scan.current(125), 90, "split 1 is idle now");
        scan.advance(&split(1), 30, 126);
        assert_eq!(scan.current(126), 90, "and cannot pull it back");
        assert_eq!(scan.current(10_000), 90, "all idle: it stays");
        scan.finish(&split(0));
        scan.finish(&split(1));
        assert_eq!(scan.current(10_001), MAX);
    }

    #[test]
    fn a_finished_split_holds_nothing_back() {
        let mut scan = ScanWatermark::new(None);
        scan.add(split(0), 0);
        scan.add(split(1), 0);
        scan.finish(&split(1));
        scan.advance(&split(0), 7, 1);
        assert_eq!(scan.current(1), 7);
    }

    proptest! {
        #[test]
        fn it_never_moves_back(steps in prop::collection::vec((0i32..4, -100i64..100, 0i64..60), 1..80)) {
            let mut scan = ScanWatermark::new(Some(Duration::from_millis(50)));
            (0..4).for_each(|p| scan.add(split(p), 0));
            let (mut now, mut last) = (0, MIN);
            for (partition, watermark, passed) in steps {
                now += passed;
                scan.advance(&split(partition), watermark, now);
                let current = scan.current(now);
                prop_assert!(current >= last);
                last = current;
            }
        }

        #[test]
        fn a_row_is_judged_by_the_rows_before_it_however_they_are_batched(
            values in prop::collection::vec(prop::option::of(-50i64..50), 0..60),
            cut in 0usize..60,
        ) {
            let cut = cut.min(values.len());
            let mut whole = MIN;
            let all = judged_by(values.iter().copied(), &mut whole);
            let mut parts = MIN;
            let mut split = judged_by(values[..cut].iter().copied(), &mut parts);
            split.extend(judged_by(values[cut..].iter().copied(), &mut parts));
            prop_assert_eq!(all, split);
            prop_assert_eq!(whole, parts);
        }
    }
}
