//! `turnstile check`

use std::path::PathBuf;

use super::settings::{SettingFlags, Settings};
use super::{CliError, answer, script};

/// Parse and plan query files without touching Kafka or the lake.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Query files.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    settings: SettingFlags,
}

pub fn execute(args: &Args) -> Result<(), CliError> {
    let settings = Settings::load(&args.settings)?;
    let mut failures = Vec::new();
    for file in &args.files {
        match script::plan(file, &settings) {
            Ok(planned) => {
                let inserts = planned.job.outputs.len();
                let plural = if inserts == 1 { "" } else { "s" };
                let explained = match planned.explained.len() {
                    0 => String::new(),
                    count => format!(", {count} EXPLAIN"),
                };
                let file = file.display();
                answer(&format!("{file}: ok, {inserts} INSERT{plural}{explained}\n"))?;
            }
            Err(error) => failures.push(error.to_string()),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(CliError::Author(failures.join("\n"))) }
}
