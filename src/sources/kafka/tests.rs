//! Binding: every option's meaning, and every mistake at its place.

use super::discovery::OpenKafka;
use super::*;
use crate::broker::{Api, EmbeddedBroker, ErrorCode, Record};
use crate::diagnostics::{SourceFile, Span};
use crate::formats::MessageParts;
use crate::sources::{KafkaClient, OnDataLoss, OpenRequest, OpenSource as _};
use crate::types::SqlType;

/// Options as a script would give them, so that diagnostics show their places.
fn options(text: &str) -> Options {
    let mut entries = Vec::new();
    let mut at = 0;
    for line in text.lines() {
        if let Some((key, value)) = line.split_once('=') {
            let start = at + key.len() + 1;
            let key_span = Span::new(at, at + key.len());
            let value_span = Span::new(start, start + value.len());
            entries.push((
                Spanned::new(key.to_owned(), key_span),
                Spanned::new(value.to_owned(), value_span),
            ));
        }
        at += line.len() + 1;
    }
    Options::new(Span::new(text.len(), text.len()), entries)
}

fn source(text: &str) -> Result<KafkaSource, String> {
    let mut options = options(text);
    let source = options::take_source(&mut options);
    match options.finish("connector `kafka`") {
        Ok(()) => Ok(source.expect("nothing was wrong")),
        Err(errors) => {
            let file = SourceFile { name: "t".into(), text: text.into() };
            Err(errors.iter().map(|e| e.render(&file)).collect())
        }
    }
}

const LEAST: &str = "topic=ev\nproperties.bootstrap.servers=k:9092\n";

fn least(more: &str) -> Result<KafkaSource, String> {
    source(&format!("{LEAST}{more}"))
}

#[test]
fn defaults_are_flinks() {
    let source = least("properties.group.id=g").unwrap();
    assert_eq!(source.startup, Startup::GroupOffsets);
    assert_eq!(source.bounded, Bounded::Unbounded);
    assert_eq!(source.discovery_interval, Some(Duration::from_secs(300)));
    assert!(!source.is_bounded());
    assert_eq!(source.patience.answer, ANSWER_WITHIN);
}

#[test]
fn group_offsets_without_a_group_is_refused_with_both_ways_out() {
    let text = least("").unwrap_err();
    assert!(text.contains("`scan.startup.mode` is group-offsets"), "{text}");
    assert!(text.contains("earliest-offset"), "{text}");
    assert!(text.contains("properties.group.id"), "{text}");
}

#[test]
fn modes_take_their_own_options() {
    let source = least(
        "scan.startup.mode=specific-offsets\n\
         scan.startup.specific-offsets=partition:0,offset:42\n\
         scan.bounded.mode=timestamp\n\
         scan.bounded.timestamp-millis=1700000000000",
    )
    .unwrap();
    assert_eq!(source.startup, Startup::Specific([(0, 42)].into()));
    assert_eq!(source.bounded, Bounded::Timestamp(1_700_000_000_000));
    // A bounded table has the partitions it had at the start.
    assert_eq!(source.discovery_interval, None);
    let text = least("scan.startup.mode=timestamp").unwrap_err();
    assert!(text.contains("`scan.startup.timestamp-millis` is missing"), "{text}");
    let text = least("scan.startup.mode=earliest-offset\nscan.startup.timestamp-millis=1")
        .unwrap_err();
    assert!(text.contains("`scan.startup.timestamp-millis` has no effect"), "{text}");
}

#[test]
fn mistakes_come_together_each_at_its_place() {
    let text = source(
        "topic=a;b\ntopic-pattern=x\nscan.startup.mode=newest\nscan.parallelism=4\n\
         scan.bounded.mode=latest\nproperties.fetch.min.byte=1\nscan.strtup.mode=x\n\
         scan.watermark.emit.strategy=sometimes",
    )
    .unwrap_err();
    assert_eq!(text.matches("error: ").count(), 8, "{text}");
    assert!(text.contains("t:3:19"), "{text}");
    assert!(text.contains("there is a worker for each core"), "{text}");
    assert!(text.contains("did you mean `scan.startup.mode`?"), "{text}");
    assert!(text.contains("`properties.bootstrap.servers` is missing"), "{text}");
}

#[test]
fn a_pattern_that_is_none_says_why() {
    let text = source(
        "topic-pattern=ev(\nproperties.bootstrap.servers=k:9092\n\
         scan.startup.mode=earliest-offset",
    )
    .unwrap_err();
    assert!(text.contains("^^^ unclosed group"), "{text}");
}

