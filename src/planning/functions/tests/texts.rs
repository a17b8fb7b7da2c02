//! Functions of strings and of JSON.

use super::{check, check_error};

#[test]
fn functions_of_strings() {
    check(&[
        ("UPPER(s)", "STRING", "HÉLLO"),
        ("LOWER('ÀB')", "STRING", "àb"),
        ("CHAR_LENGTH(s)", "INT", "5"),
        ("SUBSTRING(s, 2, 3)", "STRING", "éll"),
        ("SUBSTRING(s FROM 0 FOR 2)", "STRING", "hé"),
        ("SUBSTRING(s, -9)", "STRING", ""),
        ("CONCAT(s, nil)", "STRING", "NULL"),
        ("CONCAT('a', 'b', 'c')", "STRING", "abc"),
        ("CONCAT_WS('-', 'a', nil, 'b')", "STRING", "a-b"),
        ("CONCAT_WS(nil, 'a')", "STRING", "NULL"),
        ("s || '!'", "STRING", "héllo!"),
        ("nil || '!'", "STRING", "NULL"),
        ("TRIM('  a ')", "STRING", "a"),
        ("TRIM(LEADING 'x' FROM 'xxax')", "STRING", "ax"),
        ("TRIM(TRAILING FROM ' a ')", "STRING", " a"),
        ("LTRIM(' a')", "STRING", "a"),
        ("BTRIM('xax', 'x')", "STRING", "a"),
        ("REPLACE('', '', 'e')", "STRING", "e"),
        ("LPAD('abc', 5, '*')", "STRING", "**abc"),
        ("LPAD('abc', 2, '*')", "STRING", "ab"),
        ("LPAD('abc', 5, '')", "STRING", "NULL"),
        ("RPAD('a', 3, 'xy')", "STRING", "axy"),
        ("POSITION('' IN s)", "INT", "1"),
        ("POSITION('l' IN s)", "INT", "3"),
        ("INSTR(s, 'x')", "INT", "0"),
        ("LOCATE('l', s, 4)", "INT", "4"),
        ("OVERLAY('ab-cd-ef' PLACING 'ZZ' FROM 2)", "STRING", "aZZcd-ef"),
        ("OVERLAY('ab' PLACING 'ZZ' FROM 9)", "STRING", "ab"),
        ("OVERLAY('abcdef' PLACING 'Z' FROM 2 FOR 3)", "STRING", "aZef"),
        ("REVERSE(s)", "STRING", "olléh"),
        ("REPEAT('ab', 2)", "STRING", "abab"),
        ("LEFT(s, 2)", "STRING", "hé"),
        ("RIGHT(s, 2)", "STRING", "lo"),
        ("INITCAP('ab cD')", "STRING", "Ab Cd"),
        ("ASCII('abc')", "INT", "97"),
        ("CHR(97)", "STRING", "a"),
        ("SPLIT_INDEX('a/b/c', '/', 1)", "STRING", "b"),
        ("SPLIT_INDEX('a,b', 44, 1)", "STRING", "b"),
        ("REGEXP_EXTRACT('foothebar', 'foo(.*?)(bar)', 2)", "STRING", "bar"),
        ("REGEXP_EXTRACT(s, '[0-9]+')", "STRING", "NULL"),
        ("REGEXP_EXTRACT_ALL('foothebar', 'foo(.*?)(bar)')", "ARRAY<STRING>", "[the]"),
        (
            "REGEXP_EXTRACT_ALL('100-200, 300-400', '(\\d+)-(\\d+)', 2)",
            "ARRAY<STRING>",
            "[200, 400]",
        ),
        ("REGEXP_EXTRACT_ALL('ab', '(a)|b')", "ARRAY<STRING>", "[a, ]"),
        ("CARDINALITY(REGEXP_EXTRACT_ALL('xab', 'x*', 0))", "INT", "4"),
        ("REGEXP_EXTRACT_ALL(nil, 'a')", "ARRAY<STRING>", "NULL"),
        ("REGEXP_EXTRACT_ALL('abc', 'b')", "ARRAY<STRING>", "NULL"),
        ("REGEXP_EXTRACT_ALL('abc', 'b', 0)", "ARRAY<STRING>", "[b]"),
        ("REGEXP_EXTRACT_ALL('abc', '(b)', -1)", "ARRAY<STRING>", "NULL"),
        ("REGEXP_EXTRACT_ALL('abc', 'x', 0)", "ARRAY<STRING>", "[]"),
        ("SPLIT('123,123,23', ',')", "ARRAY<STRING>", "[123, 123, 23]"),
        ("SPLIT('123,', '')", "ARRAY<STRING>", "[1, 2, 3, ,]"),
        ("SPLIT(',123,,,123,', ',')", "ARRAY<STRING>", "[, 123, , , 123, ]"),
        ("SPLIT('12345', ',')", "ARRAY<STRING>", "[12345]"),
        ("CARDINALITY(SPLIT('', ','))", "INT", "0"),
        ("SPLIT(s, NULL)", "ARRAY<STRING>", "NULL"),
        ("PRINTF('%s-%05d|%.2f', s, i, f)", "STRING", "héllo-00007|2.50"),
        ("PRINTF('%s %s %s %s', d, r, b, nil)", "STRING", "2.50 0.5 true null"),
        ("PRINTF('100%%')", "STRING", "100%"),
        ("PRINTF(nil, 1)", "STRING", "NULL"),
        ("REGEXP_REPLACE('202', 'x*', '_')", "STRING", "_2_0_2_"),
        ("REGEXP_REPLACE('a1', '[0-9]', '$0')", "STRING", "a$0"),
        ("REGEXP('foobar', '^foo')", "BOOLEAN", "true"),
        ("s LIKE 'h%o'", "BOOLEAN", "true"),
        ("s NOT LIKE '_'", "BOOLEAN", "true"),
    ]);
    check_error("REGEXP_EXTRACT(s, '(?=x)')", "cannot be used");
    check_error("SPLIT(i, ',')", "argument 1 of SPLIT(STRING, STRING) is INT");
    check_error("PRINTF('%d', s)", "'%d' cannot print a STRING");
    check_error("PRINTF('%s', ts)", "argument 2 of PRINTF is TIMESTAMP: CAST it to STRING");
    for (expression, other) in [
        ("s || 1", "INT"),
        ("1 || s", "INT"),
        ("nil || b", "BOOLEAN"),
        ("s || x'C3A9'", "BYTES"),
    ] {
        check_error(expression, &format!("`||` takes strings, not {other}"));
    }
    check_error("UPPER(i)", "argument 1 of UPPER(STRING) is INT");
}

