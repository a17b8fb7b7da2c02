//! Rows as lines on standard output, and rows dropped: Flink's `print` and
//! `blackhole`.

use std::io::Write as _;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{OpenSink, Published, Sink, SinkError, SinkTable, SinkWriter};
use crate::diagnostics::Diagnostic;
use crate::options::Options;

#[derive(Debug, Clone)]
struct Print {
    identifier: Option<String>,
    to_stderr: bool,
}

/// `'connector' = 'print'`.
pub fn bind_print(mut options: Options) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
    options.take("connector");
    let identifier = options.take("print-identifier").map(|v| v.value);
    let to_stderr = options.boolean("standard-error", false);
    options.finish("connector `print`")?;
    Ok(Arc::new(Print { identifier, to_stderr }))
}

impl Sink for Print {
    fn describe(&self) -> Vec<(&'static str, String)> {
        let to = if self.to_stderr { "standard error" } else { "standard output" };
        vec![("to", to.to_owned())]
    }

    fn open(&self, _: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(PrintWriter { print: self.clone(), text: String::new(), rows: 0 }))
    }
}

struct PrintWriter {
    print: Print,
    text: String,
    rows: u64,
}

impl PrintWriter {
    /// `+I[a, 1, 2023-09-23T16:55]`, a line each.
    fn format(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let options = FormatOptions::default().with_null("null");
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref() as &dyn Array, &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            if let Some(identifier) = &self.print.identifier {
                self.text.push_str(identifier);
                self.text.push_str("> ");
            }
            self.text.push_str("+I[");
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    self.text.push_str(", ");
                }
                self.text.push_str(&column.value(row).to_string());
            }
            self.text.push_str("]\n");
        }
        Ok(())
    }
}

impl SinkWriter for PrintWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        let path = "print".to_owned();
        self.format(batch).map_err(|e| SinkError::Encode { path, reason: e.to_string() })?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    fn pending_rows(&self) -> u64 {
        self.rows
    }

    fn publish(&mut self) -> Result<Published, SinkError> {
        let text = std::mem::take(&mut self.text);
        let written = if self.print.to_stderr {
            std::io::stderr().lock().write_all(text.as_bytes())
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
        let path = "standard output".to_owned();
        written.map_err(|source| SinkError::Io { path, source })?;
        let rows = std::mem::take(&mut self.rows);
        Ok(Published { files: 0, rows, bytes: text.len() as u64 })
    }
}

#[derive(Debug, Clone, Copy)]
struct Blackhole;

/// `'connector' = 'blackhole'`.
pub fn bind_blackhole(
    _: &SinkTable<'_>,
    mut options: Options,
) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
    options.take("connector");
    options.finish("connector `blackhole`")?;
    Ok(Arc::new(Blackhole))
}

impl Sink for Blackhole {
    fn describe(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn open(&self, _: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(*self))
    }
}

impl SinkWriter for Blackhole {
    fn write(&mut self, _: &RecordBatch) -> Result<(), SinkError> {
        Ok(())
    }

    fn pending_rows(&self) -> u64 {
        0
    }

    fn publish(&mut self) -> Result<Published, SinkError> {
        Ok(Published::default())
    }
}
