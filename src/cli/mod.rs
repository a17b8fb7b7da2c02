//! The command line: arguments, what is printed, exit codes.
//!
//! Each command's arguments, help and handler are in one file. Only this folder
//! prints.

mod check;
mod demo;
mod error;
mod explain;
mod produce;
mod progress;
mod run;
mod script;
mod settings;
mod signals;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use error::CliError;

/// Runs Flink SQL over Kafka topics and lands the result in a data lake.
#[derive(Debug, Parser)]
#[command(name = "turnstile", version, about, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Run(run::Args),
    Check(check::Args),
    Explain(explain::Args),
    #[command(subcommand)]
    Produce(produce::Command),
}

/// Runs the command of the process's arguments.
///
/// Exit codes: 0 done, 1 the query's author can mend it, 2 the world was in the
/// way, 3 a fault of turnstile's own.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Demo(args) => demo::execute(args),
        Command::Run(args) => run::execute(args),
        Command::Check(args) => check::execute(args),
        Command::Explain(args) => explain::execute(args),
        Command::Produce(command) => produce::execute(command),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(error.to_string().trim_end());
            ExitCode::from(error.code())
        }
    }
}

/// One line, or several, for the user's eyes: on standard error.
#[allow(clippy::print_stderr)]
fn say(text: &str) {
    eprintln!("{text}");
}

/// What the command was asked for: on standard output.
fn answer(text: &str) -> Result<(), CliError> {
    use std::io::Write as _;
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever read us has seen enough.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(CliError::World(format!("standard output: {e}"))),
        Ok(()) => Ok(()),
    }
}
