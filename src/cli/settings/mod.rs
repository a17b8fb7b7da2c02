//! Settings from four places, each stronger than the one before: the
//! configuration file, the environment, SET in the script, flags.
//!
//! Keys of Flink's that mean nothing here are accepted in SET, as Flink accepts
//! ours; everywhere else an unknown key is an error.
//!
//! Invariant: a value that got in here fits its key.

mod environment;
pub(crate) mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::CliError;
use super::logging;
use crate::diagnostics::{Diagnostic, SourceFile, Spanned};
use crate::options::{parse_bytes, parse_duration};
use crate::planning;
use crate::sources::{KafkaClient, OnDataLoss};
use crate::store::parse_location;

/// A key that changes something.
struct Key {
    name: &'static str,
    /// What a value must be, for a person.
    expected: &'static str,
    fits: fn(&str) -> bool,
}

impl Key {
    /// A name that ends with a dot stands for all that begin with it.
    fn is_family(&self) -> bool {
        self.name.ends_with('.')
    }
}

const CHECKPOINT_INTERVAL: &str = "execution.checkpointing.interval";
const BATCH_SIZE: &str = "turnstile.batch-size";
const LOG_LEVEL: &str = "turnstile.log-level";
const WORKERS: &str = "turnstile.workers";

/// Where jobs keep their state.
pub const STATE_PATH: &str = "turnstile.state.path";
/// What a job's state is found by.
pub const JOB_NAME: &str = "turnstile.job.name";

/// How many checkpoints a job keeps.
pub const RETAINED_CHECKPOINTS: &str = "state.checkpoints.num-retained";
const MEMORY_LIMIT: &str = "turnstile.state.memory-limit";
const ON_DATA_LOSS: &str = "turnstile.on-data-loss";
const KAFKA_CLIENT: &str = "turnstile.kafka.client";

const MAX_BATCH_SIZE: usize = 1_000_000;
const MAX_WORKERS: usize = 1024;

/// Every key there is. `config/turnstile.toml` explains them, and a test holds
/// it to that.
const KEYS: &[Key] = &[
    Key {
        name: CHECKPOINT_INTERVAL,
        expected: "a duration such as `10 s`",
        fits: |v| parse_duration(v).is_some_and(|d| !d.is_zero()),
    },
    Key { name: planning::PIPELINE_NAME, expected: "a name", fits: |v| !v.is_empty() },
    Key {
        name: planning::IDLE_TIMEOUT,
        expected: "a duration such as `30 s`",
        fits: |v| parse_duration(v).is_some(),
    },
    Key {
        name: planning::RUNTIME_MODE,
        expected: "streaming or batch",
        fits: |v| ["streaming", "batch"].contains(&v.to_lowercase().as_str()),
    },
    Key {
        name: planning::STATE_TTL,
        expected: "a duration such as `1 h`",
        fits: |v| parse_duration(v).is_some(),
    },
    Key {
        name: planning::user_functions::FUNCTIONS,
        expected: "a function such as `(s STRING) RETURNS STRING AS UPPER(s)`",
        fits: |v| crate::sql::parse_sql_function(v).is_ok(),
    },
    Key {
        name: planning::NULL_EVENT_TIME,
        expected: "FAIL or DROP",
        fits: |v| planning::null_event_time(v).is_some(),
    },
    Key {
        name: planning::TIME_ZONE,
        expected: "a time zone such as `America/New_York`",
        fits: |v| crate::times::Zone::parse(v).is_some(),
    },
    Key {
        name: BATCH_SIZE,
        expected: "a whole number from 1 to 1000000",
        fits: |v| v.parse().is_ok_and(|n: usize| (1..=MAX_BATCH_SIZE).contains(&n)),
    },
    Key {
        name: LOG_LEVEL,
        expected: logging::LEVELS,
        fits: |v| logging::parse_level(v).is_some(),
    },
    Key {
        name: WORKERS,
        expected: "a whole number from 1 to 1024",
        fits: |v| v.parse().is_ok_and(|n: usize| (1..=MAX_WORKERS).contains(&n)),
    },
    Key {
        name: STATE_PATH,
        expected: "a folder: a local path, file:// or s3://",
        fits: |v| parse_location(v).is_ok(),
    },
    Key {
        name: MEMORY_LIMIT,
        expected: "a size such as `2 GB`",
        fits: |v| parse_bytes(v).is_some_and(|bytes| bytes > 0),
    },
    Key {
        name: ON_DATA_LOSS,
        expected: "stop, earliest or latest",
        fits: |v| on_data_loss(v).is_some(),
    },
    Key {
        name: KAFKA_CLIENT,
        expected: "auto, native or librdkafka",
        fits: |v| kafka_client(v).is_some(),
    },
    Key {
        name: planning::side_tables::DEAD_LETTERS,
        expected: "a folder: a local path, file:// or s3://",
        fits: |v| parse_location(v).is_ok(),
    },
    Key {
        name: planning::side_tables::LATE_ROWS,
        expected: "a folder: a local path, file:// or s3://",
        fits: |v| parse_location(v).is_ok(),
    },
    Key {
        name: RETAINED_CHECKPOINTS,
        expected: "a number from 2",
        fits: |v| v.trim().parse::<u64>().is_ok_and(|n| n >= 2),
    },
    Key { name: JOB_NAME, expected: "a name", fits: |v| !v.trim().is_empty() },
];

