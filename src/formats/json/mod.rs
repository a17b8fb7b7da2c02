//! The `json` format: one JSON object per message or line.
//!
//! Options, their defaults and the conversions are Flink's. What differs: text
//! after a bad place never becomes a row, also in a message that is an array
//! of objects. `json.decode.json-parser.enabled` chooses between two parsers in
//! Flink; here is one, which gives what Flink's default gives.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/connectors/table/formats/json/>

mod compact;
mod decode;
mod encode;
mod fault;
mod scan;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use self::decode::{JsonDecoder, Rules};
use self::encode::{JsonEncoder, NullKeys};
use super::columns::{ColumnBuilder, TextForm};
use super::names::Names;
use super::{Decoder, DecodingFormat, EncodingFormat, FormatContext, OnError};
use crate::diagnostics::Diagnostic;
use crate::options::Options;
use crate::types::{Column, ColumnType, SqlType};

/// Flink takes all options on both sides, so that a table can be read and
/// written by one declaration; each side uses its own.
#[derive(Debug)]
struct JsonOptions {
    rules: Rules,
    null_keys: NullKeys,
    plain_decimals: bool,
    skip_null_fields: bool,
}

impl JsonOptions {
    fn take(options: &mut Options, context: &FormatContext<'_>) -> Self {
        let key = |name: &str| format!("{}{name}", context.option_prefix);
        let fail_on_missing_field = options.boolean(&key("fail-on-missing-field"), false);
        let ignore_parse_errors = options.boolean(&key("ignore-parse-errors"), false);
        options.boolean(&key("decode.json-parser.enabled"), true);
        if fail_on_missing_field && ignore_parse_errors {
            let (a, b) = (key("fail-on-missing-field"), key("ignore-parse-errors"));
            let diagnostic = Diagnostic::error(format!("`{a}` and `{b}` cannot both be true"))
                .at(options.table_span);
            options.errors.push(diagnostic);
        }
        let form =
            options.parse(&key("timestamp-format.standard"), "SQL or ISO-8601", |text| {
                match text {
                    "SQL" => Some(TextForm::JsonSql),
                    "ISO-8601" => Some(TextForm::JsonIso),
                    _ => None,
                }
            });
        let literal = options.take(&key("map-null-key.literal"));
        let literal = literal.map_or_else(|| "null".to_owned(), |literal| literal.value);
        let mode = key("map-null-key.mode");
        let null_keys = options.parse(&mode, "FAIL, DROP or LITERAL", |text| {
            match text.to_ascii_uppercase().as_str() {
                "FAIL" => Some(NullKeys::Fail),
                "DROP" => Some(NullKeys::Drop),
                "LITERAL" => Some(NullKeys::Literal(literal)),
                _ => None,
            }
        });
        JsonOptions {
            rules: Rules {
                ignore_parse_errors,
                fail_on_missing_field,
                form: form.unwrap_or(TextForm::JsonSql),
            },
            null_keys: null_keys.unwrap_or(NullKeys::Fail),
            plain_decimals: options.boolean(&key("encode.decimal-as-plain-number"), false),
            skip_null_fields: options.boolean(&key("encode.ignore-null-fields"), false),
        }
    }
}

pub fn decoding(
    options: &mut Options,
    context: &FormatContext<'_>,
) -> Option<Arc<dyn DecodingFormat>> {
    let taken = JsonOptions::take(options, context);
    accept_columns(options, context).then(|| {
        Arc::new(JsonDecoding {
            columns: context.columns.to_vec(),
            time_zone: context.time_zone.to_owned(),
            rules: taken.rules,
        }) as Arc<dyn DecodingFormat>
    })
}

pub fn encoding(
    options: &mut Options,
    context: &FormatContext<'_>,
) -> Option<Arc<dyn EncodingFormat>> {
    let taken = JsonOptions::take(options, context);
    accept_columns(options, context).then(|| {
        Arc::new(JsonEncoder {
            columns: context.columns.to_vec(),
            time_zone: context.time_zone.to_owned(),
            form: taken.rules.form,
            null_keys: taken.null_keys,
            plain_decimals: taken.plain_decimals,
            skip_null_fields: taken.skip_null_fields,
        }) as Arc<dyn EncodingFormat>
    })
}

/// JSON has text as keys, and so must a MAP.
fn accept_columns(options: &mut Options, context: &FormatContext<'_>) -> bool {
    let before = options.errors.len();
    for column in context.columns {
        if let Some(key) = foreign_key(&column.ty) {
            let message = format!(
                "column `{}`: JSON cannot hold a MAP or MULTISET with keys of {key}",
                column.name
            );
            let diagnostic = Diagnostic::error(message)
                .at(options.table_span)
                .hint("declare the keys as STRING");
            options.errors.push(diagnostic);
        }
    }
    options.errors.len() == before
}

/// The type of a map's keys somewhere in `ty` that is not text.
fn foreign_key(ty: &ColumnType) -> Option<&SqlType> {
    match &ty.ty {
        SqlType::Map(key, value) => match key.ty {
            SqlType::Char(_) | SqlType::Varchar(_) => foreign_key(value),
            _ => Some(&key.ty),
        },
        SqlType::Multiset(item) => match item.ty {
            SqlType::Char(_) | SqlType::Varchar(_) => None,
            _ => Some(&item.ty),
        },
        SqlType::Array(item) => foreign_key(item),
        SqlType::Row(fields) => fields.iter().find_map(|field| foreign_key(&field.ty)),
        _ => None,
    }
}

#[derive(Debug)]
struct JsonDecoding {
    columns: Vec<Column>,
    time_zone: String,
    rules: Rules,
}

impl DecodingFormat for JsonDecoding {
    fn name(&self) -> &'static str {
        "json"
    }

    fn on_error(&self) -> OnError {
        if self.rules.ignore_parse_errors { OnError::Skip } else { OnError::Fail }
    }

    fn decoder(&self, projection: &[usize]) -> Box<dyn Decoder> {
        let wanted = || projection.iter().map(|i| &self.columns[*i]);
        let names = Names::new(wanted().map(|column| column.name.as_str()));
        let columns =
            wanted().map(|column| ColumnBuilder::new(&column.ty, &self.time_zone)).collect();
        Box::new(JsonDecoder::new(names, columns, self.rules))
    }
}
