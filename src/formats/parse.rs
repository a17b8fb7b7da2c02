//! Reads numbers, decimals, dates and times from text as Flink's formats do.
//!
//! Each function takes the whole text and knows one grammar; none trims, none
//! allocates, none panics. What `java.lang` and `java.time` accept decides what
//! is accepted here, because Flink hands its text to them: a resolver style is
//! part of the grammar (`SMART` turns April 31st into the 30th, `STRICT`
//! refuses it).

/// Cuts what Java's `String.trim` cuts: everything up to U+0020 at both ends.
pub fn trim(text: &str) -> &str {
    match text.as_bytes() {
        // There mostly is nothing to cut.
        [first, .., last] if *first > b' ' && *last > b' ' => text,
        _ => text.trim_matches(|c: char| c <= ' '),
    }
}

/// An integer as `Long.parseLong` reads it, narrowed to `T`.
pub fn integer<T: TryFrom<i64>>(text: &str) -> Option<T> {
    T::try_from(long(text.as_bytes())?).ok()
}

fn long(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let magnitude = magnitude(digits)?;
    if negative { 0i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

fn magnitude(digits: &[u8]) -> Option<u64> {
    // Nineteen digits cannot overflow 64 bits, twenty that matter do not fit.
    let significant = if digits.len() <= 19 {
        digits
    } else {
        let zeros = digits.iter().take_while(|d| **d == b'0').count();
        &digits[zeros..]
    };
    if digits.is_empty() || significant.len() > 19 {
        return None;
    }
    let mut value = 0u64;
    for digit in significant {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// `Boolean.parseBoolean`: anything but `true`, in any case, is false.
pub fn boolean(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}

/// `Double.parseDouble`, without its hexadecimal form.
pub fn double(text: &str) -> Option<f64> {
    float(text)
}

/// `Float.parseFloat`, without its hexadecimal form.
pub fn single(text: &str) -> Option<f32> {
    float(text)
}

fn float<T: std::str::FromStr>(text: &str) -> Option<T> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, "NaN" | "Infinity") {
        return text.parse().ok();
    }
    // Rust also reads `inf` and `nan`; Java also reads a type suffix.
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().ok()
}

/// A number brought to the precision and scale of a DECIMAL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decimal {
    /// The unscaled value, rounded half up.
    Fits(i128),
    /// A number too large for the precision; Flink makes it NULL.
    Overflows,
}

/// The most digits a DECIMAL has.
const MAX_PRECISION: i64 = 38;

/// A decimal as `new BigDecimal(text)` reads it, then rounded half up to
/// `scale`; `None` if it is no number.
pub fn decimal(text: &str, precision: u8, scale: i8) -> Option<Decimal> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        bytes => (false, bytes),
    };
    let mantissa_len = unsigned.iter().position(|b| matches!(b, b'e' | b'E'));
    let (mantissa, exponent) = match mantissa_len {
        Some(at) => (&unsigned[..at], i64::from(exponent(&unsigned[at + 1..])?)),
        None => (unsigned, 0),
    };
    let digits = Digits::of(mantissa)?;
    let unscaled = digits.unscaled(exponent.checked_add(i64::from(scale))?);
    Some(match unscaled {
        Some(value) if value < power_of_ten(precision) => {
            Decimal::Fits(if negative { -value } else { value })
        }
        _ => Decimal::Overflows,
    })
}

fn exponent(text: &[u8]) -> Option<i32> {
    i32::try_from(long(text)?).ok()
}

fn power_of_ten(exponent: u8) -> i128 {
    10i128.pow(u32::from(exponent).min(38))
}

/// The digits of a mantissa, leading zeros cut, with the number of them that
/// stand after the point.
struct Digits<'a> {
    bytes: &'a [u8],
    count: i64,
    fraction: i64,
}

