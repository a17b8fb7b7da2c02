//! Kafka client properties by their Java names, as Flink's `properties.*` and
//! `.properties` files spell them, turned into librdkafka's.
//!
//! A name that neither client knows is refused. Secrets appear in no message:
//! [`ClientProperties`] shows keys alone.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;

use crate::diagnostics::{Diagnostic, Span, Spanned};

/// How a Java property becomes librdkafka's.
enum Rule {
    /// The same value under another name, or the same.
    Rename(&'static str),
    /// Means something to Java alone, or to us alone; it changes nothing here.
    NoEffect,
    /// `sasl.jaas.config`: user and password inside.
    Jaas,
    /// Cannot be done, with what to do instead.
    Refuse(&'static str),
}

use Rule::{Jaas, NoEffect, Refuse, Rename};

/// Sorted by name.
const RULES: &[(&str, Rule)] = &[
    ("acks", Rename("acks")),
    ("auto.offset.reset", NoEffect),
    ("batch.size", Rename("batch.size")),
    ("bootstrap.servers", Rename("bootstrap.servers")),
    ("check.crcs", Rename("check.crcs")),
    ("client.dns.lookup", Rename("client.dns.lookup")),
    ("client.id", Rename("client.id")),
    ("client.rack", Rename("client.rack")),
    ("compression.type", Rename("compression.type")),
    ("connections.max.idle.ms", Rename("connections.max.idle.ms")),
    ("default.api.timeout.ms", NoEffect),
    ("delivery.timeout.ms", Rename("delivery.timeout.ms")),
    ("enable.auto.commit", NoEffect),
    ("enable.idempotence", Rename("enable.idempotence")),
    ("fetch.max.bytes", Rename("fetch.max.bytes")),
    ("fetch.max.wait.ms", Rename("fetch.wait.max.ms")),
    ("fetch.min.bytes", Rename("fetch.min.bytes")),
    ("fetch.queue.backoff.ms", Rename("fetch.queue.backoff.ms")),
    ("fetch.wait.max.ms", Rename("fetch.wait.max.ms")),
    ("group.id", Rename("group.id")),
    ("isolation.level", Rename("isolation.level")),
    ("key.deserializer", NoEffect),
    ("key.serializer", NoEffect),
    ("linger.ms", Rename("linger.ms")),
    ("max.in.flight.requests.per.connection", Rename("max.in.flight.requests.per.connection")),
    ("max.partition.fetch.bytes", Rename("max.partition.fetch.bytes")),
    ("max.poll.interval.ms", NoEffect),
    ("max.poll.records", NoEffect),
    ("max.request.size", Rename("message.max.bytes")),
    ("message.max.bytes", Rename("message.max.bytes")),
    ("metadata.max.age.ms", Rename("metadata.max.age.ms")),
    ("partition.discovery.interval.ms", NoEffect),
    ("queued.max.messages.kbytes", Rename("queued.max.messages.kbytes")),
    ("queued.min.messages", Rename("queued.min.messages")),
    ("receive.buffer.bytes", Rename("socket.receive.buffer.bytes")),
    ("reconnect.backoff.max.ms", Rename("reconnect.backoff.max.ms")),
    ("reconnect.backoff.ms", Rename("reconnect.backoff.ms")),
    ("request.timeout.ms", Rename("socket.timeout.ms")),
    ("retries", Rename("retries")),
    ("retry.backoff.ms", Rename("retry.backoff.ms")),
    ("sasl.jaas.config", Jaas),
    ("sasl.mechanism", Rename("sasl.mechanism")),
    ("sasl.mechanisms", Rename("sasl.mechanism")),
    ("sasl.password", Rename("sasl.password")),
    ("sasl.username", Rename("sasl.username")),
    ("security.protocol", Rename("security.protocol")),
    ("send.buffer.bytes", Rename("socket.send.buffer.bytes")),
    ("session.timeout.ms", NoEffect),
    ("socket.timeout.ms", Rename("socket.timeout.ms")),
    ("ssl.ca.location", Rename("ssl.ca.location")),
    ("ssl.certificate.location", Rename("ssl.certificate.location")),
    ("ssl.endpoint.identification.algorithm", Rename("ssl.endpoint.identification.algorithm")),
    ("ssl.key.location", Rename("ssl.key.location")),
    ("ssl.key.password", Rename("ssl.key.password")),
    ("ssl.keystore.certificate.chain", Rename("ssl.certificate.pem")),
    ("ssl.keystore.key", Rename("ssl.key.pem")),
    ("ssl.keystore.location", Rename("ssl.keystore.location")),
    ("ssl.keystore.password", Rename("ssl.keystore.password")),
    ("ssl.keystore.type", NoEffect),
    ("ssl.truststore.certificates", Rename("ssl.ca.pem")),
    ("ssl.truststore.location", Rename("ssl.ca.location")),
    (
        "ssl.truststore.password",
        Refuse("a PEM file needs no password; set ssl.truststore.type = PEM"),
    ),
    ("ssl.truststore.type", NoEffect),
    ("value.deserializer", NoEffect),
    ("value.serializer", NoEffect),
];

/// Client properties, checked and translated.
#[derive(Clone, Default)]
pub struct ClientProperties {
    /// By librdkafka's names.
    translated: BTreeMap<String, String>,
    /// By the names as given, for those that we read ourselves.
    given: BTreeMap<String, String>,
}

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.given.keys()).finish()
    }
}

