//! Places files on the local disk.
//!
//! A file is copied to a hidden name in the table's folder, synced, renamed to
//! its final name, and the folders are synced. The hidden name exists only
//! while that copy runs, and it is locked: what a crash left there is known by
//! having no lock, and the next run removes it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::destination::{Destination, WholeFile};
use super::spool::{self, STAGED_SUFFIX};
use crate::sinks::SinkError;

/// Most of placing a small file is waiting for the disk to sync it.
const MAX_CONCURRENT_FILES: usize = 4;
/// How often a staged file may be taken for one left by a crash.
const MAX_STAGE_ATTEMPTS: usize = 3;

#[derive(Debug)]
pub(super) struct LocalFolder {
    root: PathBuf,
}

impl LocalFolder {
    /// Creates the folder, and fails when files cannot be made in it.
    pub fn open(path: &Path) -> Result<Self, SinkError> {
        let at = |path: &Path| {
            let path = path.display().to_string();
            |source| SinkError::Io { path, source }
        };
        let root = std::path::absolute(path).map_err(at(path))?;
        fs::create_dir_all(&root).map_err(at(&root))?;
        remove_leftovers(&root).map_err(at(&root))?;
        spool::nameless_file(&root).map_err(at(&root))?;
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    fn place_one(&self, file: WholeFile) -> Result<PathBuf, SinkError> {
        let path = self.root.join(&file.name);
        let placed = self.stage(file).and_then(|staged| staged.rename_to(&path));
        placed.map_err(|source| SinkError::Io { path: path.display().to_string(), source })?;
        Ok(path)
    }

    fn stage(&self, file: WholeFile) -> io::Result<Staged> {
        let name = file.name.rsplit('/').next().expect("a split has a last part");
        let mut staged = Staged::create(self.root.join(format!(".{name}{STAGED_SUFFIX}")))?;
        file.bytes.copy_to(&mut staged.file)?;
        staged.file.sync_all()?;
        Ok(staged)
    }

    /// Syncs the folders of `files`, up to and including the table's own.
    fn sync_folders(&self, files: &[PathBuf]) -> Result<(), SinkError> {
        let mut folders = BTreeSet::new();
        for file in files {
            let inside = |folder: &&Path| folder.starts_with(&self.root);
            folders.extend(file.ancestors().skip(1).take_while(inside));
        }
        for folder in folders {
            let synced = File::open(folder).and_then(|folder| folder.sync_all());
            synced.map_err(|source| {
                let path = folder.display().to_string();
                SinkError::Io { path, source }
            })?;
        }
        Ok(())
    }
}

impl Destination for LocalFolder {
    fn place(&self, files: Vec<WholeFile>) -> Result<(), SinkError> {
        let workers = files.len().min(MAX_CONCURRENT_FILES);
        let queue = Mutex::new(files.into_iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut placed = Vec::new();
            while let Some(file) = next() {
                placed.push(self.place_one(file).inspect_err(|_| while next().is_some() {})?);
            }
            Ok(placed)
        };
        let results: Vec<Result<Vec<PathBuf>, SinkError>> = thread::scope(|scope| {
            let started: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            started.into_iter().map(|w| w.join().expect("placing does not panic")).collect()
        });
        for placed in results {
            self.sync_folders(&placed?)?;
        }
        Ok(())
    }

    fn locate(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }
}

/// A file under its hidden name, removed when dropped before it is renamed.
struct Staged {
    path: PathBuf,
    file: File,
    renamed: bool,
}

impl Staged {
    fn create(path: PathBuf) -> io::Result<Self> {
        for _ in 0..MAX_STAGE_ATTEMPTS {
            let file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            let staged = Self { path: path.clone(), file, renamed: false };
            staged.file.lock()?;
            // Between creation and lock another run's cleaning may have seen it.
            if path.try_exists()? {
                return Ok(staged);
            }
        }
        Err(io::Error::other("another process keeps removing the file being written"))
    }

    fn rename_to(mut self, path: &Path) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::rename(&self.path, path)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.renamed {
            // Nothing can be done about a failure; the next run tries again.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes what a crash left under hidden names of ours.
fn remove_leftovers(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours =
            name.to_str().is_some_and(|n| n.starts_with('.') && n.ends_with(STAGED_SUFFIX));
        if is_ours {
            allow_missing(remove_unlocked(&entry.path()))?;
        }
    }
    Ok(())
}

fn remove_unlocked(path: &Path) -> io::Result<()> {
    match File::open(path)?.try_lock() {
        Ok(()) => fs::remove_file(path),
        Err(TryLockError::WouldBlock) => Ok(()),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn allow_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::spool::Spool;
    use super::*;

    fn whole(folder: &LocalFolder, name: &str, bytes: &[u8]) -> WholeFile {
        let mut spool = Spool::new(folder.root().into());
        spool.write_all(bytes).expect("space");
        WholeFile { name: name.to_owned(), bytes: spool }
    }

    #[test]
    fn placing_leaves_the_files_and_nothing_else() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let folder = LocalFolder::open(&temp.path().join("new/table")).expect("opens");
        let large = vec![7; 3 << 20];
        let files = vec![whole(&folder, "a=1/b=2/x", b"small"), whole(&folder, "y", &large)];
        folder.place(files).expect("placed");
        assert_eq!(fs::read(folder.root().join("a=1/b=2/x")).expect("there"), b"small");
        assert!(fs::read(folder.root().join("y")).expect("there") == large);
        assert_eq!(fs::read_dir(folder.root()).expect("readable").count(), 2);
    }

    #[test]
    fn a_failure_leaves_nothing_hidden() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let folder = LocalFolder::open(temp.path()).expect("opens");
        fs::write(temp.path().join("a=1"), "in the way").expect("written");
        let error = folder.place(vec![whole(&folder, "a=1/x", b"bytes")]).expect_err("fails");
        assert!(error.to_string().contains("a=1/x"), "{error}");
        assert_eq!(fs::read_dir(temp.path()).expect("readable").count(), 1);
    }

    #[test]
    fn leftovers_of_a_crash_are_removed_and_live_files_are_not() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let [left, live, other] =
            [".x.turnstile", ".y.turnstile", ".z.parquet"].map(|name| temp.path().join(name));
        fs::write(&left, "half a file").expect("written");
        fs::write(&other, "not ours").expect("written");
        let _live = Staged::create(live.clone()).expect("created");
        LocalFolder::open(temp.path()).expect("opens");
        assert!(!left.exists() && live.exists() && other.exists());
    }

    #[test]
    fn a_file_in_place_of_the_folder_is_refused_early() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let path = temp.path().join("table");
        fs::write(&path, "").expect("written");
        let error = LocalFolder::open(&path).expect_err("fails");
        assert!(error.to_string().contains("table"), "{error}");
    }
}
