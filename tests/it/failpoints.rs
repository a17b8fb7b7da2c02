//! Whatever step a job dies at, fails at or waits at, the first time it is there, in
//! the middle or at the end: gone on with, it has written each row once.
//!
//! More of them: `FAILPOINT_HITS=20 cargo test --test it failpoints`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use turnstile::broker::{EmbeddedBroker, Record};

use super::support::{python, text, turnstile};

/// Every step that a job goes through, in the words of `src/failpoints.rs`.
const STEPS: &[&str] = &[
    "ckpt.create.after",
    "ckpt.create.before",
    "ckpt.delete.after",
    "ckpt.delete.before",
    "ckpt.list.after",
    "ckpt.list.before",
    "ckpt.read.after",
    "ckpt.read.before",
    "commit.done",
    "cut.answer",
    "cut.begin",
    "cut.commit",
    "cut.whole",
    "cut.worker",
    "floor.create.after",
    "floor.create.before",
    "floor.delete.after",
    "floor.delete.before",
    "floor.list.after",
    "floor.list.before",
    "lake.copy.after",
    "lake.copy.before",
    "lake.size.after",
    "lake.size.before",
    "seg.delete.after",
    "seg.delete.before",
    "seg.list.after",
    "seg.list.before",
    "seg.put.after",
    "seg.put.before",
    "seg.read.after",
    "seg.read.before",
    "staged.delete.after",
    "staged.delete.before",
    "staged.list.after",
    "staged.list.before",
    "staged.put.after",
    "staged.put.before",
    "start.recovered",
    "start.workers",
    "window.close",
];

fn broker(messages: i64) -> EmbeddedBroker {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 2).unwrap();
    for partition in 0..2 {
        let message = |at: i64| {
            let late = if at % 17 == 0 { 9_000 } else { at % 7 * 100 };
            let ms = 1_700_000_000_000 + at * 20 - late;
            let value = format!("k{},{},{ms}", at % 5, at);
            Record { value: Some(value.into_bytes()), ..Record::default() }
        };
        broker.append("t", partition, &(0..messages).map(message).collect::<Vec<_>>()).unwrap();
    }
    broker
}

struct Job<'a> {
    folder: PathBuf,
    address: &'a str,
}

impl<'a> Job<'a> {
    fn new(folder: PathBuf, address: &'a str) -> Self {
        std::fs::create_dir_all(&folder).unwrap();
        let table = |name: &str, columns: &str| {
            format!(
                "CREATE TABLE {name} ({columns}) WITH ('connector'='filesystem',\
                 'path'='{}/lake/{name}','format'='parquet');\n",
                folder.display()
            )
        };
        let sql = format!(
            "CREATE TABLE t (k STRING, v BIGINT, ms BIGINT, et AS TO_TIMESTAMP_LTZ(ms, 3),
               p INT METADATA FROM 'partition' VIRTUAL, o BIGINT METADATA FROM 'offset' VIRTUAL,
               WATERMARK FOR et AS et - INTERVAL '1' SECOND
             ) WITH ('connector'='kafka','topic'='t','properties.bootstrap.servers'='{address}',
               'scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='csv');
             {plain}INSERT INTO plain SELECT p, o FROM t;
             {hop}INSERT INTO hop SELECT window_end, k, COUNT(*), SUM(v) FROM TABLE(HOP(TABLE t,
               DESCRIPTOR(et), INTERVAL '1' SECOND, INTERVAL '3' SECOND))
               GROUP BY window_start, window_end, k;",
            plain = table("plain", "p INT, o BIGINT"),
            hop = table("hop", "e TIMESTAMP(3), k STRING, n BIGINT, s BIGINT"),
        );
        std::fs::write(folder.join("job.sql"), sql).unwrap();
        Self { folder, address }
    }

    fn command(&self) -> Command {
        let _ = self.address;
        let mut command = turnstile();
        command
            .env("TURNSTILE_STATE_PATH", self.folder.join("state"))
            .env("TURNSTILE_EXECUTION_CHECKPOINTING_INTERVAL", "1 ms")
            .env("TURNSTILE_BATCH_SIZE", "20")
            .env("TURNSTILE_STATE_CHECKPOINTS_NUM_RETAINED", "3")
            .args(["run", "--workers", "2"])
            .arg(self.folder.join("job.sql"));
        command
    }

