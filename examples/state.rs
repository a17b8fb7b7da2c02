//! What keeping state costs: `state [KEYS_TO_SAVE] [KEYS_TO_RESUME]`, 1,000,000 and
//! 10,000,000 unless said. Runs the `turnstile` beside it on the embedded broker.
//!
//! - How much a checkpoint writes when 1 % of the keys of an open window, of open
//!   sessions, of an interval join and of first rows changed.
//! - How long a job with so many open keys takes from its start until it has saved
//!   a message that came while it was away.

// A tool at the command line.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use turnstile::broker::{EmbeddedBroker, Record};

const PARTITIONS: i32 = 4;
/// A checkpoint that is not there by then will not come.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a job does with the rows of `t` and `u`, which have the same topic.
const QUERIES: &[(&str, &str)] = &[
    (
        "a window",
        "SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(et), INTERVAL '1' DAY))
         GROUP BY window_start, window_end, k",
    ),
    (
        "sessions",
        "SELECT k, COUNT(*) FROM TABLE(SESSION(TABLE t PARTITION BY k, DESCRIPTOR(et),
         INTERVAL '1' DAY)) GROUP BY window_start, window_end, k",
    ),
    (
        "an interval join",
        "SELECT t.k, u.v FROM t LEFT JOIN u ON t.k = u.k
         AND u.et BETWEEN t.et AND t.et + INTERVAL '1' DAY",
    ),
    (
        "first rows",
        "SELECT k, v FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY et ASC) AS n
         FROM t) WHERE n = 1",
    ),
];

struct Job {
    broker: EmbeddedBroker,
    folder: PathBuf,
    sent: i64,
}

impl Job {
    fn new(folder: &Path, query: &str) -> Self {
        let broker = EmbeddedBroker::start().unwrap();
        broker.create_topic("t", PARTITIONS).unwrap();
        let source = |name: &str| {
            format!(
                "CREATE TABLE {name} (k BIGINT, v BIGINT, et AS TO_TIMESTAMP_LTZ(v, 3),
                   WATERMARK FOR et AS et) WITH ('connector'='kafka','topic'='t',
                   'properties.bootstrap.servers'='{}',
                   'scan.startup.mode'='earliest-offset','format'='csv');",
                broker.address()
            )
        };
        let sql = format!(
            "{} {} CREATE TABLE found (k BIGINT, v BIGINT) WITH ('connector'='filesystem',
               'path'='{}','format'='parquet');
             INSERT INTO found {query};",
            source("t"),
            source("u"),
            folder.join("found").display(),
        );
        std::fs::write(folder.join("job.sql"), sql).unwrap();
        Self { broker, folder: folder.to_owned(), sent: 0 }
    }

    /// A message for each of these keys at that time.
    fn send(&mut self, keys: impl Iterator<Item = i64>, at: i64) {
        let mut batches: Vec<Vec<Record>> = (0..PARTITIONS).map(|_| Vec::new()).collect();
        for key in keys {
            let batch = &mut batches[(key % i64::from(PARTITIONS)) as usize];
            let value = Some(format!("{key},{at}").into_bytes());
            batch.push(Record { value, ..Record::default() });
            self.sent += 1;
        }
        for (partition, batch) in (0..).zip(&batches) {
            for part in batch.chunks(10_000) {
                self.broker.append("t", partition, part).unwrap();
            }
        }
    }

    fn turnstile(&self) -> Command {
        let program = std::env::current_exe().unwrap().with_file_name("../turnstile");
        let mut command = Command::new(program);
        command.env("TURNSTILE_STATE_PATH", self.folder.join("state")).stderr(Stdio::null());
        command
    }

    fn start(&self) -> Child {
        let mut command = self.turnstile();
        command.arg("run").arg(self.folder.join("job.sql"));
        command.args(["--set", "execution.checkpointing.interval=200 ms"]).spawn().unwrap()
    }

    /// Waits for a checkpoint that has read all that was sent. Gives the bytes of
    /// its state.
    fn wait_until_saved(&self) -> u64 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "nothing is saved");
            let shown = self.turnstile().args(["state", "show", "job"]).output().unwrap();
            let shown = String::from_utf8(shown.stdout).unwrap();
            let next = |line: &str| number(line.split("next offset ").nth(1)?);
            let offsets: Vec<i64> = shown.lines().filter_map(next).collect();
            let scans = (offsets.len() as i64 / i64::from(PARTITIONS)).max(1);
            if offsets.iter().sum::<i64>() == self.sent * scans {
                let bytes = |line: &str| number(line.split(" pieces, ").nth(1)?);
                let bytes = shown.lines().find_map(bytes).unwrap();
                return bytes.try_into().unwrap();
            }
        }
    }

    /// Bytes of all state that was ever written.
    fn written(&self) -> u64 {
        let files = std::fs::read_dir(self.folder.join("state/job/seg")).unwrap();
        files.map(|file| file.unwrap().metadata().unwrap().len()).sum()
    }
}

fn number(text: &str) -> Option<i64> {
    text.split([' ', ',']).next()?.parse().ok()
}

fn stop(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// `what` is kept of `keys` keys; then 1 % of them change, or are new where a key
/// does not change.
fn increments((what, query): (&str, &str), keys: i64) {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Job::new(folder.path(), query);
    job.send(0..keys, 1);
    let child = job.start();
    job.send(0..i64::from(PARTITIONS), 2);
    let pause = || std::thread::sleep(Duration::from_secs(2));
    job.wait_until_saved();
    pause();
    let state = job.wait_until_saved();
    let before = job.written();
    job.send((0..keys / 100).map(|i| i * 100), 3);
    if what == "first rows" {
        job.send(keys..keys + keys / 100, 3);
        job.send(0..i64::from(PARTITIONS), 4);
    }
    job.wait_until_saved();
    pause();
    let new = job.written() - before;
    stop(child);
    let share = new as f64 / state as f64 * 100.0;
    println!(
        "{what}: {keys} open keys, {state} bytes of state; 1 % of them changed: {new} bytes \
         written, {share:.2} %"
    );
}

fn resume(keys: i64) {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Job::new(folder.path(), QUERIES[0].1);
    job.send(0..keys, 1);
    let child = job.start();
    job.wait_until_saved();
    stop(child);
    job.send(0..1, 1);
    let began = Instant::now();
    let child = job.start();
    job.wait_until_saved();
    let seconds = began.elapsed().as_secs_f64();
    stop(child);
    println!("{keys} open keys; gone on with, and a message more saved, after {seconds:.2} s");
}

fn main() {
    let mut args = std::env::args().skip(1).map(|arg| arg.parse().unwrap());
    let keys = args.next().unwrap_or(1_000_000);
    QUERIES.iter().for_each(|query| increments(*query, keys));
    resume(args.next().unwrap_or(10_000_000));
}
