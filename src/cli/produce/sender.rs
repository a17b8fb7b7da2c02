//! Sends messages to one topic and counts what became of them.
//!
//! Every message is delivered once or counted as failed: the producer is
//! idempotent unless the user's properties forbid it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::{ClientConfig, ClientContext};

use super::super::progress::Sample;
use super::super::{CliError, say};
use crate::engine::StopSignal;
use crate::kafka_client::{ClientProperties, creation_error};

/// How long the brokers may take to answer at all.
const TIMEOUT: Duration = Duration::from_secs(15);
/// How long the last messages may take to be delivered.
const FLUSH_WITHIN: Duration = Duration::from_secs(60);
/// The same after Ctrl-C.
const FLUSH_WITHIN_WHEN_STOPPED: Duration = Duration::from_secs(10);
const FLUSH_STEP: Duration = Duration::from_millis(100);
/// Between two tries to hand over a message while too many are under way.
const RETRY_EVERY: Duration = Duration::from_millis(1);

/// librdkafka's name of a property, its other names, and our default: larger
/// batches than its own.
const DEFAULTS: [(&str, &[&str], &str); 4] = [
    ("linger.ms", &["queue.buffering.max.ms"], "50"),
    ("batch.size", &[], "1000000"),
    ("queue.buffering.max.kbytes", &[], "131072"),
    // A topic is made by us, with the partitions asked for, or not at all.
    ("allow.auto.create.topics", &[], "false"),
];

/// What became of the messages.
#[derive(Debug, Default)]
struct Sent {
    delivered: AtomicU64,
    failed: AtomicU64,
    last_failure: Mutex<Option<String>>,
    /// What the client last complained of, such as a refused connection.
    last_complaint: Mutex<Option<String>>,
}

fn text_of(text: &Mutex<Option<String>>) -> Option<String> {
    text.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn set_text(text: &Mutex<Option<String>>, to: String) {
    *text.lock().unwrap_or_else(PoisonError::into_inner) = Some(to);
}

/// Counts deliveries.
struct Counting(Arc<Sent>);

impl ClientContext for Counting {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!("kafka {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!("kafka: {error}: {reason}");
        set_text(&self.0.last_complaint, reason.to_owned());
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
                set_text(&self.0.last_failure, error.to_string());
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
        let sent = Arc::new(Sent::default());
        let config = with_defaults(properties.producer_config());
        let producer: ThreadedProducer<Counting> =
            config.create_with_context(Counting(Arc::clone(&sent))).map_err(config_error)?;
        let metadata = producer.client().fetch_metadata(Some(topic), TIMEOUT).map_err(|e| {
            let servers = properties.bootstrap_servers();
            let complaint = text_of(&sent.last_complaint).unwrap_or_else(|| e.to_string());
            CliError::World(format!("no answer from the brokers at {servers}: {complaint}"))
        })?;
        let described = metadata.topics().iter().find(|t| t.name() == topic);
        match described.and_then(|t| t.error()).map(RDKafkaErrorCode::from) {
            None if described.is_some_and(|t| !t.partitions().is_empty()) => {}
            None | Some(RDKafkaErrorCode::UnknownTopicOrPartition) => {
                create(&config, topic, partitions)?;
            }
            // A leader is being elected.
            Some(RDKafkaErrorCode::LeaderNotAvailable) => {}
            Some(code) => return Err(CliError::World(format!("topic `{topic}`: {code}"))),
        }
        Ok(Self { producer, topic: topic.to_owned(), sent })
    }

    /// Hands a message over; waits while too many are under way, but not once
    /// `stop` is set.
    pub fn send(&self, key: &[u8], payload: &[u8], stop: &StopSignal) -> Result<(), CliError> {
        self.send_whole(Some(key), Some(payload), &[], stop)
    }

    /// The same for a message with all its parts.
    pub fn send_whole(
        &self,
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: &[(String, Option<Vec<u8>>)],
        stop: &StopSignal,
    ) -> Result<(), CliError> {
        while !stop.is_set() {
            let mut record = BaseRecord::<[u8], [u8]>::to(&self.topic);
            record.key = key;
            record.payload = payload;
            if !headers.is_empty() {
                let all = OwnedHeaders::new_with_capacity(headers.len());
                record.headers = Some(headers.iter().fold(all, |all, (key, value)| {
                    all.insert(Header { key, value: value.as_deref() })
                }));
            }
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    std::thread::park_timeout(RETRY_EVERY);
                }
                Err((error, _)) => {
                    return Err(CliError::World(format!("topic `{}`: {error}", self.topic)));
                }
            }
        }
        Ok(())
    }

    /// What to show of the deliveries, of which there will be `expected`.
    pub fn watch(&self, expected: Option<u64>) -> impl Fn() -> Sample + Send + 'static {
        let sent = Arc::clone(&self.sent);
        move || {
            let failed = sent.failed.load(Ordering::Relaxed);
            Sample {
                done: sent.delivered.load(Ordering::Relaxed),
                expected,
                unit: "messages",
                details: if failed > 0 { format!("{failed} failed") } else { String::new() },
            }
        }
    }

    /// Waits until everything is delivered or has failed.
    pub fn finish(self, stop: &StopSignal) -> Result<u64, CliError> {
        self.flush(stop);
        let under_way = self.producer.in_flight_count();
        let delivered = self.sent.delivered.load(Ordering::SeqCst);
        let failed = self.sent.failed.load(Ordering::SeqCst);
        if failed > 0 {
            let why = text_of(&self.sent.last_failure).unwrap_or_default();
            return Err(CliError::World(format!(
                "topic `{}`: {failed} messages were not delivered, {delivered} were: {why}",
                self.topic
            )));
        }
        if under_way > 0 {
            let why = text_of(&self.sent.last_complaint);
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            return Err(CliError::World(format!(
                "topic `{}`: {delivered} messages were delivered, of {under_way} it is not \
                 known{why}",
                self.topic
            )));
        }
        Ok(delivered)
    }

    fn flush(&self, stop: &StopSignal) {
        let started = Instant::now();
        loop {
            let within = if stop.is_set() { FLUSH_WITHIN_WHEN_STOPPED } else { FLUSH_WITHIN };
            let flushed = self.producer.flush(FLUSH_STEP).is_ok();
            if flushed || started.elapsed() >= within {
                return;
            }
        }
    }
}

