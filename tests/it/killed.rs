//! A job that is killed again and again writes what one that is let be writes.
//!
//! A long run: `ROUNDS=100 KILL_WITHIN_MS=800 SEED=1 cargo test --release --test it \
//! a_killed_job -- --nocapture`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use turnstile::broker::{EmbeddedBroker, Record};

use super::support::{S3, Watcher, python, rounds, seed, text, turnstile};

const PARTITIONS: i32 = 3;

/// Messages of one partition: mostly in order, some late, some that are none.
fn messages(rng: &mut StdRng, count: i64) -> Vec<Record> {
    let mut now = 1_700_000_000_000_i64;
    let message = |_| {
        now += rng.random_range(0..40);
        let back = if rng.random_ratio(1, 20) {
            rng.random_range(0..20_000)
        } else {
            rng.random_range(0..2_000)
        };
        let (k, v) = (rng.random_range(0..50), rng.random_range(-100..100));
        let text = match rng.random_ratio(1, 200) {
            true => "no,message,at,all".to_owned(),
            false => format!("k{k},{v},{}", now - back),
        };
        Record { value: Some(text.into_bytes()), ..Record::default() }
    };
    (0..count).map(message).collect()
}

/// One of everything that keeps state.
fn script(address: &str, lake: &str) -> String {
    let table = |name: &str, columns: &str| {
        format!(
            "CREATE TABLE {name} ({columns}) WITH ('connector'='filesystem',\
             'path'='{}/{name}','format'='parquet');\n",
            lake
        )
    };
    let windowed = "s TIMESTAMP(3), e TIMESTAMP(3), k STRING, n BIGINT, t BIGINT";
    let over = |window: &str, columns: &str| {
        format!(
            "SELECT window_start, window_end, k, {columns} FROM TABLE({window}) \
             GROUP BY window_start, window_end, k;\n"
        )
    };
    let sums = "COUNT(*), SUM(v)";
    let mut sql = format!(
        "CREATE TABLE t (
           k STRING, v BIGINT, ms BIGINT, p INT METADATA FROM 'partition' VIRTUAL,
           o BIGINT METADATA FROM 'offset' VIRTUAL, et AS TO_TIMESTAMP_LTZ(ms, 3),
           WATERMARK FOR et AS et - INTERVAL '2' SECOND
         ) WITH ('connector'='kafka','topic'='t','properties.bootstrap.servers'='{address}',
           'scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset',
           'format'='csv','csv.ignore-parse-errors'='true');\n"
    );
    sql += &table("plain", "p INT, o BIGINT");
    sql += "INSERT INTO plain SELECT p, o FROM t;\n";
    // Its rows wait in the checkpoint.
    let rolled = table("rolled", "p INT, o BIGINT");
    sql += &rolled.replace(");", ",'sink.rolling-policy.rollover-interval'='700 ms');");
    sql += "INSERT INTO rolled SELECT p, o FROM t;\n";
    for (name, window) in [
        ("tumble", "TUMBLE(TABLE t, DESCRIPTOR(et), INTERVAL '10' SECOND)"),
        ("hop", "HOP(TABLE t, DESCRIPTOR(et), INTERVAL '2' SECOND, INTERVAL '20' SECOND)"),
        (
            "cumulate",
            "CUMULATE(TABLE t, DESCRIPTOR(et), INTERVAL '5' SECOND, INTERVAL '60' SECOND)",
        ),
        ("session", "SESSION(TABLE t PARTITION BY k, DESCRIPTOR(et), INTERVAL '1' SECOND)"),
    ] {
        sql += &table(name, windowed);
        sql += &format!("INSERT INTO {name} {}", over(window, sums));
    }
    let tumble = "TUMBLE(TABLE t, DESCRIPTOR(et), INTERVAL '10' SECOND)";
    sql += &table("listed", "s TIMESTAMP(3), e TIMESTAMP(3), k STRING, l STRING, f BIGINT");
    sql += &format!(
        "INSERT INTO listed {}",
        over(tumble, "LISTAGG(CAST(v AS STRING)), FIRST_VALUE(v)")
    );
    sql += &table("top", "k STRING, v BIGINT, p INT, o BIGINT");
    sql += &format!(
        "INSERT INTO top SELECT k, v, p, o FROM (SELECT *, ROW_NUMBER() OVER (PARTITION BY \
         window_start, window_end, k ORDER BY v DESC) AS r FROM TABLE({tumble})) WHERE r <= 2;\n"
    );
    sql += &table("first_ones", "k STRING, p INT, o BIGINT");
    sql += "INSERT INTO first_ones SELECT k, p, o FROM (SELECT *, ROW_NUMBER() OVER (PARTITION \
            BY k, v ORDER BY et) AS r FROM t) WHERE r = 1;\n";
    sql += &table("joined", "p INT, o BIGINT, p2 INT, o2 BIGINT");
    sql += "CREATE VIEW a AS SELECT * FROM t WHERE v > 80;\n\
            CREATE VIEW b AS SELECT * FROM t WHERE v < -80;\n\
            INSERT INTO joined SELECT a.p, a.o, b.p, b.o FROM a LEFT JOIN b ON a.k = b.k \
            AND b.et BETWEEN a.et AND a.et + INTERVAL '3' SECOND;\n";
    sql += &table("cascade", "e TIMESTAMP(3), n BIGINT, m BIGINT");
    sql += &format!(
        "CREATE VIEW c AS SELECT k, window_time AS wt, COUNT(*) AS n FROM TABLE({tumble}) \
         GROUP BY window_start, window_end, window_time, k;\n\
         INSERT INTO cascade SELECT window_end, SUM(n), COUNT(*) FROM TABLE(TUMBLE(TABLE c, \
         DESCRIPTOR(wt), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end;\n"
    );
    sql
}

