//! Makes the broker misbehave on order, so that tests see what a bad day does.
//!
//! A planned fault is used up by the requests it names; whatever is not
//! planned works. Faults change answers and connections, never the log, except
//! that [`Faults::lose_replies`] lets a request take effect unseen.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::api::Api;
use super::error_code::ErrorCode;

/// A handle to a broker's faults. Clones order from the same broker.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Orders>);

#[derive(Debug, Default)]
struct Orders {
    delay_ms: AtomicU64,
    refusing: AtomicBool,
    planned: Mutex<Vec<Planned>>,
}

#[derive(Debug)]
struct Planned {
    /// `None` matches every request.
    api: Option<Api>,
    fault: Fault,
    left: usize,
}

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It has no effect and is answered with this code.
    Error(ErrorCode),
    /// It has no effect and the connection closes.
    Disconnect,
    /// It takes effect, and the connection closes instead of the answer.
    LoseReply,
}

impl Faults {
    /// Delays every answer from now on; zero ends it.
    pub fn delay_replies(&self, by: Duration) {
        let delay_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.0.delay_ms.store(delay_ms, Ordering::Relaxed);
    }

    /// Answers the next `count` requests of `api` with `code`, which stands
    /// with every topic and partition they name, or else with the request.
    pub fn fail_next(&self, api: Api, code: ErrorCode, count: usize) {
        self.plan(Some(api), Fault::Error(code), count);
    }

    /// Closes the connection on each of the next `count` requests, unread.
    pub fn disconnect_next(&self, count: usize) {
        self.plan(None, Fault::Disconnect, count);
    }

    /// Closes the connection on each of the next `count` requests of `api`,
    /// unread.
    pub fn disconnect_next_of(&self, api: Api, count: usize) {
        self.plan(Some(api), Fault::Disconnect, count);
    }

    /// Lets the next `count` requests of `api` take effect, but closes the
    /// connection instead of answering.
    pub fn lose_replies(&self, api: Api, count: usize) {
        self.plan(Some(api), Fault::LoseReply, count);
    }

    /// Closes every new connection at once, and each open one at its next
    /// request. The port stays bound, so nobody else can take it.
    pub fn refuse_connections(&self) {
        self.0.refusing.store(true, Ordering::Release);
    }

    /// Takes connections again.
    pub fn accept_connections(&self) {
        self.0.refusing.store(false, Ordering::Release);
    }

    /// Forgets every fault that is planned or going on.
    pub fn clear(&self) {
        self.delay_replies(Duration::ZERO);
        self.accept_connections();
        self.planned().clear();
    }

    /// How many planned faults nobody has run into yet.
    pub fn pending(&self) -> usize {
        self.planned().iter().map(|planned| planned.left).sum()
    }

    fn plan(&self, api: Option<Api>, fault: Fault, left: usize) {
        if left > 0 {
            self.planned().push(Planned { api, fault, left });
        }
    }

    fn planned(&self) -> std::sync::MutexGuard<'_, Vec<Planned>> {
        self.0.planned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn delay(&self) -> Duration {
        Duration::from_millis(self.0.delay_ms.load(Ordering::Relaxed))
    }

    pub(super) fn refuses(&self) -> bool {
        self.0.refusing.load(Ordering::Acquire)
    }

    /// The fault that this request runs into; the oldest plan goes first.
    pub(super) fn meet(&self, api: Api) -> Option<Fault> {
        let mut planned = self.planned();
        let at = planned.iter().position(|each| each.api.is_none_or(|only| only == api))?;
        planned[at].left -= 1;
        let fault = planned[at].fault;
        if planned[at].left == 0 {
            planned.remove(at);
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_used_up_by_the_requests_it_names() {
        let faults = Faults::default();
        faults.fail_next(Api::Fetch, ErrorCode::KafkaStorageError, 1);
        faults.disconnect_next(1);
        assert_eq!(faults.pending(), 2);
        assert_eq!(faults.meet(Api::Produce), Some(Fault::Disconnect));
        assert_eq!(faults.meet(Api::Produce), None);
        let error = Fault::Error(ErrorCode::KafkaStorageError);
        assert_eq!(faults.meet(Api::Fetch), Some(error));
        assert_eq!(faults.meet(Api::Fetch), None);
    }
}
