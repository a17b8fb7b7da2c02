//! Hive partition folders: which folder a row goes to, and how values become
//! names that no value can break out of.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What Hive escapes in a partition's name, and what a path or a URL minds.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'\'')
    .add(b'*')
    .add(b'/')
    .add(b':')
    .add(b'=')
    .add(b'?')
    .add(b'\\')
    .add(b'{')
    .add(b'}')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'<')
    .add(b'>')
    .add(b'|')
    .add(b'~')
    .add(b'`');

/// Splits batches by the values of their partition columns.
#[derive(Debug)]
pub struct Partitioner {
    columns: Vec<usize>,
    names: Vec<String>,
    kept: Vec<usize>,
    converter: Option<RowConverter>,
    /// Folders by the partition columns' row format.
    folders: HashMap<Box<[u8]>, Arc<str>>,
    default_name: String,
}

impl Partitioner {
    pub fn new(
        schema: &SchemaRef,
        columns: &[usize],
        default_name: &str,
    ) -> Result<Self, ArrowError> {
        let fields = columns
            .iter()
            .map(|i| SortField::new(schema.field(*i).data_type().clone()))
            .collect::<Vec<_>>();
        let converter = if fields.is_empty() { None } else { Some(RowConverter::new(fields)?) };
        Ok(Self {
            columns: columns.to_vec(),
            names: columns.iter().map(|i| encoded(schema.field(*i).name())).collect(),
            kept: (0..schema.fields().len()).filter(|i| !columns.contains(i)).collect(),
            converter,
            folders: HashMap::new(),
            default_name: default_name.to_owned(),
        })
    }

    /// The columns that stay in the files.
    pub fn kept(&self) -> &[usize] {
        &self.kept
    }

    /// The rows of each folder, without the partition columns. The folder ends
    /// in a slash, or is empty.
    pub fn split(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<Vec<(Arc<str>, RecordBatch)>, ArrowError> {
        let kept = batch.project(&self.kept)?;
        let Some(converter) = &self.converter else {
            return Ok(vec![("".into(), kept)]);
        };
        let values: Vec<_> =
            self.columns.iter().map(|i| Arc::clone(batch.column(*i))).collect();
        let rows = converter.convert_columns(&values)?;
        let mut groups: Vec<(u32, Vec<u32>)> = Vec::new();
        let mut group_of: HashMap<&[u8], usize> = HashMap::new();
        let all: Vec<_> = rows.iter().collect();
        let mut last = usize::MAX;
        for (i, row) in (0u32..).zip(&all) {
            // Neighbours mostly share their folder.
            let same = last != usize::MAX && all[groups[last].0 as usize] == *row;
            if !same {
                last = *group_of.entry(row.data()).or_insert_with(|| {
                    groups.push((i, Vec::new()));
                    groups.len() - 1
                });
            }
            groups[last].1.push(i);
        }
        let whole = groups.len() == 1;
        let mut parts = Vec::with_capacity(groups.len());
        for (first, indexes) in groups {
            let folder = self.folder(all[first as usize].data(), batch, first as usize)?;
            let part = if whole {
                kept.clone()
            } else {
                take_record_batch(&kept, &UInt32Array::from(indexes))?
            };
            parts.push((folder, part));
        }
        Ok(parts)
    }

    fn folder(
        &mut self,
        key: &[u8],
        batch: &RecordBatch,
        row: usize,
    ) -> Result<Arc<str>, ArrowError> {
        /// Folders whose names are remembered.
        const REMEMBERED: usize = 100_000;
        if let Some(folder) = self.folders.get(key) {
            return Ok(Arc::clone(folder));
        }
        let mut folder = String::new();
        for (name, column) in self.names.iter().zip(&self.columns) {
            let value = text(batch.column(*column).as_ref(), row)?;
            let value = match value.as_deref() {
                None | Some("") => encoded(&self.default_name),
                Some(value) => encoded(value),
            };
            folder.push_str(&format!("{name}={value}/"));
        }
        let folder: Arc<str> = folder.into();
        if self.folders.len() >= REMEMBERED {
            self.folders.clear();
        }
        self.folders.insert(key.into(), Arc::clone(&folder));
        Ok(folder)
    }
}

fn text(column: &dyn Array, row: usize) -> Result<Option<String>, ArrowError> {
    if column.is_null(row) {
        return Ok(None);
    }
    if let DataType::BinaryView = column.data_type() {
        let reason = "a partition column cannot be binary".to_owned();
        return Err(ArrowError::NotYetImplemented(reason));
    }
    let options = FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%d %H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%d %H:%M:%S%.f"));
    let formatter = ArrayFormatter::try_new(column, &options)?;
    Ok(Some(formatter.value(row).to_string()))
}

/// A value as one folder's name.
fn encoded(value: &str) -> String {
    let encoded = utf8_percent_encode(value, ESCAPED).to_string();
    // After `name=` a dot is harmless, but a reader may take the value alone.
    match encoded.as_str() {
        "." => "%2E".to_owned(),
        ".." => "%2E%2E".to_owned(),
        _ => encoded,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StringViewArray};
    use arrow::datatypes::{Field, Schema};

    #[test]
    fn no_value_leaves_its_folder() {
        for (value, name) in [
            ("09-23-23", "09-23-23"),
            ("../x", "..%2Fx"),
            ("a=b", "a%3Db"),
            ("%41", "%2541"),
            ("..", "%2E%2E"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(encoded(value), name);
        }
    }

    #[test]
    fn rows_go_to_their_folders_and_lose_the_column() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("d", DataType::Utf8View, true),
            Field::new("v", DataType::Int64, true),
        ]));
        let d = StringViewArray::from(vec![Some("a"), Some("b"), Some("a"), None, Some("")]);
        let v = Int64Array::from(vec![1, 2, 3, 4, 5]);
        let batch =
            RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(d), Arc::new(v)]).unwrap();
        let mut partitioner = Partitioner::new(&schema, &[0], "__DEFAULT_PARTITION__").unwrap();
        let parts = partitioner.split(&batch).unwrap();
        let sizes: Vec<_> = parts.iter().map(|(f, b)| (f.as_ref(), b.num_rows())).collect();
        let default = "d=__DEFAULT_PARTITION__/";
        assert_eq!(sizes, [("d=a/", 2), ("d=b/", 1), (default, 1), (default, 1)]);
        assert_eq!(parts[0].1.schema().field(0).name(), "v");
    }
}
