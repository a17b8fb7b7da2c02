//! Why a command failed, by who can mend it.

use super::settings::JOB_NAME;
use crate::checkpoint::CheckpointError;
use crate::diagnostics::{Diagnostic, SourceFile};
use crate::engine::EngineError;

#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The author of the query, the configuration or the command line.
    #[error("{0}")]
    Author(String),
    /// A broker, a store, a disk, a message.
    #[error("error: {0}")]
    World(String),
    /// A fault of turnstile's own.
    #[error("error: {0}\nhint: this is a fault of turnstile; please report it")]
    Bug(String),
    /// The command has said what is wrong.
    #[error("")]
    Reported { code: u8 },
}

impl CliError {
    pub fn code(&self) -> u8 {
        match self {
            CliError::Author(_) => 1,
            CliError::World(_) => 2,
            CliError::Bug(_) => 3,
            CliError::Reported { code } => *code,
        }
    }

    /// Diagnostics of a script, all of them.
    pub fn diagnostics(errors: &[Diagnostic], file: &SourceFile) -> Self {
        let texts: Vec<String> = errors.iter().map(|e| e.render(file)).collect();
        CliError::Author(texts.join("\n"))
    }
}

impl From<EngineError> for CliError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Worker(_) => CliError::Bug(error.to_string()),
            EngineError::Checkpoint(CheckpointError::OtherPlan { .. }) => {
                CliError::Author(format!(
                    "error: {error}\n\
                     hint: --drop-state goes on at the stored offsets and drops what open windows hold\n\
                     hint: another {JOB_NAME} begins a new job: at the table's startup position, or \
                     with --offsets-of at those of this one"
                ))
            }
            other => CliError::World(other.to_string()),
        }
    }
}
