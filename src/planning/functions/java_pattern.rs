//! Patterns of Java's `DateTimeFormatter`, as DATE_FORMAT and TO_TIMESTAMP take
//! them: `yyyy-MM-dd HH:mm:ss.SSS`.
//!
//! Source: the letters of `java.time.format.DateTimeFormatterBuilder`.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

/// A pattern, read once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Year { digits: usize },
    Month { digits: usize },
    MonthName { short: bool },
    Day { digits: usize },
    DayOfYear { digits: usize },
    DayName { short: bool },
    Hour { digits: usize },
    Hour12 { digits: usize },
    Minute { digits: usize },
    Second { digits: usize },
    Fraction { digits: usize },
    AmPm,
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

impl Pattern {
    /// # Errors
    /// The letter that is not understood, for a person.
    pub fn new(pattern: &str) -> Result<Self, String> {
        let mut parts: Vec<Part> = Vec::new();
        let mut chars = pattern.chars().peekable();
        while let Some(c) = chars.next() {
            if c == '\'' {
                literal(&mut parts, &quoted(&mut chars)?);
            } else if c.is_ascii_alphabetic() {
                let mut count = 1;
                while chars.next_if_eq(&c).is_some() {
                    count += 1;
                }
                parts.push(Part::of(c, count)?);
            } else {
                literal(&mut parts, &c.to_string());
            }
        }
        Ok(Self(parts))
    }

    /// Appends `at` as the pattern shows it.
    pub fn format(&self, at: NaiveDateTime, out: &mut String) {
        for part in &self.0 {
            part.format(at, out);
        }
    }

    /// The date and time that `text` shows, whole; what the pattern leaves out
    /// is the first of it.
    pub fn parse(&self, text: &str) -> Option<NaiveDateTime> {
        let mut found = Found::default();
        let mut rest = text;
        for (i, part) in self.0.iter().enumerate() {
            // A number followed by another must not take the other's digits.
            let tight = self.0.get(i + 1).is_some_and(Part::is_number);
            rest = part.parse(rest, tight, &mut found)?;
        }
        if rest.is_empty() { found.at() } else { None }
    }
}

fn quoted(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<String, String> {
    if chars.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    let mut text = String::new();
    loop {
        match chars.next() {
            Some('\'') if chars.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') => return Ok(text),
            Some(c) => text.push(c),
            None => return Err("the quote is not closed".to_owned()),
        }
    }
}

fn literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        Some(Part::Literal(before)) => before.push_str(text),
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}

impl Part {
    fn of(letter: char, digits: usize) -> Result<Self, String> {
        Ok(match letter {
            'y' | 'u' => Part::Year { digits },
            'M' | 'L' if digits <= 2 => Part::Month { digits },
            'M' | 'L' => Part::MonthName { short: digits == 3 },
            'd' => Part::Day { digits },
            'D' => Part::DayOfYear { digits },
            'E' => Part::DayName { short: digits <= 3 },
            'H' => Part::Hour { digits },
            'h' => Part::Hour12 { digits },
            'm' => Part::Minute { digits },
            's' => Part::Second { digits },
            'S' => Part::Fraction { digits },
            'a' => Part::AmPm,
            other => return Err(format!("the pattern letter `{other}` is not supported")),
        })
    }

    fn is_number(&self) -> bool {
        !matches!(
            self,
            Part::Literal(_) | Part::MonthName { .. } | Part::DayName { .. } | Part::AmPm
        )
    }

    fn format(&self, at: NaiveDateTime, out: &mut String) {
        let mut number = |value: u32, digits: usize| {
            out.push_str(&format!("{value:0digits$}"));
        };
        match self {
            Part::Literal(text) => out.push_str(text),
            Part::Year { digits: 2 } => number(at.year().rem_euclid(100).unsigned_abs(), 2),
            Part::Year { digits } => number(at.year().unsigned_abs(), *digits),
            Part::Month { digits } => number(at.month(), *digits),
            Part::Day { digits } => number(at.day(), *digits),
            Part::DayOfYear { digits } => number(at.ordinal(), *digits),
            Part::Hour { digits } => number(at.hour(), *digits),
            Part::Hour12 { digits } => number(at.hour12().1, *digits),
            Part::Minute { digits } => number(at.minute(), *digits),
            Part::Second { digits } => number(at.second(), *digits),
            Part::Fraction { digits } => {
                let nanos = format!("{:09}", at.nanosecond());
                out.push_str(&nanos[..(*digits).min(9)]);
                out.extend(std::iter::repeat_n('0', digits.saturating_sub(9)));
            }
            Part::MonthName { short } => {
                let name = MONTHS[at.month0() as usize];
                out.push_str(if *short { &name[..3] } else { name });
            }
            Part::DayName { short } => {
                let name = DAYS[at.weekday().num_days_from_monday() as usize];
                out.push_str(if *short { &name[..3] } else { name });
            }
            Part::AmPm => out.push_str(if at.hour() < 12 { "AM" } else { "PM" }),
        }
    }