impl<'a> Digits<'a> {
    fn of(mantissa: &'a [u8]) -> Option<Self> {
        let mut point = None;
        for (at, byte) in mantissa.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {}
                b'.' if point.is_none() => point = Some(at),
                _ => return None,
            }
        }
        if mantissa.len() == usize::from(point.is_some()) {
            return None;
        }
        let fraction = point.map_or(0, |at| mantissa.len() - at - 1) as i64;
        let first = mantissa.iter().position(|b| !matches!(b, b'0' | b'.'));
        let bytes = &mantissa[first.unwrap_or(mantissa.len())..];
        let count = bytes.iter().filter(|b| **b != b'.').count() as i64;
        Some(Digits { bytes, count, fraction })
    }

    /// These digits times ten to the `exponent` less the fraction's length,
    /// rounded half up; `None` if that has more than 38 digits.
    fn unscaled(&self, exponent: i64) -> Option<i128> {
        if self.count == 0 {
            return Some(0);
        }
        let shift = exponent - self.fraction;
        let size = self.count.checked_add(shift)?;
        if size > MAX_PRECISION {
            return None;
        }
        let mut kept = size.min(self.count);
        if kept < 0 {
            return Some(0);
        }
        let mut value = 0i128;
        for byte in self.bytes.iter().filter(|b| **b != b'.') {
            if kept == 0 {
                return Some(value + i128::from(*byte >= b'5'));
            }
            value = value * 10 + i128::from(byte - b'0');
            kept -= 1;
        }
        Some(value * 10i128.pow(shift.max(0) as u32))
    }
}

/// Which text a timestamp is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimestampForm {
    /// `yyyy-MM-dd HH:mm:ss[.f]`
    Sql,
    /// The same and `Z`.
    SqlUtc,
    /// `yyyy-MM-ddTHH:mm[:ss[.f]]`
    Iso,
    /// The same and `Z`.
    IsoUtc,
}

/// A date and a time of day without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallTime {
    /// Days since 1970-01-01.
    pub days: i64,
    pub nanos_of_day: i64,
}

const NANOS_PER_SECOND: i64 = 1_000_000_000;
const NANOS_PER_DAY: i64 = 86_400 * NANOS_PER_SECOND;

impl WallTime {
    /// Microseconds since 1970-01-01T00:00:00.
    pub fn micros(self) -> Option<i64> {
        self.days.checked_mul(NANOS_PER_DAY / 1000)?.checked_add(self.nanos_of_day / 1000)
    }

    /// Nanoseconds since 1970-01-01T00:00:00.
    pub fn nanos(self) -> Option<i64> {
        self.days.checked_mul(NANOS_PER_DAY)?.checked_add(self.nanos_of_day)
    }
}

/// A timestamp with up to nine digits of fraction.
pub fn timestamp(text: &str, form: TimestampForm) -> Option<WallTime> {
    use TimestampForm::{Iso, IsoUtc, Sql, SqlUtc};
    let bytes = text.as_bytes();
    let bytes = match form {
        SqlUtc | IsoUtc => bytes.strip_suffix(b"Z")?,
        Sql | Iso => bytes,
    };
    let (date, rest) = Date::cut(bytes)?;
    let (separator, rest) = rest.split_first()?;
    let separated = match form {
        Sql | SqlUtc => *separator == b' ',
        Iso => matches!(separator, b'T' | b't'),
        IsoUtc => *separator == b'T',
    };
    let time = Time::whole(rest, matches!(form, Iso | IsoUtc))?;
    if !separated {
        return None;
    }
    // Java's ready-made ISO formatter is strict, a built one is not.
    if form == Iso {
        return Some(WallTime { days: date.strict()?, nanos_of_day: time.strict()? });
    }
    let (nanos_of_day, next_day) = time.smart()?;
    Some(WallTime { days: date.smart()? + i64::from(next_day), nanos_of_day })
}

/// `yyyy-MM-dd`, which must be a day of the calendar, as days since 1970-01-01.
pub fn date(text: &str) -> Option<i32> {
    let (date, rest) = Date::cut(text.as_bytes())?;
    if !rest.is_empty() {
        return None;
    }
    i32::try_from(date.strict()?).ok()
}

/// `java.sql.Date.valueOf`: four digits of year, one or two of month and day,
/// and a day past its month's end counts on into the next month.
pub fn sql_date(text: &str) -> Option<i32> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let short = |part: &str| matches!(part.len(), 1 | 2);
    if parts.next().is_some() || year.len() != 4 || !short(month) || !short(day) {
        return None;
    }
    let number = |part: &str| magnitude(part.as_bytes());
    let (year, month, day) = (number(year)? as i64, number(month)? as i64, number(day)? as i64);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    i32::try_from(days_from_civil(year, month, 1) + day - 1).ok()
}

/// `HH:mm:ss[.f]` as milliseconds of the day; `24:00:00` is midnight.
pub fn time(text: &str) -> Option<i32> {
    let (nanos, _) = Time::whole(text.as_bytes(), false)?.smart()?;
    Some((nanos / 1_000_000) as i32)
}

