//! Decides whether a case passes.
//!
//! The first way of running it is held against what is expected, and every
//! other way against the first.

use std::fmt;
use std::path::{Path, PathBuf};

use super::difference::Difference;
use super::expected::wanted_text;
use super::rows::{self, Row};
use super::run::{Prepared, Refusal, Table, VARIATIONS, Variation, Written, scratch};
use super::{Case, CaseError, Expected};
use crate::diagnostics::closest;
use crate::engine::StopSignal;

#[derive(Debug)]
pub enum Verdict {
    Passed,
    Failed(Failure),
    /// It was told to stop before it was done.
    Stopped,
}

/// Why a case did not pass.
#[derive(Debug)]
pub struct Failure {
    pub faults: Vec<Fault>,
    /// What every way of running it agreed on: what the case can be made to
    /// expect.
    pub found: Option<Found>,
}

/// What came of a script.
#[derive(Debug)]
pub enum Found {
    Wrote(Rows),
    Refused(Refusal),
}

/// What a script wrote, ready to be written down.
#[derive(Debug)]
pub struct Rows {
    /// By table, with the file that expects them.
    pub tables: Vec<(PathBuf, Vec<Row>)>,
    pub late_rows: u64,
    pub undecodable: u64,
}

/// One thing that is not as expected.
#[derive(Debug)]
pub enum Fault {
    /// The case cannot be run, or what it wrote not be read.
    Broken(CaseError),
    Rows {
        table: String,
        /// What expects them.
        file: PathBuf,
        /// False if there is no such file yet.
        is_expected: bool,
        difference: Difference,
    },
    Count {
        what: &'static str,
        expected: u64,
        found: u64,
    },
    /// Rows are expected, but it was refused or failed.
    Refused(Refusal),
    /// An error is expected, but it ran.
    Ran,
    OtherError {
        wanted: String,
        said: Refusal,
    },
    /// Another way of running it gives something else.
    Disagreement {
        variation: Variation,
        how: String,
    },
}

impl Fault {
    /// What went wrong, in a line.
    pub fn headline(&self) -> String {
        match self {
            Fault::Broken(error) => error.to_string(),
            Fault::Rows { table, is_expected, difference, .. } => {
                let summary = difference.summary();
                let yet = if *is_expected { "" } else { " (none are expected yet)" };
                format!("rows of `{table}`: {summary}{yet}")
            }
            Fault::Count { what, expected, found } => {
                format!("{what}: {expected} expected, {found} found")
            }
            Fault::Refused(_) => "rows are expected, but the script failed".to_owned(),
            Fault::Ran => "an error is expected, but the script ran".to_owned(),
            Fault::OtherError { wanted, .. } => {
                format!("the script failed, as expected, but not with `{wanted}`")
            }
            Fault::Disagreement { variation, .. } => {
                format!("the result depends on how it is run; with {variation}:")
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline())?;
        match self {
            Fault::Rows { difference, .. } => write!(f, "{difference}"),
            Fault::Refused(refusal) | Fault::OtherError { said: refusal, .. } => {
                writeln!(f, "{}", refusal.text.trim_end())
            }
            Fault::Disagreement { how, .. } => writeln!(f, "{}", how.trim_end()),
            Fault::Broken(_) | Fault::Count { .. } | Fault::Ran => Ok(()),
        }
    }
}

/// Runs a case in every way there is.
pub fn check(case: &Case, stop: &StopSignal) -> Verdict {
    check_ways(case, &VARIATIONS, stop)
}

fn check_ways(case: &Case, ways: &[Variation], stop: &StopSignal) -> Verdict {
    match try_check(case, ways, stop) {
        Ok(verdict) => verdict,
        Err(CaseError::Stopped) => Verdict::Stopped,
        Err(error) => {
            Verdict::Failed(Failure { faults: vec![Fault::Broken(error)], found: None })
        }
    }
}

/// Runs `case` one way, in `scratch`, an empty folder, and compares.
pub fn run(case: &Case, variation: Variation, scratch: &Path) -> Result<(), CaseError> {
    let failure = match prepare(case, scratch)? {
        Err(refusal) => judge_refusal(case, refusal),
        Ok(prepared) => match attempt(&prepared, variation, &StopSignal::default())? {
            Err(refusal) => judge_refusal(case, refusal),
            Ok(written) => judge_rows(case, &prepared, &written)?,
        },
    };
    let texts: Vec<String> = failure.faults.iter().map(Fault::to_string).collect();
    if texts.is_empty() { Ok(()) } else { Err(CaseError::Differs(texts.join("\n"))) }
}

fn try_check(case: &Case, ways: &[Variation], stop: &StopSignal) -> Result<Verdict, CaseError> {
    let scratch = scratch()?;
    let prepared = match prepare(case, scratch.path())? {
        Err(refusal) => return Ok(verdict(judge_refusal(case, refusal))),
        Ok(prepared) => prepared,
    };
    let (first, others) = ways.split_first().expect("there is a way to run a case");
    let found = attempt(&prepared, *first, stop)?;
    let mut disagreements = Vec::new();
    for variation in others {
        let again = attempt(&prepared, *variation, stop)?;
        if let Some(how) = disagreement(&prepared, &found, &again) {
            disagreements.push(Fault::Disagreement { variation: *variation, how });
        }
    }
    let mut failure = match found {
        Err(refusal) => judge_refusal(case, refusal),
        Ok(written) => judge_rows(case, &prepared, &written)?,
    };
    if !disagreements.is_empty() {
        failure.found = None;
        failure.faults.extend(disagreements);
    }
    Ok(verdict(failure))
}

fn verdict(failure: Failure) -> Verdict {
    if failure.faults.is_empty() { Verdict::Passed } else { Verdict::Failed(failure) }
}

type Attempt<T> = Result<T, Refusal>;

/// Keeps a refusal, which a case may expect, apart from what no case expects.
fn refusal<T>(result: Result<T, CaseError>) -> Result<Attempt<T>, CaseError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(CaseError::Refused(refusal)) => Ok(Err(refusal)),
        Err(error) => Err(error),
    }
}

