//! What a job has committed, for reading.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::Duration;

use arrow::array::RecordBatch;

use super::manifest::{Manifest, StoredPiece};
use super::{CheckpointError, FLOORS, MANIFESTS, segment};
use crate::store::{Folder, StoreError};

/// How often a request that fails is made again, and the first pause in between.
const ATTEMPTS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// The folder of a job's state.
#[derive(Debug, Clone)]
pub struct Archive {
    pub(super) folder: Folder,
}

impl Archive {
    pub fn new(folder: Folder) -> Self {
        Self { folder }
    }

    /// No epoch up to this one is to be believed in.
    pub fn floor(&self) -> Result<u64, CheckpointError> {
        let floors = retried(|| self.folder.list(FLOORS))?;
        Ok(floors.iter().filter_map(|name| name.parse().ok()).max().unwrap_or(0))
    }

    /// Every epoch there is a manifest of, sorted.
    pub fn epochs(&self) -> Result<Vec<u64>, CheckpointError> {
        let names = retried(|| self.folder.list(MANIFESTS))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The last commit.
    pub fn newest(&self) -> Result<Option<Manifest>, CheckpointError> {
        loop {
            let floor = self.floor()?;
            let newest = self.epochs()?.into_iter().filter(|epoch| *epoch > floor).max();
            let Some(epoch) = newest else { return Ok(None) };
            // Gone in between, it has been collected: there is a newer one.
            if let Some(manifest) = self.manifest(epoch)? {
                return Ok(Some(manifest));
            }
        }
    }

    pub fn manifest(&self, epoch: u64) -> Result<Option<Manifest>, CheckpointError> {
        let name = Manifest::file_name(epoch);
        let Some(bytes) = retried(|| self.folder.read(&name))? else { return Ok(None) };
        let manifest = Manifest::from_bytes(&bytes);
        manifest.map(Some).map_err(|reason| self.damaged(&name, &reason))
    }

    /// The rows of a stored piece.
    ///
    /// # Errors
    /// A segment that is missing or damaged.
    pub fn read(&self, pieces: &[StoredPiece]) -> Result<Vec<RecordBatch>, CheckpointError> {
        let mut segments: HashMap<&str, Vec<u8>> = HashMap::new();
        let mut rows = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let name = piece.segment.as_str();
            if !segments.contains_key(name) {
                let bytes = retried(|| self.folder.read(name))?;
                let bytes = bytes.ok_or_else(|| self.damaged(name, "it is missing"))?;
                segments.insert(name, bytes);
            }
            let read = segment::decode(piece, &segments[name]);
            rows.push(read.map_err(|reason| self.damaged(name, &reason))?);
        }
        Ok(rows)
    }

    pub(super) fn damaged(&self, name: &str, reason: &str) -> CheckpointError {
        CheckpointError::Damaged { path: self.folder.locate(name), reason: reason.to_owned() }
    }
}

/// Asks again for a while.
pub(super) fn retried<T>(
    ask: impl Fn() -> Result<T, StoreError>,
) -> Result<T, CheckpointError> {
    let mut pause = FIRST_PAUSE;
    for _ in 1..ATTEMPTS {
        match ask() {
            Ok(answer) => return Ok(answer),
            Err(error) => tracing::debug!(%error, "asking again"),
        }
        sleep(pause);
        pause *= 2;
    }
    ask().map_err(CheckpointError::Store)
}
