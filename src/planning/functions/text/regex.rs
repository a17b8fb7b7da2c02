//! Functions of regular expressions.
//!
//! The engine never backtracks, so it knows neither look-around nor
//! back-references: a pattern with one is refused, with a message. `\d`, `\w`
//! and `\s` are ASCII's, as in Java.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;
use regex::{Match, Regex};

use super::super::arguments::{Arguments, Texts};
use super::super::arrays::list_of;
use super::super::function::{Function, Parameter};
use super::length;

use Parameter::{Integer, Text};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![
        regexp(),
        regexp_extract(),
        regexp_extract_all(),
        regexp_replace(),
        regexp_count(),
        regexp_instr(),
        regexp_substr(),
    ]
}

/// The expressions in a column: one that stays the same is compiled once.
struct Regexes {
    texts: Texts,
    last: Option<(String, Regex)>,
}

impl Regexes {
    fn new(args: &Arguments<'_>, at: usize) -> Result<Self> {
        Ok(Self { texts: args.texts(at)?, last: None })
    }

    fn get(&mut self, row: usize) -> Result<Option<&Regex>> {
        let Some(text) = self.texts.get(row) else { return Ok(None) };
        if self.last.as_ref().is_none_or(|(last, _)| last != text) {
            match Regex::new(&ascii_classes(text)) {
                Ok(regex) => self.last = Some((text.to_owned(), regex)),
                Err(error) => {
                    return exec_err!(
                        "the regular expression '{text}' cannot be used: {error}"
                    );
                }
            }
        }
        Ok(self.last.as_ref().map(|(_, regex)| regex))
    }
}

/// Java's classes are ASCII's unless asked otherwise.
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 16);
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            out.push(letter);
            continue;
        }
        match letters.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[0-9A-Za-z_]"),
            Some('W') => out.push_str("[^0-9A-Za-z_]"),
            Some('s') => out.push_str(r"[ \t\n\x0B\f\r]"),
            Some('S') => out.push_str(r"[^ \t\n\x0B\f\r]"),
            Some(other) => out.extend(['\\', other]),
            None => out.push('\\'),
        }
    }
    out
}

/// `REGEXP(s, pattern)`: the pattern is somewhere in the text; '' is nowhere.
fn regexp() -> Arc<ScalarUDF> {
    Function::new("regexp", &[Text, Text], DataType::Boolean, |args| {
        let texts = args.texts(0)?;
        let mut regexes = Regexes::new(args, 1)?;
        let mut found = Vec::with_capacity(args.rows);
        for row in 0..args.rows {
            let Some(text) = texts.get(row) else {
                found.push(None);
                continue;
            };
            let regex = regexes.get(row)?;
            found.push(regex.map(|r| !r.as_str().is_empty() && r.is_match(text)));
        }
        Ok(args.collect_booleans(|row| found[row]))
    })
    .udf()
}

/// A column of strings, each from the text and the expression of its row.
fn texts_by(
    args: &Arguments<'_>,
    mut write: impl FnMut(usize, &str, &Regex, &mut String) -> Option<()>,
) -> Result<ArrayRef> {
    let texts = args.texts(0)?;
    let mut regexes = Regexes::new(args, 1)?;
    let mut fault = None;
    let out = args.write_texts(|row, out| {
        let text = texts.get(row)?;
        match regexes.get(row) {
            Ok(regex) => write(row, text, regex?, out),
            Err(error) => {
                fault = Some(error);
                None
            }
        }
    });
    fault.map_or(Ok(out), Err)
}

/// `REGEXP_EXTRACT(s, pattern[, group])`: NULL if there is no match.
fn regexp_extract() -> Arc<ScalarUDF> {
    Function::new("regexp_extract", &[Text, Text, Integer], DataType::Utf8View, |args| {
        let groups = (args.len() > 2).then(|| args.integers(2)).transpose()?;
        texts_by(args, |row, text, regex, out| {
            let group = groups.as_ref().map_or(Some(0), |g| g.get(row))?;
            let found = if group == 0 {
                regex.find(text)?
            } else {
                regex.captures(text)?.get(usize::try_from(group).ok()?)?
            };
            out.push_str(found.as_str());
            Some(())
        })
    })
    .optional(1)
    .udf()
}

