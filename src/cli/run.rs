//! `turnstile run`

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::progress::{Progress, instant, short};
use super::settings::{RunSettings, SettingFlags, Settings, apply_log_level};
use super::signals::stop_on_signals;
use super::{CliError, answer, memory, profile, say, script, state};
use crate::checkpoint::SplitState;
use crate::clock::{Clock as _, SystemClock, process_cpu_time};
use crate::engine::{
    Checkpoints, Ended, MemoryOptions, ResumedFrom, RunOptions, Started, StateOptions, Status,
    StopSignal,
};
use crate::planning::Planned;
use crate::planning::pipeline::Job;
use crate::store::Location;

/// Run every INSERT of a query file until its input ends or Ctrl-C.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Query file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Go on at the stored offsets of a job whose query has changed; what its
    /// open windows hold is lost.
    #[arg(long)]
    drop_state: bool,
    /// Begin at the stored offsets of another job, if this one has never run.
    #[arg(long, value_name = "JOB", conflicts_with = "drop_state")]
    offsets_of: Option<String>,
    /// Show where the CPU time goes, step by step.
    #[arg(long)]
    profile: bool,
    #[command(flatten)]
    settings: SettingFlags,
}

pub fn execute(args: &Args) -> Result<(), CliError> {
    let settings = Settings::load(&args.settings)?;
    let planned = script::plan(&args.file, &settings)?;
    for explained in &planned.explained {
        answer(explained)?;
    }
    if planned.job.outputs.is_empty() {
        return Ok(());
    }
    let state = state::options(&planned, args.drop_state, args.offsets_of.as_deref())?;
    introduce(&planned.job, state.as_ref());
    let stop = StopSignal::default();
    stop_on_signals(&stop)?;
    let status = Arc::new(Status::default());
    let started = Instant::now();
    let progress = Progress::start(&status, planned.job.is_bounded(), args.profile);
    let bounded = planned.job.is_bounded();
    let keeps_state = state.is_some();
    let ended = run(planned, state, &status, &stop);
    drop(progress);
    let ended = ended?;
    conclude(ended, bounded, keeps_state, &status, started.elapsed());
    if args.profile {
        say(&profile::table(&status.profile, process_cpu_time()));
    }
    Ok(())
}

/// Runs a planned job with its own settings.
pub fn run(
    planned: Planned,
    state: Option<StateOptions>,
    status: &Arc<Status>,
    stop: &StopSignal,
) -> Result<Ended, CliError> {
    apply_log_level(&planned.settings);
    let options = options(&planned, state);
    let started = Started::new(planned.job, &options, status)?;
    if let Some(from) = started.resumed_from() {
        tell_resumed(from);
    }
    Ok(started.run(stop)?)
}

/// A window's results should be seen soon; a row-by-row query's need not make
/// a file a second.
const RESULTS_INTERVAL: Duration = Duration::from_secs(1);

fn options(planned: &Planned, state: Option<StateOptions>) -> RunOptions {
    let settings = RunSettings::from(&planned.settings);
    let interval = Some(settings.checkpoint_interval);
    let results = RESULTS_INTERVAL.min(settings.checkpoint_interval);
    let bounded = planned.job.is_bounded();
    let folder = match state.as_ref().map(|state| &state.location) {
        Some(Location::Local(folder)) => folder.clone(),
        _ => std::env::temp_dir(),
    };
    let limit = settings.memory_limit.or_else(memory::half);
    let memory = limit.map(|limit| MemoryOptions::new(limit, settings.workers, folder.into()));
    let checkpoints = Checkpoints {
        interval: interval.filter(|_| !bounded || state.is_some()),
        results_interval: (!bounded && !planned.job.stages.is_empty()).then_some(results),
        state,
    };
    RunOptions {
        workers: settings.workers,
        batch_size: settings.batch_size,
        checkpoints,
        on_data_loss: settings.on_data_loss,
        kafka_client: settings.kafka_client,
        memory,
        clock: Arc::new(SystemClock),
        run_id: run_id(),
        ends_at: None,
    }
}

/// Sorts by time and differs between runs that start together.
fn run_id() -> String {
    let unique = uuid::Uuid::new_v4().simple().to_string();
    format!("{}-{}", SystemClock.now_ms(), &unique[..8])
}

fn introduce(job: &Job, state: Option<&StateOptions>) {
    let sources: Vec<_> = job.scans.iter().map(|s| s.table.as_str()).collect();
    let sinks: Vec<_> = job.outputs.iter().map(|o| o.table.as_str()).collect();
    say(&format!("{}: {} -> {}", job.name, sources.join(", "), sinks.join(", ")));
    match state {
        Some(state) => say(&format!("state: {}", state.location)),
        None => say("no state is kept: none of the sinks could use it"),
    }
}

/// Says from where a job goes on.
fn tell_resumed(from: &ResumedFrom) {
    if from.state.finished {
        return;
    }
    let age_ms = u64::try_from(SystemClock.now_ms() - from.created_at_ms).unwrap_or(0);
    let age = humantime::format_duration(Duration::from_secs(age_ms / 1000));
    say(&format!("goes on from epoch {}, saved {age} ago", from.epoch));
    for scan in &from.state.scans {
        let split = |s: &SplitState| format!("{}/{} at {}", s.topic, s.partition, s.next);
        let splits: Vec<String> = scan.splits.iter().map(split).collect();
        let watermark = instant(scan.watermark);
        say(&format!("  {}: watermark {watermark}; {}", scan.table, splits.join(", ")));
    }
}

fn conclude(
    ended: Ended,
    bounded: bool,
    keeps_state: bool,
    status: &Status,
    elapsed: Duration,
) {
    if ended == Ended::AlreadyFinished {
        say(
            "this job has finished before: its input was read to the end, nothing is left to do\n\
             hint: another turnstile.job.name begins anew",
        );
        return;
    }
    let at = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let rows_in = at(&status.rows_in);
    let how = match ended {
        Ended::Finished | Ended::AlreadyFinished => "finished",
        Ended::Stopped => "stopped",
    };
    say(&format!(
        "{how} after {:.1} s: {rows_in} rows in ({}/s), {} rows out in {} files, \
         {} late, {} not decoded, {} windows closed",
        elapsed.as_secs_f64(),
        short((rows_in - at(&status.rows_in_before)) as f64 / elapsed.as_secs_f64().max(0.001)),
        at(&status.rows_published),
        at(&status.files),
        at(&status.late_rows),
        at(&status.decode_errors),
        at(&status.closed_windows),
    ));
    let open = at(&status.open_windows);
    if ended == Ended::Stopped && open > 0 {
        let hint = match (keeps_state, bounded) {
            (true, _) => "are kept: the next run goes on with them",
            (false, true) => "are not written",
            (false, false) => "are not written; a restart reads their rows again",
        };
        say(&format!("{open} windows were still open and {hint}"));
    }
}
