//! `java.time.format.DateTimeFormatter` patterns, as far as a TIMESTAMP has
//! what their letters ask for.
//!
//! Text is English. A letter that needs a zone, an era or a locale's weeks is
//! refused when the pattern is compiled. Parsing is Java's SMART style: a day
//! past its month's end is the month's last day.
//!
//! Source: <https://docs.oracle.com/javase/17/docs/api/java.base/java/time/format/DateTimeFormatter.html>

use std::fmt::Write as _;

use super::calendar::{Wall, day_of_week, day_of_year};

pub(crate) const MONTHS: [&str; 12] = [
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
pub(super) const DAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What a letter stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    /// `u`, and `y`: the year of the era that every TIMESTAMP of Flink's is in.
    Year,
    Quarter,
    Month,
    DayOfMonth,
    DayOfYear,
    DayOfWeek,
    /// `H`
    Hour,
    /// `k`: 1 to 24
    HourFromOne,
    /// `K`: 0 to 11
    HourOfHalf,
    /// `h`: 1 to 12
    ClockHour,
    /// `a`
    Half,
    Minute,
    Second,
    /// `S`: as many digits of the fraction as letters.
    Fraction,
    /// `n`
    Nano,
    /// `A`
    MilliOfDay,
    /// `N`
    NanoOfDay,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Literal(String),
    Letters(Field, usize),
    Optional(Vec<Item>),
}

/// A compiled pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    pub(super) items: Vec<Item>,
}

impl Pattern {
    /// # Errors
    /// What is wrong with the pattern, for a person.
    pub(crate) fn compile(text: &str) -> Result<Pattern, String> {
        let mut letters = text.chars().peekable();
        let items = compile(text, &mut letters, 0)?;
        Ok(Pattern { items })
    }

    pub(crate) fn format(&self, micros: i64, out: &mut String) {
        let wall = Wall::of(micros);
        format_items(&self.items, &wall, out);
    }
}

type Letters<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn compile(text: &str, letters: &mut Letters<'_>, depth: usize) -> Result<Vec<Item>, String> {
    let mut items = Vec::new();
    while let Some(letter) = letters.next() {
        match letter {
            '\'' => literal(&mut items, &quoted(text, letters)?),
            '[' => items.push(Item::Optional(compile(text, letters, depth + 1)?)),
            ']' if depth > 0 => return Ok(items),
            ']' | '{' | '}' | '#' => {
                return Err(format!("`{letter}` in the pattern '{text}' needs quotes"));
            }
            letter if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while letters.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                items.push(Item::Letters(field(text, letter, count)?, count));
            }
            other => literal(&mut items, other.encode_utf8(&mut [0; 4])),
        }
    }
    // Java closes an optional section that the pattern's end leaves open.
    Ok(items)
}

fn literal(items: &mut Vec<Item>, text: &str) {
    match items.last_mut() {
        Some(Item::Literal(before)) => before.push_str(text),
        _ => items.push(Item::Literal(text.to_owned())),
    }
}

/// What stands between quotes; two quotes are one.
fn quoted(text: &str, letters: &mut Letters<'_>) -> Result<String, String> {
    let mut out = String::new();
    if letters.next_if_eq(&'\'').is_some() {
        return Ok("'".to_owned());
    }
    while let Some(letter) = letters.next() {
        if letter != '\'' {
            out.push(letter);
        } else if letters.next_if_eq(&'\'').is_some() {
            out.push('\'');
        } else {
            return Ok(out);
        }
    }
    Err(format!("a quote in the pattern '{text}' is not closed"))
}

fn field(text: &str, letter: char, count: usize) -> Result<Field, String> {
    let (field, most) = match letter {
        'y' | 'u' => (Field::Year, 19),
        'Q' | 'q' => (Field::Quarter, 2),
        'M' | 'L' => (Field::Month, 5),
        'd' => (Field::DayOfMonth, 2),
        'D' => (Field::DayOfYear, 3),
        'E' => (Field::DayOfWeek, 5),
        'H' => (Field::Hour, 2),
        'k' => (Field::HourFromOne, 2),
        'K' => (Field::HourOfHalf, 2),
        'h' => (Field::ClockHour, 2),
        'a' => (Field::Half, 1),
        'm' => (Field::Minute, 2),
        's' => (Field::Second, 2),
        'S' => (Field::Fraction, 9),
        'n' => (Field::Nano, 19),
        'A' => (Field::MilliOfDay, 19),
        'N' => (Field::NanoOfDay, 19),
        _ => {
            return Err(format!(
                "the letter `{letter}` in the pattern '{text}' is not supported"
            ));
        }
    };
    if count > most {
        return Err(format!("too many `{letter}` in the pattern '{text}'"));
    }
    Ok(field)
}

