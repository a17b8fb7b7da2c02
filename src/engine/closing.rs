//! Windows close: the workers' shares are asked for, merged and worked on, and
//! the rows go on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;

use super::error::EngineError;
use super::leaves::Share;
use super::profile::Step;
use super::rows::Rows;
use super::stage::{Closing, StageState};
use super::status::add;
use super::worker::Command;
use super::{Engine, late, ops, watermark};
use crate::planning::pipeline::{Job, StageOutput, Target};

impl Engine {
    /// The watermark of the rows that a stage gives on.
    pub(super) fn reached(&self, stage: usize) -> i64 {
        match self.stages[stage].fired {
            watermark::MAX => watermark::MAX,
            fired => fired.saturating_sub(self.job.stages[stage].delay_ms()),
        }
    }

    /// Asks the workers for what a stage can work on now, if there is any.
    pub(super) fn close(
        &mut self,
        stage: usize,
        watermark: i64,
        now: i64,
    ) -> Result<(), EngineError> {
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
    pub(super) fn gather(
        &mut self,
        stage: usize,
        leaves: Vec<Share>,
    ) -> Result<(), EngineError> {
        let closing = self.stages[stage].closing.as_mut().expect("only asked for when closing");
        for (all, more) in closing.leaves.iter_mut().zip(leaves) {
            all.merge(more)?;
        }
        self.meter.lap(Step::Close);
        closing.waiting_for -= 1;
        if closing.waiting_for == 0 { self.finish_close(stage) } else { Ok(()) }
    }

    /// Every share is here: runs the plan above and passes the rows on.
    pub(super) fn finish_close(&mut self, stage: usize) -> Result<(), EngineError> {
        self.step("window.close")?;
        let job = Arc::clone(&self.job);
        let plan = &job.stages[stage];
        let closing = self.stages[stage].closing.take().expect("it is closing");
        let watermark = closing.watermark;
        let state = &mut self.stages[stage];
        let before = state.fired.saturating_sub(plan.delay_ms());
        let worked = state.work(
            plan,
            closing,
            &self.runtime,
            &self.options.clock,
            self.memory.as_ref(),
        )?;
        self.meter.lap(Step::Close);
        add(&self.status.closed_windows, worked.windows);
        add(&self.status.late_rows, worked.late);
        self.counters.late_rows += worked.late;
        for (leaf, late) in worked.late_rows {
            self.note_late(&job, stage, leaf, Some(&late))?;
        }
        self.give(&job, stage, worked.rows, before)?;
        for mut window in worked.large {
            while let Some(rows) = StageState::more(plan, &mut window, &self.runtime)? {
                self.meter.lap(Step::Close);
                self.give(&job, stage, rows, before)?;
            }
        }
        self.stages[stage].fired = watermark;
        self.bound_memory()
    }

    /// Passes a stage's rows to where they go.
    fn give(
        &mut self,
        job: &Job,
        stage: usize,
        rows: Vec<RecordBatch>,
        before: i64,
    ) -> Result<(), EngineError> {
        match &job.stages[stage].output {
            StageOutput::Output(output) => self.write(*output, &rows),
            StageOutput::Branches(branches) => {
                for batch in rows {
                    self.pass_on(job, branches, batch, before)?;
                }
                Ok(())
            }
        }
    }

    /// Counts the state that the loop keeps, and puts on disk what is too much.
    pub(super) fn bound_memory(&mut self) -> Result<(), EngineError> {
        let Some(account) = &mut self.memory else { return Ok(()) };
        let memory = |stages: &[StageState]| stages.iter().map(StageState::memory).sum();
        account.set(memory(&self.stages));
        let mut excess = account.excess();
        if excess > 0 {
            for (plan, stage) in self.job.stages.iter().zip(&mut self.stages) {
                for (leaf, open) in plan.leaves.iter().zip(&mut stage.own) {
                    excess -= open.spill(leaf, excess, account)?.min(excess);
                }
            }
            account.set(memory(&self.stages));
        }
        account.check()
    }

    /// Gives a stage's rows to the branches that read it. They are judged by
    /// how far the stage had come before.
    pub(super) fn pass_on(
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
            self.meter.lap(Step::Transform);
            match branch.target {
                Target::Output(output) => self.write(output, &[rows.batch])?,
                Target::Leaf { stage, leaf } => {
                    let plan = &job.stages[stage].leaves[leaf];
                    let state = &mut self.stages[stage];
                    let late = state.own[leaf].fold(plan, rows, state.fired)?;
                    self.meter.lap(Step::Fold);
                    self.note_late(job, stage, leaf, late.as_ref())?;
                }
            }
        }
        Ok(())
    }

    /// Counts late rows, and writes them if the job has a table for them.
    pub(super) fn note_late(
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
            Some((output, rows)) => self.write(output, &[rows]),
            None => Ok(()),
        }
    }
}
