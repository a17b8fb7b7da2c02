//! Rows in a row that are split by their delimiters alone, so that each column can
//! convert its texts in one loop and not one field at a time.

use super::fields::Dialect;

/// The most rows of a run.
pub const MAX_ROWS: usize = 128;

#[derive(Debug)]
pub struct Run<'a> {
    /// Of the fields that are wanted, row by row.
    texts: Vec<&'a str>,
    /// How many of them a row has.
    columns: usize,
    /// Of which message each row is.
    messages: Vec<u32>,
}

impl<'a> Run<'a> {
    pub fn new(columns: usize) -> Self {
        let texts = Vec::with_capacity(MAX_ROWS * columns);
        Self { texts, columns, messages: Vec::with_capacity(MAX_ROWS) }
    }

    pub fn clear(&mut self) {
        self.texts.clear();
        self.messages.clear();
    }

    pub fn messages(&self) -> &[u32] {
        &self.messages
    }

    /// The texts of a column.
    pub fn column(&self, column: usize) -> impl Iterator<Item = &'a str> {
        self.texts.chunks_exact(self.columns).map(move |row| row[column])
    }

    /// Takes the first row of `text`, if it is plain, has `width` fields, and none
    /// of those that are `wanted` is `null`. False: it was not taken.
    pub fn take(
        &mut self,
        message: u32,
        text: &'a str,
        dialect: &Dialect,
        (wanted, width): (&[usize], usize),
        null: Option<&str>,
    ) -> bool {
        let Some(row) = dialect.plain_row(text) else { return false };
        let before = self.texts.len();
        let mut wanted = wanted.iter().peekable();
        let mut fields = 0;
        for field in dialect.plain_fields(row) {
            if wanted.next_if_eq(&&fields).is_some() {
                self.texts.push(field);
            }
            fields += 1;
        }
        let is_null = null.is_some_and(|null| self.texts[before..].contains(&null));
        if fields != width || is_null {
            self.texts.truncate(before);
            return false;
        }
        self.messages.push(message);
        true
    }
}
