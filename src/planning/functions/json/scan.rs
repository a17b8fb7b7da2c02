//! Finds values in the text of a JSON document without building it.
//!
//! The document is checked as a whole first; then the way down trusts it.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::path::{Path, Step};

/// A value in a document: its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'t> {
    Null,
    /// `true`, `false` or a number.
    Plain(&'t str),
    /// With its quotes and escapes.
    Quoted(&'t str),
    Object(&'t str),
    Array(&'t str),
}

/// The values that `path` leads to; `None` if the text is no JSON.
pub(super) fn find<'t>(text: &'t str, path: &Path) -> Option<Vec<Found<'t>>> {
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    let mut found = vec![value(text.trim_matches(WHITE))];
    for step in &path.steps {
        found = found.iter().flat_map(|value| down(*value, step)).collect();
    }
    Some(found)
}

const WHITE: [char; 4] = [' ', '\n', '\r', '\t'];

fn value(text: &str) -> Found<'_> {
    match text.as_bytes().first() {
        Some(b'{') => Found::Object(text),
        Some(b'[') => Found::Array(text),
        Some(b'"') => Found::Quoted(text),
        Some(b'n') => Found::Null,
        _ => Found::Plain(text),
    }
}

fn down<'t>(from: Found<'t>, step: &Step) -> Vec<Found<'t>> {
    match (from, step) {
        (Found::Object(text), Step::Name(name)) => {
            // Of fields with the same name the last one counts.
            let same = fields(text).filter(|(key, _)| unquoted(key) == *name);
            same.last().map(|(_, value)| value).into_iter().collect()
        }
        (Found::Object(text), Step::All) => fields(text).map(|(_, value)| value).collect(),
        (Found::Array(text), Step::All) => elements(text).collect(),
        (Found::Array(text), Step::Index(index)) => {
            let at = usize::try_from(*index).ok().or_else(|| {
                let count = elements(text).count();
                count.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)
            });
            at.and_then(|at| elements(text).nth(at)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

/// The values between brackets, or keys and values between braces, in order.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = &text[1..text.len() - 1];
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\n', '\r', '\t', ',', ':']);
        if rest.is_empty() {
            return None;
        }
        let (part, after) = rest.split_at(length(rest.as_bytes()));
        rest = after;
        Some(part)
    })
}

fn elements(text: &str) -> impl Iterator<Item = Found<'_>> {
    parts(text).map(value)
}

fn fields(text: &str) -> impl Iterator<Item = (&str, Found<'_>)> {
    let mut parts = parts(text);
    std::iter::from_fn(move || Some((parts.next()?, value(parts.next()?))))
}

/// The fields of an object, each by its name and the text of its value.
pub(super) fn named_values(object: &str) -> impl Iterator<Item = (String, String)> {
    let mut parts = parts(object);
    std::iter::from_fn(move || Some((unquoted(parts.next()?), parts.next()?.to_owned())))
}

/// How many bytes the value at the beginning takes.
fn length(bytes: &[u8]) -> usize {
    let mut depth = 0usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at += string_length(&bytes[at..]);
                if depth == 0 {
                    return at;
                }
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => return at + usize::from(depth == 1),
            b'}' | b']' => depth -= 1,
            b',' | b' ' | b'\n' | b'\r' | b'\t' if depth == 0 => return at,
            _ => {}
        }
        at += 1;
    }
    at
}

fn string_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

fn unquoted(text: &str) -> String {
    serde_json::from_str(text).unwrap_or_default()
}

/// The string as JSON, as Java's libraries escape it.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control if control < ' ' => {
                out.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

