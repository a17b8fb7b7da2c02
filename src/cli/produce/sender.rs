//! Sends messages to one topic and counts what became of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext};

use super::super::{CliError, say};
use crate::kafka_client::ClientProperties;

const TIMEOUT: Duration = Duration::from_secs(15);
/// How long the last messages may take to be delivered.
const FLUSH_WITHIN: Duration = Duration::from_secs(60);

/// What became of the messages.
#[derive(Debug, Default)]
pub struct Sent {
    pub delivered: AtomicU64,
    pub failed: AtomicU64,
    last_error: std::sync::Mutex<Option<String>>,
}

/// Counts deliveries.
struct Counting(Arc<Sent>);

impl ClientContext for Counting {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!("kafka {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!("kafka: {error}: {reason}");
    }
}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                self.0.delivered.fetch_add(1, Ordering::Relaxed);
            }
            Err((error, _)) => {
                self.0.failed.fetch_add(1, Ordering::Relaxed);
                if let Ok(mut last) = self.0.last_error.lock() {
                    *last = Some(error.to_string());
                }
            }
        }
    }
}

pub struct Sender {
    producer: ThreadedProducer<Counting>,
    topic: String,
    sent: Arc<Sent>,
}

impl Sender {
    /// Connects, and makes the topic if it is not there.
    pub fn connect(
        properties: &ClientProperties,
        topic: &str,
        partitions: i32,
    ) -> Result<Self, CliError> {
        let world = |e: KafkaError| CliError::World(format!("Kafka: {e}"));
        let sent = Arc::new(Sent::default());
        let config = producer_config(properties);
        let producer: ThreadedProducer<Counting> =
            config.create_with_context(Counting(Arc::clone(&sent))).map_err(world)?;
        let metadata = producer.client().fetch_metadata(Some(topic), TIMEOUT).map_err(|e| {
            let servers = properties.bootstrap_servers();
            CliError::World(format!("no answer from the brokers at {servers}: {e}"))
        })?;
        let there = metadata
            .topics()
            .iter()
            .any(|t| t.name() == topic && t.error().is_none() && !t.partitions().is_empty());
        if !there {
            create(properties, topic, partitions)?;
            say(&format!("made topic `{topic}` with {partitions} partitions"));
        }
        Ok(Self { producer, topic: topic.to_owned(), sent })
    }

    /// Hands a message over; waits while too many are under way.
    pub fn send(&self, key: &[u8], payload: &[u8]) -> Result<(), CliError> {
        loop {
            let record = BaseRecord::to(&self.topic).key(key).payload(payload);
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                Err((error, _)) => return Err(CliError::World(format!("Kafka: {error}"))),
            }
        }
    }

    pub fn sent(&self) -> &Sent {
        &self.sent
    }

    /// Waits until everything is delivered or has failed.
    pub fn finish(self) -> Result<u64, CliError> {
        let flushed = self.producer.flush(FLUSH_WITHIN);
        let delivered = self.sent.delivered.load(Ordering::SeqCst);
        let failed = self.sent.failed.load(Ordering::SeqCst);
        if failed > 0 {
            let last = self.sent.last_error.lock().ok().and_then(|e| e.clone());
            return Err(CliError::World(format!(
                "{failed} messages were not delivered ({delivered} were): {}",
                last.unwrap_or_default()
            )));
        }
        match flushed {
            Ok(()) => Ok(delivered),
            Err(error) => Err(CliError::World(format!(
                "not everything was delivered within {} s ({delivered} messages were): {error}",
                FLUSH_WITHIN.as_secs()
            ))),
        }
    }
}

/// Idempotent and in large batches, unless the properties say otherwise.
fn producer_config(properties: &ClientProperties) -> ClientConfig {
    let mut config = properties.producer_config();
    for (key, value) in
        [("enable.idempotence", "true"), ("linger.ms", "50"), ("batch.size", "1000000")]
    {
        if config.get(key).is_none() {
            config.set(key, value);
        }
    }
    config
}

fn create(properties: &ClientProperties, topic: &str, partitions: i32) -> Result<(), CliError> {
    let failed = |reason: String| CliError::World(format!("making topic `{topic}`: {reason}"));
    let admin: AdminClient<DefaultClientContext> =
        producer_config(properties).create().map_err(|e: KafkaError| failed(e.to_string()))?;
    // -1: the broker's own default.
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let made = futures::executor::block_on(admin.create_topics([&new], &options))
        .map_err(|e| failed(e.to_string()))?;
    match made.into_iter().next() {
        None | Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(failed(code.to_string())),
    }
}
