//! ENCODE and DECODE: strings as bytes of a charset, as Java's `String` does it.
//! What a charset does not have is `?`; bytes that are no text are U+FFFD.

use std::sync::Arc;

use arrow::array::BinaryViewArray;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::super::function::{Function, Parameter};

use Parameter::{Text, TextOrBytes};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![encode(), decode()]
}

/// `ENCODE(s, charset)`
fn encode() -> Arc<ScalarUDF> {
    Function::new("encode", &[Text, Text], DataType::BinaryView, |args| {
        let (texts, charsets) = (args.texts(0)?, args.texts(1)?);
        let bytes = (0..args.rows).map(|row| {
            let (Some(text), Some(name)) = (texts.get(row), charsets.get(row)) else {
                return Ok(None);
            };
            Ok(Some(Charset::named(name)?.encode(text)))
        });
        Ok(Arc::new(bytes.collect::<Result<BinaryViewArray>>()?))
    })
    .udf()
}

/// `DECODE(bytes, charset)`
fn decode() -> Arc<ScalarUDF> {
    Function::new("decode", &[TextOrBytes, Text], DataType::Utf8View, |args| {
        let (bytes, charsets) = (args.bytes(0)?, args.texts(1)?);
        let mut fault = None;
        let out = args.write_texts(|row, out| {
            match Charset::named(charsets.get(row)?) {
                Ok(charset) => out.push_str(&charset.decode(bytes.get(row)?)),
                Err(error) => fault = Some(error),
            }
            Some(())
        });
        fault.map_or(Ok(out), Err)
    })
    .udf()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Ascii,
    Latin1,
    Utf8,
    Utf16Be,
    Utf16Le,
    /// With a byte order mark; big-endian without.
    Utf16,
}

impl Charset {
    fn named(name: &str) -> Result<Self> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "US-ASCII" | "ASCII" => Charset::Ascii,
            "ISO-8859-1" | "LATIN1" => Charset::Latin1,
            "UTF-8" | "UTF8" => Charset::Utf8,
            "UTF-16BE" => Charset::Utf16Be,
            "UTF-16LE" => Charset::Utf16Le,
            "UTF-16" | "UTF16" => Charset::Utf16,
            _ => {
                return exec_err!(
                    "unknown charset '{name}': US-ASCII, ISO-8859-1, UTF-8, UTF-16BE, \
                     UTF-16LE and UTF-16 are known"
                );
            }
        })
    }

    fn encode(self, text: &str) -> Vec<u8> {
        let within = |most: u32| {
            let byte = move |c: char| if c as u32 <= most { c as u8 } else { b'?' };
            text.chars().map(byte).collect()
        };
        match self {
            Charset::Ascii => within(0x7f),
            Charset::Latin1 => within(0xff),
            Charset::Utf8 => text.as_bytes().to_vec(),
            Charset::Utf16Be => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            Charset::Utf16Le => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            Charset::Utf16 if text.is_empty() => Vec::new(),
            Charset::Utf16 => {
                [&[0xfe, 0xff], Charset::Utf16Be.encode(text).as_slice()].concat()
            }
        }
    }

    fn decode(self, bytes: &[u8]) -> String {
        match self {
            Charset::Ascii => {
                let letter = |b: &u8| if b.is_ascii() { char::from(*b) } else { '\u{fffd}' };
                bytes.iter().map(letter).collect()
            }
            Charset::Latin1 => bytes.iter().copied().map(char::from).collect(),
            Charset::Utf8 => String::from_utf8_lossy(bytes).into_owned(),
            Charset::Utf16Be => utf16(bytes, u16::from_be_bytes),
            Charset::Utf16Le => utf16(bytes, u16::from_le_bytes),
            Charset::Utf16 => match bytes {
                [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
                [0xfe, 0xff, rest @ ..] | rest => utf16(rest, u16::from_be_bytes),
            },
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> String {
    let (pairs, rest) = bytes.as_chunks::<2>();
    let mut text =
        String::from_utf16_lossy(&pairs.iter().map(|p| unit(*p)).collect::<Vec<_>>());
    if !rest.is_empty() {
        text.push('\u{fffd}');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charsets_are_javas() {
        use Charset::*;
        for (charset, bytes) in [
            (Utf8, &[b'a', 0xc3, 0xa9][..]),
            (Latin1, &[b'a', 0xe9]),
            (Utf16Be, &[0, b'a', 0, 0xe9]),
            (Utf16Le, &[b'a', 0, 0xe9, 0]),
            (Utf16, &[0xfe, 0xff, 0, b'a', 0, 0xe9]),
        ] {
            assert_eq!(charset.encode("aé"), bytes, "{charset:?}");
            assert_eq!(charset.decode(bytes), "aé", "{charset:?}");
        }
        assert_eq!(Ascii.encode("aé"), b"a?");
        assert_eq!(Ascii.decode(&[b'a', 0xe9]), "a\u{fffd}");
        assert_eq!(Utf16.decode(&[0xff, 0xfe, b'a', 0]), "a");
        assert_eq!(Utf16Be.decode(&[0, b'a', 0]), "a\u{fffd}");
        assert!(Charset::named("KOI8").is_err());
    }
}
