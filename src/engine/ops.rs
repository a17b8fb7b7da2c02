//! The streaming part of a plan, batch by batch.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat_batches, nullif, prep_null_mask_filter, take};
use arrow::datatypes::{DataType, SchemaRef, TimestampMicrosecondType};
use datafusion::physical_expr::PhysicalExpr;

use super::error::EngineError;
use super::lookup::look_up;
use super::rows::Rows;
use crate::planning::pipeline::{AssignTo, AssignWindow, Expansion, Op, Unnest};
use crate::planning::window::WindowSpec;

/// Runs `ops` over `rows`; stops early once no row is left.
pub fn apply(ops: &[Op], mut rows: Rows) -> Result<Rows, EngineError> {
    for op in ops {
        rows = match op {
            Op::Select { indexes, schema } => {
                let columns = indexes.iter().map(|i| Arc::clone(rows.batch.column(*i)));
                let batch = batch(schema, columns.collect(), rows.batch.num_rows())?;
                rows.with_batch(batch)
            }
            Op::Filter(predicate) => filtered(predicate, rows)?,
            Op::Project { exprs, schema } => {
                let batch = project(exprs, schema, &rows.batch)?;
                rows.with_batch(batch)
            }
            Op::AssignWindow(assign) => assign_window(assign, rows)?,
            Op::Unnest(unnest) => unnested(unnest, &rows)?,
            Op::Expand { sets, schema } => expand(sets, schema, &rows)?,
            Op::Lookup(lookup) => look_up(lookup, &rows)?,
        };
    }
    Ok(rows)
}

/// A batch that may have no column at all.
pub fn batch(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, EngineError> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)?)
}

pub fn evaluate(
    expr: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
) -> Result<ArrayRef, EngineError> {
    Ok(expr.evaluate(batch)?.into_array(batch.num_rows())?)
}

pub fn evaluate_all(
    exprs: &[Arc<dyn PhysicalExpr>],
    batch: &RecordBatch,
) -> Result<Vec<ArrayRef>, EngineError> {
    exprs.iter().map(|expr| evaluate(expr, batch)).collect()
}

/// A predicate's answer with NULL as false.
pub fn truth(
    predicate: &Arc<dyn PhysicalExpr>,
    batch: &RecordBatch,
) -> Result<BooleanArray, EngineError> {
    let mask = evaluate(predicate, batch)?;
    let mask = mask.as_boolean();
    Ok(if mask.null_count() == 0 { mask.clone() } else { prep_null_mask_filter(mask) })
}

fn filtered(predicate: &Arc<dyn PhysicalExpr>, rows: Rows) -> Result<Rows, EngineError> {
    if rows.batch.num_rows() == 0 {
        return Ok(rows);
    }
    let mask = truth(predicate, &rows.batch)?;
    if mask.true_count() == mask.len() { Ok(rows) } else { rows.keep(&mask) }
}

fn project(
    exprs: &[Arc<dyn PhysicalExpr>],
    schema: &SchemaRef,
    input: &RecordBatch,
) -> Result<RecordBatch, EngineError> {
    let columns = evaluate_all(exprs, input)?;
    batch(&fitting(schema, &columns), columns, input.num_rows())
}

/// `schema` with columns nullable where nulls came: an expression may be called
/// NOT NULL by its planner and still meet a NULL of a tolerated bad message.
pub fn fitting(schema: &SchemaRef, columns: &[ArrayRef]) -> SchemaRef {
    let strict = |(field, column): (&Arc<arrow::datatypes::Field>, &ArrayRef)| {
        !field.is_nullable() && column.null_count() > 0
    };
    if !schema.fields().iter().zip(columns).any(strict) {
        return Arc::clone(schema);
    }
    let fields: Vec<_> =
        schema.fields().iter().map(|f| f.as_ref().clone().with_nullable(true)).collect();
    Arc::new(arrow::datatypes::Schema::new(fields))
}

fn assign_window(assign: &AssignWindow, rows: Rows) -> Result<Rows, EngineError> {
    let input = &rows.batch;
    let times = input.column(assign.time_column).as_primitive::<TimestampMicrosecondType>();
    let (walls, ends) = slices(assign, times);
    let nulls = times.nulls().cloned();
    if assign.to == AssignTo::Slice {
        let starts = micros(walls, nulls.clone());
        return with_window(assign, rows, starts, micros(ends.iter().copied(), nulls));
    }
    let kind = assign.spec.kind;
    if kind.slices_per_window() == 1 {
        let starts = micros(ends.iter().map(|end| kind.window_start(*end)), nulls.clone());
        return with_window(assign, rows, starts, micros(ends.iter().copied(), nulls));
    }
    let mut indexes = Vec::new();
    let mut window_ends = Vec::new();
    for (row, slice_end) in (0u32..).zip(&ends) {
        for end in kind.window_ends(*slice_end) {
            indexes.push(row);
            window_ends.push(end);
        }
    }
    let indexes = UInt32Array::from(indexes);
    let rows = rows.take(&indexes)?;
    let starts = micros(window_ends.iter().map(|end| kind.window_start(*end)), None);
    with_window(assign, rows, starts, micros(window_ends, None))
}

