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

mod commits;
mod cut;
mod error;
mod groups;
mod interval_join;
mod keep_first;
mod late;
mod leaves;
mod ops;
mod outputs;
mod resume;
mod rows;
mod scan;
mod sessions;
mod slices;
mod stage;
pub mod status;
pub mod watermark;
mod windows;
mod worker;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow::array::RecordBatch;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use crate::checkpoint::{Commit, Counters, JobState, Piece, SplitState};
use crate::clock::Clock;
use crate::failpoints::reach;
use crate::formats::MessageParts;
use crate::planning::pipeline::{Input, Job, ScanColumn, StageOutput, Target};
use crate::sources::{MetadataKey, OnDataLoss, OpenRequest, OpenSource, Split};
use commits::Commits;
pub use commits::StateOptions;
use cut::{Namer, Notes, Position, WorkersCut};
pub use error::EngineError;
use leaves::{OpenLeaf, Share};
use outputs::Outputs;
use resume::Resumed;
use rows::Rows;
use scan::Scanner;
use stage::{Closing, StageState};
pub use status::Status;
use status::add;
use watermark::ScanWatermark;
use worker::{Command, Event, Fired, Progress, Reader, Told, Worker};

/// How a job is run.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Worker threads.
    pub workers: usize,
    /// Messages a worker takes at a time, at most.
    pub batch_size: usize,
    pub checkpoints: Checkpoints,
    pub on_data_loss: OnDataLoss,
    pub clock: Arc<dyn Clock>,
    /// Unique to this run; goes into file names where no state is kept.
    pub run_id: String,
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
}

