//! The commands, on the embedded broker: messages, exit codes, files.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use turnstile::broker::{EmbeddedBroker, Record};

use super::support::{text, turnstile};

/// A query from topic `t` to Parquet below `lake`, with more table options.
fn query(folder: &Path, address: &str, options: &str) -> std::path::PathBuf {
    let lake = folder.join("lake");
    let text = format!(
        "CREATE TABLE t (k STRING, v BIGINT) WITH ('connector'='kafka','topic'='t',\
         'properties.bootstrap.servers'='{address}','properties.default.api.timeout.ms'='8000',\
         'scan.startup.mode'='earliest-offset','format'='csv'{options});\n\
         CREATE TABLE out_t (k STRING, v BIGINT) WITH ('connector'='filesystem',\
         'path'='file://{}','format'='parquet');\n\
         INSERT INTO out_t SELECT k, v FROM t;\n",
        lake.display()
    );
    let file = folder.join("q.sql");
    std::fs::write(&file, text).unwrap();
    file
}

const BOUNDED: &str = ",'scan.bounded.mode'='latest-offset'";

fn record(payload: &str) -> Record {
    Record { value: Some(payload.as_bytes().to_vec()), ..Record::default() }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|e| e.unwrap().path()).collect()
}

#[test]
fn a_bounded_query_ends_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 3).unwrap();
    broker.append("t", 0, &[record("a,1"), record("b,2")]).unwrap();
    broker.append("t", 2, &[record("c,3")]).unwrap();
    let file = query(folder.path(), &broker.address(), BOUNDED);
    let output = turnstile().arg("run").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("3 rows in"), "{}", text(&output));
    assert!(text(&output).contains("3 rows out in 1 files"), "{}", text(&output));
    assert_eq!(files(&folder.path().join("lake")).len(), 1);
}

#[test]
fn an_empty_topic_gives_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 2).unwrap();
    let file = query(folder.path(), &broker.address(), BOUNDED);
    let output = turnstile().arg("run").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(files(&folder.path().join("lake")), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_missing_topic_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start().unwrap();
    let file = query(folder.path(), &broker.address(), "");
    let output = turnstile().arg("run").arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("topic `t` does not exist"), "{}", text(&output));
}

#[test]
fn an_absent_broker_is_given_up_within_the_bound() {
    let folder = tempfile::tempdir().unwrap();
    let file = query(folder.path(), "127.0.0.1:1", "");
    let started = Instant::now();
    let output = turnstile().arg("run").arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("no answer from the brokers at 127.0.0.1:1"));
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_message_that_cannot_be_decoded_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    broker.append("t", 0, &[record("a,1"), record("b,x")]).unwrap();
    let file = query(folder.path(), &broker.address(), BOUNDED);
    let output = turnstile().arg("run").arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let said = text(&output);
    assert!(
        said.contains("topic `t`, partition 0, offset 1") && said.contains("`v`"),
        "{said}"
    );
}

#[test]
fn a_malformed_message_costs_itself_alone() {
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    let mut records: Vec<Record> = (0..10_000).map(|i| record(&format!("k,{i}"))).collect();
    records.insert(5_000, record("too,many,columns"));
    broker.append("t", 0, &records).unwrap();
    let options = format!("{BOUNDED},'csv.ignore-parse-errors'='true'");
    let file = query(folder.path(), &broker.address(), &options);
    let output = turnstile().arg("run").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("10000 rows out"), "{}", text(&output));
    assert!(text(&output).contains("1 not decoded"), "{}", text(&output));
}

#[test]
fn sigterm_finishes_the_batch() {
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    broker.append("t", 0, &[record("a,1")]).unwrap();
    let file = query(folder.path(), &broker.address(), "");
    let mut child =
        turnstile().arg("run").arg(file).stderr(Stdio::piped()).spawn().expect("it starts");
    let lake = folder.path().join("lake");
    let deadline = Instant::now() + Duration::from_secs(30);
    while files(&lake).is_empty() {
        assert!(Instant::now() < deadline, "no file within 30 s");
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success()
    );
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_outage_halfway_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 2).unwrap();
    let some =
        |from: i64| (from..from + 50).map(|i| record(&format!("k,{i}"))).collect::<Vec<_>>();
    broker.append("t", 0, &some(0)).unwrap();
    broker.append("t", 1, &some(50)).unwrap();
    broker.faults().disconnect_next(3);
    let file = query(folder.path(), &broker.address(), BOUNDED);
    let output = turnstile().arg("run").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("100 rows out"), "{}", text(&output));
}

#[test]
fn check_shows_every_mistake_at_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.sql");
    let text_of_file = "CREATE TABLE t (k STRNG) WITH ('connector'='kafka');\n\
         INSERT INTO nowhere SELECT 1;\n";
    std::fs::write(&file, text_of_file).unwrap();
    let output = turnstile().arg("check").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(said.contains("bad.sql:1:19"), "{said}");
    assert!(said.contains("did you mean `STRING`?"), "{said}");
}

