//! CREATE TABLE.

use super::super::ast::{ColumnKind, CreateTable, StatementKind};
use super::{at, messages, only, parse};

fn table(text: &str) -> CreateTable {
    match only(text) {
        StatementKind::CreateTable(table) => table,
        other => panic!("{other:?}"),
    }
}

fn type_of(written: &str) -> String {
    let table = table(&format!("CREATE TABLE t (c {written})"));
    match &table.columns[0].kind {
        ColumnKind::Physical(ty) => ty.to_string(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_type_and_its_synonyms_are_read() {
    for (written, read) in [
        ("boolean", "BOOLEAN"),
        ("TINYINT", "TINYINT"),
        ("SMALLINT", "SMALLINT"),
        ("INT", "INT"),
        ("INTEGER NOT NULL", "INT NOT NULL"),
        ("BIGINT NULL", "BIGINT"),
        ("FLOAT", "FLOAT"),
        ("DOUBLE PRECISION", "DOUBLE"),
        ("DECIMAL", "DECIMAL(10, 0)"),
        ("DEC(5)", "DECIMAL(5, 0)"),
        ("NUMERIC(38, 18)", "DECIMAL(38, 18)"),
        ("STRING", "STRING"),
        ("VARCHAR", "STRING"),
        ("VARCHAR(20)", "VARCHAR(20)"),
        ("CHARACTER VARYING(3)", "VARCHAR(3)"),
        ("CHAR", "CHAR(1)"),
        ("CHAR(7)", "CHAR(7)"),
        ("BYTES", "BYTES"),
        ("VARBINARY", "BYTES"),
        ("VARBINARY(9)", "VARBINARY(9)"),
        ("BINARY", "BINARY(1)"),
        ("DATE", "DATE"),
        ("TIME", "TIME"),
        ("TIME(3) WITHOUT TIME ZONE", "TIME(3)"),
        ("TIMESTAMP", "TIMESTAMP(6)"),
        ("TIMESTAMP(3) WITHOUT TIME ZONE", "TIMESTAMP(3)"),
        ("TIMESTAMP(3) WITH LOCAL TIME ZONE", "TIMESTAMP_LTZ(3)"),
        ("TIMESTAMP WITH LOCAL TIME ZONE NOT NULL", "TIMESTAMP_LTZ(6) NOT NULL"),
        ("TIMESTAMP_LTZ", "TIMESTAMP_LTZ(6)"),
        ("ARRAY<INT NOT NULL>", "ARRAY<INT NOT NULL>"),
        ("MULTISET<STRING>", "MULTISET<STRING>"),
        ("INT MULTISET", "MULTISET<INT>"),
        ("INT ARRAY ARRAY NOT NULL", "ARRAY<ARRAY<INT>> NOT NULL"),
        ("MAP<STRING, ARRAY<MAP<INT,INT>>>", "MAP<STRING, ARRAY<MAP<INT, INT>>>"),
        (
            "ROW<a INT, `b c` ROW(d DATE NOT NULL)>",
            "ROW<`a` INT, `b c` ROW<`d` DATE NOT NULL>>",
        ),
        (
            "ROW<a INT 'what it is', b ARRAY<ROW<c INT>>>",
            "ROW<`a` INT, `b` ARRAY<ROW<`c` INT>>>",
        ),
    ] {
        assert_eq!(type_of(written), read, "{written}");
    }
}

#[test]
fn columns_of_every_kind_keep_their_places() {
    let text = "CREATE TEMPORARY TABLE IF NOT EXISTS t (\n\
        id INT NOT NULL PRIMARY KEY NOT ENFORCED COMMENT 'the key',\n\
        `order` STRING COMMENT 'quoted, (comma)',\n\
        p INT METADATA FROM 'partition' VIRTUAL,\n\
        `timestamp` TIMESTAMP_LTZ(3) METADATA COMMENT 'when',\n\
        ms BIGINT,\n\
        ts AS TO_TIMESTAMP_LTZ(ms, 3) COMMENT 'event, time',\n\
        cast_ AS CAST(ms AS ROW<a INT, b INT>),\n\
        WATERMARK FOR ts AS ts - INTERVAL '5' SECOND\n\
        ) COMMENT 'a table' PARTITIONED BY (`order`) WITH ('connector' = 'kafka', 'topic'='${TOPIC}')";
    let table = table(text);
    assert!(table.if_not_exists);
    let names: Vec<_> = table.columns.iter().map(|c| at(text, c.name.span)).collect();
    assert_eq!(names, ["id", "`order`", "p", "`timestamp`", "ms", "ts", "cast_"]);
    assert_eq!(table.columns[1].name.value, "order");
    let ColumnKind::Metadata { key, is_virtual, ty_span, .. } = &table.columns[2].kind else {
        panic!()
    };
    assert_eq!((key.value.as_str(), *is_virtual), ("partition", true));
    assert_eq!((at(text, key.span), at(text, *ty_span)), ("'partition'", "INT"));
    let ColumnKind::Metadata { key, is_virtual, .. } = &table.columns[3].kind else { panic!() };
    assert_eq!((key.value.as_str(), *is_virtual), ("timestamp", false));
    let ColumnKind::Computed(expr) = &table.columns[5].kind else { panic!() };
    assert_eq!(at(text, expr.span), "TO_TIMESTAMP_LTZ(ms, 3)");
    let ColumnKind::Computed(expr) = &table.columns[6].kind else { panic!() };
    assert_eq!(at(text, expr.span), "CAST(ms AS ROW<a INT, b INT>)");
    let watermark = table.watermark.unwrap();
    assert_eq!(at(text, watermark.column.span), "ts");
    assert_eq!(at(text, watermark.expr.span), "ts - INTERVAL '5' SECOND");
    assert_eq!(table.primary_key[0].value, "id");
    assert_eq!(at(text, table.partitioned_by[0].span), "`order`");
    let (key, value) = &table.options[1];
    assert_eq!((key.value.as_str(), value.value.as_str()), ("topic", "it's; here"));
    assert_eq!(at(text, value.span), "'${TOPIC}'");
}

#[test]
fn the_columns_of_the_primary_key_are_not_null() {
    let table = table(
        "CREATE TABLE t (a INT, b INT, c INT, CONSTRAINT pk PRIMARY KEY (a, c) NOT ENFORCED)",
    );
    let nullable: Vec<_> = table
        .columns
        .iter()
        .map(|c| matches!(&c.kind, ColumnKind::Physical(ty) if ty.nullable))
        .collect();
    assert_eq!(nullable, [false, true, false]);
}

const BASE: &str = "CREATE TABLE base (a INT, m INT METADATA, et TIMESTAMP(3), \
    c AS a + 1, WATERMARK FOR et AS et) WITH ('connector' = 'kafka', 'topic' = 'x');";

fn like(clause: &str) -> CreateTable {
    let mut script = parse(&format!("{BASE} CREATE TABLE t {clause}"));
    match script.statements.pop().unwrap().kind {
        StatementKind::CreateTable(table) => table,
        other => panic!("{other:?}"),
    }
}

fn names(table: &CreateTable) -> Vec<&str> {
    table.columns.iter().map(|c| c.name.value.as_str()).collect()
}

#[test]
fn like_takes_columns_watermark_and_options_and_its_own_options_win() {
    let table = like("(b STRING) WITH ('topic' = 'y', 'format' = 'json') LIKE base");
    assert_eq!(names(&table), ["a", "m", "et", "c", "b"]);
    assert!(table.watermark.is_some());
    let options: Vec<_> =
        table.options.iter().map(|(k, v)| (k.value.as_str(), v.value.as_str())).collect();
    assert_eq!(options, [("topic", "y"), ("format", "json"), ("connector", "kafka")]);
}

#[test]
fn like_leaves_out_and_overwrites_what_it_is_told_to() {
    let bare = like("WITH ('connector' = 'print') LIKE base (EXCLUDING ALL)");
    assert_eq!(names(&bare), ["a", "et"]);
    assert!(bare.watermark.is_none());
    assert_eq!(bare.options.len(), 1);
    let over = like(
        "(c AS a + 2, WATERMARK FOR et AS et - INTERVAL '1' SECOND) LIKE base \
         (EXCLUDING METADATA OVERWRITING GENERATED OVERWRITING WATERMARKS INCLUDING OPTIONS)",
    );
    assert_eq!(names(&over), ["a", "et", "c"]);
    let ColumnKind::Computed(expr) = &over.columns[2].kind else { panic!() };
    assert_eq!(expr.ast.to_string(), "a + 2");
    let watermark = over.watermark.unwrap().expr.ast.to_string();
    assert_eq!(watermark, "et - INTERVAL '1' SECOND");
}

#[test]
fn like_refuses_what_both_tables_have_and_tables_it_does_not_know() {
    let twice =
        messages(&format!("{BASE} CREATE TABLE t (a INT, WATERMARK FOR et AS et) LIKE base"));
    assert_eq!(
        twice,
        [
            "the table it is LIKE has this column too",
            "the table it is LIKE has a WATERMARK too"
        ]
    );
    assert_eq!(messages("CREATE TABLE t (a INT) LIKE bsae"), ["unknown table `bsae`"]);
}
