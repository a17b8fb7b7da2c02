//! Ctrl-C and SIGTERM: the first finishes the batch, the second ends at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{CliError, say};
use crate::engine::StopSignal;

/// Sets `stop` at the first signal.
pub fn stop_on_signals(stop: &StopSignal) -> Result<(), CliError> {
    let mut signals = Signals::new([SIGINT, SIGTERM])
        .map_err(|e| CliError::World(format!("signals: {e}")))?;
    let stop = stop.clone();
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if stop.is_set() {
                    std::process::exit(128 + signal);
                }
                say("stopping: finishing the batch at hand (again to end at once)");
                stop.stop();
            }
        })
        .map_err(|e| CliError::World(format!("signals: {e}")))?;
    Ok(())
}
