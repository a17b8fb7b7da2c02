//! Clients as the other tests use them. Every wait has an end.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, FromClientConfig, FromClientConfigAndContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::broker::{EmbeddedBroker, Record};

/// Long enough for a busy machine; a working broker needs milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn broker_with(topic: &str, partitions: i32) -> EmbeddedBroker {
    let broker = EmbeddedBroker::start().unwrap();
    broker.create_topic(topic, partitions).unwrap();
    broker
}

pub(super) fn config(broker: &EmbeddedBroker, settings: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker.address());
    config.set("reconnect.backoff.ms", "10").set("reconnect.backoff.max.ms", "50");
    config.set("retry.backoff.ms", "10").set("retry.backoff.max.ms", "50");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    config
}

/// Collects where messages went.
#[derive(Clone, Default)]
pub(super) struct Deliveries(Arc<Mutex<Vec<Result<i64, KafkaError>>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let outcome = result.as_ref().map(Message::offset);
        self.0.lock().unwrap().push(outcome.map_err(|(error, _)| error.clone()));
    }
}

pub(super) struct TestProducer {
    pub producer: BaseProducer<Deliveries>,
    deliveries: Deliveries,
}

impl TestProducer {
    pub fn new(broker: &EmbeddedBroker, settings: &[(&str, &str)]) -> Self {
        let deliveries = Deliveries::default();
        let config = config(broker, settings);
        let producer =
            BaseProducer::from_config_and_context(&config, deliveries.clone()).unwrap();
        Self { producer, deliveries }
    }

    pub fn send(&self, topic: &str, partition: i32, payload: &str, timestamp_ms: i64) {
        let record = BaseRecord::<(), str>::to(topic).payload(payload);
        let record = record.partition(partition).timestamp(timestamp_ms);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
    }

    /// Sends all, waits, and gives each message's offset.
    pub fn deliver(&self, topic: &str, partition: i32, payloads: &[&str]) -> Vec<i64> {
        for (at, payload) in (0..).zip(payloads) {
            self.send(topic, partition, payload, 1_000 + at);
        }
        self.outcomes().into_iter().map(Result::unwrap).collect()
    }

    pub fn outcomes(&self) -> Vec<Result<i64, KafkaError>> {
        self.producer.flush(PATIENCE).unwrap();
        std::mem::take(&mut *self.deliveries.0.lock().unwrap())
    }
}

pub(super) fn consumer(broker: &EmbeddedBroker, settings: &[(&str, &str)]) -> BaseConsumer {
    let mut config =
        config(broker, &[("group.id", "readers"), ("enable.auto.commit", "false")]);
    config.set("auto.offset.reset", "error").set("enable.partition.eof", "true");
    // The end of a partition is told with the answer to a fetch that waited.
    config.set("fetch.wait.max.ms", "20");
    for (name, value) in settings {
        config.set(*name, *value);
    }
    BaseConsumer::from_config(&config).unwrap()
}

pub(super) fn assign(consumer: &BaseConsumer, topic: &str, partition: i32, offset: Offset) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, offset).unwrap();
    consumer.assign(&list).unwrap();
}

/// Reads a partition from `offset` until its end.
pub(super) fn read_all(
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    offset: Offset,
) -> Vec<(i64, String)> {
    assign(consumer, topic, partition, offset);
    let mut seen = Vec::new();
    loop {
        match next(consumer) {
            Ok(message) => seen.push((message.offset(), text(&message))),
            Err(KafkaError::PartitionEOF(_)) => return seen,
            Err(error) => panic!("{error}"),
        }
    }
}

/// The next message or error that is not about a lost connection.
pub(super) fn next(consumer: &BaseConsumer) -> Result<BorrowedMessage<'_>, KafkaError> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Err(error)) if is_transport(&error) => {}
            Some(outcome) => return outcome,
        }
    }
    panic!("nothing came within {PATIENCE:?}");
}

fn is_transport(error: &KafkaError) -> bool {
    use rdkafka::error::RDKafkaErrorCode::{AllBrokersDown, BrokerTransportFailure};
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| matches!(code, AllBrokersDown | BrokerTransportFailure))
}

pub(super) fn text(message: &BorrowedMessage<'_>) -> String {
    String::from_utf8(message.payload().unwrap().to_vec()).unwrap()
}

pub(super) fn payloads(seen: &[(i64, String)]) -> Vec<&str> {
    seen.iter().map(|(_, payload)| payload.as_str()).collect()
}

pub(super) fn records(payloads: &[(&str, i64)]) -> Vec<Record> {
    let record = |(payload, timestamp_ms): &(&str, i64)| Record {
        value: Some(payload.as_bytes().to_vec()),
        timestamp_ms: *timestamp_ms,
        ..Record::default()
    };
    payloads.iter().map(record).collect()
}

pub(super) fn admin(broker: &EmbeddedBroker) -> AdminClient<DefaultClientContext> {
    AdminClient::from_config(&config(broker, &[])).unwrap()
}

pub(super) fn admin_options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}
