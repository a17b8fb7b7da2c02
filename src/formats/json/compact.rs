//! Writes a JSON value again without its white space, which is what a STRING
//! column holds where the message has an object or an array.
//!
//! Flink reads such a value as a tree and prints the tree, so numbers with a
//! fraction come out as Java prints doubles.

use super::super::{parse, print};
use super::scan::{Malformed, Quoted, Scanner, Token, Visitor, unescape};

/// Appends what is left of the value that `token` began to `out`.
pub fn compact<'a>(
    scanner: &mut Scanner<'a>,
    token: Token<'a>,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    scanner.walk_rest(token, &mut Compact { out })
}

struct Compact<'o> {
    out: &'o mut Vec<u8>,
}

impl<'a> Visitor<'a> for Compact<'_> {
    fn value(&mut self, token: Token<'a>) {
        match token {
            Token::Null => self.out.extend_from_slice(b"null"),
            Token::True => self.out.extend_from_slice(b"true"),
            Token::False => self.out.extend_from_slice(b"false"),
            Token::Object => self.out.push(b'{'),
            Token::Array => self.out.push(b'['),
            Token::String(quoted) => self.string(quoted),
            Token::Number { text: "-0", .. } => self.out.push(b'0'),
            Token::Number { text, fractional: false } => {
                self.out.extend_from_slice(text.as_bytes());
            }
            Token::Number { text, .. } => {
                let value = parse::double(text).expect("a JSON number is a Java number");
                print::double(self.out, value);
            }
        }
    }

    fn key(&mut self, key: Quoted<'a>, first: bool) {
        self.item(first);
        self.string(key);
        self.out.push(b':');
    }

    fn item(&mut self, first: bool) {
        if !first {
            self.out.push(b',');
        }
    }

    fn close(&mut self, object: bool) {
        self.out.push(if object { b'}' } else { b']' });
    }
}

impl Compact<'_> {
    fn string(&mut self, quoted: Quoted<'_>) {
        if !quoted.escaped {
            return write_string(self.out, quoted.raw);
        }
        let mut text = String::new();
        unescape(quoted, &mut text);
        write_string(self.out, &text);
    }
}

/// Appends `text` in quotes, escaped as Jackson escapes it: quotes,
/// backslashes and control characters.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|b| *b < b' ' || matches!(b, b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        let byte = rest[at];
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            8 => out.extend_from_slice(b"\\b"),
            12 => out.extend_from_slice(b"\\f"),
            _ => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                let digit = |nibble: u8| HEX[usize::from(nibble)];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_goes_and_escapes_are_made_anew() {
        let text =
            r#" { "q" : [ 1 , 2.50, 1e2, -0, "a\/\u00e9\n\u0001\"" , { } , [ ] , null ] }"#;
        let mut scanner = Scanner::new(text);
        let token = scanner.token().unwrap();
        let mut out = Vec::new();
        compact(&mut scanner, token, &mut out).unwrap();
        let expected = r#"{"q":[1,2.5,100.0,0,"a/é\n\u0001\"",{},[],null]}"#;
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
