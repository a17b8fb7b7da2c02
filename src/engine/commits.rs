//! Makes what was cut last: with a state, by the commit protocol on a thread of
//! its own, so that a slow store holds nobody up; without one, by putting the
//! files where they belong.

use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};

use super::error::EngineError;
use super::profile::{Meter, Profile, Step};
use crate::checkpoint::{
    Archive, CheckpointError, Commit, Committed, Committer, Destination, Identity, Manifest,
};
use crate::clock::Clock;
use crate::store::{Folder, Location};

/// Where a job's state is kept.
#[derive(Debug, Clone)]
pub struct StateOptions {
    pub location: Location,
    pub identity: Identity,
}

pub enum Commits {
    /// Nothing outlives the process.
    Direct {
        run_id: String,
        destinations: Vec<Destination>,
        cuts: u64,
        done: Option<Committed>,
    },
    Durable(Durable),
}

pub struct Durable {
    job_id: String,
    next_epoch: u64,
    commits: Option<Sender<Commit>>,
    answers: Receiver<Result<Committed, CheckpointError>>,
    busy: bool,
    thread: Option<JoinHandle<()>>,
}

/// What an earlier process left.
pub struct Recovered {
    pub manifest: Manifest,
    /// Where the rows of the manifest's pieces are.
    pub archive: Archive,
}

impl Commits {
    /// Takes over the job's state, if it has one.
    pub fn open(
        state: Option<&StateOptions>,
        run_id: &str,
        destinations: Vec<Destination>,
        clock: &Arc<dyn Clock>,
        profile: &Arc<Profile>,
    ) -> Result<(Self, Option<Recovered>), EngineError> {
        let Some(state) = state else {
            let run_id = run_id.to_owned();
            return Ok((Commits::Direct { run_id, destinations, cuts: 0, done: None }, None));
        };
        let folder = Folder::open(&state.location).map_err(CheckpointError::Store)?;
        let (mut committer, recovered) = Committer::take_over(
            folder,
            state.identity.clone(),
            destinations,
            Arc::clone(clock),
        )?;
        let archive = committer.archive().clone();
        let recovered = recovered.map(|manifest| Recovered { manifest, archive });
        let (job_id, next_epoch) = (committer.job_id(), committer.next_epoch());
        let (commits, to_commit) = bounded::<Commit>(1);
        let (told, answers) = bounded(1);
        let profile = Arc::clone(profile);
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || {
                let mut meter = Meter::start(profile);
                for commit in to_commit {
                    let answer = committer.commit(commit);
                    meter.lap(Step::Checkpoint);
                    let failed = answer.is_err();
                    if told.send(answer).is_err() || failed {
                        return;
                    }
                }
            })
            .map_err(|e| EngineError::Worker(e.to_string()))?;
        let durable = Durable {
            job_id,
            next_epoch,
            commits: Some(commits),
            answers,
            busy: false,
            thread: Some(thread),
        };
        Ok((Commits::Durable(durable), recovered))
    }

    /// The epoch that is cut next; `None` where no state is kept.
    pub fn epoch(&self) -> Option<u64> {
        match self {
            Commits::Direct { .. } => None,
            Commits::Durable(durable) => Some(durable.next_epoch),
        }
    }

    /// What the files of the next cut have in their names.
    pub fn label(&self) -> String {
        match self {
            Commits::Direct { run_id, cuts, .. } => format!("{run_id}-{cuts}"),
            Commits::Durable(durable) => format!("{}-e{}", durable.job_id, durable.next_epoch),
        }
    }

    /// True while a commit is under way.
    pub fn is_busy(&self) -> bool {
        match self {
            Commits::Direct { done, .. } => done.is_some(),
            Commits::Durable(durable) => durable.busy,
        }
    }

    /// Commits; [`poll`](Self::poll) tells when it is done.
    pub fn begin(&mut self, commit: Commit) -> Result<(), EngineError> {
        match self {
            Commits::Direct { destinations, cuts, done, .. } => {
                *cuts += 1;
                *done = Some(put(destinations, commit, *cuts)?);
            }
            Commits::Durable(durable) => {
                durable.next_epoch += 1;
                durable.busy = true;
                if let Some(commits) = &durable.commits {
                    // One that is gone has said why.
                    let _ = commits.send(commit);
                }
            }
        }
        Ok(())
    }

    /// What has been committed since it was last asked.
    pub fn poll(&mut self) -> Result<Option<Committed>, EngineError> {
        match self {
            Commits::Direct { done, .. } => Ok(done.take()),
            Commits::Durable(durable) => match durable.answers.try_recv() {
                Ok(answer) => {
                    durable.busy = false;
                    Ok(Some(answer?))
                }
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Disconnected) => {
                    Err(EngineError::Worker("the committer ended".to_owned()))
                }
            },
        }
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.commits = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Puts the files where they belong.
fn put(
    destinations: &[Destination],
    commit: Commit,
    epoch: u64,
) -> Result<Committed, EngineError> {
    let mut committed = Committed { epoch, ..Committed::default() };
    let mut by_output: Vec<Vec<_>> = destinations.iter().map(|_| Vec::new()).collect();
    for new in commit.files {
        committed.files += 1;
        committed.rows += new.rows;
        committed.bytes += new.file.bytes.len();
        by_output[new.output].push(new.file);
    }
    for (destination, files) in destinations.iter().zip(by_output) {
        if let Some((_, folder)) = &destination.folder
            && !files.is_empty()
        {
            folder.put(files).map_err(CheckpointError::Store)?;
        }
    }
    Ok(committed)
}
