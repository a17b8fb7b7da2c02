//! From messages to rows: decodes, adds metadata columns, and notes what each
//! row is judged by.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewArray, BinaryViewBuilder, Int32Array, Int64Array,
    MapBuilder, MapFieldNames, RecordBatch, StringViewArray, StringViewBuilder,
    TimestampMillisecondArray,
};
use arrow::compute::{cast, filter_record_batch, is_not_null};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit, TimestampMillisecondType};

use super::error::EngineError;
use super::ops::{batch, evaluate};
use super::profile::{Meter, Step};
use super::rows::Rows;
use super::watermark::{self, judged_by};
use crate::formats::{DecodeError, Decoded, Decoder, Messages, OnError, TimestampType};
use crate::planning::pipeline::{Job, NullEventTime, Scan, ScanColumn, ScanFormat};
use crate::sources::{Data, MetadataKey, SplitId};

/// One worker's way of reading a table.
pub struct Scanner {
    job: Arc<Job>,
    scan: usize,
    value: Option<Box<dyn Decoder>>,
    key: Option<Box<dyn Decoder>>,
    /// Running watermark of each split, in milliseconds.
    watermarks: HashMap<SplitId, i64>,
}

/// What became of a split's messages.
#[derive(Debug)]
pub struct Scanned {
    pub rows: Rows,
    /// The split's watermark after these rows.
    pub watermark: i64,
    /// Messages that could not be decoded and were left out.
    pub errors: u64,
    /// Messages or rows taken in.
    pub taken: u64,
    /// What could not be read, for the job's table of dead letters.
    pub dead: Option<RecordBatch>,
}

impl Scanner {
    pub fn new(job: Arc<Job>, scan: usize) -> Self {
        let decoder =
            |f: &Option<ScanFormat>| f.as_ref().map(|f| f.format.decoder(&f.projection));
        let plan = &job.scans[scan];
        let (value, key) = (decoder(&plan.value), decoder(&plan.key));
        Self { job, scan, value, key, watermarks: HashMap::new() }
    }

    /// A split goes on from a watermark of an earlier process.
    pub fn resume(&mut self, split: SplitId, watermark: i64) {
        self.watermarks.insert(split, watermark);
    }

    /// The watermark of a split's rows so far.
    pub fn watermark(&self, split: &SplitId) -> i64 {
        self.watermarks.get(split).copied().unwrap_or(watermark::MIN)
    }

    fn plan(&self) -> &Scan {
        &self.job.scans[self.scan]
    }

    pub fn scan(
        &mut self,
        split: &SplitId,
        data: Data,
        meter: &mut Meter,
    ) -> Result<Scanned, EngineError> {
        let mut unread = Vec::new();
        let (batch, origin, taken) = match data {
            Data::Rows(rows) => {
                let taken = rows.num_rows() as u64;
                (self.own_rows(&rows)?, None, taken)
            }
            Data::Messages(messages) => {
                let taken = messages.len() as u64;
                let (batch, rows) = self.decode(&messages, &mut unread)?;
                (batch, Some((messages, rows)), taken)
            }
        };
        meter.lap(Step::Decode);
        let (rows, watermark, dropped) =
            self.judge(split, batch, origin.as_ref(), &mut unread)?;
        meter.lap(Step::EventTime);
        let errors = unread.len() as u64 + dropped;
        let dead = match &origin {
            Some((messages, _)) if self.job.dead_letters.is_some() && !unread.is_empty() => {
                let output = &self.job.outputs[self.job.dead_letters.expect("just seen")];
                let table = &self.plan().table;
                Some(dead_letters(table, messages, &unread, &output.schema)?)
            }
            _ => None,
        };
        Ok(Scanned { rows, watermark, errors, taken, dead })
    }

    fn own_rows(&self, rows: &RecordBatch) -> Result<RecordBatch, EngineError> {
        let column = |column: &ScanColumn| match column {
            ScanColumn::Row(at) => Arc::clone(rows.column(*at)),
            other => unreachable!("a source of rows gives no {other:?}"),
        };
        let columns = self.plan().columns.iter().map(column).collect();
        batch(&self.plan().schema, columns, rows.num_rows())
    }

    /// The rows, and the message of each; what cannot be read goes to `unread`.
    fn decode(
        &mut self,
        messages: &Messages,
        unread: &mut Vec<DecodeError>,
    ) -> Result<(RecordBatch, Vec<u32>), EngineError> {
        let value = self.value.as_mut().expect("a source of messages has a format");
        let mut value = value.decode(messages);
        unread.append(&mut value.errors);
        self.tolerate(unread, &self.plan().value, messages)?;
        let mut keys = None;
        if let Some(decoder) = &mut self.key {
            let mut key = decoder.decode(&keys_as_payloads(messages));
            self.tolerate(&key.errors, &self.plan().key, messages)?;
            unread.append(&mut key.errors);
            (value, key) = in_both(value, key)?;
            keys = Some(key);
        }
        let rows = value.rows.len();
        let columns = self.plan().columns.iter().zip(self.plan().schema.fields()).map(
            |(column, field)| match column {
                ScanColumn::Value(at) => Ok(Arc::clone(&value.columns[*at])),
                ScanColumn::Key(at) => {
                    let keys = keys.as_ref().expect("a key column has a key format");
                    Ok(Arc::clone(&keys.columns[*at]))
                }
                ScanColumn::Metadata(key) => {
                    Ok(cast(&metadata(*key, messages, &value.rows), field.data_type())?)
                }
                ScanColumn::Row(_) => unreachable!("a source of messages makes no rows"),
            },
        );
        let columns = columns.collect::<Result<Vec<_>, EngineError>>()?;
        Ok((batch(&self.plan().schema, columns, rows)?, value.rows))
    }

