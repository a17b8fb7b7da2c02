//! Flink's query syntax as sqlparser gets it.

use datafusion::sql::sqlparser::ast as sql;

use super::super::{PARTITION_BY, resolve_type};
use super::{at, parse, query, read};

/// Reads `expr` in a SELECT and prints what became of it.
fn expr(expr: &str) -> String {
    let read = read(&format!("SELECT {expr} FROM t"));
    let read = read.strip_prefix("SELECT ").and_then(|r| r.strip_suffix(" FROM t"));
    read.unwrap().to_owned()
}

#[test]
fn the_word_table_goes_where_it_marks_an_argument() {
    assert_eq!(
        read("SELECT * FROM TABLE(TUMBLE(TABLE ev, DESCRIPTOR(et), INTERVAL '5' SECOND)) w"),
        "SELECT * FROM TABLE(TUMBLE(ev, DESCRIPTOR(et), INTERVAL '5' SECOND)) w"
    );
    assert_eq!(
        read("SELECT * FROM HOP(DATA => TABLE ev, SIZE => INTERVAL '2' MINUTES)"),
        "SELECT * FROM HOP(DATA => ev, SIZE => INTERVAL '2' MINUTES)"
    );
    assert_eq!(
        read("SELECT * FROM TABLE(TUMBLE(TABLE (SELECT 1), DESCRIPTOR(et), INTERVAL '5' DAY))"),
        "SELECT * FROM TABLE(TUMBLE((SELECT 1), DESCRIPTOR(et), INTERVAL '5' DAY))"
    );
}

#[test]
fn is_distinct_from_binds_tighter_than_and_and_or() {
    assert_eq!(
        expr("(a IS DISTINCT FROM b OR c) = (a = 1 AND a IS NOT DISTINCT FROM b + 1 AND c)"),
        "(a IS DISTINCT FROM b OR c) = (a = 1 AND a IS NOT DISTINCT FROM b + 1 AND c)"
    );
    let read = query("SELECT a = 1 AND a IS DISTINCT FROM b OR c FROM t");
    let select = read.ast.body.as_select().unwrap();
    let sql::SelectItem::UnnamedExpr(sql::Expr::BinaryOp { op, .. }) = &select.projection[0]
    else {
        panic!("{select:?}")
    };
    assert_eq!(*op, sql::BinaryOperator::Or);
}

#[test]
fn partition_by_of_a_session_becomes_an_argument() {
    let text = "SELECT * FROM TABLE(SESSION(TABLE ev PARTITION BY (a, `b`), \
                DESCRIPTOR(et), INTERVAL '5' SECOND))";
    let script = parse(text);
    let query = query(text);
    let table = &query.ast.body.as_select().unwrap().from[0].relation;
    let sql::TableFactor::TableFunction { expr: sql::Expr::Function(function), .. } = table
    else {
        panic!("{table:?}")
    };
    let sql::FunctionArguments::List(list) = &function.args else { panic!() };
    let sql::FunctionArg::Named { name, arg, .. } = &list.args[1] else { panic!() };
    assert_eq!(name.value, PARTITION_BY);
    let sql::FunctionArgExpr::Expr(sql::Expr::Function(descriptor)) = arg else { panic!() };
    assert_eq!(descriptor.to_string(), "DESCRIPTOR(a, `b`)");
    use sql::Spanned as _;
    let sql::FunctionArguments::List(columns) = &descriptor.args else { panic!() };
    let place = script.span(columns.args[1].span()).unwrap();
    assert_eq!(at(text, place), "`b`");
    assert_eq!(
        read(
            "SELECT * FROM SESSION(DATA => TABLE ev PARTITION BY a, TIMECOL => DESCRIPTOR(et))"
        ),
        "SELECT * FROM SESSION(DATA => ev, `PARTITION BY` => DESCRIPTOR(a), \
         TIMECOL => DESCRIPTOR(et))"
    );
}

#[test]
fn partition_by_of_an_over_window_stays() {
    let over = "SELECT ROW_NUMBER() OVER (PARTITION BY a, b ORDER BY c DESC) AS rn FROM t";
    assert_eq!(read(over), over);
}

