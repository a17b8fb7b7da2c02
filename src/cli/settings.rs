//! Settings from four places, each stronger than the one before: the
//! configuration file, the environment, SET in the script, flags.
//!
//! The environment's `TURNSTILE_BATCH_SIZE` is `turnstile.batch-size`. Keys of
//! Flink's that mean nothing here are accepted in SET, as Flink accepts ours;
//! an unknown key in the configuration file or in `turnstile.*` is not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clap::Args;

use super::CliError;
use crate::diagnostics::{Diagnostic, Span};
use crate::options::parse_duration;

/// Key, what is expected of a value, and whether a value is that.
type Known = (&'static str, &'static str, fn(&str) -> bool);

const CHECKPOINT_INTERVAL: &str = "execution.checkpointing.interval";
const BATCH_SIZE: &str = "turnstile.batch-size";
const WORKERS: &str = "turnstile.workers";

/// Every key that changes something.
const KNOWN: [Known; 6] = [
    (CHECKPOINT_INTERVAL, "a duration such as `10 s`", |v| parse_duration(v).is_some()),
    (crate::planning::PIPELINE_NAME, "a name", |v| !v.is_empty()),
    (crate::planning::NULL_EVENT_TIME, "FAIL or DROP", |v| {
        crate::planning::null_event_time(v).is_some()
    }),
    (crate::planning::TIME_ZONE, "a time zone such as `America/New_York`", |v| {
        crate::planning::Zone::parse(v).is_some()
    }),
    (BATCH_SIZE, "a whole number from 1 to 1000000", |v| {
        v.parse().is_ok_and(|n: usize| (1..=1_000_000).contains(&n))
    }),
    (WORKERS, "a whole number from 1 to 1024", |v| {
        v.parse().is_ok_and(|n: usize| (1..=1024).contains(&n))
    }),
];

/// Flags of every command that runs or plans a script.
#[derive(Debug, Clone, Default, Args)]
pub struct SettingFlags {
    /// Configuration file (TOML); `config/turnstile.toml` lists every key.
    #[arg(long, value_name = "FILE")]
    pub config: Option<std::path::PathBuf>,
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
    pub fn load(flags: &SettingFlags) -> Result<Self, CliError> {
        let mut settings = Self::default();
        if let Some(file) = &flags.config {
            settings.read_file(file)?;
        }
        for (name, value) in std::env::vars() {
            settings.read_variable(&name, &value)?;
        }
        for pair in &flags.set {
            let Some((key, value)) = pair.split_once('=') else {
                return Err(CliError::Author(format!(
                    "error: --set takes KEY=VALUE, not `{pair}`"
                )));
            };
            check(key, value, "--set")?;
            settings.flags.insert(key.to_owned(), value.to_owned());
        }
        if let Some(workers) = flags.workers {
            check(WORKERS, &workers.to_string(), "--workers")?;
            settings.flags.insert(WORKERS.to_owned(), workers.to_string());
        }
        Ok(settings)
    }

    fn read_file(&mut self, file: &Path) -> Result<(), CliError> {
        let origin = file.display().to_string();
        let text = std::fs::read_to_string(file)
            .map_err(|e| CliError::Author(format!("error: {origin}: {e}")))?;
        let table: toml::Table =
            text.parse().map_err(|e| CliError::Author(format!("error: {origin}: {e}")))?;
        let mut flat = BTreeMap::new();
        flatten(String::new(), &table, &mut flat);
        for (key, value) in flat {
            check(&key, &value, &origin)?;
            self.before.insert(key, value);
        }
        Ok(())
    }

