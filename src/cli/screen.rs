//! What the user sees: lines on standard error, answers on standard output.
//!
//! Lines and the progress bar share standard error, so every line goes through
//! here, and the bar steps aside for it.

use std::io::{self, Write};
use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar};

use super::CliError;

static BARS: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// One line, or several, for the user's eyes: on standard error.
pub fn say(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = Screen.write_all(format!("{text}\n").as_bytes());
}

/// What the command was asked for: on standard output.
pub fn answer(text: &str) -> Result<(), CliError> {
    let written = BARS.suspend(|| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush())
    });
    match written {
        // Whoever read us has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(e) => Err(CliError::World(format!("standard output: {e}"))),
        Ok(()) => Ok(()),
    }
}

/// Shows a bar below the lines until it is finished.
pub fn show(bar: ProgressBar) -> ProgressBar {
    BARS.add(bar)
}

/// Standard error, with the bar out of the way while it is written to.
#[derive(Debug, Clone, Copy)]
pub struct Screen;

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        BARS.suspend(|| io::stderr().lock().write_all(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