#[test]
fn the_projects_queries_check_and_explain() {
    for query in ["turnstile_5min.sql", "turnstile_5min_csv.sql"] {
        let file = super::support::root().join("queries").join(query);
        let output = turnstile().arg("check").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let output = turnstile().arg("explain").arg(&file).output().unwrap();
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        for part in
            ["topic: turnstile", "format: csv", "TUMBLE(size 5 min)", "watermark: event_time"]
        {
            assert!(said.contains(part), "no `{part}` in\n{said}");
        }
    }
}

#[test]
fn the_demo_lands_parquet() {
    let folder = tempfile::tempdir().unwrap();
    let output = turnstile()
        .current_dir(folder.path())
        .args(["demo", "--events", "100000", "--rate", "0"])
        .output()
        .unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("100k readings became"), "{said}");
    let partition = folder.path().join("lake/demo-1/turnstile_5min/DATE=09-23-23");
    assert!(!files(&partition).is_empty(), "{said}");
}

/// Runs the job until it has read so many rows, and stops it.
fn run_until(file: &Path, state: &Path, envs: &[(&str, &str)], rows: &str) -> String {
    let mut command = turnstile();
    command.env("TURNSTILE_STATE_PATH", state).envs(envs.iter().copied());
    let mut child = command.arg("run").arg(file).stderr(Stdio::piped()).spawn().unwrap();
    let lake = file.parent().unwrap().join("lake");
    let deadline = Instant::now() + Duration::from_secs(30);
    let before = files(&lake).len();
    while files(&lake).len() == before {
        assert!(Instant::now() < deadline, "no file within 30 s");
        if child.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = std::process::Command::new("kill").arg(child.id().to_string()).status();
    let output = child.wait_with_output().unwrap();
    let said = text(&output);
    assert!(said.contains(rows), "{said}");
    said
}

/// What was deleted before it was read is not passed over in silence.
#[test]
fn lost_messages_stop_the_job_unless_it_is_told_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    broker.append("t", 0, &[record("a,1"), record("b,2")]).unwrap();
    let options = ",'properties.group.id'='lag-tools'";
    let file = query(folder.path(), &broker.address(), options);
    run_until(&file, &state, &[], "2 rows in");
    assert_eq!(broker.committed_offset("lag-tools", "t", 0), Some(2));
    broker.append("t", 0, &[record("c,3"), record("d,4"), record("e,5")]).unwrap();
    broker.truncate("t", 0, 4).unwrap();
    let mut command = turnstile();
    let output =
        command.env("TURNSTILE_STATE_PATH", &state).arg("run").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    let said = text(&output);
    assert!(
        said.contains("offset 2 of `t` partition 0 is not in the log, which holds 4 to 5"),
        "{said}"
    );
    run_until(&file, &state, &[("TURNSTILE_ON_DATA_LOSS", "earliest")], "3 rows in");
}

/// What cannot be read goes to a table of its own, each message once, and can be
/// sent back.
#[test]
fn dead_letters_are_kept_and_sent_back() {
    let Some(python) = super::support::python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 2).unwrap();
    let header = |key: &str, value: Option<&[u8]>| (key.to_owned(), value.map(<[u8]>::to_vec));
    let broken = Record {
        value: Some(b"b,no number".to_vec()),
        key: Some(vec![0, 255]),
        headers: vec![header("trace", Some(b"7")), header("none", None)],
        timestamp_ms: 1_700_000_000_123,
    };
    broker.append("t", 0, &[record("a,1"), broken, record("c,3")]).unwrap();
    broker.append("t", 1, &[record("too,many,columns")]).unwrap();
    // Without the table's leave to leave them out.
    let file = query(folder.path(), &broker.address(), BOUNDED);
    let dead = folder.path().join("dead");
    let run = |job: &str| {
        let mut command = turnstile();
        command.env("TURNSTILE_DEAD_LETTERS_PATH", &dead).env("TURNSTILE_JOB_NAME", job);
        let output = command.arg("run").arg(&file).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    assert!(run("first").contains("2 not decoded"));
    let program = "import duckdb, sys\n\
        for row in duckdb.execute('''select \"table\", topic, partition, \"offset\", \
        epoch_ms(timestamp), key, payload, headers, error from read_parquet(?) order by partition''', \
        [sys.argv[1] + '/*.parquet']).fetchall(): print(row)";
    let read =
        std::process::Command::new(python).args(["-c", program]).arg(&dead).output().unwrap();
    let said = text(&read);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    assert!(
        lines[0].starts_with(
            "('t', 't', 0, 1, 1700000000123, b'\\x00\\xff', b'b,no number', \
             {'trace': b'7', 'none': None}, "
        ),
        "{said}"
    );
    assert!(lines[1].contains("b'too,many,columns', {}, "), "{said}");
    let mut command = turnstile();
    command.arg("replay").arg(&dead).args(["--bootstrap-servers", &broker.address()]);
    broker.create_topic("mended", 1).unwrap();
    let output = command.args(["--topic", "mended", "--delete"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("2 messages of"), "{}", text(&output));
    assert_eq!(broker.end_offset("mended", 0).unwrap(), 2);
    assert_eq!(files(&dead).len(), 0);
}
