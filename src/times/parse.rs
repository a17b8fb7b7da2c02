//! Reads a wall time from text by a compiled pattern, or by Flink's default
//! forms of a timestamp and a date.

use super::calendar::{
    MICROS_PER_DAY, checked_days, day_of_week, days_from_civil, days_in_month, is_leap,
};
use super::pattern::{DAYS, Field, Item, MONTHS, Pattern};

/// What a text said; what it left out is 1970-01-01 00:00:00.
#[derive(Debug, Clone, Default)]
struct Found {
    year: Option<i64>,
    month: Option<i64>,
    day: Option<i64>,
    day_of_year: Option<i64>,
    day_of_week: Option<i64>,
    hour: Option<i64>,
    hour_of_half: Option<i64>,
    half: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    nanos: Option<i64>,
    nano_of_day: Option<i64>,
}

impl Pattern {
    /// Microseconds since 1970-01-01T00:00:00; `None` if the text does not fit.
    pub(crate) fn parse(&self, text: &str) -> Option<i64> {
        let mut found = Found::default();
        let rest = parse_items(&self.items, text, &mut found)?;
        rest.is_empty().then(|| found.micros())?
    }
}

fn parse_items<'t>(items: &[Item], mut text: &'t str, found: &mut Found) -> Option<&'t str> {
    for (at, item) in items.iter().enumerate() {
        text = match item {
            Item::Literal(literal) => text.strip_prefix(literal.as_str())?,
            Item::Optional(items) => {
                let mut attempt = found.clone();
                match parse_items(items, text, &mut attempt) {
                    Some(rest) => {
                        *found = attempt;
                        rest
                    }
                    None => text,
                }
            }
            Item::Letters(field, count) => {
                let reserved = fixed_digits(&items[at + 1..]);
                parse_field(*field, *count, reserved, text, found)?
            }
        };
    }
    Some(text)
}

/// How many digits the fields that follow without a break are sure to take.
fn fixed_digits(items: &[Item]) -> usize {
    let mut digits = 0;
    for item in items {
        match item {
            Item::Letters(Field::Month, 3..) | Item::Letters(Field::DayOfWeek, _) => break,
            Item::Letters(Field::Half, _) => break,
            Item::Letters(Field::Year, 2) => digits += 2,
            Item::Letters(Field::Year, _) => break,
            Item::Letters(Field::Fraction, count) => digits += count,
            Item::Letters(_, count @ 2..) => digits += count,
            _ => break,
        }
    }
    digits
}

fn parse_field<'t>(
    field: Field,
    count: usize,
    reserved: usize,
    text: &'t str,
    found: &mut Found,
) -> Option<&'t str> {
    match (field, count) {
        (Field::Month, 3 | 4) => {
            let (month, rest) = month_name(text, count)?;
            put(&mut found.month, month)?;
            Some(rest)
        }
        (Field::DayOfWeek, _) => {
            let (day, rest) = weekday_name(text, count)?;
            put(&mut found.day_of_week, day)?;
            Some(rest)
        }
        (Field::Half, _) => {
            let half = ["AM", "PM"].iter().position(|half| text.starts_with(half))?;
            put(&mut found.half, half as i64)?;
            Some(&text[2..])
        }
        (Field::Year, 2) => {
            let (value, rest) = digits(text, 2, 2, 0)?;
            put(&mut found.year, 2000 + value)?;
            Some(rest)
        }
        (Field::Year, _) => year(count, reserved, text, found),
        (Field::Fraction, _) => {
            let (value, rest) = digits(text, count, count, 0)?;
            put(&mut found.nanos, value * 10i64.pow(9 - count as u32))?;
            Some(rest)
        }
        _ => {
            let most = if count == 1 { 19 } else { count };
            let (value, rest) = digits(text, count, most, reserved)?;
            found.put(field, value)?;
            Some(rest)
        }
    }
}

