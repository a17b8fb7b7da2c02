//! `turnstile test --new`: a case from the messages of a live topic.
//!
//! The topic is read with the connection of the table that reads it, from its
//! ends and not from where the query would start. What is written down of a
//! message is what the query reads: payloads alone, or everything.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::super::settings::Settings;
use super::super::signals::stop_on_signals;
use super::super::{CliError, answer, script};
use super::usage;
use crate::cases::input_text;
use crate::diagnostics::{Diagnostic, Span, Spanned, closest};
use crate::engine::StopSignal;
use crate::formats::{MessageParts, Messages};
use crate::options::Options;
use crate::planning::catalog::{Connectors, RealConnectors};
use crate::planning::pipeline::{Scan, ScanColumn};
use crate::sinks::{Sink, SinkTable};
use crate::sources::replay::{Message, Partitions};
use crate::sources::{self, BoundSource, Data, OpenRequest, Source, SourceTable, Split};
use crate::types::{Column, SqlType};

#[derive(Debug, clap::Args)]
pub struct RecordArgs {
    /// Record a case of this query from a live topic, to be blessed then.
    #[arg(long, value_name = "QUERY", requires = "from_topic", requires = "messages",
          conflicts_with_all = ["paths", "filter", "bless", "jobs", "junit", "github"])]
    pub new: Option<PathBuf>,
    /// The topic to record, on the brokers of the table that reads it.
    #[arg(long, value_name = "TOPIC", requires = "new")]
    from_topic: Option<String>,
    /// How many messages of each partition.
    #[arg(long, value_name = "N", requires = "new",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    messages: Option<u32>,
    /// The newest messages, not the oldest.
    #[arg(long, requires = "new")]
    latest: bool,
    /// The case's name; `recorded` unless said.
    #[arg(long, value_name = "NAME", requires = "new")]
    name: Option<String>,
}

pub fn record(query: &Path, args: &RecordArgs) -> Result<(), CliError> {
    let (Some(topic), Some(count)) = (args.from_topic.as_deref(), args.messages) else {
        return Err(usage("error: --new needs --from-topic and --messages"));
    };
    let folder = case_folder(query, args.name.as_deref())?;
    let tables = Rc::new(Tables::default());
    let connectors = Rc::clone(&tables) as Rc<dyn Connectors>;
    let planned = script::plan_with(query, &Settings::default(), connectors)?;
    let table = tables.reader_of(topic)?;
    let wanted = Wanted::of(planned.job.scans.iter().filter(|scan| scan.table == table.name));
    let stop = StopSignal::default();
    stop_on_signals(&stop)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let partitions = read(&*table.connection(topic)?, count, args.latest, &stop)?;
    let total: usize = partitions.values().map(Vec::len).sum();
    if total == 0 {
        return Err(CliError::World(format!("topic `{topic}` has no messages")));
    }
    let case = folder.display();
    write(&folder.join("input"), topic, &partitions, &wanted)?;
    answer(&format!(
        "{total} messages of {} partitions of `{topic}` are in {case}/input\n\
         to have what the query makes of them written down: turnstile test {case} --bless\n",
        partitions.len(),
    ))
}

/// `DIR/cases/x/NAME` of `DIR/x.sql`; a free name where none was given.
fn case_folder(query: &Path, name: Option<&str>) -> Result<PathBuf, CliError> {
    let stem = query.file_stem().unwrap_or_default();
    let cases = query.with_file_name("cases").join(stem);
    match name {
        Some(name)
            if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\']) =>
        {
            Err(usage(&format!("error: --name cannot be `{name}`: it is a folder's name")))
        }
        Some(name) => Ok(cases.join(name)),
        None => {
            let numbered = (2..).map(|n| cases.join(format!("recorded-{n}")));
            let mut names = std::iter::once(cases.join("recorded")).chain(numbered);
            Ok(names.find(|folder| !folder.exists()).expect("numbers do not end"))
        }
    }
}

/// The tables that the query reads from Kafka.
#[derive(Debug, Default)]
struct Tables(RefCell<Vec<KafkaTable>>);

#[derive(Debug, Clone)]
struct KafkaTable {
    name: String,
    options: Options,
    /// `topic`, or `topic-pattern` as it is.
    topics: Vec<String>,
    pattern: Option<regex::Regex>,
}

impl Connectors for Tables {
    fn source(
        &self,
        table: &SourceTable<'_>,
        options: Options,
    ) -> Result<BoundSource, Vec<Diagnostic>> {
        let bound = RealConnectors.source(table, options.clone())?;
        if bound.connector == "kafka" {
            let mut taken = options.clone();
            let mut text = |key: &str| taken.take(key).map(|v| v.value);
            let topics = text("topic").unwrap_or_default();
            let pattern = text("topic-pattern").map(|p| format!("^(?:{p})$"));
            self.0.borrow_mut().push(KafkaTable {
                name: table.name.to_owned(),
                topics: topics.split(';').map(|t| t.trim().to_owned()).collect(),
                pattern: pattern.and_then(|p| regex::Regex::new(&p).ok()),
                options,
            });
        }
        Ok(bound)
    }

    fn sink(
        &self,
        table: &SinkTable<'_>,
        options: Options,
    ) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
        RealConnectors.sink(table, options)
    }
}

