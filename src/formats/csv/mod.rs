//! The `csv` format: one row per message or line, columns by position.
//!
//! Options, their defaults and the conversions are Flink's, which reads and
//! writes with Jackson. Columns that a query does not read are not converted,
//! but how many fields a message has is always checked.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/formats/csv/>

mod decode;
mod encode;
mod fields;
mod run;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::decode::CsvDecoder;
use self::encode::CsvEncoder;
use self::fields::Dialect;
use super::{Decoder, DecodingFormat, EncodingFormat, FormatContext, OnError};
use crate::diagnostics::{Diagnostic, Spanned};
use crate::options::Options;
use crate::types::{Column, SqlType};

/// Flink takes all options on both sides; each side uses its own.
#[derive(Debug, Clone)]
struct CsvOptions {
    dialect: Dialect,
    array_delimiter: char,
    null_literal: Option<String>,
    ignore_parse_errors: bool,
    scientific_decimals: bool,
}

impl CsvOptions {
    fn take(options: &mut Options, context: &FormatContext<'_>) -> Self {
        let key = |name: &str| format!("{}{name}", context.option_prefix);
        let no_quote_key = key("disable-quote-character");
        let delimiter = ascii(options, &key("field-delimiter"), unescape_java);
        let quote = ascii(options, &key("quote-character"), str::to_owned);
        let no_quote = options.boolean(&no_quote_key, false);
        if no_quote && quote.is_some() {
            let message = format!("`{no_quote_key}` leaves no use for a quote character");
            options.errors.push(Diagnostic::error(message).at(options.table_span));
        }
        let taken = CsvOptions {
            dialect: Dialect {
                delimiter: delimiter.unwrap_or(b','),
                quote: (!no_quote).then(|| quote.unwrap_or(b'"')),
                escape: ascii(options, &key("escape-character"), str::to_owned),
                comments: options.boolean(&key("allow-comments"), false),
            },
            array_delimiter: single(options, &key("array-element-delimiter"), str::to_owned)
                .unwrap_or(';'),
            null_literal: options.take(&key("null-literal")).map(|literal| literal.value),
            ignore_parse_errors: options.boolean(&key("ignore-parse-errors"), false),
            scientific_decimals: options
                .boolean(&key("write-bigdecimal-in-scientific-notation"), true),
        };
        let Dialect { delimiter, quote, escape, .. } = taken.dialect;
        let clash = Some(delimiter) == quote
            || Some(delimiter) == escape
            || matches!(delimiter, b'\n' | b'\r')
            || quote.is_some_and(|quote| matches!(quote, b'\n' | b'\r'));
        if clash {
            let message = format!(
                "`{}` must differ from the quote and escape characters and from line breaks",
                key("field-delimiter")
            );
            options.errors.push(Diagnostic::error(message).at(options.table_span));
        }
        taken
    }
}

/// The one character that `key` holds.
fn single(options: &mut Options, key: &str, decode: fn(&str) -> String) -> Option<char> {
    let value = options.take(key)?;
    let text = decode(&value.value);
    let mut chars = text.chars();
    if let (Some(char), None) = (chars.next(), chars.next()) {
        return Some(char);
    }
    refuse(options, key, &value, "expected one character");
    None
}

/// The one character that `key` holds, which must be ASCII, because rows are
/// split byte by byte.
fn ascii(options: &mut Options, key: &str, decode: fn(&str) -> String) -> Option<u8> {
    let place = options.take(key);
    let char = single(options, key, decode)?;
    if !char.is_ascii() {
        refuse(options, key, &place?, "expected an ASCII character");
        return None;
    }
    u8::try_from(char).ok()
}

fn refuse(options: &mut Options, key: &str, value: &Spanned<String>, label: &str) {
    let message = format!("option `{key}` cannot be `{}`", value.value);
    options.errors.push(Diagnostic::error(message).at(value.span).label(label));
}

/// Resolves the escapes of a Java literal: `\t`, `\\`, `\u0001`, `\001`.
fn unescape_java(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let radix_char = |digits: &str, radix| {
            u32::from_str_radix(digits, radix).ok().and_then(char::from_u32)
        };
        let octal = after.bytes().take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
        let (char, len) = match after.as_bytes().first() {
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(b'u') => match after.get(1..5).and_then(|digits| radix_char(digits, 16)) {
                Some(char) => (char, 5),
                None => ('u', 1),
            },
            Some(b'0'..=b'7') => (radix_char(&after[..octal], 8).unwrap_or('\0'), octal),
            Some(_) => {
                let char = after.chars().next().unwrap_or('\\');
                (char, char.len_utf8())
            }
            None => ('\\', 0),
        };
        out.push(char);
        rest = &after[len..];
    }
    out.push_str(rest);
    out
}

pub fn decoding(
    options: &mut Options,
    context: &FormatContext<'_>,
) -> Option<Arc<dyn DecodingFormat>> {
    let taken = CsvOptions::take(options, context);
    accept_columns(options, context).then(|| {
        Arc::new(CsvDecoding {
            columns: context.columns.to_vec(),
            time_zone: context.time_zone.to_owned(),
            options: taken,
        }) as Arc<dyn DecodingFormat>
    })
}

pub fn encoding(
    options: &mut Options,
    context: &FormatContext<'_>,
) -> Option<Arc<dyn EncodingFormat>> {
    let taken = CsvOptions::take(options, context);
    accept_columns(options, context).then(|| {
        let (columns, time_zone) = (context.columns.to_vec(), context.time_zone.to_owned());
        Arc::new(CsvEncoder::new(columns, time_zone, taken)) as Arc<dyn EncodingFormat>
    })
}

/// A field holds a simple value, or a list of simple values.
fn accept_columns(options: &mut Options, context: &FormatContext<'_>) -> bool {
    let before = options.errors.len();
    for column in context.columns {
        let refused = match &column.ty.ty {
            SqlType::Array(item) => refused_item(&item.ty),
            SqlType::Row(fields) => fields.iter().find_map(|field| refused_item(&field.ty.ty)),
            ty => refused_item(ty),
        };
        if let Some(why) = refused {
            let message = format!("column `{}`: {why}", column.name);
            options.errors.push(Diagnostic::error(message).at(options.table_span));
        }
    }
    options.errors.len() == before
}

fn refused_item(ty: &SqlType) -> Option<String> {
    match ty {
        SqlType::Map(..) => Some("CSV cannot hold a MAP".to_owned()),
        SqlType::Multiset(_) => Some("CSV cannot hold a MULTISET".to_owned()),
        SqlType::Array(_) | SqlType::Row(_) => {
            Some(format!("CSV cannot hold {ty} inside of another value"))
        }
        SqlType::Time(precision) if *precision > 3 => {
            Some(format!("CSV holds TIME with a precision of up to 3, not {precision}"))
        }
        _ => None,
    }
}

#[derive(Debug)]
struct CsvDecoding {
    columns: Vec<Column>,
    time_zone: String,
    options: CsvOptions,
}

impl DecodingFormat for CsvDecoding {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn on_error(&self) -> OnError {
        if self.options.ignore_parse_errors { OnError::Skip } else { OnError::Fail }
    }

    fn decoder(&self, projection: &[usize]) -> Box<dyn Decoder> {
        Box::new(CsvDecoder::new(
            &self.columns,
            projection,
            &self.time_zone,
            self.options.clone(),
        ))
    }
}
