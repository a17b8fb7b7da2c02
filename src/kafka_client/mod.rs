//! A Kafka client's properties, as users write them, turned into librdkafka's.
//!
//! Users know the Java client's names (`properties.*` of a table, a
//! `client.properties` file), so those are the ones that count; librdkafka's
//! own names pass too. A property is either put to use, or has no effect in
//! Flink either ([`names`] says why), or is refused at its place.
//!
//! No I/O: files that properties name are opened by librdkafka when the client
//! is made.
//!
//! Invariant: a secret is in no `Debug` and no message of ours.

mod java_properties;
mod names;
mod sasl;
mod tls;

pub use java_properties::parse as parse_java_properties;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::types::RDKafkaConfRes;

use crate::diagnostics::{Diagnostic, Span, Spanned};
use names::{Convert, Own, Rule, Scope};

/// What is sent to the brokers as the client's name unless a user says other.
const CLIENT_ID: &str = "turnstile";

/// Where a consumer begins when its group has no offset: `auto.offset.reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OffsetReset {
    Earliest,
    Latest,
    /// Nowhere: it is an error.
    #[default]
    None,
}

/// The properties of one cluster's clients, checked.
#[derive(Clone, Default)]
pub struct ClientProperties {
    bootstrap_servers: String,
    group_id: Option<String>,
    offset_reset: OffsetReset,
    api_timeout: Option<Duration>,
    settings: BTreeMap<String, Setting>,
}

#[derive(Clone)]
struct Setting {
    scope: Scope,
    value: String,
}

impl ClientProperties {
    /// Checks and translates. `prefix` is what stands before the names where
    /// the user wrote them (`properties.`, or nothing in a file); `place` is
    /// where a missing one is reported.
    ///
    /// # Errors
    /// Everything that is wrong, each at its place.
    pub fn from_pairs(
        pairs: impl IntoIterator<Item = (Spanned<String>, Spanned<String>)>,
        prefix: &str,
        place: Span,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut reading = Reading::new(prefix, place);
        for (name, value) in pairs {
            reading.take(&name, value);
        }
        reading.finish()
    }

    /// The brokers as the user wrote them.
    pub fn bootstrap_servers(&self) -> &str {
        &self.bootstrap_servers
    }

    /// The group whose committed offsets are read, and under which ours show
    /// in tools.
    pub fn group_id(&self) -> Option<&str> {
        self.group_id.as_deref()
    }

    pub fn offset_reset(&self) -> OffsetReset {
        self.offset_reset
    }

    /// `default.api.timeout.ms`: how long to wait for an answer at all.
    pub fn api_timeout(&self) -> Option<Duration> {
        self.api_timeout
    }

    /// librdkafka's configuration of a consumer. It names no group.
    pub fn consumer_config(&self) -> ClientConfig {
        let mut config = self.config(Scope::Consumer);
        for (name, value) in CONSUMER_DEFAULTS {
            self.set_default(&mut config, name, value);
        }
        config
    }

    /// librdkafka's configuration of a producer.
    pub fn producer_config(&self) -> ClientConfig {
        self.config(Scope::Producer)
    }

    fn config(&self, side: Scope) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.bootstrap_servers);
        // What of it is shown is for whoever receives the log to say.
        let debugging = self.settings.contains_key("debug");
        config.set_log_level(if debugging {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Info
        });
        for (name, value) in DEFAULTS {
            self.set_default(&mut config, name, value);
        }
        for (name, setting) in &self.settings {
            if setting.scope == Scope::Both || setting.scope == side {
                config.set(name, &setting.value);
            }
        }
        config
    }

    fn set_default(&self, config: &mut ClientConfig, name: &str, value: &str) {
        if !self.settings.contains_key(name) {
            config.set(name, value);
        }
    }
}

/// The Java client's defaults where librdkafka's differ and it matters.
const DEFAULTS: &[(&str, &str)] = &[
    ("client.id", CLIENT_ID),
    ("reconnect.backoff.max.ms", "1000"),
    // Brokers close idle connections all the time.
    ("log.connection.close", "false"),
];

const CONSUMER_DEFAULTS: &[(&str, &str)] = &[("check.crcs", "true")];

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        map.entry(&"bootstrap.servers", &self.bootstrap_servers);
        for (name, setting) in &self.settings {
            let secret = names::is_secret(name);
            map.entry(name, if secret { &"[hidden]" } else { &setting.value });
        }
        map.finish()
    }
}

/// What a client could not be made of, without any value in it.
pub fn creation_error(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, reason, name, _) => format!("`{name}`: {reason}"),
        KafkaError::ClientCreation(reason) => reason.clone(),
        other => other.to_string(),
    }
}

/// True for errors that no waiting mends: the brokers do not let us in.
pub fn is_denial(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::SaslAuthenticationFailed
            | RDKafkaErrorCode::UnsupportedSASLMechanism
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

/// The state of one `from_pairs`.
struct Reading<'a> {
    prefix: &'a str,
    place: Span,
    properties: ClientProperties,
    /// What is understood only together, by Java name.
    security: Security,
    errors: Vec<Diagnostic>,
}

/// The properties of TLS and SASL that depend on each other.
type Security = BTreeMap<&'static str, Spanned<String>>;

impl<'a> Reading<'a> {
    fn new(prefix: &'a str, place: Span) -> Self {
        Self {
            prefix,
            place,
            properties: ClientProperties::default(),
            security: Security::new(),
            errors: Vec::new(),
        }
    }

