//! Runs a [`Job`]: workers read and fold, one loop watches event time, closes
//! windows and writes.
//!
//! Each worker owns some splits of every source and the state of the rows it
//! read. The loop owns the watermarks, the sinks and the stages above the
//! windows. They speak through two channels: [`worker::Command`] down,
//! [`worker::Event`] up.
//!
//! Now and then the loop makes a [`cut`] through all of it, which is committed
//! while the job goes on: offsets, state and finished files together, so that
//! another process may take over where the last commit was.
//!
//! Invariant: what is in the sinks depends on the sources' logs alone, not on
//! batch size, number of workers, interleaving or speed. A row is late by its
//! own split's watermark; windows close by the least of all, which is never
//! ahead of it, so a row that is not late always finds its window open.

mod closing;
mod commits;
mod cut;
mod cutting;
mod error;
mod groups;
mod interval_join;
mod keep_first;
mod late;
mod leaves;
mod lookup;
mod memory;
mod ops;
mod outputs;
pub mod profile;
mod resume;
mod rows;
mod scan;
mod seen_keys;
mod sessions;
mod slices;
mod spill;
mod stage;
mod start;
pub mod status;
pub mod watermark;
mod windows;
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use crate::checkpoint::{Counters, JobState};
use crate::clock::Clock;
use crate::failpoints::reach;
use crate::planning::pipeline::{Input, Job};
use crate::sources::{KafkaClient, OnDataLoss, OpenSource};
use commits::Commits;
pub use commits::StateOptions;
use cut::{Notes, Position};
use cutting::Cutting;
pub use error::EngineError;
use memory::Account;
pub use memory::MemoryOptions;
use outputs::Outputs;
use profile::{Meter, Step};
use stage::StageState;
pub use status::Status;
use status::add;
use watermark::ScanWatermark;
use worker::{Command, Event, Fired, Progress, Told};

/// How a job is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Worker threads.
    pub workers: usize,
    /// Messages a worker takes at a time, at most.
    pub batch_size: usize,
    pub checkpoints: Checkpoints,
    pub on_data_loss: OnDataLoss,
    pub kafka_client: KafkaClient,
    /// `None`: as much as there is.
    pub memory: Option<MemoryOptions>,
    pub clock: Arc<dyn Clock>,
    /// Unique to this run; goes into file names where no state is kept.
    pub run_id: String,
    /// One of [`STEPS`] at which the run ends as if it had been killed.
    pub ends_at: Option<&'static str>,
}

/// When and where a job commits.
#[derive(Debug, Clone, Default)]
pub struct Checkpoints {
    /// How often; `None`: when the job ends.
    pub interval: Option<Duration>,
    /// How soon after the last when results wait; `None`: no sooner.
    pub results_interval: Option<Duration>,
    /// `None`: nothing outlives the process.
    pub state: Option<StateOptions>,
}

/// Ends a run from outside: the batch at hand is finished, what was written is
/// published.
#[derive(Debug, Clone, Default)]
pub struct StopSignal(Arc<AtomicBool>);

impl StopSignal {
    pub fn stop(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Every source was bounded and has been read to its end.
    Finished,
    Stopped,
    /// An earlier process had finished it.
    AlreadyFinished,
}

/// Runs a job until its input ends or `stop` is set. One that is shared can be
/// run again: a run without a state leaves nothing in it.
pub fn run(
    job: impl Into<Arc<Job>>,
    options: &RunOptions,
    status: &Arc<Status>,
    stop: &StopSignal,
) -> Result<Ended, EngineError> {
    Started::new(job, options, status)?.run(stop)
}

/// A job that has taken its state over and is reading.
pub struct Started {
    engine: Engine,
    resumed_from: Option<ResumedFrom>,
}

/// What a job goes on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResumedFrom {
    pub epoch: u64,
    pub created_at_ms: i64,
    pub state: JobState,
}

impl Started {
    /// Opens sinks, state and sources, in this order, and begins to read.
    ///
    /// # Errors
    /// Whatever of these cannot be opened.
    pub fn new(
        job: impl Into<Arc<Job>>,
        options: &RunOptions,
        status: &Arc<Status>,
    ) -> Result<Self, EngineError> {
        let (engine, resumed_from) = Engine::start(job.into(), options, Arc::clone(status))?;
        Ok(Self { engine, resumed_from })
    }

    /// `None` for a job that begins anew.
    pub fn resumed_from(&self) -> Option<&ResumedFrom> {
        self.resumed_from.as_ref()
    }

