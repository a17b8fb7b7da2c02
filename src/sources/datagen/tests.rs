//! Rows as Flink's documentation of `datagen` describes them.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};

use super::*;
use crate::diagnostics::{Span, Spanned};
use crate::types::{ColumnType, RowField, SqlType};

fn column(name: &str, ty: SqlType) -> Column {
    Column { name: name.to_owned(), ty: ty.nullable() }
}

fn bound(columns: &[Column], given: &[(&str, &str)]) -> Result<BoundSource, Vec<String>> {
    let spanned = |text: &str| Spanned::new(text.to_owned(), Span::default());
    let entries = given.iter().map(|(key, value)| (spanned(key), spanned(value)));
    let table =
        SourceTable { name: "t", name_span: Span::default(), columns, time_zone: "UTC" };
    bind(&table, Options::new(Span::default(), entries))
        .map_err(|errors| errors.into_iter().map(|e| e.message).collect())
}

/// Reads all rows of a bounded table, every column.
fn rows(columns: &[Column], given: &[(&str, &str)]) -> Vec<RecordBatch> {
    let mut given = given.to_vec();
    given.push(("rows-per-second", "1000000000"));
    let source = bound(columns, &given).unwrap().source;
    let projection = (0..columns.len()).collect();
    let request = OpenRequest { projection, ..OpenRequest::default() };
    let mut open = source.open(&request).unwrap();
    let splits = open.discover().unwrap();
    assert_eq!(open.discover().unwrap(), []);
    let mut reader = open.reader(splits).unwrap();
    let mut batches = Vec::new();
    loop {
        let polled = reader.poll(7, Duration::from_secs(1)).unwrap();
        for (_, data) in polled.data {
            let Data::Rows(batch) = data else { panic!("rows, not messages") };
            assert!(batch.num_rows() <= 7);
            batches.push(batch);
        }
        if !polled.finished.is_empty() {
            return batches;
        }
    }
}

#[test]
fn a_sequence_ends_the_table() {
    let columns = [column("id", SqlType::BigInt), column("name", SqlType::STRING)];
    let batches = rows(
        &columns,
        &[
            ("fields.id.kind", "sequence"),
            ("fields.id.start", "5"),
            ("fields.id.end", "24"),
            ("fields.name.kind", "sequence"),
            ("fields.name.start", "1"),
            ("fields.name.end", "100"),
        ],
    );
    let ids: Vec<i64> = batches
        .iter()
        .flat_map(|b| b.column(0).as_primitive::<Int64Type>().values().to_vec())
        .collect();
    assert_eq!(ids, (5..=24).collect::<Vec<_>>());
    assert_eq!(batches[0].column(1).as_string_view().value(0), "1");
}

#[test]
fn random_numbers_stay_in_their_range() {
    let decimal = SqlType::Decimal { precision: 5, scale: 2 };
    let columns = [column("n", SqlType::BigInt), column("d", decimal)];
    let batches = rows(
        &columns,
        &[
            ("number-of-rows", "500"),
            ("fields.n.min", "-2"),
            ("fields.n.max", "2"),
            ("fields.d.min", "1.5"),
            ("fields.d.max", "1.55"),
        ],
    );
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 500);
    for batch in batches {
        let numbers = batch.column(0).as_primitive::<Int64Type>().values();
        assert!(numbers.iter().all(|n| (-2..=2).contains(n)));
        let decimals = batch.column(1).as_primitive::<Decimal128Type>().values();
        assert!(decimals.iter().all(|d| (150..=155).contains(d)));
    }
}