/// `REGEXP_EXTRACT_ALL(s, pattern[, group])`: the first group of each match
/// unless it is said; NULL if there is no such group.
fn regexp_extract_all() -> Arc<ScalarUDF> {
    let returns = list_of(&DataType::Utf8View);
    Function::new("regexp_extract_all", &[Text, Text, Integer], returns, |args| {
        let (texts, mut regexes) = (args.texts(0)?, Regexes::new(args, 1)?);
        let groups = (args.len() > 2).then(|| args.integers(2)).transpose()?;
        args.write_lists(|row, out| {
            let group = groups.as_ref().map_or(Some(1), |g| g.get(row));
            let (Some(text), Some(group)) = (texts.get(row), group) else { return Ok(None) };
            let Some(regex) = regexes.get(row)? else { return Ok(None) };
            let is_there = |group: &usize| *group < regex.captures_len();
            let Some(group) = usize::try_from(group).ok().filter(is_there) else {
                return Ok(None);
            };
            for found in finds(text, regex) {
                let captures = regex.captures_at(text, found.start());
                out.append_option(captures.and_then(|c| c.get(group)).map(|g| g.as_str()));
            }
            Ok(Some(()))
        })
    })
    .optional(1)
    .udf()
}

/// `REGEXP_REPLACE(s, pattern, replacement)`, the replacement to the letter.
fn regexp_replace() -> Arc<ScalarUDF> {
    Function::new("regexp_replace", &[Text, Text, Text], DataType::Utf8View, |args| {
        let replacements = args.texts(2)?;
        texts_by(args, |row, text, regex, out| {
            replace_all(text, regex, replacements.get(row)?, out);
            Some(())
        })
    })
    .udf()
}

/// What Java's `find` finds in turn: also the empty match right after another.
fn finds<'t>(text: &'t str, regex: &Regex) -> impl Iterator<Item = Match<'t>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let found = (at <= text.len()).then(|| regex.find_at(text, at)).flatten()?;
        at = found.end();
        if found.is_empty() {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
        Some(found)
    })
}

fn replace_all(text: &str, regex: &Regex, replacement: &str, out: &mut String) {
    let mut kept = 0;
    for found in finds(text, regex) {
        out.push_str(&text[kept..found.start()]);
        out.push_str(replacement);
        kept = found.end();
    }
    out.push_str(&text[kept..]);
}

fn integers_by(
    args: &Arguments<'_>,
    mut value: impl FnMut(&str, &Regex) -> i64,
) -> Result<ArrayRef> {
    let texts = args.texts(0)?;
    let mut regexes = Regexes::new(args, 1)?;
    let mut values = Vec::with_capacity(args.rows);
    for row in 0..args.rows {
        let Some(text) = texts.get(row) else {
            values.push(None);
            continue;
        };
        values.push(regexes.get(row)?.map(|regex| value(text, regex) as i32));
    }
    Ok(args.collect::<Int32Type>(|row| values[row]))
}

fn regexp_count() -> Arc<ScalarUDF> {
    Function::new("regexp_count", &[Text, Text], DataType::Int32, |args| {
        integers_by(args, |text, regex| finds(text, regex).count() as i64)
    })
    .udf()
}

/// Where the first match is, from 1; 0 if nowhere.
fn regexp_instr() -> Arc<ScalarUDF> {
    Function::new("regexp_instr", &[Text, Text], DataType::Int32, |args| {
        integers_by(args, |text, regex| {
            regex.find(text).map_or(0, |found| length(&text[..found.start()]) + 1)
        })
    })
    .udf()
}

fn regexp_substr() -> Arc<ScalarUDF> {
    Function::new("regexp_substr", &[Text, Text], DataType::Utf8View, |args| {
        texts_by(args, |_, text, regex, out| {
            out.push_str(regex.find(text)?.as_str());
            Some(())
        })
    })
    .udf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_matches_are_javas() {
        let replaced = |text: &str, pattern: &str| {
            let mut out = String::new();
            replace_all(text, &Regex::new(pattern).expect("a pattern"), "_", &mut out);
            out
        };
        assert_eq!(replaced("abc", "x*"), "_a_b_c_");
        assert_eq!(replaced("xab", "x*"), "__a_b_");
        assert_eq!(replaced("é", "x*"), "_é_");
        assert_eq!(replaced("a1b22", "[0-9]+"), "a_b_");
        assert_eq!(replaced("", "x*"), "_");
    }

    #[test]
    fn classes_are_asciis() {
        let regex = Regex::new(&ascii_classes(r"^\d[\w-]\\d$")).expect("a pattern");
        assert!(regex.is_match("1-\\d"));
        assert!(!regex.is_match("٣-\\d"));
    }
}