fn prepare<'a>(case: &'a Case, scratch: &Path) -> Result<Attempt<Prepared<'a>>, CaseError> {
    refusal(Prepared::new(case, scratch))
}

fn attempt(
    prepared: &Prepared<'_>,
    variation: Variation,
    stop: &StopSignal,
) -> Result<Attempt<Written>, CaseError> {
    refusal(prepared.run(variation, stop))
}

fn judge_refusal(case: &Case, refusal: Refusal) -> Failure {
    let found = Some(Found::Refused(refusal.clone()));
    let fault = match &case.expected.error {
        None => Some(Fault::Refused(refusal)),
        Some(wanted) => wanted_text(wanted)
            .filter(|wanted| !refusal.text.contains(wanted))
            .map(|wanted| Fault::OtherError { wanted: wanted.to_owned(), said: refusal }),
    };
    Failure { faults: fault.into_iter().collect(), found }
}

fn judge_rows(
    case: &Case,
    prepared: &Prepared<'_>,
    written: &Written,
) -> Result<Failure, CaseError> {
    let Expected { tables: expected, error, counts } = &case.expected;
    let mut faults = Vec::new();
    if error.is_some() {
        faults.push(Fault::Ran);
    }
    refuse_unknown(case, prepared)?;
    let compared: Vec<(&String, &Table)> =
        prepared.tables.iter().filter(|(_, table)| !table.keeps_nothing()).collect();
    let only = compared.len() == 1;
    let mut tables = Vec::new();
    for (name, table) in compared {
        let file = case.expected.file_of(&case.folder, name, only);
        let text = expected.get(name).or_else(|| expected.get("").filter(|_| only));
        let rows = rows::written(&written.tables[name], table.empty_is_null());
        tables.push((file.clone(), rows.clone()));
        let wanted = rows_expected(table, &file, text.map_or("", String::as_str))?;
        let difference = Difference::between(table.columns(), wanted, rows);
        let is_expected = text.is_some();
        if error.is_none() && (difference.is_some() || !is_expected) {
            let columns = table.columns();
            let difference = difference.unwrap_or(Difference { columns, ..Default::default() });
            faults.push(Fault::Rows { table: name.clone(), file, is_expected, difference });
        }
    }
    let found = [
        ("late rows", counts.late_rows, written.late_rows),
        ("undecodable messages", counts.undecodable, written.undecodable),
    ];
    for (what, expected, found) in found {
        if let Some(expected) = expected.filter(|expected| *expected != found) {
            faults.push(Fault::Count { what, expected, found });
        }
    }
    let (late_rows, undecodable) = (written.late_rows, written.undecodable);
    let found = Some(Found::Wrote(Rows { tables, late_rows, undecodable }));
    Ok(Failure { faults, found })
}

/// Refuses an expected file that is of no table.
fn refuse_unknown(case: &Case, prepared: &Prepared<'_>) -> Result<(), CaseError> {
    let wrong = |message: String| {
        Err(CaseError::Format(format!("{}: {message}", case.folder.display())))
    };
    let names = || prepared.tables.keys().map(String::as_str);
    let compared = prepared.tables.values().filter(|table| !table.keeps_nothing()).count();
    for table in case.expected.tables.keys() {
        if table.is_empty() && compared != 1 {
            let all = names().collect::<Vec<_>>().join(", ");
            return wrong(format!(
                "which table is expected.csv of? Name it expected.TABLE.csv, of {all}"
            ));
        }
        if !table.is_empty() && !prepared.tables.contains_key(table) {
            let near = closest(table, names());
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return wrong(format!("expected.{table}.csv: no INSERT writes `{table}`{hint}"));
        }
    }
    Ok(())
}

fn rows_expected(table: &Table, file: &Path, text: &str) -> Result<Vec<Row>, CaseError> {
    rows::expected(text, &table.schema, table.empty_is_null())
        .map_err(|reason| CaseError::Format(format!("{}: {reason}", file.display())))
}

/// How another run differs from the first.
fn disagreement(
    prepared: &Prepared<'_>,
    first: &Attempt<Written>,
    again: &Attempt<Written>,
) -> Option<String> {
    let (first, again) = match (first, again) {
        (Err(_), Err(_)) => return None,
        (Ok(first), Ok(again)) => (first, again),
        (Ok(_), Err(refusal)) => return Some(refusal.text.clone()),
        (Err(_), Ok(_)) => return Some("it does not fail".to_owned()),
    };
    let mut parts = Vec::new();
    for (name, table) in &prepared.tables {
        let rows =
            |written: &Written| rows::written(&written.tables[name], table.empty_is_null());
        let difference = Difference::between(table.columns(), rows(first), rows(again));
        if let Some(difference) = difference.and_then(Difference::ignoring_last_digits) {
            parts.push(format!("rows of `{name}`: {}\n{difference}", difference.summary()));
        }
    }
    let counts = [
        ("late rows", first.late_rows, again.late_rows),
        ("undecodable messages", first.undecodable, again.undecodable),
    ];
    for (what, first, again) in counts.into_iter().filter(|(_, first, again)| first != again) {
        parts.push(format!("{what}: {first} before, {again} now"));
    }
    (!parts.is_empty()).then(|| parts.join("\n"))
}