const TABLES: &[&str] = &[
    "late",
    "dead",
    "plain",
    "rolled",
    "tumble",
    "hop",
    "cumulate",
    "session",
    "listed",
    "top",
    "first_ones",
    "joined",
    "cascade",
];

/// A job with a lake and a state of its own, on the local disk or in a bucket.
struct Job<'a> {
    /// Below it lie `lake` and `state`.
    folder: PathBuf,
    /// The same, as the job knows it.
    path: String,
    file: PathBuf,
    s3: Option<&'a S3>,
    /// With tables for late rows and dead letters.
    sides: bool,
}

const BUCKET: &str = "bucket";

impl<'a> Job<'a> {
    fn new(scripts: &Path, name: &str, address: &str, s3: Option<&'a S3>) -> Self {
        Self::with_sides(scripts, name, address, s3, false)
    }

    fn with_sides(
        scripts: &Path,
        name: &str,
        address: &str,
        s3: Option<&'a S3>,
        sides: bool,
    ) -> Self {
        let (folder, path) = match s3 {
            Some(s3) => (s3.folder().join(BUCKET).join(name), format!("s3://{BUCKET}/{name}")),
            None => (scripts.join(name), scripts.join(name).display().to_string()),
        };
        let file = scripts.join(format!("{name}.sql"));
        std::fs::write(&file, script(address, &format!("{path}/lake"))).unwrap();
        Self { folder, path, file, s3, sides }
    }

    fn command(&self, workers: usize) -> Command {
        let mut command = turnstile();
        if let Some(s3) = self.s3 {
            s3.reached_by(&mut command);
        }
        if self.sides {
            command.env("TURNSTILE_LATE_ROWS_PATH", format!("{}/lake/late", self.path));
            command.env("TURNSTILE_DEAD_LETTERS_PATH", format!("{}/lake/dead", self.path));
        }
        command
            .env("TURNSTILE_STATE_PATH", format!("{}/state", self.path))
            .env("TURNSTILE_EXECUTION_CHECKPOINTING_INTERVAL", "30 ms")
            .env("TURNSTILE_BATCH_SIZE", "300")
            .args(["run", "--workers", &workers.to_string()])
            .arg(&self.file);
        command
    }