/// `HH:mm[:ss[.f]]` as milliseconds of the day.
pub fn iso_time(text: &str) -> Option<i32> {
    let nanos = Time::whole(text.as_bytes(), true)?.strict()?;
    Some((nanos / 1_000_000) as i32)
}

struct Date {
    year: i64,
    month: i64,
    day: i64,
}

impl Date {
    /// Cuts a date off the front: four digits of year, or a sign and more.
    fn cut(text: &[u8]) -> Option<(Date, &[u8])> {
        let (year, rest) = match text.first()? {
            b'-' | b'+' => signed_year(text)?,
            _ => (i64::from(number(text, 4)?), &text[4..]),
        };
        let [b'-', _, _, b'-', _, _, after @ ..] = rest else { return None };
        let month = i64::from(number(&rest[1..], 2)?);
        let day = i64::from(number(&rest[4..], 2)?);
        let valid = (1..=12).contains(&month) && (1..=31).contains(&day);
        valid.then_some((Date { year, month, day }, after))
    }

    fn strict(&self) -> Option<i64> {
        if self.day > days_in_month(self.year, self.month) {
            return None;
        }
        Some(days_from_civil(self.year, self.month, self.day))
    }

    /// A day past its month's end is the month's last.
    fn smart(&self) -> Option<i64> {
        let day = self.day.min(days_in_month(self.year, self.month));
        Some(days_from_civil(self.year, self.month, day))
    }
}

/// `-0001` or `+12345`: a plus only where four digits do not do.
fn signed_year(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text[1..].iter().take_while(|b| b.is_ascii_digit()).count();
    let least = if text[0] == b'+' { 5 } else { 4 };
    if !(least..=9).contains(&count) {
        return None;
    }
    let year = magnitude(&text[1..=count])? as i64;
    Some((if text[0] == b'-' { -year } else { year }, &text[count + 1..]))
}

struct Time {
    hour: i64,
    minute: i64,
    second: i64,
    nanos: i64,
}

impl Time {
    fn whole(text: &[u8], seconds_optional: bool) -> Option<Time> {
        let hour = i64::from(number(text, 2)?);
        let [_, _, b':', _, _, rest @ ..] = text else { return None };
        let minute = i64::from(number(&text[3..], 2)?);
        let (second, nanos) = match rest {
            [] if seconds_optional => (0, 0),
            [b':', _, _, fraction @ ..] => {
                (i64::from(number(&rest[1..], 2)?), nanos_of(fraction)?)
            }
            _ => return None,
        };
        let valid = hour <= 24 && minute <= 59 && second <= 59;
        valid.then_some(Time { hour, minute, second, nanos })
    }

    fn strict(&self) -> Option<i64> {
        let seconds = self.hour * 3600 + self.minute * 60 + self.second;
        (self.hour <= 23).then_some(seconds * NANOS_PER_SECOND + self.nanos)
    }

    /// The time, and whether it is the midnight that ends the day.
    fn smart(&self) -> Option<(i64, bool)> {
        if self.hour == 24 && self.minute + self.second + self.nanos == 0 {
            return Some((0, true));
        }
        Some((self.strict()?, false))
    }
}

/// Nothing, or a point and up to nine digits, as nanoseconds.
fn nanos_of(fraction: &[u8]) -> Option<i64> {
    let digits = match fraction {
        [] => return Some(0),
        [b'.', digits @ ..] if digits.len() <= 9 => digits,
        _ => return None,
    };
    let value = if digits.is_empty() { 0 } else { i64::from(number(digits, digits.len())?) };
    Some(value * 10i64.pow(9 - digits.len() as u32))
}

