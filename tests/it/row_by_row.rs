//! Interval joins and keep-first deduplication: random logs against the rule,
//! written down row by row, every way of running them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;
use turnstile::cases::{Case, Variation, rows};
use turnstile::sources::replay::{Message, Partitions};

/// A row of a log: key, event time in milliseconds. Its place in the log is its
/// identity.
type Row = (u8, i64);
/// By partition.
type Log = Vec<Vec<Row>>;

const DELAY: i64 = 2_000;

fn table(name: &str) -> String {
    format!(
        "CREATE TABLE {name} (
           id BIGINT, k STRING, ms BIGINT, et AS TO_TIMESTAMP_LTZ(ms, 3),
           WATERMARK FOR et AS et - INTERVAL '2' SECOND
         ) WITH ('connector'='kafka','topic'='{name}','properties.bootstrap.servers'='none:1',
           'scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset',
           'format'='csv');"
    )
}

/// A row with its number, unique in its log, and what it is judged by.
#[derive(Debug, Clone, Copy)]
struct Judged {
    id: i64,
    key: u8,
    ms: i64,
    watermark: i64,
}

/// Numbers count through partition after partition.
fn judged(log: &Log) -> Vec<Judged> {
    let mut all = Vec::new();
    for partition in log {
        let mut watermark = i64::MIN / 2;
        for (key, ms) in partition {
            all.push(Judged { id: all.len() as i64, key: *key, ms: *ms, watermark });
            watermark = watermark.max(ms - DELAY);
        }
    }
    all
}

fn partitions(log: &Log) -> Partitions {
    let rows = judged(log);
    let mut rows = rows.iter();
    let mut message = |(k, ms): &Row| Message {
        payload: Some(format!("{},k{k},{ms}", rows.next().unwrap().id).into_bytes()),
        ..Message::default()
    };
    (0..).zip(log).map(|(p, part)| (p, part.iter().map(&mut message).collect())).collect()
}

/// What a script writes: two numbers a row, in order, with -1 for NULL. Checks
/// that it is the same every way.
fn every_way(script: &str, logs: &[(&str, &Log)], seed: u64) -> Vec<(i64, i64)> {
    let topic = |(name, log): &(&str, &Log)| ((*name).to_owned(), Arc::new(partitions(log)));
    let case = Case {
        folder: PathBuf::from("row-by-row"),
        script: script.to_owned(),
        input: logs.iter().map(topic).collect::<BTreeMap<_, _>>(),
        ..Case::default()
    };
    let mut first = None;
    for workers in [1, 2, 4] {
        for batch_size in [1, 7, 8192] {
            let scratch = tempfile::tempdir().unwrap();
            let variation = Variation {
                workers,
                batch_size,
                seed,
                restarts: seed as u32 % 3,
                on_disk: seed.is_multiple_of(2),
                crashes: false,
            };
            let written = rows(&case, variation, scratch.path()).unwrap();
            let found = numbers(&written.tables["res"]);
            let first = first.get_or_insert_with(|| found.clone());
            assert_eq!(&found, first, "{variation:?} differs from the first");
        }
    }
    first.expect("it has run")
}

fn numbers(batches: &[RecordBatch]) -> Vec<(i64, i64)> {
    let mut all = Vec::new();
    for batch in batches {
        let column = |i: usize| batch.column(i).as_primitive::<Int64Type>();
        let value =
            |i: usize, row| if column(i).is_null(row) { -1 } else { column(i).value(row) };
        all.extend((0..batch.num_rows()).map(|row| (value(0, row), value(1, row))));
    }
    all.sort_unstable();
    all
}

/// Pairs whose times are within the bounds and of which neither had ruled the
/// other out when it came; for an outer side also rows without a pair.
fn joined(left: &Log, right: &Log, outer: [bool; 2]) -> Vec<(i64, i64)> {
    let (before, after) = (3_000, 5_000);
    let (left, right) = (judged(left), judged(right));
    let pair = |l: &Judged, r: &Judged| {
        let apart = r.ms - l.ms;
        l.key == r.key
            && (-before..=after).contains(&apart)
            && r.ms + before >= l.watermark
            && l.ms + after >= r.watermark
    };
    let mut all = Vec::new();
    for l in &left {
        let found = right.iter().filter(|r| pair(l, r)).map(|r| (l.id, r.id));
        all.extend(found);
    }
    if outer[0] {
        let alone = left.iter().filter(|l| !right.iter().any(|r| pair(l, r)));
        all.extend(alone.map(|l| (l.id, -1)));
    }
    if outer[1] {
        let alone = right.iter().filter(|r| !left.iter().any(|l| pair(l, r)));
        all.extend(alone.map(|r| (-1, r.id)));
    }
    all.sort_unstable();
    all
}