    fn take(&mut self, name: &Spanned<String>, value: Spanned<String>) {
        match names::rule(&name.value) {
            Some((_, Rule::To(scope, to, convert))) => {
                self.translate(name, &value, *scope, to, *convert);
            }
            Some((_, Rule::Own(own))) => self.own(*own, name, &value),
            Some((known, Rule::Security)) => {
                self.security.insert(known, value);
            }
            Some((_, Rule::NoEffect(_))) => {}
            Some((_, Rule::Refused(hint))) => {
                let message =
                    format!("property `{}{}` is not supported", self.prefix, name.value);
                self.errors.push(Diagnostic::error(message).at(name.span).hint(*hint));
            }
            None => self.librdkafka(name, &value),
        }
    }

    fn translate(
        &mut self,
        name: &Spanned<String>,
        value: &Spanned<String>,
        scope: Scope,
        to: &str,
        convert: Convert,
    ) {
        let Some(text) = convert.apply(value.value.trim()) else {
            self.wrong_value(name, value, "expected a number");
            return;
        };
        match probe(to, &text) {
            Probe::Fine => self.set(to, scope, text),
            Probe::Invalid(reason) => self.wrong_value(name, value, &reason),
            Probe::Unknown => unreachable!("librdkafka has a property `{to}`"),
        }
    }

    /// A property of librdkafka's own.
    fn librdkafka(&mut self, name: &Spanned<String>, value: &Spanned<String>) {
        match probe(&name.value, &value.value) {
            Probe::Fine => self.set(&name.value, Scope::Both, value.value.clone()),
            Probe::Invalid(reason) => self.wrong_value(name, value, &reason),
            Probe::Unknown => {
                let message = format!("unknown property `{}{}`", self.prefix, name.value);
                let diagnostic = Diagnostic::error(message)
                    .at(name.span)
                    .label("neither a property of Kafka's clients nor of librdkafka")
                    .did_you_mean(&name.value, names::known());
                self.errors.push(diagnostic);
            }
        }
    }

    fn own(&mut self, own: Own, name: &Spanned<String>, value: &Spanned<String>) {
        let properties = &mut self.properties;
        let text = value.value.trim();
        match own {
            Own::BootstrapServers => text.clone_into(&mut properties.bootstrap_servers),
            Own::GroupId => {
                properties.group_id = Some(text.to_owned()).filter(|g| !g.is_empty())
            }
            Own::OffsetReset => match text.to_lowercase().as_str() {
                "earliest" => properties.offset_reset = OffsetReset::Earliest,
                "latest" => properties.offset_reset = OffsetReset::Latest,
                "none" => properties.offset_reset = OffsetReset::None,
                _ => self.wrong_value(name, value, "expected earliest, latest or none"),
            },
            Own::ApiTimeout => match text.parse() {
                Ok(millis) => properties.api_timeout = Some(Duration::from_millis(millis)),
                Err(_) => self.wrong_value(name, value, "expected milliseconds"),
            },
        }
    }

    fn set(&mut self, name: &str, scope: Scope, value: String) {
        self.properties.settings.insert(name.to_owned(), Setting { scope, value });
    }

    fn wrong_value(&mut self, name: &Spanned<String>, value: &Spanned<String>, expected: &str) {
        let message = if names::is_secret(&name.value) {
            format!("property `{}{}` has a wrong value", self.prefix, name.value)
        } else {
            format!("property `{}{}` cannot be `{}`", self.prefix, name.value, value.value)
        };
        self.errors.push(Diagnostic::error(message).at(value.span).label(expected));
    }

    fn finish(mut self) -> Result<ClientProperties, Vec<Diagnostic>> {
        if self.properties.bootstrap_servers.is_empty() {
            let message = format!("option `{}bootstrap.servers` is missing", self.prefix);
            let hint = "name one broker at least, such as `localhost:9092`";
            self.errors.push(Diagnostic::error(message).at(self.place).hint(hint));
        }
        self.security();
        if self.errors.is_empty() { Ok(self.properties) } else { Err(self.errors) }
    }

    fn security(&mut self) {
        let security = std::mem::take(&mut self.security);
        let mut found = tls::translate(&security, self.prefix, &mut self.errors);
        let given = sasl::Given {
            protocol: self.setting("security.protocol"),
            username: self.setting("sasl.username"),
            password: self.setting("sasl.password"),
        };
        found.extend(sasl::translate(
            &security,
            &given,
            self.prefix,
            self.place,
            &mut self.errors,
        ));
        for (name, value) in found {
            self.set(name, Scope::Both, value);
        }
    }

    fn setting(&self, name: &str) -> Option<String> {
        self.properties.settings.get(name).map(|s| s.value.clone())
    }
}

enum Probe {
    Fine,
    Unknown,
    Invalid(String),
}

/// Asks librdkafka what it thinks of a property.
fn probe(name: &str, value: &str) -> Probe {
    let mut config = ClientConfig::new();
    config.set(name, value);
    match config.create_native_config() {
        Ok(_) => Probe::Fine,
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, ..)) => {
            Probe::Unknown
        }
        // librdkafka's reason repeats the value.
        Err(_) if names::is_secret(name) => Probe::Invalid("refused by librdkafka".to_owned()),
        Err(error) => Probe::Invalid(creation_error(&error)),
    }
}

#[cfg(test)]
mod tests;