/// The month whose name the text begins with, in full for four letters.
pub(super) fn month_name(text: &str, letters: usize) -> Option<(i64, &str)> {
    one_of(&MONTHS, text, letters)
}

/// The day of the week, from Sunday, which is 1.
pub(super) fn weekday_name(text: &str, letters: usize) -> Option<(i64, &str)> {
    one_of(&DAYS, text, letters)
}

fn one_of<'t>(names: &[&str], text: &'t str, letters: usize) -> Option<(i64, &'t str)> {
    let written = |name: &&str| if letters == 4 { name.len() } else { 3 };
    let at = names.iter().position(|name| text.starts_with(&name[..written(name)]))?;
    Some((at as i64 + 1, &text[written(&names[at])..]))
}

/// More than four digits take a plus, as Java writes them.
fn year<'t>(
    count: usize,
    reserved: usize,
    text: &'t str,
    found: &mut Found,
) -> Option<&'t str> {
    let (negative, signed, unsigned) = match text.as_bytes().first()? {
        b'-' => (true, true, &text[1..]),
        b'+' if count >= 4 => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let (value, rest) = digits(unsigned, count, 18, reserved)?;
    let taken = unsigned.len() - rest.len();
    if count >= 4 && !signed && taken > count {
        return None;
    }
    put(&mut found.year, if negative { -value } else { value })?;
    Some(rest)
}

/// Cuts a number of at least `least` and at most `most` digits, leaving
/// `reserved` digits to what follows.
pub(super) fn digits(
    text: &str,
    least: usize,
    most: usize,
    reserved: usize,
) -> Option<(i64, &str)> {
    let run = text.bytes().take(most + reserved).take_while(u8::is_ascii_digit).count();
    let taken = run.saturating_sub(reserved).max(least).min(most);
    if taken > run || taken > 18 {
        return None;
    }
    let (number, rest) = text.split_at(taken);
    let value = number.bytes().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    Some((value, rest))
}

/// A field that is given twice must be given the same.
fn put(slot: &mut Option<i64>, value: i64) -> Option<()> {
    match slot {
        Some(before) if *before != value => None,
        _ => {
            *slot = Some(value);
            Some(())
        }
    }
}

impl Found {
    fn put(&mut self, field: Field, value: i64) -> Option<()> {
        let (slot, range, value) = match field {
            Field::Month => (&mut self.month, 1..=12, value),
            Field::DayOfMonth => (&mut self.day, 1..=31, value),
            Field::DayOfYear => (&mut self.day_of_year, 1..=366, value),
            Field::Hour => (&mut self.hour, 0..=24, value),
            Field::HourFromOne => (&mut self.hour, 0..=23, last_is_first(value, 24)),
            Field::HourOfHalf => (&mut self.hour_of_half, 0..=11, value),
            Field::ClockHour => (&mut self.hour_of_half, 0..=11, last_is_first(value, 12)),
            Field::Minute => (&mut self.minute, 0..=59, value),
            Field::Second => (&mut self.second, 0..=59, value),
            Field::Nano => (&mut self.nanos, 0..=999_999_999, value),
            Field::MilliOfDay => (&mut self.nano_of_day, 0..=i64::MAX, value * 1_000_000),
            Field::NanoOfDay => (&mut self.nano_of_day, 0..=i64::MAX, value),
            // A quarter alone makes no date, and says nothing beside a month.
            Field::Quarter => return Some(()),
            Field::Year | Field::DayOfWeek | Field::Half | Field::Fraction => return None,
        };
        range.contains(&value).then(|| put(slot, value))?
    }

    fn days(&self) -> Option<i64> {
        let year = self.year.unwrap_or(1970);
        let days = match (self.day_of_year, self.year) {
            (Some(day), Some(_)) => {
                if day == 366 && !is_leap(year) {
                    return None;
                }
                days_from_civil(year, 1, 1) + day - 1
            }
            _ => {
                let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
                days_from_civil(year, month, day.min(days_in_month(year, month)))
            }
        };
        let dated = self.year.is_some() && self.month.is_some() && self.day.is_some();
        match self.day_of_week {
            Some(weekday) if dated && weekday != day_of_week(days) => None,
            _ => Some(days),
        }
    }

