//! What a person sees of a test run: a line per case, what failed and how, and
//! a summary.

use std::path::PathBuf;
use std::time::Duration;

use unicode_width::UnicodeWidthStr as _;

use super::super::{CliError, answer};
use super::paint::Paint;
use super::runner::{Outcome, Planned};
use crate::cases::{Fault, Verdict};

pub struct Report {
    paint: Paint,
    /// The widest label.
    width: usize,
}

impl Report {
    pub fn new(paint: Paint, cases: &[Planned]) -> Self {
        let widths = cases.iter().map(|case| case.label.width());
        Self { paint, width: widths.max().unwrap_or_default() }
    }

    /// `ok    x/late    7 ms`
    pub fn line(&self, outcome: &Outcome) -> Result<(), CliError> {
        let word = match outcome.verdict {
            Verdict::Passed => self.paint.green("ok  "),
            Verdict::Failed(_) => self.paint.red("FAIL"),
            Verdict::Stopped => self.paint.yellow("----"),
        };
        let label = &outcome.label;
        let blanks = " ".repeat(self.width - label.width());
        let took = match outcome.verdict {
            Verdict::Stopped => "not run".to_owned(),
            _ => format!("{:>4} ms", outcome.took.as_millis()),
        };
        answer(&format!("{word}  {label}{blanks}  {}\n", self.paint.faint(&took)))
    }

    /// How each case failed.
    pub fn failures(&self, outcomes: &[Outcome]) -> Result<(), CliError> {
        for outcome in outcomes {
            let Some(failure) = outcome.failure() else { continue };
            let place = self.paint.faint(&format!("({})", outcome.folder.display()));
            let mut text = format!("\n{} {place}\n", self.paint.bold(&outcome.label));
            for fault in &failure.faults {
                text.push_str(&self.fault(fault));
            }
            answer(&text)?;
        }
        Ok(())
    }

    fn fault(&self, fault: &Fault) -> String {
        let mut lines = vec![fault.headline()];
        match fault {
            Fault::Rows { difference, is_expected, .. } => {
                if *is_expected {
                    let (minus, plus) = ("- expected", "+ written");
                    let (minus, plus) = (self.paint.red(minus), self.paint.green(plus));
                    lines[0].push_str(&format!(" ({minus}, {plus})"));
                }
                lines.extend(difference.lines().iter().map(|line| self.paint.line(line)));
            }
            Fault::Refused(refusal) | Fault::OtherError { said: refusal, .. } => {
                lines.extend(refusal.text.trim_end().lines().map(str::to_owned));
            }
            Fault::Disagreement { how, .. } => {
                lines.extend(how.trim_end().lines().map(str::to_owned));
            }
            Fault::Broken(_) | Fault::Count { .. } | Fault::Ran => {}
        }
        lines.iter().map(|line| format!("  {line}\n")).collect()
    }

    pub fn blessed(&self, outcome: &Outcome, blessed: bool) -> Result<(), CliError> {
        let (label, folder) = (&outcome.label, outcome.folder.display());
        answer(&if blessed {
            format!("\n{} {label}: {folder} expects this now\n", self.paint.yellow("blessed"))
        } else {
            format!(
                "\n{} {label}: there is nothing it could expect\n",
                self.paint.red("not blessed")
            )
        })
    }

    pub fn untested(&self, queries: &[PathBuf]) -> Result<(), CliError> {
        let mut text = String::new();
        for query in queries {
            let stem = query.file_stem().unwrap_or_default().to_string_lossy();
            let cases = query.with_file_name("cases").join(stem.as_ref());
            let warning = self.paint.yellow("warning");
            let (query, cases) = (query.display(), cases.display());
            text.push_str(&format!("\n{warning}: {query} has no case in {cases}/"));
        }
        if text.is_empty() { Ok(()) } else { answer(&format!("{text}\n")) }
    }

    pub fn summary(
        &self,
        outcomes: &[Outcome],
        untested: usize,
        took: Duration,
    ) -> Result<(), CliError> {
        let count =
            |wanted: fn(&Outcome) -> bool| outcomes.iter().filter(|o| wanted(o)).count();
        let failed = count(|o| o.failure().is_some() && !o.blessed);
        let not_run = count(Outcome::was_stopped);
        let passed = count(|o| matches!(o.verdict, Verdict::Passed));
        let paint = self.paint;
        let parts = [
            (failed, "failed", paint.red(&format!("{failed} failed"))),
            (passed, "passed", paint.green(&format!("{passed} passed"))),
            (count(|o| o.blessed), "blessed", String::new()),
            (not_run, "not run", String::new()),
            (untested, "without a case", String::new()),
        ];
        let some = parts.into_iter().filter(|(count, what, _)| *count > 0 || *what == "passed");
        let texts: Vec<String> = some
            .map(|(count, what, painted)| match painted.is_empty() {
                true => paint.yellow(&format!("{count} {what}")),
                false => painted,
            })
            .collect();
        let mut text = format!("\n{} in {:.2} s\n", texts.join(", "), took.as_secs_f64());
        let blessable =
            |o: &&Outcome| o.failure().is_some_and(|f| f.found.is_some()) && !o.blessed;
        if let Some(first) = outcomes.iter().find(blessable) {
            let folder = first.folder.display();
            let hint = format!("if that is right: turnstile test {folder} --bless\n");
            text.push_str(&paint.faint(&hint));
        }
        answer(&text)
    }
}
