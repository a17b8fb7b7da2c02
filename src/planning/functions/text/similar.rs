//! SIMILAR TO: SQL's regular expressions, which match a whole string.
//!
//! Besides `%` and `_` they have `|`, `*`, `+`, `?`, `{m,n}`, parentheses and
//! brackets with classes such as `[:ALPHA:]`. In Flink a dot is any character,
//! too; neither it nor `_` is the end of a line.
//!
//! Source: Flink's `SqlLikeUtils`, after Calcite's `Like`.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DataFusionError, Result};
use datafusion::logical_expr::ScalarUDF;
use regex::Regex;

use super::super::function::{Function, Parameter};

use Parameter::Text;

/// What an escape character may stand before, apart from itself.
const SPECIAL: &str = "[]()|^-+*_%?{}";
/// Any character that does not end a line.
const ANY: &str = r"[^\n\r\u{85}\u{2028}\u{2029}]";
const CLASSES: &[(&str, &str)] = &[
    ("[:ALPHA:]", "a-zA-Z"),
    ("[:UPPER:]", "A-Z"),
    ("[:LOWER:]", "a-z"),
    ("[:DIGIT:]", "0-9"),
    ("[:SPACE:]", " "),
    ("[:WHITESPACE:]", r" \t\n\x0B\f\r"),
    ("[:ALNUM:]", "a-zA-Z0-9"),
];

/// `SIMILAR TO` a pattern that is the same for all rows.
///
/// # Errors
/// The pattern is wrong.
pub(crate) fn similar_to(pattern: &str, escape: Option<char>) -> Result<Arc<ScalarUDF>> {
    let regex = compiled(pattern, escape)?;
    let detail = regex.as_str().to_owned();
    let function = Function::new("similar_to", &[Text, Text], DataType::Boolean, move |args| {
        let texts = args.texts(0)?;
        Ok(args.collect_booleans(|row| Some(regex.is_match(texts.get(row)?))))
    });
    Ok(function.detail(&detail).udf())
}

/// `SIMILAR TO` with a pattern per row.
pub(crate) fn similar_to_each(escape: Option<char>) -> Arc<ScalarUDF> {
    let function = Function::new("similar_to", &[Text, Text], DataType::Boolean, move |args| {
        let (texts, patterns) = (args.texts(0)?, args.texts(1)?);
        let mut last: Option<(&str, Regex)> = None;
        let mut found = Vec::with_capacity(args.rows);
        for row in 0..args.rows {
            let (Some(text), Some(pattern)) = (texts.get(row), patterns.get(row)) else {
                found.push(None);
                continue;
            };
            let regex = match last.take() {
                Some((same, regex)) if same == pattern => regex,
                _ => compiled(pattern, escape)?,
            };
            found.push(Some(regex.is_match(text)));
            last = Some((pattern, regex));
        }
        Ok(args.collect_booleans(|row| found[row]))
    });
    function.detail(&format!("each {escape:?}")).udf()
}

fn compiled(pattern: &str, escape: Option<char>) -> Result<Regex> {
    let wrong =
        |why: &str| DataFusionError::Plan(format!("the SIMILAR TO pattern '{pattern}' {why}"));
    let translated = translated(pattern, escape).map_err(wrong)?;
    Regex::new(&translated).map_err(|_| wrong("is no regular expression"))
}

/// The pattern as a regular expression of a whole text.
fn translated(pattern: &str, escape: Option<char>) -> Result<String, &'static str> {
    let mut out = String::with_capacity(pattern.len() + 16);
    out.push_str(r"\A(?:");
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        match letter {
            letter if Some(letter) == escape => rest = escaped(rest, letter, &mut out)?,
            '_' | '.' => out.push_str(ANY),
            '%' => out.push_str("(?s:.*)"),
            '[' => rest = bracket(rest, escape, &mut out)?,
            ']' => return Err("has a `]` without a `[`"),
            '\\' | '$' => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    out.push_str(r")\z");
    Ok(out)
}

/// What follows an escape character, to the letter.
fn escaped<'t>(rest: &'t str, escape: char, out: &mut String) -> Result<&'t str, &'static str> {
    let next = rest.chars().next().ok_or("ends in its escape character")?;
    if !SPECIAL.contains(next) && next != escape {
        return Err("escapes a character that means nothing special");
    }
    out.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
    Ok(&rest[next.len_utf8()..])
}