    fn parse<'a>(&self, text: &'a str, tight: bool, found: &mut Found) -> Option<&'a str> {
        // `MM` is two digits; `M` is as many as there are.
        let number = |digits: usize, most: usize| {
            let most = if tight || digits > 1 { digits } else { most };
            take_number(text, digits, most)
        };
        Some(match self {
            Part::Literal(literal) => text.strip_prefix(literal.as_str())?,
            Part::Year { digits: 2 } => {
                let (value, rest) = number(2, 2)?;
                found.year = Some(2000 + i32::try_from(value).ok()?);
                rest
            }
            Part::Year { digits } => {
                let (value, rest) = number(*digits, 9)?;
                found.year = Some(i32::try_from(value).ok()?);
                rest
            }
            Part::Month { digits } => found.take(number(*digits, 2)?, |f| &mut f.month),
            Part::Day { digits } => found.take(number(*digits, 2)?, |f| &mut f.day),
            Part::DayOfYear { digits } => found.take(number(*digits, 3)?, |f| &mut f.ordinal),
            Part::Hour { digits } => found.take(number(*digits, 2)?, |f| &mut f.hour),
            Part::Hour12 { digits } => found.take(number(*digits, 2)?, |f| &mut f.hour12),
            Part::Minute { digits } => found.take(number(*digits, 2)?, |f| &mut f.minute),
            Part::Second { digits } => found.take(number(*digits, 2)?, |f| &mut f.second),
            Part::Fraction { digits } => {
                let (value, rest) = take_number(text, *digits, *digits)?;
                let scale =
                    10u32.checked_pow(9u32.checked_sub(u32::try_from(*digits).ok()?)?)?;
                found.nanos = value.checked_mul(scale)?;
                rest
            }
            Part::MonthName { short } => {
                let (at, rest) = take_name(text, &MONTHS, *short)?;
                found.month = Some(u32::try_from(at).ok()? + 1);
                rest
            }
            Part::DayName { short } => take_name(text, &DAYS, *short)?.1,
            Part::AmPm => {
                found.pm = Some(text.get(..2)? == "PM");
                text.strip_prefix("AM").or_else(|| text.strip_prefix("PM"))?
            }
        })
    }
}

fn take_number(text: &str, least: usize, most: usize) -> Option<(u32, &str)> {
    let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if digits < least {
        return None;
    }
    let (number, rest) = text.split_at(digits);
    Some((number.parse().ok()?, rest))
}

fn take_name<'a>(text: &'a str, names: &[&str], short: bool) -> Option<(usize, &'a str)> {
    names.iter().enumerate().find_map(|(i, name)| {
        let name = if short { &name[..3] } else { name };
        text.strip_prefix(name).map(|rest| (i, rest))
    })
}

/// The fields that a text has shown.
#[derive(Debug, Default)]
struct Found {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    ordinal: Option<u32>,
    hour: Option<u32>,
    hour12: Option<u32>,
    minute: Option<u32>,
    second: Option<u32>,
    nanos: u32,
    pm: Option<bool>,
}

impl Found {
    fn take<'a>(
        &mut self,
        (value, rest): (u32, &'a str),
        field: impl FnOnce(&mut Self) -> &mut Option<u32>,
    ) -> &'a str {
        *field(self) = Some(value);
        rest
    }

    fn at(&self) -> Option<NaiveDateTime> {
        let year = self.year.unwrap_or(1970);
        let date = match self.ordinal {
            Some(ordinal) => NaiveDate::from_yo_opt(year, ordinal)?,
            None => {
                let (month, day) = (self.month.unwrap_or(1), self.day.unwrap_or(1));
                // A day past its month's end is the month's last, as Java resolves it.
                if !(1..=31).contains(&day) {
                    return None;
                }
                let last = (28..=31)
                    .rev()
                    .find_map(|last| NaiveDate::from_ymd_opt(year, month, last))?;
                NaiveDate::from_ymd_opt(year, month, day.min(last.day()))?
            }
        };
        let hour = match (self.hour, self.hour12) {
            (Some(hour), _) => hour,
            (None, Some(hour)) => hour % 12 + if self.pm == Some(true) { 12 } else { 0 },
            (None, None) => 0,
        };
        let (minute, second) = (self.minute.unwrap_or(0), self.second.unwrap_or(0));
        Some(date.and_time(NaiveTime::from_hms_nano_opt(hour, minute, second, self.nanos)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> NaiveDateTime {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").expect("a timestamp")
    }

    #[test]
    fn patterns_format_as_java_does() {
        let when = at("2023-09-03 16:54:07.089");
        for (pattern, expected) in [
            ("HH:mm:ss", "16:54:07"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSS", "2023-09-03T16:54:07.089"),
            ("MM-dd-yy", "09-03-23"),
            ("M/d/yyyy h:mm a", "9/3/2023 4:54 PM"),
            ("EEE d MMM, 'o''clock' H", "Sun 3 Sep, o'clock 16"),
            ("yyyyMMddHHmmss", "20230903165407"),
        ] {
            let mut out = String::new();
            Pattern::new(pattern).expect(pattern).format(when, &mut out);
            assert_eq!(out, expected);
        }
        assert!(Pattern::new("qq").is_err());
    }

    #[test]
    fn patterns_parse_whole_texts_alone() {
        let parse =
            |pattern: &str, text: &str| Pattern::new(pattern).expect(pattern).parse(text);
        assert_eq!(
            parse("yyyy/MM/dd HH:mm:ss", "2026/01/01 00:00:01"),
            Some(at("2026-01-01 00:00:01"))
        );
        assert_eq!(
            parse("yyyyMMdd HHmmss", "20240229 235959"),
            Some(at("2024-02-29 23:59:59"))
        );
        assert_eq!(parse("yyyy-MM-dd", "2024-02-30"), Some(at("2024-02-29 00:00:00")));
        assert_eq!(parse("yyyy-MM-dd", "2024-2-3"), None);
        assert_eq!(parse("yyyy-MM-dd", "2024-02-03 "), None);
    }
}
