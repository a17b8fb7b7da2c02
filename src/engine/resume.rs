//! Goes on where an earlier process of the job has come to.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::commits::Recovered;
use super::cut::{Notes, PieceOf, Position};
use super::error::EngineError;
use super::leaves::OpenLeaf;
use super::memory::{self, Account};
use super::outputs::Outputs;
use super::scan::Scanner;
use super::stage::StageState;
use super::status::{Status, add};
use super::watermark::ScanWatermark;
use crate::checkpoint::{Counters, JobState, StoredPiece};
use crate::planning::pipeline::Job;
use crate::sources::{Resume, SplitId};

/// What an earlier process has come to, without its pieces.
pub struct Resumed {
    scans: Vec<ResumedScan>,
    fired: Vec<i64>,
    pub notes: Notes,
    pub counters: Counters,
}

struct ResumedScan {
    watermark: i64,
    splits: BTreeMap<SplitId, ResumedSplit>,
}

struct ResumedSplit {
    resume: Resume,
    watermark: i64,
}

impl Resumed {
    pub fn new(job: &Job, state: &JobState) -> Self {
        let scan = |table: &str| {
            let stored = state.scans.iter().find(|scan| scan.table == table);
            let splits = stored.into_iter().flat_map(|scan| &scan.splits).map(|split| {
                let id = SplitId {
                    topic: Arc::from(split.topic.as_str()),
                    partition: split.partition,
                };
                let topic_id = split.topic_id.as_deref().map(Arc::from);
                let resume = Resume { next: split.next, stop: split.stop, topic_id };
                (id, ResumedSplit { resume, watermark: split.watermark })
            });
            ResumedScan {
                watermark: stored.map_or(super::watermark::MIN, |scan| scan.watermark),
                splits: splits.collect(),
            }
        };
        Self {
            scans: job.scans.iter().map(|plan| scan(&plan.table)).collect(),
            fired: state.fired.clone(),
            notes: serde_json::from_value(state.notes.clone()).unwrap_or_default(),
            counters: state.counters.clone(),
        }
    }

    pub fn offsets(&self, scan: usize) -> BTreeMap<SplitId, Resume> {
        let splits = self.scans[scan].splits.iter();
        splits.map(|(id, split)| (id.clone(), split.resume.clone())).collect()
    }

    pub fn restore_watermark(&self, scan: usize, watermark: &mut ScanWatermark, now_ms: i64) {
        let stored = &self.scans[scan];
        watermark.resume(stored.watermark);
        for (id, split) in &stored.splits {
            watermark.advance(id, split.watermark, now_ms);
        }
    }

    pub fn restore_scanners(&self, scanners: &mut [Scanner], positions: &[Position]) {
        for position in positions {
            if let Some(split) = self.scans[position.scan].splits.get(&position.split) {
                scanners[position.scan].resume(position.split.clone(), split.watermark);
            }
        }
    }

    pub fn restore_stages(&self, stages: &mut [StageState]) {
        for (stage, fired) in stages.iter_mut().zip(&self.fired) {
            stage.fired = *fired;
        }
        for (stage, done) in stages.iter_mut().zip(&self.notes.done) {
            stage.set_done(done);
        }
    }

    /// Counting goes on.
    pub fn count(&self, status: &Status) {
        add(&status.rows_in, self.counters.rows_in);
        add(&status.rows_in_before, self.counters.rows_in);
        add(&status.rows_out, self.counters.rows_out);
        add(&status.late_rows, self.counters.late_rows);
        add(&status.decode_errors, self.counters.undecodable);
    }
}

/// What state is given back to.
pub struct Restoring<'a> {
    pub job: &'a Job,
    pub workers: &'a mut [Vec<Vec<OpenLeaf>>],
    pub stages: &'a mut [StageState],
    pub outputs: &'a mut Outputs,
    /// What each worker holds.
    pub accounts: &'a mut [Option<Account>],
}

impl Restoring<'_> {
    /// Gives every piece back to where it is kept. What workers kept may go to any
    /// of them, but for rows whose order matters: `owner` is the worker that reads
    /// their split.
    pub fn restore(
        &mut self,
        recovered: &Recovered,
        owner: &dyn Fn(u64) -> usize,
    ) -> Result<(), EngineError> {
        let pieces = &recovered.manifest.pieces;
        recovered.archive.read(pieces, |number, rows| {
            let piece = &pieces[number];
            self.restore_piece(number, piece, rows, owner)
        })
    }

    fn restore_piece(
        &mut self,
        turn: usize,
        piece: &StoredPiece,
        rows: RecordBatch,
        owner: &dyn Fn(u64) -> usize,
    ) -> Result<(), EngineError> {
        let misfit = |reason: String| super::cut::misfit(&reason, None);
        let of: PieceOf =
            serde_json::from_value(piece.of.clone()).map_err(|e| misfit(e.to_string()))?;
        if let PieceOf::Output { table } = &of {
            return self.outputs.restore(table, piece.id, &rows);
        }
        let (stage, leaf) = of.place().expect("it is no result");
        let plan = self.job.stages.get(stage);
        let Some(plan) = plan.filter(|plan| leaf < plan.leaves.len().max(1)) else {
            return Err(misfit(format!("there is no stage {stage} with {} inputs", leaf + 1)));
        };
        let PieceOf::Open { own: false, slice, .. } = of else {
            return self.stages[stage].restore(plan, of, piece.id, rows);
        };
        let worker = match slice.split {
            0 => turn % self.workers.len(),
            split => owner(split),
        };
        self.workers[worker][stage][leaf].restore(slice, piece.id, rows);
        match &mut self.accounts[worker] {
            Some(account) => memory::bound(account, self.job, &mut self.workers[worker]),
            None => Ok(()),
        }
    }
}