    /// Stops the job for what could not be decoded, unless it is to go on.
    fn tolerate(
        &self,
        errors: &[DecodeError],
        format: &Option<ScanFormat>,
        messages: &Messages,
    ) -> Result<(), EngineError> {
        let strict = format.as_ref().is_some_and(|f| f.format.on_error() == OnError::Fail)
            && self.job.dead_letters.is_none();
        match errors.first() {
            Some(first) if strict => Err(EngineError::Decode {
                table: self.plan().table.clone(),
                topic: messages.topic.to_string(),
                partition: messages.partition,
                offset: messages.offsets[first.message as usize],
                reason: first.reason.clone(),
            }),
            _ => Ok(()),
        }
    }

    /// Moves the split's watermark and notes what each row is judged by. Gives
    /// the watermark, and how many rows that are no messages were dropped for
    /// want of an event time; those of messages go to `unread`.
    fn judge(
        &mut self,
        split: &SplitId,
        mut batch: RecordBatch,
        origin: Option<&(Messages, Vec<u32>)>,
        unread: &mut Vec<DecodeError>,
    ) -> Result<(Rows, i64, u64), EngineError> {
        let job = Arc::clone(&self.job);
        let plan = &job.scans[self.scan];
        let Some(watermark) = &plan.watermark else {
            return Ok((Rows::unjudged(batch), watermark::MIN, 0));
        };
        let event_time = evaluate(&watermark.event_time, &batch)?;
        let mut dropped = 0;
        if let Some(row) = first_null(&event_time) {
            let strict = watermark.null_handling == NullEventTime::Fail;
            if strict && self.job.dead_letters.is_none() {
                return Err(null_event_time(plan, row, origin));
            }
            let timed = is_not_null(&event_time)?;
            match origin {
                None => dropped = timed.false_count() as u64,
                Some((_, messages)) => {
                    let untimed = (0..timed.len()).filter(|row| !timed.value(*row));
                    unread.extend(untimed.map(|row| DecodeError {
                        message: messages[row],
                        reason: format!("the event time `{}` is NULL", watermark.column),
                    }));
                }
            }
            batch = filter_record_batch(&batch, &timed)?;
        }
        let values = evaluate(&watermark.expr, &batch)?;
        let millis = milliseconds(&values)?;
        let running = self.watermarks.entry(split.clone()).or_insert(watermark::MIN);
        let judged = judged_by(millis.iter(), running);
        let judged = Arc::new(Int64Array::from(judged));
        let rows = Rows {
            batch,
            judged_by: Some(judged),
            judged_by_at_most: *running,
            split: split.number(),
        };
        Ok((rows, *running, dropped))
    }
}

/// What could not be read, as rows of the table of dead letters.
fn dead_letters(
    table: &str,
    messages: &Messages,
    unread: &[DecodeError],
    schema: &SchemaRef,
) -> Result<RecordBatch, EngineError> {
    let rows: Vec<u32> = unread.iter().map(|error| error.message).collect();
    let keys = rows.iter().map(|row| messages.key(*row as usize));
    let payloads = rows.iter().map(|row| messages.payload(*row as usize));
    let text = |text: &str| -> ArrayRef {
        Arc::new(StringViewArray::from_iter_values(rows.iter().map(|_| text)))
    };
    let reasons = unread.iter().map(|error| error.reason.as_str());
    let columns = vec![
        text(table),
        text(&messages.topic),
        metadata(MetadataKey::Partition, messages, &rows),
        metadata(MetadataKey::Offset, messages, &rows),
        metadata(MetadataKey::Timestamp, messages, &rows),
        Arc::new(keys.collect::<BinaryViewArray>()),
        Arc::new(payloads.collect::<BinaryViewArray>()),
        headers(messages, &rows),
        Arc::new(StringViewArray::from_iter_values(reasons)),
    ];
    let typed = columns.iter().zip(schema.fields());
    let typed = typed.map(|(column, field)| cast(column, field.data_type()));
    batch(schema, typed.collect::<Result<_, _>>()?, rows.len())
}

fn first_null(array: &ArrayRef) -> Option<usize> {
    let nulls = array.logical_nulls()?;
    (0..array.len()).find(|row| nulls.is_null(*row))
}

