//! Puts the parts of a job together: which columns each scan must give, and
//! which branch reads what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::{DFSchema, Result};
use datafusion::execution::SessionState;
use datafusion::logical_expr::Expr;

use super::catalog::{RawColumn, ScanTable};
use super::pipeline::{
    Branch, Gathering, Input, Job, NullEventTime, Op, Output, Scan, ScanColumn, ScanFormat,
    Stage, StageOutput, Target, Watermark,
};
use super::window::TimeKind;
use crate::sources::BoundFormat;

/// A branch whose scan's columns are not settled yet.
#[derive(Debug)]
pub struct PartialBranch {
    pub input: PartialInput,
    pub ops: Vec<Op>,
}

#[derive(Debug)]
pub enum PartialInput {
    /// Raw columns of a table, by index.
    Scan {
        table: String,
        columns: Vec<usize>,
    },
    Stage(usize),
}

#[derive(Debug, Default)]
pub struct JobBuilder {
    needed: BTreeMap<String, BTreeSet<usize>>,
    branches: Vec<(PartialBranch, Target)>,
    stages: Vec<Stage>,
    outputs: Vec<Output>,
}

impl JobBuilder {
    /// Notes that `table` is read, and these raw columns of it.
    pub fn need(&mut self, table: &str, columns: &[usize]) {
        self.needed.entry(table.to_owned()).or_default().extend(columns);
    }

    pub fn add_branch(&mut self, branch: PartialBranch, target: Target) {
        self.branches.push((branch, target));
    }

    pub fn add_stage(&mut self, stage: Stage) -> usize {
        self.stages.push(stage);
        self.stages.len() - 1
    }

    pub fn add_output(&mut self, output: Output) -> usize {
        self.outputs.push(output);
        self.outputs.len() - 1
    }

    pub fn finish(
        mut self,
        name: String,
        time_zone: String,
        null_handling: NullEventTime,
        batch: bool,
        state: &SessionState,
        table: impl Fn(&str) -> Arc<ScanTable>,
    ) -> Result<Job> {
        let windowed = if batch { BTreeSet::new() } else { self.windowed_tables() };
        let mut scans = Vec::new();
        let mut positions = BTreeMap::new();
        for (name, mut needed) in std::mem::take(&mut self.needed) {
            let table = table(&name);
            let with_watermark = windowed.contains(&name);
            let watermark = table.watermark.as_ref().filter(|_| with_watermark);
            if let Some(watermark) = watermark {
                needed.extend(columns_of(&watermark.expr, &table.raw_schema)?);
                needed.extend(columns_of(&watermark.event_time, &table.raw_schema)?);
            }
            let needed: Vec<usize> = needed.into_iter().collect();
            let scan =
                build_scan(&table, &needed, with_watermark.then_some(null_handling), state)?;
            positions.insert(name, (scans.len(), needed));
            scans.push(scan);
        }
        let mut branches = Vec::new();
        for (partial, target) in self.branches {
            let mut ops = partial.ops;
            let input = match partial.input {
                PartialInput::Stage(stage) => {
                    if let StageOutput::Branches(readers) = &mut self.stages[stage].output {
                        readers.push(branches.len());
                    }
                    Input::Stage(stage)
                }
                PartialInput::Scan { table, columns } => {
                    let (scan, given) = &positions[&table];
                    if columns != *given {
                        ops.insert(0, select(&columns, given, &scans[*scan].schema)?);
                    }
                    Input::Scan(*scan)
                }
            };
            branches.push(Branch { input, ops, target });
        }
        let (stages, outputs) = (self.stages, self.outputs);
        Ok(Job {
            name,
            scans,
            branches,
            stages,
            outputs,
            dead_letters: None,
            late_rows: None,
            time_zone,
        })
    }