    fn micros(&self) -> Option<i64> {
        let halved = self.hour_of_half.zip(self.half).map(|(hour, half)| half * 12 + hour);
        let hour = self.hour.or(halved).unwrap_or(0);
        let (minute, second) = (self.minute.unwrap_or(0), self.second.unwrap_or(0));
        let nanos = self.nanos.unwrap_or(0);
        if hour == 24 && (minute, second, nanos) != (0, 0, 0) {
            return None;
        }
        let of_day = match self.nano_of_day {
            Some(nanos) => nanos / 1000,
            None => (hour * 3600 + minute * 60 + second) * 1_000_000 + nanos / 1000,
        };
        self.days()?.checked_mul(MICROS_PER_DAY)?.checked_add(of_day)
    }
}

/// Flink's default form of a timestamp: `yyyy-[M]M-[d]d[ [H]H:[m]m:[s]s[.f…]]`,
/// as microseconds since 1970-01-01T00:00:00.
pub(crate) fn timestamp(text: &str) -> Option<i64> {
    if let Some(micros) = plain_timestamp(text.as_bytes()) {
        return Some(micros);
    }
    let mut found = Found::default();
    let rest = year(4, 0, text, &mut found)?;
    let (month, rest) = digits(rest.strip_prefix('-')?, 1, 2, 0)?;
    let (day, rest) = digits(rest.strip_prefix('-')?, 1, 2, 0)?;
    found.put(Field::Month, month)?;
    found.put(Field::DayOfMonth, day)?;
    if rest.is_empty() {
        return found.micros();
    }
    let (hour, rest) = digits(rest.strip_prefix(' ')?, 1, 2, 0)?;
    let (minute, rest) = digits(rest.strip_prefix(':')?, 1, 2, 0)?;
    let (second, rest) = digits(rest.strip_prefix(':')?, 1, 2, 0)?;
    found.put(Field::Hour, hour)?;
    found.put(Field::Minute, minute)?;
    found.put(Field::Second, second)?;
    if let Some(fraction) = rest.strip_prefix('.') {
        if fraction.len() > 9 {
            return None;
        }
        let (value, after) = digits(fraction, fraction.len(), 9, 0)?;
        debug_assert!(after.is_empty());
        found.nanos = Some(value * 10i64.pow(9 - fraction.len() as u32));
    } else if !rest.is_empty() {
        return None;
    }
    found.micros()
}

/// `yyyy-MM-dd HH:mm:ss`, what nearly all timestamps in text are.
fn plain_timestamp(text: &[u8]) -> Option<i64> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', h1, h2, b':', n1, n2, b':', s1, s2] =
        text
    else {
        return None;
    };
    let two = |tens: &u8, ones: &u8| -> Option<i64> {
        let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
        (tens <= 9 && ones <= 9).then(|| i64::from(tens) * 10 + i64::from(ones))
    };
    let year = two(y1, y2)? * 100 + two(y3, y4)?;
    let (hour, minute, second) = (two(h1, h2)?, two(n1, n2)?, two(s1, s2)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = checked_days(year, two(m1, m2)?, two(d1, d2)?)?;
    Some(days * MICROS_PER_DAY + (hour * 3600 + minute * 60 + second) * 1_000_000)
}

/// Flink's lenient form of a date: a year, or a year and month, or all three;
/// a time of day may follow and is dropped.
pub(crate) fn date(text: &str) -> Option<i64> {
    let text = match text.find(' ') {
        Some(at) if at > 0 => &text[..at],
        _ => text,
    };
    let mut parts = text.splitn(3, '-').map(|part| {
        let part = part.trim();
        let digits =
            !part.is_empty() && part.len() < 10 && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<i64>().ok()).flatten()
    });
    let year = parts.next()??;
    let month = parts.next().map_or(Some(1), |m| m)?;
    let day = parts.next().map_or(Some(1), |d| d)?;
    if !(0..=9999).contains(&year) {
        return None;
    }
    checked_days(year, month, day)
}

