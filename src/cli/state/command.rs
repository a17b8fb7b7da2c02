//! `turnstile state`: what jobs have saved.

use std::path::Path;
use std::sync::Arc;

use super::location;
use crate::checkpoint::{Archive, Collected, Committer, Identity, Manifest};
use crate::cli::progress::instant;
use crate::cli::settings::{SettingFlags, Settings};
use crate::cli::{CliError, answer, script};
use crate::clock::SystemClock;
use crate::engine::EngineError;
use crate::store::Folder;

/// Look at what a job has saved, check it, or go back in it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// List the checkpoints that are kept.
    List(Args),
    /// Show a checkpoint: offsets, watermarks, state, files.
    Show(EpochArgs),
    /// Read everything that a checkpoint needs and check its checksums.
    Verify(EpochArgs),
    /// Delete checkpoints that are not to be kept, and what processes that were
    /// killed have left. The job must not be running: it would be stopped.
    Collect(CollectArgs),
    /// Go back: the next run goes on from an earlier checkpoint. What the lake
    /// holds stays there and is named.
    Restore(RestoreArgs),
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job's name, or its query file.
    #[arg(value_name = "JOB")]
    job: String,
    #[command(flatten)]
    settings: SettingFlags,
}

#[derive(Debug, clap::Args)]
pub struct EpochArgs {
    #[command(flatten)]
    job: Args,
    /// The newest unless said.
    #[arg(long)]
    epoch: Option<u64>,
}

#[derive(Debug, clap::Args)]
pub struct CollectArgs {
    #[command(flatten)]
    job: Args,
    /// How many checkpoints are kept, at least.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    keep: u64,
}

#[derive(Debug, clap::Args)]
pub struct RestoreArgs {
    #[command(flatten)]
    job: Args,
    #[arg(long)]
    epoch: u64,
}

pub fn execute(command: &Command) -> Result<(), CliError> {
    match command {
        Command::List(args) => list(args),
        Command::Show(args) => show(args),
        Command::Verify(args) => verify(args),
        Command::Collect(args) => collect(args),
        Command::Restore(args) => restore(args),
    }
}

/// A job's name and the folder of its state.
fn open(args: &Args) -> Result<(String, Folder), CliError> {
    let settings = Settings::load(&args.settings)?;
    let (job, settings) = if Path::new(&args.job).is_file() {
        let planned = script::plan(Path::new(&args.job), &settings)?;
        (super::job_name(&planned), planned.settings)
    } else {
        let mut merged = settings.before.clone();
        merged.extend(settings.flags.clone());
        (args.job.clone(), merged)
    };
    let location = location(&settings, &job)?;
    let folder =
        Folder::open_existing(&location).map_err(|e| CliError::World(e.to_string()))?;
    let missing = || CliError::Author(format!("error: job `{job}` has no state in {location}"));
    let folder = folder.ok_or_else(missing)?;
    Ok((job, folder))
}

fn archive(args: &Args) -> Result<(String, Archive), CliError> {
    let (job, folder) = open(args)?;
    Ok((job, Archive::new(folder)))
}

fn failed(error: impl Into<EngineError>) -> CliError {
    error.into().into()
}

fn list(args: &Args) -> Result<(), CliError> {
    let (_, archive) = archive(args)?;
    let floor = archive.floor().map_err(failed)?;
    answer("epoch  saved                rows in  rows out  state bytes  files\n")?;
    for epoch in archive.epochs().map_err(failed)?.into_iter().filter(|epoch| *epoch > floor) {
        let Some(manifest) = archive.manifest(epoch).map_err(failed)? else { continue };
        let saved = instant(manifest.created_at_ms);
        let bytes: u64 = manifest.pieces.iter().map(|piece| piece.bytes).sum();
        let counters = &manifest.state.counters;
        answer(&format!(
            "{epoch:>5}  {saved}  {:>7}  {:>8}  {bytes:>11}  {:>5}\n",
            counters.rows_in,
            counters.rows_out,
            manifest.files.len()
        ))?;
    }
    Ok(())
}

/// The checkpoint that the arguments name.
fn chosen(archive: &Archive, epoch: Option<u64>, job: &str) -> Result<Manifest, CliError> {
    let manifest = match epoch {
        Some(epoch) => archive.manifest(epoch),
        None => archive.newest(),
    };
    let missing = || match epoch {
        Some(epoch) => {
            CliError::Author(format!("error: job `{job}` has no checkpoint {epoch}"))
        }
        None => CliError::Author(format!("error: job `{job}` has no checkpoint")),
    };
    manifest.map_err(failed)?.ok_or_else(missing)
}