    /// Every table's rows, sorted, as DuckDB reads them.
    fn rows(&self, python: &Path) -> Vec<(&'static str, String)> {
        let program = "import duckdb, sys, glob\n\
            files = glob.glob(sys.argv[1] + '/*.parquet')\n\
            print(*duckdb.execute('select columns(*)::varchar from read_parquet(?) order by all', [files])\
            .fetchall() if files else [], sep='\\n')";
        let read = |table: &&'static str| {
            let lake = self.folder.join("lake").join(table);
            let output = Command::new(python).args(["-c", program]).arg(lake).output().unwrap();
            assert!(output.status.success(), "{}", text(&output));
            (*table, String::from_utf8_lossy(&output.stdout).into_owned())
        };
        TABLES.iter().map(read).collect()
    }
}

/// The report's numbers of rows: in, late, not decoded.
fn counted(said: &str) -> Vec<u64> {
    let line = said.lines().find(|line| line.starts_with("finished after")).expect("a report");
    let before = |word: &str| {
        let end = line.find(word).unwrap_or_else(|| panic!("{word} in {line}"));
        let number = line[..end].trim_end().rsplit([' ', ',']).next().unwrap();
        number.parse().unwrap()
    };
    vec![before("rows in"), before("late"), before("not decoded")]
}

fn filled_broker(rng: &mut StdRng, count: i64) -> EmbeddedBroker {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("t", PARTITIONS).unwrap();
    for partition in 0..PARTITIONS {
        broker.append("t", partition, &messages(rng, count)).unwrap();
    }
    broker
}

/// Kills jobs at random moments until they have finished, and compares.
fn kill(s3: Option<&S3>, sides: bool, count: i64, rounds: u64, seed: u64) {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    let broker = filled_broker(&mut rng, count);
    let calm = Job::with_sides(folder.path(), "calm", &broker.address(), None, sides);
    let output = calm.command(2).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let expected = calm.rows(&python);
    let rows_of = |name: &str| {
        let table = expected.iter().find(|(table, _)| *table == name);
        table.map_or(0, |(_, rows)| rows.lines().filter(|line| !line.is_empty()).count() as u64)
    };
    let expected_counts = counted(&text(&output));
    if sides {
        assert_eq!([rows_of("late"), rows_of("dead")], expected_counts[1..], "all are kept");
    }
    for round in 0..rounds {
        let name = format!("killed-{round}");
        let killed = Job::with_sides(folder.path(), &name, &broker.address(), s3, sides);
        let watcher = Watcher::start(killed.folder.join("lake"));
        let mut kills = 0;
        let said = loop {
            let mut command = killed.command(rng.random_range(1..4));
            let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
            // One that is never given the time to save anything gets nowhere.
            let within = kill_within_ms() * (1 + kills / 20);
            std::thread::sleep(Duration::from_millis(rng.random_range(20..within)));
            // SIGKILL: nothing of the process can act on it.
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            if output.status.success() {
                break text(&output);
            }
            assert!(output.status.code().is_none(), "it failed by itself: {}", text(&output));
            kills += 1;
            assert!(kills < 400, "it comes to no end");
        };
        let files = watcher.finish();
        for ((table, expected), (_, found)) in expected.iter().zip(killed.rows(&python)) {
            assert!(*expected == found, "round {round}, {kills} kills: `{table}` differs");
        }
        if !said.contains("has finished before") {
            assert_eq!(counted(&said), expected_counts, "round {round}, {kills} kills");
        }
        eprintln!("round {round}: {kills} kills, {files} files, each whole when it was seen");
    }
}

/// In each partition.
fn messages_each(default: i64) -> i64 {
    std::env::var("MESSAGES").map_or(default, |count| count.parse().unwrap())
}

fn kill_within_ms() -> u64 {
    std::env::var("KILL_WITHIN_MS").map_or(1_500, |ms| ms.parse().unwrap())
}

#[test]
fn a_killed_job_writes_each_row_once() {
    kill(None, false, messages_each(20_000), rounds(), seed());
}

#[test]
fn a_killed_job_writes_each_row_once_in_a_bucket() {
    let Some(s3) = S3::start(BUCKET) else { return };
    kill(Some(&s3), false, messages_each(10_000), rounds(), seed());
}

/// Late rows and dead letters are under the same commit.
#[test]
fn a_killed_job_keeps_each_late_row_and_dead_letter_once() {
    kill(None, true, messages_each(10_000), rounds(), seed());
}

