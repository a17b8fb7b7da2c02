//! The `print` connector: every row as a line on standard output, as Flink
//! prints it.
//!
//! Rows appear batch by batch as they are written, not when they are
//! committed: a terminal cannot take a line back, and holding lines would only
//! cost memory. Lines of two tables never mix within a batch.

use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::RecordBatch;

use super::{Now, OpenSink, Shown, Sink, SinkCut, SinkError, SinkWriter, value_text};
use crate::diagnostics::Diagnostic;
use crate::options::Options;

pub(super) fn bind(mut options: Options) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
    let identifier = options.take("print-identifier").map(|v| v.value).unwrap_or_default();
    let to_stderr = options.boolean("standard-error", false);
    options.finish("connector `print`")?;
    Ok(Arc::new(Print { identifier, to_stderr }))
}

#[derive(Debug, Clone)]
struct Print {
    identifier: String,
    to_stderr: bool,
}

impl Print {
    fn stream(&self) -> &'static str {
        if self.to_stderr { "stderr" } else { "stdout" }
    }
}

impl Sink for Print {
    fn describe(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![("to", self.stream().to_owned())];
        if !self.identifier.is_empty() {
            facts.push(("print-identifier", self.identifier.clone()));
        }
        facts
    }

    fn open(&self, _request: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError> {
        let writer = PrintWriter { sink: self.clone(), shown: Shown::default() };
        Ok(Box::new(writer))
    }
}

struct PrintWriter {
    sink: Print,
    /// What was shown since the last cut.
    shown: Shown,
}

impl SinkWriter for PrintWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let text = lines(batch, &self.sink.identifier);
        show(&text, self.sink.to_stderr)
            .map_err(|source| SinkError::io(self.sink.stream().to_owned(), source))?;
        self.shown.rows += batch.num_rows() as u64;
        self.shown.bytes += text.len() as u64;
        Ok(())
    }

    fn has_news(&self, _: Now) -> bool {
        false
    }

    fn cut(&mut self, _: &str, _: Now, _: bool) -> Result<SinkCut, SinkError> {
        Ok(SinkCut { shown: std::mem::take(&mut self.shown), ..SinkCut::default() })
    }
}

fn show(text: &str, to_stderr: bool) -> io::Result<()> {
    if to_stderr {
        return io::stderr().lock().write_all(text.as_bytes());
    }
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn lines(batch: &RecordBatch, identifier: &str) -> String {
    let mut out = String::new();
    for row in 0..batch.num_rows() {
        if !identifier.is_empty() {
            out.push_str(identifier);
            out.push_str("> ");
        }
        value_text::append_row(&mut out, batch.columns(), row)
            .expect("a String takes every write");
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, StringViewArray, TimestampMicrosecondArray};

    use super::*;

    #[test]
    fn a_line_reads_as_flink_prints_it() {
        let columns: [(&str, ArrayRef); 3] = [
            ("name", Arc::new(StringViewArray::from(vec![Some("a"), None]))),
            ("n", Arc::new(Int64Array::from(vec![1, 2]))),
            ("at", Arc::new(TimestampMicrosecondArray::from(vec![0, 1_000_000]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
        let bare = "+I[a, 1, 1970-01-01T00:00]\n+I[null, 2, 1970-01-01T00:00:01]\n";
        assert_eq!(lines(&batch, ""), bare);
        assert!(lines(&batch, "debug").starts_with("debug> +I[a, 1, "));
    }
}
