//! Readings as the New York subway's turnstiles emit them, made up from a seed.
//!
//! A reading is a CSV line: `CA,UNIT,SCP,STATION,LINENAME,DIVISION,DATE,TIME,
//! DESC,ENTRIES,EXITS,ID,TIMESTAMP`, with `DATE` as mm-dd-yy, `TIME` as
//! HH:mm:ss, the counters as passages since the turnstile's last reading, `ID`
//! a UUID, `TIMESTAMP` as yyyy-MM-dd HH:mm:ss. The same seed gives the same
//! lines.

pub mod audits;
mod stations;

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use stations::{STATIONS, Station};

/// Turnstiles at each station.
const TURNSTILES_PER_STATION: u64 = 64;
/// 2023-09-23 16:00:00 UTC, in seconds since the epoch.
const FIRST_READING_S: i64 = 1_695_484_800;
/// Event time from one reading to the next unless said otherwise.
const STEP: Duration = Duration::from_millis(9);
/// One reading in this many comes late.
const LATE_ONE_IN: u32 = 50;
/// How late it comes at most, mostly: within the queries' 5 minutes.
const LATE_MS: i64 = 120_000;
/// One late reading in this many comes after its window has closed.
const TOO_LATE_ONE_IN: u32 = 500;
const TOO_LATE_MS: i64 = 1_200_000;

/// Makes readings, one after the other.
#[derive(Debug, Clone)]
pub struct Readings {
    random: StdRng,
    step_ns: u64,
    /// Event time since the first reading.
    passed_ns: u64,
}

/// Length of a reading's ID in bytes.
pub const ID_LENGTH: usize = 36;

impl Readings {
    pub fn new(seed: u64) -> Self {
        Self { random: StdRng::seed_from_u64(seed), step_ns: 0, passed_ns: 0 }.every(STEP)
    }

