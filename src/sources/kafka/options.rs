//! The options of a Kafka table, by Flink's names.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::super::{BoundFormat, SourceTable};
use super::Kafka;
use crate::diagnostics::{Diagnostic, Span, Spanned};
use crate::formats::{self, FormatContext};
use crate::kafka_client::ClientProperties;
use crate::options::Options;
use crate::types::Column;

/// Which topics.
#[derive(Debug, Clone)]
pub enum Topics {
    List(Vec<String>),
    Pattern(regex::Regex),
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Topics::List(names) => f.write_str(&names.join(";")),
            Topics::Pattern(pattern) => write!(f, "/{pattern}/"),
        }
    }
}

/// Where to begin or to end, of every partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Positions {
    Earliest,
    Latest,
    Group {
        /// Where a partition without a committed offset begins.
        otherwise: Otherwise,
    },
    Timestamp(i64),
    Specific(BTreeMap<i32, i64>),
}

/// `properties.auto.offset.reset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Otherwise {
    Earliest,
    Latest,
    Fail,
}

impl fmt::Display for Positions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Positions::Earliest => f.write_str("earliest-offset"),
            Positions::Latest => f.write_str("latest-offset"),
            Positions::Group { .. } => f.write_str("group-offsets"),
            Positions::Timestamp(ms) => write!(f, "timestamp {ms}"),
            Positions::Specific(offsets) => {
                f.write_str("offsets ")?;
                for (i, (partition, offset)) in offsets.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{partition}:{offset}")?;
                }
                Ok(())
            }
        }
    }
}

pub struct Bound {
    pub kafka: Kafka,
    pub value: BoundFormat,
    pub key: Option<BoundFormat>,
    pub idle_timeout: Option<Duration>,
}

/// Options of Flink's that change nothing here, because what they choose is
/// always so: watermarks are per row.
const ALWAYS_SO: [&str; 1] = ["scan.watermark.emit.strategy"];

/// Options of Flink's that are not built, and what to do instead.
const REFUSED: [(&str, &str); 3] = [
    ("scan.parallelism", "set 'turnstile.workers'"),
    ("scan.watermark.alignment.group", "one worker reads its partitions in step"),
    ("scan.watermark.alignment.max-drift", "one worker reads its partitions in step"),
];

pub fn bind(table: &SourceTable<'_>, mut options: Options) -> Result<Bound, Vec<Diagnostic>> {
    options.take("connector");
    let topics = topics(&mut options);
    let properties = properties(&mut options);
    let startup = startup(&mut options, properties.as_ref());
    let bounded = bounded(&mut options, properties.as_ref());
    let discovery = options
        .duration("scan.topic-partition-discovery.interval")
        .unwrap_or(Duration::from_secs(300));
    let idle_timeout = options.duration("scan.watermark.idle-timeout");
    for key in ALWAYS_SO {
        options.take(key);
    }
    for (key, instead) in REFUSED {
        if let Some(value) = options.take(key) {
            let message = format!("option `{key}` is not supported");
            options.errors.push(Diagnostic::error(message).at(value.span).hint(instead));
        }
    }
    let key = key_format(table, &mut options);
    let value = value_format(table, &mut options, key.as_ref());
    options.finish("connector `kafka`")?;
    let (Some(topics), Some(properties), Some(value)) = (topics, properties, value) else {
        unreachable!("what is missing has been told");
    };
    let kafka = Kafka {
        properties,
        topics,
        startup,
        discovery: (bounded.is_none() && !discovery.is_zero()).then_some(discovery),
        bounded,
    };
    Ok(Bound { kafka, value, key, idle_timeout })
}

fn topics(options: &mut Options) -> Option<Topics> {
    let list = options.take("topic");
    let pattern = options.take("topic-pattern");
    match (list, pattern) {
        (Some(_), Some(pattern)) => {
            let message = "`topic` and `topic-pattern` exclude each other";
            options.errors.push(Diagnostic::error(message).at(pattern.span));
            None
        }
        (Some(list), None) => {
            let names: Vec<String> = list
                .value
                .split(';')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect();
            if names.is_empty() {
                options.errors.push(Diagnostic::error("`topic` names no topic").at(list.span));
                return None;
            }
            Some(Topics::List(names))
        }
        (None, Some(pattern)) => match regex::Regex::new(&format!("^(?:{})$", pattern.value)) {
            Ok(regex) => Some(Topics::Pattern(regex)),
            Err(error) => {
                let message = format!("`topic-pattern` is no regular expression: {error}");
                options.errors.push(Diagnostic::error(message).at(pattern.span));
                None
            }
        },
        (None, None) => {
            let message = "option `topic` is missing";
            options.errors.push(Diagnostic::error(message).at(options.table_span));
            None
        }
    }
}

