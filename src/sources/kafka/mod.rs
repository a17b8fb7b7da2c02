//! The Kafka connector as a source: Flink's options bound to topics, offsets
//! and formats.
//!
//! [`bind`] does no I/O and reports everything that is wrong at once.
//! [`discovery`] finds partitions and their offsets, [`reader`] reads them.
//! No group is joined: partitions are assigned with explicit offsets.
//!
//! Invariant: a message is never left out in silence. A lost offset, a missing
//! topic or brokers that stay away are errors.

mod batch_queue;
mod context;
mod discovery;
mod fields;
pub(crate) mod native;
mod offsets;
mod options;
mod reader;
#[cfg(test)]
mod tests;
mod topic_ids;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;

use super::{
    BoundFormat, BoundSource, KafkaClient, MetadataKey, OpenRequest, OpenSource, Source,
    SourceError, SourceTable,
};
use crate::diagnostics::{Diagnostic, Spanned};
use crate::formats::{self, DecodingFormat, FormatContext};
use crate::kafka_client::{ClientProperties, creation_error};
use crate::options::Options;
use crate::types::{Column, ColumnType, SqlType};
use context::{Client, Context};
use offsets::{Bounded, Startup};
use topics::Topics;

/// How long brokers may leave a question unanswered, unless
/// `properties.default.api.timeout.ms` says other.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// How long all brokers may be away in the middle of a run.
const OUTAGE_WITHIN: Duration = Duration::from_secs(60);

/// A bound Kafka table.
#[derive(Debug, Clone)]
struct KafkaSource {
    topics: Topics,
    startup: Startup,
    bounded: Bounded,
    properties: ClientProperties,
    discovery_interval: Option<Duration>,
    patience: Patience,
}

/// How long to wait for brokers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Patience {
    answer: Duration,
    outage: Duration,
}

/// Binds a table of the connector.
///
/// # Errors
/// Everything that is wrong with the options, at its place.
pub fn bind(
    table: &SourceTable<'_>,
    mut options: Options,
) -> Result<BoundSource, Vec<Diagnostic>> {
    let key_format = options.take("key.format");
    let fields = fields::take(&mut options, table.columns, key_format.is_some());
    let value = bind_value_format(&mut options, table, &fields);
    let key = key_format.and_then(|name| {
        let columns = fields.key_columns(table.columns);
        let prefix = format!("key.{}.", name.value);
        if columns.is_empty() {
            // That there are none has been told.
            options.take_prefix(&prefix);
            return None;
        }
        bind_format(&mut options, &name, prefix, &columns, table.time_zone)
    });
    let idle_timeout = options.duration("scan.watermark.idle-timeout").filter(|t| !t.is_zero());
    let source = options::take_source(&mut options);
    options.finish("connector `kafka`")?;
    Ok(BoundSource {
        connector: "kafka",
        source: Arc::new(source.expect("whatever kept it from being made is an error")),
        value: value.map(|format| BoundFormat { format, columns: fields.value }),
        key: key.map(|format| BoundFormat { format, columns: fields.key }),
        metadata: metadata(),
        idle_timeout,
    })
}

/// `format`, or `value.format`, whose options then start with `value.` too.
fn bind_value_format(
    options: &mut Options,
    table: &SourceTable<'_>,
    fields: &fields::Fields,
) -> Option<Arc<dyn DecodingFormat>> {
    let (plain, value) = (options.take("format"), options.take("value.format"));
    let (name, prefix) = match (plain, value) {
        (Some(_), Some(value)) => {
            let message = "`format` and `value.format` are both set";
            let label = "they mean the same";
            options.errors.push(Diagnostic::error(message).at(value.span).label(label));
            return None;
        }
        (Some(name), None) => {
            let prefix = format!("{}.", name.value);
            (name, prefix)
        }
        (None, Some(name)) => {
            let prefix = format!("value.{}.", name.value);
            (name, prefix)
        }
        (None, None) => return options.require("format").and(None),
    };
    let columns = fields.value_columns(table.columns);
    bind_format(options, &name, prefix, &columns, table.time_zone)
}

