//! Processes that are suspended while others take their job over: when they
//! wake, they stop, and write nothing more.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;

use super::log::{self, Log, TOPIC};
use super::{Job, Place, Process, in_rounds};
use crate::support::{S3, Watcher, entries, python, text};

const BUCKET: &str = "bucket";
/// How long each process is fed.
const FED_FOR: Duration = Duration::from_millis(500);

fn suspend(s3: Option<&S3>, rng: &mut StdRng) -> String {
    let scripts = tempfile::tempdir().unwrap();
    let log = Log::new(rng, 4_000);
    let broker = log::broker();
    let place = match s3 {
        None => Place::local(scripts.path().to_path_buf()),
        Some(s3) => {
            let name: u64 = rng.random();
            Place { path: format!("s3://{BUCKET}"), folder: s3.folder().join(BUCKET) }
                .join(&name.to_string())
        }
    };
    let (lake, state) = (place.join("lake"), place.join("state"));
    let mut job = Job::new(scripts.path(), &log, &broker.address(), TOPIC, lake, state);
    job.retained = rng.random_range(3..60);
    job.environment.extend(s3.into_iter().flat_map(S3::environment));
    let watcher = Watcher::start(job.lake.folder.clone());
    let mut suspended = Vec::new();
    for part in [0..10, 10..20, 20..30] {
        suspended.push(log::feeding(&broker, &log, part, FED_FOR, || {
            let process = job.start(rng.random_range(1..4));
            at_work(&job);
            std::thread::sleep(rng.random_range(Duration::ZERO..Duration::from_millis(250)));
            process.signal("-STOP");
            process
        }));
    }
    log::feeding(&broker, &log, 30..log::ALL.end, FED_FOR, || {
        let last = job.start(2);
        at_work(&job);
        // One wakes beside its heir, the others after its end.
        suspended.shuffle(rng);
        wake(suspended.pop().unwrap());
        let output = last.output();
        assert!(output.status.success(), "{}", text(&output));
    });
    let seen = || (files(&job.lake.folder), job.epoch());
    let before = seen();
    suspended.into_iter().for_each(wake);
    assert_eq!(before, seen(), "one that woke has written");
    let files = watcher.finish();
    job.compare();
    format!("3 woke and stopped; {files} files, each whole when it was seen")
}

/// Waits until a process that has just been started has fenced the one before
/// and committed an epoch.
fn at_work(job: &Job) {
    let (before, deadline) = (job.epoch(), Instant::now() + Duration::from_secs(60));
    while job.epoch() < before + 2 {
        assert!(Instant::now() < deadline, "nothing is committed");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Wakes a process, which must see that the job is not its own any more.
fn wake(process: Process) {
    process.signal("-CONT");
    let output = process.output();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    let knows = ["has been taken over by process", "has gone on without this process"];
    assert!(knows.iter().any(|known| said.contains(known)), "{said}");
}

fn files(lake: &Path) -> BTreeSet<PathBuf> {
    entries(lake).iter().flat_map(|table| entries(table)).collect()
}

#[test]
fn processes_that_were_suspended_stop_when_they_wake() {
    if python().is_none() {
        return;
    }
    in_rounds(|rng| suspend(None, rng));
}

#[test]
fn processes_that_were_suspended_stop_when_they_wake_in_a_bucket() {
    let (Some(_), Some(s3)) = (python(), S3::start(BUCKET)) else { return };
    in_rounds(|rng| suspend(Some(&s3), rng));
}

/// When it wakes, another has made its file visible and cleared away what it was
/// to be copied from.
#[test]
fn a_process_that_slept_before_a_copy_stops_as_any_other() {
    if python().is_none() {
        return;
    }
    in_rounds(|rng| {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::new(rng, 2_000);
        let broker = log::broker();
        let place = Place::local(folder.path().to_path_buf());
        let (lake, state) = (place.join("lake"), place.join("state"));
        let mut job = Job::new(folder.path(), &log, &broker.address(), TOPIC, lake, state);
        let nap = ("FAILPOINTS", "lake.copy.before=1*sleep(3000)".to_owned());
        job.environment.push(nap);
        log::feeding(&broker, &log, log::ALL, Duration::from_secs(1), || {
            let sleeper = job.start(2);
            std::thread::sleep(Duration::from_secs(1));
            job.environment.clear();
            let output = job.start(2).output();
            assert!(output.status.success(), "{}", text(&output));
            wake(sleeper);
        });
        job.compare();
        format!("{} epochs", job.epoch())
    });
}
