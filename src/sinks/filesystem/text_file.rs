//! Text files: a row a line, in whatever way the format writes a row.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::encoder::{EncodeError, FileEncoder};
use crate::formats::EncodingFormat;
use crate::store::Spool;

pub(super) struct TextFile {
    format: Arc<dyn EncodingFormat>,
    spool: Spool,
    /// Rows end to end, and their ends; kept for their memory.
    rows: Vec<u8>,
    ends: Vec<usize>,
    lines: Vec<u8>,
}

impl TextFile {
    pub fn new(format: Arc<dyn EncodingFormat>, spool: Spool) -> Self {
        Self { format, spool, rows: Vec::new(), ends: Vec::new(), lines: Vec::new() }
    }
}

impl FileEncoder for TextFile {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        self.rows.clear();
        self.ends.clear();
        self.lines.clear();
        self.format
            .encode(batch, &mut self.rows, &mut self.ends)
            .map_err(EncodeError::Value)?;
        let mut start = 0;
        for &end in &self.ends {
            self.lines.extend_from_slice(&self.rows[start..end]);
            self.lines.push(b'\n');
            start = end;
        }
        Ok(self.spool.write_all(&self.lines)?)
    }

    fn encoded_bytes(&self) -> u64 {
        self.spool.len()
    }

    fn buffered_bytes(&self) -> usize {
        self.rows.capacity() + self.lines.capacity()
    }

    fn flush(&mut self) -> Result<(), EncodeError> {
        self.rows = Vec::new();
        self.lines = Vec::new();
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<Spool, EncodeError> {
        Ok(self.spool)
    }
}
