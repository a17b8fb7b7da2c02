//! The `raw` format: a message is the value of the table's one column.
//!
//! As in Flink a message without a value is a row with NULL, and there is no
//! `ignore-parse-errors`. Text that is not valid in its charset is not refused:
//! what cannot be read becomes U+FFFD.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/formats/raw/>

use std::borrow::Cow;
use std::sync::Arc;

use super::columns::{ColumnBuilder, Values};
use super::texts::Texts;
use super::{DecodeError, Decoded, Decoder, DecodingFormat, FormatContext, Messages, OnError};
use crate::diagnostics::Diagnostic;
use crate::options::Options;
use crate::types::{ColumnType, SqlType};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin1,
    Ascii,
}

#[derive(Debug, Clone)]
struct RawDecoding {
    column: ColumnType,
    time_zone: String,
    charset: Charset,
    big_endian: bool,
}

pub fn decoding(
    options: &mut Options,
    context: &FormatContext<'_>,
) -> Option<Arc<dyn DecodingFormat>> {
    let key = |name: &str| format!("{}{name}", context.option_prefix);
    let charset = options.parse(&key("charset"), "UTF-8, ISO-8859-1 or US-ASCII", |name| {
        match name.to_ascii_uppercase().as_str() {
            "UTF-8" | "UTF8" => Some(Charset::Utf8),
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" => Some(Charset::Latin1),
            "US-ASCII" | "ASCII" => Some(Charset::Ascii),
            _ => None,
        }
    });
    let expected = "big-endian or little-endian";
    let big_endian = options.parse(&key("endianness"), expected, |order| match order {
        "big-endian" => Some(true),
        "little-endian" => Some(false),
        _ => None,
    });
    let [column] = context.columns else {
        let message = format!("format `raw` fills one column, not {}", context.columns.len());
        options.errors.push(Diagnostic::error(message).at(options.table_span));
        return None;
    };
    if !is_raw(&column.ty.ty) {
        let message =
            format!("column `{}`: format `raw` cannot be {}", column.name, column.ty.ty);
        let hint = "raw is STRING, BYTES, BOOLEAN, a whole number, FLOAT or DOUBLE";
        options.errors.push(Diagnostic::error(message).at(options.table_span).hint(hint));
        return None;
    }
    Some(Arc::new(RawDecoding {
        column: column.ty.clone(),
        time_zone: context.time_zone.to_owned(),
        charset: charset.unwrap_or(Charset::Utf8),
        big_endian: big_endian.unwrap_or(true),
    }))
}

fn is_raw(ty: &SqlType) -> bool {
    matches!(
        ty,
        SqlType::Char(_)
            | SqlType::Varchar(_)
            | SqlType::Binary(_)
            | SqlType::Varbinary(_)
            | SqlType::Boolean
            | SqlType::TinyInt
            | SqlType::SmallInt
            | SqlType::Int
            | SqlType::BigInt
            | SqlType::Float
            | SqlType::Double
    )
}

impl DecodingFormat for RawDecoding {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn on_error(&self) -> OnError {
        OnError::Fail
    }

    fn decoder(&self, projection: &[usize]) -> Box<dyn Decoder> {
        Box::new(RawDecoder {
            column: ColumnBuilder::new(&self.column, &self.time_zone),
            wanted: !projection.is_empty(),
            format: self.clone(),
        })
    }
}

#[derive(Debug)]
struct RawDecoder {
    column: ColumnBuilder,
    wanted: bool,
    format: RawDecoding,
}

impl RawDecoder {
    fn value(&mut self, bytes: &[u8], text: Option<&str>) -> Result<(), String> {
        let big = self.format.big_endian;
        match &mut self.column.values {
            Values::Text(texts) => match (text, self.format.charset) {
                (Some(text), Charset::Utf8) => texts.push(text),
                (_, charset) => texts.push(&charset.decode(bytes)),
            },
            Values::Bytes(values) => values.push(bytes),
            Values::Boolean(values) => values.append(u8::from_be_bytes(sized(bytes)?) != 0),
            Values::TinyInt(values) => values.push(i8::from_be_bytes(sized(bytes)?)),
            Values::SmallInt(values) => values.push(i16::from_be_bytes(ordered(bytes, big)?)),
            Values::Int(values) => values.push(i32::from_be_bytes(ordered(bytes, big)?)),
            Values::BigInt(values) => values.push(i64::from_be_bytes(ordered(bytes, big)?)),
            Values::Float(values) => values.push(f32::from_be_bytes(ordered(bytes, big)?)),
            Values::Double(values) => values.push(f64::from_be_bytes(ordered(bytes, big)?)),
            _ => unreachable!("other types were refused when the format was bound"),
        }
        self.column.commit();
        Ok(())
    }
}

