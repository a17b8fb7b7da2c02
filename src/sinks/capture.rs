//! Rows kept in memory, in place of a sink: what `preview` shows, and what a
//! golden case compares of a table that is no files.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::RecordBatch;

use super::{Now, OpenSink, Shown, Sink, SinkCut, SinkError, SinkWriter};

/// Keeps the first rows that are written to it.
#[derive(Clone)]
pub struct Capture {
    limit: usize,
    kept: Arc<Mutex<Vec<RecordBatch>>>,
    on_full: Arc<dyn Fn() + Send + Sync>,
}

impl Capture {
    /// Keeps `limit` rows, and says when it has them.
    pub fn first(limit: usize, on_full: impl Fn() + Send + Sync + 'static) -> Self {
        Self { limit, kept: Arc::default(), on_full: Arc::new(on_full) }
    }

    /// Keeps all rows.
    pub fn all() -> Self {
        Self::first(usize::MAX, || ())
    }

    /// What was kept since the last time.
    pub fn take(&self) -> Vec<RecordBatch> {
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn keep(&self, batch: &RecordBatch) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let before: usize = kept.iter().map(RecordBatch::num_rows).sum();
        let room = self.limit - before;
        if room == 0 {
            return;
        }
        kept.push(batch.slice(0, batch.num_rows().min(room)));
        if batch.num_rows() >= room {
            (self.on_full)();
        }
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Capture({})", self.limit)
    }
}

impl Sink for Capture {
    fn describe(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn open(&self, _request: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(CaptureWriter { sink: self.clone(), pending_rows: 0 }))
    }
}

struct CaptureWriter {
    sink: Capture,
    pending_rows: u64,
}

impl SinkWriter for CaptureWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
        self.sink.keep(batch);
        self.pending_rows += batch.num_rows() as u64;
        Ok(())
    }

    fn has_news(&self, _: Now) -> bool {
        self.pending_rows > 0
    }

    fn cut(&mut self, _: &str, _: Now, _: bool) -> Result<SinkCut, SinkError> {
        let rows = std::mem::take(&mut self.pending_rows);
        Ok(SinkCut { shown: Shown { rows, bytes: 0 }, ..SinkCut::default() })
    }
}
