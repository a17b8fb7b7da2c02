//! CAST and TRY_CAST.

use super::{check, check_error};

#[test]
fn to_text() {
    check(&[
        ("CAST(b AS STRING)", "STRING", "TRUE"),
        ("CAST(d AS STRING)", "STRING", "2.50"),
        ("CAST(f AS STRING)", "STRING", "2.5"),
        ("CAST(1E10 AS STRING)", "STRING", "1.0E10"),
        ("CAST(i AS STRING)", "STRING", "7"),
        ("CAST(ts AS STRING)", "STRING", "2024-02-29 13:05:09.123"),
        ("CAST(CAST(ts AS TIMESTAMP(0)) AS STRING)", "STRING", "2024-02-29 13:05:09"),
        ("CAST(CAST(dt AS TIMESTAMP(3)) AS STRING)", "STRING", "2024-02-29 00:00:00.000"),
        ("CAST(dt AS STRING)", "STRING", "2024-02-29"),
        ("CAST(CAST(ts AS TIME) AS STRING)", "STRING", "13:05:09"),
        ("CAST(s AS VARCHAR(3))", "STRING", "hél"),
        ("CAST(i AS CHAR(3)) || '|'", "STRING", "7  |"),
        ("CAST(i AS VARCHAR)", "STRING", "7"),
    ]);
}

#[test]
fn from_text() {
    check(&[
        ("TRY_CAST('12.345' AS INT)", "INT", "12"),
        ("TRY_CAST(' 7 ' AS INT)", "INT", "7"),
        ("TRY_CAST('1e2' AS INT)", "INT", "NULL"),
        ("TRY_CAST('1e2' AS DOUBLE)", "DOUBLE", "100.0"),
        ("TRY_CAST('t' AS BOOLEAN)", "BOOLEAN", "true"),
        ("TRY_CAST('x' AS BOOLEAN)", "BOOLEAN", "NULL"),
        ("CAST('1.005' AS DECIMAL(5, 2))", "DECIMAL(5, 2)", "1.01"),
        ("CAST('12345' AS DECIMAL(5, 2))", "DECIMAL(5, 2)", "NULL"),
        ("CAST('2024-02-29' AS DATE)", "DATE", "2024-02-29"),
        ("TRY_CAST('2023-02-29' AS DATE)", "DATE", "NULL"),
        (
            "CAST('2024-02-29 13:05:09.123456' AS TIMESTAMP(3))",
            "TIMESTAMP",
            "2024-02-29T13:05:09.123",
        ),
        ("TRY_CAST(s AS TIMESTAMP(3))", "TIMESTAMP", "NULL"),
        ("TRY_CAST(nil AS INT)", "INT", "NULL"),
    ]);
    check_error("CAST(s AS INT)", "'héllo' cannot be cast to INT");
}

#[test]
fn between_numbers() {
    check(&[
        ("CAST(300 AS TINYINT)", "TINYINT", "44"),
        ("CAST(l * 1000000000 AS INT)", "INT", "1589934592"),
        ("CAST(-f AS INT)", "INT", "-2"),
        ("CAST(1E10 AS INT)", "INT", "2147483647"),
        ("CAST(d AS INT)", "INT", "2"),
        ("CAST(f AS DECIMAL(3, 0))", "DECIMAL(3, 0)", "3"),
        ("CAST(d AS DECIMAL(6, 1))", "DECIMAL(6, 1)", "2.5"),
        ("CAST(123456 AS DECIMAL(5, 2))", "DECIMAL(5, 2)", "NULL"),
        ("CAST(i AS FLOAT)", "FLOAT", "7.0"),
        ("CAST(b AS INT)", "INT", "1"),
        ("CAST(i AS BOOLEAN)", "BOOLEAN", "true"),
    ]);
    check_error("CAST(l AS TIMESTAMP(3))", "TO_TIMESTAMP(FROM_UNIXTIME(number))");
    check_error("CAST(ts AS BIGINT)", "cannot be cast to BIGINT");
}
