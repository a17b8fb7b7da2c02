//! On a real Kafka, read back by an independent reader.

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use parquet::file::reader::{FileReader as _, SerializedFileReader};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use turnstile::readings::Readings;

use super::support::{Kafka, python, root, text, turnstile};

const PARTITIONS: i32 = 4;

pub fn client(address: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", address).set("linger.ms", "20");
    config
}

/// A topic that no other run has used.
pub fn fresh_topic(address: &str, name: &str, partitions: i32) -> String {
    let topic = format!("{name}-{}", uuid::Uuid::new_v4().simple());
    let admin: AdminClient<DefaultClientContext> = client(address).create().unwrap();
    let new = NewTopic::new(&topic, partitions, TopicReplication::Fixed(1));
    let made = admin.create_topics([&new], &AdminOptions::new());
    futures::executor::block_on(made).unwrap().remove(0).unwrap();
    // The broker that is asked learns of it a moment after the controller.
    let deadline = Instant::now() + Duration::from_secs(30);
    let is_there = || {
        let found = admin.inner().fetch_metadata(Some(&topic), Duration::from_secs(5));
        found.is_ok_and(|found| {
            let all = found.topics().iter().flat_map(|topic| topic.partitions());
            let led = all.filter(|p| p.error().is_none() && p.leader() >= 0).count();
            i32::try_from(led).unwrap() == partitions
        })
    };
    while !is_there() {
        assert!(Instant::now() < deadline, "{topic} does not come to be");
        std::thread::sleep(Duration::from_millis(20));
    }
    topic
}

pub fn send(producer: &BaseProducer, topic: &str, partition: i32, payload: &[u8]) {
    loop {
        let record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(payload);
        match producer.send(record) {
            Ok(()) => return,
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.poll(Duration::from_millis(10));
            }
            Err((error, _)) => panic!("{error}"),
        }
    }
}

/// Readings, a few of them broken, to the topic; and, for the oracle, as
/// `partition TAB offset TAB line` to `raw`.
fn produce(address: &str, topic: &str, count: usize, raw: &Path) {
    let producer: BaseProducer = client(address).create().unwrap();
    let mut raw = std::io::BufWriter::new(std::fs::File::create(raw).unwrap());
    let mut readings = Readings::new(11);
    let mut offsets = [0u64; PARTITIONS as usize];
    let (mut line, mut id) = (Vec::new(), Vec::new());
    for i in 0..count {
        line.clear();
        id.clear();
        readings.next(&mut line, &mut id);
        match i % 1000 {
            7 => line.extend_from_slice(b",one too many"),
            77 => line = b"A001,R001,broken".to_vec(),
            777 => {
                let text = String::from_utf8(line.clone()).unwrap();
                let mut fields: Vec<&str> = text.split(',').collect();
                fields[9] = "many";
                line = fields.join(",").into_bytes();
            }
            _ => {}
        }
        let partition = usize::from(id[0]) % offsets.len();
        send(&producer, topic, i32::try_from(partition).unwrap(), &line);
        write!(raw, "{partition}\t{}\t", offsets[partition]).unwrap();
        raw.write_all(&line).unwrap();
        raw.write_all(b"\n").unwrap();
        offsets[partition] += 1;
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    raw.flush().unwrap();
}

/// The mission's query over `topic`, ending at the topic's end.
fn bounded_query(topic: &str) -> String {
    let query = std::fs::read_to_string(root().join("queries/turnstile_5min.sql")).unwrap();
    let bounded = format!("'topic' = '{topic}',\n  'scan.bounded.mode' = 'latest-offset',");
    query.replace("'topic' = 'turnstile',", &bounded)
}

/// DuckDB computes the rows from the raw messages and compares.
fn compare(raw: &Path, lake: &Path, late: u64) {
    let Some(python) = python() else { return };
    let script = root().join("tests/oracle/turnstile_5min.py");
    let output = Command::new(python)
        .arg(script)
        .arg(raw)
        .arg(lake)
        .arg(late.to_string())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

/// The number before `what` in the closing line.
fn number(said: &str, what: &str) -> u64 {
    let closing = said.lines().find(|line| line.starts_with("finished")).unwrap_or(said);
    let before = closing.split(what).next().unwrap().trim_end();
    before.rsplit([' ', '\n']).next().unwrap().parse().unwrap_or_else(|_| panic!("{said}"))
}

#[test]
fn a_million_readings_equal_what_duckdb_computes() {
    let Some(kafka) = Kafka::get() else { return };
    let folder = tempfile::tempdir().unwrap();
    let topic = fresh_topic(&kafka.address, "readings", PARTITIONS);
    let raw = folder.path().join("raw.tsv");
    produce(&kafka.address, &topic, 1_000_000, &raw);
    let query = folder.path().join("q.sql");
    std::fs::write(&query, bounded_query(&topic)).unwrap();
    let lake = folder.path().join("lake");
    let output = turnstile()
        .arg("run")
        .arg(&query)
        .env("KAFKA_BOOTSTRAP", &kafka.address)
        .env("LAKE", format!("file://{}", lake.display()))
        .output()
        .unwrap();
    let said = text(&output);
    assert!(output.status.success(), "{said}");
    assert_eq!(number(&said, " rows in"), 1_000_000, "{said}");
    assert_eq!(number(&said, " not decoded"), 2_000, "{said}");
    compare(&raw, &lake.join("turnstile_5min"), number(&said, " late"));
}

#[test]
fn a_broker_that_stops_halfway_and_comes_back_costs_nothing() {
    let Some(kafka) = Kafka::get() else { return };
    let folder = tempfile::tempdir().unwrap();
    let topic = fresh_topic(&kafka.address, "halfway", 2);
    let producer: BaseProducer = client(&kafka.address).create().unwrap();
    for i in 0..1_000 {
        send(&producer, &topic, i % 2, format!("k,{i}").as_bytes());
    }
    producer.flush(Duration::from_secs(30)).unwrap();
    let lake = folder.path().join("lake");
    let query = folder.path().join("q.sql");
    let script = format!(
        "SET 'execution.checkpointing.interval' = '100 ms';\n\
         CREATE TABLE t (k STRING, v BIGINT) WITH ('connector'='kafka','topic'='{topic}',\
         'properties.bootstrap.servers'='{}','scan.startup.mode'='earliest-offset',\
         'format'='csv');\n\
         CREATE TABLE o (v BIGINT) WITH ('connector'='filesystem','path'='file://{}',\
         'format'='parquet');\nINSERT INTO o SELECT v FROM t;\n",
        kafka.address,
        lake.display()
    );
    std::fs::write(&query, script).unwrap();
    let mut child = turnstile().arg("run").arg(&query).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_rows(&lake, 1_000, &mut child);
    kafka.stop();
    kafka.start();
    for i in 1_000..2_000 {
        send(&producer, &topic, i % 2, format!("k,{i}").as_bytes());
    }
    producer.flush(Duration::from_secs(60)).unwrap();
    wait_for_rows(&lake, 2_000, &mut child);
    Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("2000 rows out"), "{}", text(&output));
}

/// Waits until the Parquet files below `lake` hold `count` rows.
fn wait_for_rows(lake: &Path, count: i64, child: &mut Child) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let rows = rows_in(lake);
        if rows == count {
            return;
        }
        let exited = child.try_wait().unwrap();
        assert!(rows < count && exited.is_none(), "{rows} rows, exited: {exited:?}");
        assert!(Instant::now() < deadline, "{rows} of {count} rows within 120 s");
        std::thread::sleep(Duration::from_millis(100));
    }
}