impl ClientProperties {
    /// Translates `pairs` of Java names and values.
    ///
    /// # Errors
    /// Every property that is unknown or cannot be used, at its place.
    pub fn from_pairs(
        pairs: impl IntoIterator<Item = (Spanned<String>, Spanned<String>)>,
    ) -> Result<Self, Vec<Diagnostic>> {
        let mut properties = Self::default();
        let mut errors = Vec::new();
        for (key, value) in pairs {
            let (place, value_place) = (key.span, value.span);
            if let Err(diagnostic) = properties.add(&key.value, &value.value) {
                let at_value = diagnostic.label.is_some();
                errors.push(diagnostic.or_at(if at_value { value_place } else { place }));
            }
        }
        if errors.is_empty() { Ok(properties) } else { Err(errors) }
    }

    /// Parses a Java `.properties` file.
    pub fn from_file_text(text: &str) -> Result<Self, Vec<Diagnostic>> {
        let pairs = properties_lines(text).into_iter().map(|(key, value)| {
            (Spanned::new(key, Span::default()), Spanned::new(value, Span::default()))
        });
        Self::from_pairs(pairs)
    }

    /// Adds one property, in place of what was there.
    pub fn add(&mut self, key: &str, value: &str) -> Result<(), Diagnostic> {
        let rule = RULES.binary_search_by(|(name, _)| (*name).cmp(key)).map(|at| &RULES[at].1);
        match rule {
            Err(_) => {
                let names = RULES.iter().map(|(name, _)| *name);
                return Err(Diagnostic::error(format!("unknown Kafka property `{key}`"))
                    .did_you_mean(key, names));
            }
            Ok(Refuse(instead)) => {
                let message = format!("the Kafka property `{key}` cannot be used");
                return Err(Diagnostic::error(message).hint(*instead));
            }
            Ok(NoEffect) => {}
            Ok(Rename(name)) => {
                if value.ends_with(".jks") {
                    let message = format!("`{key}` names a Java key store");
                    return Err(Diagnostic::error(message)
                        .label("expected a PEM file")
                        .hint("keytool -exportcert -rfc writes its certificates as PEM"));
                }
                self.translated.insert((*name).to_owned(), self.value_of(name, value));
            }
            Ok(Jaas) => {
                let (user, password) = jaas(value).ok_or_else(|| {
                    Diagnostic::error("`sasl.jaas.config` cannot be read")
                        .label("expected a login module with username=\"…\" password=\"…\";")
                })?;
                self.translated.insert("sasl.username".to_owned(), user);
                self.translated.insert("sasl.password".to_owned(), password);
            }
        }
        self.given.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    fn value_of(&self, name: &str, value: &str) -> String {
        match name {
            // Java turns the check off with an empty value.
            "ssl.endpoint.identification.algorithm" if value.is_empty() => "none".to_owned(),
            "security.protocol" => value.to_lowercase(),
            _ => value.to_owned(),
        }
    }

    /// A property as it was given.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.given.get(key).map(String::as_str)
    }