fn sized<const N: usize>(bytes: &[u8]) -> Result<[u8; N], String> {
    let wrong = |_| format!("{N} bytes expected but was {}", bytes.len());
    bytes.try_into().map_err(wrong)
}

/// The bytes with the most significant first.
fn ordered<const N: usize>(bytes: &[u8], big_endian: bool) -> Result<[u8; N], String> {
    let mut bytes = sized(bytes)?;
    if !big_endian {
        bytes.reverse();
    }
    Ok(bytes)
}

impl Charset {
    fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            Charset::Utf8 => String::from_utf8_lossy(bytes),
            Charset::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
            Charset::Ascii => {
                let char =
                    |byte: &u8| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' };
                bytes.iter().map(char).collect()
            }
        }
    }
}

impl Decoder for RawDecoder {
    fn decode(&mut self, messages: &Messages) -> Decoded {
        self.column.start(&messages.bytes, messages.len());
        let texts = Texts::of(messages);
        let mut rows = Vec::with_capacity(messages.len());
        let mut errors = Vec::new();
        for message in 0..messages.len() {
            let index = u32::try_from(message).expect("a batch holds at most 2 GiB");
            let made = match messages.payload(message) {
                Some(bytes) => self.value(bytes, texts.get(message)),
                None => {
                    self.column.push_null();
                    Ok(())
                }
            };
            let made = made.and_then(|()| match self.column.breaks_not_null(rows.len()) {
                true => Err("NULL where NOT NULL is declared".to_owned()),
                false => Ok(()),
            });
            match made {
                Ok(()) => rows.push(index),
                Err(reason) => {
                    self.column.truncate(rows.len());
                    errors.push(DecodeError { message: index, reason });
                }
            }
        }
        let column = self.column.finish();
        let columns = if self.wanted { vec![column] } else { Vec::new() };
        Decoded { columns, rows, errors }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int32Type};

    use super::super::testing::{bind, column, messages};
    use super::*;

    fn decode(ty: SqlType, options: &[(&str, &str)], payloads: &[Option<&[u8]>]) -> Decoded {
        let format = bind("raw", &[column("v", ty)], options).unwrap();
        let payloads: Vec<_> = payloads.iter().map(|p| p.map(<[u8]>::to_vec)).collect();
        format.decoder(&[0]).decode(&messages(&payloads))
    }

    #[test]
    fn a_message_is_a_text_in_its_charset() {
        let decoded =
            decode(SqlType::STRING, &[], &[Some("é".as_bytes()), None, Some(b"\xff")]);
        let texts: Vec<_> = decoded.columns[0].as_string_view().iter().collect();
        assert_eq!(texts, [Some("é"), None, Some("\u{fffd}")]);
        let latin1 = [("raw.charset", "ISO-8859-1")];
        let decoded = decode(SqlType::STRING, &latin1, &[Some(b"\xe9")]);
        assert_eq!(decoded.columns[0].as_string_view().value(0), "é");
        let ascii = [("raw.charset", "US-ASCII")];
        let decoded = decode(SqlType::STRING, &ascii, &[Some(b"a\xe9")]);
        assert_eq!(decoded.columns[0].as_string_view().value(0), "a\u{fffd}");
    }

    #[test]
    fn a_message_is_a_number_of_its_size() {
        let payloads: &[Option<&[u8]>] = &[Some(&[0, 0, 1, 2]), Some(&[1]), Some(b"")];
        let decoded = decode(SqlType::Int, &[], payloads);
        assert_eq!(decoded.columns[0].as_primitive::<Int32Type>().values(), &[258]);
        assert_eq!(decoded.errors[0].reason, "4 bytes expected but was 1");
        assert_eq!(decoded.rows, [0]);
        let little = [("raw.endianness", "little-endian")];
        let bytes = 1.5f64.to_le_bytes();
        let decoded = decode(SqlType::Double, &little, &[Some(&bytes)]);
        assert_eq!(decoded.columns[0].as_primitive::<Float64Type>().values(), &[1.5]);
    }

    #[test]
    fn what_flink_refuses_is_refused() {
        assert!(bind("raw", &[column("v", SqlType::Date)], &[]).is_err());
        assert!(bind("raw", &[], &[]).is_err());
        let options = [("raw.charset", "UTF-16")];
        assert!(bind("raw", &[column("v", SqlType::STRING)], &options).is_err());
    }
}