fn null_event_time(
    scan: &Scan,
    row: usize,
    origin: Option<&(Messages, Vec<u32>)>,
) -> EngineError {
    let column = scan.watermark.as_ref().map(|w| w.column.clone()).unwrap_or_default();
    let (topic, partition, offset) = match origin {
        Some((messages, rows)) => {
            let message = rows[row] as usize;
            (messages.topic.to_string(), messages.partition, messages.offsets[message])
        }
        None => (scan.connector.to_owned(), 0, i64::try_from(row).unwrap_or(i64::MAX)),
    };
    EngineError::NullEventTime { table: scan.table.clone(), column, topic, partition, offset }
}

/// A timestamp column in whole milliseconds, rounded down.
fn milliseconds(array: &ArrayRef) -> Result<Int64Array, EngineError> {
    use arrow::datatypes::TimestampMicrosecondType;
    if let Some(micros) = array.as_primitive_opt::<TimestampMicrosecondType>() {
        return Ok(micros.unary(|us| us.div_euclid(1000)));
    }
    let zone = match array.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let millis = cast(array, &DataType::Timestamp(TimeUnit::Millisecond, zone))?;
    Ok(millis.as_primitive::<TimestampMillisecondType>().unary(|ms| ms))
}

/// The keys as a decoder's messages. A message without a key decodes to NULLs
/// nowhere: it is no row of the key's, and so no row at all.
fn keys_as_payloads(messages: &Messages) -> Messages {
    let keys = messages.keys.clone().expect("keys were asked for");
    Messages { payloads: keys, keys: None, headers: None, ..messages.clone() }
}

/// The rows of the messages that both value and key could be read of.
fn in_both(value: Decoded, key: Decoded) -> Result<(Decoded, Decoded), EngineError> {
    if value.rows == key.rows {
        return Ok((value, key));
    }
    let common = |a: &Decoded, b: &Decoded| -> arrow::array::BooleanArray {
        a.rows.iter().map(|row| Some(b.rows.binary_search(row).is_ok())).collect()
    };
    let (keep_value, keep_key) = (common(&value, &key), common(&key, &value));
    let keep = |decoded: Decoded, mask: &arrow::array::BooleanArray| {
        let columns = decoded
            .columns
            .iter()
            .map(|column| arrow::compute::filter(column, mask))
            .collect::<Result<Vec<_>, _>>()?;
        let rows = decoded.rows.iter().zip(mask.values().iter());
        let rows = rows.filter(|(_, keep)| *keep).map(|(row, _)| *row).collect();
        Ok::<_, EngineError>(Decoded { columns, rows, errors: decoded.errors })
    };
    Ok((keep(value, &keep_value)?, keep(key, &keep_key)?))
}

/// A metadata column, in the connector's own type.
fn metadata(key: MetadataKey, messages: &Messages, rows: &[u32]) -> ArrayRef {
    let each = rows.iter().map(|row| *row as usize);
    match key {
        MetadataKey::Topic => {
            let topics = each.map(|_| messages.topic.as_ref());
            Arc::new(
                topics.collect::<Vec<_>>().into_iter().map(Some).collect::<StringViewArray>(),
            )
        }
        MetadataKey::Partition => Arc::new(
            each.map(|_| messages.partition)
                .collect::<Vec<_>>()
                .into_iter()
                .map(Some)
                .collect::<Int32Array>(),
        ),
        MetadataKey::Offset => {
            Arc::new(Int64Array::from(each.map(|i| messages.offsets[i]).collect::<Vec<_>>()))
        }
        MetadataKey::Timestamp => {
            let times = each.map(|i| messages.timestamps[i]).collect::<Vec<_>>();
            Arc::new(TimestampMillisecondArray::from(times).with_timezone("UTC"))
        }
        MetadataKey::LeaderEpoch => {
            let epochs = each.map(|i| messages.stamp(i).leader_epoch);
            Arc::new(epochs.collect::<Int32Array>())
        }
        MetadataKey::TimestampType => {
            let types = each.map(|i| match messages.stamp(i).timestamp_type {
                TimestampType::NoTimestampType => Some("NoTimestampType"),
                TimestampType::CreateTime => Some("CreateTime"),
                TimestampType::LogAppendTime => Some("LogAppendTime"),
            });
            Arc::new(types.collect::<StringViewArray>())
        }
        MetadataKey::Headers => headers(messages, rows),
    }
}

fn headers(messages: &Messages, rows: &[u32]) -> ArrayRef {
    let names = MapFieldNames {
        entry: "entries".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut map =
        MapBuilder::new(Some(names), StringViewBuilder::new(), BinaryViewBuilder::new());
    for row in rows {
        let all = messages.headers.as_ref().map(|headers| headers[*row as usize].as_slice());
        for header in all.unwrap_or_default() {
            map.keys().append_value(&header.key);
            map.values().append_option(header.value.as_deref());
        }
        map.append(true).expect("a key for every value");
    }
    Arc::new(map.finish())
}
