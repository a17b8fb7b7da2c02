//! Rows that came when their windows had closed, for the job's table of late
//! rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, new_null_array};
use arrow::compute::cast;

use super::error::EngineError;
use super::ops::batch;
use crate::planning::pipeline::{Job, LateRows};

/// The rows as that table has them; `None` if the job has none, or nothing is
/// late.
pub fn as_rows(
    job: &Job,
    stage: usize,
    leaf: usize,
    late: Option<&RecordBatch>,
) -> Result<Option<(usize, RecordBatch)>, EngineError> {
    let (Some(LateRows { output, leaves }), Some(late)) = (&job.late_rows, late) else {
        return Ok(None);
    };
    let schema = &job.outputs[*output].schema;
    let own = &leaves[stage][leaf];
    let (mut text, mut ends) = (Vec::new(), Vec::new());
    own.format.encode(late, &mut text, &mut ends).map_err(EngineError::Compute)?;
    let text = String::from_utf8_lossy(&text);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let rows: StringViewArray =
        starts.zip(&ends).map(|(start, end)| Some(&text[start..*end])).collect();
    let sinks = StringViewArray::from_iter_values(ends.iter().map(|_| own.sink.as_str()));
    let end_type = schema.field(1).data_type();
    let window_end: ArrayRef = match job.stages[stage].leaves[leaf].window_end {
        Some(at) => cast(late.column(at), end_type)?,
        None => new_null_array(end_type, late.num_rows()),
    };
    let columns: Vec<ArrayRef> = vec![Arc::new(sinks), window_end, Arc::new(rows)];
    Ok(Some((*output, batch(schema, columns, late.num_rows())?)))
}
