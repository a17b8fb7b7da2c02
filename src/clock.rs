//! The only place that reads the time.
//!
//! Everything else is handed a [`Clock`], so that tests turn its hands and
//! never sleep.

use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Wall-clock time in milliseconds since 1970-01-01T00:00:00Z.
pub trait Clock: Debug + Send + Sync {
    fn now_ms(&self) -> i64;
}

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// How long the calling thread has worked on a CPU.
pub fn thread_cpu_time() -> Duration {
    since_zero(clock_gettime(ClockId::ThreadCPUTime))
}

/// How long all threads of this process have worked on a CPU.
pub fn process_cpu_time() -> Duration {
    since_zero(clock_gettime(ClockId::ProcessCPUTime))
}

fn since_zero(time: Timespec) -> Duration {
    Duration::try_from(time).unwrap_or_default()
}

/// A clock that stands still until it is told to go on.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    pub fn at(now_ms: i64) -> Self {
        Self(AtomicI64::new(now_ms))
    }

    pub fn advance_ms(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