#[test]
fn encodings_and_digests() {
    check(&[
        ("MD5('abc')", "STRING", "900150983cd24fb0d6963f7d28e17f72"),
        ("SHA1('abc')", "STRING", "a9993e364706816aba3e25717850c26c9cd0d89d"),
        (
            "SHA256('abc')",
            "STRING",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        ("TO_BASE64('hello')", "STRING", "aGVsbG8="),
        ("FROM_BASE64('aGVsbG8=')", "STRING", "hello"),
        ("HEX(255)", "STRING", "FF"),
        ("HEX('é')", "STRING", "C3A9"),
        ("CHAR_LENGTH(UUID())", "INT", "36"),
        ("ENCODE('aé', 'UTF-8')", "BYTES", "61c3a9"),
        ("ENCODE('a', 'utf-16')", "BYTES", "feff0061"),
        ("ENCODE(nil, 'UTF-8')", "BYTES", "NULL"),
        ("DECODE(ENCODE(s, 'ISO-8859-1'), 'ISO-8859-1')", "STRING", "héllo"),
        ("DECODE(x'C3A9', 'US-ASCII')", "STRING", "\u{fffd}\u{fffd}"),
        ("URL_DECODE('Hello%20World')", "STRING", "Hello World"),
        ("PARSE_URL('http://a.b/c?q=1', 'QUERY', 'q')", "STRING", "1"),
    ]);
    check_error("ENCODE(s, 'KOI8')", "unknown charset 'KOI8'");
}

#[test]
fn json() {
    let js = r#"'{"b": {"c": 2.5}, "a": ["x", 1], "t": "é"}'"#;
    let cases = [
        ("JSON_VALUE(%, '$.t')", "STRING", "é"),
        ("JSON_VALUE(%, '$.b.c')", "STRING", "2.5"),
        ("JSON_VALUE(%, '$.b')", "STRING", "NULL"),
        ("JSON_VALUE(%, '$.a[1]' RETURNING INTEGER)", "INT", "1"),
        ("JSON_VALUE(%, 'lax $.x' DEFAULT 'd' ON EMPTY)", "STRING", "d"),
        ("JSON_QUERY(%, '$.b')", "STRING", r#"{"c":2.5}"#),
        ("JSON_QUERY(%, '$.t')", "STRING", "NULL"),
        ("JSON_QUERY(%, '$.t' WITH WRAPPER)", "STRING", r#"["é"]"#),
        ("JSON_QUERY(%, 'lax $.x' EMPTY ARRAY ON EMPTY)", "STRING", "[]"),
        ("JSON_EXISTS(%, '$.b.c')", "BOOLEAN", "true"),
        ("JSON_EXISTS('{', '$.b')", "BOOLEAN", "false"),
    ];
    let cases = cases.map(|(e, ty, value)| (e.replace('%', js), ty, value));
    check(&cases.each_ref().map(|(e, ty, value)| (e.as_str(), *ty, *value)));
    check_error(&format!("JSON_VALUE({js}, 'lax $.x' ERROR ON EMPTY)"), "ERROR ON EMPTY");
}

#[test]
fn collections() {
    check(&[
        ("ARRAY[1, 2][2]", "INT", "2"),
        ("ARRAY[1, 2][3]", "INT", "NULL"),
        ("MAP['a', 1]['a']", "INT", "1"),
        ("MAP['a', 1]['b']", "INT", "NULL"),
        ("MAP['a', 1, 'b', 2, 'a', 3]", "MAP<STRING, INT>", "{a: 3, b: 2}"),
        ("MAP['a', 1, 'b', 2.5]", "MAP<STRING, DECIMAL(11, 1)>", "{a: 1.0, b: 2.5}"),
        ("MAP[i, s, l, 'x']", "MAP<BIGINT, STRING>", "{7: héllo, -7: x}"),
        ("JSON_STRING(MAP['a', ARRAY[1]])", "STRING", r#"{"a":[1]}"#),
        ("CARDINALITY(ARRAY[1, 2])", "INT", "2"),
        ("ARRAY_CONTAINS(ARRAY[1, 2], 2)", "BOOLEAN", "true"),
        ("ARRAY_CONTAINS(ARRAY[1, NULL], NULL)", "BOOLEAN", "true"),
        ("ARRAY_CONTAINS(ARRAY[1], NULL)", "BOOLEAN", "false"),
        ("ARRAY_CONTAINS(ARRAY[s, nil], nil)", "BOOLEAN", "true"),
        ("ARRAY_CONTAINS(SPLIT(nil, ','), 'a')", "BOOLEAN", "NULL"),
        (
            "MAP_ENTRIES(MAP['a', 1])",
            "ARRAY<ROW<`key` STRING, `value` INT>>",
            "[{key: a, value: 1}]",
        ),
        ("CAST(ARRAY[1, 2] AS STRING)", "STRING", "[1, 2]"),
        ("CAST(ARRAY_REMOVE(ARRAY[1, NULL, 2, 1], 1) AS STRING)", "STRING", "[NULL, 2]"),
        ("ARRAY_REMOVE(ARRAY[1, NULL, 2], NULL)", "ARRAY<INT>", "[1, 2]"),
        ("ARRAY_REMOVE(ARRAY[s, nil], nil)", "ARRAY<STRING>", "[héllo]"),
        ("ARRAY_CONCAT(ARRAY[1], ARRAY[2, 3], ARRAY[1])", "ARRAY<INT>", "[1, 2, 3, 1]"),
        ("ARRAY_CONCAT(ARRAY[1], ARRAY[2.5])", "ARRAY<DECIMAL(11, 1)>", "[1.0, 2.5]"),
        ("ARRAY_CONCAT(ARRAY[1], CAST(NULL AS ARRAY<INT>))", "ARRAY<INT>", "NULL"),
        ("ARRAY_SLICE(ARRAY[1, 2, 3], -2, -1)", "ARRAY<INT>", "[2, 3]"),
        ("ARRAY_SLICE(ARRAY[1, 2, 3], 2)", "ARRAY<INT>", "[2, 3]"),
        ("ARRAY_SLICE(ARRAY[1, 2, 3], 0, 0)", "ARRAY<INT>", "[1]"),
        ("ARRAY_SLICE(ARRAY[1, 2, 3], -5, 2)", "ARRAY<INT>", "[1, 2]"),
        ("ARRAY_SLICE(ARRAY[1, 2, 3], 1, -4)", "ARRAY<INT>", "[1]"),
        ("ARRAY_SLICE(ARRAY[1, 2, 3], 2, 10)", "ARRAY<INT>", "[2, 3]"),
        ("ARRAY_SLICE(ARRAY[1, 2, 3], 3, 2)", "ARRAY<INT>", "[]"),
        ("ARRAY_SLICE(ARRAY[1, 2, 3], 4)", "ARRAY<INT>", "[]"),
        ("ARRAY_SLICE(ARRAY[1, 2, 3], CAST(NULL AS INT))", "ARRAY<INT>", "NULL"),
        ("ARRAY_CONTAINS(ARRAY[l], i)", "BOOLEAN", "false"),
        ("ARRAY_JOIN(ARRAY['a', nil, 'b'], ',')", "STRING", "a,b"),
        ("ARRAY_JOIN(ARRAY['a', nil, 'b'], ',', '*')", "STRING", "a,*,b"),
        ("ARRAY_JOIN(ARRAY['', 'a'], ',')", "STRING", ",a"),
        ("ARRAY_JOIN(ARRAY[nil], ',')", "STRING", ""),
        ("ARRAY_JOIN(ARRAY['a', 'b'], ',', nil)", "STRING", "NULL"),
        ("ARRAY_JOIN(ARRAY['a', nil, 'b'], nil, 'x')", "STRING", "NULL"),
        ("ARRAY_JOIN(CAST(NULL AS ARRAY<STRING>), ',')", "STRING", "NULL"),
        ("CARDINALITY(ARRAY[ROW(1), ROW(2)])", "INT", "2"),
        (
            "JSON_STRING(ROW(i, ROW(s)))",
            "STRING",
            r#"{"EXPR$0":7,"EXPR$1":{"EXPR$0":"héllo"}}"#,
        ),
        ("JSON_STRING(ARRAY[ROW(1)])", "STRING", r#"[{"EXPR$0":1}]"#),
    ]);
    for (expression, said) in [
        ("ARRAY_JOIN(ARRAY[1, 2], ',')", "ARRAY_JOIN takes an ARRAY<STRING>, not ARRAY<INT>"),
        ("ARRAY_CONTAINS(ARRAY[1, 2], f)", "ARRAY_CONTAINS looks for DOUBLE in ARRAY<INT>"),
        (
            "ARRAY_REMOVE(ARRAY[1], 'a')",
            "ARRAY_REMOVE(ARRAY, element) got ARRAY<INT> and STRING",
        ),
        ("MAP['a', 1, 'b']", "a key of a MAP has no value"),
    ] {
        check_error(expression, said);
    }
}
