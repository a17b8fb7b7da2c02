//! The loop's part in a cut: when it is made, what is gathered, what is
//! committed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::cut::{Namer, Position, WorkersCut};
use super::error::EngineError;
use super::profile::Step;
use super::stage::StageState;
use super::worker::{Command, Told};
use super::{Ended, Engine, ScanState, millis, watermark};
use crate::checkpoint::{self, Commit, Counters, JobState, Piece, SplitState};
use crate::planning::pipeline::{Input, StageOutput, Target};
use crate::sinks::Now;

/// A cut that not every worker has answered.
pub(super) struct Cutting {
    pub answered: Vec<bool>,
    pub pieces: Vec<Piece>,
    pub positions: Vec<Position>,
    pub counters: Counters,
    /// What those who have answered told since.
    pub held: VecDeque<Told>,
}

impl Engine {
    /// Tells the sources which offsets have been committed.
    pub(super) fn tell_sources(&mut self) {
        for (index, source) in self.sources.iter_mut().enumerate() {
            let own = self.committing.iter().filter(|position| position.scan == index);
            let offsets: Vec<_> = own.map(|p| (p.split.clone(), p.next)).collect();
            if !offsets.is_empty() {
                source.committed(&offsets);
            }
        }
    }

    /// Whether it is time for a cut.
    pub(super) fn is_cut_due(&self) -> bool {
        if self.commits.is_busy() {
            return false;
        }
        let checkpoints = &self.options.checkpoints;
        let passed = self.options.clock.now_ms() - self.last_cut_ms;
        let is_over =
            |interval: Option<Duration>| interval.is_some_and(|i| passed >= millis(i));
        // The first rows are what someone is waiting for.
        let is_first = !self.has_cut && checkpoints.interval.is_some();
        let results = (is_first || is_over(checkpoints.results_interval)) && self.have_news();
        // Where nothing is kept only rows are worth a cut.
        let regular =
            is_over(checkpoints.interval) && (checkpoints.state.is_some() || self.have_news());
        self.ending.is_some() || results || regular
    }

    /// Whether a cut would show something new.
    fn have_news(&self) -> bool {
        self.outputs.have_news(|output| self.now_of(output))
    }

    /// The time as an output sees it.
    fn now_of(&self, output: usize) -> Now {
        let branches = self.job.branches.iter();
        let inputs = branches.filter(|b| b.target == Target::Output(output)).map(|b| b.input);
        let stages = self.job.stages.iter().enumerate();
        let stages = stages.filter(|(_, s)| s.output == StageOutput::Output(output));
        let inputs = inputs.chain(stages.map(|(stage, _)| Input::Stage(stage)));
        let reached = |input: Input| match input {
            Input::Scan(scan) => self.scans[scan].watermark.reached(),
            Input::Stage(stage) => self.reached(stage),
        };
        Now {
            clock_ms: self.options.clock.now_ms(),
            watermark_ms: inputs.map(reached).min().unwrap_or(watermark::MIN),
        }
    }

    pub(super) fn begin_cut(&mut self) -> Result<(), EngineError> {
        self.step("cut.begin")?;
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

    pub(super) fn gather_cut(
        &mut self,
        worker: usize,
        cut: WorkersCut,
    ) -> Result<(), EngineError> {
        self.step("cut.answer")?;
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
    pub(super) fn finish_cut(&mut self) -> Result<(), EngineError> {
        self.step("cut.whole")?;
        let cut = self.cut.take().expect("it is there");
        self.last_cut_ms = self.options.clock.now_ms();
        self.has_cut = true;
        let epoch = self.commits.epoch();
        // What is left for later needs a state to be left in.
        let is_last = match self.ending {
            Some(Ended::Finished) => true,
            Some(_) => epoch.is_none(),
            None => false,
        };
        let times: Vec<Now> = (0..self.job.outputs.len()).map(|o| self.now_of(o)).collect();
        self.bound_memory()?;
        self.meter.lap(Step::Coordinate);
        let files = self.outputs.cut(&self.commits.label(), |output| times[output], is_last)?;
        self.meter.lap(Step::Write);
        let mut pieces = cut.pieces;
        let mut state = JobState::default();
        if let Some(epoch) = epoch {
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
            self.outputs.left(&mut namer, &mut pieces)?;
            self.notes.sinks = self.outputs.notes();
            state = self.job_state(&cut.positions, &cut.counters);
        }
        self.step("cut.commit")?;
        self.committing = cut.positions;
        self.commits.begin(Commit { state, pieces, files })?;
        self.meter.lap(Step::Checkpoint);
        cut.held.into_iter().try_for_each(|told| self.hear(told))
    }

    pub(super) fn job_state(&self, positions: &[Position], of_workers: &Counters) -> JobState {
        let split = |position: &Position| SplitState {
            topic: position.split.topic.to_string(),
            partition: position.split.partition,
            next: position.next,
            stop: position.stop,
            topic_id: position.topic_id.as_deref().map(str::to_owned),
            watermark: position.watermark,
        };
        let scan = |(index, scan): (usize, &ScanState)| {
            let own = positions.iter().filter(|position| position.scan == index);
            let mut splits: Vec<SplitState> = own.map(split).collect();
            splits.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
            let table = self.job.scans[index].table.clone();
            checkpoint::ScanState { table, watermark: scan.watermark.reached(), splits }
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
}
