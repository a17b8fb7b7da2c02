//! Decodes JSON messages into columns, one pass over each payload.
//!
//! Only the keys that are wanted are converted; the others are gone past. A
//! message that cannot be decoded leaves the columns as they were before it.

use std::collections::HashSet;

use arrow::buffer::Buffer;

use super::super::columns::{ColumnBuilder, TextForm, Values};
use super::super::names::Names;
use super::super::texts::Texts;
use super::super::views::TextBuilder;
use super::super::{DecodeError, Decoded, Decoder, Messages};
use super::compact::compact;
use super::fault::Fault;
use super::scan::{Malformed, Quoted, Scanner, Token, unescape};

/// What the table's options say about decoding.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    pub ignore_parse_errors: bool,
    pub fail_on_missing_field: bool,
    pub form: TextForm,
}

#[derive(Debug)]
pub struct JsonDecoder {
    names: Names,
    columns: Vec<ColumnBuilder>,
    reader: Reader,
}

impl JsonDecoder {
    pub fn new(names: Names, columns: Vec<ColumnBuilder>, rules: Rules) -> Self {
        let reader = Reader { rules, text: String::new(), bytes: Vec::new() };
        Self { names, columns, reader }
    }

    /// Decodes one payload into rows from `row` on; returns how many it made.
    fn message(&mut self, text: &str, row: usize) -> Result<usize, Fault> {
        let mut scanner = Scanner::new(text);
        match scanner.token()? {
            Token::Object => {
                self.object(&mut scanner, row)?;
                Ok(1)
            }
            Token::Array => self.array(&mut scanner, row),
            _ => Err(Fault::not_an_object()),
        }
    }

    /// A message may be an array of objects, each a row.
    fn array(&mut self, scanner: &mut Scanner<'_>, row: usize) -> Result<usize, Fault> {
        let mut made = 0;
        let mut first = true;
        while scanner.next_item(first)? {
            first = false;
            match scanner.token()? {
                Token::Object => {
                    self.object(scanner, row + made)?;
                    made += 1;
                }
                Token::Null => {}
                token if self.reader.rules.ignore_parse_errors => scanner.skip_rest(token)?,
                _ => return Err(Fault::not_an_object()),
            }
        }
        Ok(made)
    }

    fn object(&mut self, scanner: &mut Scanner<'_>, row: usize) -> Result<(), Fault> {
        self.reader.fields(scanner, &mut self.names, &mut self.columns, row)?;
        for (index, column) in self.columns.iter().enumerate() {
            if column.breaks_not_null(row) {
                return Err(Fault::null(self.names.name(index)));
            }
        }
        Ok(())
    }

    fn cut(&mut self, rows: usize) {
        for column in &mut self.columns {
            column.truncate(rows);
        }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, messages: &Messages) -> Decoded {
        start(&mut self.columns, &messages.bytes, messages.len());
        let texts = Texts::of(messages);
        let mut rows: Vec<u32> = Vec::with_capacity(messages.len());
        let mut errors = Vec::new();
        for message in 0..messages.len() {
            // Nothing, and nothing in it, is no row and no error.
            if messages.payload(message).is_none_or(<[u8]>::is_empty) {
                continue;
            }
            let index = u32::try_from(message).expect("a batch holds at most 2 GiB");
            let made = match texts.get(message) {
                Some(text) => self.message(text, rows.len()).map_err(|f| f.describe(text)),
                None => Err("the message is not valid UTF-8".to_owned()),
            };
            match made {
                Ok(made) => rows.extend(std::iter::repeat_n(index, made)),
                Err(reason) => {
                    self.cut(rows.len());
                    errors.push(DecodeError { message: index, reason });
                }
            }
        }
        let columns = self.columns.iter_mut().map(ColumnBuilder::finish).collect();
        Decoded { columns, rows, errors }
    }
}

fn start(columns: &mut [ColumnBuilder], base: &Buffer, rows: usize) {
    for column in columns {
        column.start(base, rows);
    }
}

