//! The commit protocol: what one process does next, given what the store has
//! told it. Pure, so that a model can drive it through every order of events.
//!
//! ```text
//! find newest ─> create a fence ─> read back ─> read the floor ─> publish what
//!     ^               │ another's                   │ passed      was left ─> ready
//!     └───────────────┘                             └> stop          ^
//!                                            ready ─> create ─> read back ─> floor
//! ```
//!
//! A manifest is the only commit. It is created under its epoch's name if there
//! is none yet, and whatever the store answers is not believed but read back: a
//! lost answer, a request that lands late and a rival's manifest are told apart
//! by what is there. A new process creates an empty epoch, the fence, before it
//! reads a message, so that the next commit of an older process fails. Files
//! become visible after the commit, each by itself and under a name that the
//! manifest fixes, and any process may finish that.
//!
//! Garbage is collected below a floor that is raised first. A sleeper whose
//! create succeeds only because the manifest it lost against is collected sees
//! the floor above it, and stops before it publishes.

/// What the protocol needs of a manifest.
pub trait Manifest: Clone {
    fn epoch(&self) -> u64;
    /// Every file of this epoch and those before it is visible.
    fn published_through(&self) -> u64;
    /// How many files the epoch makes visible.
    fn files(&self) -> usize;
    /// True if both are one attempt of one process, byte for byte.
    fn is_same_write(&self, other: &Self) -> bool;
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Step<M> {
    /// Read the floor, and the newest manifest above it.
    FindNewest,
    /// Make the fence that follows this manifest, or the first of all.
    Fence(Option<M>),
    /// Create it unless its epoch has a manifest; the answer does not matter.
    Create(M),
    /// Read the manifest of an epoch.
    Read(u64),
    ReadFloor,
    /// Make the file visible, or see that it is.
    Publish(M, usize),
    /// Everything is committed and visible up to this manifest.
    Ready(M),
    Stop(Stopped),
}

/// Why a process must not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stopped {
    /// Another process of the same job has taken over.
    Fenced,
    /// It slept for so long that its epochs have been collected.
    Collected,
}

/// What was found out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told<M> {
    Newest(Option<M>),
    Fence(M),
    Sent,
    Found(Option<M>),
    Floor(u64),
    Published,
    /// More is to be committed.
    Next(M),
}

/// One process's part in the protocol.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Writer<M> {
    step: Step<M>,
    doing: Doing<M>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Doing<M> {
    Starting,
    Committing {
        manifest: M,
        is_fence: bool,
    },
    /// Behind a fence, up to this epoch; the fence itself has no files.
    RollingForward {
        fence: M,
        epoch: u64,
    },
    Publishing {
        manifest: M,
    },
}

impl<M: Manifest> Default for Writer<M> {
    fn default() -> Self {
        Self { step: Step::FindNewest, doing: Doing::Starting }
    }
}

impl<M: Manifest> Writer<M> {
    pub fn step(&self) -> &Step<M> {
        &self.step
    }

    /// Up to which epoch manifests may be collected now.
    pub fn may_collect_through(&self) -> Option<u64> {
        match &self.step {
            Step::Ready(manifest) => Some(manifest.published_through()),
            _ => None,
        }
    }

    /// Goes on with what the step brought.
    ///
    /// # Panics
    /// If that is no answer to the step.
    pub fn told(&mut self, told: Told<M>) {
        let step = std::mem::replace(&mut self.step, Step::FindNewest);
        self.step = match (step, told) {
            (Step::FindNewest, Told::Newest(newest)) => Step::Fence(newest),
            (Step::Fence(_), Told::Fence(manifest)) => self.commit(manifest, true),
            (Step::Ready(last), Told::Next(manifest)) => {
                assert_eq!(manifest.epoch(), last.epoch() + 1, "epochs follow each other");
                self.commit(manifest, false)
            }
            (Step::Create(manifest), Told::Sent) => Step::Read(manifest.epoch()),
            (Step::Read(epoch), Told::Found(found)) => self.found(epoch, found),
            (Step::ReadFloor, Told::Floor(floor)) => self.above(floor),
            (Step::Publish(manifest, file), Told::Published) => {
                self.publish(manifest, file + 1)
            }
            (Step::Stop(why), _) => Step::Stop(why),
            _ => panic!("told something else than what was asked"),
        };
    }

    fn commit(&mut self, manifest: M, is_fence: bool) -> Step<M> {
        self.doing = Doing::Committing { manifest: manifest.clone(), is_fence };
        Step::Create(manifest)
    }

    fn found(&mut self, epoch: u64, found: Option<M>) -> Step<M> {
        match &self.doing {
            Doing::Committing { manifest, is_fence } => match found {
                // Never built anew: the first may still land.
                None => Step::Create(manifest.clone()),
                Some(found) if found.is_same_write(manifest) => Step::ReadFloor,
                Some(_) if *is_fence => {
                    self.doing = Doing::Starting;
                    Step::FindNewest
                }
                Some(_) => Step::Stop(Stopped::Fenced),
            },
            Doing::RollingForward { .. } => match found {
                Some(manifest) => self.publish(manifest, 0),
                // Whoever collected it has published it, and fenced us.
                None => Step::Stop(Stopped::Fenced),
            },
            Doing::Starting | Doing::Publishing { .. } => {
                panic!("epoch {epoch} was not asked for")
            }
        }
    }

    fn above(&mut self, floor: u64) -> Step<M> {
        let Doing::Committing { manifest, is_fence } = &self.doing else {
            panic!("the floor was not asked for")
        };
        if floor >= manifest.epoch() {
            return Step::Stop(Stopped::Collected);
        }
        let manifest = manifest.clone();
        if *is_fence {
            let epoch = manifest.published_through();
            self.doing = Doing::RollingForward { fence: manifest, epoch };
            self.roll_forward()
        } else {
            self.doing = Doing::Publishing { manifest: manifest.clone() };
            self.publish(manifest, 0)
        }
    }

    /// The first file from `file` on, or what follows the last.
    fn publish(&mut self, manifest: M, file: usize) -> Step<M> {
        if file < manifest.files() {
            return Step::Publish(manifest, file);
        }
        match &self.doing {
            Doing::RollingForward { .. } => self.roll_forward(),
            _ => Step::Ready(manifest),
        }
    }

    fn roll_forward(&mut self) -> Step<M> {
        let Doing::RollingForward { fence, epoch } = &mut self.doing else {
            panic!("nothing is rolled forward")
        };
        *epoch += 1;
        if *epoch < fence.epoch() { Step::Read(*epoch) } else { Step::Ready(fence.clone()) }
    }
}

#[cfg(test)]
mod model;
