//! What something that goes on shows of itself: a bar with an estimate when its
//! end is known, a status line when not, plain lines now and then when standard
//! error is no terminal.
//!
//! A thread looks a few times a second, so what it looks at is cheap to read.

use std::collections::VecDeque;
use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::{profile, say, screen};
use crate::engine::{Status, watermark};

/// Between two looks at the counters.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Between two lines of a log.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// The rate shown is that of this long.
const RATE_OVER: Duration = Duration::from_secs(5);

/// One look.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    pub done: u64,
    /// Where the end is; 0: it has one, not known yet; `None`: it has none.
    pub expected: Option<u64>,
    /// What is counted.
    pub unit: &'static str,
    /// Shown behind the rate.
    pub details: String,
}

/// Shows samples until dropped.
pub struct Progress {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Shows a job's status, and where its time goes if that `is_profiled`.
    pub fn start(status: &Arc<Status>, bounded: bool, is_profiled: bool) -> Self {
        let status = Arc::clone(status);
        Self::watch(move || {
            let mut sample = of_job(&status, bounded);
            if is_profiled && let Some(shares) = profile::shares(&status.profile) {
                sample.details = format!("{}; {shares}", sample.details);
            }
            sample
        })
    }

    pub fn watch(look: impl Fn() -> Sample + Send + 'static) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let thread = std::thread::Builder::new()
            .name("progress".to_owned())
            .spawn(move || {
                if std::io::stderr().is_terminal() {
                    show_bar(&look, &stop);
                } else {
                    show_lines(&look, &stop);
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

fn show_bar(look: &impl Fn() -> Sample, done: &AtomicBool) {
    let started = Instant::now();
    let mut rate = Rate::default();
    let bar = screen::show(bar(look().expected.is_some()));
    while !done.load(Ordering::SeqCst) {
        let sample = look();
        if let Some(expected) = sample.expected {
            bar.set_length(expected);
            bar.set_position(sample.done);
        }
        bar.set_message(line(&sample, rate.per_second(started.elapsed(), sample.done)));
        bar.tick();
        std::thread::park_timeout(LOOK_EVERY);
    }
    bar.finish_and_clear();
}

fn bar(bounded: bool) -> ProgressBar {
    let template = if bounded { "{bar:24} {wide_msg}" } else { "{spinner} {wide_msg}" };
    let style = ProgressStyle::with_template(template).expect("a fixed template");
    // Nothing is drawn before it is shown.
    ProgressBar::hidden().with_style(style)
}

fn show_lines(look: &impl Fn() -> Sample, done: &AtomicBool) {
    let started = Instant::now();
    let mut rate = Rate::default();
    let mut said_at = Duration::ZERO;
    while !done.load(Ordering::SeqCst) {
        std::thread::park_timeout(LOOK_EVERY);
        let now = started.elapsed();
        if now - said_at >= LOG_EVERY {
            let sample = look();
            say(&line(&sample, rate.per_second(now, sample.done)));
            said_at = now;
        }
    }
}

/// The rate of late.
#[derive(Debug, Default)]
struct Rate {
    /// Looks, the oldest first: when, and how many there were.
    looks: VecDeque<(Duration, u64)>,
}

impl Rate {
    fn per_second(&mut self, now: Duration, done: u64) -> f64 {
        if self.looks.is_empty() {
            self.looks.push_back((Duration::ZERO, 0));
        }
        self.looks.push_back((now, done));
        while self.looks.get(1).is_some_and(|(at, _)| now - *at >= RATE_OVER) {
            self.looks.pop_front();
        }
        let (since, before) = self.looks[0];
        let seconds = (now - since).as_secs_f64();
        if seconds > 0.0 { done.saturating_sub(before) as f64 / seconds } else { 0.0 }
    }
}

/// `42 %, 1.2M rows/s, 3m 20s left, watermark …`
fn line(sample: &Sample, rate: f64) -> String {
    let mut parts = Vec::new();
    let expected = sample.expected.filter(|expected| *expected > 0);
    if let Some(expected) = expected {
        let percent = (sample.done as f64 / expected as f64 * 100.0).min(100.0);
        parts.push(format!("{percent:.0} %"));
    }
    parts.push(format!("{} {}/s", short(rate), sample.unit));
    let left = expected.map(|expected| expected.saturating_sub(sample.done));
    if let Some(left) = left.filter(|left| *left > 0 && rate > 0.0) {
        let seconds = (left as f64 / rate).ceil() as u64;
        parts
            .push(format!("{} left", humantime::format_duration(Duration::from_secs(seconds))));
    }
    if !sample.details.is_empty() {
        parts.push(sample.details.clone());
    }
    parts.join(", ")
}

/// `watermark 2023-09-23 16:49:10, 3 windows open, 48k rows written`
fn of_job(status: &Status, bounded: bool) -> Sample {
    let at = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut details = format!(
        "watermark {}, {} windows open, {} rows written",
        instant(status.watermark_ms.load(Ordering::Relaxed)),
        at(&status.open_windows),
        short(at(&status.rows_out) as f64),
    );
    let (late, errors) = (at(&status.late_rows), at(&status.decode_errors));
    if late > 0 {
        details.push_str(&format!(", {} late", short(late as f64)));
    }
    if errors > 0 {
        details.push_str(&format!(", {} not decoded", short(errors as f64)));
    }
    Sample {
        done: at(&status.rows_in),
        expected: bounded.then(|| at(&status.rows_expected)),
        unit: "rows",
        details,
    }
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

/// A count in at most five characters or so.
pub fn short(count: f64) -> String {
    match count {
        c if c >= 999.95e6 => format!("{:.1}G", c / 1e9),
        c if c >= 999.5e3 => format!("{:.1}M", c / 1e6),
        c if c >= 9_999.5 => format!("{:.0}k", c / 1e3),
        c => format!("{c:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn counts_are_short() {
        let counts = [0.0, 9_999.4, 9_999.5, 48_200.0, 999_600.0, 1_250_000.0, 3.2e9];
        let shorts = ["0", "9999", "10k", "48k", "1.0M", "1.2M", "3.2G"];
        assert_eq!(counts.map(short), shorts);
    }

    #[test]
    fn a_rate_is_that_of_the_last_seconds() {
        let mut rate = Rate::default();
        let close =
            |rate: f64, expected: f64| assert!((rate - expected).abs() < 1e-9, "{rate}");
        close(rate.per_second(s(0), 0), 0.0);
        close(rate.per_second(s(1), 100), 100.0);
        for at in 2..20 {
            rate.per_second(s(at), 100);
        }
        close(rate.per_second(s(20), 600), 100.0);
    }

    #[test]
    fn a_line_estimates_what_is_left() {
        let sample =
            Sample { done: 25, expected: Some(100), unit: "rows", ..Sample::default() };
        assert_eq!(line(&sample, 0.5), "25 %, 0 rows/s, 2m 30s left");
        let unknown = Sample { expected: Some(0), ..sample.clone() };
        assert_eq!(line(&unknown, 20_000.0), "20k rows/s");
        let endless = Sample { expected: None, details: "3 late".to_owned(), ..sample };
        assert_eq!(line(&endless, 20_000.0), "20k rows/s, 3 late");
    }

    #[test]
    fn a_job_tells_what_matters() {
        let status = Status::default();
        assert_eq!(
            of_job(&status, false).details,
            "watermark none yet, 0 windows open, 0 rows written"
        );
        status.watermark_ms.store(1_695_488_040_000, Ordering::Relaxed);
        status.late_rows.store(7, Ordering::Relaxed);
        assert_eq!(
            of_job(&status, false).details,
            "watermark 2023-09-23 16:54:00, 0 windows open, 0 rows written, 7 late"
        );
    }
}
