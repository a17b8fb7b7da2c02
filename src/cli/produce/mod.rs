//! `turnstile produce`: readings to any Kafka cluster.

mod csv;
mod pace;
mod sender;
mod turnstile;

use std::path::PathBuf;
use std::time::Instant;

use super::progress::{Progress, short};
use super::{CliError, say};
use crate::diagnostics::{SourceFile, Span, Spanned};
use crate::engine::StopSignal;
use crate::kafka_client::{ClientProperties, parse_java_properties};
pub use sender::Sender;
pub use turnstile::{Load, produce_readings};

/// Produce turnstile readings to a Kafka topic. A message's key is its ID.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Turnstile(turnstile::Args),
    Csv(csv::Args),
}

pub fn execute(command: &Command) -> Result<(), CliError> {
    match command {
        Command::Turnstile(args) => turnstile::execute(args),
        Command::Csv(args) => csv::execute(args),
    }
}

const SERVERS: &str = "bootstrap.servers";

/// A property that stands in no file.
pub fn property(key: &str, value: &str) -> (Spanned<String>, Spanned<String>) {
    let nowhere = Span::default();
    (Spanned::new(key.to_owned(), nowhere), Spanned::new(value.to_owned(), nowhere))
}

/// Which cluster.
#[derive(Debug, clap::Args)]
pub struct Cluster {
    /// Client properties by their Java names, such as `bootstrap.servers`,
    /// `security.protocol`, `sasl.mechanism`, `sasl.username`.
    #[arg(long = "config", value_name = "FILE")]
    config: Option<PathBuf>,
    /// In place of the file's `bootstrap.servers`.
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
}

/// Which cluster and topic.
#[derive(Debug, clap::Args)]
pub struct Target {
    #[command(flatten)]
    cluster: Cluster,
    /// The topic; made with this many partitions if it is not there.
    #[arg(long, default_value = "turnstile")]
    topic: String,
    /// Partitions of a topic that has to be made.
    #[arg(long, default_value_t = 4, value_name = "N",
          value_parser = clap::value_parser!(i32).range(1..=100_000))]
    partitions: i32,
}

impl Cluster {
    pub fn properties(&self) -> Result<ClientProperties, CliError> {
        let file = match &self.config {
            None => SourceFile { name: "".into(), text: "".into() },
            Some(file) => {
                let name = file.display().to_string();
                let text = std::fs::read_to_string(file)
                    .map_err(|e| CliError::Author(format!("error: {name}: {e}")))?;
                SourceFile { name: name.into(), text: text.into() }
            }
        };
        let wrong = |errors: Vec<_>| CliError::diagnostics(&errors, &file);
        let mut pairs = parse_java_properties(&file.text).map_err(wrong)?;
        let servers = self.bootstrap_servers.as_deref();
        let given = pairs.iter().any(|(key, _)| key.value == SERVERS);
        if let Some(servers) = servers.or_else(|| (!given).then_some("localhost:9092")) {
            pairs.retain(|(key, _)| key.value != SERVERS);
            pairs.push(property(SERVERS, servers));
        }
        ClientProperties::from_pairs(pairs, "", Span::default()).map_err(wrong)
    }
}

impl Target {
    /// Connects, has `produce` send messages, of which there will be `expected`,
    /// and waits until they are delivered. What `produce` returns is said behind
    /// the summary.
    fn deliver(
        &self,
        expected: Option<u64>,
        stop: &StopSignal,
        produce: impl FnOnce(&Sender) -> Result<String, CliError>,
    ) -> Result<(), CliError> {
        let sender =
            Sender::connect(&self.cluster.properties()?, &self.topic, self.partitions)?;
        let started = Instant::now();
        let progress = Progress::watch(sender.watch(expected));
        let produced = produce(&sender);
        // What was sent before a failure is delivered all the same.
        let finished = sender.finish(stop);
        drop(progress);
        let (remarks, delivered) = (produced?, finished?);
        let seconds = started.elapsed().as_secs_f64();
        say(&format!(
            "{delivered} readings delivered to `{}` in {seconds:.1} s ({}/s){remarks}",
            self.topic,
            short(delivered as f64 / seconds.max(0.001)),
        ));
        Ok(())
    }
}
