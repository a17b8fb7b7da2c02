//! `sink.partition-commit.*`: an empty file in a partition's folder that tells
//! readers the partition is complete.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/filesystem/#partition-commit>

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::diagnostics::Diagnostic;
use crate::options::Options;
use crate::times::parse;
use crate::times::pattern::Pattern;
use crate::times::{WallTime, Zone};

const SUCCESS: &str = "_SUCCESS";

/// When a partition is complete, and how that is told.
#[derive(Debug, Clone)]
pub(super) struct PartitionCommit {
    pub file_name: String,
    delay_ms: i64,
    trigger: Trigger,
}

#[derive(Debug, Clone)]
enum Trigger {
    /// The machine's clock has passed the partition's first row by the delay.
    ProcessTime,
    /// The watermark has passed the partition's own time by the delay.
    PartitionTime(PartitionTime),
}

/// How a partition's values tell its time.
#[derive(Debug, Clone)]
struct PartitionTime {
    /// `$dt $hm:00`; `None`: the first value.
    template: Option<String>,
    formatter: Option<Arc<Pattern>>,
    zone: WallTime,
}

/// A partition that got rows since it was last told to be complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenPartition {
    since_ms: i64,
    /// Its own time, if its values tell one and the trigger asks for it.
    time_ms: Option<i64>,
}

/// Such partitions, by their folders.
pub(super) type OpenPartitions = BTreeMap<String, OpenPartition>;

/// Takes the options; `None` if partitions are not to be told complete.
pub(super) fn bind(
    partitioned_by: &[String],
    options: &mut Options,
) -> Option<PartitionCommit> {
    let kind = options.take("sink.partition-commit.policy.kind");
    let trigger = options.take("sink.partition-commit.trigger");
    let delay_given = options.take("sink.partition-commit.delay");
    let delay = options.duration("sink.partition-commit.delay");
    let name = options.take("sink.partition-commit.success-file.name");
    let time_keys = [
        "sink.partition-commit.watermark-time-zone",
        "partition.time-extractor.kind",
        "partition.time-extractor.timestamp-pattern",
        "partition.time-extractor.timestamp-formatter",
    ];
    let [zone, extractor, template, formatter] = time_keys.map(|key| options.take(key));
    let Some(kind) = kind else {
        let idle = [trigger, delay_given, name, zone, extractor, template, formatter];
        if let Some(value) = idle.into_iter().flatten().next() {
            let message = "this does nothing without `sink.partition-commit.policy.kind`";
            let hint =
                "add 'sink.partition-commit.policy.kind' = 'success-file', or leave it out";
            options.errors.push(Diagnostic::error(message).at(value.span).hint(hint));
        }
        return None;
    };
    if kind.value != "success-file" {
        let message = format!("partition commit policy `{}` is not supported", kind.value);
        let diagnostic = Diagnostic::error(message).at(kind.span);
        options.errors.push(diagnostic.label("expected success-file"));
    }
    if partitioned_by.is_empty() {
        let message = "a table without PARTITIONED BY has no partitions to commit";
        options.errors.push(Diagnostic::error(message).at(kind.span));
    }
    let mut wrong = |message: String, span| {
        options.errors.push(Diagnostic::error(message).at(span));
    };
    let file_name = name.map_or_else(
        || SUCCESS.to_owned(),
        |name| {
            if name.value.is_empty() || name.value.contains('/') {
                wrong(format!("`{}` is no name of a file", name.value), name.span);
            }
            name.value
        },
    );
    let by_time = match trigger {
        None => false,
        Some(trigger) => match trigger.value.as_str() {
            "process-time" => false,
            "partition-time" => true,
            other => {
                let message = format!("unknown trigger `{other}`");
                let diagnostic = Diagnostic::error(message).at(trigger.span);
                let known = ["process-time", "partition-time"];
                let diagnostic = diagnostic.did_you_mean(other, known);
                options
                    .errors
                    .push(diagnostic.label("expected process-time or partition-time"));
                false
            }
        },
    };
    let mut wrong = |message: String, span| {
        options.errors.push(Diagnostic::error(message).at(span));
    };
    let trigger = if by_time {
        if let Some(kind) = extractor.filter(|kind| kind.value != "default") {
            wrong(format!("time extractor `{}` is not supported", kind.value), kind.span);
        }
        let zone = zone.map_or(WallTime::Plain, |zone| {
            if Zone::parse(&zone.value).is_none() {
                wrong(format!("unknown time zone `{}`", zone.value), zone.span);
            }
            WallTime::Zone(Arc::from(zone.value.as_str()))
        });
        let formatter = formatter.and_then(|text| {
            let compiled = Pattern::compile(&text.value);
            compiled.map(Arc::new).map_err(|reason| wrong(reason, text.span)).ok()
        });
        let template = template.map(|template| {
            let known = |name: &String| template.value.contains(&format!("${name}"));
            if !partitioned_by.iter().any(known) {
                let message = "the pattern names no partition column: write $column";
                wrong(message.to_owned(), template.span);
            }
            template.value
        });
        Trigger::PartitionTime(PartitionTime { template, formatter, zone })
    } else {
        for value in [zone, extractor, template, formatter].into_iter().flatten() {
            let message = "this is for 'sink.partition-commit.trigger' = 'partition-time'";
            wrong(message.to_owned(), value.span);
        }
        Trigger::ProcessTime
    };
    let delay_ms = delay.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    Some(PartitionCommit { file_name, delay_ms, trigger })
}

impl PartitionCommit {
    /// Whether the watermark is asked.
    pub fn by_watermark(&self) -> bool {
        matches!(self.trigger, Trigger::PartitionTime(_))
    }

    /// A partition that rows came to, with the names and texts of its values.
    ///
    /// # Errors
    /// Values that tell no time, for a person.
    pub fn opened(
        &self,
        values: &[(&str, String)],
        now_ms: i64,
    ) -> Result<OpenPartition, String> {
        let time_ms = match &self.trigger {
            Trigger::ProcessTime => None,
            Trigger::PartitionTime(time) => Some(time.of(values)?),
        };
        Ok(OpenPartition { since_ms: now_ms, time_ms })
    }

    /// The folders of those that are complete.
    pub fn complete<'a>(
        &'a self,
        open: &'a OpenPartitions,
        now_ms: i64,
        watermark_ms: i64,
    ) -> impl Iterator<Item = &'a String> + 'a {
        let after = |ms: i64| ms.saturating_add(self.delay_ms);
        let is_complete = move |partition: &OpenPartition| match partition.time_ms {
            Some(time) => watermark_ms > after(time),
            None => self.delay_ms == 0 || now_ms > after(partition.since_ms),
        };
        open.iter().filter(move |(_, partition)| is_complete(partition)).map(|(name, _)| name)
    }
}

impl PartitionTime {
    /// Milliseconds since 1970.
    fn of(&self, values: &[(&str, String)]) -> Result<i64, String> {
        let text = match &self.template {
            None => values.first().map(|(_, value)| value.clone()).unwrap_or_default(),
            Some(template) => {
                // A name may begin with another one.
                let mut values: Vec<_> = values.iter().collect();
                values.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
                values.into_iter().fold(template.clone(), |text, (name, value)| {
                    text.replace(&format!("${name}"), value)
                })
            }
        };
        let micros = match &self.formatter {
            Some(pattern) => pattern.parse(&text),
            None => parse::timestamp(&text),
        };
        let micros = micros.ok_or_else(|| {
            format!("`{text}` is no time, and the partition's time decides when it is complete")
        })?;
        Ok(self.zone.first_instant(micros.div_euclid(1000)))
    }
}