#[test]
fn flinks_expressions_are_read() {
    for (written, became) in [
        ("TIMESTAMPDIFF(MINUTE, a, b)", "TIMESTAMPDIFF('MINUTE', a, b)"),
        ("timestampadd(sql_tsi_day, 1, b)", "timestampadd('DAY', 1, b)"),
        ("FLOOR(ts TO DAY)", "FLOOR(ts TO DAY)"),
        ("CEILING(ts TO MONTH)", "CEIL(ts TO MONTH)"),
        ("CEIL(x)", "CEIL(x)"),
        ("INTERVAL '1' DAY", "INTERVAL '1' DAY"),
        ("INTERVAL -'1' DAY", "INTERVAL '-1' DAY"),
        ("INTERVAL - '-1' HOURS", "INTERVAL '1' HOURS"),
        ("INTERVAL '1 02:03' DAY TO MINUTE", "INTERVAL '1 02:03' DAY TO MINUTE"),
        ("ts - INTERVAL '5' SECOND * 2", "ts - INTERVAL '5' SECOND * 2"),
        ("EXTRACT(DOW FROM x)", "EXTRACT(DOW FROM x)"),
        ("POSITION('a' IN b)", "POSITION('a' IN b)"),
        ("OVERLAY(a PLACING b FROM 2 FOR 3)", "OVERLAY(a PLACING b FROM 2 FOR 3)"),
        ("TRIM(BOTH 'x' FROM s)", "TRIM(BOTH 'x' FROM s)"),
        ("TRIM(LEADING FROM s)", "TRIM(LEADING ' ' FROM s)"),
        ("SUBSTRING(s FROM 2 FOR 3)", "SUBSTRING(s FROM 2 FOR 3)"),
        ("ARRAY[1, 2][1]", "ARRAY[1, 2][1]"),
        ("MAP['a', ARRAY[1]]['a']", "MAP('a', ARRAY[1])['a']"),
        ("bid.who.props['k']", "bid.who.props['k']"),
        ("ROW(1, 'a')", "ROW(1, 'a')"),
        ("CURRENT_TIMESTAMP", "CURRENT_TIMESTAMP"),
        ("LOCALTIMESTAMP", "LOCALTIMESTAMP"),
        ("DATE '2024-02-29'", "DATE '2024-02-29'"),
        ("x'0aFF'", "X'0aFF'"),
        ("'it''s \\n'", "'it''s \\n'"),
        ("a SIMILAR TO 'b'", "a SIMILAR TO 'b'"),
        ("a LIKE 'x!_' ESCAPE '!'", "a LIKE 'x!_' ESCAPE '!'"),
        ("a IS NOT DISTINCT FROM b", "a IS NOT DISTINCT FROM b"),
        ("a IS NOT TRUE", "a IS NOT TRUE"),
        ("COUNT(DISTINCT a) FILTER (WHERE b > 1)", "COUNT(DISTINCT a) FILTER (WHERE b > 1)"),
        ("LEFT(s, 2)", "LEFT(s, 2)"),
        ("IF(a > 1, 'x', 'y')", "IF(a > 1, 'x', 'y')"),
        ("LAST_VALUE(a) IGNORE NULLS", "LAST_VALUE(a) IGNORE NULLS"),
        ("CAST(a AS TIMESTAMP_LTZ(3))", "CAST(a AS TIMESTAMP_LTZ(3))"),
        ("TRY_CAST(a AS DECIMAL(10, 2))", "TRY_CAST(a AS DECIMAL(10,2))"),
        ("\u{e9}t\u{e9} + $x", "\u{e9}t\u{e9} + $x"),
    ] {
        assert_eq!(expr(written), became, "{written}");
    }
}

#[test]
fn json_clauses_become_arguments() {
    for (written, became) in [
        (
            "JSON_VALUE(js, '$.a' RETURNING BIGINT DEFAULT TIMESTAMPDIFF(DAY, a, b) ON EMPTY \
             NULL ON ERROR)",
            "JSON_VALUE(js, '$.a', `RETURNING` => 'BIGINT', `DEFAULT ON EMPTY` => \
             TIMESTAMPDIFF('DAY', a, b), `ON ERROR` => 'NULL')",
        ),
        (
            "JSON_QUERY(js, '$' WITH CONDITIONAL ARRAY WRAPPER EMPTY OBJECT ON EMPTY)",
            "JSON_QUERY(js, '$', `WRAPPER` => 'CONDITIONAL', `ON EMPTY` => 'EMPTY OBJECT')",
        ),
        (
            "JSON_QUERY(js, '$' WITH WRAPPER)",
            "JSON_QUERY(js, '$', `WRAPPER` => 'UNCONDITIONAL')",
        ),
        (
            "JSON_EXISTS(js, '$.x' FALSE ON ERROR)",
            "JSON_EXISTS(js, '$.x', `ON ERROR` => 'FALSE')",
        ),
        ("JSON_VALUE(js, '$.a')", "JSON_VALUE(js, '$.a')"),
    ] {
        assert_eq!(expr(written), became);
    }
}

