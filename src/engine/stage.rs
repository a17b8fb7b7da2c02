//! A stage while it runs: how far it has come, and what it keeps of the rows
//! that reached it.

use std::sync::Arc;

use arrow::array::RecordBatch;
use tokio::runtime::Runtime;

use super::cut::{Named, Namer, PieceOf, misfit, piece};
use super::error::EngineError;
use super::interval_join::JoinedRows;
use super::keep_first::FirstRows;
use super::leaves::{ClosingLeaf, LeafCut, OpenLeaf, Share};
use super::memory::Account;
use super::rows::Rows;
use super::watermark;
use super::windows::LargeWindow;
use crate::checkpoint::{Piece, PieceId};
use crate::clock::Clock;
use crate::planning::pipeline::{Input, Job, Leaf, Stage, StageWork, Target};

pub struct StageState {
    /// Scans and stages whose rows reach it.
    pub inputs: Vec<Input>,
    /// Up to where its windows have been closed.
    pub fired: i64,
    /// State of the rows that come from other stages.
    pub own: Vec<OpenLeaf>,
    pub closing: Option<Closing>,
    work: Work,
    /// Some work costs as much as there is state, so it is not done all the time.
    not_before_ms: i64,
}

/// A close that waits for the workers' answers.
pub struct Closing {
    pub watermark: i64,
    pub waiting_for: usize,
    pub leaves: Vec<Share>,
}

enum Work {
    /// What windows to come still need of what was handed over.
    Windows(Vec<ClosingLeaf>),
    IntervalJoin(JoinedRows),
    KeepFirst(FirstRows),
}

/// What a stage gives when time moves on.
#[derive(Default)]
pub struct Worked {
    pub rows: Vec<RecordBatch>,
    /// Windows whose rows [`StageState::more`] makes.
    pub large: Vec<LargeWindow>,
    pub windows: u64,
    /// Late rows of which no more is known than how many there were.
    pub late: u64,
    /// Other late rows, by input.
    pub late_rows: Vec<(usize, RecordBatch)>,
}

/// Between two times that a stage which takes all rows works, at least and at
/// most; in between, four times what the last one took.
const PAUSE_MS: i64 = 50;
const MAX_PAUSE_MS: i64 = 1_000;

impl StageState {
    pub fn new(job: &Job, stage: usize) -> Self {
        let reaches =
            |target: &Target| matches!(target, Target::Leaf { stage: s, .. } if *s == stage);
        let branches = job.branches.iter().filter(|branch| reaches(&branch.target));
        let mut inputs: Vec<Input> = Vec::new();
        for branch in branches {
            if !inputs.contains(&branch.input) {
                inputs.push(branch.input);
            }
        }
        let plan = &job.stages[stage];
        let work = match &plan.work {
            StageWork::Windows(_) => {
                Work::Windows(plan.leaves.iter().map(ClosingLeaf::new).collect())
            }
            StageWork::IntervalJoin(_) => Work::IntervalJoin(JoinedRows::default()),
            StageWork::KeepFirst(first) => Work::KeepFirst(FirstRows::new(first)),
        };
        Self {
            inputs,
            fired: watermark::MIN,
            own: plan.leaves.iter().map(OpenLeaf::new).collect(),
            closing: None,
            work,
            not_before_ms: i64::MIN,
        }
    }

    /// The watermark that the stage can be brought to: the least of its inputs,
    /// or the clock's time, which every row that comes is at or after.
    pub fn reachable(&self, plan: &Stage, reached: impl Fn(&Input) -> i64, now_ms: i64) -> i64 {
        let least = self.inputs.iter().map(reached).min().unwrap_or(watermark::MAX);
        if plan.by_clock() && least != watermark::MAX { now_ms - 1 } else { least }
    }

    /// Whether there is something to do here at `watermark`, if not in the workers.
    pub fn is_due(&self, plan: &Stage, watermark: i64) -> bool {
        // A stage that reads nothing runs once.
        if plan.leaves.is_empty() {
            return self.fired < watermark;
        }
        self.next_firing(&plan.leaves).is_some_and(|next| next <= watermark)
    }

    /// Whether it should wait before it works again.
    pub fn rests(&self, watermark: i64, now_ms: i64) -> bool {
        now_ms < self.not_before_ms && watermark != watermark::MAX
    }

    /// The watermark at which something is due of what is here.
    fn next_firing(&self, leaves: &[Leaf]) -> Option<i64> {
        let own = leaves.iter().zip(&self.own);
        let own = own.filter_map(|(leaf, open)| open.next_firing(leaf)).min();
        let kept = match &self.work {
            Work::Windows(all) => {
                let all = leaves.iter().zip(all);
                all.filter_map(|(leaf, kept)| kept.next_firing(leaf)).min()
            }
            Work::IntervalJoin(rows) => rows.next_firing(),
            Work::KeepFirst(rows) => rows.next_firing(),
        };
        own.into_iter().chain(kept).min()
    }