    fn run(&self, failpoints: &str) -> Output {
        let mut command = self.command();
        command.env("FAILPOINTS", failpoints);
        command.env("FAILPOINTS_SEEN", self.folder.join("seen")).output().unwrap()
    }

    /// How often each step was reached.
    fn seen(&self) -> BTreeMap<String, u32> {
        let text = std::fs::read_to_string(self.folder.join("seen")).unwrap_or_default();
        let mut seen = BTreeMap::new();
        for line in text.lines() {
            *seen.entry(line.to_owned()).or_default() += 1;
        }
        seen
    }
}

/// What DuckDB finds wrong in the lakes of many jobs: each must be as the first.
fn differences(python: &Path, folders: &[PathBuf]) -> String {
    let program = "import duckdb, glob, sys\n\
        def lake(folder):\n    \
        tables = [glob.glob(f'{folder}/lake/{table}/*.parquet') for table in ['plain', 'hop']]\n    \
        return [duckdb.execute('select * from read_parquet(?) order by all', [files]).fetchall() \
        if files else [] for files in tables]\n\
        first = lake(sys.argv[1])\n\
        assert first[0] and first[1]\n\
        for folder in sys.argv[2:]:\n    \
        if lake(folder) != first: print(folder)";
    let output = Command::new(python).args(["-c", program]).args(folders).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Which times of `count` something happens at: the first, the last, and some in
/// between. How often a step is reached is not the same in every run, so the last
/// but a few stand for the last.
fn hits(count: u32) -> BTreeSet<u32> {
    let wanted = std::env::var("FAILPOINT_HITS").map_or(3, |hits| hits.parse().unwrap());
    let last = (count - count / 10).max(1);
    (0..wanted).map(|i| 1 + (last - 1) * i / (wanted - 1).max(1)).collect()
}

/// Runs a job for each step, action and hit, and then to its end.
fn fail_everywhere(messages: i64) {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let broker = broker(messages);
    let address = broker.address();
    let calm = Job::new(folder.path().join("calm"), &address);
    let output = calm.run("none=off");
    assert!(output.status.success(), "{}", text(&output));
    let mut trials = Vec::new();
    let counts = calm.seen();
    for step in STEPS {
        let hits = hits(counts.get(*step).copied().unwrap_or(1));
        for action in ["return(kill)", "return(error)", "sleep(30)"] {
            for hit in &hits {
                trials.push((*step, action, *hit));
            }
        }
    }
    let next = AtomicUsize::new(0);
    let seen = Mutex::new(counts.into_keys().collect::<BTreeSet<String>>());
    let folders = Mutex::new(vec![calm.folder.clone()]);
    let work = || {
        while let Some((step, action, hit)) = trials.get(next.fetch_add(1, Ordering::SeqCst)) {
            let name = format!("{step}-{hit}-{}", action.replace(['(', ')'], "-"));
            let job = Job::new(folder.path().join(name), &address);
            let skip = if *hit > 1 { format!("{}*off->", hit - 1) } else { String::new() };
            let output = job.run(&format!("{step}={skip}1*{action}"));
            let died = output.status.code().is_none();
            assert!(!died || *action == "return(kill)", "{step} {action}: {}", text(&output));
            if !output.status.success() {
                let output = job.run("none=off");
                assert!(output.status.success(), "{step} {action} {hit}: {}", text(&output));
            }
            seen.lock().unwrap().extend(job.seen().into_keys());
            folders.lock().unwrap().push(job.folder);
        }
    };
    std::thread::scope(|threads| {
        let workers: Vec<_> = (0..2).map(|_| threads.spawn(work)).collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    });
    let unseen: Vec<_> = {
        let seen = seen.lock().unwrap();
        STEPS.iter().filter(|step| !seen.contains(**step)).collect()
    };
    assert!(unseen.is_empty(), "never reached: {unseen:?}");
    let unlisted: Vec<String> = seen
        .lock()
        .unwrap()
        .iter()
        .filter(|step| !STEPS.contains(&step.as_str()))
        .cloned()
        .collect();
    assert!(unlisted.is_empty(), "not in the list: {unlisted:?}");
    let wrong = differences(&python, &folders.lock().unwrap());
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_job_that_fails_at_any_step_is_gone_on_with() {
    fail_everywhere(1_500);
}
