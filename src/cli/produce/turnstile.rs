//! `turnstile produce turnstile`

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::super::progress::short;
use super::super::signals::stop_on_signals;
use super::super::{CliError, say};
use super::{Sender, Target};
use crate::engine::StopSignal;
use crate::readings::Readings;

/// Produce made-up readings of the New York subway's turnstiles.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// How many.
    #[arg(long, default_value_t = 1_000_000, value_name = "N")]
    events: u64,
    /// Readings a second; 0: as fast as the brokers take them.
    #[arg(long, default_value_t = 0, value_name = "N")]
    rate: u64,
    /// The same seed gives the same readings.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

/// What to produce.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub events: u64,
    /// 0: as fast as possible.
    pub rate: u64,
    pub seed: u64,
}

pub fn execute(args: &Args) -> Result<(), CliError> {
    let sender = args.target.connect()?;
    let stop = StopSignal::default();
    stop_on_signals(&stop)?;
    let load = Load { events: args.events, rate: args.rate, seed: args.seed };
    let started = Instant::now();
    let mut told = Instant::now();
    produce_readings(&sender, load, &stop, |made| {
        if told.elapsed() >= Duration::from_secs(5) {
            told = Instant::now();
            let delivered = sender.sent().delivered.load(Ordering::Relaxed);
            say(&format!(
                "{} of {} made, {} delivered",
                short(made as f64),
                short(load.events as f64),
                short(delivered as f64)
            ));
        }
    })?;
    let delivered = sender.finish()?;
    let seconds = started.elapsed().as_secs_f64();
    say(&format!(
        "{delivered} readings delivered to `{}` in {seconds:.1} s ({}/s)",
        args.target.topic,
        short(delivered as f64 / seconds.max(0.001))
    ));
    Ok(())
}

/// Readings between two looks at the clock.
const BURST: u64 = 256;

/// Produces until done or stopped; `each` is told how many were made, now and
/// then.
pub fn produce_readings(
    sender: &Sender,
    load: Load,
    stop: &StopSignal,
    mut each: impl FnMut(u64),
) -> Result<(), CliError> {
    let mut readings = Readings::new(load.seed);
    let (mut line, mut id) = (Vec::new(), Vec::new());
    let started = Instant::now();
    let mut made = 0;
    while made < load.events && !stop.is_set() {
        for _ in 0..BURST.min(load.events - made) {
            line.clear();
            id.clear();
            readings.next(&mut line, &mut id);
            sender.send(&id, &line)?;
            made += 1;
        }
        if load.rate > 0 {
            let due = Duration::from_secs_f64(made as f64 / load.rate as f64);
            let ahead = due.saturating_sub(started.elapsed());
            if !ahead.is_zero() {
                std::thread::park_timeout(ahead);
            }
        }
        each(made);
    }
    Ok(())
}
