//! `turnstile test`: golden cases of query files, without a broker.
//!
//! Exit codes are those of test runners: 0 all passed, 1 some did not, 2 it was
//! asked for something that cannot be done.

mod github;
mod junit;
mod paint;
mod record;
mod report;
mod runner;

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::signals::stop_on_signals;
use super::{CliError, say};
use crate::cases::{FoundCases, bless, find_all};
use crate::engine::StopSignal;
use paint::Paint;
use report::Report;
use runner::{Outcome, Planned};

/// Run the golden cases of query files: messages in, rows out, no broker.
///
/// A case of `queries/x.sql` is a folder `queries/cases/x/NAME` with the
/// messages, `input/TOPIC.PARTITION.jsonl` (or .csv, .txt), and the rows,
/// `expected.csv`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folders with query files, query files, or cases.
    #[arg(value_name = "PATH", default_value = "queries")]
    paths: Vec<PathBuf>,
    /// Only cases whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Make the cases that fail expect what they write; what changes is shown.
    #[arg(long)]
    bless: bool,
    /// Cases run at a time; as many as cores unless said.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    /// Write the results as JUnit XML too.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print annotations for GitHub; on where GITHUB_ACTIONS is set.
    #[arg(long)]
    github: bool,
    #[command(flatten)]
    record: record::RecordArgs,
}

const NO_CASE: &str = "hint: a case of queries/x.sql is a folder queries/cases/x/NAME with \
    input/TOPIC.PARTITION.jsonl and expected.csv;\n      `turnstile test --new queries/x.sql \
    --from-topic TOPIC --messages 100` records one";

pub fn execute(args: &Args) -> Result<(), CliError> {
    if let Some(query) = &args.record.new {
        return record::record(query, &args.record);
    }
    let (cases, untested) = collect(&args.paths)?;
    let wanted = |case: &Planned| args.filter.as_ref().is_none_or(|f| case.label.contains(f));
    let all = cases.len();
    let cases: Vec<Planned> = cases.into_iter().filter(wanted).collect();
    if cases.is_empty() {
        let paths: Vec<String> = args.paths.iter().map(|p| p.display().to_string()).collect();
        return Err(match &args.filter {
            Some(filter) if all > 0 => {
                usage(&format!("error: none of {all} cases has `{filter}` in its name"))
            }
            _ => usage(&format!("error: no case in {}\n{NO_CASE}", paths.join(", "))),
        });
    }
    let stop = StopSignal::default();
    stop_on_signals(&stop)?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let jobs = args.jobs.map_or(cores, usize::from).min(cases.len());
    let started = Instant::now();
    let report = Report::new(Paint::for_stdout(), &cases);
    let mut outcomes = runner::run(&cases, jobs, &stop, |outcome| report.line(outcome))?;
    report.failures(&outcomes)?;
    if args.bless {
        accept(&mut outcomes, &report)?;
    }
    // Who looks at a few cases does not want to hear of other queries.
    let untested = if args.filter.is_some() { Vec::new() } else { untested };
    report.untested(&untested)?;
    if args.github || std::env::var_os("GITHUB_ACTIONS").is_some_and(|v| !v.is_empty()) {
        github::annotate(&outcomes, &untested)?;
    }
    if let Some(file) = &args.junit {
        junit::write(file, &outcomes, started.elapsed())?;
    }
    report.summary(&outcomes, untested.len(), started.elapsed())?;
    conclude(&outcomes)
}

/// The cases of all paths, each once, and the queries that have none.
fn collect(paths: &[PathBuf]) -> Result<(Vec<Planned>, Vec<PathBuf>), CliError> {
    let (mut cases, mut untested): (Vec<Planned>, Vec<PathBuf>) = Default::default();
    for path in paths {
        let FoundCases { cases: folders, untested: queries } =
            find_all(path).map_err(|e| usage(&format!("error: {e}")))?;
        for folder in folders {
            if !cases.iter().any(|case| case.folder == folder) {
                cases.push(Planned { label: label(path, &folder), folder });
            }
        }
        untested.extend(queries);
    }
    Ok((cases, untested))
}

/// What a case is called: `x/NAME`, or its path below `root`.
fn label(root: &Path, folder: &Path) -> String {
    let below = folder.strip_prefix(root).ok().filter(|below| below.components().count() > 0);
    let name = |path: &Path| path.file_name().map(|n| n.to_string_lossy().into_owned());
    let parts: Vec<String> = match below {
        Some(below) => below.iter().map(|part| part.to_string_lossy().into_owned()).collect(),
        None => {
            let query = folder
                .parent()
                .filter(|q| q.parent().and_then(name).is_some_and(|cases| cases == "cases"));
            query.and_then(name).into_iter().chain(name(folder)).collect()
        }
    };
    let from_end = parts.len().checked_sub(3);
    let kept = parts.iter().enumerate().filter(|(at, part)| {
        // `cases/x/NAME` is `x/NAME`.
        !(Some(*at) == from_end && *part == "cases")
    });
    kept.map(|(_, part)| part.as_str()).collect::<Vec<_>>().join("/")
}

/// Makes the failed cases expect what they wrote, where that makes sense.
fn accept(outcomes: &mut [Outcome], report: &Report) -> Result<(), CliError> {
    for outcome in outcomes.iter_mut() {
        let (Some(case), Some(failure)) = (&outcome.case, outcome.failure()) else { continue };
        let blessed = bless(case, failure).map_err(|e| CliError::World(e.to_string()))?;
        report.blessed(outcome, blessed)?;
        outcome.blessed = blessed;
    }
    Ok(())
}

fn conclude(outcomes: &[Outcome]) -> Result<(), CliError> {
    const INTERRUPTED: u8 = 130;
    if outcomes.iter().any(Outcome::was_stopped) {
        return Err(CliError::Reported { code: INTERRUPTED });
    }
    let failed = outcomes.iter().any(|outcome| outcome.failure().is_some() && !outcome.blessed);
    if failed { Err(CliError::Reported { code: 1 }) } else { Ok(()) }
}

/// Says what is wrong with what was asked for.
fn usage(text: &str) -> CliError {
    say(text);
    CliError::Reported { code: 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_called_by_its_query_and_name() {
        for (root, folder, called) in [
            ("queries", "queries/cases/x/late", "x/late"),
            ("queries", "queries/sub/cases/x/late", "sub/x/late"),
            ("queries/x.sql", "queries/cases/x/late", "x/late"),
            ("queries/cases/x/late", "queries/cases/x/late", "x/late"),
            ("tests/cases", "tests/cases/late", "late"),
            ("tests/cases", "tests/cases/random/f1", "random/f1"),
        ] {
            assert_eq!(label(Path::new(root), Path::new(folder)), called, "{root} {folder}");
        }
    }
}
