//! BETWEEN SYMMETRIC, OVERLAPS and CASE with lists, against what Flink 2.3 gave.

use super::{check, check_error};

#[test]
fn between_in_either_order() {
    let cases = [
        ("5 BETWEEN SYMMETRIC 10 AND 1", "true"),
        ("5 BETWEEN ASYMMETRIC 10 AND 1", "false"),
        ("5 NOT BETWEEN SYMMETRIC 10 AND 1", "false"),
        ("5 NOT BETWEEN ASYMMETRIC 10 AND 1", "true"),
        ("i BETWEEN SYMMETRIC 10 AND 1 AND b", "true"),
        ("i BETWEEN SYMMETRIC CAST(NULL AS INT) AND 1", "NULL"),
        ("i BETWEEN SYMMETRIC CAST(NULL AS INT) AND 10", "NULL"),
        ("s BETWEEN SYMMETRIC 'z' AND 'a'", "true"),
    ];
    check(&cases.map(|(expression, value)| (expression, "BOOLEAN", value)));
}

#[test]
fn overlaps() {
    let day = |from: &str, to: &str| format!("(DATE '2024-{from}', DATE '2024-{to}')");
    let january = day("01-01", "02-01");
    for (left, right, expected) in [
        (&january, "(DATE '2024-01-10', INTERVAL '10' DAY)", "true"),
        (&january, "(DATE '2024-02-01', DATE '2024-02-10')", "true"),
        (&january, "(DATE '2024-02-02', DATE '2024-02-10')", "false"),
        (&day("02-01", "01-01"), &day("01-10", "01-11"), "true"),
        (&"(dt, CAST(NULL AS DATE))".to_owned(), "(dt, dt)", "NULL"),
        (&"(CAST(NULL AS DATE), dt)".to_owned(), "(dt, dt)", "NULL"),
        (
            &"(dt, CAST(NULL AS DATE))".to_owned(),
            "(DATE '2030-01-01', DATE '2031-01-01')",
            "false",
        ),
        (&"(dt, INTERVAL '1' HOUR)".to_owned(), "(dt, dt)", "true"),
        (&"(ltz, ltz)".to_owned(), "(ltz, INTERVAL '1' MONTH)", "true"),
        (&"(ts, INTERVAL '1' HOUR)".to_owned(), "(ts, INTERVAL '2' HOUR)", "true"),
        (
            &"(ts, INTERVAL '-1' HOUR)".to_owned(),
            "(ts - INTERVAL '30' MINUTE, ts - INTERVAL '20' MINUTE)",
            "true",
        ),
        (
            &"(TIME '2:55:00', INTERVAL '1' HOUR)".to_owned(),
            "(TIME '3:30:00', INTERVAL '2' HOUR)",
            "true",
        ),
        (
            &"(TIME '9:00:00', TIME '10:00:00')".to_owned(),
            "(TIME '10:15:00', INTERVAL '3' HOUR)",
            "false",
        ),
    ] {
        check(&[(&format!("{left} OVERLAPS {right}"), "BOOLEAN", expected)]);
    }
    check(&[("NOT (dt, dt) OVERLAPS (dt, dt)", "BOOLEAN", "false")]);
    for (expression, said) in [
        ("(dt, dt) OVERLAPS (ts, ts)", "periods of one type, not DATE and TIMESTAMP"),
        ("(i, i) OVERLAPS (i, i)", "OVERLAPS is between periods of time, not of INT"),
        ("(dt, dt, dt) OVERLAPS (dt, dt)", "OVERLAPS is between periods: (start, end)"),
        ("dt OVERLAPS dt", "OVERLAPS is between periods: (start, end)"),
    ] {
        check_error(expression, said);
    }
}

#[test]
fn case_of_several_values() {
    check(&[
        ("CASE i WHEN 1, 7 THEN 'a' ELSE 'b' END", "STRING", "a"),
        ("CASE i WHEN 1, 2 THEN 'a' WHEN 3 THEN 'bbb' END", "STRING", "NULL"),
        ("CASE i WHEN 1, CAST(NULL AS INT) THEN 'a' ELSE 'b' END", "STRING", "b"),
        ("CASE i WHEN CAST(NULL AS INT) THEN 'a' WHEN 7, 8 THEN 'c' END", "STRING", "c"),
    ]);
    check_error("CASE WHEN i = 1, i = 7 THEN 'a' END", "expected THEN, found `,`");
}
