//! Carries out the protocol on a store.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use uuid::Uuid;

use super::archive::{ATTEMPTS, Archive, retried};
use super::manifest::{JobState, Manifest, OutputFile, PieceId, StoredPiece};
use super::protocol::{Step, Stopped, Told, Writer};
use super::segment::{self, PieceRows};
use super::{CheckpointError, FLOORS, SEGMENTS, STAGED};
use crate::clock::Clock;
use crate::store::{Folder, Location, WholeFile, parse_location};

/// The pause before a manifest is sent again, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// How many epochs a job keeps unless it is told.
pub const RETAINED: u64 = 100;

/// A job's place in the store.
#[derive(Debug, Clone)]
pub struct Identity {
    pub job: String,
    /// What the job is, line by line: a job whose lines differ is another.
    pub plan: Vec<String>,
    /// Whether state of a job of those lines is state of one of these.
    pub fits: fn(&[String], &[String]) -> bool,
    /// Go on although they differ, from the offsets alone.
    pub drop_state: bool,
    /// How many epochs are kept, at least.
    pub retained: u64,
    /// What a job begins from that has never run.
    pub begins: JobState,
}

impl Default for Identity {
    fn default() -> Self {
        let (job, plan) = (String::new(), Vec::new());
        let fits = |before: &[String], now: &[String]| before == now;
        let begins = JobState::default();
        Self { job, plan, fits, drop_state: false, retained: RETAINED, begins }
    }
}

/// What an epoch commits.
#[derive(Debug, Default)]
pub struct Commit {
    pub state: JobState,
    /// All the state there is.
    pub pieces: Vec<Piece>,
    /// Files to make visible, with the table they belong to.
    pub files: Vec<NewFile>,
}

/// A piece of state.
#[derive(Debug)]
pub struct Piece {
    pub id: PieceId,
    /// What it is a piece of.
    pub of: serde_json::Value,
    /// Its rows; `None` if an earlier epoch has written them.
    pub rows: Option<PieceRows>,
}

#[derive(Debug)]
pub struct NewFile {
    pub output: usize,
    pub file: WholeFile,
    pub rows: u64,
}

/// What became visible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    pub epoch: u64,
    pub files: u64,
    pub rows: u64,
    pub bytes: u64,
}

/// What was deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    pub epochs: u64,
    pub segments: u64,
    /// Files that were staged and are visible, or will never be.
    pub staged: u64,
}

/// A table that is written.
#[derive(Debug, Clone)]
pub struct Destination {
    pub table: String,
    /// Where its files are; `None` for a table that is no files.
    pub folder: Option<(Location, Folder)>,
}

/// The one process that may commit.
pub struct Committer {
    archive: Archive,
    identity: Identity,
    destinations: Vec<Destination>,
    clock: Arc<dyn Clock>,
    attempt: String,
    writer: Writer<Manifest>,
    stored: HashMap<PieceId, StoredPiece>,
    last_collected: u64,
}

impl Committer {
    /// Takes the job over: fences whoever ran it, makes visible what they had
    /// committed, and gives what is to be gone on from; `None` for a job that
    /// has never run.
    ///
    /// # Errors
    /// A plan that differs from the one that was run, before anyone is fenced;
    /// a store that fails.
    pub fn take_over(
        state: Folder,
        identity: Identity,
        destinations: Vec<Destination>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<Manifest>), CheckpointError> {
        let mut committer = Self {
            archive: Archive::new(state),
            identity,
            destinations,
            clock,
            attempt: Uuid::new_v4().simple().to_string(),
            writer: Writer::default(),
            stored: HashMap::new(),
            last_collected: 0,
        };
        let fence = committer.go_on()?;
        // A process that never lives long collects all the same.
        committer.last_collected = committer.archive.floor()?;
        committer.stored = fence.pieces.iter().map(|p| (p.id, p.clone())).collect();
        let is_first = fence.state.scans.is_empty() && fence.published_through == 0;
        Ok((committer, (!is_first).then_some(fence)))
    }

    /// The epoch that the next commit will have.
    pub fn next_epoch(&self) -> u64 {
        match self.writer.step() {
            Step::Ready(last) => last.epoch + 1,
            _ => 0,
        }
    }

    /// The job's own id, for the names of files.
    pub fn job_id(&self) -> String {
        match self.writer.step() {
            Step::Ready(last) => last.job_id.clone(),
            _ => String::new(),
        }
    }

    pub fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Commits an epoch and makes its files visible.
    ///
    /// # Errors
    /// Another process has taken over, or a store fails: then nothing more may
    /// be committed by this one, and a new one goes on from what is.
    pub fn commit(&mut self, commit: Commit) -> Result<Committed, CheckpointError> {
        // Whatever fails in a process that slept while another took over, as what it
        // staged was cleared away: that is why it must stop.
        self.try_commit(commit).map_err(|error| self.overtaken().unwrap_or(error))
    }

