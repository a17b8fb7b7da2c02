//! Settings of the configuration file: TOML, whose tables are the dots of the
//! keys.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{KEYS, known};
use crate::diagnostics::{Diagnostic, SourceFile, Span};

/// Reads a file.
///
/// # Errors
/// Why it cannot be read, or everything that is wrong in it, for a person.
pub fn read(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| format!("error: {name}: {e}"))?;
    parse(&text).map_err(|faults| {
        let file = SourceFile { name: name.into(), text: text.as_str().into() };
        faults.iter().map(|fault| fault.render(&file)).collect::<Vec<_>>().join("\n")
    })
}

/// The settings in a file's text.
///
/// # Errors
/// Everything that is wrong, each at its place.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>, Vec<Diagnostic>> {
    let table = DeTable::parse(text).map_err(|error| {
        let diagnostic = Diagnostic::error(format!("not TOML: {}", error.message()));
        vec![match error.span() {
            Some(range) => diagnostic.at(span(range)),
            None => diagnostic,
        }]
    })?;
    let mut reading = Reading { text, found: BTreeMap::new(), faults: Vec::new() };
    reading.table("", table.get_ref());
    reading.faults.sort_by_key(|fault| fault.span);
    if reading.faults.is_empty() { Ok(reading.found) } else { Err(reading.faults) }
}

fn span(range: Range<usize>) -> Span {
    Span::new(range.start, range.end)
}

struct Reading<'a> {
    text: &'a str,
    found: BTreeMap<String, String>,
    faults: Vec<Diagnostic>,
}

impl Reading<'_> {
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let key = format!("{prefix}{}", name.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => self.table(&format!("{key}."), inner),
                _ => self.entry(key, span(name.span()), value.get_ref(), span(value.span())),
            }
        }
    }

    fn entry(&mut self, key: String, at: Span, value: &DeValue<'_>, value_at: Span) {
        let Some(known) = known(&key) else {
            let names = KEYS.iter().map(|key| key.name);
            let fault = Diagnostic::error(format!("unknown setting `{key}`"))
                .at(at)
                .did_you_mean(&key, names)
                .hint("config/turnstile.toml lists every setting");
            self.faults.push(fault);
            return;
        };
        let text = match value {
            DeValue::String(text) => text.to_string(),
            // A number as it is written; every other value fits no key.
            _ => self.text[value_at.start..value_at.end].replace('_', ""),
        };
        if (known.fits)(&text) {
            self.found.insert(key, text);
        } else {
            let fault = Diagnostic::error(format!("`{key}` cannot be `{text}`"))
                .at(value_at)
                .label(format!("expected {}", known.expected));
            self.faults.push(fault);
        }
    }
}