/// The wall time of each row and the end of its slice, in milliseconds.
fn slices(assign: &AssignWindow, times: &TimestampMicrosecondArray) -> (Vec<i64>, Vec<i64>) {
    let kind = assign.spec.kind;
    let slice_ms = kind.slice_ms();
    let mut local = assign.spec.wall_time.localizer();
    // The slice of the last row is mostly the slice of the next.
    let (mut start, mut end) = (0i64, 0i64);
    times
        .values()
        .iter()
        .map(|micros| {
            let at = local.wall(micros.div_euclid(1000));
            if at < start || at >= end {
                end = kind.slice_end(at);
                start = end - slice_ms;
            }
            (at, end)
        })
        .unzip()
}

fn micros(
    millis: impl IntoIterator<Item = i64>,
    nulls: Option<NullBuffer>,
) -> TimestampMicrosecondArray {
    let values: Vec<i64> = millis.into_iter().map(|ms| ms * 1000).collect();
    TimestampMicrosecondArray::new(values.into(), nulls)
}

/// `rows` with window_start, window_end and window_time behind.
fn with_window(
    assign: &AssignWindow,
    rows: Rows,
    starts: TimestampMicrosecondArray,
    ends: TimestampMicrosecondArray,
) -> Result<Rows, EngineError> {
    let times = match assign.to {
        AssignTo::Windows => window_times(&assign.spec, &ends),
        AssignTo::Slice => ends.clone(),
    };
    let ty = assign.schema.field(assign.schema.fields().len() - 1).data_type().clone();
    let mut columns = rows.batch.columns().to_vec();
    columns.push(Arc::new(starts));
    columns.push(Arc::new(ends));
    columns.push(Arc::new(times.with_data_type(ty)));
    let batch = batch(&fitting(&assign.schema, &columns), columns, rows.batch.num_rows())?;
    Ok(rows.with_batch(batch))
}

/// window_time, as instants in microseconds, for each window end.
pub fn window_times(
    spec: &WindowSpec,
    ends: &TimestampMicrosecondArray,
) -> TimestampMicrosecondArray {
    let (mut last_end, mut last_time) = (i64::MIN, 0);
    let time = |end: &i64| {
        if *end != last_end {
            last_end = *end;
            last_time = spec.wall_time.first_instant(end / 1000 - 1) * 1000;
        }
        last_time
    };
    let times: Vec<i64> = ends.values().iter().map(time).collect();
    TimestampMicrosecondArray::new(times.into(), ends.nulls().cloned())
}

fn unnested(unnest: &Unnest, rows: &Rows) -> Result<Rows, EngineError> {
    let lists = evaluate(&unnest.list, &rows.batch)?;
    let (offsets, elements): (&[i32], ArrayRef) = match lists.data_type() {
        DataType::Map(..) => {
            let maps = lists.as_map();
            (maps.value_offsets(), Arc::new(maps.entries().clone()))
        }
        _ => {
            let lists = lists.as_list::<i32>();
            (lists.value_offsets(), Arc::clone(lists.values()))
        }
    };
    let mut indexes = Vec::new();
    let mut picked: Vec<Option<u32>> = Vec::new();
    for (row, bounds) in (0u32..).zip(offsets.windows(2)) {
        let is_null = lists.is_null(row as usize);
        let range =
            if is_null { 0..0 } else { bounds[0].cast_unsigned()..bounds[1].cast_unsigned() };
        if range.is_empty() && unnest.outer {
            indexes.push(row);
            picked.push(None);
        }
        indexes.extend(std::iter::repeat_n(row, range.len()));
        picked.extend(range.map(Some));
    }
    let rows = rows.take(&UInt32Array::from(indexes))?;
    let elements = take(&elements, &UInt32Array::from(picked), None)?;
    let mut columns = rows.batch.columns().to_vec();
    match elements.as_struct_opt() {
        Some(row) => {
            let (_, fields, nulls) = row.clone().into_parts();
            for field in fields {
                columns.push(match &nulls {
                    Some(nulls) => with_nulls(&field, nulls)?,
                    None => field,
                });
            }
        }
        None => columns.push(elements),
    }
    let batch = batch(&fitting(&unnest.schema, &columns), columns, rows.batch.num_rows())?;
    Ok(rows.with_batch(batch))
}

/// A field of a struct: NULL where the struct is.
fn with_nulls(field: &ArrayRef, nulls: &NullBuffer) -> Result<ArrayRef, EngineError> {
    let is_null = BooleanArray::new(!nulls.inner(), None);
    Ok(nullif(field, &is_null)?)
}

fn expand(sets: &[Expansion], schema: &SchemaRef, rows: &Rows) -> Result<Rows, EngineError> {
    let count = rows.batch.num_rows();
    let mut parts = Vec::with_capacity(sets.len());
    for set in sets {
        let columns = evaluate_all(&set.exprs, &rows.batch)?;
        parts.push(batch(&fitting(schema, &columns), columns, count)?);
    }
    let schema = parts.first().map_or_else(|| Arc::clone(schema), RecordBatch::schema);
    let batch = concat_batches(&schema, &parts)?;
    let indexes: UInt32Array = (0..sets.len())
        .flat_map(|_| 0..u32::try_from(count).expect("a batch is small"))
        .collect();
    let judged_by = rows.judged_by_at(&indexes)?;
    Ok(Rows { batch, judged_by, ..*rows })
}
