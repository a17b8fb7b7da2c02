//! What `turnstile explain` shows of a job: where rows come from, what happens
//! to each batch, what a window keeps, what runs when it closes, where rows go.

use std::fmt::Write as _;

use datafusion::logical_expr::LogicalPlan;

use super::pipeline::{
    AggregateColumn, AssignTo, Branch, Gathering, Input, Job, Leaf, LeafState, Op, Scan,
    ScanColumn, StageOutput, StageWork, Target,
};

use super::functions::flink_name;
use super::window::TimeKind;

/// The job as text for a person.
pub fn explain(job: &Job) -> String {
    let mut out = String::new();
    let bounded = if job.is_bounded() { "bounded" } else { "unbounded" };
    let _ = writeln!(out, "job {} ({bounded}, time zone {})", job.name, job.time_zone);
    for (i, scan) in job.scans.iter().enumerate() {
        scan_lines(&mut out, i, scan);
    }
    for op in job.branches.iter().flat_map(|branch| &branch.ops) {
        if let Op::Lookup(lookup) = op {
            for table in &lookup.files {
                let _ = writeln!(out, "\ntable {}", table.describe());
            }
        }
    }
    for branch in &job.branches {
        branch_lines(&mut out, job, branch);
    }
    stage_lines(&mut out, job);
    for output in &job.outputs {
        let _ = writeln!(out, "\nsink {} ({})", output.table, output.connector);
        for (key, value) in output.sink.describe() {
            let _ = writeln!(out, "  {key}: {value}");
        }
        let columns: Vec<_> =
            output.schema.fields().iter().map(|f| f.name().as_str()).collect();
        let _ = writeln!(out, "  columns: {}", columns.join(", "));
    }
    out
}

/// What makes the job the one that its stored state is of, line by line: what is
/// read, what becomes of it and what is kept, but not where it is read from and
/// written to, nor how files are made.
pub fn identity(job: &Job) -> Vec<String> {
    let mut out = format!("time zone {}\n", job.time_zone);
    for scan in &job.scans {
        let topic = scan.source.describe().into_iter().find(|(key, _)| *key == "topic");
        let topic = topic.map(|(_, topic)| format!(" topic {topic}")).unwrap_or_default();
        let _ = writeln!(out, "source {} ({}{topic})", scan.table, scan.connector);
        let fields = scan.schema.fields().iter();
        for (field, column) in fields.zip(&scan.columns) {
            let ty = flink_name(field.data_type());
            let from = match column {
                ScanColumn::Value(_) | ScanColumn::Row(_) => "value",
                ScanColumn::Key(_) => "key",
                ScanColumn::Metadata(_) => "metadata",
            };
            let _ = writeln!(
                out,
                "source {} column {} {ty} of the {from}",
                scan.table,
                field.name()
            );
        }
        if let Some(mark) = &scan.watermark {
            let (column, text) = (&mark.column, &mark.text);
            let _ = writeln!(out, "source {} watermark {column} AS {text}", scan.table);
        }
    }
    for branch in &job.branches {
        branch_lines(&mut out, job, branch);
    }
    stage_lines(&mut out, job);
    for output in &job.outputs {
        for field in output.schema.fields() {
            let ty = flink_name(field.data_type());
            let _ = writeln!(out, "sink {} column {} {ty}", output.table, field.name());
        }
    }
    let lines = out.lines().map(str::trim_end).filter(|line| !line.is_empty());
    lines.map(str::to_owned).collect()
}

/// Whether state of a job with the lines `before` is also state of one with the
/// lines `now`: they differ in no more than columns that are computed of results,
/// or of rows that no state is kept of, and in what is read for those.
pub fn state_fits(before: &[String], now: &[String]) -> bool {
    let reads = |line: &str| line.starts_with("source ") && line.contains(" column ");
    let is_new = |line: &&String| reads(line) && !before.contains(line);
    fixed(before).eq(fixed(now).filter(|line| !is_new(line)))
}

/// The lines that state depends on.
fn fixed(lines: &[String]) -> impl Iterator<Item = &String> {
    // Whether the lines are of rows on their way to a sink.
    let mut stateless = false;
    lines.iter().filter(move |line| {
        if !line.starts_with(' ') {
            stateless = line.starts_with("stream ") && line.contains(" to sink ");
        }
        let line = line.trim_start();
        let of_sink = line.starts_with("sink ") && line.contains(" column ");
        let is_computed =
            line.starts_with("Projection: ") || (stateless && line.starts_with("compute "));
        // What else is read of a source decides about this line.
        !(of_sink || is_computed || line.starts_with("take "))
    })
}

fn stage_lines(out: &mut String, job: &Job) {
    for (i, stage) in job.stages.iter().enumerate() {
        let _ = writeln!(out, "\nstage {i}");
        for (l, leaf) in stage.leaves.iter().enumerate() {
            leaf_lines(out, l, leaf);
        }
        let plan = match &stage.work {
            StageWork::Windows(above) => {
                let _ = writeln!(out, "  per closed window:");
                Some(above)
            }
            StageWork::IntervalJoin(join) => {
                let [after, before] = join.reach_ms;
                let _ = writeln!(
                    out,
                    "  interval join ({:?}): the right row at most {after} ms after the left one, \
                     at most {before} ms before",
                    join.join_type
                );
                let _ = writeln!(out, "  per batch:");
                Some(&join.pairs)
            }
            StageWork::KeepFirst(first) => {
                let keys: Vec<_> = first.keys.iter().map(ToString::to_string).collect();
                let _ = writeln!(out, "  keeps the first row of each key: {}", keys.join(", "));
                match first.state_ttl {
                    Some(ttl) => writeln!(out, "  remembers a key for {ttl:?}"),
                    None => writeln!(out, "  remembers every key"),
                }
                .expect("a string takes all");
                None
            }
        };
        for line in plan.iter().flat_map(|p| lines(p.logical())) {
            let _ = writeln!(out, "    {line}");
        }
        let to = match &stage.output {
            StageOutput::Output(output) => format!("sink {}", job.outputs[*output].table),
            StageOutput::Branches(_) => "the next stage".to_owned(),
        };
        let _ = writeln!(out, "  to {to}");
    }
}