impl Found<'_> {
    pub(super) fn is_scalar(&self) -> bool {
        !matches!(self, Found::Object(_) | Found::Array(_))
    }

    /// A scalar's text; a number as a `BigDecimal` prints itself.
    pub(super) fn scalar(&self) -> Option<String> {
        match self {
            Found::Plain(text) => Some(number(text)),
            Found::Quoted(text) => Some(unquoted(text)),
            Found::Null | Found::Object(_) | Found::Array(_) => None,
        }
    }

    /// The value as JSON without spaces, fields sorted by their names.
    pub(super) fn compact(&self) -> String {
        match self {
            Found::Null => "null".to_owned(),
            Found::Plain(text) => number(text),
            Found::Quoted(text) => quoted(&unquoted(text)),
            Found::Array(text) => {
                let all = elements(text).map(|value| value.compact()).collect::<Vec<_>>();
                format!("[{}]", all.join(","))
            }
            Found::Object(text) => {
                let sorted: BTreeMap<String, String> =
                    fields(text).map(|(key, value)| (unquoted(key), value.compact())).collect();
                let all = sorted.iter().map(|(key, value)| format!("{}:{value}", quoted(key)));
                format!("{{{}}}", all.collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// A number as `BigDecimal.toString` prints it, an integer as it is.
pub(super) fn number(text: &str) -> String {
    if !text.contains(['.', 'e', 'E']) {
        return text.to_owned();
    }
    big_decimal(text).unwrap_or_else(|| text.to_owned())
}

/// `1e3` is `1E+3`, `0.0000001` is `1E-7`, `-0.0` is `0.0`.
fn big_decimal(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        significant => significant,
    };
    let scale = (fraction.len() as i64).checked_sub(exponent.parse().ok()?)?;
    let sign = if negative && digits != "0" { "-" } else { "" };
    let adjusted = (digits.len() as i64 - 1).checked_sub(scale)?;
    if scale < 0 || adjusted < -6 {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        let exponent = if adjusted == 0 { String::new() } else { format!("E{adjusted:+}") };
        return Some(format!("{sign}{first}{point}{rest}{exponent}"));
    }
    let scale = scale as usize;
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let point = if scale == 0 { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(document: &str, path: &str) -> Option<Vec<String>> {
        let path = Path::parse(path).expect("a path");
        Some(find(document, &path)?.iter().map(Found::compact).collect())
    }

    #[test]
    fn numbers_print_as_big_decimals() {
        for (text, expected) in [
            ("12", "12"),
            ("12.50", "12.50"),
            ("1e3", "1E+3"),
            ("1.0E2", "1.0E+2"),
            ("-0.0", "0.0"),
            ("-0.05", "-0.05"),
            ("0.0000001", "1E-7"),
            ("1E400", "1E+400"),
            ("0.1234567890123456789", "0.1234567890123456789"),
        ] {
            assert_eq!(number(text), expected);
        }
    }

    #[test]
    fn values_are_found_where_the_path_leads() {
        let document =
            r#" {"b": {"c": 2.50, "a": [1, "x,]\"", {"d": null}]}, "a": true, "é": "\u00e9"} "#;
        for (path, expected) in [
            ("$.a", vec!["true"]),
            ("$.b.c", vec!["2.50"]),
            ("$.b.a[0]", vec!["1"]),
            ("$.b.a[1]", vec![r#""x,]\"""#]),
            ("$.b.a[-1].d", vec!["null"]),
            ("$.b.a[3]", vec![]),
            ("$.b.a.x", vec![]),
            ("$['é']", vec!["\"é\""]),
            ("$.b", vec![r#"{"a":[1,"x,]\"",{"d":null}],"c":2.50}"#]),
            ("$.b.a[*]", vec!["1", r#""x,]\"""#, r#"{"d":null}"#]),
        ] {
            let expected = expected.into_iter().map(str::to_owned).collect::<Vec<_>>();
            assert_eq!(at(document, path), Some(expected), "{path}");
        }
        assert_eq!(at("{", "$"), None);
        assert_eq!(at("[]", "$[*]"), Some(vec![]));
        assert_eq!(at(r#"{"a":1,"a":2}"#, "$.a"), Some(vec!["2".to_owned()]));
    }
}
