//! The `datagen` connector: makes rows itself, for tests and demos.
//!
//! Options, kinds and defaults are Flink's. One split, whose offsets are row
//! numbers, so that a sequence goes on where it was left.

mod generator;
mod options;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};

use super::{
    BoundSource, Data, OpenRequest, OpenSource, Polled, Source, SourceError, SourceTable,
    Split, SplitId, SplitReader,
};
use crate::clock::{Clock, SystemClock};
use crate::diagnostics::Diagnostic;
use crate::options::Options;
use crate::types::Column;
use generator::Generator;

/// A bound `datagen` table.
#[derive(Debug, Clone)]
struct Datagen {
    columns: Vec<Column>,
    generators: Vec<Generator>,
    time_zone: String,
    rows_per_second: u64,
    /// How many rows there are, if they end.
    rows: Option<u64>,
}

/// Binds a table of the connector.
///
/// # Errors
/// Everything that is wrong with the options, at its place.
pub fn bind(
    table: &SourceTable<'_>,
    mut options: Options,
) -> Result<BoundSource, Vec<Diagnostic>> {
    let read = options::take(&mut options, table);
    options.finish("connector `datagen`")?;
    let source = Datagen {
        columns: table.columns.to_vec(),
        rows: read.rows(),
        rows_per_second: read.rows_per_second,
        generators: read.generators,
        time_zone: table.time_zone.to_owned(),
    };
    Ok(BoundSource {
        connector: "datagen",
        source: Arc::new(source),
        value: None,
        key: None,
        metadata: Vec::new(),
        idle_timeout: None,
    })
}

impl Source for Datagen {
    fn is_bounded(&self) -> bool {
        self.rows.is_some()
    }

    fn describe(&self) -> Vec<(&'static str, String)> {
        let mut said = vec![("rows-per-second", self.rows_per_second.to_string())];
        said.extend(self.rows.map(|rows| ("number-of-rows", rows.to_string())));
        said
    }

    fn open(&self, request: &OpenRequest) -> Result<Box<dyn OpenSource>, SourceError> {
        let picked = &request.projection;
        let fields: Vec<_> =
            picked.iter().map(|i| self.columns[*i].to_field(&self.time_zone)).collect();
        Ok(Box::new(OpenDatagen {
            generators: picked.iter().map(|i| self.generators[*i].clone()).collect(),
            schema: Arc::new(Schema::new(fields)),
            rows_per_second: self.rows_per_second,
            rows: self.rows,
            request: Some(request.clone()),
        }))
    }
}

struct OpenDatagen {
    generators: Vec<Generator>,
    schema: SchemaRef,
    rows_per_second: u64,
    rows: Option<u64>,
    /// `None` once the split has been found.
    request: Option<OpenRequest>,
}

impl OpenSource for OpenDatagen {
    fn discover(&mut self) -> Result<Vec<Split>, SourceError> {
        let Some(request) = self.request.take() else { return Ok(Vec::new()) };
        let id = SplitId { topic: "datagen".into(), partition: 0 };
        let stop = self.rows.map(|rows| i64::try_from(rows).unwrap_or(i64::MAX));
        Ok(request.gone_on_with(vec![Split { id, start: 0, stop, topic_id: None }]))
    }

    fn discovery_interval(&self) -> Option<Duration> {
        None
    }

    fn reader(&mut self, splits: Vec<Split>) -> Result<Box<dyn SplitReader>, SourceError> {
        Ok(Box::new(DatagenReader {
            generators: self.generators.clone(),
            schema: Arc::clone(&self.schema),
            rate: Rate::new(self.rows_per_second),
            splits,
            clock: Box::new(SystemClock),
        }))
    }
}

struct DatagenReader {
    generators: Vec<Generator>,
    schema: SchemaRef,
    rate: Rate,
    splits: Vec<Split>,
    clock: Box<dyn Clock>,
}

impl SplitReader for DatagenReader {
    fn add(&mut self, splits: Vec<Split>) -> Result<(), SourceError> {
        self.splits.extend(splits);
        Ok(())
    }

    fn poll(&mut self, max: usize, wait: Duration) -> Result<Polled, SourceError> {
        let Some(mut split) = self.splits.pop() else {
            std::thread::sleep(wait);
            return Ok(Polled::default());
        };
        let left = split.stop.map_or(u64::MAX, |stop| {
            u64::try_from(stop.saturating_sub(split.start)).unwrap_or(0)
        });
        let most = left.min(max as u64);
        let count = if most == 0 { 0 } else { self.rate.take(most, wait) };
        let mut polled = Polled::default();
        if count > 0 {
            let rows = self.rows(split.start, count);
            polled.data.push((split.id.clone(), Data::Rows(rows)));
        }
        if count == left {
            polled.finished.push(split.id);
        } else {
            split.start = split.start.saturating_add(i64::try_from(count).unwrap_or(i64::MAX));
            self.splits.push(split);
        }
        Ok(polled)
    }
}

impl DatagenReader {
    fn rows(&mut self, first: i64, count: u64) -> RecordBatch {
        let count = usize::try_from(count).expect("no more than was asked for");
        let now_ms = self.clock.now_ms();
        let columns: Vec<ArrayRef> = self
            .generators
            .iter()
            .zip(self.schema.fields())
            .map(|(generator, field)| generator.column(field, first, count, now_ms))
            .collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .expect("each generator makes the array of its field")
    }
}

/// Lets so many rows a second pass.
struct Rate {
    per_second: u64,
    /// Rows that have passed since `since`.
    passed: u64,
    since: Instant,
}

impl Rate {
    fn new(per_second: u64) -> Self {
        Self { per_second, passed: 0, since: Instant::now() }
    }

    /// Up to `most` rows, after waiting for the next one at most `wait`.
    fn take(&mut self, most: u64, wait: Duration) -> u64 {
        let due = self.due(self.since.elapsed());
        let due = if due > 0 {
            due
        } else {
            std::thread::sleep(wait.min(self.until_next()));
            self.due(self.since.elapsed())
        };
        let taken = due.min(most);
        self.passed += taken;
        taken
    }

    fn due(&self, elapsed: Duration) -> u64 {
        let allowed = elapsed.as_nanos() * u128::from(self.per_second) / 1_000_000_000;
        u64::try_from(allowed).unwrap_or(u64::MAX).saturating_sub(self.passed)
    }

    fn until_next(&self) -> Duration {
        let at = u128::from(self.passed + 1) * 1_000_000_000 / u128::from(self.per_second) + 1;
        let at = Duration::from_nanos(u64::try_from(at).unwrap_or(u64::MAX));
        at.saturating_sub(self.since.elapsed())
    }
}