fn properties(options: &mut Options) -> Option<ClientProperties> {
    let pairs = options.take_prefix("properties.");
    if !pairs.iter().any(|(key, _)| key.value == "bootstrap.servers") {
        let message = "option `properties.bootstrap.servers` is missing";
        options.errors.push(Diagnostic::error(message).at(options.table_span));
    }
    match ClientProperties::from_pairs(pairs) {
        Ok(properties) => Some(properties),
        Err(errors) => {
            options.errors.extend(errors);
            None
        }
    }
}

fn group(properties: Option<&ClientProperties>) -> Positions {
    let reset = properties.and_then(|p| p.get("auto.offset.reset")).unwrap_or("none");
    let otherwise = match reset {
        "earliest" => Otherwise::Earliest,
        "latest" => Otherwise::Latest,
        _ => Otherwise::Fail,
    };
    Positions::Group { otherwise }
}

/// A mode that reads a group's offsets needs to know the group.
fn needs_group(
    options: &mut Options,
    mode: &Spanned<String>,
    properties: Option<&ClientProperties>,
) {
    if properties.is_some_and(|p| p.get("group.id").is_none()) {
        let message = "`group-offsets` needs `properties.group.id`";
        options.errors.push(
            Diagnostic::error(message)
                .at(mode.span)
                .hint("or set 'scan.startup.mode' = 'earliest-offset'"),
        );
    }
}

fn startup(options: &mut Options, properties: Option<&ClientProperties>) -> Positions {
    const MODES: [&str; 5] =
        ["earliest-offset", "latest-offset", "group-offsets", "timestamp", "specific-offsets"];
    let default = Spanned::new("group-offsets".to_owned(), options.table_span);
    let mode = options.take("scan.startup.mode").unwrap_or(default);
    positions(options, "scan.startup", &mode, &MODES, properties)
}

fn bounded(options: &mut Options, properties: Option<&ClientProperties>) -> Option<Positions> {
    const MODES: [&str; 5] =
        ["unbounded", "latest-offset", "group-offsets", "timestamp", "specific-offsets"];
    let mode = options.take("scan.bounded.mode")?;
    if mode.value == "unbounded" {
        return None;
    }
    Some(positions(options, "scan.bounded", &mode, &MODES, properties))
}

fn positions(
    options: &mut Options,
    prefix: &str,
    mode: &Spanned<String>,
    modes: &[&str],
    properties: Option<&ClientProperties>,
) -> Positions {
    match mode.value.as_str() {
        "earliest-offset" => Positions::Earliest,
        "latest-offset" => Positions::Latest,
        "group-offsets" => {
            needs_group(options, mode, properties);
            group(properties)
        }
        "timestamp" => {
            let key = format!("{prefix}.timestamp-millis");
            let ms = options.parse(&key, "milliseconds since 1970", |v| v.parse().ok());
            if ms.is_none() {
                missing(options, &key, mode.span);
            }
            Positions::Timestamp(ms.unwrap_or_default())
        }
        "specific-offsets" => {
            let key = format!("{prefix}.specific-offsets");
            let expected = "`partition:0,offset:42;partition:1,offset:300`";
            let offsets = options.parse(&key, expected, specific_offsets);
            if offsets.is_none() {
                missing(options, &key, mode.span);
            }
            Positions::Specific(offsets.unwrap_or_default())
        }
        other => {
            let message = format!("`{prefix}.mode` cannot be `{other}`");
            options.errors.push(
                Diagnostic::error(message)
                    .at(mode.span)
                    .label(format!("expected {}", modes.join(", ")))
                    .did_you_mean(other, modes.iter().copied()),
            );
            Positions::Earliest
        }
    }
}

fn missing(options: &mut Options, key: &str, span: Span) {
    if options.errors.iter().any(|e| e.message.contains(key)) {
        return;
    }
    options.errors.push(Diagnostic::error(format!("option `{key}` is missing")).at(span));
}

