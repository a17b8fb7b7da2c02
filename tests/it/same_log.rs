//! Same log, same lake: what is written, and what is late, depends on the log
//! alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;
use turnstile::cases::{Case, Variation, rows};
use turnstile::sources::replay::{Message, Partitions};

/// A script that counts and sums by key over a window function.
fn script(window: &str) -> String {
    format!(
        "CREATE TABLE ev (
           k STRING, v BIGINT, ms BIGINT, et AS TO_TIMESTAMP_LTZ(ms, 3),
           WATERMARK FOR et AS et - INTERVAL '2' SECOND
         ) WITH ('connector'='kafka','topic'='ev','properties.bootstrap.servers'='none:1',
           'scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset',
           'format'='csv','csv.ignore-parse-errors'='true');
         CREATE TABLE res (
           window_start TIMESTAMP(3), window_end TIMESTAMP(3), k STRING, n BIGINT, s BIGINT
         ) WITH ('connector'='filesystem','path'='res','format'='parquet');
         INSERT INTO res SELECT window_start, window_end, k, COUNT(*), SUM(v)
         FROM TABLE({window}) GROUP BY window_start, window_end, k;"
    )
}

/// A row of the log: key, value, event time in milliseconds.
type Row = (u8, i64, i64);

/// (window start and end in ms, key) to (count, sum).
type Result = BTreeMap<(i64, i64, String), (i64, i64)>;

const DELAY: i64 = 2_000;

fn case(window: &str, log: &[Vec<Row>]) -> Case {
    let message = |(k, v, ms): &Row| Message {
        payload: Some(format!("k{k},{v},{ms}").into_bytes()),
        ..Message::default()
    };
    let partitions: Partitions =
        (0..).zip(log).map(|(p, rows)| (p, rows.iter().map(message).collect())).collect();
    Case {
        folder: PathBuf::from("same-log"),
        script: script(window),
        input: BTreeMap::from([("ev".to_owned(), Arc::new(partitions))]),
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

fn log() -> impl Strategy<Value = Vec<Vec<Row>>> {
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
    let case = case(window, log);
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
            let found = (collected(&written.tables["res"]), written.late_rows);
            let first = first.get_or_insert_with(|| found.clone());
            assert_eq!(&found, first, "{variation:?} differs from the first");
        }
    }
    first.expect("it has run")
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
}