#[test]
fn grouping_sets_and_joins_are_read() {
    for text in [
        "SELECT a FROM t GROUP BY GROUPING SETS ((a), (a, b), ()), ROLLUP (c), CUBE (d, e)",
        "SELECT * FROM l FULL JOIN r ON l.a = r.a",
        "SELECT * FROM l CROSS JOIN UNNEST(tags) AS x (tag)",
        "SELECT a, SUM(b) OVER w FROM t WINDOW w AS (PARTITION BY a ORDER BY c)",
        "WITH c AS (SELECT 1 AS x) SELECT x FROM c UNION ALL (SELECT 2) ORDER BY x LIMIT 3",
    ] {
        assert_eq!(read(text), text);
    }
}

#[test]
fn a_cast_target_is_resolved_by_the_rules_of_columns() {
    for (written, resolved) in [
        ("INT", "INT"),
        ("VARCHAR", "STRING"),
        ("CHAR(3)", "CHAR(3)"),
        ("DECIMAL(10, 2)", "DECIMAL(10, 2)"),
        ("DOUBLE PRECISION", "DOUBLE"),
        ("TIMESTAMP", "TIMESTAMP(6)"),
        ("TIMESTAMP(3)", "TIMESTAMP(3)"),
        ("TIMESTAMP_LTZ(3)", "TIMESTAMP_LTZ(3)"),
        ("TIMESTAMP(3) WITH LOCAL TIME ZONE", "TIMESTAMP_LTZ(3)"),
        ("TIME(3)", "TIME(3)"),
        ("BYTES", "BYTES"),
        ("BINARY(4)", "BINARY(4)"),
        ("ARRAY<INT>", "ARRAY<INT>"),
        ("INT ARRAY", "ARRAY<INT>"),
        ("MAP<STRING, ROW<a INT NOT NULL>>", "MAP<STRING, ROW<`a` INT NOT NULL>>"),
        ("ROW(a INT, `b``c` STRING)", "ROW<`a` INT, `b``c` STRING>"),
        ("CHARACTER VARYING(3)", "VARCHAR(3)"),
    ] {
        let query = query(&format!("SELECT TRY_CAST(x AS {written}) FROM t"));
        let select = query.ast.body.as_select().unwrap();
        let sql::SelectItem::UnnamedExpr(sql::Expr::Cast { data_type, .. }) =
            &select.projection[0]
        else {
            panic!("{written}")
        };
        assert_eq!(resolve_type(data_type).unwrap().to_string(), resolved, "{written}");
    }
    let uuid = resolve_type(&sql::DataType::Uuid).unwrap_err();
    assert_eq!(uuid.message, "unknown type `UUID`");
    assert_eq!(uuid.span, None);
}

#[test]
fn default_qualifiers_are_dropped() {
    assert_eq!(
        read("SELECT * FROM default_catalog.default_database.t, `default_database`.`u`"),
        "SELECT * FROM t, `u`"
    );
}

#[test]
fn what_sqlparser_does_not_read_becomes_what_it_does() {
    for (flink, read) in [
        ("a IS NOT JSON OBJECT", "NOT is_json(a, 'OBJECT')"),
        ("a || b IS JSON OR c", "is_json(a || b, 'VALUE') OR c"),
        ("a BETWEEN SYMMETRIC b AND c", "(a BETWEEN b AND c OR a BETWEEN c AND b)"),
        (
            "a NOT BETWEEN SYMMETRIC b AND c AND d",
            "(a NOT BETWEEN b AND c AND a NOT BETWEEN c AND b) AND d",
        ),
        ("a BETWEEN ASYMMETRIC b AND c", "a BETWEEN b AND c"),
        (
            "CASE a WHEN b, c THEN d WHEN e THEN f ELSE g END",
            "CASE WHEN a IN (b, c) THEN d WHEN a IN (e) THEN f ELSE g END",
        ),
        ("CASE a WHEN b THEN c END", "CASE a WHEN b THEN c END"),
        (
            "JSON_OBJECT(KEY k VALUE v, 'x': y)",
            "JSON_OBJECT(k, v, 'x', y, `ON NULL` => 'NULL')",
        ),
        ("JSON_ARRAY(a, b)", "JSON_ARRAY(a, b, `ON NULL` => 'ABSENT')"),
        ("JSON_ARRAYAGG(a NULL ON NULL)", "JSON_ARRAYAGG(a, `ON NULL` => 'NULL')"),
    ] {
        assert_eq!(expr(flink), read);
    }
}