    fn read_variable(&mut self, name: &str, value: &str) -> Result<(), CliError> {
        let Some(rest) = name.strip_prefix("TURNSTILE_") else { return Ok(()) };
        let spelled = |key: &str| {
            let key = key.strip_prefix("turnstile.").unwrap_or(key);
            key.replace(['.', '-'], "_").to_uppercase()
        };
        match KNOWN.iter().find(|(key, ..)| spelled(key) == rest) {
            Some((key, ..)) => {
                check(key, value, name)?;
                self.before.insert((*key).to_owned(), value.to_owned());
                Ok(())
            }
            None => {
                let known: Vec<String> = KNOWN
                    .iter()
                    .map(|(key, ..)| format!("TURNSTILE_{}", spelled(key)))
                    .collect();
                let diagnostic = Diagnostic::error(format!("unknown variable {name}"))
                    .did_you_mean(name, known.iter().map(String::as_str))
                    .hint(format!("known are {}", known.join(", ")));
                Err(author(&diagnostic))
            }
        }
    }
}

fn flatten(prefix: String, table: &toml::Table, flat: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(key, inner, flat),
            toml::Value::String(text) => {
                flat.insert(key, text.clone());
            }
            other => {
                flat.insert(key, other.to_string());
            }
        }
    }
}

fn author(diagnostic: &Diagnostic) -> CliError {
    let file = crate::diagnostics::SourceFile { name: "".into(), text: "".into() };
    CliError::Author(diagnostic.render(&file))
}

fn check(key: &str, value: &str, origin: &str) -> Result<(), CliError> {
    let Some((_, expected, fits)) = KNOWN.iter().find(|(known, ..)| *known == key) else {
        let diagnostic = Diagnostic::error(format!("unknown setting `{key}` in {origin}"))
            .did_you_mean(key, KNOWN.iter().map(|(key, ..)| *key));
        return Err(author(&diagnostic));
    };
    if fits(value) {
        return Ok(());
    }
    let message = format!("`{key}` in {origin} cannot be `{value}`");
    Err(author(&Diagnostic::error(message).hint(format!("expected {expected}"))))
}

/// Checks what the script itself SET: a bad value is an error, an unknown key
/// of ours a warning.
pub fn check_script(
    sets: impl Iterator<Item = (String, String, Span)>,
) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
    let (mut errors, mut warnings) = (Vec::new(), Vec::new());
    for (key, value, span) in sets {
        match KNOWN.iter().find(|(known, ..)| *known == key) {
            Some((_, expected, fits)) if !fits(&value) => {
                let message = format!("`{key}` cannot be `{value}`");
                errors.push(
                    Diagnostic::error(message).at(span).label(format!("expected {expected}")),
                );
            }
            None if key.starts_with("turnstile.") => {
                let message = format!("`{key}` is not known and has no effect");
                let known = KNOWN.iter().map(|(key, ..)| *key);
                warnings.push(Diagnostic::warning(message).at(span).did_you_mean(&key, known));
            }
            _ => {}
        }
    }
    (errors, warnings)
}

/// The settings that a run goes by.
#[derive(Debug, Clone)]
pub struct RunSettings {
    pub workers: usize,
    pub batch_size: usize,
    pub checkpoint_interval: Duration,
}

impl RunSettings {
    /// From checked values.
    pub fn from(values: &BTreeMap<String, String>) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let number = |key: &str| values.get(key).and_then(|v| v.parse().ok());
        Self {
            workers: number(WORKERS).unwrap_or(cores),
            batch_size: number(BATCH_SIZE).unwrap_or(8192),
            checkpoint_interval: values
                .get(CHECKPOINT_INTERVAL)
                .and_then(|v| parse_duration(v))
                .unwrap_or(Duration::from_secs(10)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_tables_is_keys_with_dots() {
        let table: toml::Table =
            "[turnstile]\nworkers = 3\n\"batch-size\" = 10\n".parse().unwrap();
        let mut flat = BTreeMap::new();
        flatten(String::new(), &table, &mut flat);
        assert_eq!(flat.get("turnstile.workers").map(String::as_str), Some("3"));
        assert_eq!(flat.get("turnstile.batch-size").map(String::as_str), Some("10"));
    }

    #[test]
    fn an_unknown_key_is_told_with_the_near_one() {
        let error = check("turnstile.worker", "3", "x.toml").expect_err("unknown");
        assert!(error.to_string().contains("did you mean `turnstile.workers`?"), "{error}");
    }
}
