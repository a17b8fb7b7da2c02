//! The `blackhole` connector: takes every row and keeps none.
//!
//! It counts what it swallows, so that a run over it still says how much there
//! was. It has no options.

use std::sync::Arc;

use arrow::array::RecordBatch;

use super::{Now, OpenSink, Shown, Sink, SinkCut, SinkError, SinkWriter};
use crate::diagnostics::Diagnostic;
use crate::options::Options;

pub(super) fn bind(options: Options) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
    options.finish("connector `blackhole`")?;
    Ok(Arc::new(Blackhole))
}

#[derive(Debug)]
struct Blackhole;

impl Sink for Blackhole {
    fn describe(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn open(&self, _request: &OpenSink) -> Result<Box<dyn SinkWriter>, SinkError> {
        Ok(Box::new(BlackholeWriter::default()))
    }
}

#[derive(Debug, Default)]
struct BlackholeWriter {
    pending_rows: u64,
}

impl SinkWriter for BlackholeWriter {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), SinkError> {
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
