//! Java's `.properties` files: `name = value` lines, comments, continuation
//! lines and escapes, as `java.util.Properties.load` reads them.
//!
//! Keeps the place of every name and value, for diagnostics.

use std::iter::Peekable;
use std::str::CharIndices;

use crate::diagnostics::{Diagnostic, Span, Spanned};

/// A name and its value, in the order of the file.
pub type Pair = (Spanned<String>, Spanned<String>);

/// Reads a file's text.
///
/// # Errors
/// Every malformed `\u` escape, at its place.
pub fn parse(text: &str) -> Result<Vec<Pair>, Vec<Diagnostic>> {
    let mut reader = Reader { text, chars: text.char_indices().peekable(), errors: Vec::new() };
    let mut pairs = Vec::new();
    while reader.skip_to_name() {
        let name = reader.token(|c| matches!(c, '=' | ':') || is_blank(c));
        reader.skip_separator();
        let value = reader.token(|_| false);
        pairs.push((name, value));
    }
    if reader.errors.is_empty() { Ok(pairs) } else { Err(reader.errors) }
}

struct Reader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
    errors: Vec<Diagnostic>,
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

impl Reader<'_> {
    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    fn at(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    /// Goes past blank lines and comments; false at the end of the text.
    fn skip_to_name(&mut self) -> bool {
        loop {
            match self.peek() {
                None => return false,
                Some('#' | '!') => {
                    while self.chars.next_if(|(_, c)| !is_line_end(*c)).is_some() {}
                }
                Some(c) if is_blank(c) || is_line_end(c) => {
                    self.chars.next();
                }
                Some(_) => return true,
            }
        }
    }

    fn skip_blanks(&mut self) {
        loop {
            while self.chars.next_if(|(_, c)| is_blank(*c)).is_some() {}
            if !self.continues() {
                return;
            }
        }
    }

    /// Blanks, with at most one `=` or `:` among them.
    fn skip_separator(&mut self) {
        self.skip_blanks();
        if self.chars.next_if(|(_, c)| matches!(c, '=' | ':')).is_some() {
            self.skip_blanks();
        }
    }

    /// Takes a backslash at the end of a line, with the next line's indent.
    fn continues(&mut self) -> bool {
        let mut ahead = self.chars.clone();
        if ahead.next().is_none_or(|(_, c)| c != '\\') {
            return false;
        }
        let Some((_, end)) = ahead.next() else { return false };
        if !is_line_end(end) {
            return false;
        }
        if end == '\r' {
            ahead.next_if(|(_, c)| *c == '\n');
        }
        while ahead.next_if(|(_, c)| is_blank(*c)).is_some() {}
        self.chars = ahead;
        true
    }

    /// Text up to the end of the logical line, or to what `ends` it.
    fn token(&mut self, ends: impl Fn(char) -> bool) -> Spanned<String> {
        let start = self.at();
        let mut text = String::new();
        loop {
            if self.continues() {
                continue;
            }
            let Some(c) = self.peek() else { break };
            if is_line_end(c) || ends(c) {
                break;
            }
            self.chars.next();
            if c == '\\' { self.escape(&mut text) } else { text.push(c) }
        }
        let end = self.at();
        Spanned::new(text, Span::new(start, end))
    }

    fn escape(&mut self, text: &mut String) {
        let Some((at, c)) = self.chars.next() else { return };
        match c {
            't' => text.push('\t'),
            'n' => text.push('\n'),
            'r' => text.push('\r'),
            'f' => text.push('\x0c'),
            'u' => self.unicode(at, text),
            other => text.push(other),
        }
    }

    /// The four digits of `\uXXXX`; two of them may make a surrogate pair.
    fn unicode(&mut self, at: usize, text: &mut String) {
        let mut units = Vec::new();
        units.extend(self.four_digits());
        if units.first().is_some_and(|unit| (0xD800..0xDC00).contains(unit)) {
            let mut ahead = self.chars.clone();
            if ahead.next().is_some_and(|(_, c)| c == '\\')
                && ahead.next().is_some_and(|(_, c)| c == 'u')
            {
                self.chars = ahead;
                units.extend(self.four_digits());
            }
        }
        match String::from_utf16(&units) {
            Ok(decoded) if !units.is_empty() => text.push_str(&decoded),
            _ => {
                let span = Span::new(at - 1, self.at());
                let message = "malformed escape in a properties file";
                let label = "expected four hexadecimal digits of a character";
                self.errors.push(Diagnostic::error(message).at(span).label(label));
            }
        }
    }

    fn four_digits(&mut self) -> Option<u16> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.peek()?.to_digit(16)?;
            self.chars.next();
            unit = unit * 16 + digit;
        }
        u16::try_from(unit).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let pairs = parse(text).expect("well-formed");
        pairs.into_iter().map(|(name, value)| (name.value, value.value)).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    /// The examples of `java.util.Properties.load`'s documentation.
    #[test]
    fn lines_read_as_java_reads_them() {
        let text = "Truth = Beauty\n Truth:Beauty\nTruth\t\t\t:Beauty\n\
                    fruits      apple, banana, pear, \\\n            cantaloupe, watermelon, \\\n   \
                    kiwi, mango\ncheeses\n# a comment\n\n  ! another\\\nlast=1";
        let expected = [
            pair("Truth", "Beauty"),
            pair("Truth", "Beauty"),
            pair("Truth", "Beauty"),
            pair("fruits", "apple, banana, pear, cantaloupe, watermelon, kiwi, mango"),
            pair("cheeses", ""),
            pair("last", "1"),
        ];
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn escapes_are_resolved() {
        assert_eq!(pairs(r"a\:b\ c=\ x\ty\\z\=\q"), [pair("a:b c", " x\ty\\z=q")]);
        assert_eq!(pairs(r"e=\u00e9\uD83D\uDE00!"), [pair("e", "é😀!")]);
        assert_eq!(pairs("a=b\\\\\nc=d"), [pair("a", "b\\"), pair("c", "d")]);
        assert_eq!(pairs("a=1\r\nb=2\\\r\n  3\r\n"), [pair("a", "1"), pair("b", "23")]);
    }

    #[test]
    fn a_broken_escape_is_shown_at_its_place() {
        let errors = parse("a=1\nb=\\u12g4").unwrap_err();
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].span.map(|s| s.start), Some(6));
    }

    #[test]
    fn places_point_into_the_text() {
        let text = "# c\n  a.b = hello";
        let (name, value) = parse(text).unwrap().remove(0);
        assert_eq!(&text[name.span.start..name.span.end], "a.b");
        assert_eq!(&text[value.span.start..value.span.end], "hello");
    }
}
