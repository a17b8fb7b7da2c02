//! Whole queries: the optimizer rewrites DISTINCT aggregates by name, and the
//! rows stay right.

use std::sync::Arc;

use arrow::array::{Int32Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::pretty::pretty_format_batches;
use datafusion::execution::SessionStateBuilder;
use datafusion::prelude::{SessionConfig, SessionContext};

fn table() -> RecordBatch {
    let schema = Schema::new(vec![
        Field::new("k", DataType::Utf8View, true),
        Field::new("v", DataType::Int32, true),
        Field::new("w", DataType::Int32, true),
    ]);
    let keys = StringViewArray::from(vec!["a", "a", "a", "a", "b", "b"]);
    let v = Int32Array::from(vec![Some(1), Some(1), Some(4), None, Some(i32::MAX), Some(7)]);
    let w = Int32Array::from(vec![i32::MAX, 1, 1, 1, 5, 5]);
    let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(keys), Arc::new(v), Arc::new(w)];
    RecordBatch::try_new(Arc::new(schema), columns).expect("a table")
}

async fn answer(partitions: usize, query: &str) -> Result<String, String> {
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_aggregate_functions(super::super::all())
        .with_config(SessionConfig::new().with_target_partitions(partitions))
        .build();
    let session = SessionContext::new_with_state(state);
    session.register_batch("t", table()).expect("a new table");
    let frame = session.sql(query).await.map_err(|error| error.to_string())?;
    let schema = Arc::clone(frame.schema().inner());
    let rows = frame.collect().await.map_err(|error| error.to_string())?;
    for batch in &rows {
        assert_eq!(batch.schema().fields().len(), schema.fields().len());
    }
    let types: Vec<_> = schema.fields().iter().map(|f| f.data_type().to_string()).collect();
    let text = pretty_format_batches(&rows).expect("a text").to_string();
    let cells = text.lines().skip(3).filter(|line| line.starts_with("| "));
    let cells = cells.map(|line| line.split_whitespace().collect::<String>());
    Ok(format!("{} {}", types.join(" "), cells.collect::<Vec<_>>().join(" ")))
}

async fn check(query: &str, expected: &str) {
    for partitions in [1, 3] {
        assert_eq!(answer(partitions, query).await.as_deref(), Ok(expected), "{query}");
    }
}

#[tokio::test]
async fn one_distinct_argument_is_grouped_twice() {
    let query = "SELECT k, SUM(DISTINCT v), SUM(w) FROM t GROUP BY k ORDER BY k";
    check(query, "Utf8View Int32 Int32 |a|5|-2147483646| |b|-2147483642|10|").await;
    let query = "SELECT k, AVG(DISTINCT v) FROM t GROUP BY k ORDER BY k";
    check(query, "Utf8View Int32 |a|2| |b|1073741827|").await;
    let query = "SELECT k, COUNT(DISTINCT v), AVG(DISTINCT v) FROM t GROUP BY k ORDER BY k";
    check(query, "Utf8View Int64 Int32 |a|2|2| |b|2|1073741827|").await;
}

#[tokio::test]
async fn distinct_and_plain_aggregates_stand_side_by_side() {
    let query = "SELECT k, SUM(DISTINCT v), AVG(DISTINCT w), AVG(v), \
                 LISTAGG(DISTINCT CAST(v AS VARCHAR), '-') FROM t GROUP BY k ORDER BY k";
    let expected = "Utf8View Int32 Int32 Int32 Utf8View \
                    |a|5|1073741824|2|1-4| |b|-2147483642|5|1073741827|2147483647-7|";
    check(query, expected).await;
}

#[tokio::test]
async fn a_decimal_literal_keeps_its_scale() {
    let query =
        "SELECT SUM(CAST(1.25 AS DECIMAL(5, 2))), AVG(CAST(2 AS DECIMAL(38, 10))) FROM t";
    let expected = "Decimal128(38, 2) Decimal128(38, 10) |7.50|2.0000000000|";
    check(query, expected).await;
}

#[tokio::test]
async fn what_is_no_number_is_refused() {
    for query in ["SELECT SUM(k) FROM t", "SELECT STDDEV_POP(k) FROM t"] {
        let error = answer(1, query).await.expect_err("a string is no number");
        assert!(error.contains("takes a number"), "{error}");
    }
    let error = answer(1, "SELECT LISTAGG(k, k) FROM t").await.expect_err("no literal");
    assert!(error.contains("must be a literal"), "{error}");
    let error = answer(1, "SELECT LISTAGG(v) FROM t").await.expect_err("no string");
    assert!(error.contains("takes strings"), "{error}");
}

#[tokio::test]
async fn sums_and_averages_follow_a_sliding_frame() {
    let query = "SELECT SUM(v) OVER f, AVG(v) OVER f FROM t WHERE k = 'a' \
                 WINDOW f AS (ORDER BY w DESC, v ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)";
    check(query, "Int32 Int32 |1|1| |2|1| |5|2| |4|4|").await;
}
