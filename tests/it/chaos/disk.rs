//! A disk that is full: the job says so and stops, nobody sees a part of a file,
//! and it goes on when there is room.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::log::{self, Log, TOPIC};
use super::{Job, Place, in_rounds};
use crate::support::{Watcher, in_ci, python, seed, text};

/// A small file system of its own, in memory.
struct Disk(tempfile::TempDir);

impl Disk {
    /// `None`, said aloud, where none may be mounted. In CI it must be.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(folder.path());
        let why = match mount.output() {
            Ok(output) if output.status.success() => return Some(Self(folder)),
            Ok(output) => text(&output),
            Err(error) => error.to_string(),
        };
        assert!(!in_ci(), "nothing can be mounted in CI: {why}");
        eprintln!("SKIPPED: a full disk needs the right to mount one: {why}");
        None
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills it up to about `room` bytes.
    fn fill(&self, room: u64) -> PathBuf {
        let path = self.path().join("ballast");
        let mut file = File::create(&path).unwrap();
        let written = loop {
            match file.write_all(&[1; 4096]) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::StorageFull => {
                    break file.metadata().unwrap().len();
                }
                Err(error) => panic!("{error}"),
            }
        };
        file.set_len(written - room).unwrap();
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

/// Runs a job with its lake, its state or both on a disk that gets full.
fn fill(rng: &mut StdRng, lake_is_there: bool, state_is_there: bool) -> String {
    let Some(disk) = Disk::mount() else { return "skipped".to_owned() };
    let scripts = tempfile::tempdir().unwrap();
    let log = Log::new(rng, 3_000);
    let broker = log::broker();
    let place = |is_there: bool| {
        Place::local(if is_there { disk.path() } else { scripts.path() }.to_path_buf())
    };
    let (lake, state) =
        (place(lake_is_there).join("lake"), place(state_is_there).join("state"));
    let job = Job::new(scripts.path(), &log, &broker.address(), TOPIC, lake, state);
    let room = rng.random_range(10..40) * 4096;
    let ballast = disk.fill(room);
    let watcher = Watcher::start(job.lake.folder.clone());
    let output =
        log::feeding(&broker, &log, log::ALL, Duration::from_secs(1), || job.start(2).output());
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "with room for {room} bytes: {said}");
    assert!(said.contains("No space left on device"), "{said}");
    assert!(said.contains(&disk.path().display().to_string()), "{said}");
    let mut second = job.start(1);
    second.ended(rng.random_range(Duration::ZERO..Duration::from_millis(600)));
    second.kill();
    let epoch = job.epoch();
    std::fs::remove_file(ballast).unwrap();
    let output = job.start(2).output();
    assert!(output.status.success(), "{}", text(&output));
    let files = watcher.finish();
    job.compare();
    format!("stopped after epoch {epoch}; {files} files, each whole when it was seen")
}

#[test]
fn a_job_whose_lake_is_full_goes_on_when_there_is_room() {
    if python().is_some() {
        in_rounds(|rng| fill(rng, true, false));
    }
}

#[test]
fn a_job_whose_state_is_full_goes_on_when_there_is_room() {
    if python().is_some() {
        in_rounds(|rng| fill(rng, false, true));
    }
}

#[test]
fn a_job_whose_only_disk_is_full_goes_on_when_there_is_room() {
    if python().is_some() {
        in_rounds(|rng| fill(rng, true, true));
    }
}

/// Not only that it cannot commit.
#[test]
fn a_job_that_cannot_commit_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::new(&mut StdRng::seed_from_u64(seed()), 100);
    let broker = log::broker();
    let place = Place::local(folder.path().to_path_buf());
    let (lake, state) = (place.join("lake"), place.join("state"));
    let mut job = Job::new(folder.path(), &log, &broker.address(), TOPIC, lake, state);
    let never = "ckpt.create.before=1*off->return(error)".to_owned();
    job.environment.push(("FAILPOINTS", never));
    let output =
        log::feeding(&broker, &log, log::ALL, Duration::ZERO, || job.start(1).output());
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("ckpt/") && said.contains("failpoint ckpt.create.before"), "{said}");
}
