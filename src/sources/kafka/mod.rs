//! Kafka topics as a source: Flink's `kafka` connector, reading.
//!
//! Partitions are assigned by explicit offsets; no consumer group is joined and
//! nothing is committed. Offsets that the log no longer holds stop the job.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/kafka/>

mod batch_queue;
mod open;
mod options;
mod reader;

use std::sync::Arc;

use super::{
    BoundSource, MetadataKey, OpenRequest, OpenSource, Source, SourceError, SourceTable,
};
use crate::diagnostics::Diagnostic;
use crate::kafka_client::ClientProperties;
use crate::options::Options;
use crate::types::{ColumnType, SqlType};
use options::{Positions, Topics};

/// A table's topics and where to read them from and to.
#[derive(Debug, Clone)]
pub struct Kafka {
    properties: ClientProperties,
    topics: Topics,
    startup: Positions,
    /// `None`: unbounded.
    bounded: Option<Positions>,
    discovery: Option<std::time::Duration>,
}

/// Binds the options of a table with `'connector' = 'kafka'`.
pub fn bind(table: &SourceTable<'_>, options: Options) -> Result<BoundSource, Vec<Diagnostic>> {
    let bound = options::bind(table, options)?;
    Ok(BoundSource {
        connector: "kafka",
        source: Arc::new(bound.kafka),
        value: Some(bound.value),
        key: bound.key,
        metadata: metadata(),
        idle_timeout: bound.idle_timeout,
    })
}

fn metadata() -> Vec<(&'static str, MetadataKey, ColumnType)> {
    let header =
        SqlType::Map(Box::new(SqlType::STRING.not_null()), Box::new(SqlType::BYTES.not_null()));
    vec![
        ("topic", MetadataKey::Topic, SqlType::STRING.not_null()),
        ("partition", MetadataKey::Partition, SqlType::Int.not_null()),
        ("headers", MetadataKey::Headers, header.not_null()),
        ("leader-epoch", MetadataKey::LeaderEpoch, SqlType::Int.nullable()),
        ("offset", MetadataKey::Offset, SqlType::BigInt.not_null()),
        ("timestamp", MetadataKey::Timestamp, SqlType::TimestampLtz(3).not_null()),
        ("timestamp-type", MetadataKey::TimestampType, SqlType::STRING.not_null()),
    ]
}

impl Source for Kafka {
    fn is_bounded(&self) -> bool {
        self.bounded.is_some()
    }

    fn describe(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("topic", self.topics.to_string()),
            ("brokers", self.properties.bootstrap_servers().to_owned()),
            ("from", self.startup.to_string()),
        ];
        if let Some(bounded) = &self.bounded {
            facts.push(("until", bounded.to_string()));
        }
        facts
    }

    fn open(&self, request: &OpenRequest) -> Result<Box<dyn OpenSource>, SourceError> {
        Ok(Box::new(open::OpenKafka::connect(self.clone(), request)?))
    }
}
