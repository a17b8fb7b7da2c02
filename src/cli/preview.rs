//! `turnstile preview`

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::util::display::FormatOptions;
use arrow::util::pretty::pretty_format_batches_with_options;

use super::progress::{Progress, instant, short};
use super::settings::{SettingFlags, Settings};
use super::signals::stop_on_signals;
use super::{CliError, answer, run, say, script};
use crate::diagnostics::Diagnostic;
use crate::engine::{Ended, Status, StopSignal};
use crate::options::Options;
use crate::planning::catalog::{Connectors, RealConnectors};
use crate::sinks::capture::Capture;
use crate::sinks::{Sink, SinkTable};
use crate::sources::{BoundSource, SourceTable};

/// Show the first rows of a query, from its topics, and write nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Query file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Rows of each table.
    #[arg(long, default_value_t = 10, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Show what there is after this long, such as `30s` or `5m`.
    #[arg(long, default_value = "30s", value_name = "TIME")]
    timeout: humantime::Duration,
    #[command(flatten)]
    settings: SettingFlags,
}

pub fn execute(args: &Args) -> Result<(), CliError> {
    let settings = Settings::load(&args.settings)?;
    let stop = StopSignal::default();
    let limit = usize::try_from(args.limit).unwrap_or(usize::MAX);
    let sinks = Rc::new(Captures::new(limit, stop.clone()));
    let connectors = Rc::clone(&sinks) as Rc<dyn Connectors>;
    let planned = script::plan_with(&args.file, &settings, connectors)?;
    stop_on_signals(&stop)?;
    let (limit, timeout) = (args.limit, *args.timeout);
    say(&format!("the first {limit} rows, or what comes in {}; Ctrl-C ends it", args.timeout));
    let status = Arc::new(Status::default());
    let progress = Progress::start(&status, planned.job.is_bounded(), false);
    let started = Instant::now();
    let done = StopSignal::default();
    let ended = std::thread::scope(|threads| {
        threads.spawn(|| stop_after(timeout, &stop, &done));
        let ended = run::run(planned, None, &status, &stop);
        done.stop();
        ended
    });
    drop(progress);
    let ended = ended?;
    sinks.show()?;
    conclude(&sinks, ended, started.elapsed() >= timeout, &status, &args.timeout.to_string());
    Ok(())
}

fn stop_after(timeout: Duration, stop: &StopSignal, done: &StopSignal) {
    const LOOK_EVERY: Duration = Duration::from_millis(10);
    let started = Instant::now();
    while !done.is_set() && started.elapsed() < timeout {
        std::thread::park_timeout(LOOK_EVERY.min(timeout));
    }
    stop.stop();
}

fn conclude(sinks: &Captures, ended: Ended, late: bool, status: &Status, timeout: &str) {
    let at = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let rows_in = short(at(&status.rows_in) as f64);
    let (late_rows, errors) = (at(&status.late_rows), at(&status.decode_errors));
    let why = match ended {
        Ended::Finished | Ended::AlreadyFinished => "the input ended",
        Ended::Stopped if sinks.all_full() => "that is enough",
        Ended::Stopped if late => &format!("{timeout} are over (--timeout)"),
        Ended::Stopped => "stopped",
    };
    say(&format!(
        "{why}: {rows_in} rows read, {late_rows} late, {errors} not decoded; nothing was written"
    ));
    let open = at(&status.open_windows);
    if ended == Ended::Stopped && !sinks.all_full() && open > 0 {
        let watermark = instant(status.watermark_ms.load(Ordering::Relaxed));
        say(&format!("{open} windows are still open; the watermark is {watermark}"));
    }
}

/// The query's own sources, and a place in memory for every sink.
#[derive(Debug)]
struct Captures {
    limit: usize,
    stop: StopSignal,
    /// Tables that have not all their rows yet.
    wanting: Arc<AtomicUsize>,
    tables: RefCell<BTreeMap<String, Capture>>,
}

impl Captures {
    fn new(limit: usize, stop: StopSignal) -> Self {
        Self { limit, stop, wanting: Arc::default(), tables: RefCell::default() }
    }

    /// A sink for one more table; the last one that is full ends the run.
    fn another(&self) -> Capture {
        self.wanting.fetch_add(1, Ordering::SeqCst);
        let (wanting, stop) = (Arc::clone(&self.wanting), self.stop.clone());
        Capture::first(self.limit, move || {
            if wanting.fetch_sub(1, Ordering::SeqCst) == 1 {
                stop.stop();
            }
        })
    }

    fn all_full(&self) -> bool {
        self.wanting.load(Ordering::SeqCst) == 0
    }

    fn show(&self) -> Result<(), CliError> {
        let tables = self.tables.borrow();
        for (name, capture) in tables.iter() {
            let rows = capture.take();
            let title = if tables.len() > 1 { format!("{name}\n") } else { String::new() };
            if rows.is_empty() {
                say(&format!("`{name}`: no rows"));
                continue;
            }
            let options = FormatOptions::default().with_null("NULL");
            let table = pretty_format_batches_with_options(&rows, &options)
                .map_err(|e| CliError::Bug(format!("showing rows: {e}")))?;
            answer(&format!("{title}{table}\n"))?;
        }
        Ok(())
    }
}

impl Connectors for Captures {
    fn source(
        &self,
        table: &SourceTable<'_>,
        options: Options,
    ) -> Result<BoundSource, Vec<Diagnostic>> {
        RealConnectors.source(table, options)
    }

    fn sink(
        &self,
        table: &SinkTable<'_>,
        options: Options,
    ) -> Result<Arc<dyn Sink>, Vec<Diagnostic>> {
        // What is wrong with its options is said here, as `run` would.
        RealConnectors.sink(table, options)?;
        let mut tables = self.tables.borrow_mut();
        let capture = tables.entry(table.name.to_owned()).or_insert_with(|| self.another());
        Ok(Arc::new(capture.clone()))
    }
}
