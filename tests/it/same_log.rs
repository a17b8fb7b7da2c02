//! Same log, same lake: what is written, and what is late, depends on the log
//! alone.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;
use turnstile::cases::{Case, Variation, rows};
use turnstile::sources::replay::{Message, Partitions};

/// A table of rows of the log, on a topic of its name.
fn source(name: &str) -> String {
    format!(
        "CREATE TABLE {name} (
           k STRING, v BIGINT, ms BIGINT, et AS TO_TIMESTAMP_LTZ(ms, 3),
           WATERMARK FOR et AS et - INTERVAL '2' SECOND
         ) WITH ('connector'='kafka','topic'='{name}',
           'properties.bootstrap.servers'='none:1',
           'scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset',
           'format'='csv','csv.ignore-parse-errors'='true');"
    )
}

/// A table of results.
fn sink(columns: &str) -> String {
    format!(
        "CREATE TABLE res ({columns})
         WITH ('connector'='filesystem','path'='res','format'='parquet');"
    )
}

/// A script that counts and sums by key over a window function.
fn script(window: &str) -> String {
    source("ev")
        + &sink(
            "window_start TIMESTAMP(3), window_end TIMESTAMP(3), k STRING, n BIGINT, s BIGINT",
        )
        + &format!(
            "INSERT INTO res SELECT window_start, window_end, k, COUNT(*), SUM(v)
             FROM TABLE({window}) GROUP BY window_start, window_end, k;"
        )
}

/// A row of the log: key, value, event time in milliseconds.
type Row = (u8, i64, i64);

/// (window start and end in ms, key) to (count, sum).
type Result = BTreeMap<(i64, i64, String), (i64, i64)>;

const DELAY: i64 = 2_000;

type Log = Vec<Vec<Row>>;

fn case(script: String, topics: &[(&str, &[Vec<Row>])]) -> Case {
    let message = |(k, v, ms): &Row| Message {
        payload: Some(format!("k{k},{v},{ms}").into_bytes()),
        ..Message::default()
    };
    let partitions = |log: &[Vec<Row>]| -> Partitions {
        (0..).zip(log).map(|(p, rows)| (p, rows.iter().map(message).collect())).collect()
    };
    let topics = topics.iter();
    Case {
        folder: PathBuf::from("same-log"),
        script,
        input: topics.map(|(name, log)| ((*name).to_owned(), partitions(log).into())).collect(),
        ..Case::default()
    }
}

/// The rule itself, row by row: a row is late for a window when the rows before
/// it in its own partition had carried the watermark past the window, and late
/// when it is so for all of its windows. `windows` gives start and end of each.
fn expected(log: &[Vec<Row>], windows: impl Fn(i64) -> Vec<(i64, i64)>) -> (Result, u64) {
    let (mut result, mut late) = (Result::new(), 0);
    for rows in log {
        let mut newest = i64::MIN / 2;
        for (k, v, ms) in rows {
            let mut taken = false;
            for (start, end) in windows(*ms) {
                if newest - DELAY < end - 1 {
                    let entry = result.entry((start, end, format!("k{k}"))).or_default();
                    *entry = (entry.0 + 1, entry.1 + v);
                    taken = true;
                }
            }
            late += u64::from(!taken);
            newest = newest.max(*ms);
        }
    }
    (result, late)
}

fn hops(size: i64, slide: i64) -> impl Fn(i64) -> Vec<(i64, i64)> {
    move |ms| {
        let last = ms.div_euclid(slide) * slide;
        let starts = (0..size / slide).map(|i| last - i * slide);
        starts.map(|start| (start, start + size)).collect()
    }
}

fn cumulations(size: i64, step: i64) -> impl Fn(i64) -> Vec<(i64, i64)> {
    move |ms| {
        let start = ms.div_euclid(size) * size;
        let ends = (1..=size / step).map(|i| start + i * step);
        ends.filter(|end| *end > ms).map(|end| (start, end)).collect()
    }
}

/// Flink's rule for sessions over one partition: a row joins every session that
/// it touches and that has not fired; it is late if what it would become a part
/// of had fired.
fn expected_sessions(rows: &[Row], gap: i64) -> (Result, u64) {
    struct Session {
        key: u8,
        first: i64,
        end: i64,
        count: i64,
        sum: i64,
    }
    let (mut all, mut late) = (Vec::<Session>::new(), 0);
    let mut newest = i64::MIN / 2;
    for (k, v, ms) in rows {
        let watermark = newest - DELAY;
        let mut made = Session { key: *k, first: *ms, end: ms + gap, count: 1, sum: *v };
        let touched = |s: &Session| {
            s.key == *k && s.first <= ms + gap && *ms <= s.end && s.end - 1 > watermark
        };
        let (joined, rest): (Vec<_>, Vec<_>) = all.into_iter().partition(touched);
        all = rest;
        if joined.is_empty() && made.end - 1 <= watermark {
            late += 1;
        } else {
            for session in joined {
                made.first = made.first.min(session.first);
                made.end = made.end.max(session.end);
                made.count += session.count;
                made.sum += session.sum;
            }
            all.push(made);
        }
        newest = newest.max(*ms);
    }
    let mut result = Result::new();
    for s in all {
        let before = result.insert((s.first, s.end, format!("k{}", s.key)), (s.count, s.sum));
        assert_eq!(before, None, "two sessions are never the same");
    }
    (result, late)
}

