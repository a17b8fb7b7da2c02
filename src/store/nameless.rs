//! Files without a name, which Linux has on most file systems: a crash leaves
//! nothing of them.

#[cfg(target_os = "linux")]
mod system {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;
    use std::path::Path;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open as open_at};
    use rustix::io::Errno;

    pub fn open(folder: &Path) -> io::Result<Option<File>> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        match open_at(folder, flags, Mode::from_raw_mode(0o666)) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub fn link(file: &File, path: &Path) -> io::Result<()> {
        let own = format!("/proc/self/fd/{}", file.as_raw_fd());
        Ok(linkat(CWD, own.as_str(), CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    pub fn open(_: &Path) -> io::Result<Option<File>> {
        Ok(None)
    }

    pub fn link(_: &File, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

use std::fs::File;
use std::io;
use std::path::Path;

/// A file for writing and reading in `folder`; `None` where the file system has
/// none without a name.
pub fn open(folder: &Path) -> io::Result<Option<File>> {
    system::open(folder)
}

/// Gives the file a name. One that is taken is an error.
pub fn link(file: &File, path: &Path) -> io::Result<()> {
    system::link(file, path)
}
