//! Decodes CSV messages into columns, one pass over each payload.

use super::super::columns::{ColumnBuilder, TextForm, Values};
use super::super::parse::trim;
use super::super::texts::{Texts, excerpt};
use super::super::{DecodeError, Decoded, Decoder, Messages};
use super::CsvOptions;
use super::fields::{Field, QuotedFields};
use super::run::{self, Run};
use crate::types::Column;

#[derive(Debug)]
pub struct CsvDecoder {
    /// The columns to fill, in the order of their fields.
    wanted: Vec<Wanted>,
    /// Which fields of a row those are.
    fields: Vec<usize>,
    /// How many fields a row has.
    width: usize,
    options: CsvOptions,
    buffer: String,
    /// The most rows of a run; fewer after one that had to be cut.
    run: usize,
    max_run: usize,
}

#[derive(Debug)]
struct Wanted {
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
            name: columns[field].name.clone(),
            builder: ColumnBuilder::new(&columns[field].ty, time_zone),
        });
        let wanted: Vec<Wanted> = wanted.collect();
        // The text of a list is more than one value.
        let is_list =
            |w: &Wanted| matches!(w.builder.values, Values::Array { .. } | Values::Row { .. });
        let max_run = if wanted.iter().any(is_list) { 0 } else { run::MAX_ROWS };
        let (width, buffer) = (columns.len(), String::new());
        let fields = projection.to_vec();
        Self { wanted, fields, width, options, buffer, run: max_run, max_run }
    }

    /// Splits messages from `next` on into a run. Gives the one behind it: the run is
    /// long enough, or that message has to be read on its own.
    fn split<'a>(&self, texts: &Texts<'a>, mut next: usize, run: &mut Run<'a>) -> usize {
        run.clear();
        let dialect = &self.options.dialect;
        let null = self.options.null_literal.as_deref();
        while next < texts.len() && run.messages().len() < self.run {
            if !texts.is_null(next) {
                let Some(text) = texts.get(next) else { break };
                let text = dialect.skip_comments(text);
                let fields = (&self.fields[..], self.width);
                let message = index(next);
                if text.is_empty() || !run.take(message, text, dialect, fields, null) {
                    break;
                }
            }
            next += 1;
        }
        next
    }

    /// Converts a run behind `row` rows, column by column. Gives how many of its rows
    /// come before the first that cannot be converted; the columns end with them.
    fn convert(&mut self, run: &Run<'_>, row: usize) -> usize {
        let mut good = run.messages().len();
        for (column, wanted) in self.wanted.iter_mut().enumerate() {
            good = wanted.builder.push_texts(run.column(column).take(good), TextForm::Csv);
            good = wanted.builder.first_breaking_not_null(row, row + good) - row;
        }
        self.cut(row + good);
        self.run = match good == run.messages().len() {
            true => (self.run * 2).max(1).min(self.max_run),
            false => good,
        };
        good
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
            if self.fields.get(next) == Some(&width) {
                self.wanted[next].push(field, &self.options)?;
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
            if self.fields.get(next) == Some(&width) {
                self.wanted[next].push(value, &self.options)?;
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

fn index(message: usize) -> u32 {
    u32::try_from(message).expect("a batch holds at most 2 GiB")
}

impl Decoder for CsvDecoder {
    fn decode(&mut self, messages: &Messages) -> Decoded {
        for wanted in &mut self.wanted {
            wanted.builder.start(&messages.bytes, messages.len());
        }
        let texts = Texts::of(messages);
        let mut rows = Vec::with_capacity(messages.len());
        let mut errors = Vec::new();
        let mut run = Run::new(self.wanted.len());
        let mut next = 0;
        while next < texts.len() {
            next = self.split(&texts, next, &mut run);
            let good = self.convert(&run, rows.len());
            rows.extend_from_slice(&run.messages()[..good]);
            // The message behind is read on its own.
            let alone = run.messages().get(good).map_or(next, |message| *message as usize);
            next = alone + 1;
            if alone == texts.len() || texts.is_null(alone) {
                continue;
            }
            let made = match texts.get(alone) {
                Some(text) => self.message(text, rows.len()),
                None => Err("the message is not valid UTF-8".to_owned()),
            };
            match made {
                Ok(()) => rows.push(index(alone)),
                Err(reason) => {
                    self.cut(rows.len());
                    errors.push(DecodeError { message: index(alone), reason });
                }
            }
        }
        let columns = self.wanted.iter_mut().map(|wanted| wanted.builder.finish()).collect();
        Decoded { columns, rows, errors }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields::Dialect;
    use super::*;
    use crate::formats::testing::{column, json_lines, messages};
    use crate::types::SqlType;

    fn columns() -> Vec<Column> {
        let mut restricted = column("price", SqlType::Decimal { precision: 3, scale: 1 });
        restricted.ty.nullable = false;
        vec![
            column("name", SqlType::STRING),
            column("count", SqlType::BigInt),
            restricted,
            column("et", SqlType::Timestamp(3)),
            column("weight", SqlType::Double),
        ]
    }

    fn message() -> impl Strategy<Value = Option<Vec<u8>>> {
        let fields = [
            "[a-zé]{0,20}|NULL|\"q,\"\"\"",
            "-?[0-9]{1,19}| 7 |NULL|x?",
            "[0-9]{1,2}(\\.[0-9])?|1234|",
            "1970-01-01 00:00:0[0-9]|1970-02-31 24:00:00|NULL|x",
            "1e3|[0-9]{1,3}|NULL|more,x",
        ];
        let fields: Vec<_> =
            fields.into_iter().map(|f| f.prop_map(|text: String| text)).collect();
        (fields, 0..40u8).prop_map(|(fields, kind)| {
            let mut bytes = fields.join(",").into_bytes();
            match kind {
                0 => return None,
                1 => bytes.clear(),
                2 => bytes.push(0xc3),
                3 => bytes.extend(b"\r\n,next,row"),
                4 => bytes.push(b','),
                5 => bytes.truncate(3),
                6 => bytes.splice(0..0, *b"# comment\n").for_each(drop),
                _ => {}
            }
            Some(bytes)
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// Read in runs or one by one, it is the same.
        #[test]
        fn runs_change_nothing(
            payloads in prop::collection::vec(message(), 0..300),
            projection in prop::sample::subsequence(vec![0usize, 1, 2, 3, 4], 0..=5),
            ignore_parse_errors: bool,
            comments: bool,
            has_null_literal: bool,
        ) {
            let options = CsvOptions {
                dialect: Dialect { delimiter: b',', quote: Some(b'"'), escape: None, comments },
                array_delimiter: ';',
                null_literal: has_null_literal.then(|| "NULL".to_owned()),
                ignore_parse_errors,
                scientific_decimals: true,
            };
            let columns = columns();
            let mut in_runs = CsvDecoder::new(&columns, &projection, "UTC", options.clone());
            let mut one_by_one = CsvDecoder::new(&columns, &projection, "UTC", options);
            (one_by_one.run, one_by_one.max_run) = (0, 0);
            let wanted: Vec<Column> = projection.iter().map(|at| columns[*at].clone()).collect();
            // The second batch begins with runs as the first has left them.
            for payloads in payloads.chunks(180) {
                let messages = messages(payloads);
                let (a, b) = (in_runs.decode(&messages), one_by_one.decode(&messages));
                prop_assert_eq!(&a.rows, &b.rows);
                let told = |d: &Decoded| {
                    let each = d.errors.iter().map(|e| (e.message, e.reason.clone()));
                    each.collect::<Vec<_>>()
                };
                prop_assert_eq!(told(&a), told(&b));
                if !wanted.is_empty() {
                    prop_assert_eq!(json_lines(&wanted, &a), json_lines(&wanted, &b));
                }
            }
        }
    }
}