fn on_data_loss(value: &str) -> Option<OnDataLoss> {
    match value.trim().to_lowercase().as_str() {
        "stop" => Some(OnDataLoss::Stop),
        "earliest" => Some(OnDataLoss::Earliest),
        "latest" => Some(OnDataLoss::Latest),
        _ => None,
    }
}

fn kafka_client(value: &str) -> Option<KafkaClient> {
    match value.trim().to_lowercase().as_str() {
        "auto" => Some(KafkaClient::Auto),
        "native" => Some(KafkaClient::Native),
        "librdkafka" => Some(KafkaClient::Librdkafka),
        _ => None,
    }
}

fn known(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| match key.is_family() {
        true => name.len() > key.name.len() && name.starts_with(key.name),
        false => key.name == name,
    })
}

/// Flags of every command that runs or plans a script.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingFlags {
    /// Configuration file (TOML); `config/turnstile.toml` lists every key.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set a key, stronger than the script's own SET.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Worker threads; as many as cores unless said.
    #[arg(long, value_name = "N")]
    pub workers: Option<usize>,
}

/// What holds before the script, and what holds whatever it says.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    pub before: BTreeMap<String, String>,
    pub flags: BTreeMap<String, String>,
}

impl Settings {
    /// Reads the file that the flags name, the environment, and the flags.
    ///
    /// # Errors
    /// Everything that is wrong in any of them.
    pub fn load(flags: &SettingFlags) -> Result<Self, CliError> {
        // Names and values that are no text are not for us.
        let variables = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self::from_places(flags, variables)
    }

    fn from_places(
        flags: &SettingFlags,
        variables: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, CliError> {
        let mut faults = Vec::new();
        let mut settings = Self::default();
        if let Some(path) = &flags.config {
            match file::read(path) {
                Ok(found) => settings.before.extend(found),
                Err(text) => faults.push(text),
            }
        }
        match environment::read(variables) {
            Ok(found) => settings.before.extend(found),
            Err(diagnostics) => faults.extend(diagnostics.iter().map(without_place)),
        }
        match read_flags(flags) {
            Ok(found) => settings.flags = found,
            Err(diagnostics) => faults.extend(diagnostics.iter().map(without_place)),
        }
        if faults.is_empty() { Ok(settings) } else { Err(CliError::Author(faults.join("\n"))) }
    }
}

fn read_flags(flags: &SettingFlags) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let mut pairs = Vec::new();
    let mut faults = Vec::new();
    for pair in &flags.set {
        match pair.split_once('=') {
            Some((key, value)) => {
                pairs.push((key.trim().to_owned(), value.to_owned(), "--set"))
            }
            None => faults.push(
                Diagnostic::error(format!("--set cannot be `{pair}`"))
                    .hint("write --set KEY=VALUE, such as --set turnstile.workers=4"),
            ),
        }
    }
    if let Some(workers) = flags.workers {
        pairs.push((WORKERS.to_owned(), workers.to_string(), "--workers"));
    }
    let mut found = BTreeMap::new();
    for (key, value, flag) in pairs {
        match check(&key, &value, flag) {
            Ok(()) => {
                found.insert(key, value);
            }
            Err(fault) => faults.push(fault),
        }
    }
    if faults.is_empty() { Ok(found) } else { Err(faults) }
}