/// What follows a `[`, up to its `]`.
fn bracket<'t>(
    mut rest: &'t str,
    escape: Option<char>,
    out: &mut String,
) -> Result<&'t str, &'static str> {
    out.push('[');
    while let Some(letter) = rest.chars().next() {
        if letter == '[' {
            let (class, after) = class(rest).ok_or("has an unknown class in brackets")?;
            out.push_str(class);
            rest = after;
            continue;
        }
        rest = &rest[letter.len_utf8()..];
        match letter {
            ']' => {
                out.push(']');
                return Ok(rest);
            }
            letter if Some(letter) == escape => rest = escaped(rest, letter, out)?,
            '-' | '^' => out.push(letter),
            letter if SPECIAL.contains(letter) => {
                return Err("has a special character in brackets, which needs an ESCAPE");
            }
            '\\' | '~' | '&' => out.extend(['\\', letter]),
            letter => out.push(letter),
        }
    }
    Err("has a `[` that is not closed")
}

/// The class at the beginning of `text`, in capitals or small letters.
fn class(text: &str) -> Option<(&'static str, &str)> {
    CLASSES.iter().find_map(|(name, class)| {
        let small = name.to_ascii_lowercase();
        let after = text.strip_prefix(name).or_else(|| text.strip_prefix(&small))?;
        Some((*class, after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_similar(text: &str, pattern: &str, escape: Option<char>) -> bool {
        compiled(pattern, escape).expect("a pattern").is_match(text)
    }

    /// From Calcite's `SqlOperatorTest` and Flink's `SqlExpressionTest`.
    #[test]
    fn patterns_match_a_whole_text() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "A", false),
            ("a", "a_", false),
            ("a", "%a%", true),
            ("ab", "a_", true),
            ("abc", "a_", false),
            ("abcd", "_d", false),
            ("ab\ncd\nef", "%cd%", true),
            ("ab\ncd\nef", "%cde%", false),
            ("\n", "_", false),
            ("acd", "ab*c+d", true),
            ("abcccd", "ab*c+d", true),
            ("abd", "ab*c+d", false),
            ("aabc", "ab*c+d", false),
            ("xababcy", "x(ab|c)*y", true),
            ("xbcy", "x(ab|c)*y", false),
            ("xy", "x(ab|c)+y", false),
            ("123aXYZ", "_%_a%_", true),
            ("bdd", "[ab][bcde]d", true),
            ("abd", "[ab]d", false),
            ("cd", "[a-e]d", true),
            ("fred", "amy|fred", true),
            ("freda", "amy|fred", false),
            ("mike", "amy|fred", false),
            ("abbb", "a(b{3})", true),
            ("abb", "a(b{3})", false),
            ("abbbbb", "ab{3,6}", true),
            ("abbbbbbbb", "ab{3,6}", false),
            ("", "ab?", false),
            ("abb", "ab?", false),
            ("TEST", ".EST", true),
            ("a$b", "a$b", true),
            (r"a\d", r"a\d", true),
            ("a1", r"a\d", false),
        ] {
            assert_eq!(is_similar(text, pattern, None), expected, "{text:?} {pattern}");
        }
    }

    #[test]
    fn classes_stand_in_brackets() {
        for (text, pattern, expected) in [
            ("z", "[[:ALPHA:]]", true),
            ("1", "[[:alpha:]]", false),
            ("é", "[[:ALPHA:]]", false),
            ("1", "[[:ALPHA:][:DIGIT:]]", true),
            ("x1", "[[:lower:]][[:ALNUM:]]", true),
            ("1", "[^[:DIGIT:]]", false),
            ("c", "[^a-b]", true),
            ("\t", "[[:SPACE:]]", false),
            ("\t", "[[:WHITESPACE:]]", true),
        ] {
            assert_eq!(is_similar(text, pattern, None), expected, "{text:?} {pattern}");
        }
    }

    #[test]
    fn an_escape_makes_a_special_character_plain() {
        for (text, pattern, expected) in [
            ("ab", r"a\_", false),
            ("a_", r"a\_", true),
            ("a%", r"a\%", true),
            (r"a\", r"a\\", true),
            ("]", r"[\]]", true),
            ("(", r"\(", true),
        ] {
            assert_eq!(is_similar(text, pattern, Some('\\')), expected, "{text} {pattern}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for (pattern, why) in [
            ("a]", "without a `[`"),
            ("[a", "not closed"),
            ("[a%]", "special character in brackets"),
            ("[[:blue:]]", "unknown class"),
            ("a!", "ends in its escape"),
            ("!a", "nothing special"),
            ("(a", "no regular expression"),
        ] {
            let error = compiled(pattern, Some('!')).expect_err(pattern).to_string();
            assert!(error.contains(why), "{pattern}: {error}");
        }
    }
}