impl Tables {
    fn reader_of(&self, topic: &str) -> Result<KafkaTable, CliError> {
        let tables = self.0.borrow();
        let reads = |table: &&KafkaTable| {
            let matches = table.pattern.as_ref().is_some_and(|p| p.is_match(topic));
            matches || table.topics.iter().any(|name| name == topic)
        };
        if let Some(table) = tables.iter().find(reads) {
            return Ok(table.clone());
        }
        let names: Vec<&str> =
            tables.iter().flat_map(|t| &t.topics).map(String::as_str).collect();
        let hint = match closest(topic, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it reads: {}", names.join(", ")),
        };
        Err(usage(&format!("error: no table of the query reads topic `{topic}`\nhint: {hint}")))
    }
}

impl KafkaTable {
    /// All of the topic as it is now, with the table's connection alone.
    fn connection(&self, topic: &str) -> Result<Arc<dyn Source>, CliError> {
        let text = |text: &str| Spanned::new(text.to_owned(), Span::default());
        let prefix = "properties.";
        let properties = self.options.clone().take_prefix(prefix).into_iter();
        let properties =
            properties.map(|(key, value)| (text(&format!("{prefix}{}", key.value)), value));
        let own = [
            ("connector", "kafka"),
            ("topic", topic),
            ("scan.startup.mode", "earliest-offset"),
            ("scan.bounded.mode", "latest-offset"),
            ("format", "raw"),
        ];
        let own = own.map(|(key, value)| (text(key), text(value)));
        let options = Options::new(Span::default(), own.into_iter().chain(properties));
        let columns = [Column { name: "message".to_owned(), ty: SqlType::BYTES.nullable() }];
        let table = SourceTable {
            name: &self.name,
            name_span: Span::default(),
            columns: &columns,
            time_zone: "UTC",
        };
        let bound = sources::bind(&table, options)
            .map_err(|errors| CliError::Bug(format!("{errors:?}")))?;
        Ok(bound.source)
    }
}

/// What the query reads of a message, and in which format.
struct Wanted {
    more_than_payloads: bool,
    extension: &'static str,
}

impl Wanted {
    fn of<'a>(scans: impl Iterator<Item = &'a Scan>) -> Self {
        let mut wanted = Self { more_than_payloads: false, extension: "txt" };
        for scan in scans {
            let payload = |column: &ScanColumn| matches!(column, ScanColumn::Value(_));
            wanted.more_than_payloads |=
                scan.key.is_some() || !scan.columns.iter().all(payload);
            wanted.extension = match scan.value.as_ref().map(|value| value.format.name()) {
                Some("csv") => "csv",
                Some("json") => "jsonl",
                _ => "txt",
            };
        }
        wanted
    }
}

const POLL_WAIT: Duration = Duration::from_millis(100);
const POLL_MESSAGES: usize = 10_000;

/// The first or the newest `count` messages of each partition.
fn read(
    source: &dyn Source,
    count: usize,
    latest: bool,
    stop: &StopSignal,
) -> Result<Partitions, CliError> {
    let world = |e: sources::SourceError| CliError::World(e.to_string());
    let parts = MessageParts { keys: true, headers: true };
    let request = OpenRequest { parts, ..OpenRequest::default() };
    let mut open = source.open(&request).map_err(world)?;
    let mut splits = open.discover().map_err(world)?;
    if latest {
        splits.iter_mut().for_each(|split| skip_to_latest(split, count));
    }
    let mut partitions: Partitions =
        splits.iter().map(|split| (split.id.partition, Vec::new())).collect();
    let mut unfinished = splits.len();
    let mut reader = open.reader(splits).map_err(world)?;
    while unfinished > 0 && partitions.values().any(|messages| messages.len() < count) {
        if stop.is_set() {
            return Err(CliError::World("stopped; nothing was written".to_owned()));
        }
        let polled = reader.poll(POLL_MESSAGES, POLL_WAIT).map_err(world)?;
        for (split, data) in polled.data {
            let Data::Messages(messages) = data else { continue };
            let kept = partitions.entry(split.partition).or_default();
            let room = count.saturating_sub(kept.len());
            kept.extend((0..messages.len().min(room)).map(|i| message(&messages, i)));
        }
        unfinished -= polled.finished.len();
    }
    Ok(partitions)
}

fn skip_to_latest(split: &mut Split, count: usize) {
    if let Some(stop) = split.stop {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        split.start = split.start.max(stop.saturating_sub(count));
    }
}

fn message(messages: &Messages, i: usize) -> Message {
    Message {
        payload: messages.payload(i).map(<[u8]>::to_vec),
        key: messages.key(i).map(<[u8]>::to_vec),
        headers: messages.headers.as_ref().map(|all| all[i].clone()).unwrap_or_default(),
        timestamp_ms: messages.timestamps[i],
    }
}

/// Writes a file per partition; none may be there yet.
fn write(
    folder: &Path,
    topic: &str,
    partitions: &Partitions,
    wanted: &Wanted,
) -> Result<(), CliError> {
    let failed =
        |path: &Path, e: std::io::Error| CliError::World(format!("{}: {e}", path.display()));
    std::fs::create_dir_all(folder).map_err(|e| failed(folder, e))?;
    let mut files: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (partition, messages) in partitions {
        let (text, end) = input_text(messages, wanted.extension, wanted.more_than_payloads);
        files.insert(folder.join(format!("{topic}.{partition}{end}")), text);
    }
    if let Some(there) = files.keys().find(|path| path.exists()) {
        let there = there.display();
        return Err(usage(&format!("error: {there} is there already; give another --name")));
    }
    for (path, text) in files {
        std::fs::write(&path, text).map_err(|e| failed(&path, e))?;
    }
    Ok(())
}
