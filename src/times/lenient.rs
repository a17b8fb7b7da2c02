//! Reads a wall time as `java.text.SimpleDateFormat` does, which Flink asks for
//! TO_DATE and UNIX_TIMESTAMP: a number takes as many digits as there are,
//! unless another number follows at once; what is too large goes on in the next
//! field; what follows the pattern is ignored.

use super::calendar::{MICROS_PER_DAY, days_from_civil};
use super::parse::{digits, month_name, weekday_name};
use super::pattern::{Field, Item, Pattern};

/// What a text said, from 1970-01-01 00:00:00.
#[derive(Debug, Clone)]
struct Said {
    year: i64,
    month: i64,
    day: i64,
    day_of_year: Option<i64>,
    hour: i64,
    half: i64,
    minute: i64,
    second: i64,
    millis: i64,
}

impl Pattern {
    /// Microseconds since 1970-01-01T00:00:00; `None` if the text does not begin
    /// by the pattern.
    pub(crate) fn parse_leniently(&self, text: &str) -> Option<i64> {
        let mut said = Said {
            year: 1970,
            month: 1,
            day: 1,
            day_of_year: None,
            hour: 0,
            half: 0,
            minute: 0,
            second: 0,
            millis: 0,
        };
        read(&self.items, text, &mut said)?;
        said.micros()
    }
}

fn read<'t>(items: &[Item], mut text: &'t str, said: &mut Said) -> Option<&'t str> {
    for (at, item) in items.iter().enumerate() {
        text = match item {
            Item::Literal(literal) => text.strip_prefix(literal.as_str())?,
            Item::Optional(items) => {
                let mut attempt = said.clone();
                match read(items, text, &mut attempt) {
                    Some(rest) => {
                        *said = attempt;
                        rest
                    }
                    None => text,
                }
            }
            Item::Letters(Field::Month, count @ 3..) => {
                let (month, rest) = month_name(text, *count)?;
                said.month = month;
                rest
            }
            Item::Letters(Field::DayOfWeek, count) => weekday_name(text, *count)?.1,
            Item::Letters(Field::Half, _) => {
                said.half = ["AM", "PM"].iter().position(|half| text.starts_with(half))? as i64;
                &text[2..]
            }
            Item::Letters(field, count) => {
                let text = text.trim_start_matches([' ', '\t']);
                let most = match items.get(at + 1) {
                    Some(Item::Letters(next, width)) if is_number(*next, *width) => *count,
                    _ => 18,
                };
                let (value, rest) = digits(text, 1, most, 0)?;
                said.put(*field, value, *count == 2 && text.len() - rest.len() == 2)?;
                rest
            }
        };
    }
    Some(text)
}

fn is_number(field: Field, width: usize) -> bool {
    !matches!((field, width), (Field::Half | Field::DayOfWeek, _) | (Field::Month, 3..))
}

impl Said {
    /// `short`: two digits for two letters, which is how a year has a century.
    fn put(&mut self, field: Field, value: i64, short: bool) -> Option<()> {
        match field {
            Field::Year => self.year = if short { 2000 + value } else { value },
            Field::Month => self.month = value,
            Field::DayOfMonth => self.day = value,
            Field::DayOfYear => self.day_of_year = Some(value),
            Field::Hour | Field::HourOfHalf => self.hour = value,
            Field::HourFromOne => self.hour = if value == 24 { 0 } else { value },
            Field::ClockHour => self.hour = if value == 12 { 0 } else { value },
            Field::Minute => self.minute = value,
            Field::Second => self.second = value,
            Field::Fraction => self.millis = value,
            _ => return None,
        }
        Some(())
    }

    fn micros(&self) -> Option<i64> {
        let months = self.year.checked_mul(12)?.checked_add(self.month - 1)?;
        let (year, month) = (months.div_euclid(12), months.rem_euclid(12) + 1);
        let within = |year: &i64| (-290_000..=290_000).contains(year);
        let days = match self.day_of_year {
            Some(day) => {
                days_from_civil(Some(self.year).filter(within)?, 1, 1).checked_add(day)
            }
            None => days_from_civil(Some(year).filter(within)?, month, 1).checked_add(self.day),
        };
        let hour = self.hour.checked_add(self.half * 12)?;
        let minutes = hour.checked_mul(60)?.checked_add(self.minute)?;
        let seconds = minutes.checked_mul(60)?.checked_add(self.second)?;
        let millis = seconds.checked_mul(1000)?.checked_add(self.millis)?;
        let micros = days?.checked_sub(1)?.checked_mul(MICROS_PER_DAY)?;
        micros.checked_add(millis.checked_mul(1000)?)
    }
}
