//! `turnstile produce csv`: the MTA's published turnstile files as readings.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use chrono::{NaiveDateTime, TimeDelta};

use super::super::signals::stop_on_signals;
use super::super::{CliError, say};
use super::pace::Pace;
use super::{Sender, Target};
use crate::engine::StopSignal;
use crate::readings::audits::{Audits, Reading};

/// Replay the MTA's published turnstile files.
///
/// The files hold counters; a message holds what passed since the turnstile's
/// audit before, so the first audit of each gives none.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Files with the header C/A,UNIT,SCP,STATION,LINENAME,DIVISION,DATE,TIME,DESC,ENTRIES,EXITS.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
    /// Readings a second; 0: as fast as the brokers take them.
    #[arg(long, default_value_t = 0, value_name = "N")]
    rate: u64,
    /// Send in the order of time, all files together, from memory. The files
    /// themselves are in the order of turnstiles, each from the first day to the
    /// last, so to a watermark nearly every row comes late.
    #[arg(long)]
    by_time: bool,
}

/// Bad lines that are told one by one.
const TOLD: u64 = 10;
/// The delay that `queries/turnstile_5min.sql` allows for.
const DELAY: TimeDelta = TimeDelta::minutes(5);

pub fn execute(args: &Args) -> Result<(), CliError> {
    // A file that is not there is told before anything is sent.
    for file in &args.files {
        open(file)?;
    }
    let stop = StopSignal::default();
    stop_on_signals(&stop)?;
    args.target.deliver(None, &stop, |sender| {
        let mut replay =
            Replay { sender, stop: &stop, pace: Pace::new(args.rate), order: Order::default() };
        let mut audits = Audits::default();
        if args.by_time {
            let mut readings = Vec::new();
            for_each(args, &mut audits, &stop, |reading| {
                readings.push(reading);
                Ok(())
            })?;
            // Of the same moment, in the order of the files.
            readings.sort_by_key(|reading| reading.at);
            readings.iter().try_for_each(|reading| replay.send(reading))?;
        } else {
            for_each(args, &mut audits, &stop, |reading| replay.send(&reading))?;
        }
        Ok(remarks(&audits, &replay.order))
    })
}

fn remarks(audits: &Audits, order: &Order) -> String {
    let counts = audits.counts;
    let mut text = format!(
        "; {} first audits, {} resets, {} bad lines",
        counts.first, counts.resets, counts.bad
    );
    if order.late > 0 {
        text.push_str(&format!(
            "\nnote: {} of them are more than {} minutes older than one sent before; \
             --by-time sends them in order",
            order.late,
            DELAY.num_minutes()
        ));
    }
    text
}

fn open(file: &Path) -> Result<BufReader<File>, CliError> {
    let failed = |e| CliError::Author(format!("error: {}: {e}", file.display()));
    File::open(file).map(BufReader::new).map_err(failed)
}

/// Every reading of the files, in their order; bad lines are told.
fn for_each(
    args: &Args,
    audits: &mut Audits,
    stop: &StopSignal,
    mut take: impl FnMut(Reading) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let mut line = Vec::new();
    for path in &args.files {
        let name = path.display();
        let mut file = open(path)?;
        for number in 1u64.. {
            line.clear();
            let length = file
                .read_until(b'\n', &mut line)
                .map_err(|e| CliError::World(format!("{name}: {e}")))?;
            if length == 0 || stop.is_set() {
                break;
            }
            match audits.line(&line) {
                Ok(Some(reading)) => take(reading)?,
                Ok(None) => {}
                Err(fault) => tell(&format!("{name}:{number}: {fault}"), audits.counts.bad),
            }
        }
    }
    Ok(())
}

fn tell(fault: &str, bad: u64) {
    if bad <= TOLD {
        say(fault);
    }
    if bad == TOLD {
        say("more bad lines are counted and not shown");
    }
}

struct Replay<'a> {
    sender: &'a Sender,
    stop: &'a StopSignal,
    pace: Pace,
    order: Order,
}

impl Replay<'_> {
    fn send(&mut self, reading: &Reading) -> Result<(), CliError> {
        if self.stop.is_set() {
            return Ok(());
        }
        self.order.see(reading.at);
        self.sender.send(reading.id.as_bytes(), reading.line.as_bytes(), self.stop)?;
        self.pace.keep();
        Ok(())
    }
}

/// How far the readings are from the order of time.
#[derive(Debug, Default)]
struct Order {
    latest: NaiveDateTime,
    late: u64,
}

impl Order {
    fn see(&mut self, at: NaiveDateTime) {
        self.latest = self.latest.max(at);
        self.late += u64::from(at < self.latest - DELAY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_watermark_would_call_late_is_counted() {
        let at = |minute| NaiveDateTime::default() + TimeDelta::minutes(minute);
        let mut order = Order::default();
        [10, 5, 4, 20, 10].map(at).into_iter().for_each(|at| order.see(at));
        assert_eq!(order.late, 2);
    }
}
