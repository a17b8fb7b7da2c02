//! `turnstile explain`

use std::path::PathBuf;

use super::settings::{SettingFlags, Settings};
use super::{CliError, answer, script};
use crate::planning::explain::explain;

/// Show how a query file will run: sources, windows, plans, sinks.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Query file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    settings: SettingFlags,
}

pub fn execute(args: &Args) -> Result<(), CliError> {
    let settings = Settings::load(&args.settings)?;
    let planned = script::plan(&args.file, &settings)?;
    for explained in &planned.explained {
        answer(explained)?;
    }
    if planned.job.outputs.is_empty() { Ok(()) } else { answer(&explain(&planned.job)) }
}