#[test]
fn every_type_is_made_as_declared() {
    let types = [
        SqlType::Char(3),
        SqlType::Varchar(8),
        SqlType::STRING,
        SqlType::Boolean,
        SqlType::Binary(4),
        SqlType::BYTES,
        SqlType::Decimal { precision: 38, scale: 10 },
        SqlType::TinyInt,
        SqlType::SmallInt,
        SqlType::Int,
        SqlType::BigInt,
        SqlType::Float,
        SqlType::Double,
        SqlType::Date,
        SqlType::Time(0),
        SqlType::Timestamp(3),
        SqlType::Timestamp(9),
        SqlType::TimestampLtz(3),
        SqlType::Array(Box::new(SqlType::Int.nullable())),
        SqlType::Map(
            Box::new(SqlType::STRING.not_null()),
            Box::new(SqlType::Double.nullable()),
        ),
        SqlType::Row(vec![RowField { name: "x".to_owned(), ty: SqlType::Int.nullable() }]),
    ];
    let columns: Vec<Column> = types
        .iter()
        .enumerate()
        .map(|(i, ty)| Column {
            name: format!("c{i}"),
            ty: ColumnType { ty: ty.clone(), nullable: true },
        })
        .collect();
    let batches = rows(&columns, &[("number-of-rows", "10"), ("fields.c20.null-rate", "0.5")]);
    // Lengths are the type's, or 100 where the type has none.
    assert_eq!(batches[0].column(0).as_string_view().value(0).len(), 3);
    assert_eq!(batches[0].column(1).as_string_view().value(0).len(), 8);
    assert_eq!(batches[0].column(2).as_string_view().value(0).len(), 100);
    assert_eq!(batches[0].column(5).as_binary_view().value(0).len(), 100);
}

#[test]
fn lengths_nulls_and_past_follow_their_options() {
    let columns = [
        column("s", SqlType::STRING),
        column("n", SqlType::Int),
        column("t", SqlType::TimestampLtz(3)),
    ];
    let before_ms = SystemClock.now_ms();
    let batches = rows(
        &columns,
        &[
            ("number-of-rows", "100"),
            ("fields.s.length", "4"),
            ("fields.s.var-len", "true"),
            ("fields.n.null-rate", "1"),
            ("fields.t.max-past", "10 s"),
        ],
    );
    for batch in batches {
        let texts = batch.column(0).as_string_view();
        assert!(texts.iter().flatten().all(|s| (1..=4).contains(&s.len())));
        assert_eq!(batch.column(1).null_count(), batch.num_rows());
        let times = batch.column(2).as_primitive::<TimestampMicrosecondType>().values();
        assert!(times.iter().all(|t| t / 1000 >= before_ms - 10_000));
    }
}

#[test]
fn without_an_end_it_is_unbounded() {
    let columns = [column("n", SqlType::Int)];
    assert!(!bound(&columns, &[]).unwrap().source.is_bounded());
    assert!(bound(&columns, &[("number-of-rows", "0")]).unwrap().source.is_bounded());
    assert_eq!(rows(&columns, &[("number-of-rows", "0")]).len(), 0);
}

#[test]
fn mistakes_come_together() {
    let columns = [column("n", SqlType::Int), column("b", SqlType::Boolean)];
    let errors = bound(
        &columns,
        &[
            ("rows-per-second", "0"),
            ("fields.n.kind", "sequence"),
            ("fields.n.start", "1"),
            ("fields.b.kind", "sequence"),
            ("fields.m.min", "1"),
            ("fields.n.length", "3"),
        ],
    )
    .unwrap_err();
    assert_eq!(
        errors,
        [
            "option `rows-per-second` cannot be `0`",
            "option `fields.n.end` is missing",
            "a sequence cannot be of type BOOLEAN",
            "unknown option `fields.m.min`",
            "unknown option `fields.n.length`",
        ]
    );
    let id = Column { name: "id".to_owned(), ty: SqlType::Int.not_null() };
    let errors = bound(&[id], &[("fields.id.null-rate", "0.1")]).unwrap_err();
    assert_eq!(errors, ["`id` is NOT NULL and cannot have a null rate"]);
    let errors = bound(&columns, &[("fields.n.max", "3000000000")]).unwrap_err();
    assert_eq!(errors, ["option `fields.n.max` cannot be `3000000000`"]);
}

#[test]
fn the_rate_counts_from_the_start() {
    let rate = Rate { per_second: 100, passed: 30, since: Instant::now() };
    assert_eq!(rate.due(Duration::from_millis(250)), 0);
    assert_eq!(rate.due(Duration::from_millis(500)), 20);
}