    pub fn run(mut self, stop: &StopSignal) -> Result<Ended, EngineError> {
        if self.resumed_from.is_some_and(|from| from.state.finished) {
            return Ok(Ended::AlreadyFinished);
        }
        let ended = self.engine.run(stop);
        self.engine.shut_down();
        ended
    }
}

/// How long the loop waits for news before it looks at the clock.
const EVENT_WAIT: Duration = Duration::from_millis(20);
/// Events that may wait for the loop, per worker.
const EVENTS_PER_WORKER: usize = 8;

struct Engine {
    job: Arc<Job>,
    options: RunOptions,
    status: Arc<Status>,
    /// Of the loop's thread.
    meter: Meter,
    sources: Vec<Box<dyn OpenSource>>,
    scans: Vec<ScanState>,
    workers: Vec<WorkerHandle>,
    events: Receiver<Told>,
    stages: Vec<StageState>,
    outputs: Outputs,
    commits: Commits,
    cut: Option<Cutting>,
    last_cut_ms: i64,
    has_cut: bool,
    /// What the commit under way has reached.
    committing: Vec<Position>,
    /// Nothing more is begun.
    ending: Option<Ended>,
    is_last_cut_begun: bool,
    notes: Notes,
    /// What earlier processes have counted, and what the stages count here.
    counters: Counters,
    runtime: tokio::runtime::Runtime,
    splits_given: usize,
    /// What the workers see of `StageState::fired`.
    fired: Fired,
    /// Of the state that the loop keeps.
    memory: Option<Account>,
}

struct ScanState {
    watermark: ScanWatermark,
    discover_at_ms: Option<i64>,
}

struct WorkerHandle {
    commands: Sender<Command>,
    thread: Option<JoinHandle<()>>,
    next_firing: Vec<Option<i64>>,
    open_windows: u64,
}

