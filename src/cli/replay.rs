//! `turnstile replay`: dead letters back on a topic.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::produce::{Cluster, Sender};
use super::signals::stop_on_signals;
use super::{CliError, say};
use crate::engine::StopSignal;
use crate::store::{Folder, parse_location};

/// Send dead letters back to the topics that they came from, with their keys and
/// headers, or to another one.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of dead letters (`turnstile.dead-letters.path`).
    #[arg(value_name = "FOLDER")]
    folder: String,
    #[command(flatten)]
    cluster: Cluster,
    /// In place of the topics that they came from.
    #[arg(long)]
    topic: Option<String>,
    /// Delete each file when its messages are delivered, so that none is sent
    /// again.
    #[arg(long)]
    delete: bool,
}

/// A message as it was.
struct Letter {
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

pub fn execute(args: &Args) -> Result<(), CliError> {
    let location = parse_location(&args.folder).map_err(|fault| {
        CliError::Author(format!("error: {}: {}", args.folder, fault.message))
    })?;
    let world = |e: crate::store::StoreError| CliError::World(e.to_string());
    let folder = Folder::open_existing(&location).map_err(world)?;
    let folder = folder.ok_or_else(|| {
        CliError::Author(format!("error: {location}: there is no such folder"))
    })?;
    let mut files = folder.list("").map_err(world)?;
    files.retain(|name| name.ends_with(".parquet"));
    let properties = args.cluster.properties()?;
    let stop = StopSignal::default();
    stop_on_signals(&stop)?;
    let mut sent = 0;
    for name in &files {
        let Some(bytes) = folder.read(name).map_err(world)? else { continue };
        let by_topic = letters(bytes)
            .map_err(|reason| CliError::World(format!("{}: {reason}", folder.locate(name))))?;
        for (topic, letters) in by_topic {
            let topic = args.topic.as_ref().unwrap_or(&topic);
            let sender = Sender::connect(&properties, topic, 1)?;
            for letter in &letters {
                let (key, payload) = (letter.key.as_deref(), letter.payload.as_deref());
                sender.send_whole(key, payload, &letter.headers, &stop)?;
            }
            sent += sender.finish(&stop)?;
        }
        if stop.is_set() {
            break;
        }
        if args.delete {
            folder.delete(name).map_err(world)?;
        }
    }
    say(&format!("{sent} messages of {} files sent", files.len()));
    if !args.delete && sent > 0 {
        say("the files are still there: the next replay sends their messages again (--delete)");
    }
    Ok(())
}

/// The messages of a file, by topic.
fn letters(bytes: Vec<u8>) -> Result<BTreeMap<String, Vec<Letter>>, String> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes));
    let reader = builder.and_then(|b| b.build()).map_err(|e| e.to_string())?;
    let mut all: BTreeMap<String, Vec<Letter>> = BTreeMap::new();
    for batch in reader {
        let batch = batch.map_err(|e| e.to_string())?;
        add(&batch, &mut all).ok_or("it holds no dead letters")?;
    }
    Ok(all)
}

fn add(batch: &RecordBatch, all: &mut BTreeMap<String, Vec<Letter>>) -> Option<()> {
    let topics = batch.column_by_name("topic")?.as_string_opt::<i32>()?;
    batch.column_by_name("partition")?.as_primitive_opt::<Int32Type>()?;
    let keys = batch.column_by_name("key")?.as_binary_opt::<i32>()?;
    let payloads = batch.column_by_name("payload")?.as_binary_opt::<i32>()?;
    let headers = batch.column_by_name("headers")?.as_map_opt()?;
    for row in 0..batch.num_rows() {
        let own = headers.value(row);
        let names = own.column(0).as_string_opt::<i32>()?;
        let values = own.column(1).as_binary_opt::<i32>()?;
        let header = |i: usize| {
            let value = values.is_valid(i).then(|| values.value(i).to_vec());
            (names.value(i).to_owned(), value)
        };
        let letter = Letter {
            key: keys.is_valid(row).then(|| keys.value(row).to_vec()),
            payload: payloads.is_valid(row).then(|| payloads.value(row).to_vec()),
            headers: (0..own.len()).map(header).collect(),
        };
        all.entry(topics.value(row).to_owned()).or_default().push(letter);
    }
    Some(())
}
