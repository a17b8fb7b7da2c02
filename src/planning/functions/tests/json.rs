//! Functions that make JSON, against what Flink 2.3 gave.

use super::{check, check_error};

#[test]
fn objects_and_arrays() {
    let cases = [
        ("JSON_OBJECT()", "{}"),
        ("JSON_OBJECT('a' VALUE i)", r#"{"a":7}"#),
        ("JSON_OBJECT(KEY 'a' VALUE i)", r#"{"a":7}"#),
        ("JSON_OBJECT('a': i)", r#"{"a":7}"#),
        ("JSON_OBJECT('a' || 'b' VALUE i)", r#"{"ab":7}"#),
        ("JSON_OBJECT('b' VALUE 1, 'a' VALUE 2, 'b' VALUE 3)", r#"{"a":2,"b":3}"#),
        ("JSON_OBJECT('a' VALUE nil)", r#"{"a":null}"#),
        ("JSON_OBJECT('a' VALUE nil NULL ON NULL)", r#"{"a":null}"#),
        ("JSON_OBJECT('a' VALUE nil ABSENT ON NULL)", "{}"),
        ("JSON_OBJECT(NULL ON NULL)", "{}"),
        ("JSON_OBJECT('x' VALUE i = 7)", r#"{"x":true}"#),
        ("JSON_OBJECT('b' VALUE x'0102')", r#"{"b":"AQI="}"#),
        (
            "JSON_OBJECT('a' VALUE ARRAY[1,2], 'm' VALUE MAP['x', 1])",
            r#"{"a":[1,2],"m":{"x":1}}"#,
        ),
        (
            "JSON_OBJECT('ts0' VALUE TIMESTAMP '2024-01-01 00:00:00', \
             'ts3' VALUE TIMESTAMP '2024-01-01 00:00:00.120')",
            r#"{"ts0":"2024-01-01T00:00:00","ts3":"2024-01-01T00:00:00.12"}"#,
        ),
        ("JSON_ARRAY()", "[]"),
        ("JSON_ARRAY(1, 'a', nil, b)", r#"[1,"a",true]"#),
        ("JSON_ARRAY(1, 'a', nil, b NULL ON NULL)", r#"[1,"a",null,true]"#),
        ("JSON_ARRAY(ARRAY[1, NULL] ABSENT ON NULL)", "[[1,null]]"),
    ];
    check(&cases.map(|(expression, value)| (expression, "STRING", value)));
}

#[test]
fn json_in_json_is_written_as_it_is() {
    let cases = [
        ("JSON_OBJECT('o' VALUE JSON_OBJECT('k' VALUE 1))", r#"{"o":{"k":1}}"#),
        ("JSON_ARRAY(JSON_ARRAY(1), JSON_OBJECT('a' VALUE 1))", r#"[[1],{"a":1}]"#),
        ("JSON_STRING(JSON_OBJECT('a' VALUE 1))", r#"{"a":1}"#),
        ("JSON_OBJECT('o' VALUE UPPER(JSON_OBJECT('k' VALUE 1)))", r#"{"o":"{\"K\":1}"}"#),
        ("JSON_OBJECT('o' VALUE JSON_QUERY('{\"a\":[1]}', '$.a'))", r#"{"o":"[1]"}"#),
        (
            r#"JSON_ARRAY(JSON('{"b":1, "a":1.50, "c": [1 , 2e3]}'))"#,
            r#"[{"a":1.50,"b":1,"c":[1,2E+3]}]"#,
        ),
        ("JSON_ARRAY(JSON(nil) NULL ON NULL)", "[null]"),
        ("JSON_ARRAY(JSON('{} x'), JSON(''))", "[{}]"),
    ];
    check(&cases.map(|(expression, value)| (expression, "STRING", value)));
}

#[test]
fn values_as_json() {
    let cases = [
        ("i", "7"),
        ("s", r#""héllo""#),
        ("nil", "NULL"),
        ("NULL", "NULL"),
        ("f", "2.5"),
        ("d", "2.50"),
        ("b", "true"),
        ("ltz", r#""2024-02-29T13:05:09.123456Z""#),
        ("CAST(1e10 AS DOUBLE)", "1.0E+10"),
        ("CAST(0.0001 AS DOUBLE)", "0.00010"),
        ("CAST(123456789012 AS DOUBLE)", "123456789012"),
        ("CAST(-0.0 AS DOUBLE)", "0.0"),
        ("CAST('NaN' AS DOUBLE)", r#""NaN""#),
        ("CAST(0.1 AS FLOAT)", "0.10000000149011612"),
        ("CAST(1e-10 AS DECIMAL(20,15))", "1.00000E-10"),
        ("CAST(1e20 AS DECIMAL(30,2))", "100000000000000000000.00"),
        ("MAP['b', 1, 'a', 2]", r#"{"a":2,"b":1}"#),
        ("x'0102ff'", r#""AQL/""#),
        (r#"'a"b\c/é'"#, r#""a\"b\\c/é""#),
        ("CHR(1) || CHR(31) || CHR(9) || CHR(10) || CHR(8)", r#""\u0001\u001F\t\n\b""#),
        ("CAST('x' AS CHAR(3))", r#""x  ""#),
    ];
    let cases = cases.map(|(value, json)| (format!("JSON_STRING({value})"), json));
    check(&cases.each_ref().map(|(e, json)| (e.as_str(), "STRING", *json)));
}

#[test]
fn what_has_no_json_is_refused() {
    for (expression, said) in [
        ("JSON_STRING(dt)", "DATE has no JSON"),
        ("JSON_OBJECT('t' VALUE TIME '10:00:00')", "TIME has no JSON"),
        ("JSON_OBJECT('x' VALUE INTERVAL '1' DAY)", "INTERVAL has no JSON"),
        ("JSON_STRING(MAP[1, 2])", "MAP<INT, INT> has no JSON: its keys are no strings"),
        ("JSON_ARRAY(NULL)", "a NULL of no type in JSON_ARRAY"),
        ("JSON_OBJECT('x' VALUE NULL)", "a NULL of no type in JSON_OBJECT"),
        ("JSON_OBJECT(nil VALUE i)", "the key `nil` of JSON_OBJECT may be NULL"),
        ("JSON_OBJECT(1 VALUE i)", "JSON_OBJECT([STRING, …]) is INT"),
        ("JSON_OBJECT('a', i)", "expected `VALUE` and a value, found `,`"),
        ("JSON_OBJECT('a')", "expected `VALUE` and a value, found `)`"),
        ("JSON_OBJECT('a' VALUE 1 NULL ON NULL, 'b' VALUE 1)", "expected `)`, found `,`"),
        ("JSON('1')", "JSON() is a value in JSON_OBJECT or JSON_ARRAY only"),
        ("JSON_STRING(JSON('1'))", "JSON() is a value in JSON_OBJECT or JSON_ARRAY only"),
        ("JSON_ARRAY(JSON('x'))", "no JSON: x"),
        ("JSON_ARRAYAGG(DISTINCT i)", "JSON_ARRAYAGG takes no DISTINCT"),
        ("JSON_ARRAYAGG(i) FILTER (WHERE b)", "JSON_ARRAYAGG takes no FILTER"),
    ] {
        check_error(expression, said);
    }
}

#[test]
fn is_json() {
    for (text, kinds) in [
        (r#"{"a":1}"#, "VALUE OBJECT"),
        (r#" {"a":1,"a":2} "#, "VALUE OBJECT"),
        ("[1]", "VALUE ARRAY"),
        ("null", "VALUE SCALAR"),
        ("\"a\"", "VALUE SCALAR"),
        ("1", "VALUE SCALAR"),
        ("1 2", "VALUE SCALAR"),
        ("{} x", "VALUE OBJECT"),
        ("", ""),
        (" ", ""),
        ("{a:1}", ""),
        ("[1,]", ""),
        ("NaN", ""),
        ("01", ""),
        ("1x", ""),
        ("1,", ""),
        ("truex", ""),
    ] {
        for kind in ["VALUE", "SCALAR", "ARRAY", "OBJECT"] {
            let is = kinds.contains(kind);
            let (yes, no) = (is.to_string(), (!is).to_string());
            check(&[
                (&format!("'{text}' IS JSON {kind}"), "BOOLEAN", &yes),
                (&format!("'{text}' IS NOT JSON {kind}"), "BOOLEAN", &no),
            ]);
        }
    }
    check(&[
        ("nil IS JSON", "BOOLEAN", "false"),
        ("nil IS NOT JSON", "BOOLEAN", "true"),
        ("s || '1' IS JSON AND b", "BOOLEAN", "false"),
    ]);
    check_error("i IS JSON", "IS JSON asks of a STRING, not of INT");
}
