//! Where whole files are placed.

use super::spool::Spool;
use crate::sinks::SinkError;

/// A folder of a store.
///
/// # Contract
/// - A file appears under its final name with all its bytes, or not at all.
/// - When `place` returns, its files survive a loss of power, as far as the
///   store can promise.
/// - When `place` fails, some files may have been placed; of the others nothing
///   is left that a reader could take for data.
pub(super) trait Destination: Send {
    fn place(&self, files: Vec<WholeFile>) -> Result<(), SinkError>;

    /// A file's place, for messages.
    fn locate(&self, name: &str) -> String;
}

/// A file that is complete and not visible yet.
#[derive(Debug)]
pub(super) struct WholeFile {
    /// Relative to the table's folder, with `/` between the parts.
    pub name: String,
    pub bytes: Spool,
}