fn lines(plan: &LogicalPlan) -> Vec<String> {
    plan.display_indent().to_string().lines().map(str::to_owned).collect()
}

fn scan_lines(out: &mut String, index: usize, scan: &Scan) {
    let _ = writeln!(out, "\nsource {index}: {} ({})", scan.table, scan.connector);
    for (key, value) in scan.source.describe() {
        let _ = writeln!(out, "  {key}: {value}");
    }
    if let Some(value) = &scan.value {
        let _ = writeln!(out, "  format: {}", value.format.name());
    }
    let columns: Vec<String> = scan
        .schema
        .fields()
        .iter()
        .zip(&scan.columns)
        .map(|(field, column)| match column {
            ScanColumn::Value(_) | ScanColumn::Row(_) => field.name().clone(),
            ScanColumn::Key(_) => format!("{} (from the key)", field.name()),
            ScanColumn::Metadata(key) => format!("{} (metadata {key:?})", field.name()),
        })
        .collect();
    let _ = writeln!(out, "  decoded: {}", columns.join(", "));
    match &scan.watermark {
        Some(watermark) => {
            let _ = writeln!(out, "  watermark: {} AS {}", watermark.column, watermark.text);
        }
        None => {
            let _ = writeln!(out, "  watermark: none needed");
        }
    }
    if let Some(timeout) = scan.idle_timeout {
        let _ = writeln!(out, "  idle after: {timeout:?}");
    }
}

fn branch_lines(out: &mut String, job: &Job, branch: &Branch) {
    let from = match branch.input {
        Input::Scan(scan) => format!("source {}", job.scans[scan].table),
        Input::Stage(stage) => format!("stage {stage}"),
    };
    let to = match branch.target {
        Target::Leaf { stage, leaf } => format!("stage {stage}, input {leaf}"),
        Target::Output(output) => format!("sink {}", job.outputs[output].table),
    };
    let _ = writeln!(out, "\nstream from {from} to {to}, per batch:");
    for op in &branch.ops {
        let line = match op {
            Op::Select { indexes, schema } => {
                let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
                format!("take {} columns: {}", indexes.len(), names.join(", "))
            }
            Op::Filter(predicate) => format!("filter {predicate}"),
            Op::Project { exprs, .. } => {
                let exprs: Vec<_> = exprs.iter().map(ToString::to_string).collect();
                format!("compute {}", exprs.join(", "))
            }
            Op::AssignWindow(assign) => {
                let input = assign.schema.field(assign.time_column).name();
                format!("assign {} on {input}", assign.spec.kind)
            }
            Op::Unnest(unnest) => format!("a row for each element of {}", unnest.list),
            Op::Expand { sets, .. } => format!("repeat for {} grouping sets", sets.len()),
            Op::Lookup(lookup) => {
                let keys: Vec<_> = lookup.keys.iter().map(ToString::to_string).collect();
                let tables: Vec<_> = lookup.files.iter().map(|t| t.name.as_str()).collect();
                format!("look up {} in {}", keys.join(", "), tables.join(", "))
            }
        };
        let _ = writeln!(out, "  {line}");
    }
    if branch.ops.is_empty() {
        let _ = writeln!(out, "  pass on");
    }
}

fn leaf_lines(out: &mut String, index: usize, leaf: &Leaf) {
    if let Gathering::AsTheyCome = leaf.gathers {
        let _ = writeln!(out, "  input {index}: rows as they come");
        return;
    }
    let shares = match (leaf.assigned_to, leaf.spec.kind.slices_per_window()) {
        _ if leaf.sessions().is_some() => "pieces that meet become sessions".to_owned(),
        (AssignTo::Slice, 2..) => {
            let slices = leaf.spec.kind.slices_per_window();
            format!("up to {slices} slices a window, shared")
        }
        (AssignTo::Windows, 2..) => "each row in every window of its own".to_owned(),
        _ => "one slice a window".to_owned(),
    };
    let clock = match leaf.spec.time {
        TimeKind::Event => "",
        TimeKind::Processing => ", by the machine's clock",
    };
    let _ = writeln!(out, "  input {index}: {}, {shares}{clock}", leaf.spec.kind);
    match &leaf.state {
        LeafState::Rows => {
            let _ = writeln!(out, "    keeps: the rows of open windows");
        }
        LeafState::Aggregate(aggregate) => {
            let keys: Vec<_> = aggregate.keys.iter().map(ToString::to_string).collect();
            let keys = if keys.is_empty() { "none".to_owned() } else { keys.join(", ") };
            let _ = writeln!(out, "    keys: {keys}");
            let functions: Vec<_> =
                aggregate.functions.iter().map(|f| f.function.name().to_owned()).collect();
            let _ = writeln!(out, "    keeps by key: {}", functions.join(", "));
            let windows = aggregate.columns.iter().filter(|c| {
                !matches!(c, AggregateColumn::Key(_) | AggregateColumn::Function(_))
            });
            let _ = writeln!(out, "    window columns: {}", windows.count());
        }
    }
}
