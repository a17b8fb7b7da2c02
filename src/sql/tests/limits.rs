//! No script, however odd, makes the parser panic, overflow or crawl.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{env, file, messages, parse};

#[test]
fn fifty_statements_take_no_time() {
    let mut text = String::new();
    for n in 0..25 {
        let _ = writeln!(
            text,
            "CREATE TABLE t{n} (a INT, b ROW<c STRING, d ARRAY<INT>>, et TIMESTAMP(3), \
             WATERMARK FOR et AS et - INTERVAL '1' SECOND) WITH ('connector' = 'kafka');\n\
             INSERT INTO s SELECT a, window_start, CASE WHEN a > 1 THEN SUM(x) ELSE 0 END \
             FROM TABLE(TUMBLE(TABLE t{n}, DESCRIPTOR(et), INTERVAL '5' SECOND)) GROUP BY a;"
        );
    }
    // The best of some: other tests run beside this one.
    let fastest = (0..10)
        .map(|_| {
            let start = Instant::now();
            assert_eq!(parse(&text).statements.len(), 50);
            start.elapsed()
        })
        .min()
        .unwrap();
    assert!(fastest < Duration::from_millis(20), "{fastest:?}");
}

#[test]
fn deep_nesting_is_refused() {
    let parentheses = format!("SELECT {}1{} FROM t", "(".repeat(5000), ")".repeat(5000));
    assert_eq!(messages(&parentheses), ["the query nests too deeply"]);
    let types = format!("CREATE TABLE t (a {}INT)", "ARRAY<".repeat(5000));
    assert_eq!(messages(&types), ["types nest deeper than 32 levels"]);
    let chain = format!("SELECT * FROM t WHERE a = 0{}", " OR a = 1".repeat(100_000));
    assert_eq!(messages(&chain), ["more than 1000 operators follow one another"]);
    let casts = "CAST(".repeat(30);
    assert_eq!(messages(&format!("SELECT {casts} FROM t")).len(), 1);
    let betweens = format!("a{}", " BETWEEN SYMMETRIC (a".repeat(20));
    let betweens = format!("SELECT {betweens}{} FROM t", ") AND b".repeat(20));
    assert_eq!(messages(&betweens), ["the query nests too deeply"]);
    let cases =
        format!("{}a{}", "CASE ".repeat(20), " WHEN 1, 2 THEN 3 WHEN 4 THEN 5 END".repeat(20));
    assert_eq!(messages(&format!("SELECT {cases} FROM t")), ["the query nests too deeply"]);
    let subqueries = "(SELECT * FROM ".repeat(200);
    assert_eq!(messages(&format!("SELECT * FROM {subqueries}")).len(), 1);
}

const PIECES: &[&str] = &[
    "SELECT",
    "FROM",
    "TABLE",
    "(",
    ")",
    "[",
    "]",
    "<",
    ">",
    ">>",
    ",",
    ";",
    "'a'",
    "`b`",
    "1",
    "CREATE",
    "INSERT INTO",
    "t",
    "AS",
    "CAST(",
    "ROW<",
    "MAP",
    "MAP[",
    "INTERVAL",
    "-",
    "DAY",
    "WATERMARK FOR",
    "PARTITION BY",
    "SESSION(",
    "JSON_VALUE(x, '$'",
    "NULL ON EMPTY",
    "LIKE",
    "DEFAULT",
    "EXECUTE STATEMENT SET BEGIN",
    "END",
    "SET",
    "=",
    "=>",
    ".",
    "default_catalog.",
    "TIMESTAMPDIFF(",
    "WITH",
    "é",
    "/* x */",
    "-- x\n",
    "'${OUT}'",
    "'${NONE}'",
    "METADATA",
    "PRIMARY KEY",
    "\"",
    "$",
    "{",
    "}",
    "INT",
    "VALUES",
    "IS NOT JSON",
    "CASE WHEN",
    "*",
];

proptest! {
    #[test]
    fn any_tokens_give_statements_or_errors_with_places(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..30)
    ) {
        let text = pieces.join(" ");
        if let Err(errors) = super::super::parse(&file(&text), &env) {
            prop_assert!(!errors.is_empty());
            for error in errors {
                let span = error.span.expect("every error has a place");
                prop_assert!(span.start <= span.end && span.end <= text.len());
                prop_assert!(!error.render(&file(&text)).is_empty());
            }
        }
    }

    #[test]
    fn any_text_gives_statements_or_errors(text in "\\PC{0,60}") {
        let _ = super::super::parse(&file(&text), &env);
    }
}
