//! What lies in the lake, as DuckDB reads it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use turnstile::broker::{EmbeddedBroker, Record};

use super::support::{python, text, turnstile};

const FROM_T: &str = "'connector'='kafka','topic'='t',\
    'scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset','format'='json'";

/// Runs `sql` over topic `t` with these messages, its table `out` in `lake`.
fn run(lake: &Path, messages: &[String], sql: &str) {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", 1).unwrap();
    let record = |message: &String| Record {
        value: Some(message.clone().into_bytes()),
        ..Record::default()
    };
    broker.append("t", 0, &messages.iter().map(record).collect::<Vec<_>>()).unwrap();
    let servers = format!("{FROM_T},'properties.bootstrap.servers'='{}'", broker.address());
    let file = lake.with_extension("sql");
    std::fs::write(&file, sql.replace("FROM_T", &servers)).unwrap();
    let output = turnstile().arg("run").arg(file).env("LAKE", lake).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

/// What a Python program prints of the lake; `None` where there is no Python.
fn read(lake: &Path, program: &str) -> Option<String> {
    let program = format!("import duckdb, json, sys\nlake = sys.argv[1]\n{program}");
    let output = Command::new(python()?).args(["-c", &program]).arg(lake).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    Some(text(&output).trim().to_owned())
}

/// Every file below, by its path from there.
fn files(folder: &Path) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    found.insert(name, path.metadata().unwrap().len());
                }
            }
        }
    }
    found
}

#[test]
fn every_type_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let columns = "b BOOLEAN, i1 TINYINT, i2 SMALLINT, i4 INT, i8 BIGINT, f4 FLOAT, f8 DOUBLE,
        d DECIMAL(38, 10), s STRING, dt DATE, tm TIME, t3 TIMESTAMP(3), t6 TIMESTAMP(6),
        tz TIMESTAMP_LTZ(3), a ARRAY<INT>, m MAP<STRING, BIGINT>, r ROW<x INT, y ARRAY<STRING>>";
    let messages = [
        r#"{"b":true,"i1":-128,"i2":-32768,"i4":-2147483648,"i8":-9223372036854775808,
            "f4":-1.5,"f8":1e-300,"d":1234567890123456789012345678.0123456789,"s":"Köln \"東京\"\n",
            "dt":"0001-01-01","tm":"00:00:00","t3":"1900-01-01 00:00:00.001",
            "t6":"2026-11-23 01:02:03.000004","tz":"2026-11-23 01:02:03.004Z","a":[1,null,3],
            "m":{"k":1,"":null},"r":{"x":1,"y":["a",null]}}"#,
        r#"{"b":false,"i1":127,"i2":32767,"i4":2147483647,"i8":9223372036854775807,
            "f4":3.4e38,"f8":-0.1,"d":-0.0000000001,"s":"","dt":"9999-12-31","tm":"23:59:59",
            "t3":"2262-05-01 00:00:00","t6":"1969-12-31 23:59:59.999999",
            "tz":"1969-12-31 23:59:59.999Z","a":[],"m":{},"r":{"x":null,"y":null}}"#,
        "{}",
    ];
    let sql = format!(
        "CREATE TABLE t ({columns}) WITH (FROM_T,'json.timestamp-format.standard'='SQL');
         CREATE TABLE out_t ({columns}) WITH ('connector'='filesystem','path'='${{LAKE}}','format'='parquet');
         INSERT INTO out_t SELECT * FROM t;"
    );
    run(&lake, &messages.map(|m| m.replace('\n', " ")), &sql);
    let Some(read) = read(
        &lake,
        "duckdb.execute(\"set timezone = 'UTC'\")\n\
         got = duckdb.execute('select * replace (d::varchar as d, dt::varchar as dt, \
         tm::varchar as tm, t3::varchar as t3, t6::varchar as t6, tz::varchar as tz) \
         from read_parquet(?)', [lake + '/*.parquet'])\n\
         print([c[0] for c in got.description])\n\
         for row in got.fetchall(): print(row)\n\
         print(duckdb.execute('select column_type from (describe select * from \
         read_parquet(?))', [lake + '/*.parquet']).fetchall())",
    ) else {
        return;
    };
    let expected = "\
['b', 'i1', 'i2', 'i4', 'i8', 'f4', 'f8', 'd', 's', 'dt', 'tm', 't3', 't6', 'tz', 'a', 'm', 'r']
(True, -128, -32768, -2147483648, -9223372036854775808, -1.5, 1e-300, \
'1234567890123456789012345678.0123456789', 'Köln \"東京\"\\n', '0001-01-01', '00:00:00', \
'1900-01-01 00:00:00.001', '2026-11-23 01:02:03.000004', '2026-11-23 01:02:03.004+00', \
[1, None, 3], {'k': 1, '': None}, {'x': 1, 'y': ['a', None]})
(False, 127, 32767, 2147483647, 9223372036854775807, 3.3999999521443642e+38, -0.1, \
'-0.0000000001', '', '9999-12-31', '23:59:59', '2262-05-01 00:00:00', \
'1969-12-31 23:59:59.999999', '1969-12-31 23:59:59.999+00', [], {}, \
{'x': None, 'y': None})
(None, None, None, None, None, None, None, None, None, None, None, None, None, None, None, \
None, None)
[('BOOLEAN',), ('TINYINT',), ('SMALLINT',), ('INTEGER',), ('BIGINT',), ('FLOAT',), \
('DOUBLE',), ('DECIMAL(38,10)',), ('VARCHAR',), ('DATE',), ('TIME',), ('TIMESTAMP',), \
('TIMESTAMP',), ('TIMESTAMP WITH TIME ZONE',), ('INTEGER[]',), ('MAP(VARCHAR, BIGINT)',), \
('STRUCT(x INTEGER, y VARCHAR[])',)]";
    similar(&read, expected);
}

