//! `turnstile preview` and `turnstile test --new`: a look at live topics.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use turnstile::broker::{EmbeddedBroker, Record};

use super::support::{text, turnstile};

fn record(value: Option<&str>, key: &str, timestamp_ms: i64) -> Record {
    Record {
        value: value.map(|value| value.as_bytes().to_vec()),
        key: Some(key.as_bytes().to_vec()),
        timestamp_ms,
        ..Record::default()
    }
}

/// Ten messages `k0,0` to `k9,9` in two partitions.
fn broker() -> EmbeddedBroker {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 2).unwrap();
    for i in 0..10 {
        let message = record(Some(&format!("k{i},{i}")), "key", 1_700_000_000_000 + i);
        broker.append("t", i32::try_from(i % 2).unwrap(), &[message]).unwrap();
    }
    broker
}

/// `queries/q.sql` with a filesystem sink; `columns` are the source's.
fn query(folder: &Path, columns: &str, select: &str) -> PathBuf {
    let script = format!(
        "CREATE TABLE t ({columns}) WITH ('connector'='kafka','topic'='t',\
         'properties.bootstrap.servers'='${{KAFKA_BOOTSTRAP:-nowhere:1}}',\
         'scan.startup.mode'='earliest-offset','format'='csv');\n\
         CREATE TABLE res (k STRING, v BIGINT) WITH ('connector'='filesystem',\
         'path'='{}/lake','format'='parquet');\nINSERT INTO res {select};\n",
        folder.display()
    );
    let file = folder.join("queries/q.sql");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, script).unwrap();
    file
}

const PLAIN: (&str, &str) = ("k STRING, v BIGINT", "SELECT k, v FROM t WHERE v >= 4");

fn run(broker: &EmbeddedBroker, folder: &Path, args: &[&str]) -> Output {
    let mut command = turnstile();
    command.current_dir(folder).env("KAFKA_BOOTSTRAP", broker.address());
    command.args(args).output().unwrap()
}

#[test]
fn a_preview_shows_the_first_rows_and_writes_nothing() {
    let (broker, folder) = (broker(), tempfile::tempdir().unwrap());
    let file = query(folder.path(), PLAIN.0, PLAIN.1);
    let file = file.to_str().unwrap();
    let output = run(&broker, folder.path(), &["preview", file, "--limit", "3"]);
    assert!(output.status.success(), "{}", text(&output));
    let shown = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(shown.lines().filter(|line| line.starts_with("| k")).count(), 4, "{shown}");
    assert!(shown.contains("| k  | v |"), "{shown}");
    assert!(text(&output).contains("that is enough"), "{}", text(&output));
    assert!(!folder.path().join("lake").exists(), "nothing is written");
}

#[test]
fn a_preview_ends_in_time_and_says_what_it_waits_for() {
    let (broker, folder) = (broker(), tempfile::tempdir().unwrap());
    let file = query(folder.path(), PLAIN.0, PLAIN.1);
    let file = file.to_str().unwrap();
    let output = run(&broker, folder.path(), &["preview", file, "--timeout", "700ms"]);
    assert!(output.status.success(), "{}", text(&output));
    let text = text(&output);
    assert!(text.contains("| k9 | 9 |"), "the six rows there are: {text}");
    assert!(text.contains("700ms are over"), "{text}");
    assert!(text.contains("10 rows read"), "{text}");
}

#[test]
fn a_preview_stops_at_ctrl_c() {
    let (broker, folder) = (broker(), tempfile::tempdir().unwrap());
    let file = query(folder.path(), PLAIN.0, PLAIN.1);
    let mut child = turnstile()
        .env("KAFKA_BOOTSTRAP", broker.address())
        .args(["preview", file.to_str().unwrap(), "--timeout", "5m"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains("Ctrl-C")));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let asked_at = Instant::now();
    let said: Vec<String> = lines.collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    assert!(asked_at.elapsed() < Duration::from_secs(30));
    assert!(said.iter().any(|line| line.contains("nothing was written")), "{said:?}");
}

