//! A worker: one thread, some splits of every source, and the state of the rows
//! it read. No row crosses threads before its window closes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError};

use super::cut::{Named, Namer, PieceOf, Position, WorkersCut, piece};
use super::error::EngineError;
use super::late;
use super::leaves::{LeafCut, OpenLeaf, Share};
use super::memory::{self, Account};
use super::ops::apply;
use super::profile::{Meter, Step};
use super::rows::Rows;
use super::scan::{Scanned, Scanner};
use super::status::{Status, add};
use super::watermark;
use crate::checkpoint::Counters;
use crate::failpoints::reach;
use crate::planning::pipeline::{Branch, Input, Job, Stage, Target};
use crate::sources::{Split, SplitId, SplitReader};

/// How long a worker waits for messages before it looks for commands.
const POLL_WAIT: Duration = Duration::from_millis(20);

/// What the loop tells a worker.
#[derive(Debug)]
pub enum Command {
    /// Hand over the windows of a stage that fire at or before `watermark`.
    Close {
        stage: usize,
        watermark: i64,
    },
    AddSplits {
        scan: usize,
        splits: Vec<Split>,
    },
    /// Hand in the state as of now, for an epoch; `None`: only say that
    /// everything before has been told.
    Cut {
        epoch: Option<u64>,
    },
    Stop,
}

/// What a worker tells the loop.
pub enum Event {
    Progress(Progress),
    /// Rows for an output, from a query without a window.
    Rows {
        output: usize,
        rows: Rows,
    },
    Closed {
        stage: usize,
        leaves: Vec<Share>,
    },
    Cut(WorkersCut),
    Failed(EngineError),
    Stopped,
}

/// A worker's number and what it tells.
pub type Told = (usize, Event);

/// What a worker did since it last told.
#[derive(Debug)]
pub struct Progress {
    pub splits: Vec<SplitProgress>,
    /// For each stage the watermark at which the next of this worker's windows
    /// fires.
    pub next_firing: Vec<Option<i64>>,
    pub open_windows: u64,
}

#[derive(Debug)]
pub struct SplitProgress {
    pub scan: usize,
    pub split: SplitId,
    pub watermark: i64,
    pub finished: bool,
}

/// A worker's own reader of each scan.
pub struct Reader {
    pub scan: usize,
    pub reader: Box<dyn SplitReader>,
}

pub struct Worker {
    pub id: usize,
    pub job: Arc<Job>,
    pub readers: Vec<Reader>,
    pub scanners: Vec<Scanner>,
    pub batch_size: usize,
    pub meter: Meter,
    pub commands: Receiver<Command>,
    pub events: Sender<Told>,
    pub status: Arc<Status>,
    /// By stage and leaf.
    pub state: Vec<Vec<OpenLeaf>>,
    pub fired: Fired,
    /// How far each split has been read.
    pub positions: Vec<Position>,
    pub counters: Counters,
    /// Of the state; `None`: it may grow.
    pub memory: Option<Account>,
    /// Rows taken since memory was last looked at.
    pub unmeasured: usize,
}

/// By stage, up to where its windows have been closed; the loop writes it. Only
/// a split that was idle can be behind it.
pub type Fired = Arc<Vec<AtomicI64>>;

impl Worker {
    /// Works until told to stop, or until something fails.
    pub fn run(mut self) {
        let event = match self.work() {
            Ok(()) => Event::Stopped,
            Err(error) => Event::Failed(error),
        };
        self.tell(event);
    }

    fn work(&mut self) -> Result<(), EngineError> {
        loop {
            loop {
                match self.commands.try_recv() {
                    Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return Ok(()),
                    Ok(command) => self.obey(command)?,
                    Err(TryRecvError::Empty) => break,
                }
            }
            self.turn()?;
            self.meter.lap(Step::Coordinate);
        }
    }

    fn obey(&mut self, command: Command) -> Result<(), EngineError> {
        match command {
            Command::Close { stage, watermark } => {
                let leaves = self.close(stage, watermark)?;
                self.meter.lap(Step::Close);
                self.tell(Event::Closed { stage, leaves });
                self.tell_progress(Vec::new());
            }
            Command::Cut { epoch } => {
                let cut = self.cut(epoch)?;
                self.meter.lap(Step::Checkpoint);
                self.tell(Event::Cut(cut));
            }
            Command::AddSplits { scan, splits } => {
                self.positions.extend(positions(scan, &splits));
                let reader = self.readers.iter_mut().find(|r| r.scan == scan);
                let reader = reader.expect("a worker reads every scan");
                let table = &self.job.scans[scan].table;
                reader
                    .reader
                    .add(splits)
                    .map_err(|source| EngineError::Source { table: table.clone(), source })?;
            }
            Command::Stop => {}
        }
        Ok(())
    }