/// An hour counted to `last`, which is where the count begins.
fn last_is_first(hour: i64, last: i64) -> i64 {
    if hour == last { 0 } else { hour }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<i64> {
        let at = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
        Some(at.and_utc().timestamp_micros())
    }

    #[test]
    fn the_default_form_of_a_timestamp() {
        for (text, expected) in [
            ("2024-02-29 13:05:09", at("2024-02-29 13:05:09")),
            ("2024-2-9 1:5:9", at("2024-02-09 01:05:09")),
            ("2024-02-29", at("2024-02-29 00:00:00")),
            ("2024-02-29 13:05:09.1", at("2024-02-29 13:05:09.1")),
            ("2024-02-29 13:05:09.123456789", at("2024-02-29 13:05:09.123456")),
            ("2023-02-30 00:00:00", at("2023-02-28 00:00:00")),
            ("0001-01-01 00:00:00", at("0001-01-01 00:00:00")),
        ] {
            assert_eq!(timestamp(text), expected, "{text}");
            assert!(expected.is_some());
        }
        for wrong in [
            "",
            "x",
            "2024-02-29T13:05:09",
            "2024-02-29 13:05",
            "2024-13-01 00:00:00",
            "2024-02-29 25:00:00",
            " 2024-02-29 13:05:09",
            "2024-02-29 13:05:09 ",
        ] {
            assert_eq!(timestamp(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_pattern_reads_what_it_writes() {
        for (pattern, text, expected) in [
            ("yyyy/MM/dd HH:mm:ss", "2024/02/29 13:05:09", at("2024-02-29 13:05:09")),
            ("yyyyMMdd HHmmss", "20240229 130509", at("2024-02-29 13:05:09")),
            ("yyyyMMddHHmmssSSS", "20240229130509123", at("2024-02-29 13:05:09.123")),
            ("yyyy-MM-dd'T'HH:mm:ss[.SSS]", "2024-02-29T13:05:09", at("2024-02-29 13:05:09")),
            ("d MMM yyyy h:mm a", "3 Feb 2024 1:05 PM", at("2024-02-03 13:05:00")),
            ("yyyy-MM", "2024-02", at("2024-02-01 00:00:00")),
            ("HH:mm", "13:05", at("1970-01-01 13:05:00")),
            ("yy-M-d", "24-2-29", at("2024-02-29 00:00:00")),
            ("yyyy-MM-dd", "2024-2-29", None),
            ("yyyy-MM-dd", "2024-02-29 ", None),
            ("EEE yyyy-MM-dd", "Fri 2024-02-29", None),
            ("yyyy-MM-dd hh:mm", "2024-01-02 13:04", None),
            ("yyyy-MM-dd hh:mm a", "2024-01-02 01:04 PM", at("2024-01-02 13:04:00")),
            ("yyyy-MM-dd hh:mm a", "2024-01-02 12:04 PM", at("2024-01-02 12:04:00")),
            ("yyyy-MM-dd kk:mm", "2024-01-02 24:04", at("2024-01-02 00:04:00")),
        ] {
            let compiled = Pattern::compile(pattern).expect("a pattern");
            assert_eq!(compiled.parse(text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn dates_are_lenient() {
        assert_eq!(date("2024-02-29"), Some(19_782));
        assert_eq!(date("2024-02-29 10:00:00"), Some(19_782));
        assert_eq!(date("2024-2"), Some(19_754));
        assert_eq!(date("1970"), Some(0));
        for wrong in ["", "x", "2023-02-29", "2024-13-01", "10000-01-01", "-1", "1.5"] {
            assert_eq!(date(wrong), None, "{wrong}");
        }
    }
}