#[test]
fn a_case_is_recorded_and_passes_once_blessed() {
    let (broker, folder) = (broker(), tempfile::tempdir().unwrap());
    query(folder.path(), PLAIN.0, PLAIN.1);
    let new = ["test", "--new", "queries/q.sql", "--from-topic", "t", "--messages", "4"];
    let output = run(&broker, folder.path(), &[&new[..], &["--name", "first"]].concat());
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("8 messages of 2 partitions"), "{}", text(&output));
    let case = folder.path().join("queries/cases/q/first");
    let read = |name: &str| std::fs::read_to_string(case.join(name)).unwrap();
    assert_eq!(read("input/t.0.csv"), "k0,0\nk2,2\nk4,4\nk6,6\n");
    assert_eq!(read("input/t.1.csv"), "k1,1\nk3,3\nk5,5\nk7,7\n");

    let output = run(&broker, folder.path(), &[&new[..], &["--latest"]].concat());
    assert!(output.status.success(), "{}", text(&output));
    let latest = folder.path().join("queries/cases/q/recorded/input/t.1.csv");
    assert_eq!(std::fs::read_to_string(latest).unwrap(), "k3,3\nk5,5\nk7,7\nk9,9\n");

    drop(broker);
    let test = |args: &[&str]| {
        let mut command = turnstile();
        command.current_dir(folder.path()).arg("test").args(args).output().unwrap()
    };
    assert_eq!(test(&[]).status.code(), Some(1), "nothing is expected yet");
    assert!(test(&["--bless"]).status.success());
    assert!(test(&[]).status.success());
    assert_eq!(read("expected.csv"), "k4,4\nk5,5\nk6,6\nk7,7\n");
}

#[test]
fn what_a_query_reads_besides_the_payload_is_recorded() {
    let (broker, folder) = (broker(), tempfile::tempdir().unwrap());
    let traced = Record {
        headers: vec![("trace".to_owned(), Some(vec![0xff]))],
        ..record(Some("x,1"), "key", 1_700_000_000_123)
    };
    broker.append("t", 0, &[traced, record(None, "gone", 5)]).unwrap();
    let columns = "k STRING, v BIGINT, sent TIMESTAMP_LTZ(3) METADATA FROM 'timestamp'";
    query(folder.path(), columns, "SELECT CAST(sent AS STRING), v FROM t");
    let new = ["test", "--new", "queries/q.sql", "--from-topic", "t", "--messages", "2"];
    let output = run(&broker, folder.path(), &[&new[..], &["--latest"]].concat());
    assert!(output.status.success(), "{}", text(&output));
    let file = folder.path().join("queries/cases/q/recorded/input/t.0.messages.jsonl");
    assert_eq!(
        std::fs::read_to_string(file).unwrap(),
        "{\"timestamp\":1700000000123,\"key\":\"key\",\
         \"headers\":[[\"trace\",{\"base64\":\"/w==\"}]],\"value\":\"x,1\"}\n\
         {\"timestamp\":5,\"key\":\"gone\",\"value\":null}\n"
    );
    let output = run(&broker, folder.path(), &["test", "--bless"]);
    assert!(output.status.success(), "{}", text(&output));
    let rows = folder.path().join("queries/cases/q/recorded/expected.csv");
    let rows = std::fs::read_to_string(rows).unwrap();
    assert!(rows.contains("\"2023-11-14 22:13:20.123\",1\n"), "{rows}");
}

#[test]
fn what_cannot_be_recorded_is_said() {
    let (broker, folder) = (broker(), tempfile::tempdir().unwrap());
    query(folder.path(), PLAIN.0, PLAIN.1);
    let new = ["test", "--new", "queries/q.sql", "--messages", "2"];
    for (more, code, said) in [
        (&["--from-topic", "tt"][..], 2, "did you mean `t`?"),
        (&["--from-topic", "t", "--name", "../x"], 2, "--name cannot be `../x`"),
        (&[], 2, "--from-topic"),
        (&["--from-topic", "t", "--bless"], 2, "cannot be used with"),
    ] {
        let output = run(&broker, folder.path(), &[&new[..], more].concat());
        assert_eq!(output.status.code(), Some(code), "{more:?}: {}", text(&output));
        assert!(text(&output).contains(said), "{more:?}: {}", text(&output));
    }
    assert!(!folder.path().join("queries/cases").exists());
}
