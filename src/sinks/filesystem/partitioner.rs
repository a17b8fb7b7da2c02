//! Splits batches by their partition columns.
//!
//! A group's key is the byte form of its values, equal for equal values. The
//! common batch has one group and is passed on without copying a row.

use std::collections::HashMap;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};

use super::partition_path;
use crate::sinks::value_text;

pub(super) struct Partitioner {
    schema: SchemaRef,
    /// The partition columns in the order of their folders.
    by: Vec<usize>,
    /// The columns that files hold.
    kept: Vec<usize>,
    converter: RowConverter,
    default_name: String,
}

/// Rows of one partition, in their order, without the partition columns.
pub(super) struct Group {
    pub key: Box<[u8]>,
    pub rows: RecordBatch,
    /// A row of the split batch that belongs to the group.
    pub example: usize,
}

impl Partitioner {
    pub fn new(
        schema: SchemaRef,
        by: Vec<usize>,
        default_name: String,
    ) -> Result<Self, ArrowError> {
        let kept = (0..schema.fields().len()).filter(|i| !by.contains(i)).collect();
        let fields = by.iter().map(|&i| SortField::new(schema.field(i).data_type().clone()));
        let converter = RowConverter::new(fields.collect())?;
        Ok(Self { schema, by, kept, converter, default_name })
    }

    /// The schema of the files.
    pub fn file_schema(&self) -> Result<SchemaRef, ArrowError> {
        let schema: Schema = self.schema.project(&self.kept)?;
        Ok(schema.into())
    }

    /// The groups of `batch`, in the order of their first rows.
    pub fn split(&self, batch: &RecordBatch) -> Result<Vec<Group>, ArrowError> {
        if batch.num_rows() == 0 {
            return Ok(Vec::new());
        }
        if self.by.is_empty() {
            return Ok(vec![Group { key: Box::default(), rows: batch.clone(), example: 0 }]);
        }
        let columns: Vec<_> = self.by.iter().map(|&i| batch.column(i).clone()).collect();
        let keys = self.converter.convert_columns(&columns)?;
        let kept = batch.project(&self.kept)?;
        let first = keys.row(0);
        if keys.iter().all(|key| key == first) {
            return Ok(vec![Group { key: first.data().into(), rows: kept, example: 0 }]);
        }
        group(&keys)
            .into_iter()
            .map(|(key, rows)| {
                let example = rows[0] as usize;
                let rows = take_record_batch(&kept, &UInt32Array::from(rows))?;
                Ok(Group { key: key.into(), rows, example })
            })
            .collect()
    }

    /// The names and texts of a row's partition columns.
    pub fn values(&self, batch: &RecordBatch, row: usize) -> Vec<(&str, String)> {
        let texts = self.by.iter().map(|&i| {
            let column = batch.column(i);
            let mut text = String::new();
            if column.is_valid(row) {
                value_text::append(&mut text, column, row);
            }
            (self.schema.field(i).name().as_str(), text)
        });
        texts.collect()
    }

    /// The folder of a row's partition, such as `DATE=09-23-23/HOUR=7`; empty
    /// when the table is not partitioned.
    pub fn folder(&self, batch: &RecordBatch, row: usize) -> String {
        let values = self.values(batch, row).into_iter();
        let names = values.map(|(column, text)| {
            partition_path::folder(column, Some(&text), &self.default_name)
        });
        names.collect::<Vec<_>>().join("/")
    }
}

/// The rows of each key, in the order of their first rows.
fn group(keys: &Rows) -> Vec<(&[u8], Vec<u32>)> {
    let mut groups: Vec<(&[u8], Vec<u32>)> = Vec::new();
    let mut places: HashMap<&[u8], usize> = HashMap::new();
    for (row, key) in (0..).zip(keys.iter()) {
        let key = key.data();
        let place = *places.entry(key).or_insert_with(|| {
            groups.push((key, Vec::new()));
            groups.len() - 1
        });
        groups[place].1.push(row);
    }
    groups
}