/// Reads values into builders; holds what it would otherwise allocate anew.
#[derive(Debug)]
struct Reader {
    rules: Rules,
    text: String,
    bytes: Vec<u8>,
}

impl Reader {
    /// Behind `{`: reads the members that have a builder, each into its place
    /// `row`; of a repeated key the last counts.
    fn fields(
        &mut self,
        scanner: &mut Scanner<'_>,
        names: &mut Names,
        fields: &mut [ColumnBuilder],
        row: usize,
    ) -> Result<(), Fault> {
        let mut guess = 0;
        let mut member = 0;
        let mut first = true;
        loop {
            let found = match names.habitual(member, scanner.rest()) {
                Some((length, found)) => {
                    scanner.pass(length);
                    member += 1;
                    found
                }
                None => {
                    let start = scanner.here();
                    let Some(key) = scanner.next_key(first)? else { break };
                    let found = self.find(names, key, guess);
                    scanner.value_start();
                    member = names.learn(member, scanner.since(start), found);
                    found
                }
            };
            first = false;
            let Some(index) = found else {
                scanner.skip_value()?;
                continue;
            };
            guess = index + 1;
            let field = &mut fields[index];
            if field.len() > row {
                field.truncate(row);
            }
            self.value(scanner, field).map_err(|fault| fault.inside(names.name(index)))?;
        }
        for (index, field) in fields.iter_mut().enumerate() {
            if field.len() == row {
                if self.rules.fail_on_missing_field {
                    return Err(Fault::missing(names.name(index)));
                }
                field.push_null();
            }
        }
        Ok(())
    }

    fn find(&mut self, names: &Names, key: Quoted<'_>, guess: usize) -> Option<usize> {
        if !key.escaped {
            return names.find(key.raw, guess);
        }
        self.text.clear();
        unescape(key, &mut self.text);
        names.find(&self.text, guess)
    }

    /// Reads the next value into `builder`, or what the rules make of it.
    fn value(
        &mut self,
        scanner: &mut Scanner<'_>,
        builder: &mut ColumnBuilder,
    ) -> Result<(), Fault> {
        if let Values::BigInt(values) = &mut builder.values
            && let Some(value) = scanner.plain_integer()
        {
            values.push(value);
            builder.commit();
            return Ok(());
        }
        let start = scanner.value_start();
        let token = scanner.token()?;
        let pushed = match (token, &mut builder.values) {
            (Token::Null, _) => {
                builder.push_null();
                Some(())
            }
            (Token::String(quoted), _) => self.string(quoted, builder),
            (Token::Number { text, fractional }, _) => {
                builder.push_number(text, fractional, self.rules.form)
            }
            (Token::True, _) => self.literal("true", builder),
            (Token::False, _) => self.literal("false", builder),
            (Token::Object, Values::Row { .. }) => return self.row(scanner, builder),
            (Token::Object, Values::Map { .. }) => return self.map(scanner, builder),
            (Token::Array, Values::Array { .. }) => return self.array(scanner, builder),
            (Token::Object | Token::Array, Values::Text(_)) => {
                self.container_text(scanner, token, builder)?
            }
            (Token::Object | Token::Array, _) => {
                scanner.skip_rest(token)?;
                None
            }
        };
        match pushed {
            Some(()) => Ok(()),
            None if self.rules.ignore_parse_errors => {
                builder.push_null();
                Ok(())
            }
            None => Err(Fault::value(&builder.ty, scanner.since(start))),
        }
    }

    fn string(&mut self, quoted: Quoted<'_>, builder: &mut ColumnBuilder) -> Option<()> {
        if !quoted.escaped {
            return builder.push_text(quoted.raw, self.rules.form);
        }
        self.text.clear();
        unescape(quoted, &mut self.text);
        builder.push_text(&self.text, self.rules.form)
    }

