//! What the formats' tests share: binding a format as a script would, batches
//! of payloads, and rows as a person reads them.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;

use super::{
    Decoded, DecodingFormat, EncodingFormat, FormatContext, MessageParts, Messages,
    MessagesBuilder, decoding, encoding,
};
use crate::diagnostics::{Span, Spanned};
use crate::options::Options;
use crate::types::{Column, ColumnType, RowField, SqlType};

pub const UTC: &str = "UTC";

pub fn column(name: &str, ty: SqlType) -> Column {
    Column { name: name.to_owned(), ty: ty.nullable() }
}

pub fn field(name: &str, ty: SqlType) -> RowField {
    RowField { name: name.to_owned(), ty: ty.nullable() }
}

pub fn array(item: SqlType) -> SqlType {
    SqlType::Array(Box::new(item.nullable()))
}

pub fn map(value: SqlType) -> SqlType {
    let key = ColumnType { ty: SqlType::STRING, nullable: false };
    SqlType::Map(Box::new(key), Box::new(value.nullable()))
}

/// `name STRING, v BIGINT, et TIMESTAMP(3)`: the table of most cases.
pub fn name_v_et() -> Vec<Column> {
    vec![
        column("name", SqlType::STRING),
        column("v", SqlType::BigInt),
        column("et", SqlType::Timestamp(3)),
    ]
}

fn options(entries: &[(&str, &str)]) -> Options {
    let spanned = |text: &str| Spanned::new(text.to_owned(), Span::default());
    let entries = entries.iter().map(|(key, value)| (spanned(key), spanned(value)));
    Options::new(Span::default(), entries)
}

fn context<'a>(name: &str, columns: &'a [Column]) -> FormatContext<'a> {
    FormatContext { columns, time_zone: UTC, option_prefix: format!("{name}.") }
}

/// Binds a decoding format, or says what is wrong.
pub fn bind(
    name: &str,
    columns: &[Column],
    entries: &[(&str, &str)],
) -> Result<Arc<dyn DecodingFormat>, Vec<String>> {
    let mut options = options(entries);
    let format = decoding(name, &mut options, &context(name, columns));
    let errors = options.finish("the format").err().unwrap_or_default();
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    if errors.is_empty() { Ok(format.expect("bound without an error")) } else { Err(errors) }
}

pub fn bind_encoding(
    name: &str,
    columns: &[Column],
    entries: &[(&str, &str)],
) -> Arc<dyn EncodingFormat> {
    let mut options = options(entries);
    let format = encoding(name, &mut options, &context(name, columns));
    assert_eq!(options.finish("the format"), Ok(()));
    format.expect("bound without an error")
}

pub fn messages(payloads: &[Option<Vec<u8>>]) -> Messages {
    let mut builder = MessagesBuilder::new("t".into(), 0, MessageParts::default());
    for (offset, payload) in payloads.iter().enumerate() {
        builder.push(offset as i64, -1, payload.as_deref(), None, Vec::new);
    }
    builder.finish()
}

/// Decodes `payloads` into every column.
pub fn decode_all(format: &dyn DecodingFormat, width: usize, payloads: &[&str]) -> Decoded {
    let payloads: Vec<_> = payloads.iter().map(|p| Some(p.as_bytes().to_vec())).collect();
    let projection: Vec<usize> = (0..width).collect();
    format.decoder(&projection).decode(&messages(&payloads))
}

pub fn batch(columns: &[Column], decoded: &Decoded) -> RecordBatch {
    for array in &decoded.columns {
        assert_eq!(array.len(), decoded.rows.len());
        array.to_data().validate_full().expect("a decoder makes valid arrays");
    }
    let fields: Vec<_> = columns.iter().map(|column| column.to_field(UTC)).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(decoded.rows.len()));
    RecordBatch::try_new_with_options(
        Arc::new(Schema::new(fields)),
        decoded.columns.clone(),
        &options,
    )
    .expect("a decoder makes the declared columns")
}

/// Each row as `format` writes it.
pub fn lines(
    format: &dyn EncodingFormat,
    columns: &[Column],
    decoded: &Decoded,
) -> Vec<String> {
    let (mut out, mut ends) = (Vec::new(), Vec::new());
    format.encode(&batch(columns, decoded), &mut out, &mut ends).expect("can be written");
    let text = String::from_utf8(out).expect("text formats write text");
    let mut start = 0;
    let cut = |end| {
        let line = text[start..end].to_owned();
        start = end;
        line
    };
    ends.into_iter().map(cut).collect()
}

/// Each row as JSON, whatever format it came in.
pub fn json_lines(columns: &[Column], decoded: &Decoded) -> Vec<String> {
    lines(&*bind_encoding("json", columns, &[]), columns, decoded)
}

/// The messages of a case in `tests/cases`, and its rows in order.
pub fn case(name: &str, input: &str) -> (Vec<Option<Vec<u8>>>, Vec<String>) {
    let folder = format!("{}/tests/cases/{name}", env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| {
        std::fs::read_to_string(format!("{folder}/{file}")).expect("a case has its files")
    };
    let payloads = read(&format!("input/{input}"))
        .lines()
        .map(|line| (line != "<tombstone>").then(|| line.as_bytes().to_vec()))
        .collect();
    let rows = read("expected.csv").lines().map(str::to_owned).collect();
    (payloads, rows)
}

/// Decodes a case and writes its rows as the expected rows are written.
pub fn run_case(
    format: &dyn DecodingFormat,
    columns: &[Column],
    payloads: &[Option<Vec<u8>>],
) -> Vec<String> {
    let projection: Vec<usize> = (0..columns.len()).collect();
    let decoded = format.decoder(&projection).decode(&messages(payloads));
    let encoder = bind_encoding("csv", columns, &[("csv.null-literal", "NULL")]);
    let mut rows = lines(&*encoder, columns, &decoded);
    rows.sort();
    rows
}

/// Decoding `payloads` cut into batches at `cuts` gives what decoding them at
/// once gives.
pub fn assert_grouping_does_not_matter(
    format: &dyn DecodingFormat,
    columns: &[Column],
    payloads: &[Option<Vec<u8>>],
    cuts: &[usize],
) {
    let projection: Vec<usize> = (0..columns.len()).collect();
    let whole = format.decoder(&projection).decode(&messages(payloads));
    let mut decoder = format.decoder(&projection);
    let (mut rows, mut errors, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    let mut start = 0;
    for end in cuts.iter().copied().chain([payloads.len()]) {
        let (from, to) = (start.min(payloads.len()), end.clamp(start, payloads.len()));
        let part = decoder.decode(&messages(&payloads[from..to]));
        texts.extend(json_lines(columns, &part));
        let shift = from as u32;
        rows.extend(part.rows.iter().map(|row| row + shift));
        errors.extend(part.errors.into_iter().map(|e| (e.message + shift, e.reason)));
        start = to;
    }
    assert_eq!(rows, whole.rows);
    assert_eq!(texts, json_lines(columns, &whole));
    let expected: Vec<_> = whole.errors.into_iter().map(|e| (e.message, e.reason)).collect();
    assert_eq!(errors, expected);
}
