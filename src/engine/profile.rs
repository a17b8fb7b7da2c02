//! Where a job's time goes: the CPU time of its threads, by step.
//!
//! A thread has a [`Meter`]. Whatever it has worked since its last lap is counted
//! for the step that the next lap names, so nothing is counted twice and nothing
//! is left out; waiting is no work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::thread_cpu_time;

/// What a thread of the engine does, in the order of a row's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Takes messages from the source: the network, checksums, decompression. (Not
    /// what librdkafka does on threads of its own.)
    Fetch,
    /// Makes columns of messages.
    Decode,
    /// Computes event time, watermark, and what each row is judged by.
    EventTime,
    /// Filters, computes columns, assigns windows.
    Transform,
    /// Takes rows into the state of their windows.
    Fold,
    /// Merges and evaluates closed windows.
    Close,
    /// Encodes rows for the sinks.
    Write,
    /// Makes cuts, and commits them.
    Checkpoint,
    /// Speaks with the other threads.
    Coordinate,
}

impl Step {
    pub const ALL: [Self; 9] = [
        Self::Fetch,
        Self::Decode,
        Self::EventTime,
        Self::Transform,
        Self::Fold,
        Self::Close,
        Self::Write,
        Self::Checkpoint,
        Self::Coordinate,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Decode => "decode",
            Self::EventTime => "event time",
            Self::Transform => "transform",
            Self::Fold => "fold",
            Self::Close => "close",
            Self::Write => "write",
            Self::Checkpoint => "checkpoint",
            Self::Coordinate => "coordinate",
        }
    }
}

/// CPU time by step, of all threads together.
#[derive(Debug, Default)]
pub struct Profile([AtomicU64; Step::ALL.len()]);

impl Profile {
    fn add(&self, step: Step, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0[step as usize].fetch_add(nanos, Ordering::Relaxed);
    }

    pub fn of(&self, step: Step) -> Duration {
        Duration::from_nanos(self.0[step as usize].load(Ordering::Relaxed))
    }
}

/// Divides one thread's CPU time among steps.
#[derive(Debug)]
pub struct Meter {
    profile: Arc<Profile>,
    last: Duration,
}

impl Meter {
    /// Of the thread that calls this, and from now on.
    pub fn start(profile: Arc<Profile>) -> Self {
        Self { profile, last: thread_cpu_time() }
    }

    /// What has been worked since the last lap was `step`.
    pub fn lap(&mut self, step: Step) {
        let now = thread_cpu_time();
        self.profile.add(step, now.saturating_sub(self.last));
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes CPU time, however fast the machine is.
    fn work() {
        let begin = thread_cpu_time();
        while thread_cpu_time() - begin < Duration::from_millis(2) {}
    }

    #[test]
    fn work_is_counted_for_the_step_whose_lap_ends_it() {
        let profile = Arc::new(Profile::default());
        let mut meter = Meter::start(Arc::clone(&profile));
        work();
        meter.lap(Step::Decode);
        std::thread::spawn(work).join().unwrap();
        meter.lap(Step::Fold);
        assert!(profile.of(Step::Decode) >= Duration::from_millis(2));
        assert!(profile.of(Step::Fold) < Duration::from_millis(2), "another thread's");
        assert_eq!(profile.of(Step::Close), Duration::ZERO);
    }
}
