//! `run --profile`: where a job's CPU time went, as a line and as a table.

use std::time::Duration;

use crate::engine::profile::{Profile, Step};

/// `fetch 31 %, decode 52 %, …` of the steps that matter; `None` before any work.
pub fn shares(profile: &Profile) -> Option<String> {
    let total: Duration = Step::ALL.map(|step| profile.of(step)).iter().sum();
    let share = |step: Step| {
        let percent = percent(profile.of(step), total);
        (percent >= 1.0).then(|| format!("{} {percent:.0} %", step.name()))
    };
    let shares: Vec<String> = Step::ALL.into_iter().filter_map(share).collect();
    (!shares.is_empty()).then(|| shares.join(", "))
}

/// Every step's seconds and share of what the process took in all; the rest is
/// what other threads did, such as librdkafka's.
pub fn table(profile: &Profile, process: Duration) -> String {
    let steps = Step::ALL.map(|step| (step.name(), profile.of(step)));
    let known: Duration = steps.iter().map(|(_, time)| *time).sum();
    let others = ("start, and other threads", process.saturating_sub(known));
    let lines = steps.into_iter().chain([others]).map(|(name, time)| {
        let seconds = time.as_secs_f64();
        format!("\n  {name:<24} {seconds:>9.3} s {:>5.1} %", percent(time, process))
    });
    format!("CPU time: {:.3} s{}", process.as_secs_f64(), lines.collect::<String>())
}

fn percent(part: Duration, whole: Duration) -> f64 {
    if whole.is_zero() { 0.0 } else { part.as_secs_f64() / whole.as_secs_f64() * 100.0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::thread_cpu_time;
    use crate::engine::profile::Meter;

    #[test]
    fn what_took_no_time_is_in_the_table_alone() {
        let profile = Arc::new(Profile::default());
        assert_eq!(shares(&profile), None);
        let mut meter = Meter::start(Arc::clone(&profile));
        let begin = thread_cpu_time();
        while thread_cpu_time() == begin {}
        meter.lap(Step::Decode);
        assert_eq!(shares(&profile).as_deref(), Some("decode 100 %"));
        let table = table(&profile, profile.of(Step::Decode) * 4);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 1 + Step::ALL.len() + 1, "{table}");
        assert!(lines[1].starts_with("  fetch ") && lines[1].ends_with("  0.0 %"), "{table}");
        assert!(lines[2].starts_with("  decode ") && lines[2].ends_with(" 25.0 %"), "{table}");
        assert!(lines[10].ends_with(" 75.0 %"), "{table}");
    }
}
