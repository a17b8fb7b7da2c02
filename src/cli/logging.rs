//! What the library has to tell an operator, on standard error:
//! `turnstile.log-level`, or `--verbose`.
//!
//! The level can change while lines are being written: a script may SET it
//! after the command line was read.

use std::sync::OnceLock;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::reload::{self, Handle};
use tracing_subscriber::{Registry, fmt};

use super::screen::Screen;

/// The values of `turnstile.log-level`.
pub const LEVELS: &str = "off, error, warn, info, debug or trace";
const DEFAULT: LevelFilter = LevelFilter::WARN;

static LEVEL: OnceLock<Handle<Targets, Registry>> = OnceLock::new();

pub fn parse_level(text: &str) -> Option<LevelFilter> {
    // A number would do for `LevelFilter`, but not for a reader.
    text.parse().ok().filter(|_| text.chars().all(char::is_alphabetic))
}

/// Starts writing; once per process.
pub fn start(verbose: bool) {
    let level = if verbose { LevelFilter::DEBUG } else { DEFAULT };
    let (filter, handle) = reload::Layer::new(targets(level));
    let lines = fmt::layer().with_writer(|| Screen).with_ansi(false).with_target(false);
    let subscriber = tracing_subscriber::registry().with(filter).with(lines);
    let started = tracing::subscriber::set_global_default(subscriber).is_ok();
    // A flag is stronger than any setting: without the handle the level stays.
    if started && !verbose {
        let _ = LEVEL.set(handle);
    }
}

/// From now on this much is written, unless the command line said how much.
pub fn set_level(level: LevelFilter) {
    if let Some(handle) = LEVEL.get() {
        // It fails only when the subscriber is gone, and it lives for ever.
        let _ = handle.reload(targets(level));
    }
}

/// Turnstile's own words up to `level`; of the crates below, what goes wrong.
fn targets(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(LevelFilter::WARN.min(level))
        .with_target(env!("CARGO_CRATE_NAME"), level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_names() {
        assert_eq!(parse_level("debug"), Some(LevelFilter::DEBUG));
        assert_eq!(parse_level("OFF"), Some(LevelFilter::OFF));
        assert_eq!(parse_level("3"), None);
        assert_eq!(parse_level("loud"), None);
    }
}
