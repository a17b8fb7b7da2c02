//! What librdkafka tells beside messages: its log, which goes to `tracing`,
//! and the state of its connections, which is remembered.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::kafka_client::is_denial;

/// A client of ours, with what it knows of its connections.
pub type Client = BaseConsumer<Context>;

#[derive(Debug, Default)]
pub struct Context(Mutex<Connections>);

#[derive(Debug, Default)]
struct Connections {
    /// Why the brokers do not let us in.
    denied: Option<String>,
    /// Since when connections fail, without a sign of life in between.
    failing_since: Option<Instant>,
    last_failure: Option<String>,
}

impl Context {
    /// Why the brokers do not let us in, if they do not.
    pub fn denial(&self) -> Option<String> {
        self.lock().denied.clone()
    }

    /// How long connections have been failing.
    pub fn failing_for(&self) -> Option<Duration> {
        self.lock().failing_since.map(|since| since.elapsed())
    }

    pub fn last_failure(&self) -> Option<String> {
        self.lock().last_failure.clone()
    }

    /// Takes note of an answer.
    pub fn alive(&self) {
        self.lock().failing_since = None;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Connections> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }

    fn note(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut connections = self.lock();
        if is_denial(code) {
            connections.denied = Some(reason.to_owned());
        }
        connections.failing_since.get_or_insert_with(Instant::now);
        // That all are down is less of a reason than why the last one is.
        if code != RDKafkaErrorCode::AllBrokersDown || connections.last_failure.is_none() {
            connections.last_failure = Some(reason.to_owned());
        }
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "librdkafka", facility, "{message}");
            }
            RDKafkaLogLevel::Debug => {
                tracing::debug!(target: "librdkafka", facility, "{message}");
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(target: "librdkafka", %error, "{reason}");
        if let Some(code) = error.rdkafka_error_code() {
            self.note(code, reason);
        }
    }
}

impl ConsumerContext for Context {}

/// Lets the client tell what it has to tell, without waiting.
pub fn serve_events(client: &Client) {
    // The client was made without a group, so its own queue holds events alone.
    // A call serves one of them, and does not say whether there was one.
    for _ in 0..EVENTS_AT_ONCE {
        let _ = client.poll(Duration::ZERO);
    }
}

const EVENTS_AT_ONCE: usize = 16;
