//! What a job has committed, for reading.

use std::thread::sleep;
use std::time::Duration;

use arrow::array::RecordBatch;

use super::manifest::{Manifest, StoredPiece};
use super::{CheckpointError, FLOORS, MANIFESTS, segment};
use crate::store::{Folder, StoreError};

/// How often a request that fails is made again, and the first pause in between.
pub(super) const ATTEMPTS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Pieces of a segment are read together up to so many bytes.
const BYTES_AT_ONCE: u64 = 32 << 20;

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

    /// Reads stored pieces, those of a segment after each other, and hands each
    /// over with its place among `pieces`.
    ///
    /// # Errors
    /// A segment that is missing or damaged, and those of `take`.
    pub fn read<E: From<CheckpointError>>(
        &self,
        pieces: &[StoredPiece],
        mut take: impl FnMut(usize, RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut order: Vec<usize> = (0..pieces.len()).collect();
        order.sort_by_key(|at| (&pieces[*at].segment, pieces[*at].from));
        let mut rest = order.as_slice();
        while let [first, ..] = rest {
            let first = &pieces[*first];
            let is_near = |at: &&usize| {
                let piece = &pieces[**at];
                piece.segment == first.segment
                    && (piece.from == first.from
                        || piece.from.saturating_add(piece.bytes) - first.from <= BYTES_AT_ONCE)
            };
            let near = rest.iter().take_while(is_near).count();
            let (now, later) = rest.split_at(near);
            rest = later;
            let ends = now.iter().map(|at| pieces[*at].from.saturating_add(pieces[*at].bytes));
            let len = ends.max().unwrap_or_default() - first.from;
            let name = &first.segment;
            let bytes = retried(|| self.folder.read_range(name, first.from, len))?;
            let bytes = bytes.ok_or_else(|| self.damaged(name, "it is missing"))?;
            for at in now {
                let piece = &pieces[*at];
                let from = usize::try_from(piece.from - first.from).ok();
                let own = from.zip(usize::try_from(piece.bytes).ok());
                let own = own.and_then(|(from, len)| bytes.get(from..from.checked_add(len)?));
                let rows = segment::decode(piece, own);
                take(*at, rows.map_err(|reason| self.damaged(name, &reason))?)?;
            }
        }
        Ok(())
    }

    /// Sees that stored pieces are whole.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn verify(&self, pieces: &[StoredPiece]) -> Result<(), CheckpointError> {
        self.read(pieces, |_, _| Ok(()))
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
            Err(error) => tracing::warn!(%error, "the store is asked again"),
        }
        sleep(pause);
        pause *= 2;
    }
    ask().map_err(CheckpointError::Store)
}
