//! What goes in comes out: codecs, keys and headers, idempotence, time, waiting.

use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::clients::*;
use crate::broker::{Api, EmbeddedBroker, Record};

#[test]
fn every_codec_comes_back_as_it_was_sent() {
    let broker = broker_with("bids", 1);
    let mut sent = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer =
            TestProducer::new(&broker, &[("compression.type", codec), ("linger.ms", "50")]);
        let payloads: Vec<_> =
            (0..500).map(|at| format!("{codec} {at} {}", "x".repeat(50))).collect();
        let borrowed: Vec<_> = payloads.iter().map(String::as_str).collect();
        producer.deliver("bids", 0, &borrowed);
        sent.extend(payloads);
    }
    let consumer = consumer(&broker, &[("check.crcs", "true")]);
    let seen = read_all(&consumer, "bids", 0, Offset::Beginning);
    assert_eq!(payloads(&seen), sent);
    assert!(seen.iter().map(|(offset, _)| *offset).eq(0..2500));
}

#[test]
fn appended_records_keep_key_headers_timestamp_and_tombstone() {
    let broker = broker_with("bids", 1);
    let full = Record {
        key: Some(b"k".to_vec()),
        value: None,
        timestamp_ms: 1_767_225_600_123,
        headers: vec![("h".to_owned(), Some(b"1".to_vec())), ("n".to_owned(), None)],
    };
    assert_eq!(broker.append("bids", 0, &[full]), Ok(0));
    assert_eq!(broker.append("bids", 0, &[]), Ok(1));
    let consumer = consumer(&broker, &[("check.crcs", "true")]);
    assign(&consumer, "bids", 0, Offset::Beginning);
    let message = next(&consumer).unwrap();
    assert_eq!((message.key(), message.payload()), (Some(&b"k"[..]), None));
    assert_eq!(message.timestamp().to_millis(), Some(1_767_225_600_123));
    let headers = message.headers().unwrap();
    assert_eq!((headers.get(0).key, headers.get(0).value), ("h", Some(&b"1"[..])));
    assert_eq!((headers.get(1).key, headers.get(1).value), ("n", None));
}

#[test]
fn a_lost_answer_makes_no_duplicate_of_an_idempotent_producer() {
    let broker = broker_with("bids", 1);
    let producer = TestProducer::new(&broker, &[("enable.idempotence", "true")]);
    assert_eq!(producer.deliver("bids", 0, &["a"]), [0]);
    broker.faults().lose_replies(Api::Produce, 1);
    assert_eq!(producer.deliver("bids", 0, &["b"]), [1]);
    assert_eq!(broker.faults().pending(), 0);
    let seen = read_all(&consumer(&broker, &[]), "bids", 0, Offset::Beginning);
    assert_eq!(payloads(&seen), ["a", "b"]);
}

#[test]
fn acks_none_and_leader_are_served() {
    for acks in ["0", "1"] {
        let broker = broker_with("bids", 1);
        TestProducer::new(&broker, &[("acks", acks)]).deliver("bids", 0, &["a", "b"]);
        assert_eq!(payloads(&wait_for_two(&broker)), ["a", "b"]);
    }
}

fn wait_for_two(broker: &EmbeddedBroker) -> Vec<(i64, String)> {
    let consumer = consumer(broker, &[("enable.partition.eof", "false")]);
    assign(&consumer, "bids", 0, Offset::Beginning);
    let read = || next(&consumer).map(|message| (message.offset(), text(&message))).unwrap();
    vec![read(), read()]
}

#[test]
fn offsets_are_found_by_time() {
    let broker = broker_with("bids", 1);
    broker.append("bids", 0, &records(&[("a", 100), ("b", 200)])).unwrap();
    broker.append("bids", 0, &records(&[("c", 300), ("d", 400)])).unwrap();
    let consumer = consumer(&broker, &[]);
    for (timestamp_ms, expected) in [
        (0, Offset::Offset(0)),
        (101, Offset::Offset(1)),
        (400, Offset::Offset(3)),
        (401, Offset::End),
    ] {
        let mut wanted = TopicPartitionList::new();
        wanted.add_partition_offset("bids", 0, Offset::Offset(timestamp_ms)).unwrap();
        let found = consumer.offsets_for_times(wanted, PATIENCE).unwrap();
        assert_eq!(found.elements()[0].offset(), expected, "at {timestamp_ms}");
    }
    assert_eq!(consumer.fetch_watermarks("bids", 0, PATIENCE).unwrap(), (0, 4));
}

#[test]
fn a_waiting_fetch_wakes_up_when_a_record_comes() {
    let broker = broker_with("bids", 1);
    let consumer = consumer(&broker, &[("fetch.wait.max.ms", "15000")]);
    broker.append("bids", 0, &records(&[("a", 1)])).unwrap();
    assign(&consumer, "bids", 0, Offset::Beginning);
    assert_eq!(text(&next(&consumer).unwrap()), "a");
    // The next fetch has nothing to read.
    assert!(consumer.poll(Duration::from_millis(100)).is_none());
    let appended = Instant::now();
    broker.append("bids", 0, &records(&[("b", 2)])).unwrap();
    assert_eq!(text(&next(&consumer).unwrap()), "b");
    assert!(appended.elapsed() < Duration::from_secs(10), "it waited its full time");
}

#[test]
fn committed_offsets_are_kept_by_group() {
    let broker = broker_with("bids", 2);
    broker.append("bids", 1, &records(&[("a", 1), ("b", 2)])).unwrap();
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("bids", 1, Offset::Offset(2)).unwrap();
    consumer(&broker, &[]).commit(&offsets, CommitMode::Sync).unwrap();

    let mut asked = TopicPartitionList::new();
    asked.add_partition("bids", 0);
    asked.add_partition("bids", 1);
    let committed = consumer(&broker, &[]).committed_offsets(asked, PATIENCE).unwrap();
    let found: Vec<_> = committed.elements().iter().map(|each| each.offset()).collect();
    assert_eq!(found, [Offset::Invalid, Offset::Offset(2)]);
    assert_eq!(broker.committed_offset("readers", "bids", 1), Some(2));
    assert_eq!(broker.committed_offset("others", "bids", 1), None);
}
