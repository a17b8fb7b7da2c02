//! Tables for what does not reach a query's own: messages that could not be
//! read, `turnstile.dead-letters.path`, and rows that came too late,
//! `turnstile.late-rows.path`.

use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::sql::sqlparser::ast;

use super::catalog::Connectors;
use super::functions::flink_name;
use super::pipeline::{
    AssignTo, Branch, Gathering, Input, Job, LateLeaf, LateRows, Op, Output, StageOutput,
    StageWork, Target,
};
use crate::diagnostics::{Diagnostic, Span};
use crate::formats::{self, FormatContext};
use crate::options::Options;
use crate::sinks::SinkTable;
use crate::sql::resolve_type;
use crate::types::{Column, ColumnType, SqlType};

/// Where messages go that cannot be decoded, as Parquet.
pub const DEAD_LETTERS: &str = "turnstile.dead-letters.path";
/// Where rows go whose windows have closed, as Parquet.
pub const LATE_ROWS: &str = "turnstile.late-rows.path";

fn column(name: &str, ty: ColumnType) -> Column {
    Column { name: name.to_owned(), ty }
}

/// Adds the table of dead letters to the job.
///
/// # Errors
/// A path that cannot be written to.
pub fn add_dead_letters(
    job: &mut Job,
    path: &str,
    connectors: &dyn Connectors,
) -> Result<(), Vec<Diagnostic>> {
    let headers =
        SqlType::Map(Box::new(SqlType::STRING.not_null()), Box::new(SqlType::BYTES.nullable()));
    // In the order in which the engine fills them.
    let columns = [
        column("table", SqlType::STRING.not_null()),
        column("topic", SqlType::STRING.not_null()),
        column("partition", SqlType::Int.not_null()),
        column("offset", SqlType::BigInt.not_null()),
        column("timestamp", SqlType::TimestampLtz(3).not_null()),
        column("key", SqlType::BYTES.nullable()),
        column("payload", SqlType::BYTES.nullable()),
        column("headers", headers.nullable()),
        column("error", SqlType::STRING.not_null()),
    ];
    let output = output("dead_letters", &columns, DEAD_LETTERS, path, job, connectors)?;
    job.dead_letters = Some(job.outputs.len());
    job.outputs.push(output);
    Ok(())
}

/// Adds the table of late rows to the job.
///
/// # Errors
/// A path that cannot be written to.
pub fn add_late_rows(
    job: &mut Job,
    path: &str,
    connectors: &dyn Connectors,
) -> Result<(), Vec<Diagnostic>> {
    for leaf in job.stages.iter_mut().flat_map(|stage| &mut stage.leaves) {
        if let Gathering::Sessions(sessions) = &mut leaf.gathers {
            sessions.keeps_late_rows = true;
        }
    }
    // In the order in which the engine fills them.
    let columns = [
        column("sink", SqlType::STRING.not_null()),
        column("window_end", SqlType::Timestamp(3).nullable()),
        column("row", SqlType::STRING.not_null()),
    ];
    let output = output("late_rows", &columns, LATE_ROWS, path, job, connectors)?;
    let mut leaves = Vec::with_capacity(job.stages.len());
    for (stage, plan) in job.stages.iter().enumerate() {
        let sink = sink_of(job, stage);
        let each = (0..plan.leaves.len()).map(|leaf| {
            let target = Target::Leaf { stage, leaf };
            let branch = job.branches.iter().find(|branch| branch.target == target);
            let schema =
                branch.map_or_else(|| Arc::new(Schema::empty()), |b| schema_of(job, b));
            let format = json(&schema, plan.leaves[leaf].assigned_to, &job.time_zone)?;
            Ok(LateLeaf { sink: sink.clone(), format })
        });
        leaves.push(each.collect::<Result<Vec<_>, Vec<Diagnostic>>>()?);
    }
    job.late_rows = Some(LateRows { output: job.outputs.len(), leaves });
    job.outputs.push(output);
    Ok(())
}

