//! `turnstile demo`

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::util::pretty::pretty_format_batches;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::produce::{Load, Sender, produce_readings, property};
use super::progress::{Progress, short};
use super::settings::Settings;
use super::signals::stop_on_signals;
use super::{CliError, answer, run, say, script};
use crate::broker::{EmbeddedBroker, KEEPS_NOTHING};
use crate::diagnostics::Span;
use crate::engine::{Status, StopSignal};
use crate::kafka_client::ClientProperties;

/// See the main job at work: a broker inside the process, made-up turnstile
/// readings, and `queries/turnstile_5min.sql` on them.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Readings to produce.
    #[arg(long, default_value_t = 300_000, value_name = "N")]
    events: u64,
    /// Readings a second; 0: as fast as possible.
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    rate: u64,
    /// Where the result lands.
    #[arg(long, default_value = "lake", value_name = "DIR")]
    lake: PathBuf,
    /// Go on producing until Ctrl-C.
    #[arg(long)]
    keep_running: bool,
    /// The same seed gives the same readings.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

const QUERY: &str = include_str!("../../queries/turnstile_5min.sql");
const PARTITIONS: i32 = 4;
/// Rows shown at the end.
const SHOWN: usize = 8;
/// After the last reading was taken in, this long for the last windows' files.
const SETTLE: Duration = Duration::from_millis(1500);

pub fn execute(args: &Args) -> Result<(), CliError> {
    let started = Instant::now();
    let lake = lake(&args.lake)?;
    let broker = EmbeddedBroker::start()
        .map_err(|e| CliError::World(format!("starting the embedded broker: {e}")))?;
    let address = broker.address();
    say(&format!("Kafka broker on {address}. {KEEPS_NOTHING}"));
    let lake_url = format!("file://{}", lake.display());
    let env = |name: &str| match name {
        "KAFKA_BOOTSTRAP" => Some(address.clone()),
        "LAKE" => Some(lake_url.clone()),
        _ => None,
    };
    let planned =
        script::plan_text("queries/turnstile_5min.sql", QUERY, &Settings::default(), &env)?;
    let sender = connect(&address)?;
    let stop = StopSignal::default();
    stop_on_signals(&stop)?;
    let status = Arc::new(Status::default());
    let load = Load {
        events: if args.keep_running { u64::MAX } else { args.events },
        rate: args.rate,
        speed: None,
        seed: args.seed,
    };
    say(&format!("running queries/turnstile_5min.sql into {}", lake.display()));
    let progress = Progress::start(&status, false, false);
    let result = std::thread::scope(|threads| {
        let produced = threads.spawn(|| {
            let result = produce_readings(&sender, load, &stop);
            let result = result.and_then(|()| sender.finish(&stop));
            if let Ok(delivered) = &result {
                wait_until_read(*delivered, &status, &stop);
            }
            stop.stop();
            result
        });
        threads.spawn(|| announce_first_row(&status, &stop, started));
        let ended = run::run(planned, None, &status, &stop);
        // If the job failed, the producer must not go on alone.
        stop.stop();
        let produced = produced.join().map_err(|_| CliError::Bug("the producer".to_owned()))?;
        ended.and(produced)
    });
    drop(progress);
    let delivered = result?;
    conclude(&lake, delivered, &status, started.elapsed())
}

fn connect(address: &str) -> Result<Sender, CliError> {
    let pairs = [property("bootstrap.servers", address), property("linger.ms", "5")];
    let properties = ClientProperties::from_pairs(pairs, "", Span::default())
        .map_err(|errors| CliError::Bug(format!("{errors:?}")))?;
    Sender::connect(&properties, "turnstile", PARTITIONS)
}

/// A fresh folder below `lake`, so that runs do not mix.
fn lake(lake: &Path) -> Result<PathBuf, CliError> {
    let failed = |e: std::io::Error| CliError::World(format!("{}: {e}", lake.display()));
    std::fs::create_dir_all(lake).map_err(failed)?;
    let lake = lake.canonicalize().map_err(failed)?;
    let free = (1..).map(|n| lake.join(format!("demo-{n}"))).find(|folder| !folder.exists());
    let folder = free.expect("numbers do not end");
    std::fs::create_dir(&folder).map_err(failed)?;
    Ok(folder)
}

fn wait_until_read(delivered: u64, status: &Status, stop: &StopSignal) {
    let mut settled = None;
    while !stop.is_set() {
        let read = status.rows_in.load(Ordering::Relaxed) >= delivered;
        let settled = settled.get_or_insert_with(Instant::now);
        if !read {
            *settled = Instant::now();
        }
        let pending = status.rows_out.load(Ordering::Relaxed)
            > status.rows_published.load(Ordering::Relaxed);
        if settled.elapsed() >= SETTLE && !pending {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn announce_first_row(status: &Status, stop: &StopSignal, started: Instant) {
    while !stop.is_set() {
        if status.rows_published.load(Ordering::Relaxed) > 0 {
            let seconds = started.elapsed().as_secs_f64();
            say(&format!("first finished rows in the lake after {seconds:.2} s"));
            return;
        }
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn conclude(
    lake: &Path,
    delivered: u64,
    status: &Status,
    elapsed: Duration,
) -> Result<(), CliError> {
    let at = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let folder = lake.join("turnstile_5min");
    say(&format!(
        "{} readings became {} rows of {} closed windows in {:.1} s; {} came too late",
        short(delivered as f64),
        at(&status.rows_published),
        at(&status.closed_windows),
        elapsed.as_secs_f64(),
        at(&status.late_rows),
    ));
    if at(&status.open_windows) > 0 {
        say(&format!(
            "{} windows are still open: their readings wait for the watermark",
            at(&status.open_windows)
        ));
    }
    if let Some(batch) = some_rows(&folder)? {
        let table = pretty_format_batches(&[batch])
            .map_err(|e| CliError::Bug(format!("showing rows: {e}")))?;
        answer(&format!("{table}\n"))?;
    }
    answer(&format!(
        "\nParquet files: {folder}\n  duckdb -c \"SELECT STATION, SUM(ENTRIES) AS entries, SUM(EXITS) AS exits \
         FROM read_parquet('{folder}/**/*.parquet') GROUP BY STATION ORDER BY entries DESC LIMIT 10\"\n",
        folder = folder.display()
    ))
}

/// The first rows of the first file.
fn some_rows(folder: &Path) -> Result<Option<RecordBatch>, CliError> {
    let Some(file) = first_file(folder) else { return Ok(None) };
    let failed = |e: String| CliError::World(format!("{}: {e}", file.display()));
    let open = std::fs::File::open(&file).map_err(|e| failed(e.to_string()))?;
    let mut reader = ParquetRecordBatchReaderBuilder::try_new(open)
        .and_then(|builder| builder.with_batch_size(SHOWN).build())
        .map_err(|e| failed(e.to_string()))?;
    reader.next().transpose().map_err(|e| failed(e.to_string()))
}

fn first_file(folder: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.filter_map(|e| e.ok().map(|e| e.path())).collect();
    entries.sort();
    entries
        .into_iter()
        .find_map(|path| if path.is_dir() { first_file(&path) } else { Some(path) })
}