    pub fn bootstrap_servers(&self) -> &str {
        self.get("bootstrap.servers").unwrap_or_default()
    }

    /// librdkafka's configuration with `defaults` below what was given.
    pub fn config(&self, defaults: &[(&str, &str)], forced: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (key, value) in defaults {
            config.set(*key, *value);
        }
        for (key, value) in &self.translated {
            config.set(key, value);
        }
        for (key, value) in forced {
            config.set(*key, *value);
        }
        config
    }

    /// For a producer: idempotent unless told otherwise.
    pub fn producer_config(&self) -> ClientConfig {
        const CONSUMER_ONLY: [&str; 6] = [
            "fetch.max.bytes",
            "fetch.min.bytes",
            "fetch.wait.max.ms",
            "group.id",
            "isolation.level",
            "max.partition.fetch.bytes",
        ];
        let mut config = self.config(
            &[
                ("enable.idempotence", "true"),
                ("linger.ms", "50"),
                ("batch.size", "1000000"),
                ("queue.buffering.max.kbytes", "131072"),
            ],
            &[],
        );
        for key in CONSUMER_ONLY {
            config.remove(key);
        }
        config
    }
}

/// User and password of a JAAS login module's options.
fn jaas(text: &str) -> Option<(String, String)> {
    let option = |name: &str| {
        let from = text.find(&format!("{name}=")).map(|at| at + name.len() + 1)?;
        let quote = text[from..].chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let rest = &text[from + 1..];
        let mut value = String::new();
        let mut chars = rest.chars();
        loop {
            match chars.next()? {
                '\\' => value.push(chars.next()?),
                c if c == quote => return Some(value),
                c => value.push(c),
            }
        }
    };
    Some((option("username")?, option("password")?))
}

/// Keys and values of a `.properties` file: comments, continued lines, escapes.
fn properties_lines(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let mut logical = line.trim_start().to_owned();
        if logical.is_empty() || logical.starts_with(['#', '!']) {
            continue;
        }
        while logical.chars().rev().take_while(|c| *c == '\\').count() % 2 == 1 {
            logical.pop();
            logical.push_str(lines.next().unwrap_or_default().trim_start());
        }
        found.push(key_and_value(&logical));
    }
    found
}

fn key_and_value(line: &str) -> (String, String) {
    let mut escaped = false;
    let end = line.char_indices().find(|(_, c)| {
        let ends = !escaped && (matches!(c, '=' | ':') || c.is_whitespace());
        escaped = *c == '\\' && !escaped;
        ends
    });
    let (key, rest) = end.map_or((line, ""), |(at, _)| line.split_at(at));
    let value = rest.trim_start();
    let value = value.strip_prefix(['=', ':']).unwrap_or(value).trim_start();
    (unescaped(key), unescaped(value))
}

fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => out.push('\t'),
            Some('n') => out.push('\n'),
            Some('r') => out.push('\r'),
            Some('u') => {
                let code: String = chars.by_ref().take(4).collect();
                let c = u32::from_str_radix(&code, 16).ok().and_then(char::from_u32);
                out.extend(c);
            }
            Some(other) => out.push(other),
            None => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_are_sorted() {
        assert!(RULES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn java_names_become_librdkafkas() {
        let text = "# a comment\nbootstrap.servers=h:9092\nsecurity.protocol: SASL_SSL\n\
                    sasl.mechanism PLAIN\n\
                    sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule \\\n  \
                    required username=\"al\" password=\"p\\\\\"w\";\n";
        let properties = ClientProperties::from_file_text(text).expect("all are known");
        let config = properties.config(&[], &[]);
        assert_eq!(config.get("security.protocol"), Some("sasl_ssl"));
        assert_eq!(config.get("sasl.mechanism"), Some("PLAIN"));
        assert_eq!(config.get("sasl.username"), Some("al"));
        assert_eq!(config.get("sasl.password"), Some("p\"w"));
        assert!(!format!("{properties:?}").contains("p\"w"), "secrets are not shown");
    }

    #[test]
    fn an_unknown_property_is_refused_with_the_near_one() {
        let error =
            ClientProperties::default().add("bootstrap.server", "x").expect_err("unknown");
        assert_eq!(error.hints, ["did you mean `bootstrap.servers`?"]);
    }
}
