//! Transactions: what readers of committed records see, and who is fenced.

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::Producer;
use rdkafka::{Offset, TopicPartitionList};

use super::clients::*;
use crate::broker::{Api, EmbeddedBroker};

fn transactional(broker: &EmbeddedBroker, id: &str) -> TestProducer {
    let producer = TestProducer::new(broker, &[("transactional.id", id)]);
    producer.producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn send_in_transaction(producer: &TestProducer, payloads: &[&str]) {
    producer.producer.begin_transaction().unwrap();
    producer.deliver("bids", 0, payloads);
}

fn read(broker: &EmbeddedBroker, isolation: &str) -> Vec<String> {
    let consumer = consumer(broker, &[("isolation.level", isolation)]);
    let seen = read_all(&consumer, "bids", 0, Offset::Beginning);
    seen.into_iter().map(|(_, payload)| payload).collect()
}

#[test]
fn aborted_records_are_hidden_and_open_ones_not_reached() {
    let broker = broker_with("bids", 1);
    let writer = transactional(&broker, "writer");
    send_in_transaction(&writer, &["a", "b"]);
    writer.producer.commit_transaction(PATIENCE).unwrap();
    send_in_transaction(&writer, &["c"]);
    writer.producer.abort_transaction(PATIENCE).unwrap();
    send_in_transaction(&writer, &["d"]);
    writer.producer.commit_transaction(PATIENCE).unwrap();
    send_in_transaction(&writer, &["e"]);
    broker.append("bids", 0, &records(&[("f", 1)])).unwrap();

    assert_eq!(read(&broker, "read_committed"), ["a", "b", "d"]);
    assert_eq!(read(&broker, "read_uncommitted"), ["a", "b", "c", "d", "e", "f"]);
    // a b | marker | c | marker | d | marker | e: the open one starts at 7.
    let committed = consumer(&broker, &[("isolation.level", "read_committed")]);
    assert_eq!(committed.fetch_watermarks("bids", 0, PATIENCE).unwrap(), (0, 7));

    writer.producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&broker, "read_committed"), ["a", "b", "d", "e", "f"]);
}

#[test]
fn a_waiting_reader_sees_a_commit() {
    let broker = broker_with("bids", 1);
    let writer = transactional(&broker, "writer");
    send_in_transaction(&writer, &["a"]);
    let reader = consumer(&broker, &[("isolation.level", "read_committed")]);
    assert!(read_all(&reader, "bids", 0, Offset::Beginning).is_empty());
    writer.producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(text(&next(&reader).unwrap()), "a");
}

#[test]
fn a_new_producer_fences_the_old_and_aborts_its_transaction() {
    let broker = broker_with("bids", 1);
    let old = transactional(&broker, "writer");
    send_in_transaction(&old, &["old"]);
    let new = transactional(&broker, "writer");
    let error = old.producer.commit_transaction(PATIENCE).unwrap_err();
    let KafkaError::Transaction(error) = error else { panic!("{error}") };
    assert!(error.is_fatal(), "{error}");
    send_in_transaction(&new, &["new"]);
    new.producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&broker, "read_committed"), ["new"]);
}

#[test]
fn a_lost_answer_to_a_commit_commits_once() {
    let broker = broker_with("bids", 1);
    let writer = transactional(&broker, "writer");
    send_in_transaction(&writer, &["a"]);
    broker.faults().lose_replies(Api::EndTxn, 1);
    writer.producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(broker.faults().pending(), 0);
    assert_eq!(read(&broker, "read_committed"), ["a"]);
    assert_eq!(broker.end_offset("bids", 0), Ok(2));
}

#[test]
fn offsets_are_committed_with_their_transaction() {
    let broker = broker_with("bids", 1);
    let writer = transactional(&broker, "writer");
    let reader = consumer(&broker, &[]);
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("bids", 0, Offset::Offset(7)).unwrap();
    let send_offsets = || {
        let group = reader.group_metadata().unwrap();
        writer.producer.begin_transaction().unwrap();
        writer.producer.send_offsets_to_transaction(&offsets, &group, PATIENCE).unwrap();
    };
    send_offsets();
    writer.producer.abort_transaction(PATIENCE).unwrap();
    assert_eq!(broker.committed_offset("readers", "bids", 0), None);
    send_offsets();
    assert_eq!(broker.committed_offset("readers", "bids", 0), None);
    writer.producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(broker.committed_offset("readers", "bids", 0), Some(7));
}

#[test]
fn a_topic_that_is_missing_fails_the_transaction_alone() {
    let broker = broker_with("bids", 1);
    let settings = [("transactional.id", "writer"), ("message.timeout.ms", "1000")];
    let writer = TestProducer::new(&broker, &settings);
    writer.producer.init_transactions(PATIENCE).unwrap();
    writer.producer.begin_transaction().unwrap();
    writer.send("nope", 0, "lost", 1);
    let outcome = writer.outcomes().remove(0).unwrap_err();
    let code = outcome.rdkafka_error_code();
    let expected = [
        RDKafkaErrorCode::UnknownTopic,
        RDKafkaErrorCode::UnknownPartition,
        RDKafkaErrorCode::MessageTimedOut,
        RDKafkaErrorCode::UnknownTopicOrPartition,
    ];
    assert!(code.is_some_and(|code| expected.contains(&code)), "{outcome}");
    writer.producer.abort_transaction(PATIENCE).unwrap();
    send_in_transaction(&writer, &["a"]);
    writer.producer.commit_transaction(PATIENCE).unwrap();
    assert_eq!(read(&broker, "read_committed"), ["a"]);
}
