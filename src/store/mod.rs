//! Folders of files on the local disk or in S3: what lakes and checkpoints are
//! made of.
//!
//! # Contract
//! - A file appears under its name with all its bytes, or not at all.
//! - When a call returns well, what it did survives a loss of power, as far as
//!   the store can promise.
//! - When a call fails, it may have been done in whole or in part, or be done
//!   later; of a file that is not whole nothing is left that a reader could
//!   take for data.
//!
//! Every call blocks; none may be made from async code.

mod local;
mod location;
mod nameless;
mod s3;
mod spool;

use std::fmt;
use std::io;
use std::sync::Arc;

use crate::failpoints::reach;
use local::LocalFolder;
pub use location::{Location, parse as parse_location};
use s3::S3Folder;
pub use spool::Spool;

/// A folder that files are put in and read from. Names in it have `/` between
/// their parts.
#[derive(Debug, Clone)]
pub struct Folder(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    Local(LocalFolder),
    S3(S3Folder),
}

/// A file that is complete and not visible yet.
#[derive(Debug)]
pub struct WholeFile {
    pub name: String,
    pub bytes: Spool,
}

/// What went wrong, and where.
#[derive(Debug)]
pub struct StoreError {
    pub path: String,
    pub cause: StoreFault,
}

#[derive(Debug)]
pub enum StoreFault {
    Io(io::Error),
    Object(object_store::Error),
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cause {
            StoreFault::Io(cause) => write!(f, "{}: {cause}", self.path),
            StoreFault::Object(cause) => write!(f, "{}: {cause}", self.path),
        }
    }
}

impl std::error::Error for StoreError {}

/// What a file is, by its place: the folders of a job's state have fixed names.
fn kind_of(name: &str) -> &str {
    match name.split('/').next() {
        Some(folder @ ("ckpt" | "seg" | "staged" | "floor")) => folder,
        _ => "lake",
    }
}

impl Folder {
    /// Connects; fails early on what is missing or cannot be written to. A local
    /// folder is made if there is none. S3 is configured by the environment's
    /// `AWS_*` variables.
    pub fn open(location: &Location) -> Result<Self, StoreError> {
        Ok(Self(Arc::new(match location {
            Location::Local(path) => Kind::Local(LocalFolder::open(path)?),
            Location::S3 { bucket, prefix } => {
                let text = |value: std::ffi::OsString| value.into_string().ok();
                let variables: Vec<(String, String)> = std::env::vars_os()
                    .filter_map(|(k, v)| Some((text(k)?, text(v)?)))
                    .collect();
                Kind::S3(S3Folder::open(bucket, prefix, &variables)?)
            }
        })))
    }

    /// The same for a folder that must be there: `None` if a local one is not.
    pub fn open_existing(location: &Location) -> Result<Option<Self>, StoreError> {
        match location {
            Location::Local(path) if !path.is_dir() => Ok(None),
            location => Self::open(location).map(Some),
        }
    }

    /// A file to come that goes to disk when it outgrows memory.
    pub fn spool(&self) -> Spool {
        Spool::new(match self.0.as_ref() {
            Kind::Local(folder) => folder.root().into(),
            Kind::S3(_) => std::env::temp_dir().into(),
        })
    }

    /// Puts files; one of the same name is replaced.
    pub fn put(&self, files: Vec<WholeFile>) -> Result<(), StoreError> {
        let Some(first) = files.first().map(|file| file.name.clone()) else { return Ok(()) };
        self.step(&first, "put", || match self.0.as_ref() {
            Kind::Local(folder) => folder.put(files),
            Kind::S3(folder) => folder.put(files),
        })
    }

    /// A request about `name`, between two steps that a test may fail.
    fn step<T>(
        &self,
        name: &str,
        what: &str,
        request: impl FnOnce() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let reach = |when: &str| {
            let step = || format!("{}.{what}.{when}", kind_of(name));
            reach(step).map_err(|cause| StoreError {
                path: self.locate(name),
                cause: StoreFault::Io(cause),
            })
        };
        reach("before")?;
        let answer = request()?;
        reach("after")?;
        Ok(answer)
    }

