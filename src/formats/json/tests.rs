//! Expectations come from the cases, which a real Flink answered, and from the
//! conversions Flink documents.

use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, Int64Type};
use proptest::prelude::*;

use crate::formats::testing::*;
use crate::types::{Column, ColumnType, SqlType};

const IGNORE: (&str, &str) = ("json.ignore-parse-errors", "true");

/// The rows of `payloads` as JSON, and the errors.
fn decode(
    columns: &[Column],
    options: &[(&str, &str)],
    payloads: &[&str],
) -> (Vec<String>, Vec<String>) {
    let format = bind("json", columns, options).unwrap();
    let decoded = decode_all(&*format, columns.len(), payloads);
    let errors = decoded.errors.iter().map(|e| e.reason.clone()).collect();
    (json_lines(columns, &decoded), errors)
}

#[test]
fn bad_ignored_as_flink_ignores_it() {
    let (payloads, expected) = case("json-bad-ignored", "ev.0.csv");
    let format = bind("json", &name_v_et(), &[IGNORE]).unwrap();
    assert_eq!(run_case(&*format, &name_v_et(), &payloads), expected);
}

#[test]
fn iso_timestamps_as_flink_reads_them() {
    let (payloads, expected) = case("json-iso", "ev.0.csv");
    let iso = ("json.timestamp-format.standard", "ISO-8601");
    let format = bind("json", &name_v_et(), &[iso]).unwrap();
    assert_eq!(run_case(&*format, &name_v_et(), &payloads), expected);
}

#[test]
fn a_bad_field_fails_its_message_alone() {
    let (rows, errors) = decode(
        &name_v_et(),
        &[],
        &[
            r#"{"name":"a","v":1,"et":"1970-01-01 00:00:01"}"#,
            r#"{"name":"a","v":"x","et":"1970-01-01 00:00:03"}"#,
            "not json",
            r#"{"name":"b","v":2,"et":"1970-01-01 00:00:01"}"#,
            r#"{"name":"a","v":1,"et":"1970-01-01 00"#,
        ],
    );
    assert_eq!(rows.len(), 2);
    assert_eq!(
        errors,
        [
            r#"field `v`: expected BIGINT, found "x""#,
            "not valid JSON at byte 0: expected a value, found not json",
            "not valid JSON at byte 37: expected the closing `\"`, found the end",
        ]
    );
}

