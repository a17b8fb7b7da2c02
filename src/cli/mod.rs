//! The command line: arguments, what is printed, exit codes.
//!
//! Each command's arguments, help and handler are in one file. Only this folder
//! prints.

mod check;
mod demo;
mod error;
mod explain;
mod logging;
mod memory;
mod preview;
mod produce;
mod profile;
mod progress;
mod replay;
mod run;
mod screen;
mod script;
pub(crate) mod settings;
mod signals;
mod state;
mod test;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::CliError;
use screen::{answer, say};
pub use script::check;

/// Runs Flink SQL over Kafka topics and lands the result in a data lake.
#[derive(Debug, Parser)]
#[command(name = "turnstile", version, about, max_term_width = 100)]
struct Cli {
    /// Log what the Kafka client and the engine are doing (`turnstile.log-level`
    /// = `debug`).
    #[arg(long, short, global = true)]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Check(check::Args),
    Explain(explain::Args),
    Test(test::Args),
    Preview(preview::Args),
    #[command(subcommand)]
    State(state::command::Command),
    #[command(subcommand)]
    Produce(produce::Command),
    Replay(replay::Args),
}

impl Command {
    fn execute(&self) -> Result<(), CliError> {
        match self {
            Command::Demo(args) => demo::execute(args),
            Command::Run(args) => run::execute(args),
            Command::Check(args) => check::execute(args),
            Command::Explain(args) => explain::execute(args),
            Command::Test(args) => test::execute(args),
            Command::Preview(args) => preview::execute(args),
            Command::State(command) => state::command::execute(command),
            Command::Produce(command) => produce::execute(command),
            Command::Replay(args) => replay::execute(args),
        }
    }
}

/// Runs the command of the process's arguments.
///
/// Exit codes: 0 done, 1 the author of the query, the settings or the command
/// line can mend it, 2 the world was in the way, 3 a fault of turnstile's own.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(usage) => return refuse(&usage),
    };
    logging::start(cli.verbose);
    // The panic's own message has been printed by the time it is caught.
    let result = catch_unwind(AssertUnwindSafe(|| cli.command.execute()))
        .unwrap_or_else(|_| Err(CliError::Bug("the command ended in a panic".to_owned())));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !matches!(error, CliError::Reported { .. }) {
                say(error.to_string().trim_end());
            }
            ExitCode::from(error.code())
        }
    }
}

/// Help and version are answers; anything else is the author's mistake.
fn refuse(usage: &clap::Error) -> ExitCode {
    // Nobody is left to tell when the output is closed.
    let _ = usage.print();
    // Where 1 means that a case failed, a mistake must be something else.
    let command = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    let mistake = if command.as_deref() == Some("test") { 2 } else { 1 };
    ExitCode::from(if usage.use_stderr() { mistake } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_agree_with_each_other() {
        Cli::command().debug_assert();
    }
}