    /// Works on what all have handed over.
    pub fn work(
        &mut self,
        plan: &Stage,
        closing: Closing,
        runtime: &Runtime,
        clock: &Arc<dyn Clock>,
        memory: Option<&Account>,
    ) -> Result<Worked, EngineError> {
        let began = clock.now_ms();
        let worked = self.work_on(plan, closing, runtime, began, memory)?;
        if plan.takes_all() {
            let now = clock.now_ms();
            self.not_before_ms = now + (4 * (now - began)).clamp(PAUSE_MS, MAX_PAUSE_MS);
        }
        Ok(worked)
    }

    fn work_on(
        &mut self,
        plan: &Stage,
        closing: Closing,
        runtime: &Runtime,
        now_ms: i64,
        memory: Option<&Account>,
    ) -> Result<Worked, EngineError> {
        let mut worked = Worked::default();
        let watermark = closing.watermark;
        let shares = closing.leaves.into_iter();
        match (&mut self.work, &plan.work) {
            (Work::Windows(all), StageWork::Windows(above)) => {
                let mut inputs = Vec::with_capacity(plan.leaves.len());
                let leaves = plan.leaves.iter().zip(shares).zip(all).enumerate();
                for (number, ((leaf, share), kept)) in leaves {
                    let mut fired = kept.fire(leaf, share, watermark)?;
                    if above.is_row_by_row() {
                        worked.large.append(&mut fired.large);
                    }
                    // The plan above asks for all rows of a window at once.
                    let mut bytes = 0;
                    for mut window in fired.large {
                        while let Some(rows) = window.next(leaf)? {
                            bytes += rows.get_array_memory_size();
                            memory.map_or(Ok(()), |account| account.check_with(bytes))?;
                            fired.rows.push(rows);
                        }
                    }
                    worked.windows = worked.windows.max(fired.windows);
                    worked.late += fired.late;
                    let late = fired.late_rows.into_iter();
                    worked.late_rows.extend(late.map(|rows| (number, rows)));
                    inputs.push(fired.rows);
                }
                let nothing = inputs.iter().all(Vec::is_empty);
                let runs_on_nothing =
                    plan.leaves.is_empty() || plan.leaves.iter().any(|l| l.spec.is_whole());
                if !nothing || runs_on_nothing {
                    worked.rows = runtime.block_on(above.run(inputs))?;
                }
            }
            (Work::IntervalJoin(rows), StageWork::IntervalJoin(join)) => {
                let sides: Vec<_> = shares.map(Share::rows).collect();
                let sides: [_; 2] = sides.try_into().expect("a join has two sides");
                worked.rows = rows.join(join, sides, watermark, runtime)?;
            }
            (Work::KeepFirst(rows), StageWork::KeepFirst(first)) => {
                let new = shares.flat_map(Share::rows).collect();
                let (rows, late) = rows.keep(first, new, watermark, now_ms)?;
                worked.rows = rows;
                worked.late_rows = late.into_iter().map(|rows| (0, rows)).collect();
            }
            _ => unreachable!("a stage's state is made for its work"),
        }
        Ok(worked)
    }

    /// The next rows of a large window; `None` behind the last.
    pub fn more(
        plan: &Stage,
        window: &mut LargeWindow,
        runtime: &Runtime,
    ) -> Result<Option<Vec<RecordBatch>>, EngineError> {
        let ([leaf], StageWork::Windows(above)) = (plan.leaves.as_slice(), &plan.work) else {
            unreachable!("large windows come from one input, row by row")
        };
        let Some(rows) = window.next(leaf)? else { return Ok(None) };
        Ok(Some(runtime.block_on(above.run(vec![vec![rows]]))?))
    }

    /// Bytes of memory.
    pub fn memory(&self) -> usize {
        let own = self.own.iter().map(OpenLeaf::memory).sum::<usize>();
        own + match &self.work {
            Work::Windows(all) => all.iter().map(ClosingLeaf::memory).sum(),
            Work::IntervalJoin(rows) => rows.memory(),
            Work::KeepFirst(rows) => rows.memory(),
        }
    }