fn bind_format(
    options: &mut Options,
    name: &Spanned<String>,
    option_prefix: String,
    columns: &[Column],
    time_zone: &str,
) -> Option<Arc<dyn DecodingFormat>> {
    let errors_before = options.errors.len();
    let context = FormatContext { columns, time_zone, option_prefix };
    let format = formats::decoding(&name.value, options, &context);
    if format.is_none() && options.errors.len() == errors_before {
        // Its options would be reported as unknown besides.
        options.take_prefix(&context.option_prefix);
        options.errors.push(formats::unknown(&name.value, formats::DECODING).at(name.span));
    }
    format
}

/// The metadata columns of Flink's connector, with its types.
fn metadata() -> Vec<(&'static str, MetadataKey, ColumnType)> {
    let headers =
        SqlType::Map(Box::new(SqlType::STRING.nullable()), Box::new(SqlType::BYTES.nullable()));
    vec![
        ("topic", MetadataKey::Topic, SqlType::STRING.not_null()),
        ("partition", MetadataKey::Partition, SqlType::Int.not_null()),
        ("headers", MetadataKey::Headers, headers.not_null()),
        ("leader-epoch", MetadataKey::LeaderEpoch, SqlType::Int.nullable()),
        ("offset", MetadataKey::Offset, SqlType::BigInt.not_null()),
        ("timestamp", MetadataKey::Timestamp, SqlType::TimestampLtz(3).not_null()),
        ("timestamp-type", MetadataKey::TimestampType, SqlType::STRING.not_null()),
    ]
}

impl KafkaSource {
    /// A client for metadata and reading, without a group.
    fn client(&self) -> Result<Client, SourceError> {
        make(&self.reading_config())
    }

    fn reading_config(&self) -> rdkafka::ClientConfig {
        let mut config = self.properties.consumer_config();
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        if !matches!(self.bounded, Bounded::Unbounded) {
            config.set("enable.partition.eof", "true");
        }
        for (name, value) in READING {
            if config.get(name).is_none() {
                config.set(*name, *value);
            }
        }
        config
    }

    /// Our own client, where it is wanted and understands its properties.
    fn native(
        &self,
        wanted: KafkaClient,
    ) -> Result<Option<Arc<native::Settings>>, SourceError> {
        let settings = || native::Settings::new(&self.reading_config()).map(Arc::new);
        match wanted {
            KafkaClient::Librdkafka => Ok(None),
            KafkaClient::Native => settings().map(Some).map_err(|why| {
                SourceError::Config(format!("the native client cannot be used: {why}"))
            }),
            KafkaClient::Auto => {
                Ok(settings().inspect_err(|why| tracing::info!(why, "librdkafka fetches")).ok())
            }
        }
    }

    /// A client that may ask what a group has committed.
    fn group_client(&self, group: &str) -> Result<Client, SourceError> {
        let mut config = self.properties.consumer_config();
        config.set("enable.auto.commit", "false").set("group.id", group);
        make(&config)
    }
}

/// How to read, unless the user says other: a small queue costs no speed, and
/// a full one is looked at again soon (librdkafka's default is a second).
const READING: &[(&str, &str)] = &[
    ("isolation.level", "read_committed"),
    ("queued.max.messages.kbytes", "8192"),
    ("fetch.queue.backoff.ms", "10"),
];

fn make(config: &rdkafka::ClientConfig) -> Result<Client, SourceError> {
    Client::from_config_and_context(config, Context::default())
        .map_err(|error| SourceError::Config(creation_error(&error)))
}

impl Source for KafkaSource {
    fn is_bounded(&self) -> bool {
        !matches!(self.bounded, Bounded::Unbounded)
    }

    fn describe(&self) -> Vec<(&'static str, String)> {
        vec![
            ("topic", self.topics.text()),
            ("bootstrap.servers", self.properties.bootstrap_servers().to_owned()),
            ("scan.startup.mode", self.startup.name().to_owned()),
            ("scan.bounded.mode", self.bounded.name().to_owned()),
        ]
    }

    fn open(&self, request: &OpenRequest) -> Result<Box<dyn OpenSource>, SourceError> {
        Ok(Box::new(discovery::OpenKafka::connect(self.clone(), request)?))
    }
}
