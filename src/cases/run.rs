//! Runs one case, one way.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::compare::difference;
use super::{Case, CaseError, Expected};
use crate::clock::SystemClock;
use crate::diagnostics::{Diagnostic, SourceFile};
use crate::engine::{self, RunOptions, Status, StopSignal};
use crate::options::Options;
use crate::planning::catalog::Connectors;
use crate::sinks::{self, Sink, SinkTable};
use crate::sources::replay::{Partitions, Replay};
use crate::sources::{self, BoundSource, SourceTable};

/// One of the ways to run a case, all of which must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variation {
    pub workers: usize,
    pub batch_size: usize,
    /// Decides how partitions interleave.
    pub seed: u64,
}

/// Runs `case` in `scratch`, an empty folder, and compares.
pub fn run(case: &Case, variation: Variation, scratch: &Path) -> Result<(), CaseError> {
    match (rows(case, variation, scratch), &case.expected) {
        (Err(CaseError::Failed(_)), Expected::Error) => Ok(()),
        (Err(error), _) => Err(error),
        (Ok(_), Expected::Error) => Err(CaseError::NotRefused),
        (Ok(written), Expected::Rows(expected)) => compare(expected, &written.tables),
    }
}

fn compare(
    expected: &BTreeMap<String, String>,
    tables: &BTreeMap<String, Vec<RecordBatch>>,
) -> Result<(), CaseError> {
    for (table, rows) in expected {
        let found = if table.is_empty() { tables.values().next() } else { tables.get(table) };
        let found = found.map_or(&[][..], Vec::as_slice);
        if let Some(difference) = difference(rows, found) {
            return Err(CaseError::Rows { table: table.clone(), difference });
        }
    }
    Ok(())
}

/// What a case's script wrote.
#[derive(Debug)]
pub struct Written {
    /// By sink table.
    pub tables: BTreeMap<String, Vec<RecordBatch>>,
    pub late_rows: u64,
}

/// Runs the case's script and reads back what it wrote.
pub fn rows(case: &Case, variation: Variation, scratch: &Path) -> Result<Written, CaseError> {
    let file = SourceFile {
        name: case.folder.join("query.sql").display().to_string().into(),
        text: case.script.as_str().into(),
    };
    let refused = |errors: Vec<Diagnostic>| {
        CaseError::Failed(errors.iter().map(|e| e.render(&file)).collect())
    };
    let script = crate::sql::parse(&file, &|_| None).map_err(refused)?;
    let connectors = CaseConnectors {
        input: case.input.clone(),
        scratch: scratch.to_owned(),
        seed: variation.seed,
    };
    let planned = crate::planning::plan(&script, BTreeMap::new(), Rc::new(connectors))
        .map_err(refused)?;
    let tables: Vec<String> =
        planned.job.outputs.iter().map(|output| output.table.clone()).collect();
    let options = RunOptions {
        workers: variation.workers,
        batch_size: variation.batch_size,
        publish_interval: None,
        clock: Arc::new(SystemClock),
        run_id: "case".to_owned(),
    };
    let status = Arc::new(Status::default());
    engine::run(planned.job, &options, &status, &StopSignal::default())
        .map_err(|e| CaseError::Failed(e.to_string()))?;
    let tables = tables
        .into_iter()
        .map(|table| {
            let rows = read_back(&scratch.join(&table))?;
            Ok((table, rows))
        })
        .collect::<Result<_, CaseError>>()?;
    Ok(Written { tables, late_rows: status.late_rows.load(Ordering::Relaxed) })
}

/// The case's topics in place of Kafka, a scratch folder in place of the lake.
struct CaseConnectors {
    input: BTreeMap<String, Arc<Partitions>>,
    scratch: PathBuf,
    seed: u64,
}

impl Connectors for CaseConnectors {
    fn source(
        &self,
        table: &SourceTable<'_>,
        options: Options,
    ) -> Result<BoundSource, Vec<Diagnostic>> {
        let topic = options.clone().take("topic").map(|t| t.value).unwrap_or_default();
        let mut bound = sources::bind(table, options)?;
        let none = || Arc::new(Partitions::from([(0, Vec::new())]));
        let partitions = self.input.get(&topic).cloned().unwrap_or_else(none);
        bound.source = Arc::new(Replay::new(&topic, partitions, self.seed));
        bound.idle_timeout = None;
        Ok(bound)
    }

    fn sink(
        &self,
        table: &SinkTable<'_>,
        options: Options,
    ) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
        let path = self.scratch.join(table.name).display().to_string();
        sinks::bind(table, options.with("path", path))
    }
}

/// Every row of the Parquet files below `folder`.
fn read_back(folder: &Path) -> Result<Vec<RecordBatch>, CaseError> {
    let failed = |path: &Path, error: String| {
        CaseError::Failed(format!("reading back {}: {error}", path.display()))
    };
    let mut batches = Vec::new();
    for path in super::files(folder)? {
        let file = std::fs::File::open(&path).map_err(|e| super::io(&path, e))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .and_then(ParquetRecordBatchReaderBuilder::build)
            .map_err(|e| failed(&path, e.to_string()))?;
        for batch in reader {
            batches.push(batch.map_err(|e| failed(&path, e.to_string()))?);
        }
    }
    Ok(batches)
}