fn show(args: &EpochArgs) -> Result<(), CliError> {
    let (job, archive) = archive(&args.job)?;
    let manifest = chosen(&archive, args.epoch, &job)?;
    let state = &manifest.state;
    let mut out = format!(
        "job {} (id {}), epoch {}, saved {} by {}\n",
        manifest.job,
        manifest.job_id,
        manifest.epoch,
        instant(manifest.created_at_ms),
        manifest.writer
    );
    if state.finished {
        out += "its input has ended, and every result is written\n";
    }
    let counters = &state.counters;
    out += &format!(
        "{} rows in, {} out, {} late, {} not decoded\n",
        counters.rows_in, counters.rows_out, counters.late_rows, counters.undecodable
    );
    for scan in &state.scans {
        out += &format!("\nsource {}: watermark {}\n", scan.table, instant(scan.watermark));
        for split in &scan.splits {
            let until = split.stop.map(|stop| format!(" of {stop}")).unwrap_or_default();
            out += &format!(
                "  {}/{}: next offset {}{until}, watermark {}\n",
                split.topic,
                split.partition,
                split.next,
                instant(split.watermark)
            );
        }
    }
    for (stage, fired) in state.fired.iter().enumerate() {
        out += &format!("\nstage {stage}: windows are closed up to {}\n", instant(*fired));
    }
    let (rows, bytes) = manifest
        .pieces
        .iter()
        .fold((0, 0), |(rows, bytes), piece| (rows + piece.rows, bytes + piece.bytes));
    let pieces = manifest.pieces.len();
    out += &format!("\nstate: {rows} rows in {pieces} pieces, {bytes} bytes\n");
    for file in &manifest.files {
        out += &format!(
            "file {}/{}: {} rows, {} bytes\n",
            file.folder, file.name, file.rows, file.bytes
        );
    }
    answer(&out)
}

fn verify(args: &EpochArgs) -> Result<(), CliError> {
    let (job, archive) = archive(&args.job)?;
    let manifest = chosen(&archive, args.epoch, &job)?;
    archive.verify(&manifest.pieces).map_err(failed)?;
    let pieces = manifest.pieces.len();
    answer(&format!("epoch {} of job `{job}` is whole: {pieces} pieces\n", manifest.epoch))
}

fn collect(args: &CollectArgs) -> Result<(), CliError> {
    let (job, folder) = open(&args.job)?;
    let newest = chosen(&Archive::new(folder.clone()), None, &job)?;
    let mut committer = take_over(folder, &job, &newest)?;
    let Collected { epochs, segments, staged } =
        committer.collect(args.keep).map_err(failed)?;
    answer(&format!(
        "deleted {epochs} checkpoints of job `{job}`, {segments} files of state, {staged} staged \
         files\n"
    ))
}

/// Takes a job over as it is, so that no process of it can commit any more.
fn take_over(folder: Folder, job: &str, newest: &Manifest) -> Result<Committer, CliError> {
    let identity =
        Identity { job: job.to_owned(), plan: newest.plan.clone(), ..Identity::default() };
    let taken = Committer::take_over(folder, identity, Vec::new(), Arc::new(SystemClock));
    taken.map(|(committer, _)| committer).map_err(failed)
}

fn restore(args: &RestoreArgs) -> Result<(), CliError> {
    let (job, folder) = open(&args.job)?;
    let archive = Archive::new(folder.clone());
    let newest = chosen(&archive, None, &job)?;
    let wanted = chosen(&archive, Some(args.epoch), &job)?;
    let mut later = Vec::new();
    for epoch in wanted.epoch + 1..=newest.epoch {
        if let Some(manifest) = archive.manifest(epoch).map_err(failed)? {
            later.extend(manifest.files);
        }
    }
    let mut committer = take_over(folder, &job, &newest)?;
    let committed = committer.restore(wanted.epoch).map_err(failed)?;
    let mut out = format!(
        "job `{job}` goes on from epoch {}, which is now epoch {}\n",
        wanted.epoch, committed.epoch
    );
    if !later.is_empty() {
        let rows: u64 = later.iter().map(|file| file.rows).sum();
        out += &format!(
            "the lake already holds {rows} rows of later epochs, which will be written again; \
             delete their files first:\n"
        );
        for file in &later {
            out += &format!("  {}/{}\n", file.folder, file.name);
        }
    }
    answer(&out)
}
