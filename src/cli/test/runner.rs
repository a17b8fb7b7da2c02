//! Runs cases on several threads and tells of each in order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::super::CliError;
use crate::cases::{Case, CaseError, Failure, Fault, Verdict, check};
use crate::engine::StopSignal;

/// A case that is to be run.
#[derive(Debug)]
pub struct Planned {
    pub label: String,
    pub folder: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub label: String,
    pub folder: PathBuf,
    /// `None` if its files cannot be read.
    pub case: Option<Case>,
    pub verdict: Verdict,
    pub took: Duration,
    /// It failed, and expects from now on what it wrote.
    pub blessed: bool,
}

impl Outcome {
    pub fn failure(&self) -> Option<&Failure> {
        match &self.verdict {
            Verdict::Failed(failure) => Some(failure),
            Verdict::Passed | Verdict::Stopped => None,
        }
    }

    pub fn was_stopped(&self) -> bool {
        matches!(self.verdict, Verdict::Stopped)
    }

    /// The file of the script, or the case where it is not known.
    pub fn query(&self) -> &Path {
        self.case.as_ref().map_or(&self.folder, |case| &case.query)
    }
}

/// Planning goes deep: as much as a main thread has.
const STACK_BYTES: usize = 8 << 20;

/// Runs `cases`, so many at a time; `told` hears of each in the order given.
pub fn run(
    cases: &[Planned],
    jobs: usize,
    stop: &StopSignal,
    mut told: impl FnMut(&Outcome) -> Result<(), CliError>,
) -> Result<Vec<Outcome>, CliError> {
    let next = AtomicUsize::new(0);
    let (done, outcomes) = mpsc::channel();
    std::thread::scope(|threads| {
        for id in 0..jobs {
            let (next, done) = (&next, done.clone());
            let work = move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    // The receiver is gone only if standard output is.
                    let _ = done.send((at, run_one(case, stop)));
                }
            };
            let thread = std::thread::Builder::new().name(format!("case-{id}"));
            let started = thread.stack_size(STACK_BYTES).spawn_scoped(threads, work);
            started.map_err(|e| CliError::World(format!("starting a thread: {e}")))?;
        }
        drop(done);
        let mut all: Vec<Option<Outcome>> = cases.iter().map(|_| None).collect();
        let mut shown = 0;
        for (at, outcome) in outcomes {
            all[at] = Some(outcome);
            while let Some(Some(outcome)) = all.get(shown) {
                told(outcome)?;
                shown += 1;
            }
        }
        Ok(all.into_iter().flatten().collect())
    })
}

fn run_one(planned: &Planned, stop: &StopSignal) -> Outcome {
    let started = Instant::now();
    let (case, verdict) = if stop.is_set() {
        (None, Verdict::Stopped)
    } else {
        match Case::load(&planned.folder) {
            Err(error) => (None, broken(error)),
            Ok(case) => {
                let verdict = catch_unwind(AssertUnwindSafe(|| check(&case, stop)));
                let panicked = |_| broken(CaseError::Format("it ended in a panic".to_owned()));
                let verdict = verdict.unwrap_or_else(panicked);
                (Some(case), verdict)
            }
        }
    };
    Outcome {
        label: planned.label.clone(),
        folder: planned.folder.clone(),
        case,
        verdict,
        took: started.elapsed(),
        blessed: false,
    }
}

fn broken(error: CaseError) -> Verdict {
    Verdict::Failed(Failure { faults: vec![Fault::Broken(error)], found: None })
}
