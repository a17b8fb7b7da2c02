//! `turnstile produce`: readings to any Kafka cluster.

mod csv;
mod sender;
mod turnstile;

use std::path::PathBuf;

use super::CliError;
use crate::kafka_client::ClientProperties;
pub use sender::Sender;
pub use turnstile::{Load, produce_readings};

/// Produce turnstile readings to a Kafka topic.
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

/// Which cluster and topic.
#[derive(Debug, clap::Args)]
pub struct Target {
    /// Client properties by their Java names, such as `bootstrap.servers`,
    /// `security.protocol`, `sasl.mechanism`, `sasl.username`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// In place of the file's `bootstrap.servers`.
    #[arg(long, value_name = "HOST:PORT,…")]
    bootstrap_servers: Option<String>,
    /// The topic; made with this many partitions if it is not there.
    #[arg(long, default_value = "turnstile")]
    topic: String,
    /// Partitions of a topic that has to be made.
    #[arg(long, default_value_t = 4, value_name = "N")]
    partitions: i32,
}

impl Target {
    fn properties(&self) -> Result<ClientProperties, CliError> {
        let mut properties = match &self.config {
            None => ClientProperties::default(),
            Some(file) => {
                let name = file.display();
                let text = std::fs::read_to_string(file)
                    .map_err(|e| CliError::Author(format!("error: {name}: {e}")))?;
                ClientProperties::from_file_text(&text).map_err(|errors| {
                    let texts = errors.iter().map(|e| {
                        let hints = e.hints.iter().map(|h| format!("\nhint: {h}"));
                        format!("error: {name}: {e}{}", hints.collect::<String>())
                    });
                    CliError::Author(texts.collect::<Vec<_>>().join("\n"))
                })?
            }
        };
        if let Some(servers) = &self.bootstrap_servers {
            properties
                .add("bootstrap.servers", servers)
                .map_err(|e| CliError::Author(format!("error: {e}")))?;
        }
        if properties.bootstrap_servers().is_empty() {
            properties
                .add("bootstrap.servers", "localhost:9092")
                .map_err(|e| CliError::Author(format!("error: {e}")))?;
        }
        Ok(properties)
    }

    fn connect(&self) -> Result<Sender, CliError> {
        Sender::connect(&self.properties()?, &self.topic, self.partitions)
    }
}