    /// Puts a file unless there is one of that name. Whether it did is for the
    /// caller to read back: neither an error nor its absence is proof.
    pub fn create(&self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        self.step(name, "create", || match self.0.as_ref() {
            Kind::Local(folder) => folder.create(name, bytes),
            Kind::S3(folder) => folder.create(name, bytes),
        })
    }

    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.step(name, "read", || match self.0.as_ref() {
            Kind::Local(folder) => folder.read(name),
            Kind::S3(folder) => folder.read(name),
        })
    }

    /// A file's bytes from `from` on, `len` of them or as many as there are.
    pub fn read_range(
        &self,
        name: &str,
        from: u64,
        len: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.step(name, "read", || match self.0.as_ref() {
            Kind::Local(folder) => folder.read_range(name, from, len),
            Kind::S3(folder) => folder.read_range(name, from, len),
        })
    }

    /// A file's size in bytes; `None` if there is none.
    pub fn size(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.step(name, "size", || match self.0.as_ref() {
            Kind::Local(folder) => folder.size(name),
            Kind::S3(folder) => folder.size(name),
        })
    }

    /// The names of the files in a folder below, without the folder, sorted.
    pub fn list(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let mut names = self.step(folder, "list", || match self.0.as_ref() {
            Kind::Local(own) => own.list(folder),
            Kind::S3(own) => own.list(folder),
        })?;
        names.sort_unstable();
        Ok(names)
    }

    /// The names of the folders in a folder below, sorted.
    pub fn folders(&self, folder: &str) -> Result<Vec<String>, StoreError> {
        let mut names = self.step(folder, "list", || match self.0.as_ref() {
            Kind::Local(own) => own.folders(folder),
            Kind::S3(own) => own.folders(folder),
        })?;
        names.sort_unstable();
        Ok(names)
    }

    /// Deletes a folder below if nothing is in it.
    pub fn delete_empty(&self, folder: &str) -> Result<(), StoreError> {
        match self.0.as_ref() {
            Kind::Local(own) => own.delete_empty(folder),
            // There a folder is no more than what its files are called.
            Kind::S3(_) => Ok(()),
        }
    }

    /// Deletes a file if it is there.
    pub fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.step(name, "delete", || match self.0.as_ref() {
            Kind::Local(folder) => folder.delete(name),
            Kind::S3(folder) => folder.delete(name),
        })
    }

    /// Makes the file `from` of another folder appear here as `name`.
    pub fn copy(&self, other: &Folder, from: &str, name: &str) -> Result<(), StoreError> {
        self.step(name, "copy", || match (self.0.as_ref(), other.0.as_ref()) {
            (Kind::Local(folder), Kind::Local(other)) => folder.link(other, from, name),
            (Kind::S3(folder), Kind::S3(other)) if folder.reaches(other) => {
                folder.copy(other, from, name)
            }
            _ => {
                let bytes = other.read(from)?.ok_or_else(|| other.missing(from))?;
                let mut spool = self.spool();
                io::Write::write_all(&mut spool, &bytes).map_err(|cause| StoreError {
                    path: self.locate(name),
                    cause: StoreFault::Io(cause),
                })?;
                self.put(vec![WholeFile { name: name.to_owned(), bytes: spool }])
            }
        })
    }

    fn missing(&self, name: &str) -> StoreError {
        let cause = StoreFault::Io(io::ErrorKind::NotFound.into());
        StoreError { path: self.locate(name), cause }
    }

    /// A file's place, for messages.
    pub fn locate(&self, name: &str) -> String {
        match self.0.as_ref() {
            Kind::Local(folder) => folder.locate(name),
            Kind::S3(folder) => folder.locate(name),
        }
    }
}
