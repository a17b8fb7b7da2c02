//! Splits the text of a message into the fields of its first row.
//!
//! A row without quote and escape characters is split by its delimiters alone.
//! Any other is read as Jackson reads it: a field is quoted if its first
//! character is the quote, a quote inside is doubled, only white space may
//! follow the closing quote; elsewhere a quote is a character like any other.

use memchr::{memchr, memchr2, memchr3};

/// The characters with a meaning.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    pub delimiter: u8,
    pub quote: Option<u8>,
    pub escape: Option<u8>,
    /// Whether lines that begin with `#`, and blank ones, are gone past.
    pub comments: bool,
}

impl Dialect {
    /// The text from its first row on: behind comments, if there may be any.
    pub fn skip_comments<'a>(&self, text: &'a str) -> &'a str {
        if !self.comments {
            return text;
        }
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches([' ', '\r', '\n']);
            if !rest.starts_with('#') {
                return rest;
            }
            rest = rest.find(['\r', '\n']).map_or("", |end| &rest[end..]);
        }
    }

    /// The first row of `text`, if nothing in it is quoted or escaped.
    pub fn plain_row<'a>(&self, text: &'a str) -> Option<&'a str> {
        let bytes = text.as_bytes();
        let found = match self.quote {
            Some(quote) => memchr3(b'\n', b'\r', quote, bytes),
            None => memchr2(b'\n', b'\r', bytes),
        };
        let end = found.unwrap_or(bytes.len());
        if found.is_some_and(|at| Some(bytes[at]) == self.quote) {
            return None;
        }
        if self.escape.is_some_and(|escape| memchr(escape, &bytes[..end]).is_some()) {
            return None;
        }
        Some(&text[..end])
    }

    /// The fields of a row that [`plain_row`](Self::plain_row) gave.
    pub fn plain_fields<'a>(&self, row: &'a str) -> impl Iterator<Item = &'a str> {
        let mut start = 0;
        Places::of(self.delimiter, row.as_bytes()).chain([row.len()]).map(move |end| {
            let field = &row[start..end];
            start = end + 1;
            field
        })
    }
}

/// Where a byte stands in a text. Fields are short, so that to search for the end
/// of each costs more than to look at all bytes, eight at a time.
struct Places<'a> {
    byte: u8,
    text: &'a [u8],
    /// Where the next word begins.
    next: usize,
    /// The high bit of each byte of the word before it where the byte stands.
    found: u64,
}

const ONES: u64 = u64::MAX / 255;
const LOW_BITS: u64 = ONES * 0x7f;

impl<'a> Places<'a> {
    fn of(byte: u8, text: &'a [u8]) -> Self {
        Self { byte, text, next: 0, found: 0 }
    }

    /// Looks at the next word; false at the end.
    #[inline]
    fn look(&mut self) -> bool {
        let rest = self.text.get(self.next..).unwrap_or_default();
        let word = match rest.first_chunk::<8>() {
            Some(word) => *word,
            None if rest.is_empty() => return false,
            None => {
                let mut word = [!self.byte; 8];
                word[..rest.len()].copy_from_slice(rest);
                word
            }
        };
        let zero_where_found = u64::from_le_bytes(word) ^ (ONES * u64::from(self.byte));
        self.found =
            !(((zero_where_found & LOW_BITS) + LOW_BITS) | zero_where_found | LOW_BITS);
        self.next += 8;
        true
    }
}

impl Iterator for Places<'_> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            if !self.look() {
                return None;
            }
        }
        let place = self.next - 8 + self.found.trailing_zeros() as usize / 8;
        self.found &= self.found - 1;
        Some(place)
    }
}

/// A field of a row with quotes or escapes.
#[derive(Debug, PartialEq, Eq)]
pub enum Field<'a> {
    /// As it stands in the text.
    Whole(&'a str),
    /// In the buffer, because it had to be put together.
    InBuffer,
}

/// Reads the fields of the first row of a text one by one.
pub struct QuotedFields<'a> {
    text: &'a str,
    at: usize,
    ended: bool,
    dialect: Dialect,
}

impl<'a> QuotedFields<'a> {
    pub fn new(text: &'a str, dialect: Dialect) -> Self {
        Self { text, at: 0, ended: false, dialect }
    }

