//! How much memory state may take: `turnstile.state.memory-limit`.
//!
//! Every thread keeps an account of what it holds. One that has more than its
//! share puts what it can on disk; where that does not help, the job stops, and
//! can be gone on with under a larger limit.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::EngineError;
use super::leaves::OpenLeaf;
use crate::planning::pipeline::Job;
use crate::store::Spool;

/// Memory is looked at after so many rows, or after fewer where the share is so
/// small that this many bytes for each of them would be too much.
const MOST_ROWS_UNMEASURED: usize = 1 << 16;
const BYTES_PER_ROW: u64 = 1 << 10;

/// What state may take of memory, in bytes.
#[derive(Debug, Clone)]
pub struct MemoryOptions {
    /// All of it. With more the job stops.
    pub limit: u64,
    /// What one thread may hold before it puts something on disk.
    pub share: u64,
    /// Where on disk.
    pub folder: Arc<Path>,
}

impl MemoryOptions {
    /// A limit that `workers` share with the loop.
    pub fn new(limit: u64, workers: usize, folder: Arc<Path>) -> Self {
        let threads = u64::try_from(workers).unwrap_or(u64::MAX).saturating_add(1);
        Self { limit, share: limit / threads, folder }
    }
}

/// The limit, and what all threads hold together.
#[derive(Debug)]
pub struct MemoryLimit {
    options: MemoryOptions,
    used: AtomicU64,
}

impl MemoryLimit {
    pub fn new(options: MemoryOptions) -> Arc<Self> {
        Arc::new(Self { options, used: AtomicU64::new(0) })
    }
}

/// Counts what a worker's state holds, by stage and leaf, and puts on disk what is
/// too much of it.
///
/// # Errors
/// There is more than the limit and no way to have less; or a disk that fails.
pub fn bound(
    account: &mut Account,
    job: &Job,
    state: &mut [Vec<OpenLeaf>],
) -> Result<(), EngineError> {
    let memory = |state: &[Vec<OpenLeaf>]| state.iter().flatten().map(OpenLeaf::memory).sum();
    account.set(memory(state));
    let mut excess = account.excess();
    if excess > 0 {
        for (plan, leaves) in job.stages.iter().zip(state.iter_mut()) {
            for (leaf, open) in plan.leaves.iter().zip(leaves) {
                excess -= open.spill(leaf, excess, account)?.min(excess);
            }
        }
        account.set(memory(state));
    }
    account.check()
}

/// What one thread holds.
#[derive(Debug)]
pub struct Account {
    limit: Arc<MemoryLimit>,
    own: u64,
}

impl Account {
    pub fn new(limit: Arc<MemoryLimit>) -> Self {
        Self { limit, own: 0 }
    }

    /// Notes what the thread holds now.
    pub fn set(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes >= self.own {
            self.limit.used.fetch_add(bytes - self.own, Ordering::Relaxed);
        } else {
            self.limit.used.fetch_sub(self.own - bytes, Ordering::Relaxed);
        }
        self.own = bytes;
    }

    /// Whether the thread should put something on disk: so much that half of its
    /// share is free again. In bytes; 0 if it holds no more than its share.
    pub fn excess(&self) -> usize {
        let share = self.limit.options.share;
        if self.own <= share {
            return 0;
        }
        usize::try_from(self.own - share / 2).unwrap_or(usize::MAX)
    }

    /// After how many rows it is time to look again.
    pub fn rows_unmeasured(&self) -> usize {
        let rows = self.limit.options.share / BYTES_PER_ROW;
        usize::try_from(rows)
            .map_or(MOST_ROWS_UNMEASURED, |rows| rows.min(MOST_ROWS_UNMEASURED))
    }

    /// A file for what goes to disk.
    pub fn spool(&self) -> Spool {
        Spool::new(Arc::clone(&self.limit.options.folder))
    }

    /// # Errors
    /// All threads together hold more than the limit.
    pub fn check(&self) -> Result<(), EngineError> {
        self.check_with(0)
    }

    /// # Errors
    /// With so many bytes more, which are no state, all threads together hold more than
    /// the limit.
    pub fn check_with(&self, more: usize) -> Result<(), EngineError> {
        let used = self.limit.used.load(Ordering::Relaxed) + more as u64;
        let limit = self.limit.options.limit;
        if used > limit { Err(EngineError::MemoryLimit { used, limit }) } else { Ok(()) }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.set(0);
    }
}