/// A second process of a job takes it over; the first one stops, and between
/// them they write each row once.
#[test]
fn of_two_processes_the_later_goes_on() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let broker = filled_broker(&mut StdRng::seed_from_u64(seed()), 30_000);
    let calm = Job::new(folder.path(), "calm", &broker.address(), None);
    let output = calm.command(2).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let job = Job::new(folder.path(), "contended", &broker.address(), None);
    let mut running: Vec<std::process::Child> = Vec::new();
    for _ in 0..4 {
        let mut command = job.command(1);
        running.push(command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        std::thread::sleep(Duration::from_millis(300));
    }
    let last = running.pop().unwrap().wait_with_output().unwrap();
    assert!(last.status.success(), "{}", text(&last));
    for process in running {
        let output = process.wait_with_output().unwrap();
        let said = text(&output);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("has been taken over by process"), "{said}");
    }
    assert!(calm.rows(&python) == job.rows(&python));
}

/// What a job has saved can be looked at, checked, and gone back to.
#[test]
fn what_is_saved_can_be_looked_at_and_gone_back_to() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let broker = filled_broker(&mut StdRng::seed_from_u64(seed()), 5_000);
    let job = Job::new(folder.path(), "looked-at", &broker.address(), None);
    let output = job.command(2).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let rows = job.rows(&python);
    let state = |args: &[&str]| {
        let mut command = turnstile();
        command.env("TURNSTILE_STATE_PATH", format!("{}/state", job.path)).arg("state");
        let output = command.args(args).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let listed = state(&["list", "looked-at"]);
    let epochs: Vec<u64> = listed
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    let shown = state(&["show", "looked-at"]);
    assert!(
        shown.contains("15000 rows in") && shown.contains("next offset 5000 of 5000"),
        "{shown}"
    );
    for epoch in &epochs {
        let said = state(&["verify", "looked-at", "--epoch", &epoch.to_string()]);
        assert!(said.contains("is whole"), "{said}");
    }
    let middle = epochs[epochs.len() / 2].to_string();
    let said = state(&["restore", "looked-at", "--epoch", &middle]);
    for file in said.lines().filter_map(|line| line.trim().strip_suffix(".parquet")) {
        std::fs::remove_file(format!("{file}.parquet")).unwrap();
    }
    let output = job.command(2).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert!(text(&output).contains("goes on from epoch"), "{}", text(&output));
    assert!(rows == job.rows(&python));
    let said = state(&["collect", "looked-at", "--keep", "2"]);
    assert!(said.starts_with("deleted ") && !said.starts_with("deleted 0 "), "{said}");
    let left = state(&["list", "looked-at"]).lines().skip(1).count();
    assert!((2..=3).contains(&left), "{left} checkpoints");
    let staged = std::fs::read_dir(job.folder.join("state/looked-at/staged")).unwrap();
    assert!(staged.count() <= 1, "what other processes staged is gone");
    assert!(state(&["verify", "looked-at"]).contains("is whole"));
    assert!(job.command(1).output().unwrap().status.success());
    assert!(rows == job.rows(&python));
}

/// A changed query does not go on with state that is not its own.
#[test]
fn a_changed_query_is_refused_until_it_drops_its_state() {
    let folder = tempfile::tempdir().unwrap();
    let broker = filled_broker(&mut StdRng::seed_from_u64(seed()), 100);
    let job = Job::new(folder.path(), "changed", &broker.address(), None);
    assert!(job.command(1).output().unwrap().status.success());
    let sql = std::fs::read_to_string(&job.file).unwrap();
    // White space and comments are not the query.
    std::fs::write(&job.file, format!("-- a remark\n{}", sql.replace(", ", " ,  "))).unwrap();
    let output = job.command(2).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let other =
        sql.replace("INTERVAL '5' SECOND, INTERVAL '60'", "INTERVAL '6' SECOND, INTERVAL '60'");
    assert_ne!(sql, other);
    std::fs::write(&job.file, other).unwrap();
    let output = job.command(1).output().unwrap();
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("-     ") || said.contains("-   "), "{said}");
    assert!(said.contains("CUMULATE(step 6 s") && said.contains("--drop-state"), "{said}");
    let output = job.command(1).arg("--drop-state").output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}