    /// Another process's word that this one is not to go on.
    fn overtaken(&self) -> Option<CheckpointError> {
        let newest = self.archive.newest().ok().flatten()?;
        let job = self.identity.job.clone();
        (newest.attempt != self.attempt)
            .then(|| CheckpointError::Fenced { job, by: Some(newest.writer) })
    }

    fn try_commit(&mut self, commit: Commit) -> Result<Committed, CheckpointError> {
        let Step::Ready(last) = self.writer.step().clone() else {
            return Err(CheckpointError::Fenced { job: self.identity.job.clone(), by: None });
        };
        let epoch = last.epoch + 1;
        let pieces = self.store_pieces(epoch, commit.pieces)?;
        let files = self.stage(epoch, commit.files)?;
        let manifest = Manifest {
            epoch,
            attempt: self.attempt.clone(),
            writer: writer_name(),
            created_at_ms: self.clock.now_ms(),
            published_through: last.epoch,
            plan: self.identity.plan.clone(),
            state: commit.state,
            pieces,
            files,
            ..last
        };
        let committed = Committed {
            epoch,
            files: manifest.files.len() as u64,
            rows: manifest.files.iter().map(|f| f.rows).sum(),
            bytes: manifest.files.iter().map(|f| f.bytes).sum(),
        };
        self.writer.told(Told::Next(manifest));
        self.go_on()?;
        // Now and then: it means looking at all there is.
        if epoch > self.last_collected + self.identity.retained / 2 {
            self.collect(self.identity.retained)?;
        }
        Ok(committed)
    }

    /// Does what the protocol says until it has nothing more to say.
    fn go_on(&mut self) -> Result<Manifest, CheckpointError> {
        let mut pause = FIRST_PAUSE;
        let mut attempts = 0;
        let mut last_error = None;
        loop {
            let told = match self.writer.step().clone() {
                Step::FindNewest => Told::Newest(self.archive.newest()?),
                Step::Fence(newest) => Told::Fence(self.fence(newest)?),
                Step::Create(manifest) => {
                    attempts += 1;
                    if attempts > ATTEMPTS {
                        let path =
                            self.archive.folder.locate(&Manifest::file_name(manifest.epoch));
                        let unanswered = CheckpointError::Unanswered { path };
                        return Err(last_error.map_or(unanswered, CheckpointError::Store));
                    }
                    if attempts > 1 {
                        sleep(pause);
                        pause *= 2;
                    }
                    let name = Manifest::file_name(manifest.epoch);
                    let created = self.archive.folder.create(&name, &manifest.to_bytes());
                    last_error = created.err();
                    if let Some(error) = &last_error {
                        tracing::warn!(%error, "a checkpoint was created or not: it is read back");
                    }
                    Told::Sent
                }
                Step::Read(epoch) => Told::Found(self.archive.manifest(epoch)?),
                Step::ReadFloor => Told::Floor(self.archive.floor()?),
                Step::Publish(manifest, file) => {
                    self.publish(&manifest.files[file])?;
                    Told::Published
                }
                Step::Ready(manifest) => return Ok(manifest),
                Step::Stop(why) => return Err(self.stopped(why)),
            };
            self.writer.told(told);
        }
    }

    fn stopped(&self, why: Stopped) -> CheckpointError {
        let job = self.identity.job.clone();
        let newest = self.archive.newest().ok().flatten();
        let by = newest.filter(|m| m.attempt != self.attempt).map(|m| m.writer);
        match why {
            Stopped::Fenced => CheckpointError::Fenced { job, by },
            Stopped::Collected => CheckpointError::Collected { job },
        }
    }

    /// The empty epoch behind `newest`.
    fn fence(&self, newest: Option<Manifest>) -> Result<Manifest, CheckpointError> {
        let identity = &self.identity;
        let (attempt, writer) = (self.attempt.clone(), writer_name());
        let created_at_ms = self.clock.now_ms();
        let Some(newest) = newest else {
            return Ok(Manifest {
                job: identity.job.clone(),
                job_id: self.attempt[..8].to_owned(),
                epoch: self.archive.floor()? + 1,
                attempt,
                writer,
                created_at_ms,
                published_through: self.archive.floor()?,
                plan: identity.plan.clone(),
                state: identity.begins.clone(),
                pieces: Vec::new(),
                files: Vec::new(),
            });
        };
        let mut fence = Manifest {
            epoch: newest.epoch + 1,
            attempt,
            writer,
            created_at_ms,
            files: Vec::new(),
            ..newest
        };
        if (identity.fits)(&fence.plan, &identity.plan) {
            fence.plan.clone_from(&identity.plan);
        } else {
            if !identity.drop_state {
                return Err(CheckpointError::OtherPlan {
                    job: identity.job.clone(),
                    difference: difference(&fence.plan, &identity.plan),
                });
            }
            fence.plan.clone_from(&identity.plan);
            // Results are no state: their messages will not be read again.
            fence.pieces.retain(|piece| piece.of["of"] == "output");
            fence.state.fired.clear();
        }
        Ok(fence)
    }