fn similar(found: &str, expected: &str) {
    for (found, expected) in found.lines().zip(expected.lines()) {
        assert_eq!(found, expected);
    }
    assert_eq!(found.lines().count(), expected.lines().count(), "{found}");
}

/// Whatever a partition's value is, a reader gets it back, and nothing lies
/// outside the table's folder.
#[test]
fn any_text_may_be_a_partition() {
    let values = [
        "plain",
        "../../up",
        "/etc",
        ".",
        "..",
        ".hidden",
        "_hidden",
        "a=b",
        "a%2Fb",
        "100%",
        "x y",
        " ",
        "Köln 東京",
        "\"quoted\"",
        "it's",
        "*?[a]{b}",
        "new\nline",
        "tab\t",
        "back\\slash",
        "#?&=",
        "~",
        "-",
        "😀",
    ];
    let mut messages: Vec<String> = Vec::new();
    for (at, value) in values.iter().enumerate() {
        messages
            .push(serde_json::json!({ "p": value, "day": "2026-11-23", "v": at }).to_string());
    }
    messages.push(r#"{"p":null,"day":null,"v":100}"#.to_owned());
    messages.push(r#"{"p":"","day":"2026-11-23","v":101}"#.to_owned());
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    for format in ["parquet", "csv", "json"] {
        let lake = lake.join(format);
        std::fs::create_dir_all(&lake).unwrap();
        let sql = format!(
            "CREATE TABLE t (v INT, `day` DATE, p STRING) WITH (FROM_T);
             CREATE TABLE out_t (v INT, `day` DATE, p STRING) PARTITIONED BY (`day`, p)
             WITH ('connector'='filesystem','path'='${{LAKE}}','format'='{format}');
             INSERT INTO out_t SELECT * FROM t;"
        );
        run(&lake, &messages, &sql);
        let names = files(&lake);
        assert_eq!(names.len(), messages.len(), "{names:?}");
        let reader = match format {
            "parquet" => "read_parquet(?, hive_partitioning=true, hive_types_autocast=false)",
            "csv" => {
                "read_csv(?, hive_partitioning=true, hive_types_autocast=false, \
                 columns={'v': 'INT'}, header=false)"
            }
            _ => {
                "read_json(?, hive_partitioning=true, hive_types_autocast=false, \
                 format='newline_delimited')"
            }
        };
        let program = format!(
            "got = duckdb.execute('''select v, \"day\", p from {reader} order by v''', \
             [lake + '/**/*.{format}'])\n\
             for row in got.fetchall(): print(json.dumps(row))"
        );
        let Some(read) = read(&lake, &program) else { return };
        let row = |at: usize, day: &str, p: &str| serde_json::json!([at, day, p]);
        let mut expected: Vec<_> =
            values.iter().enumerate().map(|(at, p)| row(at, "2026-11-23", p)).collect();
        let default = "__DEFAULT_PARTITION__";
        expected.push(row(100, default, default));
        expected.push(row(101, "2026-11-23", default));
        let read: Vec<serde_json::Value> =
            read.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, expected, "{format}");
    }
    // The scripts lie beside the folders that they wrote.
    let beside: Vec<String> = files(folder.path()).into_keys().collect();
    assert!(beside.iter().all(|name| name.starts_with("lake")), "{beside:?}");
}

/// Files end at the size asked for, and each is whole as soon as it is seen.
#[test]
fn files_roll_by_size() {
    let folder = tempfile::tempdir().unwrap();
    let lake = folder.path().join("lake");
    let messages: Vec<String> = (0..60_000_u64)
        .map(|v| format!(r#"{{"v":{}}}"#, v * 0x9E37_79B9 % 1_000_003))
        .collect();
    let sql = "CREATE TABLE t (v BIGINT) WITH (FROM_T);
        CREATE TABLE out_t (v BIGINT, h STRING) WITH ('connector'='filesystem','path'='${LAKE}',
          'format'='parquet','sink.rolling-policy.file-size'='1MB');
        INSERT INTO out_t SELECT v, SHA256(CAST(v AS STRING)) FROM t;";
    run(&lake, &messages, sql);
    let sizes = files(&lake);
    assert!(sizes.len() > 1, "{sizes:?}");
    assert!(sizes.values().all(|bytes| *bytes < 3 << 20), "{sizes:?}");
    let Some(read) = read(
        &lake,
        "print(duckdb.execute('select count(*), count(*) filter (h = sha256(v::varchar)), \
         sum(v)::bigint from read_parquet(?)', [lake + '/*.parquet']).fetchall())",
    ) else {
        return;
    };
    let sum: u64 = (0..60_000_u64).map(|v| v * 0x9E37_79B9 % 1_000_003).sum();
    assert_eq!(read, format!("[(60000, 60000, {sum})]"));
}

/// A job that does not end by itself, and the topic it reads.
struct Running {
    broker: EmbeddedBroker,
    file: std::path::PathBuf,
    lake: std::path::PathBuf,
    child: Option<std::process::Child>,
}

impl Running {
    /// Over a topic of `v,ms` lines: a partition a minute.
    fn new(folder: &Path, options: &str) -> Self {
        let query = "INSERT INTO out_t SELECT v, DATE_FORMAT(et, 'yyyy-MM-dd'), \
                     DATE_FORMAT(et, 'HH:mm') FROM t;";
        let columns = "(v BIGINT, dt STRING, hm STRING) PARTITIONED BY (dt, hm)";
        Self::with_query(folder, columns, options, query)
    }

    fn with_query(folder: &Path, columns: &str, options: &str, query: &str) -> Self {
        let broker = EmbeddedBroker::start().unwrap();
        broker.create_topic("t", 1).unwrap();
        let (file, lake) = (folder.join("job.sql"), folder.join("lake"));
        let running = Self { broker, file, lake, child: None };
        running.write(columns, options, query);
        running
    }

    fn write(&self, columns: &str, options: &str, query: &str) {
        let sql = format!(
            "CREATE TABLE t (v BIGINT, ms BIGINT, et AS TO_TIMESTAMP_LTZ(ms, 3), \
               WATERMARK FOR et AS et - INTERVAL '5' SECOND) WITH ('connector'='kafka', \
               'topic'='t','scan.startup.mode'='earliest-offset','format'='csv', \
               'properties.bootstrap.servers'='{}');
             CREATE TABLE out_t {columns} WITH ( \
               'connector'='filesystem','path'='{}','format'='parquet'{options});
             SET 'execution.checkpointing.interval' = '300 ms';
             {query}",
            self.broker.address(),
            self.lake.display()
        );
        std::fs::write(&self.file, sql).unwrap();
    }

    fn start(&mut self) {
        let state = self.lake.with_file_name("state");
        let mut command = turnstile();
        command.arg("run").arg(&self.file).env("TURNSTILE_STATE_PATH", state);
        self.child = Some(command.stderr(std::process::Stdio::null()).spawn().unwrap());
    }

    fn kill(&mut self) {
        let mut child = self.child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Messages at these seconds after midnight.
    fn send(&self, seconds: &[i64]) {
        let record = |s: &i64| Record {
            value: Some(format!("{s},{}", 1_767_225_600_000 + s * 1000).into_bytes()),
            ..Record::default()
        };
        self.broker.append("t", 0, &seconds.iter().map(record).collect::<Vec<_>>()).unwrap();
    }

    fn names(&self) -> Vec<String> {
        if self.lake.is_dir() { files(&self.lake).into_keys().collect() } else { Vec::new() }
    }

    /// Waits until what lies in the lake is so.
    fn wait_until(&self, is_so: impl Fn(&[String]) -> bool) {
        for _ in 0..300 {
            if is_so(&self.names()) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("it never came to be: {:?}", self.names());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.kill();
        }
    }
}

fn success(minute: u32) -> String {
    format!("dt=2026-01-01/hm=00%3A{minute:02}/_SUCCESS")
}

fn have(names: &[String], name: &str) -> bool {
    names.iter().any(|found| found == name)
}

#[test]
fn a_partition_is_told_complete_when_the_watermark_has_passed_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Running::new(
        folder.path(),
        ",'sink.partition-commit.trigger'='partition-time','sink.partition-commit.delay'='1 min',\
         'sink.partition-commit.policy.kind'='success-file',\
         'partition.time-extractor.timestamp-pattern'='$dt $hm:00'",
    );
    job.start();
    // The watermark is at 00:01:00, which is not past it.
    job.send(&[1, 65]);
    job.wait_until(|names| names.len() == 2);
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(job.names().len(), 2, "{:?}", job.names());
    job.kill();
    // One that knows of the partition only from what is stored.
    job.start();
    job.send(&[66]);
    job.wait_until(|names| have(names, &success(0)));
    assert!(!have(&job.names(), &success(1)));
    let before = job.names().len();
    // A row that comes late is shown, and the partition told complete again.
    job.send(&[2, 190]);
    job.wait_until(|names| have(names, &success(1)) && names.len() == before + 3);
    assert!(!have(&job.names(), &success(3)));
}

#[test]
fn rows_wait_for_their_file_through_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut job = Running::new(
        folder.path(),
        ",'sink.rolling-policy.rollover-interval'='4 s','sink.rolling-policy.check-interval'='1 s'",
    );
    job.start();
    let state = folder.path().join("state");
    for second in 0..6 {
        job.send(&[second]);
        std::thread::sleep(std::time::Duration::from_millis(400));
    }
    assert_eq!(job.names(), Vec::<String>::new(), "nothing is old enough");
    let checkpoints = || std::fs::read_dir(state.join("job/ckpt")).unwrap().count();
    assert!(checkpoints() > 2, "they are saved all the same");
    job.kill();
    job.start();
    job.wait_until(|names| names.len() == 1);
    job.kill();
    if let Some(read) = read(
        &job.lake,
        "print(duckdb.execute('select count(*), sum(v)::bigint from read_parquet(?)', \
         [lake + '/*/*/*.parquet']).fetchall())",
    ) {
        assert_eq!(read, "[(6, 15)]");
    }
}

#[test]
fn options_of_partitions_that_would_do_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (options, said) in [
        ("'sink.partition-commit.trigger'='partition-time'", "does nothing without"),
        ("'sink.partition-commit.policy.kind'='metastore'", "`metastore` is not supported"),
        (
            "'sink.partition-commit.policy.kind'='success-file',\
             'partition.time-extractor.timestamp-pattern'='$dt'",
            "this is for 'sink.partition-commit.trigger' = 'partition-time'",
        ),
        (
            "'sink.partition-commit.policy.kind'='success-file',\
             'sink.partition-commit.trigger'='partition-time',\
             'partition.time-extractor.timestamp-pattern'='$day'",
            "the pattern names no partition column",
        ),
        (
            "'sink.partition-commit.policy.kind'='success-file',\
             'sink.partition-commit.trigger'='watermark'",
            "unknown trigger `watermark`",
        ),
        ("'sink.rolling-policy.check-interval'='1 s'", "does nothing without"),
    ] {
        let job = Running::new(folder.path(), &format!(",{options}"));
        let output = turnstile().arg("check").arg(&job.file).output().unwrap();
        assert!(!output.status.success(), "{options}");
        assert!(text(&output).contains(said), "{options}: {}", text(&output));
    }
}

#[test]
fn a_column_computed_of_results_may_be_added_to_a_job_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let query = |columns: &str| {
        format!(
            "INSERT INTO out_t SELECT {columns} FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(et), \
             INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;"
        )
    };
    let mut job = Running::with_query(
        folder.path(),
        "(n BIGINT, v BIGINT)",
        "",
        &query("COUNT(*), SUM(v)"),
    );
    job.start();
    job.send(&[1, 2]);
    let epochs =
        || std::fs::read_dir(folder.path().join("state/job/ckpt")).map_or(0, Iterator::count);
    for _ in 0..200 {
        if epochs() > 4 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    job.kill();
    let more = query("COUNT(*), SUM(v), SUM(v) * 2, DATE_FORMAT(window_end, 'HH:mm')");
    job.write("(n BIGINT, v BIGINT, twice BIGINT, until STRING)", "", &more);
    job.start();
    job.send(&[3, 100]);
    job.wait_until(|names| names.len() == 1);
    job.kill();
    let Some(found) = read(
        &job.lake,
        "print(duckdb.execute('from read_parquet(?)', [lake + '/*.parquet']).fetchall())",
    ) else {
        return;
    };
    assert_eq!(found, "[(3, 6, 12, '00:01')]");
    // Another aggregate is state that was never kept.
    let other = query("COUNT(*), SUM(v), MAX(v), DATE_FORMAT(window_end, 'HH:mm')");
    job.write("(n BIGINT, v BIGINT, twice BIGINT, until STRING)", "", &other);
    let state = folder.path().join("state");
    let output = turnstile()
        .arg("run")
        .arg(&job.file)
        .env("TURNSTILE_STATE_PATH", &state)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("--drop-state"), "{}", text(&output));
    // Another job may begin where this one stands: behind the message of second 100.
    let run = |args: &[&str]| {
        let mut command = turnstile();
        command.arg("run").arg(&job.file).args(args).env("TURNSTILE_STATE_PATH", &state);
        command.stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let other = ["--set", "turnstile.job.name=other"];
    let output = run(&[&other[..], &["--offsets-of", "nobody"]].concat());
    let output = output.wait_with_output().unwrap();
    assert!(text(&output).contains("job `nobody` has no state"), "{}", text(&output));
    job.child = Some(run(&[&other[..], &["--offsets-of", "job"]].concat()));
    job.send(&[110, 200]);
    job.wait_until(|names| names.len() == 2);
    job.kill();
    let read = read(
        &job.lake,
        "print(duckdb.execute('select n, v from read_parquet(?, union_by_name = true) \
         where until <> ?', [lake + '/*.parquet', '00:01']).fetchall())",
    );
    assert_eq!(
        read.as_deref(),
        Some("[(1, 110)]"),
        "what the other had read is not read again"
    );
}
