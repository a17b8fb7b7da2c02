//! What a running job shows of itself: counters that anyone may read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use super::profile::Profile;
use super::watermark;

/// Counters of a job. Each is written by the engine alone.
#[derive(Debug)]
pub struct Status {
    /// Messages or rows taken from the sources.
    pub rows_in: AtomicU64,
    /// Of `rows_in`, those that earlier processes of the job took.
    pub rows_in_before: AtomicU64,
    /// Rows written to the sinks.
    pub rows_out: AtomicU64,
    /// Rows left out because their window had closed.
    pub late_rows: AtomicU64,
    /// Messages left out because they could not be decoded.
    pub decode_errors: AtomicU64,
    /// Windows that hold rows and have not closed, over all queries.
    pub open_windows: AtomicU64,
    /// Windows that have closed.
    pub closed_windows: AtomicU64,
    /// The least watermark of the job in milliseconds.
    pub watermark_ms: AtomicI64,
    /// Messages that a bounded job will read; 0 if unknown.
    pub rows_expected: AtomicU64,
    pub files: AtomicU64,
    pub bytes_out: AtomicU64,
    /// Rows that readers of the lake can see.
    pub rows_published: AtomicU64,
    /// Where the CPU time went.
    pub profile: Arc<Profile>,
}

impl Default for Status {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            rows_in: zero(),
            rows_in_before: zero(),
            rows_out: zero(),
            late_rows: zero(),
            decode_errors: zero(),
            open_windows: zero(),
            closed_windows: zero(),
            watermark_ms: AtomicI64::new(watermark::MIN),
            rows_expected: zero(),
            files: zero(),
            bytes_out: zero(),
            rows_published: zero(),
            profile: Arc::default(),
        }
    }
}

/// Adds to a counter.
pub fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