    /// Lets this much event time pass from one reading to the next.
    pub fn every(mut self, step: Duration) -> Self {
        self.step_ns = u64::try_from(step.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// Turnstiles that readings come from.
    pub fn turnstiles() -> u64 {
        STATIONS.len() as u64 * TURNSTILES_PER_STATION
    }

    /// Appends the next reading to `line`, without a line break, and its ID to
    /// `id`.
    pub fn next(&mut self, line: &mut Vec<u8>, id: &mut Vec<u8>) {
        let turnstile = self.random.random_range(0..Self::turnstiles());
        let station = &STATIONS[(turnstile / TURNSTILES_PER_STATION) as usize];
        let at = self.event_time_s();
        let [entries, exits] = [self.passages(), self.passages()];
        let audit = self.random.random_ratio(1, 100);
        from_turnstile(line, station, turnstile % TURNSTILES_PER_STATION);
        let civil = Civil::of(at);
        civil.push_us_date(line);
        line.push(b',');
        civil.push_time(line);
        line.extend_from_slice(if audit { b",RECOVR AUD," } else { b",REGULAR," });
        push_number(line, entries);
        line.push(b',');
        push_number(line, exits);
        line.push(b',');
        let start = id.len();
        push_uuid(id, self.random.random());
        line.extend_from_slice(&id[start..]);
        line.push(b',');
        civil.push_iso(line);
        self.passed_ns = self.passed_ns.saturating_add(self.step_ns);
    }

    fn event_time_s(&mut self) -> i64 {
        let now_ms = i64::try_from(self.passed_ns / 1_000_000).expect("a sixth of i64's range");
        let late_ms = if !self.random.random_ratio(1, LATE_ONE_IN) {
            self.random.random_range(0..2_000)
        } else if self.random.random_ratio(1, TOO_LATE_ONE_IN) {
            self.random.random_range(LATE_MS..TOO_LATE_MS)
        } else {
            self.random.random_range(0..LATE_MS)
        };
        // Late as it may be, it was made while there were readings.
        FIRST_READING_S + (now_ms - late_ms).max(0) / 1000
    }

    /// Mostly a few, sometimes a rush.
    fn passages(&mut self) -> u64 {
        let calm = self.random.random_range(0..40);
        if self.random.random_ratio(1, 10) {
            calm + self.random.random_range(0..400)
        } else {
            calm
        }
    }
}

fn from_turnstile(line: &mut Vec<u8>, station: &Station, number: u64) {
    let text = |line: &mut Vec<u8>, text: &str| {
        line.extend_from_slice(text.as_bytes());
        line.push(b',');
    };
    text(line, station.ca);
    text(line, station.unit);
    push_two(line, number / 16);
    line.push(b'-');
    push_two(line, number / 8 % 2);
    line.push(b'-');
    push_two(line, number % 8);
    line.push(b',');
    text(line, station.name);
    text(line, station.lines);
    text(line, station.division);
}

/// A second of UTC as a calendar shows it.
struct Civil {
    year: u64,
    month: u64,
    day: u64,
    second_of_day: u64,
}

impl Civil {
    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
    /// `civil_from_days`, for days after the epoch.
    fn of(seconds: i64) -> Self {
        let seconds = u64::try_from(seconds).expect("readings are after 1970");
        let days = seconds / 86_400 + 719_468;
        let day_of_era = days % 146_097;
        let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524
            - day_of_era / 146_096)
            / 365;
        let day_of_year =
            day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = year_of_era + days / 146_097 * 400 + u64::from(month <= 2);
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        Self { year, month, day, second_of_day: seconds % 86_400 }
    }

    fn push_us_date(&self, out: &mut Vec<u8>) {
        push_two(out, self.month);
        out.push(b'-');
        push_two(out, self.day);
        out.push(b'-');
        push_two(out, self.year % 100);
    }

    fn push_time(&self, out: &mut Vec<u8>) {
        push_two(out, self.second_of_day / 3600);
        out.push(b':');
        push_two(out, self.second_of_day / 60 % 60);
        out.push(b':');
        push_two(out, self.second_of_day % 60);
    }

    fn push_iso(&self, out: &mut Vec<u8>) {
        push_two(out, self.year / 100);
        push_two(out, self.year % 100);
        out.push(b'-');
        push_two(out, self.month);
        out.push(b'-');
        push_two(out, self.day);
        out.push(b' ');
        self.push_time(out);
    }
}

fn push_two(out: &mut Vec<u8>, number: u64) {
    let digit = |d: u64| b'0' + u8::try_from(d % 10).expect("one digit");
    out.extend_from_slice(&[digit(number / 10), digit(number)]);
}

fn push_number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0u8; 20];
    let (mut rest, mut at) = (number, digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).expect("one digit");
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// A version 4 UUID of random bits.
fn push_uuid(out: &mut Vec<u8>, bits: u128) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bits = bits & !(0xf << 76) | 0x4 << 76;
    let bits = bits & !(0x3 << 62) | 0x2 << 62;
    for (i, byte) in bits.to_be_bytes().into_iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(seed: u64, count: usize) -> Vec<String> {
        let mut readings = Readings::new(seed);
        let next = |_| {
            let (mut line, mut id) = (Vec::new(), Vec::new());
            readings.next(&mut line, &mut id);
            assert_eq!(id.len(), ID_LENGTH);
            String::from_utf8(line).expect("readings are text")
        };
        (0..count).map(next).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_readings() {
        assert_eq!(lines(7, 100), lines(7, 100));
        assert_ne!(lines(7, 100), lines(8, 100));
    }

    #[test]
    fn a_reading_has_thirteen_fields_that_agree() {
        for line in lines(1, 5_000) {
            let fields: Vec<&str> = line.split(',').collect();
            assert_eq!(fields.len(), 13, "{line}");
            let at = chrono::NaiveDateTime::parse_from_str(fields[12], "%Y-%m-%d %H:%M:%S")
                .expect("TIMESTAMP is a timestamp");
            assert_eq!(at.format("%m-%d-%y").to_string(), fields[6]);
            assert_eq!(at.format("%H:%M:%S").to_string(), fields[7]);
            assert!(fields[9].parse::<u32>().is_ok() && fields[10].parse::<u32>().is_ok());
            let id = uuid::Uuid::parse_str(fields[11]).expect("ID is a UUID");
            assert_eq!(id.get_version_num(), 4);
        }
    }

    /// At the standard pace 100,000 readings are 15 minutes: few are more than
    /// 2 s behind the latest, and beyond 2 minutes hardly any.
    #[test]
    fn most_readings_are_nearly_in_order() {
        let seconds = |line: &String| {
            let text = line.rsplit(',').next().expect("the last field");
            let at = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
            at.expect("TIMESTAMP is a timestamp").and_utc().timestamp() - FIRST_READING_S
        };
        let times: Vec<i64> = lines(1, 100_000).iter().map(seconds).collect();
        let mut latest = 0;
        let (mut behind, mut far_behind) = (0, 0);
        for at in &times {
            latest = latest.max(*at);
            behind += usize::from(latest - at > 2);
            far_behind += usize::from(latest - at > 120);
        }
        assert_eq!(times.iter().min(), Some(&0));
        assert_eq!(latest, 899);
        assert!((1_000..3_000).contains(&behind), "{behind}");
        assert!((1..20).contains(&far_behind), "{far_behind}");
    }

    #[test]
    fn event_time_goes_by_as_told() {
        let mut readings = Readings::new(1).every(Duration::from_secs(60));
        let (mut line, mut id) = (Vec::new(), Vec::new());
        for _ in 0..61 {
            line.clear();
            readings.next(&mut line, &mut id);
        }
        let text = String::from_utf8(line).expect("readings are text");
        let at = text.rsplit(',').next().expect("the last field");
        assert!(("2023-09-23 16:58:00".."2023-09-23 17:00:01").contains(&at), "{at}");
    }

    #[test]
    fn thousands_of_turnstiles_emit_them() {
        assert!(Readings::turnstiles() >= 4_000);
        let turnstiles: std::collections::BTreeSet<String> = lines(3, 50_000)
            .iter()
            .map(|line| line.split(',').take(3).collect::<Vec<_>>().join(","))
            .collect();
        assert_eq!(turnstiles.len() as u64, Readings::turnstiles());
    }
}
