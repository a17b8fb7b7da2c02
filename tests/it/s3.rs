//! Into a bucket of a real S3 server, read back by DuckDB from the server's own
//! folder.

use std::process::Command;

use turnstile::broker::{EmbeddedBroker, Record};

use super::support::{S3, python, text, turnstile};

fn query(address: &str, path: &str) -> String {
    format!(
        "CREATE TABLE t (k STRING, v BIGINT) WITH ('connector'='kafka','topic'='t',\
         'properties.bootstrap.servers'='{address}','scan.startup.mode'='earliest-offset',\
         'scan.bounded.mode'='latest-offset','format'='csv');\n\
         CREATE TABLE o (k STRING, v BIGINT) PARTITIONED BY (k) WITH (\
         'connector'='filesystem','path'='{path}','format'='parquet');\n\
         INSERT INTO o SELECT k, v FROM t;\n"
    )
}

fn broker() -> EmbeddedBroker {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    let record = |k: &str, v: i64| Record {
        value: Some(format!("{k},{v}").into_bytes()),
        ..Record::default()
    };
    let records = [record("a", 1), record("../b", 2), record("a", 40)];
    broker.append("t", 0, &records).unwrap();
    broker
}

#[test]
fn rows_land_in_a_bucket() {
    let Some(s3) = S3::start("lake") else { return };
    let folder = tempfile::tempdir().unwrap();
    let broker = broker();
    let file = folder.path().join("q.sql");
    std::fs::write(&file, query(&broker.address(), "s3://lake/out")).unwrap();
    let output = s3.reached_by(turnstile().arg("run").arg(&file)).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let Some(python) = python() else { return };
    let script = "import duckdb, sys; \
        print(sorted(duckdb.execute('select k, sum(v)::bigint from read_parquet(?, \
        hive_partitioning=true) group by k', [sys.argv[1]]).fetchall()))";
    let files = s3.folder().join("lake/out/**/*.parquet");
    let read = Command::new(python).args(["-c", script]).arg(files).output().unwrap();
    assert_eq!(text(&read).trim(), "[('../b', 2), ('a', 41)]");
}

#[test]
fn a_missing_bucket_is_named_before_anything_is_read() {
    let Some(s3) = S3::start("lake") else { return };
    let folder = tempfile::tempdir().unwrap();
    let broker = broker();
    let file = folder.path().join("q.sql");
    std::fs::write(&file, query(&broker.address(), "s3://nowhere/out")).unwrap();
    let output = s3.reached_by(turnstile().arg("run").arg(&file)).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(text(&output).contains("s3://nowhere/out"), "{}", text(&output));
}
