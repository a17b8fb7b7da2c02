//! Flink's options of a Kafka source, read into what the source does.
//!
//! Refuses what is not done here by name, and an option that the chosen mode
//! would make nothing of.

use std::time::Duration;

use super::offsets::{Bounded, Startup, parse_specific};
use super::topics::Topics;
use super::{ANSWER_WITHIN, KafkaSource, OUTAGE_WITHIN, Patience};
use crate::diagnostics::Diagnostic;
use crate::kafka_client::ClientProperties;
use crate::options::{Options, parse_duration};

const DISCOVERY_INTERVAL: Duration = Duration::from_secs(5 * 60);

/// Options of Flink's connector that are about writing; reading is as
/// indifferent to them as Flink's source is.
const OF_THE_SINK: &[&str] = &[
    "sink.delivery-guarantee",
    "sink.parallelism",
    "sink.partitioner",
    "sink.transaction-naming-strategy",
    "sink.transactional-id-prefix",
];

/// Options that are refused, with what to do instead.
const REFUSED: &[(&str, &str)] = &[
    ("scan.parallelism", "leave it out: there is a worker for each core"),
    ("scan.watermark.alignment.group", ALIGNMENT),
    ("scan.watermark.alignment.max-drift", ALIGNMENT),
    ("scan.watermark.alignment.update-interval", ALIGNMENT),
];
const ALIGNMENT: &str = "leave it out: each partition has a watermark of its own, and one that runs ahead makes \
     no rows of another late";

/// `None` only if something was wrong, which is then in `options.errors`.
pub fn take_source(options: &mut Options) -> Option<KafkaSource> {
    let topics = topics(options);
    let startup = startup(options);
    let bounded = bounded(options);
    let discovery =
        options.parse("scan.topic-partition-discovery.interval", INTERVAL, parse_duration);
    options.parse("scan.watermark.emit.strategy", "on-event or on-periodic", |v| {
        // A partition's watermark is known at every row, which both ask for.
        matches!(v.to_lowercase().as_str(), "on-event" | "on-periodic").then_some(())
    });
    for option in OF_THE_SINK {
        options.take(option);
    }
    refuse(options);
    let place = options.table_span;
    let pairs = options.take_prefix("properties.");
    let properties = match ClientProperties::from_pairs(pairs, "properties.", place) {
        Ok(properties) => Some(properties),
        Err(errors) => {
            options.errors.extend(errors);
            None
        }
    };
    let (topics, startup, bounded, properties) = (topics?, startup?, bounded?, properties?);
    needs_group(options, &startup, &bounded, &properties)?;
    one_topic(options, &topics, &startup, &bounded)?;
    let interval = discovery.unwrap_or(DISCOVERY_INTERVAL);
    let answer = properties.api_timeout().unwrap_or(ANSWER_WITHIN);
    Some(KafkaSource {
        discovery_interval: (bounded == Bounded::Unbounded && !interval.is_zero())
            .then_some(interval),
        topics,
        startup,
        bounded,
        properties,
        patience: Patience { answer, outage: OUTAGE_WITHIN },
    })
}

const INTERVAL: &str = "a duration such as `5 min`, or 0 for never";

fn refuse(options: &mut Options) {
    for (name, hint) in REFUSED {
        if let Some(value) = options.take(name) {
            let message = format!("option `{name}` is not supported");
            options.errors.push(Diagnostic::error(message).at(value.span).hint(*hint));
        }
    }
}

fn topics(options: &mut Options) -> Option<Topics> {
    match (options.take("topic"), options.take("topic-pattern")) {
        (Some(list), None) => {
            let topics = Topics::list(&list.value);
            if topics.is_none() {
                let message = format!("option `topic` cannot be `{}`", list.value);
                let label = "expected names with `;` between them";
                options.errors.push(Diagnostic::error(message).at(list.span).label(label));
            }
            topics
        }
        (None, Some(pattern)) => match Topics::pattern(&pattern.value) {
            Ok(topics) => Some(topics),
            Err(error) => {
                // The last line says what; those before draw the pattern.
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default();
                let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                let message = "option `topic-pattern` is no regular expression";
                let diagnostic = Diagnostic::error(message).at(pattern.span).label(reason);
                options.errors.push(diagnostic);
                None
            }
        },
        (Some(_), Some(pattern)) => {
            let message = "`topic` and `topic-pattern` are both set";
            options.errors.push(Diagnostic::error(message).at(pattern.span).hint("keep one"));
            None
        }
        (None, None) => options.require("topic").and(None),
    }
}

