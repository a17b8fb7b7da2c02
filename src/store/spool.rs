//! Holds a file's bytes until it is whole: small ones in memory, larger ones
//! in a file without a name.
//!
//! The name is gone before the first byte is written, so a crash leaves
//! nothing: the disk frees the space with the process.

use std::fs::{File, OpenOptions};
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use uuid::Uuid;

use super::nameless;

/// How much of a file stays in memory before it goes to disk.
const MAX_MEMORY_BYTES: usize = 1 << 20;

/// What our files with a name are called while they have it: hidden, and of no
/// format that a reader looks for.
pub(super) const STAGED_SUFFIX: &str = ".turnstile";

#[derive(Debug)]
pub struct Spool {
    folder: Arc<Path>,
    memory: Vec<u8>,
    disk: Option<File>,
    len: u64,
}

impl Spool {
    /// A spool that goes to `folder` when it outgrows memory.
    pub fn new(folder: Arc<Path>) -> Self {
        Self { folder, memory: Vec::new(), disk: None, len: 0 }
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    /// The bytes in `range`, which stay here.
    pub fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let len = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; len];
        match &self.disk {
            Some(disk) => disk.read_exact_at(&mut bytes, range.start)?,
            None => {
                let from = usize::try_from(range.start).map_err(io::Error::other)?;
                let there = self.memory.get(from..from + len);
                bytes.copy_from_slice(there.ok_or(io::ErrorKind::UnexpectedEof)?);
            }
        }
        Ok(bytes)
    }

    /// All bytes from the first.
    pub fn into_reader(self) -> io::Result<Box<dyn Read + Send>> {
        let Some(mut disk) = self.disk else { return Ok(Box::new(Cursor::new(self.memory))) };
        disk.seek(SeekFrom::Start(0))?;
        Ok(Box::new(disk))
    }

    /// Writes all bytes to `file`; the kernel copies them where it can.
    pub fn copy_to(self, file: &mut File) -> io::Result<()> {
        let Some(mut disk) = self.disk else { return file.write_all(&self.memory) };
        disk.seek(SeekFrom::Start(0))?;
        let copied = io::copy(&mut disk, file)?;
        if copied == self.len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn disk(&mut self) -> io::Result<&mut File> {
        if self.disk.is_none() {
            let mut disk = nameless_file(&self.folder)?;
            disk.write_all(&self.memory)?;
            self.memory = Vec::new();
            self.disk = Some(disk);
        }
        Ok(self.disk.as_mut().expect("created above"))
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let fits = self.memory.len() + bytes.len() <= MAX_MEMORY_BYTES;
        let written = if self.disk.is_none() && fits {
            self.memory.extend_from_slice(bytes);
            bytes.len()
        } else {
            self.disk()?.write(bytes)?
        };
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A new file in `folder` that lives as long as it is open. Where none can be
/// without a name, it has a hidden one for a moment.
pub(super) fn nameless_file(folder: &Path) -> io::Result<File> {
    if let Some(file) = nameless::open(folder)? {
        return Ok(file);
    }
    let path = folder.join(format!(".{}{STAGED_SUFFIX}", Uuid::new_v4()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    match std::fs::remove_file(&path) {
        Err(error) => Err(error),
        Ok(()) => Ok(file),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_gives_back_its_bytes_and_leaves_no_name() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for len in [0, 10, MAX_MEMORY_BYTES, MAX_MEMORY_BYTES + 1, 3 * MAX_MEMORY_BYTES] {
            let bytes: Vec<u8> = (0..len).map(|i| (i % 251) as u8).collect();
            let mut spool = Spool::new(folder.path().into());
            for piece in bytes.chunks(70_000) {
                spool.write_all(piece).expect("space");
            }
            assert_eq!(spool.len(), len as u64);
            assert_eq!(spool.disk.is_some(), len > MAX_MEMORY_BYTES);
            assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 0);
            let mut back = Vec::new();
            spool.into_reader().expect("seeks").read_to_end(&mut back).expect("readable");
            assert!(back == bytes);
        }
    }
}
