//! Files on the local disk.
//!
//! A file is written without a name, synced, and linked to its name; then its
//! folder is synced. So not even a crash in between leaves anything. Where a
//! file cannot be without a name, it has a hidden one for that time, the same
//! for every attempt at the same file, so that the next attempt clears it away.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::spool::{self, STAGED_SUFFIX};
use super::{StoreError, StoreFault, WholeFile, nameless};

/// Most of writing a small file is waiting for the disk to sync it.
const MAX_CONCURRENT_FILES: usize = 4;

#[derive(Debug)]
pub(super) struct LocalFolder {
    root: PathBuf,
}

impl LocalFolder {
    /// Creates the folder, and fails when files cannot be made in it.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(path).map_err(at(path))?;
        fs::create_dir_all(&root).map_err(at(&root))?;
        spool::nameless_file(&root).map_err(at(&root))?;
        Ok(Self { root })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn locate(&self, name: &str) -> String {
        self.root.join(name).display().to_string()
    }

    pub fn put(&self, files: Vec<WholeFile>) -> Result<(), StoreError> {
        let workers = files.len().min(MAX_CONCURRENT_FILES);
        let queue = Mutex::new(files.into_iter());
        let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        let work = || {
            let mut placed = Vec::new();
            while let Some(file) = next() {
                let path = self.root.join(&file.name);
                let put = write_whole(&path, true, |to| file.bytes.copy_to(to));
                put.map_err(at(&path)).inspect_err(|_| while next().is_some() {})?;
                placed.push(path);
            }
            Ok(placed)
        };
        let results: Vec<Result<Vec<PathBuf>, StoreError>> = thread::scope(|scope| {
            let started: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
            started.into_iter().map(|w| w.join().expect("writing does not panic")).collect()
        });
        for placed in results {
            self.sync_folders(&placed?)?;
        }
        Ok(())
    }

    pub fn create(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let path = self.root.join(name);
        write_whole(&path, false, |to| to.write_all(bytes)).map_err(at(&path))?;
        self.sync_folders(&[path])
    }

    /// Gives a file of another folder a second name here; a copy of it where
    /// that cannot be.
    pub fn link(&self, other: &LocalFolder, from: &str, name: &str) -> Result<(), StoreError> {
        let (from, path) = (other.root.join(from), self.root.join(name));
        let linked = make_parent(&path).and_then(|()| fs::hard_link(&from, &path));
        let placed = match linked {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            // Another disk, or one that has no links.
            Err(_) => File::open(&from).and_then(|mut from| {
                write_whole(&path, false, |to| io::copy(&mut from, to).map(|_| ()))
            }),
            Ok(()) => Ok(()),
        };
        placed.map_err(at(&path))?;
        self.sync_folders(&[path])
    }

    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.root.join(name);
        absent(fs::read(&path)).map_err(at(&path))
    }

    pub fn read_range(
        &self,
        name: &str,
        from: u64,
        len: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.root.join(name);
        let read = || {
            let Some(mut file) = absent(File::open(&path))? else { return Ok(None) };
            file.seek(SeekFrom::Start(from))?;
            let mut bytes = Vec::new();
            file.take(len).read_to_end(&mut bytes)?;
            Ok(Some(bytes))
        };
        read().map_err(at(&path))
    }

    pub fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let path = self.root.join(name);
        Ok(absent(fs::metadata(&path)).map_err(at(&path))?.map(|file| file.len()))
    }

    pub fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let path = self.root.join(folder);
        let mut names = Vec::new();
        let Some(entries) = absent(fs::read_dir(&path)).map_err(at(&path))? else {
            return Ok(names);
        };
        for entry in entries {
            let entry = entry.map_err(at(&path))?;
            let is_file = entry.file_type().map_err(at(&path))?.is_file();
            if let Ok(name) = entry.file_name().into_string()
                && is_file
                && !name.starts_with('.')
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    pub fn folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let path = self.root.join(folder);
        let Some(entries) = absent(fs::read_dir(&path)).map_err(at(&path))? else {
            return Ok(Vec::new());
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at(&path))?;
            if entry.file_type().map_err(at(&path))?.is_dir()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        Ok(names)
    }

    pub fn delete_empty(&self, folder: &str) -> Result<(), StoreError> {
        let path = self.root.join(folder);
        match fs::remove_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            done => absent(done).map(|_| ()).map_err(at(&path)),
        }
    }

    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        let path = self.root.join(name);
        absent(fs::remove_file(&path)).map(|_| ()).map_err(at(&path))
    }

    /// Syncs the folders of `files`, up to and including this one.
    fn sync_folders(&self, files: &[PathBuf]) -> Result<(), StoreError> {
        let mut folders = BTreeSet::new();
        for file in files {
            let inside = |folder: &&Path| folder.starts_with(&self.root);
            folders.extend(file.ancestors().skip(1).take_while(inside));
        }
        for folder in folders {
            File::open(folder).and_then(|open| open.sync_all()).map_err(at(folder))?;
        }
        Ok(())
    }
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.display().to_string();
    move |cause| StoreError { path, cause: StoreFault::Io(cause) }
}

