//! `turnstile produce turnstile`

use std::time::Duration;

use super::super::CliError;
use super::super::signals::stop_on_signals;
use super::pace::Pace;
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
    /// Event time goes by this many times as fast as the clock, at the --rate;
    /// without it, 9 ms of event time pass from one reading to the next.
    #[arg(long, value_name = "X", requires = "rate", value_parser = speed)]
    speed: Option<f64>,
    /// The same seed gives the same readings.
    #[arg(long, default_value_t = 1, value_name = "N")]
    seed: u64,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(speed) if (0.001..=1e6).contains(&speed) => Ok(speed),
        _ => Err("expected a number from 0.001 to 1000000".to_owned()),
    }
}

/// What to produce.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub events: u64,
    /// 0: as fast as possible.
    pub rate: u64,
    /// How much faster event time goes by than the clock, at that rate.
    pub speed: Option<f64>,
    pub seed: u64,
}

impl Load {
    fn readings(&self) -> Readings {
        let readings = Readings::new(self.seed);
        match self.speed {
            Some(speed) if self.rate > 0 => {
                readings.every(Duration::from_secs_f64(speed / self.rate as f64))
            }
            _ => readings,
        }
    }
}

pub fn execute(args: &Args) -> Result<(), CliError> {
    if args.speed.is_some() && args.rate == 0 {
        return Err(CliError::Author(
            "error: --speed says how much faster than the clock event time goes by at a \
             --rate, and --rate is 0"
                .to_owned(),
        ));
    }
    let stop = StopSignal::default();
    stop_on_signals(&stop)?;
    let load =
        Load { events: args.events, rate: args.rate, speed: args.speed, seed: args.seed };
    args.target.deliver(Some(load.events), &stop, |sender| {
        produce_readings(sender, load, &stop)?;
        Ok(String::new())
    })
}

/// Produces until done or stopped.
pub fn produce_readings(
    sender: &Sender,
    load: Load,
    stop: &StopSignal,
) -> Result<(), CliError> {
    let mut readings = load.readings();
    let (mut line, mut id) = (Vec::new(), Vec::new());
    let mut pace = Pace::new(load.rate);
    for _ in 0..load.events {
        if stop.is_set() {
            break;
        }
        line.clear();
        id.clear();
        readings.next(&mut line, &mut id);
        sender.send(&id, &line, stop)?;
        pace.keep();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_positive_numbers() {
        assert_eq!(speed("60"), Ok(60.0));
        for wrong in ["0", "-1", "NaN", "inf", "fast"] {
            assert!(speed(wrong).is_err(), "{wrong}");
        }
    }
}
