//! Each row once, whatever happens around a job: its processes are killed and
//! suspended, the broker goes away, the store fails and lies, the disk is full.
//! DuckDB says from the raw messages what the lake must hold.
//!
//! A long run: `ROUNDS=20 SEED=1 cargo test --test it chaos -- --nocapture`.

mod broker;
mod disk;
mod log;
mod proxy;
mod store;
mod suspended;

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::log::{Log, PARTITIONS};
use super::support::{entries, python, root, rounds, seed, text, turnstile};

/// Has the accidents of each round follow from a seed that is said.
fn in_rounds(mut accidents: impl FnMut(&mut StdRng) -> String) {
    for seed in (seed()..).take(usize::try_from(rounds()).unwrap()) {
        eprintln!("with SEED={seed}:");
        let happened = accidents(&mut StdRng::seed_from_u64(seed));
        eprintln!("  {happened}");
    }
}

/// A folder, as a job and as this machine names it.
#[derive(Clone)]
struct Place {
    path: String,
    folder: PathBuf,
}

impl Place {
    fn local(folder: PathBuf) -> Self {
        Self { path: folder.display().to_string(), folder }
    }

    fn join(&self, name: &str) -> Self {
        Self { path: format!("{}/{name}", self.path), folder: self.folder.join(name) }
    }
}

/// A query over a log, with a lake and a state of its own.
struct Job {
    file: PathBuf,
    raw: PathBuf,
    lake: Place,
    state: Place,
    environment: Vec<(&'static str, String)>,
    /// How many epochs are kept: with few, what is old is soon deleted.
    retained: u64,
}

impl Job {
    /// A job over all that the log will ever have in the broker at `address`.
    fn new(
        scripts: &Path,
        log: &Log,
        address: &str,
        topic: &str,
        lake: Place,
        state: Place,
    ) -> Self {
        let (file, raw) = (scripts.join("chaos.sql"), scripts.join("raw.tsv"));
        let table = |name: &str, columns: &str| {
            format!(
                "CREATE TABLE {name} ({columns}) WITH ('connector'='filesystem',\
                 'path'='{}/{name}','format'='parquet');\n",
                lake.path
            )
        };
        let end = |p| format!("partition:{p},offset:{}", log.messages(p).len());
        let ends: Vec<String> = (0..PARTITIONS).map(end).collect();
        let sql = format!(
            "CREATE TABLE t (
               id BIGINT, k STRING, v BIGINT, ms BIGINT,
               p INT METADATA FROM 'partition' VIRTUAL, o BIGINT METADATA FROM 'offset' VIRTUAL,
               et AS TO_TIMESTAMP_LTZ(ms, 3), WATERMARK FOR et AS et - INTERVAL '2' SECOND
             ) WITH ('connector'='kafka','topic'='{topic}','format'='csv',
               'properties.bootstrap.servers'='{address}','scan.startup.mode'='earliest-offset',
               'scan.bounded.mode'='specific-offsets','scan.bounded.specific-offsets'='{}');
             {}{}INSERT INTO plain SELECT id, p, o FROM t;
             INSERT INTO sums SELECT window_end, k, COUNT(*), SUM(v), MIN(id), MAX(id) FROM
               TABLE(TUMBLE(TABLE t, DESCRIPTOR(et), INTERVAL '10' SECOND))
               GROUP BY window_start, window_end, k;\n",
            ends.join(";"),
            table("plain", "id BIGINT, p INT, o BIGINT"),
            table(
                "sums",
                "e TIMESTAMP(3), k STRING, n BIGINT, t BIGINT, least_id BIGINT, most_id BIGINT"
            ),
        );
        std::fs::write(&file, sql).unwrap();
        log.write(&raw);
        Self { file, raw, lake, state, environment: Vec::new(), retained: 3 }
    }

    fn start(&self, workers: u32) -> Process {
        let mut command = turnstile();
        command
            .env("TURNSTILE_STATE_PATH", &self.state.path)
            .env("TURNSTILE_LATE_ROWS_PATH", format!("{}/late", self.lake.path))
            .env("TURNSTILE_DEAD_LETTERS_PATH", format!("{}/dead", self.lake.path))
            .env("TURNSTILE_EXECUTION_CHECKPOINTING_INTERVAL", "30 ms")
            .env("TURNSTILE_BATCH_SIZE", "100")
            .env("TURNSTILE_STATE_CHECKPOINTS_NUM_RETAINED", self.retained.to_string())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .args(["run", "--workers", &workers.to_string()])
            .arg(&self.file);
        // Not a pipe, which gets full when nobody reads it meanwhile.
        let said = tempfile::tempfile().unwrap();
        command.stdout(Stdio::null()).stderr(said.try_clone().unwrap());
        Process { child: command.spawn().unwrap(), said }
    }

    /// The last epoch that is committed.
    fn epoch(&self) -> u64 {
        let manifests = entries(&self.state.folder.join("chaos/ckpt"));
        let number = |path: &PathBuf| path.file_name()?.to_str()?.parse().ok();
        manifests.iter().filter_map(number).max().unwrap_or(0)
    }

    /// Lets DuckDB compare the lake with the log.
    fn compare(&self) {
        let python = python().expect("asked for before");
        let script = root().join("tests/chaos/lake.py");
        let paths = [&script, &self.raw, &self.lake.folder];
        let output = Command::new(python).args(paths).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }
}

/// A process of a job, killed if it is forgotten.
struct Process {
    child: Child,
    said: File,
}

impl Process {
    /// Its end, unless that does not come for `wait`.
    fn ended(&mut self, wait: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + wait;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if Instant::now() >= deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it said until its end, which must come within two minutes.
    fn output(mut self) -> Output {
        let ended = self.ended(Duration::from_secs(120));
        if ended.is_none() {
            self.kill();
        }
        let (status, mut stderr) = (self.child.wait().unwrap(), Vec::new());
        self.said.rewind().unwrap();
        self.said.read_to_end(&mut stderr).unwrap();
        let output = Output { status, stdout: Vec::new(), stderr };
        assert!(ended.is_some(), "it comes to no end: {}", text(&output));
        output
    }

    /// SIGKILL: nothing of the process can act on it.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What it took to bring a job to its end.
#[derive(Debug, Default)]
struct Tale {
    kills: u32,
    /// What processes said that gave up by themselves.
    stops: Vec<String>,
}

impl Tale {
    /// Kills the job's processes within `up_to` until one has come to the end.
    /// `stops` says of what a process says whether it may give up so.
    fn until_the_end(
        job: &Job,
        rng: &mut StdRng,
        up_to: Duration,
        stops: impl Fn(&str) -> bool,
    ) -> Self {
        let mut tale = Self::default();
        let deadline = Instant::now() + Duration::from_secs(180);
        loop {
            let mut process = job.start(rng.random_range(1..4));
            if process.ended(rng.random_range(Duration::from_millis(20)..up_to)).is_none() {
                process.kill();
            }
            let output = process.output();
            let said = text(&output);
            match output.status.code() {
                Some(0) => return tale,
                None => tale.kills += 1,
                Some(2) if stops(&said) => {
                    tale.stops.extend(said.lines().last().map(str::to_owned))
                }
                Some(_) => panic!("after {} kills it gave up: {said}", tale.kills),
            }
            assert!(Instant::now() < deadline, "no end after {} kills: {said}", tale.kills);
        }
    }
}