/// However the producer wrote the members before, what is not JSON is none.
#[test]
fn a_comma_too_few_or_too_many_is_a_mistake_whatever_came_before() {
    let columns = [column("v", SqlType::BigInt), column("w", SqlType::BigInt)];
    let (rows, errors) = decode(&columns, &[], &[r#"{"v":1}"#, r#"{"x":1"v":2}"#]);
    assert_eq!(rows, [r#"{"v":1,"w":null}"#]);
    assert_eq!(errors, ["not valid JSON at byte 6: expected `,` or `}`, found \"v\":2}"]);

    let mut payloads = vec![r#"{"v":1,"w":2}"#, r#"{"w":1,"v":2}"#];
    payloads.extend([r#"{"w":1,"x":0,"v":2}"#; 2000]);
    payloads.extend([r#"{,"w":1,"v":2}"#, r#"{,"x":1,"v":2}"#, r#"{,"v":1}"#]);
    let (rows, errors) = decode(&columns, &[], &payloads);
    assert_eq!((rows.len(), errors.len()), (2002, 3), "{errors:?}");
    assert!(rows[1..].iter().all(|row| row == r#"{"v":2,"w":1}"#));
}

#[test]
fn a_missing_field_fails_only_if_asked() {
    let payload = r#"{"v":3,"et":"1970-01-01 00:00:04"}"#;
    let (rows, errors) = decode(&name_v_et(), &[], &[payload]);
    assert_eq!(rows, [r#"{"name":null,"v":3,"et":"1970-01-01 00:00:04"}"#]);
    assert!(errors.is_empty());
    let (_, errors) =
        decode(&name_v_et(), &[("json.fail-on-missing-field", "true")], &[payload]);
    assert_eq!(errors, ["field `name`: missing"]);
}

fn nested() -> Vec<Column> {
    let who =
        SqlType::Row(vec![field("name", SqlType::STRING), field("props", map(SqlType::Int))]);
    let bid = SqlType::Row(vec![
        field("auction", SqlType::BigInt),
        field("price", SqlType::Decimal { precision: 8, scale: 2 }),
        field("tags", array(SqlType::STRING)),
        field("who", who),
    ]);
    vec![column("id", SqlType::Int), column("bid", bid), column("et", SqlType::Timestamp(3))]
}

#[test]
fn nested_values_as_flink_reads_them() {
    let (payloads, _) = case("json-nested", "ev.0.jsonl");
    let texts: Vec<&str> =
        payloads.iter().map(|p| str::from_utf8(p.as_ref().unwrap()).unwrap()).collect();
    let (rows, errors) = decode(&nested(), &[], &texts);
    assert!(errors.is_empty());
    assert_eq!(
        rows,
        [
            r#"{"id":1,"bid":{"auction":7,"price":1.5,"tags":["x","y"],"who":{"name":"ann","props":{"k":1,"j":2}}},"et":"1970-01-01 00:00:01"}"#,
            r#"{"id":2,"bid":{"auction":7,"price":2.25,"tags":[],"who":null},"et":"1970-01-01 00:00:02"}"#,
            r#"{"id":3,"bid":null,"et":"1970-01-01 00:00:03"}"#,
            r#"{"id":4,"bid":null,"et":"1970-01-01 00:00:04"}"#,
        ]
    );
}

#[test]
fn nested_faults_name_their_path_or_become_null() {
    let payload = r#"{"id":1,"bid":{"auction":1,"who":{"name":"a","props":{"k":"x"}}}}"#;
    let (_, errors) = decode(&nested(), &[], &[payload]);
    assert_eq!(errors, [r#"field `bid.who.props`: expected INT, found "x""#]);
    let (rows, errors) = decode(&nested(), &[IGNORE], &[payload, r#"{"bid":[{}]}"#]);
    assert!(errors.is_empty());
    assert!(rows[0].contains(r#""props":{"k":null}"#), "{}", rows[0]);
    assert_eq!(rows[1], r#"{"id":null,"bid":null,"et":null}"#);
}

#[test]
fn a_bad_message_leaves_nothing_behind_in_nested_columns() {
    let good = r#"{"id":1,"bid":{"tags":["a long enough tag","b"],"who":{"props":{"k":1}}}}"#;
    let cut = &good[..good.len() - 3];
    let (rows, errors) = decode(&nested(), &[], &[good, cut, good]);
    assert_eq!(errors.len(), 1);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0], rows[1]);
}

#[test]
fn the_last_of_a_repeated_key_counts() {
    let (rows, _) = decode(
        &nested(),
        &[],
        &[r#"{"id":1,"id":2,"bid":{"who":{"props":{"k":1,"j":2,"k":3}}},"id":3}"#],
    );
    assert!(rows[0].starts_with(r#"{"id":3,"#));
    assert!(rows[0].contains(r#""props":{"j":2,"k":3}"#), "{}", rows[0]);
}

#[test]
fn every_type_is_converted_as_flink_converts_it() {
    let columns = [
        column("b", SqlType::Boolean),
        column("t", SqlType::TinyInt),
        column("i", SqlType::Int),
        column("l", SqlType::BigInt),
        column("f", SqlType::Float),
        column("d", SqlType::Double),
        column("n", SqlType::Decimal { precision: 5, scale: 2 }),
        column("da", SqlType::Date),
        column("ti", SqlType::Time(3)),
        column("ts", SqlType::Timestamp(9)),
        column("tz", SqlType::TimestampLtz(3)),
        column("by", SqlType::BYTES),
        column("s", SqlType::STRING),
    ];
    let one = |name: &str, value: &str| {
        let (rows, errors) = decode(
            &columns,
            &[("json.encode.ignore-null-fields", "true")],
            &[&format!(r#"{{"{name}":{value}}}"#)],
        );
        match errors.first() {
            Some(_) => "error".to_owned(),
            None => {
                let row: serde_json::Value = serde_json::from_str(&rows[0]).unwrap();
                row[name].to_string()
            }
        }
    };
    for (name, value, expected) in [
        ("b", "true", "true"),
        ("b", r#"" TRUE ""#, "true"),
        ("b", r#""yes""#, "false"),
        ("b", "1", "false"),
        ("t", "-128", "-128"),
        ("t", "128", "error"),
        ("t", "1.5", "error"),
        ("i", "1.9", "1"),
        ("i", "-1.9", "-1"),
        ("i", "1e3", "1000"),
        ("i", "3e9", "error"),
        ("i", r#"" 12 ""#, "12"),
        ("i", r#""1.9""#, "error"),
        ("l", "9223372036854775807", "9223372036854775807"),
        ("l", "9223372036854775808", "error"),
        ("l", "true", "error"),
        ("l", r#""""#, "error"),
        ("l", "[]", "error"),
        ("f", "0.1", "0.1"),
        ("d", "1e400", r#""Infinity""#),
        ("d", r#""NaN""#, r#""NaN""#),
        ("d", "7", "7.0"),
        ("n", "1.005", "1.01"),
        ("n", r#"" 1.5 ""#, "1.5"),
        ("n", "1000", "null"),
        ("n", "true", "error"),
        ("da", r#""2023-02-28""#, r#""2023-02-28""#),
        ("da", r#""2023-02-29""#, "error"),
        ("da", "20230228", "error"),
        ("ti", r#""01:02:03.456""#, r#""01:02:03""#),
        ("ts", r#""1970-01-01 00:00:00.123456789""#, r#""1970-01-01 00:00:00.123456789""#),
        ("ts", r#""1970-01-01 00:00:00Z""#, "error"),
        ("ts", "0", "error"),
        ("tz", r#""1970-01-01 00:00:00.5Z""#, r#""1970-01-01 00:00:00.5Z""#),
        ("tz", r#""1970-01-01 00:00:00""#, "error"),
        ("by", r#""AQID""#, r#""AQID""#),
        ("by", r#""AQ""#, "error"),
        ("by", "true", "error"),
        ("s", "1.50", r#""1.50""#),
        ("s", "true", r#""true""#),
        ("s", r#"[ 1, {"a" : null} ]"#, r#""[1,{\"a\":null}]""#),
        ("s", r#""\u00e9\n\"x\" and a long rest""#, r#""é\n\"x\" and a long rest""#),
        ("s", "null", "null"),
    ] {
        assert_eq!(one(name, value), expected, "{name} of {value}");
    }
}

#[test]
fn what_is_no_row_is_no_error() {
    let format = bind("json", &name_v_et(), &[]).unwrap();
    let payloads = [None, Some(Vec::new()), Some(b"{}".to_vec()), Some(vec![b'{', 0xff, b'}'])];
    let decoded = format.decoder(&[0, 1, 2]).decode(&messages(&payloads));
    assert_eq!(decoded.rows, [2]);
    assert_eq!(decoded.errors.len(), 1);
    assert_eq!(decoded.errors[0].message, 3);
}

#[test]
fn an_array_of_objects_is_a_row_each() {
    let columns = [column("v", SqlType::Int)];
    let format = bind("json", &columns, &[]).unwrap();
    let payloads = [r#"[{"v":1}, {"v":2}]"#, "[]", r#"[{"v":3},4]"#, r#"{"v":5}"#];
    let decoded = decode_all(&*format, 1, &payloads);
    assert_eq!(decoded.rows, [0, 0, 3]);
    assert_eq!(decoded.errors[0].message, 2);
    let format = bind("json", &columns, &[IGNORE]).unwrap();
    assert_eq!(decode_all(&*format, 1, &payloads).rows, [0, 0, 2, 3]);
}

#[test]
fn null_where_not_null_is_declared_fails_the_message() {
    let columns = [Column { name: "v".to_owned(), ty: SqlType::Int.not_null() }];
    let (rows, errors) = decode(&columns, &[IGNORE], &[r#"{"v":1}"#, r#"{"v":"x"}"#, "{}"]);
    assert_eq!(rows, [r#"{"v":1}"#]);
    assert_eq!(errors[0], "field `v`: NULL where NOT NULL is declared");
    assert_eq!(errors.len(), 2);
}

#[test]
fn columns_that_are_not_read_are_not_converted() {
    let format = bind("json", &name_v_et(), &[]).unwrap();
    let payloads = [Some(br#"{"name":"a","v":"x","et":"1970-01-01 00:00:01"}"#.to_vec())];
    let decoded = format.decoder(&[0, 2]).decode(&messages(&payloads));
    assert_eq!((decoded.rows.len(), decoded.columns.len()), (1, 2));
    let decoded = format.decoder(&[]).decode(&messages(&payloads));
    assert_eq!((decoded.rows.len(), decoded.columns.len()), (1, 0));
}

#[test]
fn many_columns_and_escaped_keys_are_found() {
    let columns: Vec<Column> =
        (0..40).map(|i| column(&format!("é{i}"), SqlType::Int)).collect();
    let members: Vec<String> = (0..40).rev().map(|i| format!(r#""\u00e9{i}":{i}"#)).collect();
    let payload = format!("{{{}}}", members.join(","));
    let (rows, _) = decode(&columns, &[], &[&payload]);
    assert!(rows[0].starts_with(r#"{"é0":0,"é1":1,"#));
    assert!(rows[0].ends_with(r#""é39":39}"#));
}

#[test]
fn wrong_options_are_refused() {
    let refused = |options: &[(&str, &str)]| bind("json", &name_v_et(), options).unwrap_err();
    let both = [IGNORE, ("json.fail-on-missing-field", "true")];
    assert_eq!(refused(&both).len(), 1);
    assert_eq!(refused(&[("json.timestamp-format.standard", "iso")]).len(), 1);
    assert_eq!(refused(&[("json.map-null-key.mode", "KEEP")]).len(), 1);
    assert_eq!(refused(&[("json.ignore-parse-error", "true")]).len(), 1);
    let key = ColumnType { ty: SqlType::Int, nullable: false };
    let map = SqlType::Map(Box::new(key), Box::new(SqlType::Int.nullable()));
    assert_eq!(bind("json", &[column("m", map)], &[]).unwrap_err().len(), 1);
}

/// Messages as they come: most good, some cut, some wrong, some nothing.
fn payloads() -> impl Strategy<Value = Vec<Option<Vec<u8>>>> {
    let value = prop_oneof![
        any::<i64>().prop_map(|v| v.to_string()),
        any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| v.to_string()),
        r#"[a-zé☃ \t]{0,20}"#.prop_map(|s| serde_json::to_string(&s).unwrap()),
        r#""(\\n|\\u00e9|\\ud83d|\\"|x){0,8}""#,
        Just(r#""1970-01-01 00:00:04.123""#.to_owned()),
        prop::sample::select(vec!["null", "true", "{}", "[]", r#"{"a":[1,{"b":2}]}"#])
            .prop_map(str::to_owned),
        Just(
            r#"{"auction":3,"tags":["a tag that is long",2],"who":{"props":{"k":1,"k":"x"}}}"#
                .to_owned()
        ),
    ];
    let key = prop::sample::select(vec!["id", "bid", "et", "other", r"\u0069d"]);
    let object = prop::collection::vec((key, value), 0..6).prop_map(|members| {
        let members: Vec<_> = members.iter().map(|(k, v)| format!("\"{k}\": {v}")).collect();
        format!("{{{}}}", members.join(","))
    });
    let message =
        (object, any::<prop::sample::Index>(), 0..10u8).prop_map(|(text, at, kind)| {
            let at = at.index(text.len());
            let mut bytes = text.into_bytes();
            match kind {
                0 => bytes.truncate(at),
                1 => bytes[at] = 0xff,
                2 => bytes[at] = b'"',
                3 => return None,
                4 => bytes = [b"[", bytes.as_slice(), b",", bytes.as_slice(), b"]"].concat(),
                _ => {}
            }
            Some(bytes)
        });
    prop::collection::vec(message, 0..12)
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
        let format = bind("json", &nested(), options).unwrap();
        assert_grouping_does_not_matter(&*format, &nested(), &payloads, &cuts);
    }

    #[test]
    fn values_are_what_serde_json_reads(
        v in any::<i64>(),
        s in "[ -~é☃😀\n]{0,30}",
        d in any::<f64>().prop_filter("finite", |d| d.is_finite()),
    ) {
        let columns = [
            column("s", SqlType::STRING),
            column("v", SqlType::BigInt),
            column("d", SqlType::Double),
        ];
        let value = serde_json::json!({ "v": v, "s": s, "d": d });
        let format = bind("json", &columns, &[]).unwrap();
        let decoded = decode_all(&*format, 3, &[&value.to_string()]);
        prop_assert_eq!(decoded.columns[0].as_string_view().value(0), s);
        prop_assert_eq!(decoded.columns[1].as_primitive::<Int64Type>().value(0), v);
        prop_assert_eq!(decoded.columns[2].as_primitive::<Float64Type>().value(0), d);
        // serde_json rounds the last digit of a double now and then.
        let row: serde_json::Value =
            serde_json::from_str(&json_lines(&columns, &decoded)[0]).unwrap();
        prop_assert_eq!(&row["v"], &value["v"]);
        prop_assert_eq!(&row["s"], &value["s"]);
    }

    #[test]
    fn no_bytes_panic(payloads in prop::collection::vec(any::<Vec<u8>>(), 0..6)) {
        let payloads: Vec<_> = payloads.into_iter().map(Some).collect();
        let format = bind("json", &nested(), &[IGNORE]).unwrap();
        assert_grouping_does_not_matter(&*format, &nested(), &payloads, &[2]);
    }
}