/// A cut that not every worker has answered.
struct Cutting {
    answered: Vec<bool>,
    pieces: Vec<Piece>,
    positions: Vec<Position>,
    counters: Counters,
    /// What those who have answered told since.
    held: VecDeque<Told>,
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
    fn start(
        job: Arc<Job>,
        options: &RunOptions,
        status: Arc<Status>,
    ) -> Result<(Self, Option<ResumedFrom>), EngineError> {
        let workers = options.workers.max(1);
        let clock = &options.clock;
        // Outputs first: a sink that cannot be written to should cost no reading.
        let outputs = Outputs::open(&job, clock, &status)?;
        let state = options.checkpoints.state.as_ref();
        let destinations = outputs.destinations();
        let (commits, recovered) = Commits::open(state, &options.run_id, destinations, clock)?;
        step("start.recovered")?;
        let resumed_from = recovered.as_ref().map(|recovered| ResumedFrom {
            epoch: recovered.manifest.epoch,
            created_at_ms: recovered.manifest.created_at_ms,
            state: recovered.manifest.state.clone(),
        });
        let resumed = resumed_from.as_ref().map(|from| Resumed::new(&job, &from.state));
        if let Some(resumed) = &resumed {
            resumed.count(&status);
        }
        let now = clock.now_ms();
        let (to_loop, events) = bounded(EVENTS_PER_WORKER * workers);
        let mut readers: Vec<Vec<Reader>> = (0..workers).map(|_| Vec::new()).collect();
        let mut positions: Vec<Vec<Position>> = (0..workers).map(|_| Vec::new()).collect();
        let mut sources = Vec::new();
        let mut scans = Vec::new();
        let mut splits_given = 0;
        for (index, scan) in job.scans.iter().enumerate() {
            let failed = |source| EngineError::Source { table: scan.table.clone(), source };
            let request = open_request(&job, index, resumed.as_ref(), options);
            let mut source = scan.source.open(&request).map_err(failed)?;
            let mut splits = source.discover().map_err(failed)?;
            let mut watermark = ScanWatermark::new(scan.idle_timeout);
            for split in &mut splits {
                if let Some((next, stop)) =
                    request.resume.as_ref().and_then(|r| r.get(&split.id))
                {
                    (split.start, split.stop) = (*next, *stop);
                }
                watermark.add(split.id.clone(), now);
                add(&status.rows_expected, expected(split));
            }
            if let Some(resumed) = &resumed {
                resumed.restore_watermark(index, &mut watermark, now);
            }
            let count = splits.len();
            let mut spread = worker::spread(splits, workers, splits_given);
            splits_given += count;
            for (id, readers) in readers.iter_mut().enumerate() {
                let own = spread.remove(&id).unwrap_or_default();
                // A worker that never gets a split of a bounded scan needs no client for it.
                if own.is_empty() && source.discovery_interval().is_none() {
                    continue;
                }
                positions[id].extend(worker::positions(index, &own));
                let reader = source.reader(own).map_err(failed)?;
                readers.push(Reader { scan: index, reader });
            }
            let discover_at_ms = source.discovery_interval().map(|every| now + millis(every));
            scans.push(ScanState { watermark, discover_at_ms });
            sources.push(source);
        }
        let mut stages: Vec<StageState> =
            (0..job.stages.len()).map(|stage| StageState::new(&job, stage)).collect();
        let mut states: Vec<_> = (0..workers).map(|_| worker::empty_state(&job)).collect();
        let mut notes = Notes::default();
        if let (Some(resumed), Some(recovered)) = (&resumed, recovered) {
            notes.clone_from(&resumed.notes);
            resumed.restore_stages(&mut stages);
            for leaf in states.iter_mut().flatten().flatten() {
                leaf.number_from(&notes);
            }
            for leaf in stages.iter_mut().flat_map(|stage| &mut stage.own) {
                leaf.number_from(&notes);
            }
            let owner = |split: u64| {
                let owns = |all: &Vec<Position>| all.iter().any(|p| p.split.number() == split);
                positions.iter().position(owns).unwrap_or(0)
            };
            resume::restore_pieces(&job, recovered, &owner, &mut states, &mut stages)?;
        }
        let fired: Fired =
            Arc::new(stages.iter().map(|stage| AtomicI64::new(stage.fired)).collect());
        let each = readers.into_iter().zip(positions).zip(states).enumerate();
        let workers = each
            .map(|(id, ((readers, positions), state))| {
                let channel = to_loop.clone();
                let mut scanners: Vec<Scanner> = (0..job.scans.len())
                    .map(|scan| Scanner::new(Arc::clone(&job), scan))
                    .collect();
                if let Some(resumed) = &resumed {
                    resumed.restore_scanners(&mut scanners, &positions);
                }
                let worker = WorkerParts { readers, positions, state, scanners };
                spawn(id, &job, worker, options, &status, channel, Arc::clone(&fired))
            })
            .collect();
        step("start.workers")?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(|e| EngineError::Worker(e.to_string()))?;
        let options = options.clone();
        let engine = Self {
            job,
            last_cut_ms: now,
            options,
            status,
            sources,
            scans,
            workers,
            events,
            stages,
            outputs,
            commits,
            cut: None,
            has_cut: false,
            committing: Vec::new(),
            ending: None,
            is_last_cut_begun: false,
            notes,
            counters: resumed.map(|resumed| resumed.counters).unwrap_or_default(),
            runtime,
            splits_given,
            fired,
        };
        Ok((engine, resumed_from))
    }

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
            if let Some(committed) = self.commits.poll()? {
                step("commit.done")?;
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

    /// Tells the sources which offsets have been committed.
    fn tell_sources(&mut self) {
        for (index, source) in self.sources.iter_mut().enumerate() {
            let own = self.committing.iter().filter(|position| position.scan == index);
            let offsets: Vec<_> = own.map(|p| (p.split.clone(), p.next)).collect();
            if !offsets.is_empty() {
                source.committed(&offsets);
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
            Event::Rows { output, rows } => self.outputs.write(output, &[rows.batch])?,
            Event::Closed { stage, leaves } => self.gather(stage, leaves)?,
            Event::Cut(cut) => self.gather_cut(worker, cut)?,
            Event::Failed(error) => return Err(error),
            Event::Stopped => {}
        }
        Ok(())
    }

    /// Whether it is time for a cut.
    fn is_cut_due(&self) -> bool {
        if self.commits.is_busy() {
            return false;
        }
        let checkpoints = &self.options.checkpoints;
        let passed = self.options.clock.now_ms() - self.last_cut_ms;
        let is_over =
            |interval: Option<Duration>| interval.is_some_and(|i| passed >= millis(i));
        // The first rows are what someone is waiting for.
        let is_first = !self.has_cut && checkpoints.interval.is_some();
        let results =
            (is_first || is_over(checkpoints.results_interval)) && self.outputs.have_rows();
        // Where nothing is kept only rows are worth a cut.
        let regular = is_over(checkpoints.interval)
            && (checkpoints.state.is_some() || self.outputs.have_rows());
        self.ending.is_some() || results || regular
    }

    fn begin_cut(&mut self) -> Result<(), EngineError> {
        step("cut.begin")?;
        self.cut = Some(Cutting {
            answered: vec![false; self.workers.len()],
            pieces: Vec::new(),
            positions: Vec::new(),
            counters: Counters::default(),
            held: VecDeque::new(),
        });
        let epoch = self.commits.epoch();
        for worker in &self.workers {
            // A worker that is gone has said why, or will.
            let _ = worker.commands.send(Command::Cut { epoch });
        }
        Ok(())
    }

    fn gather_cut(&mut self, worker: usize, cut: WorkersCut) -> Result<(), EngineError> {
        step("cut.answer")?;
        let all = self.cut.as_mut().expect("only asked for by a cut");
        all.answered[worker] = true;
        all.pieces.extend(cut.pieces);
        all.positions.extend(cut.positions);
        all.counters = all.counters.plus(&cut.counters);
        self.notes.places = self.notes.places.max(cut.places);
        self.notes.behind = self.notes.behind.max(cut.behind);
        for (stage, leaf, share) in cut.handed {
            self.stages[stage].take_over(leaf, share);
        }
        let all = self.cut.as_ref().expect("it is there");
        if all.answered.iter().all(|answered| *answered) { self.finish_cut() } else { Ok(()) }
    }

    /// Every worker has been heard: commits, and goes on with what was held.
    fn finish_cut(&mut self) -> Result<(), EngineError> {
        step("cut.whole")?;
        let cut = self.cut.take().expect("it is there");
        self.last_cut_ms = self.options.clock.now_ms();
        self.has_cut = true;
        let mut pieces = cut.pieces;
        let mut state = JobState::default();
        if let Some(epoch) = self.commits.epoch() {
            let mut namer = Namer::new(epoch, self.workers.len());
            let job = Arc::clone(&self.job);
            for (index, (stage, plan)) in self.stages.iter_mut().zip(&job.stages).enumerate() {
                stage.cut(index, plan, &mut namer, &mut pieces)?;
                for leaf in &stage.own {
                    let (places, behind) = leaf.numbers();
                    self.notes.places = self.notes.places.max(places);
                    self.notes.behind = self.notes.behind.max(behind);
                }
            }
            self.notes.done = self.stages.iter().map(StageState::done).collect();
            state = self.job_state(&cut.positions, &cut.counters);
        }
        let files = self.outputs.cut(&self.commits.label())?;
        step("cut.commit")?;
        self.committing = cut.positions;
        self.commits.begin(Commit { state, pieces, files })?;
        cut.held.into_iter().try_for_each(|told| self.hear(told))
    }

    fn job_state(&self, positions: &[Position], of_workers: &Counters) -> JobState {
        let split = |position: &Position| SplitState {
            topic: position.split.topic.to_string(),
            partition: position.split.partition,
            next: position.next,
            stop: position.stop,
            watermark: position.watermark,
        };
        let scan = |(index, scan): (usize, &ScanState)| {
            let own = positions.iter().filter(|position| position.scan == index);
            let mut splits: Vec<SplitState> = own.map(split).collect();
            splits.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
            let table = self.job.scans[index].table.clone();
            crate::checkpoint::ScanState { table, watermark: scan.watermark.reached(), splits }
        };
        JobState {
            finished: self.ending == Some(Ended::Finished),
            scans: self.scans.iter().enumerate().map(scan).collect(),
            fired: self.stages.iter().map(|stage| stage.fired).collect(),
            counters: Counters { rows_out: self.outputs.rows(), ..Counters::default() }
                .plus(&self.counters)
                .plus(of_workers),
            notes: serde_json::to_value(&self.notes).expect("plain data"),
        }
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

    /// The watermark of the rows that a stage gives on.
    fn reached(&self, stage: usize) -> i64 {
        match self.stages[stage].fired {
            watermark::MAX => watermark::MAX,
            fired => fired.saturating_sub(self.job.stages[stage].delay_ms()),
        }
    }

    /// Asks the workers for what a stage can work on now, if there is any.
    fn close(&mut self, stage: usize, watermark: i64, now: i64) -> Result<(), EngineError> {
        let job = Arc::clone(&self.job);
        let plan = &job.stages[stage];
        let state = &mut self.stages[stage];
        let in_workers = self.workers.iter().filter_map(|w| w.next_firing[stage]).min();
        let in_workers = in_workers.is_some_and(|next| next <= watermark);
        let is_due = in_workers || state.is_due(plan, watermark);
        if is_due && state.rests(watermark, now) {
            return Ok(());
        }
        self.fired[stage].store(watermark, Ordering::Relaxed);
        if !is_due {
            state.fired = watermark;
            return Ok(());
        }
        let own = plan.leaves.iter().zip(&mut state.own);
        let own = own.map(|(leaf, open)| open.close(leaf, watermark));
        let leaves = own.collect::<Result<_, _>>()?;
        let ask = in_workers || plan.takes_all();
        let waiting_for = if ask { self.workers.len() } else { 0 };
        state.closing = Some(Closing { watermark, waiting_for, leaves });
        if waiting_for == 0 {
            return self.finish_close(stage);
        }
        for worker in &self.workers {
            // A worker that is gone has said why, or will.
            let _ = worker.commands.send(Command::Close { stage, watermark });
        }
        Ok(())
    }

    /// Takes one worker's share of closing windows.
    fn gather(&mut self, stage: usize, leaves: Vec<Share>) -> Result<(), EngineError> {
        let closing = self.stages[stage].closing.as_mut().expect("only asked for when closing");
        for (all, more) in closing.leaves.iter_mut().zip(leaves) {
            all.merge(more)?;
        }
        closing.waiting_for -= 1;
        if closing.waiting_for == 0 { self.finish_close(stage) } else { Ok(()) }
    }

    /// Every share is here: runs the plan above and passes the rows on.
    fn finish_close(&mut self, stage: usize) -> Result<(), EngineError> {
        step("window.close")?;
        let job = Arc::clone(&self.job);
        let plan = &job.stages[stage];
        let closing = self.stages[stage].closing.take().expect("it is closing");
        let watermark = closing.watermark;
        let state = &mut self.stages[stage];
        let before = state.fired.saturating_sub(plan.delay_ms());
        let worked = state.work(plan, closing, &self.runtime, &self.options.clock)?;
        add(&self.status.closed_windows, worked.windows);
        add(&self.status.late_rows, worked.late);
        self.counters.late_rows += worked.late;
        for late in worked.late_rows {
            self.note_late(&job, stage, 0, Some(&late))?;
        }
        let rows = worked.rows;
        match &plan.output {
            StageOutput::Output(output) => self.outputs.write(*output, &rows)?,
            StageOutput::Branches(branches) => {
                for batch in rows {
                    self.pass_on(&job, branches, batch, before)?;
                }
            }
        }
        self.stages[stage].fired = watermark;
        Ok(())
    }

    /// Gives a stage's rows to the branches that read it. They are judged by
    /// how far the stage had come before.
    fn pass_on(
        &mut self,
        job: &Job,
        branches: &[usize],
        batch: RecordBatch,
        before: i64,
    ) -> Result<(), EngineError> {
        for branch in branches {
            let branch = &job.branches[*branch];
            let rows = Rows { judged_by_at_most: before, ..Rows::unjudged(batch.clone()) };
            let rows = ops::apply(&branch.ops, rows)?;
            match branch.target {
                Target::Output(output) => self.outputs.write(output, &[rows.batch])?,
                Target::Leaf { stage, leaf } => {
                    let plan = &job.stages[stage].leaves[leaf];
                    let state = &mut self.stages[stage];
                    let late = state.own[leaf].fold(plan, rows, state.fired)?;
                    self.note_late(job, stage, leaf, late.as_ref())?;
                }
            }
        }
        Ok(())
    }

    /// Counts late rows, and writes them if the job has a table for them.
    fn note_late(
        &mut self,
        job: &Job,
        stage: usize,
        leaf: usize,
        late: Option<&RecordBatch>,
    ) -> Result<(), EngineError> {
        let count = late.map_or(0, |late| late.num_rows() as u64);
        add(&self.status.late_rows, count);
        self.counters.late_rows += count;
        match late::as_rows(job, stage, leaf, late)? {
            Some((output, rows)) => self.outputs.write(output, &[rows]),
            None => Ok(()),
        }
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

/// What a worker begins with.
struct WorkerParts {
    readers: Vec<Reader>,
    positions: Vec<Position>,
    state: Vec<Vec<OpenLeaf>>,
    scanners: Vec<Scanner>,
}

fn spawn(
    id: usize,
    job: &Arc<Job>,
    parts: WorkerParts,
    options: &RunOptions,
    status: &Arc<Status>,
    events: Sender<Told>,
    fired: Fired,
) -> WorkerHandle {
    let (to_worker, commands) = unbounded();
    let job = Arc::clone(job);
    let status = Arc::clone(status);
    let batch_size = options.batch_size.max(1);
    // A worker that goes on with old state may have nothing to tell for a while.
    let next_firing = worker::next_firing(&job, &parts.state);
    let thread = std::thread::Builder::new()
        .name(format!("worker-{id}"))
        .spawn(move || {
            let WorkerParts { readers, positions, state, scanners } = parts;
            let worker = Worker {
                id,
                job,
                readers,
                scanners,
                batch_size,
                commands,
                events,
                status,
                state,
                fired,
                positions,
                counters: Counters::default(),
            };
            worker.run();
        })
        .expect("the system can start a thread");
    WorkerHandle { commands: to_worker, thread: Some(thread), next_firing, open_windows: 0 }
}

fn open_request(
    job: &Job,
    index: usize,
    resumed: Option<&Resumed>,
    options: &RunOptions,
) -> OpenRequest {
    let scan = &job.scans[index];
    let headers = scan.columns.contains(&ScanColumn::Metadata(MetadataKey::Headers));
    OpenRequest {
        parts: MessageParts {
            keys: scan.key.is_some() || job.dead_letters.is_some(),
            headers: headers || job.dead_letters.is_some(),
        },
        projection: scan.row_projection.clone(),
        resume: resumed.map(|resumed| resumed.offsets(index)),
        on_data_loss: options.on_data_loss,
    }
}

/// Messages between a split's start and stop, if it stops.
fn expected(split: &Split) -> u64 {
    split.stop.map_or(0, |stop| u64::try_from(stop - split.start).unwrap_or(0))
}

fn step(name: &str) -> Result<(), EngineError> {
    reach(|| name.to_owned()).map_err(EngineError::Failpoint)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