    fn close(&mut self, stage: usize, watermark: i64) -> Result<Vec<Share>, EngineError> {
        let leaves = self.job.stages[stage].leaves.iter();
        leaves
            .zip(&mut self.state[stage])
            .map(|(leaf, open)| open.close(leaf, watermark))
            .collect()
    }

    fn cut(&mut self, epoch: Option<u64>) -> Result<WorkersCut, EngineError> {
        let mut cut = WorkersCut {
            pieces: Vec::new(),
            handed: Vec::new(),
            positions: Vec::new(),
            places: 0,
            behind: 0,
            counters: self.counters.clone(),
        };
        reach(|| "cut.worker".to_owned()).map_err(EngineError::Failpoint)?;
        let Some(epoch) = epoch else { return Ok(cut) };
        let mut namer = Namer::new(epoch, self.id);
        for (stage, leaves) in self.state.iter_mut().enumerate() {
            for (leaf, open) in leaves.iter_mut().enumerate() {
                let plan = &self.job.stages[stage].leaves[leaf];
                match open.cut(plan, &mut namer)? {
                    LeafCut::Runs(runs) => {
                        for Named { place: slice, id, rows } in runs {
                            let of = PieceOf::Open { stage, leaf, own: false, slice };
                            cut.pieces.push(piece(id, &of, rows));
                        }
                    }
                    LeafCut::Handed(share) => cut.handed.push((stage, leaf, share)),
                }
                let (places, behind) = open.numbers();
                cut.places = cut.places.max(places);
                cut.behind = cut.behind.max(behind);
            }
        }
        for position in &mut self.positions {
            position.watermark = self.scanners[position.scan].watermark(&position.split);
        }
        cut.positions.clone_from(&self.positions);
        Ok(cut)
    }

    /// Reads once from every source.
    fn turn(&mut self) -> Result<(), EngineError> {
        let mut splits = Vec::new();
        let wait = POLL_WAIT / u32::try_from(self.readers.len().max(1)).unwrap_or(1);
        if self.readers.is_empty() {
            // Nothing to read: the only news are commands.
            let mut news = Select::new();
            news.recv(&self.commands);
            let _ = news.ready_timeout(wait);
        }
        let mut readers = std::mem::take(&mut self.readers);
        let result =
            readers.iter_mut().try_for_each(|reader| self.read(reader, wait, &mut splits));
        self.readers = readers;
        result?;
        if !splits.is_empty() {
            self.tell_progress(splits);
        }
        self.bound_memory()
    }

    /// Puts state on disk if there is too much of it.
    fn bound_memory(&mut self) -> Result<(), EngineError> {
        let Some(account) = &mut self.memory else { return Ok(()) };
        if self.unmeasured < account.rows_unmeasured() {
            return Ok(());
        }
        self.unmeasured = 0;
        memory::bound(account, &self.job, &mut self.state)
    }

    fn read(
        &mut self,
        reader: &mut Reader,
        wait: Duration,
        splits: &mut Vec<SplitProgress>,
    ) -> Result<(), EngineError> {
        let scan = reader.scan;
        let polled = reader.reader.poll(self.batch_size, wait).map_err(|source| {
            EngineError::Source { table: self.job.scans[scan].table.clone(), source }
        })?;
        self.meter.lap(Step::Fetch);
        for (split, data) in polled.data {
            self.pass(scan, &split, |next| data.next_offset(next));
            let scanned = self.scanners[scan].scan(&split, data, &mut self.meter)?;
            let watermark = self.take(scan, scanned)?;
            splits.push(SplitProgress { scan, split, watermark, finished: false });
        }
        for split in polled.finished {
            let watermark = watermark::MIN;
            self.finish(scan, &split);
            splits.push(SplitProgress { scan, split, watermark, finished: true });
        }
        Ok(())
    }