fn absent<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(there) => Ok(Some(there)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

/// Makes a file appear with all that `write` gives it. One that is there is
/// replaced, or an error.
fn write_whole(
    path: &Path,
    replace: bool,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    make_parent(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    if let Some(mut file) = nameless::open(folder)? {
        write(&mut file)?;
        file.sync_all()?;
        match nameless::link(&file, path) {
            Err(error) if replace && error.kind() == io::ErrorKind::AlreadyExists => {
                let hidden = hidden(path);
                // Left by a crash just here.
                absent(fs::remove_file(&hidden))?;
                nameless::link(&file, &hidden)?;
                return fs::rename(&hidden, path);
            }
            linked => return linked,
        }
    }
    let hidden = hidden(path);
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).open(&hidden)?;
        write(&mut file)?;
        file.sync_all()?;
        if replace { fs::rename(&hidden, path) } else { fs::hard_link(&hidden, path) }
    })();
    if !replace || written.is_err() {
        // It is cleared away by the next attempt if this fails.
        let _ = fs::remove_file(&hidden);
    }
    written
}

fn hidden(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{STAGED_SUFFIX}"))
}

#[cfg(test)]
mod tests {
    use super::super::spool::Spool;
    use super::*;

    fn whole(folder: &LocalFolder, name: &str, bytes: &[u8]) -> WholeFile {
        let mut spool = Spool::new(folder.root().into());
        spool.write_all(bytes).expect("space");
        WholeFile { name: name.to_owned(), bytes: spool }
    }

    fn entries(path: &Path) -> usize {
        fs::read_dir(path).expect("readable").count()
    }

    #[test]
    fn putting_leaves_the_files_and_nothing_else() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let folder = LocalFolder::open(&temp.path().join("new/table")).expect("opens");
        let large = vec![7; 3 << 20];
        let files = vec![whole(&folder, "a=1/b=2/x", b"small"), whole(&folder, "y", &large)];
        folder.put(files).expect("put");
        assert_eq!(folder.read("a=1/b=2/x").expect("readable").as_deref(), Some(&b"small"[..]));
        assert!(folder.read("y").expect("readable") == Some(large));
        folder.put(vec![whole(&folder, "y", b"again")]).expect("replaced");
        assert_eq!(folder.size("y").expect("readable"), Some(5));
        assert_eq!(entries(folder.root()), 2);
        assert_eq!(folder.list("a=1/b=2").expect("listed"), ["x"]);
        assert_eq!(folder.list("nowhere").expect("listed"), Vec::<String>::new());
        folder.delete("y").expect("deleted");
        folder.delete("y").expect("as good");
        assert_eq!(folder.size("y").expect("readable"), None);
    }

    #[test]
    fn of_two_creations_the_first_stays() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let folder = LocalFolder::open(temp.path()).expect("opens");
        folder.create("ckpt/1", b"one").expect("created");
        assert!(folder.create("ckpt/1", b"two").is_err());
        assert_eq!(folder.read("ckpt/1").expect("readable").as_deref(), Some(&b"one"[..]));
        assert_eq!(entries(&temp.path().join("ckpt")), 1);
    }

    #[test]
    fn a_copy_is_whole_and_may_be_made_again() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let state = LocalFolder::open(&temp.path().join("state")).expect("opens");
        let lake = LocalFolder::open(&temp.path().join("lake")).expect("opens");
        state.put(vec![whole(&state, "staged/x", b"bytes")]).expect("put");
        for _ in 0..2 {
            lake.link(&state, "staged/x", "d=1/x").expect("linked");
            assert_eq!(lake.read("d=1/x").expect("readable").as_deref(), Some(&b"bytes"[..]));
        }
        assert!(lake.link(&state, "staged/y", "d=1/y").is_err());
        assert_eq!(entries(&temp.path().join("lake/d=1")), 1);
    }

    #[test]
    fn a_failure_leaves_nothing_hidden() {
        let temp = tempfile::tempdir().expect("a temporary folder");
        let folder = LocalFolder::open(temp.path()).expect("opens");
        fs::write(temp.path().join("a=1"), "in the way").expect("written");
        let error = folder.put(vec![whole(&folder, "a=1/x", b"bytes")]).expect_err("fails");
        assert!(error.to_string().contains("a=1/x"), "{error}");
        assert_eq!(entries(temp.path()), 1);
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
