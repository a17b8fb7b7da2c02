//! Walks over a JSON text without building anything.
//!
//! Checks the grammar of RFC 8259 in one pass, with what Jackson allows beside
//! it: control characters inside strings. Nesting is followed with a stack of
//! bits, not with recursion, and is bounded as Jackson bounds it.

use memchr::memchr2;

/// How deep arrays and objects may nest; Jackson's own bound.
const MAX_DEPTH: usize = 1000;

/// Where a text stops being JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    pub at: usize,
    pub expected: &'static str,
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted<'a> {
    pub raw: &'a str,
    pub escaped: bool,
}

/// The next value; of a container only its opening bracket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    Null,
    True,
    False,
    Number { text: &'a str, fractional: bool },
    String(Quoted<'a>),
    Object,
    Array,
}

#[derive(Debug, Clone, Copy)]
pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    /// Begins at the front of `text`, behind a byte order mark.
    pub fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { 3 } else { 0 };
        Self { text, at }
    }

    /// The text from `start` to where the scanner is.
    pub fn since(&self, start: usize) -> &'a str {
        &self.text[start..self.at]
    }

    /// Where the scanner is.
    pub fn here(&self) -> usize {
        self.at
    }

    /// The text behind it.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Goes past so many bytes that the caller knows.
    #[inline]
    pub fn pass(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Reads the next value if it is right here and an integer of at most 18
    /// digits; else the scanner stays where it is.
    #[inline]
    pub fn plain_integer(&mut self) -> Option<i64> {
        let rest = self.rest();
        let is_negative = rest.first() == Some(&b'-');
        let digits = &rest[usize::from(is_negative)..];
        let mut value = 0_i64;
        let mut count = 0;
        while let Some(digit) = digits.get(count).map(|byte| byte.wrapping_sub(b'0'))
            && digit < 10
        {
            if count == 18 {
                return None;
            }
            value = value * 10 + i64::from(digit);
            count += 1;
        }
        let is_whole = !matches!(digits.get(count), Some(b'.' | b'e' | b'E'));
        let is_json = count == 1 || (count > 1 && digits[0] != b'0');
        if !is_whole || !is_json {
            return None;
        }
        self.at += usize::from(is_negative) + count;
        Some(if is_negative { -value } else { value })
    }

    /// The place of the next value.
    pub fn value_start(&mut self) -> usize {
        self.skip_space();
        self.at
    }

    /// Reads the next value, or the opening bracket of a container.
    pub fn token(&mut self) -> Result<Token<'a>, Malformed> {
        self.skip_space();
        match self.peek() {
            Some(b'"') => Ok(Token::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b'{') => Ok(self.bracket(Token::Object)),
            Some(b'[') => Ok(self.bracket(Token::Array)),
            Some(b't') => self.literal("true", Token::True),
            Some(b'f') => self.literal("false", Token::False),
            Some(b'n') => self.literal("null", Token::Null),
            _ => Err(self.malformed("a value")),
        }
    }

    /// Behind `{` or a member's value: the next key and its colon, or the end
    /// of the object.
    pub fn next_key(&mut self, first: bool) -> Result<Option<Quoted<'a>>, Malformed> {
        self.skip_space();
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if !first => {
                self.at += 1;
                self.skip_space();
            }
            _ if first => {}
            _ => return Err(self.malformed("`,` or `}`")),
        }
        if self.peek() != Some(b'"') {
            return Err(self.malformed("a key"));
        }
        let key = self.string()?;
        self.skip_space();
        if self.peek() != Some(b':') {
            return Err(self.malformed("`:`"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Behind `[` or an item: whether another item follows.
    pub fn next_item(&mut self, first: bool) -> Result<bool, Malformed> {
        self.skip_space();
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            _ if first => Ok(true),
            _ => Err(self.malformed("`,` or `]`")),
        }
    }

    /// Goes past the next value.
    pub fn skip_value(&mut self) -> Result<(), Malformed> {
        let token = self.token()?;
        self.skip_rest(token)
    }

    /// Goes past what is left of the value that `token` began.
    pub fn skip_rest(&mut self, token: Token<'a>) -> Result<(), Malformed> {
        self.walk_rest(token, &mut NoVisitor)
    }

    /// Goes past what is left of the value that `token` began, and tells
    /// `visitor` what there is.
    pub fn walk_rest(
        &mut self,
        token: Token<'a>,
        visitor: &mut impl Visitor<'a>,
    ) -> Result<(), Malformed> {
        visitor.value(token);
        if !matches!(token, Token::Object | Token::Array) {
            return Ok(());
        }
        let mut open = Nesting::default();
        if !open.enter(token).map_err(|expected| self.malformed(expected))? {
            return Ok(());
        }
        let mut first = true;
        loop {
            let more = if open.in_object() {
                let key = self.next_key(first)?;
                key.inspect(|key| visitor.key(*key, first)).is_some()
            } else {
                let more = self.next_item(first)?;
                more && {
                    visitor.item(first);
                    true
                }
            };
            if more {
                let token = self.token()?;
                visitor.value(token);
                first = open.enter(token).map_err(|expected| self.malformed(expected))?;
                continue;
            }
            visitor.close(open.in_object());
            if open.leave() {
                return Ok(());
            }
            first = false;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn malformed(&self, expected: &'static str) -> Malformed {
        Malformed { at: self.at, expected }
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    fn bracket(&mut self, token: Token<'a>) -> Token<'a> {
        self.at += 1;
        token
    }

    fn literal(&mut self, text: &str, token: Token<'a>) -> Result<Token<'a>, Malformed> {
        if !self.text.as_bytes()[self.at..].starts_with(text.as_bytes()) {
            return Err(self.malformed("a value"));
        }
        self.at += text.len();
        Ok(token)
    }

    fn string(&mut self) -> Result<Quoted<'a>, Malformed> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut end = start;
        let mut escaped = false;
        loop {
            let Some(found) = quote_or_backslash(bytes, end) else {
                self.at = bytes.len();
                return Err(self.malformed("the closing `\"`"));
            };
            end = found;
            if bytes[end] == b'"' {
                self.at = end + 1;
                return Ok(Quoted { raw: &self.text[start..end], escaped });
            }
            escaped = true;
            end += match bytes.get(end + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                Some(b'u') if four_hex_digits(&bytes[end + 2..]).is_some() => 6,
                _ => {
                    self.at = end;
                    return Err(self.malformed("an escape such as `\\n`"));
                }
            };
        }
    }

    fn number(&mut self) -> Result<Token<'a>, Malformed> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut fractional = false;
        if self.peek() == Some(b'.') {
            fractional = true;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            fractional = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Token::Number { text: self.since(start), fractional })
    }

    fn digits(&mut self) -> Result<(), Malformed> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err(self.malformed("a digit")) } else { Ok(()) }
    }
}

/// Where the next `"` or `\` is, from `from` on. Most strings are short, for which
/// a call of a search is more than the search: the first bytes are looked at
/// eight at a time.
#[inline]
fn quote_or_backslash(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    for _ in 0..WORDS_LOOKED_AT {
        let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) else {
            break;
        };
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ ALL_QUOTES) | zeros(word ^ ALL_BACKSLASHES);
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr2(b'"', b'\\', &bytes[at..]).map(|found| at + found)
}

const WORDS_LOOKED_AT: usize = 8;
const ONES: u64 = u64::MAX / 255;
const ALL_QUOTES: u64 = ONES * b'"' as u64;
const ALL_BACKSLASHES: u64 = ONES * b'\\' as u64;

/// The high bit of each byte that is zero; above the first it may be wrong.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & (ONES << 7)
}

