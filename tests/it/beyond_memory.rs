//! State beyond `turnstile.state.memory-limit`: what can be worked on part by part
//! is, and the rest stops before it takes more, to go on under a larger limit.

use std::path::Path;
use std::process::{Command, Output};

use super::support::{python, text, turnstile};

const KEYS: u32 = 300_000;

/// A folder with a query over a window with that many keys, each of which has one row.
fn folder_with(select: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "CREATE TABLE t (k BIGINT, et AS TO_TIMESTAMP_LTZ(CAST(0 AS BIGINT), 3),
           WATERMARK FOR et AS et)
         WITH ('connector'='datagen','rows-per-second'='100000000','number-of-rows'='{KEYS}',
           'fields.k.kind'='sequence','fields.k.start'='1','fields.k.end'='{KEYS}');
         CREATE TABLE o (k BIGINT, n BIGINT) WITH ('connector'='filesystem','path'='{}',
           'format'='parquet');
         CREATE VIEW keys AS SELECT window_start, window_end, k, COUNT(*) AS n
           FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(et), INTERVAL '1' DAY))
           GROUP BY window_start, window_end, k;
         INSERT INTO o {select};",
        folder.path().join("o").display()
    );
    std::fs::write(folder.path().join("q.sql"), script).unwrap();
    folder
}

fn run(folder: &Path, limit: &str) -> Output {
    let mut command = turnstile();
    command
        .env("TURNSTILE_STATE_PATH", folder.join("state"))
        .env("TURNSTILE_STATE_MEMORY_LIMIT", limit)
        .args(["run", "--workers", "2"])
        .arg(folder.join("q.sql"));
    command.output().unwrap()
}

/// How many rows, how many different keys, and the sum of `n`.
fn numbers(python: &Path, folder: &Path) -> String {
    let program = "import duckdb, sys\n\
        print(duckdb.execute('select count(*), count(distinct k), sum(n) from read_parquet(?)', \
        [sys.argv[1] + '/*.parquet']).fetchall())";
    let mut command = Command::new(python);
    let output = command.args(["-c", program]).arg(folder.join("o")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output).trim().to_owned()
}

#[test]
fn a_window_larger_than_memory_comes_out_whole() {
    let Some(python) = python() else { return };
    let folder = folder_with("SELECT k, n FROM keys");
    let output = run(folder.path(), "4 MB");
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(numbers(&python, folder.path()), format!("[({KEYS}, {KEYS}, {KEYS})]"));
}

#[test]
fn what_needs_more_than_memory_stops_and_goes_on_under_a_larger_limit() {
    let Some(python) = python() else { return };
    let folder =
        folder_with("SELECT MAX(k), COUNT(*) FROM keys GROUP BY window_start, window_end");
    let output = run(folder.path(), "4 MB");
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("`turnstile.state.memory-limit` is 4"), "{}", text(&output));
    let output = run(folder.path(), "400 MB");
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(numbers(&python, folder.path()), format!("[(1, 1, {KEYS})]"));
}