    /// The next field, or the end of the row. `buffer` is written over.
    pub fn next(&mut self, buffer: &mut String) -> Result<Option<Field<'a>>, &'static str> {
        if self.ended {
            return Ok(None);
        }
        buffer.clear();
        if self.byte().is_some() && self.byte() == self.dialect.quote {
            self.quoted(buffer).map(Some)
        } else {
            self.unquoted(buffer).map(Some)
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn unquoted(&mut self, buffer: &mut String) -> Result<Field<'a>, &'static str> {
        let mut start = self.at;
        let mut whole = true;
        loop {
            let end = self.at;
            match self.byte() {
                None | Some(b'\n' | b'\r') => self.ended = true,
                Some(byte) if byte == self.dialect.delimiter => self.at += 1,
                Some(byte) if Some(byte) == self.dialect.escape => {
                    buffer.push_str(&self.text[start..end]);
                    whole = false;
                    self.escaped(buffer)?;
                    start = self.at;
                    continue;
                }
                Some(_) => {
                    self.at += 1;
                    continue;
                }
            }
            let rest = &self.text[start..end];
            if whole {
                return Ok(Field::Whole(rest));
            }
            buffer.push_str(rest);
            return Ok(Field::InBuffer);
        }
    }

    fn quoted(&mut self, buffer: &mut String) -> Result<Field<'a>, &'static str> {
        self.at += 1;
        let mut start = self.at;
        let mut whole = true;
        let rest = loop {
            let end = self.at;
            let byte = self.byte().ok_or("the closing quote is missing")?;
            if Some(byte) == self.dialect.quote {
                self.at += 1;
                if self.byte() != self.dialect.quote {
                    break &self.text[start..end];
                }
                // A doubled quote: the first of the two belongs to the text.
                buffer.push_str(&self.text[start..=end]);
                self.at += 1;
            } else if Some(byte) == self.dialect.escape {
                buffer.push_str(&self.text[start..end]);
                self.escaped(buffer)?;
            } else {
                self.at += 1;
                continue;
            }
            whole = false;
            start = self.at;
        };
        self.behind_quote()?;
        if whole {
            return Ok(Field::Whole(rest));
        }
        buffer.push_str(rest);
        Ok(Field::InBuffer)
    }

    /// Goes past what may stand between a closing quote and the next field.
    fn behind_quote(&mut self) -> Result<(), &'static str> {
        loop {
            match self.byte() {
                None | Some(b'\n' | b'\r') => self.ended = true,
                Some(byte) if byte == self.dialect.delimiter => self.at += 1,
                Some(..=b' ') => {
                    self.at += 1;
                    continue;
                }
                Some(_) => return Err("a closing quote is not followed by a delimiter"),
            }
            return Ok(());
        }
    }

    /// Goes past an escape character and takes what it stands for.
    fn escaped(&mut self, buffer: &mut String) -> Result<(), &'static str> {
        let rest = &self.text[self.at + 1..];
        let char = rest.chars().next().ok_or("nothing follows the escape character")?;
        self.at += 1 + char.len_utf8();
        buffer.push(match char {
            '0' => '\0',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            other => other,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COMMA: Dialect =
        Dialect { delimiter: b',', quote: Some(b'"'), escape: None, comments: false };

    fn slow(text: &str, dialect: Dialect) -> Result<Vec<String>, &'static str> {
        let mut fields = QuotedFields::new(text, dialect);
        let mut buffer = String::new();
        let mut all = Vec::new();
        while let Some(field) = fields.next(&mut buffer)? {
            all.push(match field {
                Field::Whole(text) => text.to_owned(),
                Field::InBuffer => buffer.clone(),
            });
        }
        Ok(all)
    }

    #[test]
    fn quotes_are_jacksons() {
        assert_eq!(slow(r#""q,""x""",2"#, COMMA).unwrap(), [r#"q,"x""#, "2"]);
        assert_eq!(slow(r#"a"b, "c""#, COMMA).unwrap(), [r#"a"b"#, r#" "c""#]);
        assert_eq!(slow("\"a\nb\"  ,\r\nnext,row", COMMA).unwrap(), ["a\nb", ""]);
        assert_eq!(slow("a,", COMMA).unwrap(), ["a", ""]);
        assert_eq!(slow("\"\"", COMMA).unwrap(), [""]);
        assert!(slow("\"a", COMMA).is_err());
        assert!(slow("\"a\"b", COMMA).is_err());
    }

    #[test]
    fn escapes_are_jacksons() {
        let dialect = Dialect { escape: Some(b'\\'), ..COMMA };
        assert_eq!(slow(r#"a\,b,"c\"d",\n\é\0"#, dialect).unwrap(), ["a,b", "c\"d", "\né\0"]);
        assert!(slow("a\\", dialect).is_err());
    }

    #[test]
    fn comments_and_blank_lines_are_gone_past_if_allowed() {
        let dialect = Dialect { comments: true, ..COMMA };
        assert_eq!(dialect.skip_comments("# one\r\n\n  # two\n a,b"), "a,b");
        assert_eq!(dialect.skip_comments("# only"), "");
        assert_eq!(COMMA.skip_comments("#a,b"), "#a,b");
    }

    /// The first record, as csv-core reads RFC 4180.
    fn csv_core(text: &str) -> Vec<String> {
        let mut reader = csv_core::ReaderBuilder::new().build();
        let (mut out, mut ends) = (vec![0; text.len() + 1], vec![0; text.len() + 1]);
        let (mut input, mut written, mut ended) = (text.as_bytes(), 0, 0);
        loop {
            let (result, read, wrote, ends_here) =
                reader.read_record(input, &mut out[written..], &mut ends[ended..]);
            input = &input[read..];
            written += wrote;
            ended += ends_here;
            if matches!(
                result,
                csv_core::ReadRecordResult::Record | csv_core::ReadRecordResult::End
            ) {
                break;
            }
        }
        let mut start = 0;
        let cut = |end: &usize| {
            let field = String::from_utf8(out[start..*end].to_vec()).unwrap();
            start = *end;
            field
        };
        ends[..ended].iter().map(cut).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        #[test]
        fn the_fast_path_splits_as_the_slow_one(text in "[a-c é,;\n\r]{0,20}") {
            let row = COMMA.plain_row(&text).unwrap();
            let fast: Vec<&str> = COMMA.plain_fields(row).collect();
            prop_assert_eq!(fast, slow(&text, COMMA).unwrap());
        }

        #[test]
        fn agrees_with_csv_core_on_well_formed_rows(
            fields in prop::collection::vec("[a-c é,\"\n]{0,6}", 1..5),
        ) {
            let quoted: Vec<String> = fields
                .iter()
                .map(|f| if f.contains([',', '"', '\n']) || f.is_empty() {
                    format!("\"{}\"", f.replace('"', "\"\""))
                } else {
                    f.clone()
                })
                .collect();
            let text = quoted.join(",") + "\nanother,row";
            let read = slow(&text, COMMA).unwrap();
            prop_assert_eq!(&read, &csv_core(&text));
            prop_assert_eq!(read, fields);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let dialect = Dialect { escape: Some(b'\\'), comments: true, ..COMMA };
            let _ = slow(dialect.skip_comments(&text), dialect);
        }
    }
}
