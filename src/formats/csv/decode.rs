//! Decodes CSV messages into columns, one pass over each payload.

use super::super::columns::{ColumnBuilder, TextForm, Values};
use super::super::parse::trim;
use super::super::texts::{Texts, excerpt};
use super::super::{DecodeError, Decoded, Decoder, Messages};
use super::CsvOptions;
use super::fields::{Field, QuotedFields};
use crate::types::Column;

#[derive(Debug)]
pub struct CsvDecoder {
    /// The columns to fill, in the order of their fields.
    wanted: Vec<Wanted>,
    /// How many fields a row has.
    width: usize,
    options: CsvOptions,
    buffer: String,
}

#[derive(Debug)]
struct Wanted {
    /// Which field of a row.
    field: usize,
    name: String,
    builder: ColumnBuilder,
}

impl CsvDecoder {
    pub fn new(
        columns: &[Column],
        projection: &[usize],
        time_zone: &str,
        options: CsvOptions,
    ) -> Self {
        let wanted = projection.iter().map(|&field| Wanted {
            field,
            name: columns[field].name.clone(),
            builder: ColumnBuilder::new(&columns[field].ty, time_zone),
        });
        let width = columns.len();
        Self { wanted: wanted.collect(), width, options, buffer: String::new() }
    }

    /// Decodes one payload into the row `row`.
    fn message(&mut self, text: &str, row: usize) -> Result<(), String> {
        let text = self.options.dialect.skip_comments(text);
        if text.is_empty() {
            return Err("the message is empty".to_owned());
        }
        let width = match self.options.dialect.plain_row(text) {
            Some(plain) => self.plain_row(plain)?,
            None => self.quoted_row(text)?,
        };
        if width > self.width || (width < self.width && !self.options.ignore_parse_errors) {
            let expected = self.width;
            return Err(format!(
                "row length mismatch: {expected} fields expected but was {width}, in {}",
                excerpt(text)
            ));
        }
        for Wanted { builder, name, .. } in &mut self.wanted {
            if builder.len() == row {
                builder.push_null();
            }
            if builder.breaks_not_null(row) {
                return Err(format!("field `{name}`: NULL where NOT NULL is declared"));
            }
        }
        Ok(())
    }

    /// Reads every field that is wanted; returns how many fields there are.
    fn plain_row(&mut self, row: &str) -> Result<usize, String> {
        let mut width = 0;
        let mut next = 0;
        let mut last = "";
        for field in self.options.dialect.plain_fields(row) {
            if let Some(wanted) = self.wanted.get_mut(next)
                && wanted.field == width
            {
                wanted.push(field, &self.options)?;
                next += 1;
            }
            width += 1;
            last = field;
        }
        Ok(self.without_blank_end(width, last))
    }

    fn quoted_row(&mut self, text: &str) -> Result<usize, String> {
        let mut fields = QuotedFields::new(text, self.options.dialect);
        let mut width = 0;
        let mut next = 0;
        let mut last_is_blank = false;
        while let Some(field) = fields.next(&mut self.buffer).map_err(|why| {
            format!("not valid CSV in field {}: {why}, in {}", width + 1, excerpt(text))
        })? {
            let value = match field {
                Field::Whole(value) => value,
                Field::InBuffer => &self.buffer,
            };
            if let Some(wanted) = self.wanted.get_mut(next)
                && wanted.field == width
            {
                wanted.push(value, &self.options)?;
                next += 1;
            }
            width += 1;
            last_is_blank = trim(value).is_empty();
        }
        Ok(self.without_blank_end(width, if last_is_blank { "" } else { "-" }))
    }

    /// Jackson takes a row with a delimiter at its end for one field less.
    fn without_blank_end(&self, width: usize, last: &str) -> usize {
        if width == self.width + 1 && trim(last).is_empty() { self.width } else { width }
    }

    fn cut(&mut self, rows: usize) {
        for wanted in &mut self.wanted {
            wanted.builder.truncate(rows);
        }
    }
}

impl Wanted {
    fn push(&mut self, text: &str, options: &CsvOptions) -> Result<(), String> {
        push_field(&mut self.builder, text, options)
            .map_err(|why| format!("field `{}`: {why}", self.name))
    }
}

/// Converts a field, which may be a list of values.
fn push_field(
    builder: &mut ColumnBuilder,
    text: &str,
    options: &CsvOptions,
) -> Result<(), String> {
    match &mut builder.values {
        Values::Array { offsets, items } => {
            for element in elements(text, options.array_delimiter) {
                push_value(items, element, options)?;
            }
            offsets.push(items.len() as i32);
            builder.commit();
            Ok(())
        }
        Values::Row { .. } => push_row(builder, text, options),
        _ => push_value(builder, text, options),
    }
}

fn push_row(
    builder: &mut ColumnBuilder,
    text: &str,
    options: &CsvOptions,
) -> Result<(), String> {
    let row = builder.len();
    let ColumnBuilder { values: Values::Row { names, fields }, .. } = builder else {
        unreachable!("the caller saw a ROW");
    };
    let count = elements(text, options.array_delimiter).count();
    if count == 0 {
        builder.push_null();
        return Ok(());
    }
    if count < fields.len() && !options.ignore_parse_errors {
        return Err(format!("{} elements expected but was {count}", fields.len()));
    }
    let pairs = fields.iter_mut().zip(elements(text, options.array_delimiter));
    for (index, (field, element)) in pairs.enumerate() {
        push_value(field, element, options)
            .map_err(|why| format!("`{}`: {why}", names.name(index)))?;
    }
    for field in fields.iter_mut().filter(|field| field.len() == row) {
        field.push_null();
    }
    builder.commit();
    Ok(())
}

fn push_value(
    builder: &mut ColumnBuilder,
    text: &str,
    options: &CsvOptions,
) -> Result<(), String> {
    if options.null_literal.as_deref() == Some(text) {
        builder.push_null();
        return Ok(());
    }
    match builder.push_text(text, TextForm::Csv) {
        Some(()) => Ok(()),
        None if options.ignore_parse_errors => {
            builder.push_null();
            Ok(())
        }
        None => Err(format!("expected {}, found \"{}\"", builder.ty, excerpt(text))),
    }
}

/// The elements of a list; blank text has none.
fn elements(text: &str, delimiter: char) -> impl Iterator<Item = &str> {
    let some = !trim(text).is_empty() || text.contains(delimiter);
    some.then(|| text.split(delimiter)).into_iter().flatten()
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, messages: &Messages) -> Decoded {
        for wanted in &mut self.wanted {
            wanted.builder.start(&messages.bytes, messages.len());
        }
        let texts = Texts::of(messages);
        let mut rows = Vec::with_capacity(messages.len());
        let mut errors = Vec::new();
        for message in 0..messages.len() {
            if messages.payloads[message].is_null() {
                continue;
            }
            let index = u32::try_from(message).expect("a batch holds at most 2 GiB");
            let made = match texts.get(message) {
                Some(text) => self.message(text, rows.len()),
                None => Err("the message is not valid UTF-8".to_owned()),
            };
            match made {
                Ok(()) => rows.push(index),
                Err(reason) => {
                    self.cut(rows.len());
                    errors.push(DecodeError { message: index, reason });
                }
            }
        }
        let columns = self.wanted.iter_mut().map(|wanted| wanted.builder.finish()).collect();
        Decoded { columns, rows, errors }
    }
}