/// A mode's own option: required by the mode, refused with any other.
fn of_mode<T>(
    options: &mut Options,
    mode_option: &str,
    chosen: Option<&str>,
    mode: &str,
    option: &str,
    expected: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Option<T> {
    if chosen == Some(mode) {
        options.require(option)?;
        return options.parse(option, expected, parse);
    }
    if let (Some(value), Some(_)) = (options.take(option), chosen) {
        let message = format!("`{option}` has no effect");
        let hint = format!("set `{mode_option}` = `{mode}`, or leave it out");
        options.errors.push(Diagnostic::error(message).at(value.span).hint(hint));
    }
    None
}

fn mode(options: &mut Options, option: &str, modes: &[&'static str]) -> Option<&'static str> {
    let expected = modes.join(", ");
    let given = options.take(option).is_some();
    let chosen = options.parse(option, &format!("one of {expected}"), |v| {
        modes.iter().copied().find(|mode| mode.eq_ignore_ascii_case(v))
    });
    // The first is the default.
    if given { chosen } else { Some(modes[0]) }
}

const MILLIS: &str = "milliseconds since 1970-01-01 00:00:00 UTC";
const OFFSETS: &str = "`partition:0,offset:42;partition:1,offset:300`";

fn startup(options: &mut Options) -> Option<Startup> {
    const MODE: &str = "scan.startup.mode";
    let modes =
        ["group-offsets", "earliest-offset", "latest-offset", "timestamp", "specific-offsets"];
    let chosen = mode(options, MODE, &modes);
    let option = "scan.startup.timestamp-millis";
    let at = of_mode(options, MODE, chosen, "timestamp", option, MILLIS, |v| v.parse().ok());
    let option = "scan.startup.specific-offsets";
    let offsets =
        of_mode(options, MODE, chosen, "specific-offsets", option, OFFSETS, parse_specific);
    match chosen? {
        "earliest-offset" => Some(Startup::Earliest),
        "latest-offset" => Some(Startup::Latest),
        "timestamp" => at.map(Startup::Timestamp),
        "specific-offsets" => offsets.map(Startup::Specific),
        _ => Some(Startup::GroupOffsets),
    }
}

fn bounded(options: &mut Options) -> Option<Bounded> {
    const MODE: &str = "scan.bounded.mode";
    let modes =
        ["unbounded", "latest-offset", "group-offsets", "timestamp", "specific-offsets"];
    let chosen = mode(options, MODE, &modes);
    let option = "scan.bounded.timestamp-millis";
    let at = of_mode(options, MODE, chosen, "timestamp", option, MILLIS, |v| v.parse().ok());
    let option = "scan.bounded.specific-offsets";
    let offsets =
        of_mode(options, MODE, chosen, "specific-offsets", option, OFFSETS, parse_specific);
    match chosen? {
        "latest-offset" => Some(Bounded::Latest),
        "group-offsets" => Some(Bounded::GroupOffsets),
        "timestamp" => at.map(Bounded::Timestamp),
        "specific-offsets" => offsets.map(Bounded::Specific),
        _ => Some(Bounded::Unbounded),
    }
}

/// Offsets of a group need a group.
fn needs_group(
    options: &mut Options,
    startup: &Startup,
    bounded: &Bounded,
    properties: &ClientProperties,
) -> Option<()> {
    let option = match (startup, bounded) {
        (Startup::GroupOffsets, _) => "scan.startup.mode",
        (_, Bounded::GroupOffsets) => "scan.bounded.mode",
        _ => return Some(()),
    };
    if properties.group_id().is_some() {
        return Some(());
    }
    let place = options.take(option).map_or(options.table_span, |mode| mode.span);
    let message = format!("`{option}` is group-offsets, and `properties.group.id` is missing");
    let mut diagnostic = Diagnostic::error(message).at(place);
    if *startup == Startup::GroupOffsets {
        diagnostic = diagnostic
            .label("group-offsets is the default")
            .hint("to read all there is, set `scan.startup.mode` = `earliest-offset`");
    }
    options.errors.push(diagnostic.hint("name the group: `properties.group.id` = `…`"));
    None
}

/// An offset of `partition 0` means nothing among several topics.
fn one_topic(
    options: &mut Options,
    topics: &Topics,
    startup: &Startup,
    bounded: &Bounded,
) -> Option<()> {
    let specific =
        matches!(startup, Startup::Specific(_)) || matches!(bounded, Bounded::Specific(_));
    if !specific || topics.single().is_some() {
        return Some(());
    }
    let message = "specific offsets go with a single topic";
    let place = options.table_span;
    options.errors.push(Diagnostic::error(message).at(place).label("this table reads several"));
    None
}
