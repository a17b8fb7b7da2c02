//! An order of arrival: which messages come when, and how much time passes in
//! between.
//!
//! The next step is taken only when the engine has taken in all that came
//! before, so that what an idle timeout does is the same in every run. That is
//! known from the engine's loop, which looks for new splits once a round.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::ManualClock;
use crate::sources::SplitId;

/// One step of an arrival.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The next messages of a partition, this many.
    Messages { split: SplitId, count: usize },
    /// Nothing comes for this long.
    Pause(Duration),
}

/// The engine's loop has seen to everything before a moment when it has gone
/// round this often since: once for what it was at, once for the news, and once
/// each for what the workers answer and for what follows from that.
const ROUNDS: u64 = 4;

/// Lets messages come in their order. Made anew for every run.
#[derive(Debug)]
pub struct Arrival {
    steps: Vec<Step>,
    clock: Arc<ManualClock>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The step at hand.
    at: usize,
    scans: usize,
    /// Messages that the engine's loop was told of, by scan and split.
    given: BTreeMap<(usize, SplitId), usize>,
    /// How often the engine's loop has gone round.
    rounds: u64,
    /// The step at hand is done, and was at this round.
    done_at: Option<u64>,
}

impl Arrival {
    /// Takes these steps; pauses move `clock` on.
    pub fn new(steps: Vec<Step>, clock: Arc<ManualClock>) -> Self {
        Self { steps, clock, state: Mutex::default() }
    }

    /// A split that no topic has.
    pub(super) fn waker(&self) -> SplitId {
        SplitId { topic: "".into(), partition: i32::MAX }
    }

    /// Another scan that reads by this arrival; which one it is.
    pub(super) fn join(&self) -> usize {
        let mut state = self.state();
        state.scans += 1;
        state.scans - 1
    }

    /// Notes that `scan` reads `split`.
    pub(super) fn expect(&self, scan: usize, split: &SplitId) {
        self.state().given.insert((scan, split.clone()), 0);
    }

    /// The engine's loop went round. It asks every scan; the first one counts.
    pub(super) fn round(&self, scan: usize) {
        if scan == 0 {
            self.state().rounds += 1;
        }
    }

    /// True if nothing is left to arrange: what has not come comes in any order.
    pub(super) fn is_over(&self) -> bool {
        self.state().at == self.steps.len()
    }

    /// How many messages of `split` may come now, after the first `given`.
    pub(super) fn free(&self, split: &SplitId, given: i64) -> usize {
        let wanted = self.wanted(&self.state(), split);
        wanted.saturating_sub(usize::try_from(given).unwrap_or(usize::MAX))
    }

    /// The engine's loop has been told of so many messages.
    pub(super) fn came(&self, scan: usize, split: &SplitId, count: usize) {
        *self.state().given.entry((scan, split.clone())).or_default() += count;
    }

    /// Ends the step at hand if it is done and the engine has taken it in.
    pub(super) fn go_on(&self) {
        let mut state = self.state();
        match (state.done_at, self.steps.get(state.at)) {
            (_, None) => {}
            (Some(round), _) if state.rounds >= round + ROUNDS => {
                state.at += 1;
                state.done_at = None;
            }
            (Some(_), _) => {}
            (None, Some(Step::Pause(pause))) => {
                self.clock.advance_ms(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
                state.done_at = Some(state.rounds);
            }
            (None, Some(Step::Messages { split, .. })) => {
                let wanted = self.wanted(&state, split);
                let mut of_it = state.given.iter().filter(|((_, id), _)| id == split);
                if of_it.all(|(_, given)| *given >= wanted) {
                    state.done_at = Some(state.rounds);
                }
            }
        }
    }

    /// How many messages of `split` have come when the step at hand is done.
    fn wanted(&self, state: &State, split: &SplitId) -> usize {
        let until_now = self.steps.iter().take(state.at + 1);
        let counts = until_now.map(|step| match step {
            Step::Messages { split: of, count } if of == split => *count,
            _ => 0,
        });
        counts.sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
