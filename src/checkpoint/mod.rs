//! Exactly once: what a job commits, and how.
//!
//! A job's state is a folder of its own, never in a lake:
//!
//! | name | holds |
//! |---|---|
//! | `ckpt/<epoch>` | a [`Manifest`]: the only commit |
//! | `seg/<epoch>-<attempt>` | pieces of state, written once and named by manifests |
//! | `staged/<attempt>/…` | files that their manifest makes visible |
//! | `floor/<epoch>` | no epoch up to this one is to be believed in |

mod archive;
mod committer;
pub(crate) mod manifest;
mod protocol;
pub(crate) mod segment;

pub use archive::Archive;
pub use committer::{
    Collected, Commit, Committed, Committer, Destination, Identity, NewFile, Piece, RETAINED,
};
pub use manifest::{Counters, JobState, Manifest, PieceId, ScanState, SplitState, StoredPiece};

pub use segment::{KeptRows, PieceRows};

use crate::store::StoreError;

const MANIFESTS: &str = "ckpt";
const SEGMENTS: &str = "seg";
const STAGED: &str = "staged";
const FLOORS: &str = "floor";

/// Why a job cannot commit, or not be gone on with.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("{0}")]
    Store(StoreError),
    #[error("{path}: the store does not say whether it was created")]
    Unanswered { path: String },
    #[error("{path}: {reason}")]
    Damaged { path: String, reason: String },
    #[error("state cannot be written: {reason}")]
    Encode { reason: String },
    #[error(
        "job `{job}` has been taken over{}; this process has stopped and written nothing more",
        .by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default()
    )]
    Fenced { job: String, by: Option<String> },
    #[error("job `{job}` has gone on without this process, which has stopped")]
    Collected { job: String },
    #[error("the query of job `{job}` is not the one that its state is of:\n{difference}")]
    OtherPlan { job: String, difference: String },
    #[error("{path} has {found} bytes where the checkpoint wrote {expected}")]
    OtherContent { path: String, found: u64, expected: u64 },
    #[error("there is no checkpoint of epoch {epoch}")]
    NoEpoch { epoch: u64 },
}