/// The first `len` (at most nine) bytes as an unsigned number.
fn number(text: &[u8], len: usize) -> Option<u32> {
    let mut value = 0u32;
    for byte in text.get(..len)? {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(value)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
///
/// Counts from March, so that the leap day is a year's last, in eras of 400
/// years (146,097 days). See
/// <https://howardhinnant.github.io/date_algorithms.html#days_from_civil>.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};

    use super::*;

    #[test]
    fn integers_are_javas() {
        assert_eq!(integer::<i64>("-9223372036854775808"), Some(i64::MIN));
        assert_eq!(integer::<i64>("9223372036854775807"), Some(i64::MAX));
        assert_eq!(integer::<i64>("9223372036854775808"), None);
        assert_eq!(integer::<i64>("+00000000000000000000000000012"), Some(12));
        assert_eq!(integer::<i8>("128"), None);
        for wrong in ["", "-", "+", "1.0", " 1", "1x", "--1", "0x1", "٣"] {
            assert_eq!(integer::<i64>(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn floats_are_javas() {
        assert_eq!(double("1."), Some(1.0));
        assert_eq!(double(".5e1d"), Some(5.0));
        assert_eq!(double("-Infinity"), Some(f64::NEG_INFINITY));
        assert!(double("NaN").is_some_and(f64::is_nan));
        for wrong in ["inf", "nan", "", "-", ".", "1e", "e1", "infinity"] {
            assert_eq!(double(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn decimals_round_half_up_and_overflow() {
        assert_eq!(decimal("2.25", 8, 2), Some(Decimal::Fits(225)));
        assert_eq!(decimal("-0.005", 8, 2), Some(Decimal::Fits(-1)));
        assert_eq!(decimal("0.0049999", 8, 2), Some(Decimal::Fits(0)));
        assert_eq!(decimal("0.5", 8, 0), Some(Decimal::Fits(1)));
        assert_eq!(decimal("1e2", 8, 2), Some(Decimal::Fits(10_000)));
        assert_eq!(decimal("12e-1", 8, 0), Some(Decimal::Fits(1)));
        assert_eq!(decimal("999.995", 5, 2), Some(Decimal::Overflows));
        assert_eq!(decimal("1e400", 38, 0), Some(Decimal::Overflows));
        assert_eq!(decimal("1e-2000000000", 38, 0), Some(Decimal::Fits(0)));
        assert_eq!(decimal(".5", 3, 1), Some(Decimal::Fits(5)));
        assert_eq!(decimal("5.", 3, 1), Some(Decimal::Fits(50)));
        for wrong in ["", ".", "-", "1e", "1.2.3", " 1", "x", "1e99999999999"] {
            assert_eq!(decimal(wrong, 8, 2), None, "{wrong:?}");
        }
    }

    #[test]
    fn timestamps_have_one_form_each() {
        use TimestampForm::{Iso, IsoUtc, Sql, SqlUtc};
        let micros = |text, form| timestamp(text, form).and_then(WallTime::micros);
        assert_eq!(micros("1970-01-01 00:00:04.123456", Sql), Some(4_123_456));
        assert_eq!(micros("1969-12-31 23:59:59.9", Sql), Some(-100_000));
        assert_eq!(micros("1970-01-01 00:00:01Z", SqlUtc), Some(1_000_000));
        assert_eq!(micros("1970-01-01T00:01", Iso), Some(60_000_000));
        assert_eq!(micros("1970-01-01T00:00:01.5Z", IsoUtc), Some(1_500_000));
        // SMART: the end of the day, and a day past the month's end.
        assert_eq!(micros("1970-01-01 24:00:00", Sql), Some(86_400_000_000));
        assert_eq!(micros("2023-02-31 00:00:00", Sql), micros("2023-02-28 00:00:00", Sql));
        assert_eq!(micros("2023-02-31T00:00:00", Iso), None);
        for wrong in [
            "1970-01-01T00:00:04",
            "1970-01-01 00:00:04Z",
            "1970-01-01 00:00",
            "1970-1-01 00:00:04",
            "1970-01-01 00:00:04.1234567891",
            "1970-01-01 00:60:04",
            "1970-13-01 00:00:04",
            "70-01-01 00:00:04",
            "",
        ] {
            assert_eq!(timestamp(wrong, Sql), None, "{wrong:?}");
        }
        assert_eq!(timestamp("1970-01-01 00:00:00.123456789", Sql).unwrap().nanos(), {
            Some(123_456_789)
        });
    }

    #[test]
    fn dates_agree_with_chrono() {
        for days in (-800_000..800_000).step_by(997) {
            let date_of = NaiveDate::from_num_days_from_ce_opt(719_163 + days).unwrap();
            let text =
                format!("{:04}-{:02}-{:02}", date_of.year(), date_of.month(), date_of.day());
            if date_of.year() >= 0 {
                assert_eq!(date(&text), Some(days), "{text}");
            }
        }
        assert_eq!(date("-0001-03-01"), Some(-719_834));
        assert_eq!(date("2023-02-29"), None);
        assert_eq!(sql_date("2023-2-29"), date("2023-03-01"));
        assert_eq!(sql_date("2023-02-32"), None);
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time("01:02:03.4567"), Some(3_723_456));
        assert_eq!(time("24:00:00"), Some(0));
        assert_eq!(time("01:02"), None);
        assert_eq!(iso_time("01:02"), Some(3_720_000));
        assert_eq!(iso_time("24:00:00"), None);
    }
}