fn collected(batches: &[RecordBatch]) -> Result {
    let mut result = Result::new();
    for batch in batches {
        let starts = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let ends = batch.column(1).as_primitive::<TimestampMicrosecondType>();
        let keys =
            arrow::compute::cast(batch.column(2), &arrow::datatypes::DataType::Utf8).unwrap();
        let (counts, sums) = (
            batch.column(3).as_primitive::<Int64Type>(),
            batch.column(4).as_primitive::<Int64Type>(),
        );
        for row in 0..batch.num_rows() {
            let name = keys.as_string::<i32>().value(row).to_owned();
            let key = (starts.value(row) / 1000, ends.value(row) / 1000, name);
            let before = result.insert(key.clone(), (counts.value(row), sums.value(row)));
            assert_eq!(before, None, "{key:?} was written twice");
        }
    }
    result
}

fn log() -> impl Strategy<Value = Log> {
    // Event time wanders forward; jumps back make late rows.
    let row = (0u8..5, -100i64..100, -9_000i64..4_000);
    prop::collection::vec(prop::collection::vec(row, 0..60), 4).prop_map(|partitions| {
        let walk = |rows: Vec<Row>| {
            rows.into_iter()
                .enumerate()
                .map(|(i, (k, v, jump))| (k, v, 1_000_000 + i as i64 * 900 + jump))
                .collect()
        };
        partitions.into_iter().map(walk).collect()
    })
}

/// Runs `window` over `log` every way, which must all give the same.
fn every_way(window: &str, log: &[Vec<Row>], seed: u64) -> (Result, u64) {
    run_every_way(&case(script(window), &[("ev", log)]), seed, collected)
}

/// Runs a case every way; what `read` makes of its rows, and the number of late
/// rows, must always be the same.
fn run_every_way<T: Clone + Debug + PartialEq>(
    case: &Case,
    seed: u64,
    read: fn(&[RecordBatch]) -> T,
) -> (T, u64) {
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
                // Saved all the time, and ended at every step.
                crashes: batch_size == 7,
            };
            let written = rows(case, variation, scratch.path()).unwrap();
            let found = (read(&written.tables["res"]), written.late_rows);
            let first = first.get_or_insert_with(|| found.clone());
            assert_eq!(&found, first, "{variation:?} differs from the first");
        }
    }
    first.expect("it has run")
}

/// The row with the watermark that it was judged by: that of its own partition
/// before it.
fn judged(log: &[Vec<Row>]) -> impl Iterator<Item = (&Row, i64)> {
    log.iter().flat_map(|rows| {
        let mut newest = i64::MIN / 2;
        rows.iter().map(move |row| {
            let judged_by = newest - DELAY;
            newest = newest.max(row.2);
            (row, judged_by)
        })
    })
}

/// The values of both sides, sorted.
type Pairs = Vec<(Option<i64>, Option<i64>)>;

/// Rows of equal key, the right one from 1 s before to 3 s after the left, unless
/// one came when the other had been given up; and each without any.
fn expected_pairs(left: &[Vec<Row>], right: &[Vec<Row>]) -> Pairs {
    let (left, right): (Vec<_>, Vec<_>) = (judged(left).collect(), judged(right).collect());
    let mut pairs = Pairs::new();
    let mut paired = (vec![false; left.len()], vec![false; right.len()]);
    for (l, (a, judged_a)) in left.iter().enumerate() {
        for (r, (b, judged_b)) in right.iter().enumerate() {
            let is_near = a.0 == b.0 && (a.2 - 1_000..=a.2 + 3_000).contains(&b.2);
            if is_near && a.2 + 3_000 >= *judged_b && b.2 + 1_000 >= *judged_a {
                pairs.push((Some(a.1), Some(b.1)));
                (paired.0[l], paired.1[r]) = (true, true);
            }
        }
    }
    let alone = |rows: &[(&Row, i64)], paired: &[bool]| -> Vec<i64> {
        let alone = rows.iter().zip(paired).filter(|(_, paired)| !**paired);
        alone.map(|((row, _), _)| row.1).collect()
    };
    pairs.extend(alone(&left, &paired.0).into_iter().map(|v| (Some(v), None)));
    pairs.extend(alone(&right, &paired.1).into_iter().map(|v| (None, Some(v))));
    pairs.sort_unstable();
    pairs
}