impl Engine {
    /// The loop.
    fn run(&mut self, stop: &StopSignal) -> Result<Ended, EngineError> {
        loop {
            match self.events.recv_timeout(EVENT_WAIT) {
                Ok(told) => self.hear(told)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(EngineError::Worker("all of them ended".to_owned()));
                }
            }
            while let Ok(told) = self.events.try_recv() {
                self.hear(told)?;
            }
            self.meter.lap(Step::Coordinate);
            if let Some(committed) = self.commits.poll()? {
                self.step("commit.done")?;
                add(&self.status.files, committed.files);
                add(&self.status.bytes_out, committed.bytes);
                add(&self.status.rows_published, committed.rows);
                self.tell_sources();
                if let Some(ended) = self.ending
                    && self.is_last_cut_made()
                {
                    return Ok(ended);
                }
            }
            if self.ending.is_none() {
                self.ending = match stop.is_set() {
                    true => Some(Ended::Stopped),
                    false => self.is_finished().then_some(Ended::Finished),
                };
            }
            if self.cut.is_some() {
                continue;
            }
            if self.is_cut_due() && !self.is_last_cut_begun {
                // What closes is let close before, and nothing begins to.
                if self.stages.iter().all(|stage| stage.closing.is_none()) {
                    self.is_last_cut_begun = self.ending.is_some();
                    self.begin_cut()?;
                }
                continue;
            }
            if self.ending.is_none() {
                self.advance()?;
                self.discover()?;
            }
        }
    }

    /// Takes what a worker tells, or holds it back if it belongs to the time
    /// after a cut.
    fn hear(&mut self, (worker, event): Told) -> Result<(), EngineError> {
        match &mut self.cut {
            Some(cut) if cut.answered[worker] && !matches!(event, Event::Failed(_)) => {
                cut.held.push_back((worker, event));
                Ok(())
            }
            // What comes after the last cut is the next process's.
            None if self.is_last_cut_begun => Ok(()),
            _ => self.take(worker, event),
        }
    }

    fn is_last_cut_made(&self) -> bool {
        self.is_last_cut_begun && self.cut.is_none()
    }

    fn take(&mut self, worker: usize, event: Event) -> Result<(), EngineError> {
        match event {
            Event::Progress(progress) => self.note(worker, progress),
            Event::Rows { output, rows } => self.write(output, &[rows.batch])?,
            Event::Closed { stage, leaves } => self.gather(stage, leaves)?,
            Event::Cut(cut) => self.gather_cut(worker, cut)?,
            Event::Failed(error) => return Err(error),
            Event::Stopped => {}
        }
        Ok(())
    }

    fn write(&mut self, output: usize, rows: &[RecordBatch]) -> Result<(), EngineError> {
        self.outputs.write(output, rows)?;
        self.meter.lap(Step::Write);
        Ok(())
    }

    fn note(&mut self, worker: usize, progress: Progress) {
        let now = self.options.clock.now_ms();
        for split in progress.splits {
            let scan = &mut self.scans[split.scan].watermark;
            if split.finished {
                scan.finish(&split.split);
            } else {
                scan.advance(&split.split, split.watermark, now);
            }
        }
        let worker = &mut self.workers[worker];
        worker.next_firing = progress.next_firing;
        worker.open_windows = progress.open_windows;
    }

    /// Moves event time on and closes what fires.
    fn advance(&mut self) -> Result<(), EngineError> {
        let now = self.options.clock.now_ms();
        let scans: Vec<i64> =
            self.scans.iter_mut().map(|scan| scan.watermark.current(now)).collect();
        for stage in 0..self.stages.len() {
            if self.stages[stage].closing.is_some() {
                continue;
            }
            let reached = |input: &Input| match input {
                Input::Scan(scan) => scans[*scan],
                Input::Stage(before) => self.reached(*before),
            };
            let plan = &self.job.stages[stage];
            let watermark = self.stages[stage].reachable(plan, reached, now);
            self.close(stage, watermark, now)?;
        }
        self.show(&scans);
        Ok(())
    }

    fn show(&self, scans: &[i64]) {
        let least = scans.iter().copied().min().unwrap_or(watermark::MAX);
        self.status.watermark_ms.store(least, Ordering::Relaxed);
        let own: u64 = self.stages.iter().map(|stage| stage.open_windows()).sum();
        let windows = self.workers.iter().map(|w| w.open_windows).max().unwrap_or_default();
        self.status.open_windows.store(windows + own, Ordering::Relaxed);
    }

    /// Every source read to its end, every window closed.
    fn is_finished(&self) -> bool {
        self.job.is_bounded()
            && self.events.is_empty()
            && self.scans.iter().all(|scan| scan.watermark.all_finished())
            && self.stages.iter().all(|s| s.closing.is_none() && s.fired == watermark::MAX)
    }

    /// Looks for splits that are new.
    fn discover(&mut self) -> Result<(), EngineError> {
        let now = self.options.clock.now_ms();
        for index in 0..self.scans.len() {
            let scan = &mut self.scans[index];
            if scan.discover_at_ms.is_none_or(|at| now < at) {
                continue;
            }
            let source = &mut self.sources[index];
            let table = &self.job.scans[index].table;
            let splits = source
                .discover()
                .map_err(|source| EngineError::Source { table: table.clone(), source })?;
            scan.discover_at_ms = source.discovery_interval().map(|every| now + millis(every));
            for split in &splits {
                scan.watermark.add(split.id.clone(), now);
            }
            let count = splits.len();
            let spread = worker::spread(splits, self.workers.len(), self.splits_given);
            self.splits_given += count;
            for (worker, splits) in spread {
                let command = Command::AddSplits { scan: index, splits };
                let _ = self.workers[worker].commands.send(command);
            }
        }
        Ok(())
    }

    fn step(&self, name: &'static str) -> Result<(), EngineError> {
        step(&self.options, name)
    }

    /// Tells the workers to stop and waits for them.
    fn shut_down(&mut self) {
        for worker in &self.workers {
            let _ = worker.commands.send(Command::Stop);
        }
        while self.workers.iter().any(|w| w.thread.as_ref().is_some_and(|t| !t.is_finished())) {
            // A worker may be waiting to tell: what it tells is not committed.
            let _ = self.events.recv_timeout(EVENT_WAIT);
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

/// The steps that the loop takes, at which a test may end it.
pub const STEPS: [&str; 8] = [
    "start.recovered",
    "start.workers",
    "window.close",
    "cut.begin",
    "cut.answer",
    "cut.whole",
    "cut.commit",
    "commit.done",
];

fn step(options: &RunOptions, name: &'static str) -> Result<(), EngineError> {
    debug_assert!(STEPS.contains(&name), "{name} is in the list");
    if options.ends_at == Some(name) {
        return Err(EngineError::Ended { step: name });
    }
    reach(|| name.to_owned()).map_err(EngineError::Failpoint)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
