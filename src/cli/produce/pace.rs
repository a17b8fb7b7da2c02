//! How fast messages are produced.

use std::time::{Duration, Instant};

/// Messages between two looks at the clock, at most.
const BURST: u64 = 256;

/// Holds a producer to its rate.
#[derive(Debug)]
pub struct Pace {
    rate: u64,
    started: Instant,
    made: u64,
}

impl Pace {
    /// `rate` a second; 0: as fast as possible.
    pub fn new(rate: u64) -> Self {
        Self { rate, started: Instant::now(), made: 0 }
    }

    /// Counts a message and waits if it came too soon.
    pub fn keep(&mut self) {
        self.made += 1;
        // A slow rate is kept message by message, a fast one in bursts of a
        // hundredth of a second.
        let burst = (self.rate / 100).clamp(1, BURST);
        if self.rate > 0 && self.made.is_multiple_of(burst) {
            let due = Duration::from_secs_f64(self.made as f64 / self.rate as f64);
            std::thread::sleep(due.saturating_sub(self.started.elapsed()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_is_kept() {
        let mut pace = Pace::new(1_000);
        (0..50).for_each(|_| pace.keep());
        assert!(pace.started.elapsed() >= Duration::from_millis(50));
    }
}
