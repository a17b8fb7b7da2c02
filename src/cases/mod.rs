//! Golden cases: a query, the messages it reads, and the rows it must write.
//!
//! A case is a folder that a person can read and a reviewer can diff:
//!
//! | file | holds |
//! |---|---|
//! | `query.sql` | the script |
//! | `input/TOPIC.PARTITION.jsonl`, `.csv`, `.txt` | the messages of one partition, one payload a line, in offset order; the line `<tombstone>` is a message without a value; the timestamp is the line's number in milliseconds |
//! | `expected.csv`, `expected.TABLE.csv` | the rows of the sink, in any order |
//! | `expected.error` | the script is refused or fails |
//!
//! A case runs on the real planner, engine and sinks; only the broker is
//! replaced by [`crate::sources::replay`]. It needs no network.

mod compare;
mod run;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::sources::replay::{Message, Partitions};
pub use run::{Variation, Written, rows, run};

/// A case as it is on disk.
#[derive(Debug)]
pub struct Case {
    pub folder: PathBuf,
    pub script: String,
    /// By topic.
    pub input: BTreeMap<String, Arc<Partitions>>,
    pub expected: Expected,
}

#[derive(Debug)]
pub enum Expected {
    /// The text of the expected file, by sink table; the key is empty where the
    /// script has one sink.
    Rows(BTreeMap<String, String>),
    /// The script must be refused or fail.
    Error,
}

/// Why a case did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    #[error("{path}: {source}")]
    Io {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("{0}")]
    Format(String),
    #[error("the script was refused or failed:\n{0}")]
    Failed(String),
    #[error("an error was expected, but the script ran")]
    NotRefused,
    #[error("table `{table}` has other rows than expected:\n{difference}")]
    Rows { table: String, difference: String },
}

impl Case {
    pub fn load(folder: &Path) -> Result<Case, CaseError> {
        let script = read(&folder.join("query.sql"))?;
        let mut input: BTreeMap<String, Partitions> = BTreeMap::new();
        for path in files(&folder.join("input"))? {
            let (topic, partition) = topic_of(&path)?;
            input.entry(topic).or_default().insert(partition, messages(&read(&path)?));
        }
        let input = input.into_iter().map(|(topic, p)| (topic, Arc::new(p))).collect();
        let expected = expected(folder)?;
        Ok(Case { folder: folder.to_owned(), script, input, expected })
    }

    pub fn name(&self) -> String {
        self.folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }
}

/// Every folder below `root` that holds a `query.sql`, sorted.
pub fn find(root: &Path) -> Result<Vec<PathBuf>, CaseError> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(folder) = open.pop() {
        if folder.join("query.sql").is_file() {
            found.push(folder);
            continue;
        }
        let entries = std::fs::read_dir(&folder).map_err(|e| io(&folder, e))?;
        for entry in entries {
            let path = entry.map_err(|e| io(&folder, e))?.path();
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn io(path: &Path, source: std::io::Error) -> CaseError {
    CaseError::Io { path: path.display().to_string(), source }
}

fn read(path: &Path) -> Result<String, CaseError> {
    std::fs::read_to_string(path).map_err(|e| io(path, e))
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, CaseError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(folder).map_err(|e| io(folder, e))?;
    let mut files = entries
        .map(|entry| entry.map(|e| e.path()).map_err(|e| io(folder, e)))
        .collect::<Result<Vec<_>, _>>()?;
    files.sort();
    Ok(files)
}

/// `TOPIC.PARTITION.extension`.
fn topic_of(path: &Path) -> Result<(String, i32), CaseError> {
    let wrong =
        || CaseError::Format(format!("{}: name it TOPIC.PARTITION.ext", path.display()));
    let stem = path.file_stem().and_then(|s| s.to_str()).ok_or_else(wrong)?;
    let (topic, partition) = stem.rsplit_once('.').ok_or_else(wrong)?;
    Ok((topic.to_owned(), partition.parse().map_err(|_| wrong())?))
}

fn messages(text: &str) -> Vec<Message> {
    let line = |(i, line): (i64, &str)| Message {
        payload: (line != "<tombstone>").then(|| line.as_bytes().to_vec()),
        key: None,
        timestamp_ms: i,
    };
    (0..).zip(text.lines()).map(line).collect()
}

fn expected(folder: &Path) -> Result<Expected, CaseError> {
    if folder.join("expected.error").is_file() {
        return Ok(Expected::Error);
    }
    let mut tables = BTreeMap::new();
    for path in files(folder)? {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if let Some(table) = name.strip_prefix("expected").and_then(|n| n.strip_suffix(".csv"))
        {
            tables.insert(table.trim_start_matches('.').to_owned(), read(&path)?);
        }
    }
    if tables.is_empty() {
        let message = format!("{}: no expected.csv and no expected.error", folder.display());
        return Err(CaseError::Format(message));
    }
    Ok(Expected::Rows(tables))
}