/// Is told what lies inside a value that the scanner goes past.
pub trait Visitor<'a> {
    fn value(&mut self, token: Token<'a>);
    fn key(&mut self, key: Quoted<'a>, first: bool);
    fn item(&mut self, first: bool);
    fn close(&mut self, object: bool);
}

struct NoVisitor;

impl<'a> Visitor<'a> for NoVisitor {
    fn value(&mut self, _: Token<'a>) {}
    fn key(&mut self, _: Quoted<'a>, _: bool) {}
    fn item(&mut self, _: bool) {}
    fn close(&mut self, _: bool) {}
}

/// Which brackets are open: a bit for each, set for an object.
#[derive(Default)]
struct Nesting {
    bits: [u64; MAX_DEPTH.div_ceil(64)],
    depth: usize,
}

impl Nesting {
    /// Whether `token` opened a bracket.
    fn enter(&mut self, token: Token<'_>) -> Result<bool, &'static str> {
        let object = match token {
            Token::Object => true,
            Token::Array => false,
            _ => return Ok(false),
        };
        if self.depth == MAX_DEPTH {
            return Err("fewer than 1000 nested values");
        }
        let bit = 1 << (self.depth % 64);
        let word = &mut self.bits[self.depth / 64];
        *word = if object { *word | bit } else { *word & !bit };
        self.depth += 1;
        Ok(true)
    }

    /// Whether the outermost bracket was closed.
    fn leave(&mut self) -> bool {
        self.depth -= 1;
        self.depth == 0
    }

    fn in_object(&self) -> bool {
        let innermost = self.depth - 1;
        self.bits[innermost / 64] >> (innermost % 64) & 1 == 1
    }
}

fn four_hex_digits(text: &[u8]) -> Option<u16> {
    let digits = std::str::from_utf8(text.get(..4)?).ok()?;
    digits
        .bytes()
        .all(|b| b.is_ascii_hexdigit())
        .then(|| u16::from_str_radix(digits, 16).ok())?
}

/// Appends `quoted` with its escapes resolved. Half a surrogate pair becomes
/// `?`, as when Java encodes it.
pub fn unescape(quoted: Quoted<'_>, out: &mut String) {
    let mut rest = quoted.raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(&rest[..at]);
        let escape = &rest.as_bytes()[at..];
        let (decoded, len) = match escape.get(1) {
            Some(b'b') => ('\u{8}', 2),
            Some(b'f') => ('\u{c}', 2),
            Some(b'n') => ('\n', 2),
            Some(b'r') => ('\r', 2),
            Some(b't') => ('\t', 2),
            Some(b'u') => unicode_escape(escape),
            Some(other) => (char::from(*other), 2),
            None => unreachable!("the scanner saw what follows a backslash"),
        };
        out.push(decoded);
        rest = &rest[at + len..];
    }
    out.push_str(rest);
}

/// The character of `\uXXXX` or of a pair of them, and how long that is.
fn unicode_escape(escape: &[u8]) -> (char, usize) {
    let unit = |at: usize| four_hex_digits(escape.get(at..)?);
    let high = unit(2).expect("the scanner saw four hex digits");
    let low = if escape.get(6..8) == Some(b"\\u") { unit(8) } else { None };
    if let Some(low) = low
        && let Some(Ok(pair)) = char::decode_utf16([high, low]).next()
        && pair > '\u{ffff}'
    {
        return (pair, 12);
    }
    (char::from_u32(high.into()).unwrap_or('?'), 6)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn first_value(text: &str) -> Result<&str, Malformed> {
        let mut scanner = Scanner::new(text);
        let start = scanner.value_start();
        scanner.skip_value()?;
        Ok(scanner.since(start))
    }

    fn is_valid(text: &str) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.skip_value().is_ok() && scanner.value_start() == text.len()
    }

    #[test]
    fn says_where_a_text_stops_being_json() {
        assert_eq!(
            first_value("not json").unwrap_err(),
            Malformed { at: 0, expected: "a value" }
        );
        let cut = first_value(r#"{"a":1,"b"#).unwrap_err();
        assert_eq!(cut, Malformed { at: 9, expected: "the closing `\"`" });
        assert_eq!(first_value("[1,]").unwrap_err().at, 3);
        assert_eq!(first_value(r#"{"a":1} and more"#), Ok(r#"{"a":1}"#));
    }

    #[test]
    fn depth_is_bounded() {
        assert!(is_valid(&("[".repeat(1000) + &"]".repeat(1000))));
        assert!(!is_valid(&("[".repeat(1001) + &"]".repeat(1001))));
        assert!(!is_valid(&"{\"a\":".repeat(1_000_000)));
    }

    #[test]
    fn half_a_surrogate_pair_is_a_question_mark() {
        let mut out = String::new();
        unescape(
            Quoted { raw: r"\ud83d\ude00 \ud83d \ude00\u00e9\/", escaped: true },
            &mut out,
        );
        assert_eq!(out, "😀 ? ?é/");
    }

    /// Text that is mostly JSON.
    fn nearly_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("-0".to_owned()),
            Just("01".to_owned()),
            Just("1.".to_owned()),
            any::<f64>().prop_map(|f| f.to_string()),
            any::<i64>().prop_map(|i| i.to_string()),
            "[ -~é☃]{0,6}".prop_map(|s| serde_json::to_string(&s).unwrap()),
            r#""(\\[nrtbfu/"\\x]|[a-f0-9]|é){0,9}""#,
            "[-+0-9.eE]{1,5}",
        ];
        let tree = leaf.prop_recursive(4, 24, 4, |inner| {
            let space = "[ \n\t]{0,1}";
            prop_oneof![
                (prop::collection::vec(inner.clone(), 0..4), space)
                    .prop_map(|(items, s)| format!("[{s}{}]", items.join(&format!("{s},")))),
                prop::collection::vec(("[a-c]{1,2}", inner, space), 0..4).prop_map(|members| {
                    let members: Vec<_> =
                        members.iter().map(|(k, v, s)| format!("\"{k}\"{s}:{s}{v}")).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        });
        let cut = any::<prop::sample::Index>();
        (tree, cut, any::<bool>(), "[\\[\\]{}\",:x ]?").prop_map(|(text, cut, keep, noise)| {
            let at =
                text.char_indices().map(|(i, _)| i).chain([text.len()]).collect::<Vec<_>>();
            let at = at[cut.index(at.len())];
            if keep { format!("{}{noise}{}", &text[..at], &text[at..]) } else { text }
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn agrees_with_serde_json_on_what_is_json(text in nearly_json()) {
            let expected = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(is_valid(&text), expected, "{}", text);
        }

        #[test]
        fn unescapes_as_serde_json_does(text in "[ -~é☃😀\n\t]{0,20}") {
            let quoted = serde_json::to_string(&text).unwrap();
            let Ok(Token::String(string)) = Scanner::new(&quoted).token() else {
                panic!("a string is a string");
            };
            let mut out = String::new();
            unescape(string, &mut out);
            prop_assert_eq!(out, text);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = first_value(&text);
        }
    }
}
