//! What all connections of one broker share: the state under its lock, the
//! signal that it has changed, the clock and the faults.
//!
//! Invariant: every change goes through [`Shared::change`], which wakes the
//! fetches that wait, so no reader sleeps through news.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::faults::Faults;
use super::state::State;
use crate::clock::{Clock, SystemClock};

#[derive(Debug)]
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    clock: SystemClock,
    pub faults: Faults,
    /// The port clients reach us at.
    pub port: u16,
}

impl Shared {
    pub fn new(port: u16) -> Self {
        Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            clock: SystemClock,
            faults: Faults::default(),
            port,
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.lock())
    }

    pub fn change<T>(&self, step: impl FnOnce(&mut State) -> T) -> T {
        let outcome = step(&mut self.lock());
        self.changed.notify_all();
        outcome
    }

    /// Aborts transactions whose time is over.
    pub fn expire_transactions(&self) {
        let now_ms = self.now_ms();
        if self.lock().transactions.any_expired(now_ms) {
            self.change(|state| state.expire_transactions(now_ms));
        }
    }

    /// Asks `look` again after every change until it answers, until `patience`
    /// is over, or until the broker closes. `look` is told when it is asked
    /// for the last time, and must answer then.
    pub fn wait_for<T>(
        &self,
        patience: Duration,
        mut look: impl FnMut(&State, LastCall) -> Option<T>,
    ) -> Option<T> {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let last = state.closed || left.is_zero();
            let answer = look(&state, LastCall(last));
            if last || answer.is_some() {
                return answer;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sleeps, unless the broker closes.
    pub fn pause(&self, duration: Duration) {
        if !duration.is_zero() {
            self.wait_for(duration, |_, _| None::<()>);
        }
    }

    pub fn close(&self) {
        self.change(|state| state.closed = true);
    }

    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether whoever waits is asked for the last time.
#[derive(Debug, Clone, Copy)]
pub(super) struct LastCall(pub bool);
