//! The regular expressions of SIMILAR TO.
//!
//! `%` is any text and `_` any character; `|`, `*`, `+`, `?`, `{m,n}`, `(…)` and
//! `[…]` mean what they mean elsewhere, and in brackets `[:ALPHA:]` and its like
//! are classes. Everything else is itself.
//!
//! Source: ISO/IEC 9075-2, 8.6; Calcite's `Like.sqlToRegexSimilar`.

/// SQL's classes, and their characters as in a regular expression.
const CLASSES: &[(&str, &str)] = &[
    ("[:ALPHA:]", r"\p{Alphabetic}"),
    ("[:UPPER:]", r"\p{Uppercase}"),
    ("[:LOWER:]", r"\p{Lowercase}"),
    ("[:DIGIT:]", r"0-9"),
    ("[:ALNUM:]", r"\p{Alphabetic}0-9"),
    ("[:SPACE:]", r" "),
    ("[:WHITESPACE:]", r"\s"),
];

/// The pattern as a regular expression of the `regex` crate, for the whole text.
///
/// # Errors
/// What is wrong with the pattern.
pub(super) fn expression(pattern: &str, escape: Option<char>) -> Result<String, String> {
    let mut out = String::from("(?s)^(?:");
    let mut rest = pattern.char_indices().peekable();
    while let Some((at, letter)) = rest.next() {
        if Some(letter) == escape {
            let (_, escaped) = rest.next().ok_or("it ends with the escape character")?;
            literal(&mut out, escaped);
            continue;
        }
        match letter {
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '|' | '*' | '+' | '?' | '(' | ')' | '{' | '}' => out.push(letter),
            '[' => {
                let end = bracket(&pattern[at..], escape, &mut out)?;
                while rest.peek().is_some_and(|(next, _)| *next < at + end) {
                    rest.next();
                }
            }
            other => literal(&mut out, other),
        }
    }
    out.push_str(")$");
    Ok(out)
}

/// Writes the class at the beginning of `text`; gives its length.
fn bracket(text: &str, escape: Option<char>, out: &mut String) -> Result<usize, String> {
    out.push('[');
    let mut at = 1;
    let mut is_first = true;
    while let Some(letter) = text[at..].chars().next() {
        if let Some((name, class)) =
            CLASSES.iter().find(|(name, _)| text[at..].to_uppercase().starts_with(name))
        {
            out.push_str(class);
            at += name.len();
        } else if letter == ']' && !is_first {
            out.push(']');
            return Ok(at + 1);
        } else {
            at += letter.len_utf8();
            match letter {
                '^' if is_first => {
                    out.push('^');
                    continue;
                }
                '-' => out.push('-'),
                letter if Some(letter) == escape => {
                    let escaped = text[at..].chars().next();
                    let escaped = escaped.ok_or("it ends with the escape character")?;
                    literal(out, escaped);
                    at += escaped.len_utf8();
                }
                letter => literal(out, letter),
            }
        }
        is_first = false;
    }
    Err("a [ is never closed".to_owned())
}

fn literal(out: &mut String, letter: char) {
    out.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Calcite's SqlOperatorTest, `testSimilarToOperator`.
    #[test]
    fn texts_are_matched_as_sql_says() {
        for (text, pattern, expected) in [
            ("", "", true),
            ("a", "a", true),
            ("a", "b", false),
            ("a", "A", false),
            ("a", "a_", false),
            ("a", "_a", false),
            ("a", "%a", true),
            ("a", "%a%", true),
            ("a", "a%", true),
            ("ab", "a_", true),
            ("abc", "a_", false),
            ("abcd", "a%", true),
            ("ab", "_b", true),
            ("abcd", "_d", false),
            ("abcd", "%d", true),
            ("ab\ncd\nef", "%cd%", true),
            ("abbc", "ab{2}c", true),
            ("abc", "ab{2}c", false),
            ("ab", "ab*", true),
            ("cd", "(ab|cd)", true),
            ("a.c", "a.c", true),
            ("abc", "a.c", false),
            ("acbd", "[abc]{2,3}%d", true),
            ("y", "x?y", true),
            ("x", "[^x-z]", false),
            ("a1", "[[:ALPHA:]][[:DIGIT:]]", true),
            ("11", "[[:alpha:]][[:digit:]]", false),
            ("a", "[a-b]", true),
            ("-", "[-a]", true),
        ] {
            let made = regex::Regex::new(&expression(pattern, None).expect("a pattern"));
            let matches = made.expect("an expression").is_match(text);
            assert_eq!(matches, expected, "{text:?} SIMILAR TO {pattern:?}");
        }
        let escaped = expression("100!%", Some('!')).expect("a pattern");
        assert_eq!(escaped, "(?s)^(?:100%)$");
        assert!(expression("[a", None).is_err() && expression("a!", Some('!')).is_err());
    }
}