fn specific_offsets(text: &str) -> Option<BTreeMap<i32, i64>> {
    let one = |pair: &str| {
        let (partition, offset) = pair.split_once(',')?;
        let partition = partition.trim().strip_prefix("partition:")?.trim().parse().ok()?;
        let offset = offset.trim().strip_prefix("offset:")?.trim().parse().ok()?;
        Some((partition, offset))
    };
    text.split(';').filter(|pair| !pair.trim().is_empty()).map(one).collect()
}

/// The format named by `format_key`, over the columns at `indexes`.
fn bind_format(
    table: &SourceTable<'_>,
    options: &mut Options,
    name: &Spanned<String>,
    option_prefix: String,
    indexes: Vec<usize>,
    strip: &str,
) -> Option<BoundFormat> {
    if !formats::DECODING.contains(&name.value.as_str()) {
        let known = formats::DECODING;
        options.errors.push(formats::unknown(&name.value, known).at(name.span));
        // Its options belong to it, not to the connector.
        options.take_prefix(&option_prefix);
        return None;
    }
    let columns: Vec<Column> = indexes
        .iter()
        .map(|i| {
            let column = &table.columns[*i];
            let name = column.name.strip_prefix(strip).unwrap_or(&column.name);
            Column { name: name.to_owned(), ty: column.ty.clone() }
        })
        .collect();
    let context =
        FormatContext { columns: &columns, time_zone: table.time_zone, option_prefix };
    let format = formats::decoding(&name.value, options, &context)?;
    Some(BoundFormat { format, columns: indexes })
}

fn key_format(table: &SourceTable<'_>, options: &mut Options) -> Option<BoundFormat> {
    let name = options.take("key.format");
    let fields = options.take("key.fields");
    let prefix = options.take("key.fields-prefix").map(|p| p.value).unwrap_or_default();
    let (name, fields) = match (name, fields) {
        (None, None) => return None,
        (Some(name), Some(fields)) => (name, fields),
        (Some(given), None) | (None, Some(given)) => {
            let message = "`key.format` and `key.fields` go together";
            options.errors.push(Diagnostic::error(message).at(given.span));
            return None;
        }
    };
    let mut indexes = Vec::new();
    for field in fields.value.split(';').map(str::trim).filter(|f| !f.is_empty()) {
        match table.columns.iter().position(|c| c.name == field) {
            Some(at) => indexes.push(at),
            None => options.errors.push(
                Diagnostic::error(format!("`key.fields` names no column `{field}`"))
                    .at(fields.span)
                    .did_you_mean(field, table.columns.iter().map(|c| c.name.as_str())),
            ),
        }
    }
    indexes.sort_unstable();
    let option_prefix = format!("key.{}.", name.value);
    bind_format(table, options, &name, option_prefix, indexes, &prefix)
}

fn value_format(
    table: &SourceTable<'_>,
    options: &mut Options,
    key: Option<&BoundFormat>,
) -> Option<BoundFormat> {
    let include = options.parse("value.fields-include", "ALL or EXCEPT_KEY", |v| match v {
        "ALL" => Some(true),
        "EXCEPT_KEY" => Some(false),
        _ => None,
    });
    let plain = options.take("format");
    let named = options.take("value.format");
    let (name, long) = match (plain, named) {
        (Some(_), Some(extra)) => {
            let message = "`format` and `value.format` are the same option";
            options.errors.push(Diagnostic::error(message).at(extra.span));
            return None;
        }
        (Some(name), None) => (name, false),
        (None, Some(name)) => (name, true),
        (None, None) => {
            let message = "option `format` is missing";
            options.errors.push(Diagnostic::error(message).at(options.table_span));
            return None;
        }
    };
    let keys = key.map(|k| k.columns.as_slice()).unwrap_or_default();
    // A key column that the value has too is the value's, as in Flink.
    let all = include.unwrap_or(true) && keys.is_empty() || include == Some(true);
    let indexes =
        (0..table.columns.len()).filter(|i| all || !keys.contains(i)).collect::<Vec<_>>();
    let prefix =
        if long { format!("value.{}.", name.value) } else { format!("{}.", name.value) };
    bind_format(table, options, &name, prefix, indexes, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn specific_offsets_read_as_flink_writes_them() {
        let offsets = specific_offsets("partition:0,offset:42;partition:1,offset:300");
        assert_eq!(offsets, Some(BTreeMap::from([(0, 42), (1, 300)])));
        assert_eq!(specific_offsets("0:42"), None);
    }
}