fn with_defaults(mut config: ClientConfig) -> ClientConfig {
    for (name, other_names, value) in DEFAULTS {
        if config.get(name).is_none() && other_names.iter().all(|n| config.get(n).is_none()) {
            config.set(name, value);
        }
    }
    if config.get("enable.idempotence").is_none() && may_be_idempotent(&config) {
        config.set("enable.idempotence", "true");
    }
    config
}

/// As in the Java client, a property that idempotence does not go with turns it
/// off.
fn may_be_idempotent(config: &ClientConfig) -> bool {
    let all = ["acks", "request.required.acks"]
        .iter()
        .all(|name| config.get(name).is_none_or(|acks| matches!(acks, "all" | "-1")));
    let retries = ["retries", "message.send.max.retries"]
        .iter()
        .all(|name| config.get(name).is_none_or(|retries| retries != "0"));
    let in_flight = ["max.in.flight.requests.per.connection", "max.in.flight"]
        .iter()
        .all(|name| config.get(name).and_then(|n| n.parse().ok()).is_none_or(|n: u32| n <= 5));
    all && retries && in_flight
}

/// Properties that librdkafka refuses, alone or together.
fn config_error(error: KafkaError) -> CliError {
    CliError::Author(format!("error: client properties: {}", creation_error(&error)))
}

fn create(config: &ClientConfig, topic: &str, partitions: i32) -> Result<(), CliError> {
    let failed = |reason: String| CliError::World(format!("making topic `{topic}`: {reason}"));
    let admin: AdminClient<DefaultClientContext> = config.create().map_err(config_error)?;
    // -1: the broker's own default.
    let new = NewTopic::new(topic, partitions, TopicReplication::Fixed(-1));
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT));
    let made = futures::executor::block_on(admin.create_topics([&new], &options))
        .map_err(|e| failed(e.to_string()))?;
    match made.into_iter().next() {
        Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(failed(code.to_string())),
        None | Some(Ok(_)) => {
            say(&format!("made topic `{topic}` with {partitions} partitions"));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(pairs: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in pairs {
            config.set(*name, *value);
        }
        with_defaults(config)
    }

    #[test]
    fn what_the_user_says_wins() {
        assert_eq!(config(&[]).get("linger.ms"), Some("50"));
        assert_eq!(config(&[("linger.ms", "5")]).get("linger.ms"), Some("5"));
        assert_eq!(config(&[("queue.buffering.max.ms", "5")]).get("linger.ms"), None);
    }

    #[test]
    fn a_producer_is_idempotent_unless_its_properties_forbid_it() {
        let idempotent =
            |pairs: &[(&str, &str)]| config(pairs).get("enable.idempotence").map(str::to_owned);
        assert_eq!(idempotent(&[]).as_deref(), Some("true"));
        assert_eq!(idempotent(&[("acks", "all")]).as_deref(), Some("true"));
        assert_eq!(idempotent(&[("enable.idempotence", "false")]).as_deref(), Some("false"));
        for (name, value) in
            [("acks", "1"), ("retries", "0"), ("max.in.flight.requests.per.connection", "6")]
        {
            assert_eq!(idempotent(&[(name, value)]), None, "{name}");
            let made: Result<ThreadedProducer<Counting>, _> = config(&[(name, value)])
                .create_with_context(Counting(Arc::new(Sent::default())));
            assert!(made.is_ok(), "{name}");
        }
    }
}