#[test]
fn specific_offsets_go_with_one_topic() {
    let text = source(
        "topic=a;b\nproperties.bootstrap.servers=k:9092\nscan.startup.mode=specific-offsets\n\
         scan.startup.specific-offsets=partition:0,offset:42",
    )
    .unwrap_err();
    assert!(text.contains("a single topic"), "{text}");
}

#[test]
fn discovery_can_be_off_and_options_of_the_sink_are_no_mistake() {
    let source = least(
        "scan.startup.mode=earliest-offset\nscan.topic-partition-discovery.interval=0\n\
         sink.delivery-guarantee=exactly-once\nproperties.default.api.timeout.ms=900",
    )
    .unwrap();
    assert_eq!(source.discovery_interval, None);
    assert_eq!(source.patience.answer, Duration::from_millis(900));
}

fn columns(names: &[&str]) -> Vec<Column> {
    let column =
        |name: &&str| Column { name: (*name).to_owned(), ty: SqlType::BigInt.nullable() };
    names.iter().map(column).collect()
}

fn key_and_value(text: &str, has_key_format: bool) -> (fields::Fields, Vec<String>) {
    let mut options = options(text);
    let columns = columns(&["k_id", "v", "k_name"]);
    let fields = fields::take(&mut options, &columns, has_key_format);
    (fields, options.errors.iter().map(|e| e.message.clone()).collect())
}

#[test]
fn key_columns_are_split_off_as_in_flink() {
    let (fields, errors) = key_and_value("key.fields=k_name;k_id", true);
    assert_eq!((fields.key, fields.value, errors.len()), (vec![2, 0], vec![0, 1, 2], 0));
    let (fields, errors) = key_and_value(
        "key.fields=k_name;k_id\nkey.fields-prefix=k_\nvalue.fields-include=EXCEPT_KEY",
        true,
    );
    assert_eq!(errors.len(), 0);
    assert_eq!(fields.value, [1]);
    let all = columns(&["k_id", "v", "k_name"]);
    let names: Vec<_> = fields.key_columns(&all).into_iter().map(|c| c.name).collect();
    assert_eq!(names, ["name", "id"]);
}

#[test]
fn key_options_that_contradict_each_other_are_refused() {
    let (_, errors) = key_and_value("key.fields=k_id", false);
    assert_eq!(errors, ["option `key.format` is missing"]);
    let (_, errors) = key_and_value("", true);
    assert_eq!(errors, ["option `key.fields` is missing"]);
    let (_, errors) = key_and_value("key.fields=k_id;id\nkey.fields-prefix=k_", true);
    assert_eq!(
        errors,
        [
            "`key.fields` names no column: `id`",
            "`key.fields-prefix` needs `value.fields-include` = `EXCEPT_KEY`"
        ]
    );
}

#[test]
fn an_unknown_format_is_one_error_and_not_its_options_too() {
    let all = columns(&["v"]);
    let table =
        SourceTable { name: "t", name_span: Span::default(), columns: &all, time_zone: "UTC" };
    let text = format!("{LEAST}scan.startup.mode=earliest-offset\nformat=jsn\njsn.x=1");
    let errors = bind(&table, options(&text)).unwrap_err();
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].message, "unknown format `jsn`");
    assert!(errors[0].span.is_some());
}

/// Of its two questions about a log's ends only the first is refused, as by a
/// broker that has just started: the log is not empty for that.
#[test]
fn a_log_is_not_empty_because_its_start_was_not_told() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic("ev", 1).unwrap();
    let records = vec![Record { value: Some(b"v".to_vec()), ..Record::default() }; 5];
    broker.append("ev", 0, &records).unwrap();
    let from = |mode: &str| {
        let address = broker.address();
        let text = format!(
            "topic=ev\nproperties.bootstrap.servers={address}\nscan.startup.mode={mode}"
        );
        let request = OpenRequest {
            parts: MessageParts::default(),
            projection: Vec::new(),
            resume: None,
            on_data_loss: OnDataLoss::Stop,
            kafka_client: KafkaClient::Auto,
        };
        OpenKafka::connect(source(&text).unwrap(), &request).unwrap()
    };
    let codes = [ErrorCode::NotLeaderOrFollower, ErrorCode::UnknownTopicOrPartition];
    for code in codes.repeat(15) {
        let mut open = from("earliest-offset");
        broker.faults().fail_next(Api::ListOffsets, code, 1);
        assert_eq!(open.discover().unwrap()[0].start, 0);
    }
}