/// The row with the least time of each key among those that were on time; of
/// equal times the first of the first partition.
fn first_rows(log: &Log) -> Vec<(i64, i64)> {
    let mut first: BTreeMap<u8, (i64, i64)> = BTreeMap::new();
    for row in judged(log).iter().filter(|row| row.ms >= row.watermark) {
        let entry = first.entry(row.key).or_insert((row.ms, row.id));
        *entry = (*entry).min((row.ms, row.id));
    }
    let mut all: Vec<_> = first.values().map(|(ms, id)| (*id, *ms)).collect();
    all.sort_unstable();
    all
}

fn log() -> impl Strategy<Value = Log> {
    let row = (0u8..4, -6_000i64..3_000);
    prop::collection::vec(prop::collection::vec(row, 0..40), 1..4).prop_map(|partitions| {
        let walk = |rows: Vec<(u8, i64)>| {
            let at =
                |(i, (k, jump)): (usize, (u8, i64))| (k, 1_000_000 + i as i64 * 900 + jump);
            rows.into_iter().enumerate().map(at).collect()
        };
        partitions.into_iter().map(walk).collect()
    })
}

fn join_script(join: &str) -> String {
    format!(
        "{}{}CREATE TABLE res (l BIGINT, r BIGINT)
           WITH ('connector'='filesystem','path'='res','format'='parquet');
         INSERT INTO res SELECT a.id, b.id FROM a {join} b ON a.k = b.k
           AND b.et BETWEEN a.et - INTERVAL '3' SECOND AND a.et + INTERVAL '5' SECOND;",
        table("a"),
        table("b")
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn interval_joins_pair_what_lies_within_the_bounds(
        a in log(), b in log(), seed in any::<u64>(),
    ) {
        let logs = [("a", &a), ("b", &b)];
        let kinds = [
            ("JOIN", [false, false]),
            ("LEFT JOIN", [true, false]),
            ("RIGHT JOIN", [false, true]),
            ("FULL JOIN", [true, true]),
        ];
        for (join, outer) in kinds {
            let found = every_way(&join_script(join), &logs, seed);
            prop_assert_eq!(found, joined(&a, &b, outer), "{}", join);
        }
    }

    #[test]
    fn the_first_row_of_each_key_comes_out(log in log(), seed in any::<u64>()) {
        let script = format!(
            "{}CREATE TABLE res (id BIGINT, ms BIGINT)
               WITH ('connector'='filesystem','path'='res','format'='parquet');
             INSERT INTO res SELECT id, ms FROM (
               SELECT *, ROW_NUMBER() OVER (PARTITION BY k ORDER BY et ASC) AS rn FROM a
             ) WHERE rn = 1;",
            table("a")
        );
        let found = every_way(&script, &[("a", &log)], seed);
        prop_assert_eq!(found, first_rows(&log));
    }
}

#[test]
fn windows_over_an_interval_join_wait_for_its_rows() {
    // A left row at 10 s is joined by a right row at 14 s, when the right side's
    // watermark is long past the window of the left one.
    let a: Log = vec![vec![(0, 10_000), (0, 60_000)]];
    let b: Log = vec![vec![(0, 14_000), (0, 60_000)]];
    let script = format!(
        "{}{}CREATE TABLE res (n BIGINT, last_id BIGINT)
           WITH ('connector'='filesystem','path'='res','format'='parquet');
         CREATE VIEW j AS SELECT a.id AS l, b.id AS r, a.et AS et FROM a JOIN b ON a.k = b.k
           AND b.et BETWEEN a.et - INTERVAL '3' SECOND AND a.et + INTERVAL '5' SECOND;
         INSERT INTO res SELECT COUNT(*), MAX(r)
           FROM TABLE(TUMBLE(TABLE j, DESCRIPTOR(et), INTERVAL '2' SECOND))
           GROUP BY window_start, window_end;",
        table("a"),
        table("b")
    );
    let found = every_way(&script, &[("a", &a), ("b", &b)], 1);
    assert_eq!(found, [(1, 0), (1, 1)]);
}
