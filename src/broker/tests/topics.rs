//! Topics that are missing, made, widened, shortened and deleted.

use futures::executor::block_on;
use rdkafka::Offset;
use rdkafka::admin::{NewPartitions, NewTopic, TopicReplication};
use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::clients::*;
use crate::broker::{BrokerError, EmbeddedBroker, ErrorCode};

#[test]
fn a_missing_topic_stays_missing() {
    let broker = EmbeddedBroker::start().unwrap();
    let consumer = consumer(&broker, &[]);
    let metadata = consumer.fetch_metadata(Some("nope"), PATIENCE).unwrap();
    let unknown = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    assert_eq!(metadata.topics()[0].error(), Some(unknown));
    assert!(consumer.fetch_metadata(None, PATIENCE).unwrap().topics().is_empty());
    let code = ErrorCode::UnknownTopicOrPartition;
    assert_eq!(
        broker.end_offset("nope", 0).unwrap_err(),
        BrokerError::Partition { topic: "nope".to_owned(), partition: 0, code }
    );
}

#[test]
fn a_new_partition_is_seen_and_read() {
    let broker = broker_with("bids", 1);
    let consumer = consumer(&broker, &[]);
    let partitions = || {
        let metadata = consumer.fetch_metadata(Some("bids"), PATIENCE).unwrap();
        metadata.topics()[0].partitions().len()
    };
    assert_eq!(partitions(), 1);
    broker.add_partitions("bids", 3).unwrap();
    assert_eq!(partitions(), 3);
    broker.append("bids", 2, &records(&[("a", 1)])).unwrap();
    let seen = read_all(&consumer, "bids", 2, Offset::Beginning);
    assert_eq!(payloads(&seen), ["a"]);
}

#[test]
fn lost_offsets_are_an_error_to_who_asks_for_one() {
    let broker = broker_with("bids", 1);
    for payload in ["a", "b", "c"] {
        broker.append("bids", 0, &records(&[(payload, 1)])).unwrap();
    }
    broker.truncate("bids", 0, 2).unwrap();
    assert_eq!(broker.start_offset("bids", 0), Ok(2));
    let consumer = consumer(&broker, &[]);
    for lost in [1, 4] {
        assign(&consumer, "bids", 0, Offset::Offset(lost));
        let error = next(&consumer).map(drop).unwrap_err();
        let code = error.rdkafka_error_code();
        assert_eq!(code, Some(RDKafkaErrorCode::AutoOffsetReset), "{error}");
    }
    let seen = read_all(&consumer, "bids", 0, Offset::Beginning);
    assert_eq!(seen, [(2, "c".to_owned())]);
}

#[test]
fn retention_bounds_what_a_topic_keeps() {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic_with_retention("bids", 1, 1000).unwrap();
    for _ in 0..100 {
        broker.append("bids", 0, &records(&[("a", 1)])).unwrap();
    }
    let start = broker.start_offset("bids", 0).unwrap();
    // A batch of one such record has 61 bytes of header and 8 of record.
    assert_eq!((start, broker.end_offset("bids", 0).unwrap()), (100 - 1000 / 69, 100));
}

#[test]
fn topics_are_made_and_deleted_over_the_wire() {
    let broker = EmbeddedBroker::start().unwrap();
    let (admin, options) = (admin(&broker), admin_options());
    let create = |topic: NewTopic<'_>| {
        block_on(admin.create_topics([&topic], &options)).unwrap().remove(0)
    };
    let made = create(NewTopic::new("bids", 2, TopicReplication::Fixed(1)));
    assert_eq!(made, Ok("bids".to_owned()));
    let again = create(NewTopic::new("bids", 2, TopicReplication::Fixed(1)));
    assert_eq!(again.unwrap_err().1, RDKafkaErrorCode::TopicAlreadyExists);
    let copies = create(NewTopic::new("asks", 1, TopicReplication::Fixed(3)));
    assert_eq!(copies.unwrap_err().1, RDKafkaErrorCode::InvalidReplicationFactor);
    let compacted = NewTopic::new("asks", 1, TopicReplication::Fixed(1));
    let compacted = create(compacted.set("cleanup.policy", "compact"));
    assert_eq!(compacted.unwrap_err().1, RDKafkaErrorCode::InvalidConfig);

    let wider = NewPartitions::new("bids", 4);
    let widened = block_on(admin.create_partitions([&wider], &options)).unwrap();
    assert_eq!(widened, [Ok("bids".to_owned())]);
    assert_eq!(broker.end_offset("bids", 3), Ok(0));

    let deleted = block_on(admin.delete_topics(&["bids"], &options)).unwrap();
    assert_eq!(deleted, [Ok("bids".to_owned())]);
    assert!(broker.end_offset("bids", 0).is_err());
}

#[test]
fn a_reader_learns_that_its_topic_was_deleted() {
    let broker = broker_with("bids", 1);
    // How long the client hopes that an unknown topic is merely new.
    let consumer = consumer(&broker, &[("topic.metadata.propagation.max.ms", "100")]);
    assert!(read_all(&consumer, "bids", 0, Offset::Beginning).is_empty());
    broker.delete_topic("bids").unwrap();
    let error = next(&consumer).map(drop).unwrap_err();
    let KafkaError::MessageConsumption(code) = error else { panic!("{error}") };
    let unknown =
        [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::UnknownPartition];
    assert!(unknown.contains(&code), "{code}");
}
