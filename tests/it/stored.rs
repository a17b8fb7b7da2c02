//! A checkpoint that this format version has written goes on being read.
//!
//! `tests/stored/v1` was made by `STORE=1 cargo test --test it stored`: a job that
//! was stopped in the middle. With a new version of the format another folder is
//! made, and the old ones stay.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use turnstile::broker::{EmbeddedBroker, Record};

use super::support::{python, root, text, turnstile};

const MESSAGES: i64 = 4_000;

/// Numbers that no library's next version changes.
fn number(state: &mut u64, below: u64) -> u64 {
    *state =
        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

fn record(state: &mut u64, at: i64) -> Record {
    let ms = 1_700_000_000_000 + at * 10 - i64::try_from(number(state, 3_000)).unwrap();
    let (k, v) = (number(state, 20), number(state, 1000));
    Record { value: Some(format!("k{k},{v},{ms}").into_bytes()), ..Record::default() }
}

/// One of each kind of state, its lake where the process is.
fn script(address: &str) -> String {
    let table = |name: &str, columns: &str| {
        format!(
            "CREATE TABLE {name} ({columns}) WITH ('connector'='filesystem',\
             'path'='lake/{name}','format'='parquet');\n"
        )
    };
    let windowed = "s TIMESTAMP(3), e TIMESTAMP(3), k STRING, n BIGINT, t BIGINT";
    let mut sql = format!(
        "CREATE TABLE t (k STRING, v BIGINT, ms BIGINT, et AS TO_TIMESTAMP_LTZ(ms, 3),
           o BIGINT METADATA FROM 'offset' VIRTUAL,
           WATERMARK FOR et AS et - INTERVAL '1' SECOND
         ) WITH ('connector'='kafka','topic'='t','properties.bootstrap.servers'='{address}',
           'scan.startup.mode'='earliest-offset','scan.bounded.mode'='specific-offsets',
           'scan.bounded.specific-offsets'='partition:0,offset:{MESSAGES}','format'='csv');\n"
    );
    for (name, window) in [
        ("tumble", "TUMBLE(TABLE t, DESCRIPTOR(et), INTERVAL '5' SECOND)"),
        ("hop", "HOP(TABLE t, DESCRIPTOR(et), INTERVAL '1' SECOND, INTERVAL '10' SECOND)"),
        ("session", "SESSION(TABLE t PARTITION BY k, DESCRIPTOR(et), INTERVAL '300' SECOND)"),
    ] {
        let window = window.replace("'300' SECOND", "'2' SECOND");
        sql += &table(name, windowed);
        sql += &format!(
            "INSERT INTO {name} SELECT window_start, window_end, k, COUNT(*), SUM(v) \
             FROM TABLE({window}) GROUP BY window_start, window_end, k;\n"
        );
    }
    sql += &table("first_ones", "k STRING, o BIGINT");
    sql += "INSERT INTO first_ones SELECT k, o FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY \
            k, v ORDER BY et) AS r FROM t) WHERE r = 1;\n";
    sql += &table("joined", "o BIGINT, o2 BIGINT");
    sql += "CREATE VIEW a AS SELECT * FROM t WHERE v > 900;\n\
            CREATE VIEW b AS SELECT * FROM t WHERE v < 100;\n\
            INSERT INTO joined SELECT a.o, b.o FROM a LEFT JOIN b ON a.k = b.k \
            AND b.et BETWEEN a.et AND a.et + INTERVAL '2' SECOND;\n";
    sql
}

fn job(folder: &Path, address: &str) -> Command {
    std::fs::write(folder.join("stored.sql"), script(address)).unwrap();
    let mut command = turnstile();
    command.current_dir(folder).args(["run", "stored.sql", "--workers", "2"]);
    command.env("TURNSTILE_STATE_PATH", "state");
    command.env("TURNSTILE_EXECUTION_CHECKPOINTING_INTERVAL", "100 ms");
    command
}

fn rows(python: &Path, folder: &Path) -> String {
    let program = "import duckdb, sys\n\
        for table in ['tumble', 'hop', 'session', 'first_ones', 'joined']:\n    \
        print(table, *duckdb.execute('select * from read_parquet(?) order by all', \
        [f'{sys.argv[1]}/lake/{table}/*.parquet']).fetchall(), sep='\\n')";
    let output = Command::new(python).args(["-c", program]).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).unwrap();
        }
    }
}

/// A broker with the first `count` messages.
fn broker(count: i64) -> EmbeddedBroker {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    let mut state = 1;
    let records: Vec<Record> = (0..count).map(|at| record(&mut state, at)).collect();
    broker.append("t", 0, &records).unwrap();
    broker
}

/// Leaves `folder` as a job does that is stopped when it has read half.
fn store(folder: &Path) {
    let broker = broker(MESSAGES / 2);
    let mut child = job(folder, &broker.address()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let read_half = |file: &Path| {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.contains(&format!("\"next\":{}", MESSAGES / 2))
    };
    let stored = || {
        let epochs = std::fs::read_dir(folder.join("state/stored/ckpt"));
        epochs.is_ok_and(|epochs| epochs.flatten().any(|epoch| read_half(&epoch.path())))
    };
    while !stored() {
        assert!(Instant::now() < deadline, "half is not read within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::remove_file(folder.join("stored.sql")).unwrap();
}

#[test]
fn what_was_stored_is_gone_on_with() {
    let Some(python) = python() else { return };
    let stored = root().join("tests/stored/v1");
    if std::env::var_os("STORE").is_some() {
        std::fs::create_dir_all(&stored).unwrap();
        store(&stored);
    }
    let whole = broker(MESSAGES);
    let calm = tempfile::tempdir().unwrap();
    let output = job(calm.path(), &whole.address()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let resumed = tempfile::tempdir().unwrap();
    copy(&stored, resumed.path());
    let output = job(resumed.path(), &whole.address()).output().unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("t/0 at {}", MESSAGES / 2)), "{said}");
    assert_eq!(rows(&python, calm.path()), rows(&python, resumed.path()));
}
