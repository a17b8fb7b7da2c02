//! Rows in a row that are split by their delimiters alone, with the texts of each
//! column side by side: a column converts them in one loop, not one field at a
//! time.

use super::fields::Dialect;

/// The most rows of a run.
pub const MAX_ROWS: usize = 128;

#[derive(Debug)]
pub struct Run<'a> {
    /// Of each column that is wanted.
    columns: Vec<Vec<&'a str>>,
    /// Of which message each row is.
    messages: Vec<u32>,
}

impl<'a> Run<'a> {
    pub fn new(columns: usize) -> Self {
        let column = || Vec::with_capacity(MAX_ROWS);
        let columns = std::iter::repeat_with(column).take(columns).collect();
        Self { columns, messages: Vec::with_capacity(MAX_ROWS) }
    }

    pub fn clear(&mut self) {
        self.cut(0);
    }

    pub fn columns(&self) -> &[Vec<&'a str>] {
        &self.columns
    }

    pub fn messages(&self) -> &[u32] {
        &self.messages
    }

    /// Takes the first row of `text`, if it is plain, has `width` fields, and none
    /// of those that are `wanted` is `null`. False: it was not taken.
    pub fn take(
        &mut self,
        message: u32,
        text: &'a str,
        dialect: &Dialect,
        (wanted, width): (impl Iterator<Item = usize>, usize),
        null: Option<&str>,
    ) -> bool {
        let Some(row) = dialect.plain_row(text) else { return false };
        let mut fields = 0;
        let mut wanted = wanted.zip(&mut self.columns).peekable();
        let mut is_null = false;
        for field in dialect.plain_fields(row) {
            if let Some((_, column)) = wanted.next_if(|(at, _)| *at == fields) {
                column.push(field);
                is_null |= null == Some(field);
            }
            fields += 1;
        }
        if fields != width || is_null {
            self.cut(self.messages.len());
            return false;
        }
        self.messages.push(message);
        true
    }

    fn cut(&mut self, rows: usize) {
        self.messages.truncate(rows);
        for column in &mut self.columns {
            column.truncate(rows);
        }
    }
}
