//! Makes a case expect what was found.

use super::check::{Failure, Fault, Found};
use super::expected::{self, Counts};
use super::{Case, CaseError};

/// Writes the expectations that failed; false if nothing can be expected: the
/// runs did not agree, or the script failed where it should write rows.
pub fn bless(case: &Case, failure: &Failure) -> Result<bool, CaseError> {
    match &failure.found {
        None => Ok(false),
        Some(Found::Refused(refusal)) if case.expected.tables.is_empty() => {
            let first = refusal.text.lines().next().unwrap_or_default();
            let text = first.strip_prefix("error: ").unwrap_or(first);
            expected::write_error(&case.folder, text)?;
            Ok(true)
        }
        Some(Found::Refused(_)) => Ok(false),
        Some(Found::Wrote(rows)) => {
            let differs = |file: &std::path::Path| {
                let of_file =
                    |fault: &Fault| matches!(fault, Fault::Rows { file: f, .. } if f == file);
                !file.exists() || failure.faults.iter().any(of_file)
            };
            for (file, rows) in rows.tables.iter().filter(|(file, _)| differs(file)) {
                expected::write_rows(file, rows)?;
            }
            expected::remove_error(&case.folder)?;
            let before = case.expected.counts;
            let is_new = case.expected.is_empty() || case.expected.error.is_some();
            let count =
                |before: Option<u64>, found| (is_new || before.is_some()).then_some(found);
            let counts = Counts {
                late_rows: count(before.late_rows, rows.late_rows),
                undecodable: count(before.undecodable, rows.undecodable),
            };
            if counts != before {
                expected::write_counts(&case.folder, &counts)?;
            }
            Ok(true)
        }
    }
}