    /// Tables whose rows reach a window that keeps them.
    fn windowed_tables(&self) -> BTreeSet<String> {
        self.branches
            .iter()
            .filter(|(_, target)| match target {
                Target::Leaf { stage, leaf } => {
                    let leaf = &self.stages[*stage].leaves[*leaf];
                    let passes = matches!(leaf.gathers, Gathering::AsTheyCome);
                    let by_watermark = leaf.spec.time == TimeKind::Event;
                    by_watermark && (passes || !leaf.spec.is_whole())
                }
                Target::Output(output) => self.outputs[*output].sink.needs_watermark(),
            })
            .filter_map(|(branch, _)| match &branch.input {
                PartialInput::Scan { table, .. } => Some(table.clone()),
                PartialInput::Stage(_) => None,
            })
            .collect()
    }
}

fn select(columns: &[usize], given: &[usize], schema: &Schema) -> Result<Op> {
    let position = |column: &usize| {
        given.binary_search(column).expect("a scan gives what its branches need")
    };
    let indexes: Vec<usize> = columns.iter().map(position).collect();
    let schema = Arc::new(schema.project(&indexes)?);
    Ok(Op::Select { indexes, schema })
}

fn columns_of(expr: &Expr, schema: &Schema) -> Result<Vec<usize>> {
    expr.column_refs().into_iter().map(|c| Ok(schema.index_of(&c.name)?)).collect()
}

fn build_scan(
    table: &ScanTable,
    needed: &[usize],
    with_watermark: Option<NullEventTime>,
    state: &SessionState,
) -> Result<Scan> {
    let bound = &table.bound;
    let mut value = Wanted::new(bound.value.as_ref());
    let mut key = Wanted::new(bound.key.as_ref());
    let mut rows = Vec::new();
    let mut columns = Vec::new();
    for &column in needed {
        columns.push(match table.raw[column] {
            RawColumn::Metadata(metadata) => ScanColumn::Metadata(metadata),
            RawColumn::Physical(physical) => {
                if let Some(at) = value.want(physical) {
                    ScanColumn::Value(at)
                } else if let Some(at) = key.want(physical) {
                    ScanColumn::Key(at)
                } else {
                    rows.push(physical);
                    ScanColumn::Row(rows.len() - 1)
                }
            }
        });
    }
    let fields: Vec<Field> =
        needed.iter().map(|i| table.raw_schema.field(*i).clone()).collect();
    let schema = Arc::new(Schema::new(fields));
    let watermark = match table.watermark.as_ref().zip(with_watermark) {
        None => None,
        Some((plan, null_handling)) => {
            let df = DFSchema::try_from(schema.as_ref().clone())?;
            Some(Watermark {
                column: plan.column.clone(),
                expr: state.create_physical_expr(plan.expr.clone(), &df)?,
                event_time: state.create_physical_expr(plan.event_time.clone(), &df)?,
                text: plan.text.clone(),
                null_handling,
            })
        }
    };
    Ok(Scan {
        table: table.name.clone(),
        connector: bound.connector,
        source: Arc::clone(&bound.source),
        value: value.finish(),
        key: key.finish().filter(|key| !key.projection.is_empty()),
        row_projection: rows,
        columns,
        schema,
        watermark,
        idle_timeout: bound.idle_timeout,
    })
}

/// The columns wanted of one format, in ascending order of the format's own.
struct Wanted<'a> {
    bound: Option<&'a BoundFormat>,
    projection: Vec<usize>,
}

impl<'a> Wanted<'a> {
    fn new(bound: Option<&'a BoundFormat>) -> Self {
        Self { bound, projection: Vec::new() }
    }

    /// Where the table's physical column comes out of the decoder, if this
    /// format fills it. Columns are asked for in ascending order.
    fn want(&mut self, physical: usize) -> Option<usize> {
        let at = self.bound?.columns.iter().position(|c| *c == physical)?;
        self.projection.push(at);
        Some(self.projection.len() - 1)
    }

    /// A value is decoded even if no column of it is wanted, because what
    /// cannot be decoded must be seen.
    fn finish(self) -> Option<ScanFormat> {
        let bound = self.bound?;
        debug_assert!(self.projection.is_sorted(), "formats decode in ascending order");
        Some(ScanFormat { format: Arc::clone(&bound.format), projection: self.projection })
    }
}
