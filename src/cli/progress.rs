//! What a running job shows: a bar with an estimate when its input ends, a
//! status line when not, plain lines when standard error is no terminal.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::say;
use crate::engine::{Status, watermark};

/// Between two looks at the counters.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two lines of a log.
const LOG_EVERY: Duration = Duration::from_secs(5);

/// Shows the status until dropped.
pub struct Progress {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    pub fn start(status: &Arc<Status>, bounded: bool) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let (status, stop) = (Arc::clone(status), Arc::clone(&done));
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                if std::io::stderr().is_terminal() {
                    show_bar(&status, bounded, &stop);
                } else {
                    show_lines(&status, &stop);
                }
            })
            .ok();
        Self { done, thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.done.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

fn show_bar(status: &Status, bounded: bool, done: &AtomicBool) {
    let started = Instant::now();
    let bar = if bounded {
        let style = ProgressStyle::with_template("{bar:30} {percent}% eta {eta} {msg}");
        ProgressBar::new(0).with_style(style.expect("a fixed template"))
    } else {
        let style = ProgressStyle::with_template("{spinner} {msg}");
        ProgressBar::new_spinner().with_style(style.expect("a fixed template"))
    };
    while !done.load(Ordering::SeqCst) {
        let rows = status.rows_in.load(Ordering::Relaxed);
        if bounded {
            bar.set_length(status.rows_expected.load(Ordering::Relaxed));
            bar.set_position(rows);
        } else {
            bar.tick();
        }
        bar.set_message(line(status, per_second(rows, started.elapsed())));
        std::thread::park_timeout(LOOK_EVERY);
    }
    bar.finish_and_clear();
}

fn show_lines(status: &Status, done: &AtomicBool) {
    let (mut last_at, mut last_rows) = (Instant::now(), 0);
    while !done.load(Ordering::SeqCst) {
        std::thread::park_timeout(LOOK_EVERY);
        if last_at.elapsed() >= LOG_EVERY {
            let rows = status.rows_in.load(Ordering::Relaxed);
            say(&line(status, per_second(rows - last_rows, last_at.elapsed())));
            (last_at, last_rows) = (Instant::now(), rows);
        }
    }
}

fn per_second(rows: u64, elapsed: Duration) -> f64 {
    rows as f64 / elapsed.as_secs_f64().max(0.001)
}

/// `1.2M rows/s, watermark 2023-09-23 16:49:10, 3 windows open, 48k rows written`
fn line(status: &Status, rate: f64) -> String {
    let at = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let mut text = format!(
        "{} rows/s, watermark {}, {} windows open, {} rows written",
        short(rate),
        instant(status.watermark_ms.load(Ordering::Relaxed)),
        at(&status.open_windows),
        short(at(&status.rows_out) as f64),
    );
    let (late, errors) = (at(&status.late_rows), at(&status.decode_errors));
    if late > 0 {
        text.push_str(&format!(", {} late", short(late as f64)));
    }
    if errors > 0 {
        text.push_str(&format!(", {} not decoded", short(errors as f64)));
    }
    text
}

/// A watermark as a person reads it.
pub fn instant(watermark_ms: i64) -> String {
    match watermark_ms {
        watermark::MIN => "none yet".to_owned(),
        watermark::MAX => "at the end".to_owned(),
        ms => chrono::DateTime::from_timestamp_millis(ms)
            .map_or_else(|| ms.to_string(), |at| at.format("%Y-%m-%d %H:%M:%S").to_string()),
    }
}

/// A count in at most four characters or so.
pub fn short(count: f64) -> String {
    match count {
        c if c >= 1e9 => format!("{:.1}G", c / 1e9),
        c if c >= 1e6 => format!("{:.1}M", c / 1e6),
        c if c >= 1e4 => format!("{:.0}k", c / 1e3),
        c => format!("{c:.0}"),
    }
}
