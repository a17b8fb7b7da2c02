//! Expectations come from the cases, which a real Flink answered, and from
//! what Jackson is documented to do.

use proptest::prelude::*;

use crate::formats::testing::*;
use crate::types::{Column, SqlType};

const IGNORE: (&str, &str) = ("csv.ignore-parse-errors", "true");

/// The rows of `payloads` as JSON, and the errors.
fn decode(
    columns: &[Column],
    options: &[(&str, &str)],
    payloads: &[&str],
) -> (Vec<String>, Vec<String>) {
    let format = bind("csv", columns, options).unwrap();
    let decoded = decode_all(&*format, columns.len(), payloads);
    let errors = decoded.errors.iter().map(|e| e.reason.clone()).collect();
    (json_lines(columns, &decoded), errors)
}

#[test]
fn bad_ignored_as_flink_ignores_it() {
    let (payloads, expected) = case("csv-ignored", "ev.0.csv");
    let format = bind("csv", &name_v_et(), &[IGNORE]).unwrap();
    assert_eq!(run_case(&*format, &name_v_et(), &payloads), expected);
}

#[test]
fn other_characters_as_flink_reads_them() {
    let (payloads, _) = case("csv-semicolon", "ev.0.csv");
    let options = [("csv.field-delimiter", ";"), ("csv.quote-character", "'")];
    let format = bind("csv", &name_v_et(), &options).unwrap();
    let rows = run_case(&*format, &name_v_et(), &payloads);
    assert_eq!(rows, [r#"a,1,"1970-01-01 00:00:01""#, r#"x;y,2,"1970-01-01 00:00:02""#]);
}

#[test]
fn the_turnstile_rows_come_out_as_they_went_in() {
    let (payloads, _) = case("turnstile", "turnstile.0.csv");
    let text = ["CA", "UNIT", "SCP", "STATION", "LINENAME", "DIVISION", "DATE", "TIME", "DESC"];
    let mut columns: Vec<Column> =
        text.iter().map(|name| column(name, SqlType::STRING)).collect();
    columns.push(column("ENTRIES", SqlType::BigInt));
    columns.push(column("EXITS", SqlType::BigInt));
    columns.push(column("UUID", SqlType::STRING));
    columns.push(column("et", SqlType::Timestamp(3)));
    let format = bind("csv", &columns, &[]).unwrap();
    let mut expected: Vec<String> =
        payloads.iter().map(|p| String::from_utf8(p.clone().unwrap()).unwrap()).collect();
    expected.sort();
    let mut rows: Vec<String> = run_case(&*format, &columns, &payloads);
    for row in &mut rows {
        *row = row.replace('"', "");
    }
    rows.sort();
    assert_eq!(rows, expected);
}

#[test]
fn a_bad_row_fails_alone() {
    let (rows, errors) = decode(
        &name_v_et(),
        &[],
        &[
            "a,1,1970-01-01 00:00:01",
            "d,x,1970-01-01 00:00:04",
            "e,6",
            "f,7,1970-01-01 00:00:04,more",
            "",
            "\"g,7",
            "h,,1970-01-01 00:00:04",
            "b,2,1970-01-01 00:00:01,\r\nnext,row",
        ],
    );
    assert_eq!(
        rows,
        [
            r#"{"name":"a","v":1,"et":"1970-01-01 00:00:01"}"#,
            r#"{"name":"b","v":2,"et":"1970-01-01 00:00:01"}"#
        ]
    );
    assert_eq!(
        errors,
        [
            r#"field `v`: expected BIGINT, found "x""#,
            "row length mismatch: 3 fields expected but was 2, in e,6",
            "row length mismatch: 3 fields expected but was 4, in f,7,1970-01-01 00:00:04,more",
            "the message is empty",
            "not valid CSV in field 1: the closing quote is missing, in \"g,7",
            r#"field `v`: expected BIGINT, found """#,
        ]
    );
}

#[test]
fn the_null_literal_is_null_for_every_type() {
    let (rows, errors) =
        decode(&name_v_et(), &[("csv.null-literal", "n/a")], &["n/a,n/a,n/a", "\"n/a\",1,n/a"]);
    assert!(errors.is_empty());
    assert_eq!(
        rows,
        [r#"{"name":null,"v":null,"et":null}"#, r#"{"name":null,"v":1,"et":null}"#]
    );
    let (rows, _) = decode(&name_v_et(), &[("csv.null-literal", "")], &[",,"]);
    assert_eq!(rows, [r#"{"name":null,"v":null,"et":null}"#]);
}

#[test]
fn every_type_is_converted_as_flink_converts_it() {
    let columns = [
        column("b", SqlType::Boolean),
        column("n", SqlType::Decimal { precision: 5, scale: 2 }),
        column("da", SqlType::Date),
        column("ti", SqlType::Time(1)),
        column("tz", SqlType::TimestampLtz(3)),
        column("by", SqlType::BYTES),
        column("d", SqlType::Double),
    ];
    for (at, text, expected) in [
        (0, " TRUE ", Some("true")),
        (0, "", Some("false")),
        (1, "1.005", Some("1.01")),
        (1, " 1", None),
        (1, "1000", Some("null")),
        (2, "2023-2-9", Some("\"2023-02-09\"")),
        (2, "2023-02-09 ", None),
        (3, "01:02", Some("\"01:02:00\"")),
        (4, " 1970-01-01 00:00:00.5Z ", Some("\"1970-01-01 00:00:00.5Z\"")),
        (4, "1970-01-01 00:00:00", None),
        (5, "AQID", Some("\"AQID\"")),
        (6, " 1e3 ", Some("1000.0")),
        (6, "", None),
    ] {
        let (rows, errors) = decode(&columns[at..=at], &[], &[&format!("{text}\n")]);
        let name = &columns[at].name;
        match expected {
            Some(value) => assert_eq!(rows, [format!("{{\"{name}\":{value}}}")], "{text}"),
            None => assert_eq!(errors.len(), 1, "{name} of {text:?}: {rows:?}"),
        }
    }
}

fn nested() -> Vec<Column> {
    let row = SqlType::Row(vec![field("x", SqlType::Int), field("y", SqlType::STRING)]);
    vec![column("a", array(SqlType::Int)), column("r", row)]
}

#[test]
fn lists_in_a_field() {
    let (rows, errors) = decode(
        &nested(),
        &[("csv.null-literal", "-")],
        &["1;2;-,7;q", ",", "-,\"8;a b\"", "1,7", "1;z,7;q"],
    );
    assert_eq!(
        rows,
        [
            r#"{"a":[1,2,null],"r":{"x":7,"y":"q"}}"#,
            r#"{"a":[],"r":null}"#,
            r#"{"a":[null],"r":{"x":8,"y":"a b"}}"#,
        ]
    );
    assert_eq!(
        errors,
        ["field `r`: 2 elements expected but was 1", r#"field `a`: expected INT, found "z""#]
    );
    let (rows, errors) = decode(&nested(), &[IGNORE], &["1;z,7"]);
    assert!(errors.is_empty());
    assert_eq!(rows, [r#"{"a":[1,null],"r":{"x":7,"y":null}}"#]);
}

#[test]
fn fields_are_counted_also_where_no_column_is_read() {
    let format = bind("csv", &name_v_et(), &[]).unwrap();
    let payloads: Vec<_> =
        ["a,x,y", "a,x"].iter().map(|p| Some(p.as_bytes().to_vec())).collect();
    for projection in [&[0][..], &[]] {
        let decoded = format.decoder(projection).decode(&messages(&payloads));
        assert_eq!(decoded.rows, [0]);
        assert_eq!(decoded.errors.len(), 1);
    }
}

#[test]
fn options_are_flinks() {
    let columns = [column("a", SqlType::STRING), column("b", SqlType::STRING)];
    let read = |options: &[(&str, &str)], payload| decode(&columns, options, &[payload]).0;
    for delimiter in ["\t", r"\t", r"\u0009", r"\011"] {
        let rows = read(&[("csv.field-delimiter", delimiter)], "x\ty");
        assert_eq!(rows, [r#"{"a":"x","b":"y"}"#]);
    }
    let rows = read(&[("csv.disable-quote-character", "true")], "\"x,y");
    assert_eq!(rows, [r#"{"a":"\"x","b":"y"}"#]);
    let rows = read(&[("csv.escape-character", "\\")], r"x\,1,y");
    assert_eq!(rows, [r#"{"a":"x,1","b":"y"}"#]);
    let rows = read(&[("csv.allow-comments", "true")], "# a, b, c\n\nx,y");
    assert_eq!(rows, [r#"{"a":"x","b":"y"}"#]);
    for wrong in [
        &[("csv.field-delimiter", "||")][..],
        &[("csv.field-delimiter", "§")],
        &[("csv.field-delimiter", "\"")],
        &[("csv.disable-quote-character", "true"), ("csv.quote-character", "'")],
        &[("csv.ignore-parse-errors", "yes")],
    ] {
        assert_eq!(bind("csv", &columns, wrong).unwrap_err().len(), 1, "{wrong:?}");
    }
    assert!(bind("csv", &[column("m", map(SqlType::Int))], &[]).is_err());
    assert!(bind("csv", &[column("t", SqlType::Time(6))], &[]).is_err());
}

#[test]
fn quoting_is_jacksons() {
    let columns = [column("a", SqlType::STRING), column("l", array(SqlType::STRING))];
    let format = bind("json", &columns, &[]).unwrap();
    let payloads = [
        r#"{"a":"A-1","l":["x","y"]}"#,
        r#"{"a":"with space","l":["x y",null]}"#,
        r#"{"a":"q\"","l":[]}"#,
        r#"{"a":"abcdefghijklmnopqrstuvwx"}"#,
        r#"{"a":"abcdefghijklmnopqrstuvwxy"}"#,
        r#"{"a":"back\\slash","l":["+"]}"#,
        r#"{"a":"","l":null}"#,
    ];
    let decoded = decode_all(&*format, 2, &payloads);
    assert_eq!(
        lines(&*bind_encoding("csv", &columns, &[]), &columns, &decoded),
        [
            "A-1,x;y",
            "\"with space\",\"x y;\"",
            "\"q\"\"\",",
            "abcdefghijklmnopqrstuvwx,",
            "\"abcdefghijklmnopqrstuvwxy\",",
            "\"back\\slash\",\"+\"",
            ",",
        ]
    );
    let plain = bind_encoding("csv", &columns, &[("csv.disable-quote-character", "true")]);
    assert_eq!(lines(&*plain, &columns, &decoded)[1], "with space,x y;");
}

#[test]
fn decimals_are_written_as_flink_writes_them() {
    let columns = [column("n", SqlType::Decimal { precision: 10, scale: 2 })];
    let format = bind("csv", &columns, &[]).unwrap();
    let decoded = decode_all(&*format, 1, &["-210.00", "1.50"]);
    let scientific = bind_encoding("csv", &columns, &[]);
    assert_eq!(lines(&*scientific, &columns, &decoded), ["-2.1E+2", "1.5"]);
    let key = "csv.write-bigdecimal-in-scientific-notation";
    let plain = bind_encoding("csv", &columns, &[(key, "false")]);
    assert_eq!(lines(&*plain, &columns, &decoded), ["-210.00", "1.50"]);
}

/// Messages as they come.
fn payloads() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
    let field = prop_oneof![
        any::<i32>().prop_map(|v| v.to_string()),
        "[a-zé☃ ]{0,20}",
        "\"[a-zé ,\n]{0,20}\"",
        "\"(\"\"|x|,){0,8}\"?",
        Just("1970-01-01 00:00:04.123".to_owned()),
        Just("1;2;x".to_owned()),
    ];
    let message = (prop::collection::vec(field, 0..5), 0..12u8).prop_map(|(fields, kind)| {
        let mut bytes = fields.join(",").into_bytes();
        match kind {
            0 => return None,
            1 => bytes.push(0xc3),
            2 => bytes.insert(0, 0xa9),
            3 => bytes.push(b'\n'),
            _ => {}
        }
        Some(bytes)
    });
    prop::collection::vec(message, 0..12)
}

fn mixed() -> Vec<Column> {
    vec![
        column("s", SqlType::STRING),
        column("v", SqlType::Int),
        column("a", array(SqlType::Int)),
        column("et", SqlType::Timestamp(3)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn grouping_does_not_matter(
        payloads in payloads(),
        mut cuts in prop::collection::vec(0usize..12, 0..3),
        ignore: bool,
    ) {
        cuts.sort_unstable();
        let options: &[_] = if ignore { &[IGNORE] } else { &[] };
        let format = bind("csv", &mixed(), options).unwrap();
        assert_grouping_does_not_matter(&*format, &mixed(), &payloads, &cuts);
    }

    #[test]
    fn what_is_written_reads_back(
        s in "[ -~é☃😀\n\r]{0,30}",
        v: i32,
        micros in -60_000_000_000_000_000i64..200_000_000_000_000_000,
    ) {
        let columns = [
            column("s", SqlType::STRING),
            column("v", SqlType::Int),
            column("et", SqlType::Timestamp(6)),
        ];
        let mut et = Vec::new();
        crate::formats::print::timestamp(&mut et, micros, 1_000_000, b' ');
        let et = String::from_utf8(et).unwrap();
        let json = serde_json::json!({ "s": s, "v": v, "et": et }).to_string();
        let decoded = decode_all(&*bind("json", &columns, &[]).unwrap(), 3, &[&json]);
        let written = lines(&*bind_encoding("csv", &columns, &[]), &columns, &decoded);
        let (rows, errors) = decode(&columns, &[], &[&written[0]]);
        prop_assert!(errors.is_empty());
        prop_assert_eq!(rows, json_lines(&columns, &decoded));
    }

    #[test]
    fn no_bytes_panic(payloads in prop::collection::vec(any::<Vec<u8>>(), 0..6)) {
        let payloads: Vec<_> = payloads.into_iter().map(Some).collect();
        let format = bind("csv", &mixed(), &[IGNORE, ("csv.escape-character", "\\")]).unwrap();
        assert_grouping_does_not_matter(&*format, &mixed(), &payloads, &[2]);
    }
}
