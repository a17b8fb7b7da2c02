//! What the tests start: the binary, a real Kafka, an independent reader.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

mod watcher;

pub use watcher::{Watcher, entries};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test, with a folder for state that no other has.
pub fn turnstile() -> Command {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let own = NEXT.fetch_add(1, Ordering::Relaxed);
    let process = std::process::id();
    let state = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("state-{process}-{own}"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_turnstile"));
    command.env("TURNSTILE_STATE_PATH", state);
    command
}

/// Standard error, and standard output behind it.
pub fn text(output: &Output) -> String {
    let (err, out) = (&output.stderr, &output.stdout);
    format!("{}{}", String::from_utf8_lossy(err), String::from_utf8_lossy(out))
}

pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
}

/// How often a test of random accidents has them.
pub fn rounds() -> u64 {
    std::env::var("ROUNDS").map_or(1, |rounds| rounds.parse().unwrap())
}

/// What its accidents follow from.
pub fn seed() -> u64 {
    std::env::var("SEED").map_or(7, |seed| seed.parse().unwrap())
}

/// What a script prints, or `None`, said aloud, where this machine lacks what
/// it needs. In CI nothing may be lacking.
fn script(name: &str, args: &[&str]) -> Option<String> {
    let output = Command::new(root().join("tests").join(name)).args(args).output();
    match output {
        Ok(output) if output.status.success() => {
            Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        other => {
            let why = other.map_or_else(|e| e.to_string(), |o| text(&o));
            assert!(!in_ci(), "tests/{name} failed in CI: {why}");
            eprintln!("SKIPPED: tests/{name} cannot run here: {why}");
            None
        }
    }
}

/// A real Kafka, one test at a time.
pub struct Kafka {
    pub address: String,
    _turn: MutexGuard<'static, ()>,
}

const KAFKA_PORT: &str = "19492";

impl Kafka {
    pub fn get() -> Option<Kafka> {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        script("kafka.sh", &["up", KAFKA_PORT])?;
        Some(Kafka { address: format!("127.0.0.1:{KAFKA_PORT}"), _turn: turn })
    }

    pub fn stop(&self) {
        script("kafka.sh", &["down"]).expect("a running broker stops");
    }

    pub fn start(&self) {
        script("kafka.sh", &["up", KAFKA_PORT]).expect("a stopped broker starts");
    }
}

/// A Python with DuckDB.
pub fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(|| script("python.sh", &[]).map(PathBuf::from)).clone()
}

/// A real S3 server of a test's own, ended with it.
pub struct S3 {
    folder: tempfile::TempDir,
    port: u16,
    pid: String,
}

impl S3 {
    /// A server with one bucket.
    pub fn start(bucket: &str) -> Option<S3> {
        // One at a time, or the first two would both install it.
        static TURN: Mutex<()> = Mutex::new(());
        let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join("data").join(bucket)).unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let data = folder.path().join("data");
        let pid = script("s3.sh", &["up", &port.to_string(), data.to_str().unwrap()])?;
        Some(S3 { folder, port, pid })
    }

    /// Where the buckets lie.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How a process reaches it.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ACCESS_KEY_ID", "AK".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "SKSKSKSK".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
        ]
    }

    pub fn reached_by<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.envs(self.environment())
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(&self.pid).status();
    }
}