/// Checks a key and its value; `origin` says where they were written.
fn check(key: &str, value: &str, origin: &str) -> Result<(), Diagnostic> {
    match known(key) {
        None => Err(unknown(key, origin)),
        Some(known) if (known.fits)(value) => Ok(()),
        Some(known) => {
            let message = format!("`{key}` in {origin} cannot be `{value}`");
            Err(Diagnostic::error(message).hint(format!("expected {}", known.expected)))
        }
    }
}

fn unknown(key: &str, origin: &str) -> Diagnostic {
    Diagnostic::error(format!("unknown setting `{key}` in {origin}"))
        .did_you_mean(key, KEYS.iter().map(|key| key.name))
        .hint("config/turnstile.toml lists every setting")
}

fn without_place(diagnostic: &Diagnostic) -> String {
    diagnostic.render(&SourceFile { name: "".into(), text: "".into() })
}

/// Checks what the script itself SET: a bad value is an error, an unknown key
/// of ours a warning, because Flink would run the script.
pub fn check_script(
    sets: impl Iterator<Item = (Spanned<String>, Spanned<String>)>,
) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for (Spanned { value: key, span: key_span }, Spanned { value, span }) in sets {
        match known(&key) {
            Some(known) if !(known.fits)(&value) => {
                let message = format!("`{key}` cannot be `{value}`");
                let label = format!("expected {}", known.expected);
                errors.push(Diagnostic::error(message).at(span).label(label));
            }
            None if key.starts_with("turnstile.") => {
                let message = format!("`{key}` is not known and has no effect");
                let names = KEYS.iter().map(|key| key.name);
                warnings
                    .push(Diagnostic::warning(message).at(key_span).did_you_mean(&key, names));
            }
            _ => {}
        }
    }
    (errors, warnings)
}

/// Whether `key` may have `value`; keys of Flink's that mean nothing here may
/// have any.
pub fn fits(key: &str, value: &str) -> bool {
    known(key).is_none_or(|known| (known.fits)(value))
}

/// The settings that a run goes by.
#[derive(Debug, Clone)]
pub struct RunSettings {
    pub workers: usize,
    pub batch_size: usize,
    pub checkpoint_interval: Duration,
    pub on_data_loss: OnDataLoss,
    pub kafka_client: KafkaClient,
    /// In bytes; `None`: nobody has said.
    pub memory_limit: Option<u64>,
}

impl RunSettings {
    /// From checked values.
    pub fn from(values: &BTreeMap<String, String>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let number = |key: &str| values.get(key).and_then(|v| v.parse().ok());
        Self {
            workers: number(WORKERS).unwrap_or(cores),
            batch_size: number(BATCH_SIZE).unwrap_or(8192),
            on_data_loss: values
                .get(ON_DATA_LOSS)
                .and_then(|v| on_data_loss(v))
                .unwrap_or_default(),
            kafka_client: values
                .get(KAFKA_CLIENT)
                .and_then(|v| kafka_client(v))
                .unwrap_or_default(),
            memory_limit: values.get(MEMORY_LIMIT).and_then(|v| parse_bytes(v)),
            checkpoint_interval: values
                .get(CHECKPOINT_INTERVAL)
                .and_then(|v| parse_duration(v))
                .unwrap_or(Duration::from_secs(10)),
        }
    }
}

/// Makes `turnstile.log-level` hold, where it is set.
pub fn apply_log_level(values: &BTreeMap<String, String>) {
    if let Some(level) = values.get(LOG_LEVEL).and_then(|v| logging::parse_level(v)) {
        logging::set_level(level);
    }
}

#[cfg(test)]
mod tests;
