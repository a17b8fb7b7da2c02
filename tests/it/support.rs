//! What the tests start: the binary, a real Kafka, an independent reader.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The binary under test.
pub fn turnstile() -> Command {
    Command::new(env!("CARGO_BIN_EXE_turnstile"))
}

/// Standard error, and standard output behind it.
pub fn text(output: &Output) -> String {
    let (err, out) = (&output.stderr, &output.stdout);
    format!("{}{}", String::from_utf8_lossy(err), String::from_utf8_lossy(out))
}

fn in_ci() -> bool {
    std::env::var_os("CI").is_some()
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
