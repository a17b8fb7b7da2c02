//! The options of a table, `WITH ('key' = 'value', …)`, read by whoever owns
//! them and refused when nobody does.
//!
//! A connector takes what it knows from an [`Options`]; what is left at
//! [`Options::finish`] is unknown and becomes a diagnostic with "did you mean".
//! Keys, defaults and value syntax are Flink's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::diagnostics::{Diagnostic, Span, Spanned};

/// A table's options, with the places they were read from.
#[derive(Debug, Clone, Default)]
pub struct Options {
    entries: BTreeMap<String, Entry>,
    known: BTreeSet<String>,
    /// Where the `WITH` clause or the table's name is, for what is missing.
    pub table_span: Span,
    pub errors: Vec<Diagnostic>,
}

#[derive(Debug, Clone)]
struct Entry {
    key_span: Span,
    value: Spanned<String>,
    taken: bool,
}

impl Options {
    /// A key given twice is an error; the first one stays.
    pub fn new(
        table_span: Span,
        entries: impl IntoIterator<Item = (Spanned<String>, Spanned<String>)>,
    ) -> Self {
        let mut options = Options { table_span, ..Self::default() };
        for (key, value) in entries {
            if options.entries.contains_key(&key.value) {
                let message = format!("option `{}` is given twice", key.value);
                options.errors.push(Diagnostic::error(message).at(key.span));
                continue;
            }
            let entry = Entry { key_span: key.span, value, taken: false };
            options.entries.insert(key.value, entry);
        }
        options
    }

    /// The same options with `key` set to `value`, at the table's place.
    pub fn with(mut self, key: &str, value: String) -> Self {
        let entry = Entry {
            key_span: self.table_span,
            value: Spanned::new(value, self.table_span),
            taken: false,
        };
        self.entries.insert(key.to_owned(), entry);
        self
    }

    /// The value of `key` as text, with its place.
    pub fn take(&mut self, key: &str) -> Option<Spanned<String>> {
        self.known.insert(key.to_owned());
        let entry = self.entries.get_mut(key)?;
        entry.taken = true;
        Some(entry.value.clone())
    }

    /// Every option whose key starts with `prefix`, the prefix cut off.
    pub fn take_prefix(&mut self, prefix: &str) -> Vec<(Spanned<String>, Spanned<String>)> {
        let mut found = Vec::new();
        for (key, entry) in &mut self.entries {
            if let Some(rest) = key.strip_prefix(prefix) {
                entry.taken = true;
                let key = Spanned::new(rest.to_owned(), entry.key_span);
                found.push((key, entry.value.clone()));
            }
        }
        found
    }

    /// The value of `key`, or a diagnostic and `None` when it is absent.
    pub fn require(&mut self, key: &str) -> Option<Spanned<String>> {
        let value = self.take(key);
        if value.is_none() {
            let message = format!("option `{key}` is missing");
            let hint = format!("add '{key}' = '…' to the table's WITH (…)");
            self.errors.push(Diagnostic::error(message).at(self.table_span).hint(hint));
        }
        value
    }

    /// Parses the value of `key`; a failed parse becomes a diagnostic at the
    /// value that says what was `expected`.
    pub fn parse<T>(
        &mut self,
        key: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let parsed = parse(value.value.trim());
        if parsed.is_none() {
            let message = format!("option `{key}` cannot be `{}`", value.value);
            let diagnostic =
                Diagnostic::error(message).at(value.span).label(format!("expected {expected}"));
            self.errors.push(diagnostic);
        }
        parsed
    }

    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
        self.parse(key, "true or false", |v| v.to_lowercase().parse().ok()).unwrap_or(default)
    }

    pub fn duration(&mut self, key: &str) -> Option<Duration> {
        self.parse(key, "a duration such as `10 s` or `5 min`", parse_duration)
    }

    /// A number of bytes such as `128MB`.
    pub fn bytes(&mut self, key: &str) -> Option<u64> {
        self.parse(key, "a size such as `128MB`", parse_bytes)
    }

    /// Fails with what went wrong so far and with every option nobody took.
    /// `owner` names whose options these are, such as "connector `kafka`".
    pub fn finish(mut self, owner: &str) -> Result<(), Vec<Diagnostic>> {
        for (key, entry) in &self.entries {
            if !entry.taken {
                let diagnostic = Diagnostic::error(format!("unknown option `{key}`"))
                    .at(entry.key_span)
                    .label(format!("not an option of {owner}"))
                    .did_you_mean(key, self.known.iter().map(String::as_str));
                self.errors.push(diagnostic);
            }
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}

/// Flink's duration syntax: a number and a unit (`ms`, `s`, `min`, `h`, `d` and
/// their long forms); without a unit, milliseconds.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let nanos_per_unit: u64 = match text[digits..].trim().to_lowercase().as_str() {
        "ns" | "nano" | "nanosecond" | "nanoseconds" => 1,
        "µs" | "micro" | "microsecond" | "microseconds" => 1_000,
        "" | "ms" | "milli" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        _ => return None,
    };
    number.checked_mul(nanos_per_unit).map(Duration::from_nanos)
}

/// Flink's memory size syntax: a number and `b`, `kb`, `mb`, `gb` or `tb`
/// (powers of 1024); without a unit, bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok()?;
    let shift = match text[digits..].trim().to_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kibibytes" => 10,
        "m" | "mb" | "mebibytes" => 20,
        "g" | "gb" | "gibibytes" => 30,
        "t" | "tb" | "tebibytes" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_flink_reads_them() {
        assert_eq!(parse_duration("10 s"), Some(Duration::from_secs(10)));
        assert_eq!(parse_duration("5min"), Some(Duration::from_secs(300)));
        assert_eq!(parse_duration("250"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("ten"), None);
        assert_eq!(parse_bytes("128MB"), Some(128 << 20));
        assert_eq!(parse_bytes("7 parsecs"), None);
    }
}