    /// Writes the pieces that are new, all in one segment.
    fn store_pieces(
        &mut self,
        epoch: u64,
        pieces: Vec<Piece>,
    ) -> Result<Vec<StoredPiece>, CheckpointError> {
        let name = format!("{SEGMENTS}/{epoch:020}-{}", &self.attempt[..8]);
        let mut bytes = self.archive.folder.spool();
        let mut all = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let stored = match (piece.rows, self.stored.get(&piece.id)) {
                (_, Some(stored)) => StoredPiece { of: piece.of, ..stored.clone() },
                (Some(rows), None) => {
                    let from = bytes.len();
                    let (bytes, sha256) = segment::write(&rows, &mut bytes)
                        .map_err(|e| CheckpointError::Encode { reason: e.to_string() })?;
                    let (segment, rows) = (name.clone(), rows.rows() as u64);
                    let (id, of) = (piece.id, piece.of);
                    StoredPiece { id, of, segment, from, bytes, rows, sha256 }
                }
                (None, None) => unreachable!("a piece is stored when it is first named"),
            };
            all.push(stored);
        }
        if bytes.len() > 0 {
            self.put(vec![WholeFile { name, bytes }])?;
        }
        self.stored = all.iter().map(|piece| (piece.id, piece.clone())).collect();
        Ok(all)
    }

    fn put(&self, files: Vec<WholeFile>) -> Result<(), CheckpointError> {
        self.archive.folder.put(files).map_err(CheckpointError::Store)
    }

    fn stage(
        &self,
        epoch: u64,
        files: Vec<NewFile>,
    ) -> Result<Vec<OutputFile>, CheckpointError> {
        let mut all = Vec::with_capacity(files.len());
        let mut staged = Vec::with_capacity(files.len());
        for (number, new) in files.into_iter().enumerate() {
            let place = format!("{STAGED}/{}/{epoch}-{number}", self.attempt);
            let destination = &self.destinations[new.output];
            let location =
                destination.folder.as_ref().map(|(location, _)| location.to_string());
            all.push(OutputFile {
                table: destination.table.clone(),
                folder: location.unwrap_or_default(),
                staged: place.clone(),
                name: new.file.name,
                rows: new.rows,
                bytes: new.file.bytes.len(),
            });
            staged.push(WholeFile { name: place, bytes: new.file.bytes });
        }
        if !staged.is_empty() {
            self.put(staged)?;
        }
        Ok(all)
    }

    /// Makes a committed file visible, or sees that it is.
    fn publish(&self, file: &OutputFile) -> Result<(), CheckpointError> {
        let folder = self.folder_of(file)?;
        // A copy that fails may have been made after all, by this process or another.
        retried(|| match folder.size(&file.name)? {
            Some(_) => Ok(()),
            None => folder.copy(&self.archive.folder, &file.staged, &file.name),
        })?;
        match retried(|| folder.size(&file.name))? {
            Some(bytes) if bytes == file.bytes => Ok(()),
            found => Err(CheckpointError::OtherContent {
                path: folder.locate(&file.name),
                found: found.unwrap_or(0),
                expected: file.bytes,
            }),
        }
    }

    /// Where the file belongs: not always where the query writes now.
    fn folder_of(&self, file: &OutputFile) -> Result<Folder, CheckpointError> {
        let mut folders = self.destinations.iter().filter_map(|d| d.folder.as_ref());
        match folders.find(|(location, _)| location.to_string() == file.folder) {
            Some((_, folder)) => Ok(folder.clone()),
            None => {
                let location = parse_location(&file.folder);
                let location = location
                    .map_err(|fault| self.archive.damaged(&file.folder, &fault.message))?;
                Folder::open(&location).map_err(CheckpointError::Store)
            }
        }
    }

    /// Commits an epoch that is like an earlier one, but comes after all: the
    /// job goes on from there.
    ///
    /// # Errors
    /// Those of [`commit`](Self::commit), and an epoch that is not kept.
    pub fn restore(&mut self, epoch: u64) -> Result<Committed, CheckpointError> {
        let manifest = self.archive.manifest(epoch)?;
        let manifest = manifest.ok_or(CheckpointError::NoEpoch { epoch })?;
        self.archive.verify(&manifest.pieces)?;
        self.identity.plan.clone_from(&manifest.plan);
        let old = manifest.pieces.into_iter();
        self.stored = old.clone().map(|piece| (piece.id, piece)).collect();
        let pieces = old.map(|p| Piece { id: p.id, of: p.of, rows: None }).collect();
        self.commit(Commit { state: manifest.state, pieces, files: Vec::new() })
    }

    /// Deletes what no epoch is there for, of all but the newest `keep` epochs.
    ///
    /// # Errors
    /// A store that fails.
    pub fn collect(&mut self, keep: u64) -> Result<Collected, CheckpointError> {
        let mut collected = Collected::default();
        let Step::Ready(newest) = self.writer.step() else { return Ok(collected) };
        let newest = newest.epoch;
        let Some(through) = self.writer.may_collect_through() else { return Ok(collected) };
        self.last_collected = newest;
        let mut epochs = self.archive.epochs()?;
        epochs.sort_unstable();
        let old = |e: &&u64| **e < through && **e + keep <= newest;
        let floor = epochs.iter().rev().find(old).copied().unwrap_or(0);
        if floor <= self.archive.floor()? {
            return Ok(collected);
        }
        // First the floor: what is deleted below it can do no harm any more.
        let name = format!("{FLOORS}/{floor:020}");
        if let Err(error) = self.archive.folder.create(&name, b"") {
            tracing::debug!(%error, "created or not, it is read back");
        }
        if self.archive.floor()? < floor {
            return Ok(collected);
        }
        let mut needed = BTreeSet::new();
        for kept in epochs.iter().filter(|e| **e > floor) {
            let manifest = self.archive.manifest(*kept)?;
            needed.extend(
                manifest.iter().flat_map(|m| m.pieces.iter().map(|p| p.segment.clone())),
            );
        }
        for old in epochs.iter().filter(|e| **e <= floor) {
            retried(|| self.archive.folder.delete(&Manifest::file_name(*old)))?;
            collected.epochs += 1;
        }
        self.collect_segments(floor, &needed, &mut collected)?;
        self.collect_staged(floor, &mut collected)?;
        for old in retried(|| self.archive.folder.list(FLOORS))? {
            if old.parse::<u64>().is_ok_and(|old| old < floor) {
                retried(|| self.archive.folder.delete(&format!("{FLOORS}/{old}")))?;
            }
        }
        Ok(collected)
    }

    fn collect_segments(
        &self,
        floor: u64,
        needed: &BTreeSet<String>,
        collected: &mut Collected,
    ) -> Result<(), CheckpointError> {
        for segment in retried(|| self.archive.folder.list(SEGMENTS))? {
            let name = format!("{SEGMENTS}/{segment}");
            if is_of_epoch_through(&segment, floor) && !needed.contains(&name) {
                retried(|| self.archive.folder.delete(&name))?;
                collected.segments += 1;
            }
        }
        Ok(())
    }

    /// Staged files of epochs below the floor: published long ago, or never
    /// committed and never going to be.
    fn collect_staged(
        &self,
        floor: u64,
        collected: &mut Collected,
    ) -> Result<(), CheckpointError> {
        for attempt in retried(|| self.archive.folder.folders(STAGED))? {
            let folder = format!("{STAGED}/{attempt}");
            for file in retried(|| self.archive.folder.list(&folder))? {
                if is_of_epoch_through(&file, floor) {
                    retried(|| self.archive.folder.delete(&format!("{folder}/{file}")))?;
                    collected.staged += 1;
                }
            }
            if attempt != self.attempt {
                retried(|| self.archive.folder.delete_empty(&folder))?;
            }
        }
        Ok(())
    }
}

/// Whether a name that begins with an epoch and `-` is of one up to `floor`.
fn is_of_epoch_through(name: &str, floor: u64) -> bool {
    name.split('-')
        .next()
        .and_then(|epoch| epoch.parse::<u64>().ok())
        .is_some_and(|e| e <= floor)
}

fn writer_name() -> String {
    let host = std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let host = host.or_else(|| std::fs::read_to_string("/proc/sys/kernel/hostname").ok());
    let host = host.unwrap_or_default();
    format!("process {} on {}", std::process::id(), host.trim())
}

/// The lines that differ: `-` as it was run, `+` as it is now.
fn difference(before: &[String], now: &[String]) -> String {
    let lost =
        before.iter().filter(|line| !now.contains(line)).map(|line| format!("  - {line}"));
    let new =
        now.iter().filter(|line| !before.contains(line)).map(|line| format!("  + {line}"));
    lost.chain(new).collect::<Vec<_>>().join("\n")
}
