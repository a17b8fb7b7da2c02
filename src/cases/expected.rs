//! What a case expects, as files: rows of every sink table, counts, or an error.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{CaseError, files, io, read};

/// What a case expects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// The text of the expected file, by sink table; the key is empty where the
    /// script has one sink.
    pub tables: BTreeMap<String, String>,
    /// The script must be refused or fail; the text must be in its error.
    pub error: Option<String>,
    pub counts: Counts,
}

/// What a run counts; what is not said may be any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Rows left out because their window had closed.
    pub late_rows: Option<u64>,
    /// Messages left out because they could not be read, or had no event time.
    pub undecodable: Option<u64>,
}

const ERROR: &str = "expected.error";
const COUNTS: &str = "expected.toml";

impl Expected {
    pub fn load(folder: &Path) -> Result<Self, CaseError> {
        let mut expected = Self::default();
        for path in files(folder)? {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if name == ERROR {
                expected.error = Some(read(&path)?);
            } else if name == COUNTS {
                expected.counts = toml::from_str(&read(&path)?).map_err(|e| {
                    CaseError::Format(format!("{}: {}", path.display(), e.message()))
                })?;
            } else if let Some(table) =
                name.strip_prefix("expected").and_then(|n| n.strip_suffix(".csv"))
            {
                let table = table.strip_prefix('.').unwrap_or(table);
                expected.tables.insert(table.to_owned(), read(&path)?);
            }
        }
        if expected.error.is_some() && !expected.tables.is_empty() {
            let both = format!("{}: it expects both rows and an error", folder.display());
            return Err(CaseError::Format(both));
        }
        Ok(expected)
    }

    /// True if nothing was ever expected: a case that was just recorded.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty() && self.error.is_none()
    }

    /// The file of a table's rows; `only` says that it is the only one.
    pub fn file_of(&self, folder: &Path, table: &str, only: bool) -> PathBuf {
        let plain = self.tables.contains_key("") || !self.tables.contains_key(table);
        folder.join(if only && plain {
            "expected.csv".to_owned()
        } else {
            format!("expected.{table}.csv")
        })
    }
}

/// The text that must be in the error. What Flink said, in the cases that a
/// Flink made, only says that there must be one.
pub fn wanted_text(error: &str) -> Option<&str> {
    let error = error.trim();
    let is_flinks = error.starts_with("org.apache.") || error.starts_with("java.");
    (!error.is_empty() && !is_flinks).then_some(error)
}

/// Writes a table's rows.
pub fn write_rows(path: &Path, rows: &[super::rows::Row]) -> Result<(), CaseError> {
    let mut lines: Vec<String> = rows.iter().map(|row| row.csv() + "\n").collect();
    lines.sort();
    std::fs::write(path, lines.concat()).map_err(|e| io(path, e))
}

pub fn write_counts(folder: &Path, counts: &Counts) -> Result<(), CaseError> {
    let path = folder.join(COUNTS);
    let text = toml::to_string(counts).map_err(|e| CaseError::Format(e.to_string()))?;
    std::fs::write(&path, text).map_err(|e| io(&path, e))
}

pub fn write_error(folder: &Path, text: &str) -> Result<(), CaseError> {
    let path = folder.join(ERROR);
    std::fs::write(&path, format!("{text}\n")).map_err(|e| io(&path, e))
}

/// Forgets that an error was expected.
pub fn remove_error(folder: &Path) -> Result<(), CaseError> {
    let path = folder.join(ERROR);
    match std::fs::remove_file(&path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io(&path, e)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_flinks_own_says_nothing_about_ours() {
        assert_eq!(wanted_text("unknown column `x`\n"), Some("unknown column `x`"));
        assert_eq!(wanted_text(" \n"), None);
        assert_eq!(wanted_text("org.apache.flink.table.api.ValidationException: x"), None);
    }

    #[test]
    fn a_count_that_is_unknown_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("expected.toml"), "late = 1\n").unwrap();
        let error = Expected::load(folder.path()).unwrap_err().to_string();
        assert!(error.contains("unknown field `late`"), "{error}");
    }
}
