//! Golden cases: a query, the messages it reads, and the rows it must write.
//!
//! A case is a folder that a person can read and a reviewer can diff. Those of
//! `queries/x.sql` are the folders in `queries/cases/x`.
//!
//! | file | holds |
//! |---|---|
//! | `query.sql` | the script, where the case is not of a query beside `cases` |
//! | `input/TOPIC.PARTITION.jsonl`, `.csv`, `.txt` | the messages of one partition, one payload a line, in offset order; the line `<tombstone>` is a message without a value; the timestamp is the line's number in milliseconds |
//! | `input/TOPIC.PARTITION.messages.jsonl` | the same where keys, headers, timestamps, or bytes that are no line of text matter: `{"timestamp":0,"key":"k","headers":[["h","v"]],"value":"…"}`, where a text may be `{"base64":"…"}` |
//! | `tables/NAME`, `tables/NAME.*` | what the table of files NAME holds, in the table's own format |
//! | `arrival` | an order of arrival with pauses, for idle timeouts; without it, messages come in several orders that must all give the same rows |
//! | `expected.csv`, `expected.TABLE.csv` | the rows of a sink, in any order |
//! | `expected.toml` | `late_rows`, `undecodable`: how many are left out |
//! | `expected.error` | the script is refused or fails, and says this |
//! | `NOTE` | for a person: what the case is about, and where its rows are from |
//!
//! A case runs on the real planner, engine and sinks; only the broker is
//! replaced by [`crate::sources::replay`]. It needs no network and sees no
//! environment: `${VAR:-default}` is its default, `${VAR}` the text `VAR`.

mod arrival;
mod bless;
mod check;
mod connectors;
mod difference;
mod expected;
mod find;
mod input;
mod read_back;
mod rows;
mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sources::replay::{Partitions, Step};
pub use bless::bless;
pub use check::{Failure, Fault, Found, Verdict, check, run};
pub use difference::{Difference, Ink, Line};
pub use expected::{Counts, Expected};
pub use find::{Found as FoundCases, find, find_all};
pub use input::text_of as input_text;
pub use run::{Refusal, VARIATIONS, Variation, Written, rows, scratch};

/// A case as it is on disk.
#[derive(Debug, Clone, Default)]
pub struct Case {
    pub folder: PathBuf,
    /// The file of the script.
    pub query: PathBuf,
    pub script: String,
    /// By topic.
    pub input: BTreeMap<String, Arc<Partitions>>,
    /// Empty: in any order.
    pub arrival: Vec<Step>,
    pub expected: Expected,
}

/// Why a case could not be run.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("{path}: {source}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    /// The case's own files are wrong.
    #[error("{0}")]
    Format(String),
    /// What was written cannot be read.
    #[error("reading back {path}: {reason}")]
    Unreadable { path: String, reason: String },
    #[error("{}", .0.text)]
    Refused(Refusal),
    /// The case did not pass; [`run`] alone says so.
    #[error("{0}")]
    Differs(String),
    /// It was told to stop.
    #[error("stopped")]
    Stopped,
}

impl Case {
    pub fn load(folder: &Path) -> Result<Case, CaseError> {
        let query = find::script_of(folder).ok_or_else(|| {
            let hint = "a case holds a query.sql, or lies in cases/x/NAME beside its x.sql";
            CaseError::Format(format!("{}: {hint}", folder.display()))
        })?;
        let script = read(&query)?;
        let input = input::load(&folder.join("input"))?;
        let input = input.into_iter().map(|(topic, all)| (topic, Arc::new(all))).collect();
        let arrival = folder.join("arrival");
        let arrival = if arrival.is_file() {
            arrival::parse(&arrival, &read(&arrival)?, &input)?
        } else {
            Vec::new()
        };
        let expected = Expected::load(folder)?;
        Ok(Case { folder: folder.to_owned(), query, script, input, arrival, expected })
    }

    pub fn name(&self) -> String {
        self.folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

fn io(path: &Path, source: std::io::Error) -> CaseError {
    CaseError::Io { path: path.display().to_string(), source }
}

fn read(path: &Path) -> Result<String, CaseError> {
    std::fs::read_to_string(path).map_err(|e| io(path, e))
}

/// What is in a folder, sorted; nothing if there is no such folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>, CaseError> {
    if folder.is_dir() { sorted(folder) } else { Ok(Vec::new()) }
}

/// What is in a folder, sorted.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let entries = std::fs::read_dir(folder).map_err(|e| io(folder, e))?;
    let mut files = entries
        .map(|entry| entry.map(|e| e.path()).map_err(|e| io(folder, e)))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    Ok(files)
}