pub fn rows_in(lake: &Path) -> i64 {
    let Ok(files) = std::fs::read_dir(lake) else { return 0 };
    let rows = |path: std::path::PathBuf| {
        let file = std::fs::File::open(path).unwrap();
        SerializedFileReader::new(file).unwrap().metadata().file_metadata().num_rows()
    };
    let files = files.map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|e| e == "parquet")).map(rows).sum()
}

/// Runs `SELECT v` over `topic` to its end.
fn run_to_the_end(kafka: &Kafka, topic: &str, folder: &Path) -> Output {
    let query = folder.join("q.sql");
    let script = format!(
        "CREATE TABLE t (k STRING, v BIGINT) WITH ('connector'='kafka','topic'='{topic}',\
         'properties.bootstrap.servers'='{}','scan.startup.mode'='earliest-offset',\
         'scan.bounded.mode'='latest-offset','format'='csv');\n\
         CREATE TABLE o (v BIGINT) WITH ('connector'='filesystem','path'='file://{}',\
         'format'='parquet');\nINSERT INTO o SELECT v FROM t;\n",
        kafka.address,
        folder.join("lake").display()
    );
    std::fs::write(&query, script).unwrap();
    turnstile().arg("run").arg(&query).output().unwrap()
}

#[test]
fn a_missing_topic_stops_the_job_and_is_named() {
    let Some(kafka) = Kafka::get() else { return };
    let folder = tempfile::tempdir().unwrap();
    let output = run_to_the_end(&kafka, "nobody-made-this", folder.path());
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("topic `nobody-made-this` does not exist"));
}

#[test]
fn empty_topics_and_partitions_hold_nothing_back() {
    let Some(kafka) = Kafka::get() else { return };
    let folder = tempfile::tempdir().unwrap();
    let topic = fresh_topic(&kafka.address, "empty", 3);
    let output = run_to_the_end(&kafka, &topic, folder.path());
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(rows_in(&folder.path().join("lake")), 0);
    let producer: BaseProducer = client(&kafka.address).create().unwrap();
    send(&producer, &topic, 1, b"k,7");
    producer.flush(Duration::from_secs(30)).unwrap();
    let output = run_to_the_end(&kafka, &topic, folder.path());
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(rows_in(&folder.path().join("lake")), 1);
}