    fn literal(&mut self, text: &'static str, builder: &mut ColumnBuilder) -> Option<()> {
        match builder.values {
            Values::Boolean(_) | Values::Text(_) => builder.push_text(text, self.rules.form),
            _ => None,
        }
    }

    fn container_text<'a>(
        &mut self,
        scanner: &mut Scanner<'a>,
        token: Token<'a>,
        builder: &mut ColumnBuilder,
    ) -> Result<Option<()>, Malformed> {
        self.bytes.clear();
        compact(scanner, token, &mut self.bytes)?;
        let text = str::from_utf8(&self.bytes).expect("made of text");
        Ok(builder.push_text(text, self.rules.form))
    }

    fn row(
        &mut self,
        scanner: &mut Scanner<'_>,
        builder: &mut ColumnBuilder,
    ) -> Result<(), Fault> {
        let row = builder.len();
        let Values::Row { names, fields } = &mut builder.values else {
            unreachable!("the caller saw a ROW");
        };
        self.fields(scanner, names, fields, row)?;
        builder.commit();
        Ok(())
    }

    fn array(
        &mut self,
        scanner: &mut Scanner<'_>,
        builder: &mut ColumnBuilder,
    ) -> Result<(), Fault> {
        let Values::Array { offsets, items } = &mut builder.values else {
            unreachable!("the caller saw an ARRAY");
        };
        let mut first = true;
        while scanner.next_item(first)? {
            first = false;
            self.value(scanner, items)?;
        }
        offsets.push(items.len() as i32);
        builder.commit();
        Ok(())
    }

    fn map(
        &mut self,
        scanner: &mut Scanner<'_>,
        builder: &mut ColumnBuilder,
    ) -> Result<(), Fault> {
        let Values::Map { offsets, keys, values } = &mut builder.values else {
            unreachable!("the caller saw a MAP");
        };
        let start = keys.len();
        let mut again = *scanner;
        self.entries(scanner, keys, values, &[])?;
        if has_repeated_key(keys, start) {
            let repeated = repeated_keys(keys, start);
            keys.truncate(start);
            values.truncate(start);
            self.entries(&mut again, keys, values, &repeated)?;
        }
        offsets.push(keys.len() as i32);
        builder.commit();
        Ok(())
    }

    /// Behind `{`: reads every member except those that are to be `left_out`.
    fn entries(
        &mut self,
        scanner: &mut Scanner<'_>,
        keys: &mut ColumnBuilder,
        values: &mut ColumnBuilder,
        left_out: &[bool],
    ) -> Result<(), Fault> {
        let mut member = 0;
        while let Some(key) = scanner.next_key(member == 0)? {
            if left_out.get(member).is_some_and(|out| *out) {
                scanner.skip_value()?;
            } else {
                self.string(key, keys).expect("the keys of a MAP are text");
                self.value(scanner, values)?;
            }
            member += 1;
        }
        Ok(())
    }
}

/// Up to this many keys are compared each with each.
const MAX_KEYS_TO_COMPARE: usize = 16;

fn has_repeated_key(keys: &ColumnBuilder, start: usize) -> bool {
    let count = keys.len() - start;
    if count > MAX_KEYS_TO_COMPARE {
        return repeated_keys(keys, start).contains(&true);
    }
    let texts = key_texts(keys);
    (start..keys.len()).any(|a| (start..a).any(|b| texts.value(a) == texts.value(b)))
}

/// Which of the keys from `start` on come again later, so that a map holds
/// the last value of each key only.
fn repeated_keys(keys: &ColumnBuilder, start: usize) -> Vec<bool> {
    let texts = key_texts(keys);
    let count = keys.len() - start;
    let mut seen = HashSet::with_capacity(count);
    let mut repeated = vec![false; count];
    for at in (0..count).rev() {
        repeated[at] = !seen.insert(texts.value(start + at));
    }
    repeated
}

fn key_texts(keys: &ColumnBuilder) -> &TextBuilder {
    match &keys.values {
        Values::Text(texts) => texts,
        _ => unreachable!("the keys of a MAP are text"),
    }
}