fn format_items(items: &[Item], wall: &Wall, out: &mut String) {
    for item in items {
        match item {
            Item::Literal(text) => out.push_str(text),
            Item::Optional(items) => format_items(items, wall, out),
            Item::Letters(field, count) => format_field(*field, *count, wall, out),
        }
    }
}

fn format_field(field: Field, count: usize, wall: &Wall, out: &mut String) {
    match (field, count) {
        (Field::Year, 2) => padded(out, wall.year.rem_euclid(100), 2),
        (Field::Year, _) => {
            // Java marks a year that takes more digits than the letters pad to.
            if count >= 4 && wall.year > 9999 && wall.year >= 10i64.pow(count.min(18) as u32) {
                out.push('+');
            }
            padded(out, wall.year, count);
        }
        (Field::Month, 3) => out.push_str(&MONTHS[wall.month as usize - 1][..3]),
        (Field::Month, 4) => out.push_str(MONTHS[wall.month as usize - 1]),
        (Field::Month, 5) => out.push_str(&MONTHS[wall.month as usize - 1][..1]),
        (Field::DayOfWeek, _) => {
            let name = DAYS[day_of_week(wall.days) as usize - 1];
            out.push_str(match count {
                4 => name,
                5 => &name[..1],
                _ => &name[..3],
            });
        }
        (Field::Half, _) => out.push_str(if wall.hour < 12 { "AM" } else { "PM" }),
        (Field::Fraction, _) => {
            let nanos = wall.micro * 1000;
            padded(out, nanos / 10i64.pow(9 - count as u32), count);
        }
        _ => padded(out, number(field, wall), count),
    }
}

fn number(field: Field, wall: &Wall) -> i64 {
    let seconds = wall.hour * 3600 + wall.minute * 60 + wall.second;
    match field {
        Field::Year => wall.year,
        Field::Quarter => (wall.month + 2) / 3,
        Field::Month => wall.month,
        Field::DayOfMonth => wall.day,
        Field::DayOfYear => day_of_year(wall.days),
        Field::DayOfWeek => day_of_week(wall.days),
        Field::Hour => wall.hour,
        Field::HourFromOne => (wall.hour + 23) % 24 + 1,
        Field::HourOfHalf => wall.hour % 12,
        Field::ClockHour => (wall.hour + 11) % 12 + 1,
        Field::Half => wall.hour / 12,
        Field::Minute => wall.minute,
        Field::Second => wall.second,
        Field::Fraction | Field::Nano => wall.micro * 1000,
        Field::MilliOfDay => seconds * 1000 + wall.micro / 1000,
        Field::NanoOfDay => seconds * 1_000_000_000 + wall.micro * 1000,
    }
}

fn padded(out: &mut String, value: i64, width: usize) {
    // Two digits are nearly all there is.
    if (0..100).contains(&value) && width == 2 {
        out.push(char::from(b'0' + (value / 10) as u8));
        out.push(char::from(b'0' + (value % 10) as u8));
    } else {
        let sign = if value < 0 { "-" } else { "" };
        write!(out, "{sign}{:0width$}", value.abs()).expect("a String takes all");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn formatted(pattern: &str, micros: i64) -> String {
        let mut out = String::new();
        Pattern::compile(pattern).expect("a pattern").format(micros, &mut out);
        out
    }

    // 2024-02-29T13:05:09.123456, a Thursday.
    const AT: i64 = 1_709_211_909_123_456;

    #[test]
    fn letters_are_javas() {
        for (pattern, expected) in [
            ("yyyy-MM-dd HH:mm:ss.SSS", "2024-02-29 13:05:09.123"),
            ("yyyyMMddHHmm", "202402291305"),
            ("yy/M/d h:m:s a", "24/2/29 1:5:9 PM"),
            ("EEE, d MMM uuuu", "Thu, 29 Feb 2024"),
            ("EEEE MMMM", "Thursday February"),
            ("yyyy-MM-dd'T'HH:mm:ss.SSSSSSSSS", "2024-02-29T13:05:09.123456000"),
            ("D Q k K", "60 1 13 1"),
            ("hh 'o''clock' ''", "01 o'clock '"),
            ("[HH]:mm", "13:05"),
        ] {
            assert_eq!(formatted(pattern, AT), expected, "{pattern}");
        }
        assert_eq!(formatted("hh kk KK", 0), "12 24 00");
        assert_eq!(formatted("yyyy", -62_167_219_200_000_000), "0000");
    }

    #[test]
    fn what_a_timestamp_lacks_is_refused() {
        for wrong in ["yyyy-MM-dd z", "YYYY", "'open", "yyyy#", "HHH", "ww"] {
            assert!(Pattern::compile(wrong).is_err(), "{wrong}");
        }
    }
}
