//! Same log, same lake: what is written, and what is late, depends on the log
//! alone.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use proptest::prelude::*;
use turnstile::cases::{Case, Expected, Variation, rows};
use turnstile::sources::replay::{Message, Partitions};

const SCRIPT: &str = "
CREATE TABLE ev (
  k STRING, v BIGINT, ms BIGINT, et AS TO_TIMESTAMP_LTZ(ms, 3),
  WATERMARK FOR et AS et - INTERVAL '2' SECOND
) WITH ('connector'='kafka','topic'='ev','properties.bootstrap.servers'='none:1',
  'scan.startup.mode'='earliest-offset','scan.bounded.mode'='latest-offset',
  'format'='csv','csv.ignore-parse-errors'='true');
CREATE TABLE res (window_end TIMESTAMP(3), k STRING, n BIGINT, s BIGINT)
WITH ('connector'='filesystem','path'='res','format'='parquet');
INSERT INTO res SELECT window_end, k, COUNT(*), SUM(v)
FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(et), INTERVAL '5' SECOND))
GROUP BY window_start, window_end, k;";

/// A row of the log: key, value, event time in milliseconds.
type Row = (u8, i64, i64);

/// (window end in ms, key) to (count, sum).
type Result = BTreeMap<(i64, String), (i64, i64)>;

fn case(log: &[Vec<Row>]) -> Case {
    let message = |(k, v, ms): &Row| Message {
        payload: Some(format!("k{k},{v},{ms}").into_bytes()),
        ..Message::default()
    };
    let partitions: Partitions =
        (0..).zip(log).map(|(p, rows)| (p, rows.iter().map(message).collect())).collect();
    Case {
        folder: PathBuf::from("same-log"),
        script: SCRIPT.to_owned(),
        input: BTreeMap::from([("ev".to_owned(), Arc::new(partitions))]),
        expected: Expected::Error,
    }
}

/// The rule itself, row by row: a row is late when the rows before it in its
/// own partition had carried the watermark past its window.
fn expected(log: &[Vec<Row>]) -> (Result, u64) {
    let (mut result, mut late) = (Result::new(), 0);
    for rows in log {
        let mut newest = i64::MIN / 2;
        for (k, v, ms) in rows {
            let end = ms.div_euclid(5_000) * 5_000 + 5_000;
            if newest - 2_000 >= end - 1 {
                late += 1;
            } else {
                let entry = result.entry((end, format!("k{k}"))).or_default();
                *entry = (entry.0 + 1, entry.1 + v);
            }
            newest = newest.max(*ms);
        }
    }
    (result, late)
}

fn collected(batches: &[RecordBatch]) -> Result {
    let mut result = Result::new();
    for batch in batches {
        let ends = batch.column(0).as_primitive::<TimestampMicrosecondType>();
        let keys =
            arrow::compute::cast(batch.column(1), &arrow::datatypes::DataType::Utf8).unwrap();
        let (counts, sums) = (
            batch.column(2).as_primitive::<Int64Type>(),
            batch.column(3).as_primitive::<Int64Type>(),
        );
        for row in 0..batch.num_rows() {
            let key = (ends.value(row) / 1000, keys.as_string::<i32>().value(row).to_owned());
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn rows_and_late_rows_depend_on_the_log_alone(log in log(), seed in any::<u64>()) {
        let case = case(&log);
        let (wanted, late) = expected(&log);
        for workers in [1, 2, 4] {
            for batch_size in [1, 7, 8192] {
                let scratch = tempfile::tempdir().unwrap();
                let variation = Variation { workers, batch_size, seed };
                let written = rows(&case, variation, scratch.path()).unwrap();
                prop_assert_eq!(&collected(&written.tables["res"]), &wanted, "{:?}", variation);
                prop_assert_eq!(written.late_rows, late, "{:?}", variation);
            }
        }
    }
}