fn output(
    name: &str,
    columns: &[Column],
    key: &str,
    path: &str,
    job: &Job,
    connectors: &dyn Connectors,
) -> Result<Output, Vec<Diagnostic>> {
    let table = SinkTable {
        name,
        name_span: Span::default(),
        columns,
        partitioned_by: &[],
        time_zone: &job.time_zone,
    };
    let options = Options::default()
        .with("connector", "filesystem".to_owned())
        .with("path", path.to_owned())
        .with("format", "parquet".to_owned());
    let sink = connectors.sink(&table, options).map_err(|errors| {
        let named =
            |error: Diagnostic| Diagnostic::error(format!("`{key}`: {}", error.message));
        errors.into_iter().map(named).collect::<Vec<_>>()
    })?;
    let fields: Vec<_> = columns.iter().map(|column| column.to_field(&job.time_zone)).collect();
    Ok(Output {
        table: name.to_owned(),
        connector: "filesystem".to_owned(),
        sink,
        schema: Arc::new(Schema::new(fields)),
    })
}

/// The sink that a stage's rows reach, or the first of several.
fn sink_of(job: &Job, stage: usize) -> String {
    match &job.stages[stage].output {
        StageOutput::Output(output) => job.outputs[*output].table.clone(),
        StageOutput::Branches(branches) => {
            match branches.first().map(|branch| job.branches[*branch].target) {
                Some(Target::Leaf { stage, .. }) => sink_of(job, stage),
                Some(Target::Output(output)) => job.outputs[output].table.clone(),
                None => String::new(),
            }
        }
    }
}

/// The rows that a branch gives.
fn schema_of(job: &Job, branch: &Branch) -> SchemaRef {
    let by_op = branch.ops.iter().rev().find_map(|op| match op {
        Op::Select { schema, .. } | Op::Project { schema, .. } | Op::Expand { schema, .. } => {
            Some(schema)
        }
        Op::AssignWindow(assign) => Some(&assign.schema),
        Op::Unnest(unnest) => Some(&unnest.schema),
        Op::Lookup(lookup) => Some(&lookup.schema),
        Op::Filter(_) => None,
    });
    let of_input = || match branch.input {
        Input::Scan(scan) => Arc::clone(&job.scans[scan].schema),
        Input::Stage(stage) => match &job.stages[stage].work {
            StageWork::Windows(plan) => plan.schema(),
            StageWork::IntervalJoin(join) => Arc::clone(&join.schema),
            StageWork::KeepFirst(first) => Arc::clone(&first.schema),
        },
    };
    by_op.map_or_else(of_input, Arc::clone)
}

/// Writes such rows as JSON. Where rows have a slice, what is called
/// window_start is the row's own time.
fn json(
    schema: &Schema,
    assigned_to: AssignTo,
    time_zone: &str,
) -> Result<Arc<dyn formats::EncodingFormat>, Vec<Diagnostic>> {
    let named = |text: String| {
        ast::DataType::Custom(
            ast::ObjectName::from(vec![ast::Ident::with_quote('`', text)]),
            Vec::new(),
        )
    };
    let column = |field: &Arc<arrow::datatypes::Field>| {
        let ty = resolve_type(&named(flink_name(field.data_type())))?;
        let is_time = assigned_to == AssignTo::Slice && field.name() == "window_start";
        let name = if is_time { "event_time" } else { field.name() };
        Ok(Column { name: name.to_owned(), ty: ty.ty.nullable() })
    };
    let columns: Result<Vec<Column>, Diagnostic> = schema.fields().iter().map(column).collect();
    let columns = columns.map_err(|error| vec![error])?;
    let context =
        FormatContext { columns: &columns, time_zone, option_prefix: "json.".to_owned() };
    let mut options = Options::default();
    let format = formats::encoding("json", &mut options, &context);
    format.ok_or_else(|| {
        let wrong = |e: Diagnostic| Diagnostic::error(format!("`{LATE_ROWS}`: {}", e.message));
        std::mem::take(&mut options.errors).into_iter().map(wrong).collect()
    })
}