    /// What the stage keeps, in pieces. What workers have handed over is here.
    pub fn cut(
        &mut self,
        stage: usize,
        plan: &Stage,
        namer: &mut Namer,
        pieces: &mut Vec<Piece>,
    ) -> Result<(), EngineError> {
        for (leaf, leaf_plan) in plan.leaves.iter().enumerate() {
            match self.own[leaf].cut(leaf_plan, namer)? {
                LeafCut::Runs(runs) => {
                    for Named { place: slice, id, rows } in runs {
                        let of = PieceOf::Open { stage, leaf, own: true, slice };
                        pieces.push(piece(id, &of, rows));
                    }
                }
                LeafCut::Handed(share) => self.take_over(leaf, share),
            }
            for rows in self.own[leaf].came() {
                let (judged_by_at_most, split) = (rows.judged_by_at_most, rows.split);
                let of = PieceOf::Came { stage, leaf, judged_by_at_most, split };
                pieces.push(piece(namer.name(), &of, Arc::new(rows.to_batch()?)));
            }
        }
        match (&mut self.work, &plan.work) {
            (Work::Windows(all), _) => {
                for (leaf, kept) in all.iter_mut().enumerate() {
                    kept.cut(&plan.leaves[leaf], (stage, leaf), namer, pieces)?;
                }
                Ok(())
            }
            (Work::IntervalJoin(rows), StageWork::IntervalJoin(join)) => {
                rows.cut(join, stage, namer, pieces)
            }
            (Work::KeepFirst(rows), _) => rows.cut(stage, namer, pieces),
            (Work::IntervalJoin(_), _) => unreachable!("a stage's state is made for its work"),
        }
    }

    /// Takes what a leaf has handed over, to be worked on later.
    pub fn take_over(&mut self, leaf: usize, share: Share) {
        match (share, &mut self.work) {
            (Share::AsTheyCame(rows), _) => self.own[leaf].take_back(rows),
            (Share::Sessions(pieces), Work::Windows(all)) => {
                if let ClosingLeaf::Sessions(sessions) = &mut all[leaf] {
                    sessions.add(pieces);
                }
            }
            (Share::Sessions(_) | Share::Slices(_), _) => {
                unreachable!("slices are kept where they are")
            }
        }
    }

    /// Takes back a piece of what an earlier process kept here.
    pub fn restore(
        &mut self,
        plan: &Stage,
        of: PieceOf,
        id: PieceId,
        rows: RecordBatch,
    ) -> Result<(), EngineError> {
        match (of, &mut self.work, &plan.work) {
            (PieceOf::Open { leaf, slice, .. }, ..) => {
                self.own[leaf].restore(slice, id, rows);
                Ok(())
            }
            (PieceOf::Came { leaf, judged_by_at_most, split, .. }, ..) => {
                let rows = Rows::from_batch(&rows, judged_by_at_most, split)?;
                self.own[leaf].take_back(vec![rows]);
                Ok(())
            }
            (PieceOf::Shared { leaf, end, from, .. }, Work::Windows(all), _) => {
                all[leaf].restore_slice(&plan.leaves[leaf], (end, from), id, &rows)
            }
            (PieceOf::Behind { leaf, split, .. }, Work::Windows(all), _) => {
                all[leaf].restore_behind(split, &rows)
            }
            (PieceOf::Sessions { leaf, .. }, Work::Windows(all), _) => {
                all[leaf].restore_sessions(&plan.leaves[leaf], id, &rows)
            }
            (PieceOf::SessionsLive { leaf, piece, .. }, Work::Windows(all), _) => {
                all[leaf].restore_live(piece, id, &rows)
            }
            (
                PieceOf::Joined { side, .. },
                Work::IntervalJoin(kept),
                StageWork::IntervalJoin(join),
            ) => kept.restore_rows(join, side, id, &rows, self.fired),
            (PieceOf::Matched { side, next_number, .. }, Work::IntervalJoin(kept), _) => {
                kept.restore_matched(side, next_number, id, &rows)
            }
            (
                PieceOf::Waiting { split, .. },
                Work::KeepFirst(kept),
                StageWork::KeepFirst(first),
            ) => kept.restore_waiting(first, split, id, &rows),
            (PieceOf::Seen { .. }, Work::KeepFirst(kept), _) => kept.restore_seen(id, &rows),
            _ => Err(misfit("a piece of another stage", None)),
        }
    }

    /// By leaf, the end of the last window that has fired.
    pub fn done(&self) -> Vec<Option<i64>> {
        match &self.work {
            Work::Windows(all) => all.iter().map(ClosingLeaf::done).collect(),
            Work::IntervalJoin(_) | Work::KeepFirst(_) => Vec::new(),
        }
    }

    pub fn set_done(&mut self, done: &[Option<i64>]) {
        if let Work::Windows(all) = &mut self.work {
            all.iter_mut().zip(done).for_each(|(leaf, done)| leaf.set_done(*done));
        }
    }

    pub fn open_windows(&self) -> u64 {
        let own = self.own.iter().map(OpenLeaf::len).sum::<usize>();
        let kept = match &self.work {
            Work::Windows(all) => all.iter().map(ClosingLeaf::len).sum::<usize>(),
            Work::IntervalJoin(_) | Work::KeepFirst(_) => 0,
        };
        (own + kept) as u64
    }
}
