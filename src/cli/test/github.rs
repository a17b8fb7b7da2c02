//! Annotations that GitHub shows beside the lines of a pull request.
//!
//! Source: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>

use std::path::{Path, PathBuf};

use super::super::{CliError, answer};
use super::runner::Outcome;
use crate::cases::Fault;

pub fn annotate(outcomes: &[Outcome], untested: &[PathBuf]) -> Result<(), CliError> {
    let mut text = String::new();
    for outcome in outcomes.iter().filter(|outcome| !outcome.blessed) {
        for fault in outcome.failure().iter().flat_map(|failure| &failure.faults) {
            let (file, line) = place(outcome, fault);
            text.push_str(&command("error", &file, line, &outcome.label, &fault.to_string()));
        }
    }
    for query in untested {
        text.push_str(&command("warning", query, None, "no case", "this query has no case"));
    }
    answer(&text)
}

/// What to mend, most likely.
fn place(outcome: &Outcome, fault: &Fault) -> (PathBuf, Option<usize>) {
    let query = outcome.query().to_owned();
    match fault {
        Fault::Rows { file, is_expected: true, .. } => (file.clone(), Some(1)),
        Fault::Count { .. } => (outcome.folder.join("expected.toml"), Some(1)),
        Fault::Refused(refusal) | Fault::OtherError { said: refusal, .. } => {
            (query, refusal.line)
        }
        _ => (query, None),
    }
}

fn command(kind: &str, file: &Path, line: Option<usize>, title: &str, message: &str) -> String {
    let file = property(&file.display().to_string());
    let line = line.map(|line| format!(",line={line}")).unwrap_or_default();
    format!(
        "::{kind} file={file}{line},title={}::{}\n",
        property(title),
        data(message.trim_end())
    )
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_one_line() {
        let text = command("error", Path::new("a,b.sql"), Some(3), "x: y", "100 %\nno\n");
        assert_eq!(text, "::error file=a%2Cb.sql,line=3,title=x%3A y::100 %25%0Ano\n");
    }
}