    /// Moves a split's position on.
    fn pass(&mut self, scan: usize, split: &SplitId, to: impl FnOnce(i64) -> i64) {
        let own = |p: &&mut Position| p.scan == scan && p.split == *split;
        if let Some(position) = self.positions.iter_mut().find(own) {
            position.next = to(position.next);
        }
    }

    fn finish(&mut self, scan: usize, split: &SplitId) {
        let own = |p: &&mut Position| p.scan == scan && p.split == *split;
        if let Some(position) = self.positions.iter_mut().find(own) {
            position.next = position.stop.unwrap_or(position.next);
        }
    }

    /// Sends a split's rows down every branch of their scan.
    fn take(&mut self, scan: usize, scanned: Scanned) -> Result<i64, EngineError> {
        add(&self.status.rows_in, scanned.taken);
        add(&self.status.decode_errors, scanned.errors);
        self.counters.rows_in += scanned.taken;
        self.unmeasured += scanned.rows.batch.num_rows();
        self.counters.undecodable += scanned.errors;
        let job = Arc::clone(&self.job);
        if let (Some(dead), Some(output)) = (scanned.dead, job.dead_letters) {
            self.tell(Event::Rows { output, rows: Rows::unjudged(dead) });
        }
        let reads = |branch: &&Branch| branch.input == Input::Scan(scan);
        for branch in job.branches.iter().filter(reads) {
            let rows = apply(&branch.ops, scanned.rows.clone())?;
            self.meter.lap(Step::Transform);
            match branch.target {
                Target::Leaf { stage, leaf } => {
                    let plan = &job.stages[stage].leaves[leaf];
                    let open = &mut self.state[stage][leaf];
                    let fired = self.fired[stage].load(Ordering::Relaxed);
                    let late = open.fold(plan, rows, fired)?;
                    self.meter.lap(Step::Fold);
                    let count = late.as_ref().map_or(0, |late| late.num_rows() as u64);
                    add(&self.status.late_rows, count);
                    self.counters.late_rows += count;
                    let late = late::as_rows(&job, stage, leaf, late.as_ref())?;
                    if let Some((output, rows)) = late {
                        self.tell(Event::Rows { output, rows: Rows::unjudged(rows) });
                    }
                }
                Target::Output(output) => {
                    if rows.batch.num_rows() > 0 {
                        self.tell(Event::Rows { output, rows });
                    }
                }
            }
        }
        Ok(scanned.watermark)
    }

    fn tell_progress(&self, splits: Vec<SplitProgress>) {
        let next_firing = next_firing(&self.job, &self.state);
        let open = self.state.iter().flatten().map(OpenLeaf::len).sum::<usize>();
        self.tell(Event::Progress(Progress { splits, next_firing, open_windows: open as u64 }));
    }

    fn tell(&self, event: Event) {
        // The loop is gone only if it failed itself and told why.
        let _ = self.events.send((self.id, event));
    }
}

/// Where splits begin.
pub fn positions(scan: usize, splits: &[Split]) -> impl Iterator<Item = Position> {
    splits.iter().map(move |split| Position {
        scan,
        split: split.id.clone(),
        next: split.start,
        stop: split.stop,
        topic_id: split.topic_id.clone(),
        watermark: watermark::MIN,
    })
}

/// For each stage the watermark at which the next window of this state fires.
pub fn next_firing(job: &Job, state: &[Vec<OpenLeaf>]) -> Vec<Option<i64>> {
    let next = |(stage, open): (&Stage, &Vec<OpenLeaf>)| {
        let leaves = stage.leaves.iter().zip(open);
        leaves.filter_map(|(leaf, open)| open.next_firing(leaf)).min()
    };
    job.stages.iter().zip(state).map(next).collect()
}

/// Empty state for every stage's leaves.
pub fn empty_state(job: &Job) -> Vec<Vec<OpenLeaf>> {
    let leaves = |stage: &Stage| stage.leaves.iter().map(OpenLeaf::new).collect();
    job.stages.iter().map(leaves).collect()
}

/// Spreads splits over workers, evenly and always the same way.
pub fn spread(splits: Vec<Split>, workers: usize, first: usize) -> BTreeMap<usize, Vec<Split>> {
    let mut spread: BTreeMap<usize, Vec<Split>> = BTreeMap::new();
    for (i, split) in splits.into_iter().enumerate() {
        spread.entry((first + i) % workers).or_default().push(split);
    }
    spread
}
