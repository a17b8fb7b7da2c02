//! The Java client's property names, and what becomes of each.
//!
//! Kafka's documentation of consumer, producer and common client
//! configurations is the source: <https://kafka.apache.org/documentation/#configuration>.
//! What is not here may still be a property of librdkafka's own.

use Convert::{Kilobytes, Lower, OrDefault, Text};
use Rule::{NoEffect, Own as Ours, Refused, Security, To};
use Scope::{Both, Consumer, Producer};

/// Which clients a property is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Both,
    Consumer,
    Producer,
}

/// How a Java value becomes librdkafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Convert {
    Text,
    Lower,
    /// -1 stands for the system's default, which librdkafka writes as 0.
    OrDefault,
    /// Bytes, which librdkafka counts in units of 1024.
    Kilobytes,
    /// An empty text is librdkafka's `none`.
    EmptyIsNone,
    /// `all`, or a number.
    Acks,
}

/// Properties that we act on ourselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    BootstrapServers,
    GroupId,
    OffsetReset,
    ApiTimeout,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    To(Scope, &'static str, Convert),
    Own(Own),
    /// Understood only together with others, by [`super::tls`] and [`super::sasl`].
    Security,
    /// Accepted, with the reason why nothing comes of it.
    NoEffect(&'static str),
    /// Refused, with what to do instead.
    Refused(&'static str),
}

impl Convert {
    /// `None` where the value is of the wrong kind.
    pub fn apply(self, value: &str) -> Option<String> {
        match self {
            OrDefault if value == "-1" => Some("0".to_owned()),
            Text | OrDefault => Some(value.to_owned()),
            Kilobytes => Some(value.parse::<u64>().ok()?.div_ceil(1024).max(1).to_string()),
            Convert::EmptyIsNone if value.is_empty() => Some("none".to_owned()),
            Lower | Convert::EmptyIsNone => Some(value.to_lowercase()),
            Convert::Acks => Some(if value == "all" { "-1" } else { value }.to_owned()),
        }
    }
}

const DECODED_BY_FORMAT: &str = "the table's format reads and writes the bytes, as in Flink";
const ASSIGNED: &str = "partitions are assigned, never subscribed to, as in Flink";
const CHECKPOINTS: &str = "offsets are committed with checkpoints, as in Flink";
const OPTION_OF_TABLE: &str = "Flink sets it from the table's own options";
const JVM: &str = "it is about the JVM";
const NO_CLASSES: &str = "Java classes cannot be loaded here: leave it out";
const OPENSSL: &str = "OpenSSL chooses the best that both sides know: leave it out";
const MANAGED: &str = "the source decides it: leave it out";

const RULES: &[(&str, Rule)] = &[
    ("acks", To(Producer, "acks", Convert::Acks)),
    ("allow.auto.create.topics", To(Both, "allow.auto.create.topics", Lower)),
    ("auto.commit.interval.ms", NoEffect(CHECKPOINTS)),
    ("auto.include.jmx.reporter", NoEffect(JVM)),
    ("auto.offset.reset", Ours(Own::OffsetReset)),
    ("batch.size", To(Producer, "batch.size", Text)),
    ("bootstrap.servers", Ours(Own::BootstrapServers)),
    ("buffer.memory", To(Producer, "queue.buffering.max.kbytes", Kilobytes)),
    ("check.crcs", To(Consumer, "check.crcs", Lower)),
    ("client.dns.lookup", To(Both, "client.dns.lookup", Text)),
    ("client.id", To(Both, "client.id", Text)),
    ("client.id.prefix", Refused("set `client.id`")),
    ("client.rack", To(Both, "client.rack", Text)),
    ("commit.offsets.on.checkpoint", NoEffect(CHECKPOINTS)),
    ("compression.gzip.level", To(Producer, "compression.level", Text)),
    ("compression.lz4.level", To(Producer, "compression.level", Text)),
    ("compression.type", To(Producer, "compression.type", Lower)),
    ("compression.zstd.level", To(Producer, "compression.level", Text)),
    ("connections.max.idle.ms", To(Both, "connections.max.idle.ms", Text)),
    ("default.api.timeout.ms", Ours(Own::ApiTimeout)),
    ("delivery.timeout.ms", To(Producer, "delivery.timeout.ms", Text)),
    ("enable.auto.commit", NoEffect(CHECKPOINTS)),
    ("enable.auto.offset.store", Refused(MANAGED)),
    ("enable.idempotence", To(Producer, "enable.idempotence", Lower)),
    ("enable.metrics.push", To(Both, "enable.metrics.push", Lower)),
    ("enable.partition.eof", Refused(MANAGED)),
    ("exclude.internal.topics", NoEffect(ASSIGNED)),
    ("fetch.max.bytes", To(Consumer, "fetch.max.bytes", Text)),
    ("fetch.max.wait.ms", To(Consumer, "fetch.wait.max.ms", Text)),
    ("fetch.min.bytes", To(Consumer, "fetch.min.bytes", Text)),
    ("group.id", Ours(Own::GroupId)),
    ("group.instance.id", NoEffect(ASSIGNED)),
    ("group.protocol", NoEffect(ASSIGNED)),
    ("group.remote.assignor", NoEffect(ASSIGNED)),
    ("heartbeat.interval.ms", NoEffect(ASSIGNED)),
    ("interceptor.classes", Refused(NO_CLASSES)),
    ("isolation.level", To(Consumer, "isolation.level", Lower)),
    ("key.deserializer", NoEffect(DECODED_BY_FORMAT)),
    ("key.serializer", NoEffect(DECODED_BY_FORMAT)),
    ("linger.ms", To(Producer, "linger.ms", Text)),
    ("log.queue", Refused(MANAGED)),
    ("max.block.ms", Refused("set `delivery.timeout.ms`")),
    (
        "max.in.flight.requests.per.connection",
        To(Producer, "max.in.flight.requests.per.connection", Text),
    ),
    ("max.partition.fetch.bytes", To(Consumer, "max.partition.fetch.bytes", Text)),
    ("max.poll.interval.ms", NoEffect(ASSIGNED)),
    ("max.poll.records", NoEffect("messages are taken as many at a time as there are")),
    ("max.request.size", To(Producer, "message.max.bytes", Text)),
    ("metadata.max.age.ms", To(Both, "metadata.max.age.ms", Text)),
    ("metadata.recovery.strategy", To(Both, "metadata.recovery.strategy", Lower)),
    ("metric.reporters", Refused(NO_CLASSES)),
    ("metrics.num.samples", NoEffect(JVM)),
    ("metrics.recording.level", NoEffect(JVM)),
    ("metrics.sample.window.ms", NoEffect(JVM)),
    ("partition.assignment.strategy", NoEffect(ASSIGNED)),
    ("partition.discovery.interval.ms", NoEffect(OPTION_OF_TABLE)),
    ("partitioner.class", Refused(NO_CLASSES)),
    ("plugin.library.paths", Refused("no code is loaded by a query: leave it out")),
    ("receive.buffer.bytes", To(Both, "socket.receive.buffer.bytes", OrDefault)),
    ("reconnect.backoff.max.ms", To(Both, "reconnect.backoff.max.ms", Text)),
    ("reconnect.backoff.ms", To(Both, "reconnect.backoff.ms", Text)),
    ("register.consumer.metrics", NoEffect(JVM)),
    ("request.timeout.ms", To(Both, "socket.timeout.ms", Text)),
    ("retries", To(Producer, "retries", Text)),
    ("retry.backoff.max.ms", To(Both, "retry.backoff.max.ms", Text)),
    ("retry.backoff.ms", To(Both, "retry.backoff.ms", Text)),
    ("sasl.client.callback.handler.class", Refused(NO_CLASSES)),
    ("sasl.jaas.config", Security),
    ("sasl.kerberos.service.name", Refused("Kerberos is not built in: use SCRAM or PLAIN")),
    ("sasl.login.callback.handler.class", Refused(NO_CLASSES)),
    ("sasl.login.class", Refused(NO_CLASSES)),
    ("sasl.mechanism", Security),
    ("sasl.mechanisms", Security),
    ("security.protocol", To(Both, "security.protocol", Lower)),
    ("security.providers", Refused(NO_CLASSES)),
    ("send.buffer.bytes", To(Both, "socket.send.buffer.bytes", OrDefault)),
    ("session.timeout.ms", NoEffect(ASSIGNED)),
    (
        "socket.connection.setup.timeout.ms",
        To(Both, "socket.connection.setup.timeout.ms", Text),
    ),
    ("ssl.cipher.suites", Refused("OpenSSL names ciphers differently than Java: leave it out")),
    ("ssl.enabled.protocols", Refused(OPENSSL)),
    (
        "ssl.endpoint.identification.algorithm",
        To(Both, "ssl.endpoint.identification.algorithm", Convert::EmptyIsNone),
    ),
    ("ssl.engine.factory.class", Refused(NO_CLASSES)),
    ("ssl.key.password", Security),
    ("ssl.keymanager.algorithm", Refused(NO_CLASSES)),
    ("ssl.keystore.certificate.chain", Security),
    ("ssl.keystore.key", Security),
    ("ssl.keystore.location", Security),
    ("ssl.keystore.password", Security),
    ("ssl.keystore.type", Security),
    ("ssl.protocol", Refused(OPENSSL)),
    ("ssl.provider", Refused(NO_CLASSES)),
    ("ssl.secure.random.implementation", Refused(NO_CLASSES)),
    ("ssl.trustmanager.algorithm", Refused(NO_CLASSES)),
    ("ssl.truststore.certificates", Security),
    ("ssl.truststore.location", Security),
    ("ssl.truststore.password", Security),
    ("ssl.truststore.type", Security),
    ("test.mock.num.brokers", Refused("it is for librdkafka's own tests")),
    ("transaction.timeout.ms", To(Producer, "transaction.timeout.ms", Text)),
    ("transactional.id", To(Producer, "transactional.id", Text)),
    ("value.deserializer", NoEffect(DECODED_BY_FORMAT)),
    ("value.serializer", NoEffect(DECODED_BY_FORMAT)),
];

/// librdkafka's own names that users write most, for "did you mean".
const LIBRDKAFKA: &[&str] = &[
    "debug",
    "fetch.queue.backoff.ms",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "sasl.password",
    "sasl.username",
    "socket.keepalive.enable",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.key.location",
    "ssl.key.pem",
];

/// What becomes of a property, with the name it is known by.
pub fn rule(name: &str) -> Option<(&'static str, &'static Rule)> {
    let at = RULES.binary_search_by(|(known, _)| (*known).cmp(name)).ok()?;
    Some((RULES[at].0, &RULES[at].1))
}

/// The names that "did you mean" may offer.
pub fn known() -> impl Iterator<Item = &'static str> {
    let java = RULES.iter().filter(|(_, rule)| !matches!(rule, Refused(_)));
    java.map(|(name, _)| *name).chain(LIBRDKAFKA.iter().copied())
}

/// True if the value of a property is nobody's business.
pub fn is_secret(name: &str) -> bool {
    const PARTS: &[&str] = &["password", "passphrase", "secret", "jaas", "pem", "oauthbearer"];
    name == "ssl.keystore.key" || PARTS.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_sorted_for_the_search() {
        assert!(RULES.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn every_rule_names_a_property_that_librdkafka_has() {
        for (name, rule) in RULES {
            if let To(_, to, _) = rule {
                let known =
                    !matches!(super::super::probe(to, ""), super::super::Probe::Unknown);
                assert!(known, "{name} goes to {to}");
            }
        }
    }
}
