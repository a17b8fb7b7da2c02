//! Named steps at which a test makes a process die, fail or wait.
//!
//! In a debug build the environment variable `FAILPOINTS` says what happens at
//! which step, in the `fail` crate's words: `ckpt.create.after=2*off->1*return(kill)`
//! ends the process at once when it is there for the third time, `return(error)`
//! makes the step fail, `sleep(100)` delays it. `FAILPOINTS_SEEN` names a file that
//! each step is written to whenever it is reached. A release build has none of this.

use std::io;

/// Tells that the step `name` is reached.
///
/// # Errors
/// The one that was ordered.
#[cfg(not(debug_assertions))]
pub fn reach(_: impl FnOnce() -> String) -> io::Result<()> {
    Ok(())
}

/// Tells that the step `name` is reached.
///
/// # Errors
/// The one that was ordered.
#[cfg(debug_assertions)]
pub fn reach(name: impl FnOnce() -> String) -> io::Result<()> {
    if !ordered::any() {
        return Ok(());
    }
    let name = name();
    ordered::see(&name);
    let happens = fail::eval(&name, |what| match what.as_deref() {
        // As SIGKILL: nothing of the process can act on it.
        Some("kill") => std::process::abort(),
        _ => io::Error::other(format!("failpoint {name}")),
    });
    happens.map_or(Ok(()), Err)
}

#[cfg(debug_assertions)]
mod ordered {
    use std::fs::{File, OpenOptions};
    use std::io::Write as _;
    use std::sync::{Mutex, OnceLock, PoisonError};

    /// True if any step is to be looked at.
    pub fn any() -> bool {
        static ANY: OnceLock<bool> = OnceLock::new();
        *ANY.get_or_init(|| {
            let ordered = std::env::var_os("FAILPOINTS").is_some();
            if ordered {
                // The scenario lasts as long as the process.
                std::mem::forget(fail::FailScenario::setup());
            }
            ordered || std::env::var_os("FAILPOINTS_SEEN").is_some()
        })
    }

    pub fn see(name: &str) {
        static SEEN: Mutex<Option<File>> = Mutex::new(None);
        let Some(path) = std::env::var_os("FAILPOINTS_SEEN") else { return };
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match &mut *seen {
            Some(file) => file,
            none => {
                let file = OpenOptions::new().append(true).create(true).open(path);
                none.insert(file.expect("the file of seen steps can be made"))
            }
        };
        file.write_all(format!("{name}\n").as_bytes()).expect("and written");
    }
}
