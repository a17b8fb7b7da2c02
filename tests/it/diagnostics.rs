//! What the author of a script reads: every entry of `tests/diagnostics` is
//! checked as `turnstile check` does, and all that it says is compared.
//!
//! `BLESS=1` writes down what is said now. Read it as an author would.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use turnstile::cli;
use turnstile::diagnostics::SourceFile;

use super::support::root;

/// Begins an entry, with its name behind it.
const ENTRY: &str = "=== ";
/// Stands between a script and what is said of it.
const SAYS: &str = "---";

/// Words that are ours or a library's, and mean nothing to an author.
const NOT_FOR_AUTHORS: &[&str] = &[
    "DataFusion",
    "Arrow",
    "plan_err",
    "UDF",
    "physical",
    "Utf8",
    "Int8",
    "Int16",
    "Int32",
    "Int64",
    "UInt",
    "Float32",
    "Float64",
    "Decimal128",
    "Struct(",
    "List(",
    "Map(",
    "Timestamp(",
    "Interval(",
    "__",
    "This feature",
    "internal",
];

/// A file of entries.
struct Table {
    path: PathBuf,
    /// What stands before the first entry.
    head: String,
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    script: String,
    expected: String,
}

impl Table {
    fn read(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap();
        let (head, entries) = text.split_once(&format!("\n{ENTRY}")).unwrap();
        let entries = entries.split(&format!("\n{ENTRY}")).map(Entry::read).collect();
        Self { head: head.trim_end().to_owned(), entries, path }
    }

    fn write(&self, said: &[String]) {
        let mut text = format!("{}\n", self.head);
        for (entry, said) in self.entries.iter().zip(said) {
            let Entry { name, script, .. } = entry;
            let _ = write!(text, "\n{ENTRY}{name}\n{script}\n{SAYS}\n{said}\n");
        }
        std::fs::write(&self.path, text).unwrap();
    }
}

impl Entry {
    fn read(text: &str) -> Self {
        let (name, rest) = text.split_once('\n').unwrap();
        let (script, expected) = rest
            .split_once(&format!("\n{SAYS}\n"))
            .unwrap_or_else(|| (rest.trim_end().trim_end_matches(SAYS), ""));
        Self {
            name: name.trim().to_owned(),
            script: script.trim_end().to_owned(),
            expected: expected.trim_end().to_owned(),
        }
    }

    /// What is said of the script behind `prelude`, which is one line.
    fn says(&self, prelude: &str) -> String {
        let text = format!("{prelude}\n{}\n", self.script);
        cli::check(&SourceFile { name: "q.sql".into(), text: text.into() })
            .trim_end()
            .to_owned()
    }

    /// What is wrong with what is `said`, whatever is expected.
    fn fault(&self, said: &str) -> Option<String> {
        if said.is_empty() {
            return Some("nothing is said".to_owned());
        }
        let words = NOT_FOR_AUTHORS
            .iter()
            .find(|word| said.contains(**word) && !self.script.contains(**word));
        words.map(|word| format!("`{word}` is no word for authors"))
    }
}

fn tables() -> Vec<Table> {
    let folder = root().join("tests/diagnostics");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> =
        files.filter(|path| path.extension() == Some("txt".as_ref())).collect();
    files.sort();
    files.into_iter().map(Table::read).collect()
}

/// The tables that every script may use, in one line.
fn prelude() -> String {
    let text = std::fs::read_to_string(root().join("tests/diagnostics/prelude.sql")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("--"));
    lines.collect::<Vec<_>>().join(" ")
}

/// What is said of every entry, on all cores.
fn all_said(entries: &[&Entry]) -> Vec<String> {
    let prelude = prelude();
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut said = std::thread::scope(|scope| {
        let work = || {
            let mine = std::iter::from_fn(|| {
                let at = next.fetch_add(1, Ordering::Relaxed);
                Some((at, entries.get(at)?.says(&prelude)))
            });
            mine.collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    said.sort();
    said.into_iter().map(|(_, said)| said).collect()
}

/// The lines of both, those of only one marked.
fn difference(expected: &str, said: &str) -> String {
    let mut out = String::new();
    let mut rest: Vec<&str> = said.lines().collect();
    for line in expected.lines() {
        match rest.iter().position(|other| *other == line) {
            Some(at) => {
                rest.drain(..at).for_each(|new| out.push_str(&format!("  + {new}\n")));
                rest.remove(0);
                out.push_str(&format!("    {line}\n"));
            }
            None => out.push_str(&format!("  - {line}\n")),
        }
    }
    rest.iter().for_each(|new| out.push_str(&format!("  + {new}\n")));
    out
}

#[test]
fn diagnostics_are_what_their_tables_say() {
    let tables = tables();
    let entries: Vec<&Entry> = tables.iter().flat_map(|table| &table.entries).collect();
    let said = all_said(&entries);
    let mut faults = String::new();
    let mut rest = said.as_slice();
    for table in &tables {
        let (here, others) = rest.split_at(table.entries.len());
        rest = others;
        if std::env::var_os("BLESS").is_some() {
            table.write(here);
            continue;
        }
        let file = table.path.file_name().unwrap().to_string_lossy();
        for (entry, said) in table.entries.iter().zip(here) {
            let mut names = table.entries.iter().map(|e| &e.name);
            let twice = names.by_ref().filter(|name| **name == entry.name).count() > 1;
            let fault =
                entry.fault(said).or_else(|| twice.then(|| "a name given twice".into()));
            if let Some(fault) = fault {
                let _ = writeln!(faults, "{file}: {}: {fault}\n{said}\n", entry.name);
            } else if *said != entry.expected {
                let difference = difference(&entry.expected, said);
                let _ =
                    writeln!(faults, "{file}: {}\n{}\n{difference}", entry.name, entry.script);
            }
        }
    }
    assert!(
        faults.is_empty(),
        "\n{faults}if that is right: BLESS=1 cargo test --test it diagnostics"
    );
}