fn pairs(batches: &[RecordBatch]) -> Pairs {
    let mut pairs = Pairs::new();
    for batch in batches {
        let column = |i: usize| batch.column(i).as_primitive::<Int64Type>();
        pairs.extend(column(0).iter().zip(column(1)));
    }
    pairs.sort_unstable();
    pairs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn rows_and_late_rows_depend_on_the_log_alone(log in log(), seed in any::<u64>()) {
        let window = "TUMBLE(TABLE ev, DESCRIPTOR(et), INTERVAL '5' SECOND)";
        prop_assert_eq!(every_way(window, &log, seed), expected(&log, hops(5_000, 5_000)));
    }

    #[test]
    fn a_row_counts_in_each_hop_that_it_is_not_late_for(log in log(), seed in any::<u64>()) {
        let window =
            "HOP(TABLE ev, DESCRIPTOR(et), INTERVAL '2' SECOND, INTERVAL '6' SECOND)";
        prop_assert_eq!(every_way(window, &log, seed), expected(&log, hops(6_000, 2_000)));
        let of_many_slices =
            "HOP(TABLE ev, DESCRIPTOR(et), INTERVAL '0.5' SECOND, INTERVAL '13' SECOND)";
        let found = every_way(of_many_slices, &log, seed);
        prop_assert_eq!(found, expected(&log, hops(13_000, 500)));
    }

    #[test]
    fn a_row_counts_in_each_cumulation_that_it_is_not_late_for(
        log in log(), seed in any::<u64>(),
    ) {
        let window =
            "CUMULATE(TABLE ev, DESCRIPTOR(et), INTERVAL '2' SECOND, INTERVAL '10' SECOND)";
        let found = every_way(window, &log, seed);
        prop_assert_eq!(found, expected(&log, cumulations(10_000, 2_000)));
        let of_many_slices =
            "CUMULATE(TABLE ev, DESCRIPTOR(et), INTERVAL '1' SECOND, INTERVAL '20' SECOND)";
        let found = every_way(of_many_slices, &log, seed);
        prop_assert_eq!(found, expected(&log, cumulations(20_000, 1_000)));
    }

    #[test]
    fn sessions_of_one_partition_are_those_of_its_rows_in_order(
        log in log(), seed in any::<u64>(), gap in 1i64..9,
    ) {
        let window = format!(
            "SESSION(TABLE ev PARTITION BY k, DESCRIPTOR(et), INTERVAL '{gap}' SECOND)"
        );
        let rows = log[0].clone();
        let found = every_way(&window, std::slice::from_ref(&rows), seed);
        prop_assert_eq!(found, expected_sessions(&rows, gap * 1_000));
    }

    #[test]
    fn sessions_depend_on_the_log_alone(
        log in log(), seed in any::<u64>(), gap in 1i64..9,
    ) {
        let window = format!(
            "SESSION(TABLE ev PARTITION BY k, DESCRIPTOR(et), INTERVAL '{gap}' SECOND)"
        );
        let (found, late) = every_way(&window, &log, seed);
        let rows = log.iter().map(Vec::len).sum::<usize>() as u64;
        let counted = found.values().map(|(count, _)| *count as u64).sum::<u64>();
        prop_assert_eq!(counted + late, rows);
    }

    #[test]
    fn an_interval_join_pairs_what_its_logs_say(
        left in log(), right in log(), seed in any::<u64>(),
    ) {
        let script = source("ev") + &source("other") + &sink("a BIGINT, b BIGINT")
            + "INSERT INTO res SELECT ev.v, other.v FROM ev FULL JOIN other ON ev.k = other.k
               AND other.et BETWEEN ev.et - INTERVAL '1' SECOND AND ev.et + INTERVAL '3' SECOND;";
        let case = case(script, &[("ev", left.as_slice()), ("other", right.as_slice())]);
        let (found, late) = run_every_way(&case, seed, pairs);
        prop_assert_eq!(found, expected_pairs(&left, &right));
        prop_assert_eq!(late, 0);
    }

    #[test]
    fn the_first_row_of_a_key_is_the_one_of_its_log(log in log(), seed in any::<u64>()) {
        let script = source("ev") + &sink("k BIGINT, v BIGINT")
            + "INSERT INTO res SELECT CAST(SUBSTRING(k, 2) AS BIGINT), v FROM (SELECT *,
               ROW_NUMBER() OVER (PARTITION BY k ORDER BY et ASC) AS n FROM ev) WHERE n = 1;";
        let (found, late) = run_every_way(&case(script, &[("ev", log.as_slice())]), seed, pairs);
        let mut first: BTreeMap<u8, (i64, i64)> = BTreeMap::new();
        let mut expected_late = 0;
        for ((k, v, ms), judged_by) in judged(&log) {
            if *ms < judged_by {
                expected_late += 1;
            } else if first.get(k).is_none_or(|(since, _)| ms < since) {
                first.insert(*k, (*ms, *v));
            }
        }
        let of = |(k, (_, v)): (u8, (i64, i64))| (Some(i64::from(k)), Some(v));
        prop_assert_eq!(found, first.into_iter().map(of).collect::<Vec<_>>());
        prop_assert_eq!(late, expected_late);
    }
}
