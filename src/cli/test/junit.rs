//! Results as JUnit XML, a suite per query file.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};

use super::super::CliError;
use super::runner::Outcome;
use crate::cases::{Failure, Fault};

pub fn write(path: &Path, outcomes: &[Outcome], took: Duration) -> Result<(), CliError> {
    let failed = |e: io::Error| CliError::World(format!("{}: {e}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let text = document(outcomes, took).map_err(failed)?;
    std::fs::write(path, text).map_err(failed)
}

fn document(outcomes: &[Outcome], took: Duration) -> io::Result<Vec<u8>> {
    let mut suites: BTreeMap<&Path, Vec<&Outcome>> = BTreeMap::new();
    for outcome in outcomes {
        suites.entry(outcome.query()).or_default().push(outcome);
    }
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let all: Vec<&Outcome> = outcomes.iter().collect();
    let root = with_counts(xml.create_element("testsuites"), "turnstile test", &all, took);
    root.write_inner_content(|xml| {
        for (query, cases) in &suites {
            let took = cases.iter().map(|case| case.took).sum();
            let name = query.display().to_string();
            let suite = with_counts(xml.create_element("testsuite"), &name, cases, took);
            suite.write_inner_content(|xml| {
                cases.iter().try_for_each(|case| write_case(xml, &name, case))
            })?;
        }
        Ok(())
    })?;
    Ok(xml.into_inner())
}

type Element<'a> = quick_xml::writer::ElementWriter<'a, Vec<u8>>;

fn with_counts<'a>(
    element: Element<'a>,
    name: &str,
    cases: &[&Outcome],
    took: Duration,
) -> Element<'a> {
    let count = |wanted: fn(&Outcome) -> bool| {
        cases.iter().filter(|case| wanted(case)).count().to_string()
    };
    element
        .with_attribute(("name", name))
        .with_attribute(("tests", cases.len().to_string().as_str()))
        .with_attribute(("failures", count(has_failed).as_str()))
        .with_attribute(("errors", "0"))
        .with_attribute(("skipped", count(Outcome::was_stopped).as_str()))
        .with_attribute(("time", seconds(took).as_str()))
}

fn has_failed(outcome: &Outcome) -> bool {
    outcome.failure().is_some() && !outcome.blessed
}

fn write_case(xml: &mut Writer<Vec<u8>>, query: &str, case: &Outcome) -> io::Result<()> {
    let element = xml
        .create_element("testcase")
        .with_attribute(("name", case.label.as_str()))
        .with_attribute(("classname", query))
        .with_attribute(("time", seconds(case.took).as_str()));
    match case.failure().filter(|_| has_failed(case)) {
        Some(failure) => {
            element.write_inner_content(|xml| write_failure(xml, failure))?;
        }
        None if case.was_stopped() => {
            element.write_inner_content(|xml| {
                xml.create_element("skipped").write_empty().map(|_| ())
            })?;
        }
        None => {
            element.write_empty()?;
        }
    }
    Ok(())
}

fn write_failure(xml: &mut Writer<Vec<u8>>, failure: &Failure) -> io::Result<()> {
    let headlines: Vec<String> = failure.faults.iter().map(Fault::headline).collect();
    let texts: Vec<String> = failure.faults.iter().map(Fault::to_string).collect();
    xml.create_element("failure")
        .with_attribute(("message", plain(&headlines.join("; ")).as_str()))
        .write_text_content(BytesText::new(&plain(&texts.join("\n"))))?;
    Ok(())
}

/// XML has no place for most control characters.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}
