//! Writes numbers, decimals, dates and times as Flink's text formats do, which
//! is as Java prints them.
//!
//! Appends to a byte buffer; nothing here quotes or escapes.

use std::io::Write as _;

/// An integer in digits.
pub fn integer(out: &mut Vec<u8>, value: impl Into<i64>) {
    write_to(out, format_args!("{}", value.into()));
}

/// `Double.toString`: the fewest digits that read back as the same number.
pub fn double(out: &mut Vec<u8>, value: f64) {
    match java_float_class(value) {
        FloatText::Named(name) => out.extend_from_slice(name),
        FloatText::Plain => write_to(out, format_args!("{value:?}")),
        FloatText::Scientific => scientific(out, &format!("{value:e}")),
    }
}

/// `Float.toString`.
pub fn single(out: &mut Vec<u8>, value: f32) {
    match java_float_class(f64::from(value)) {
        FloatText::Named(name) => out.extend_from_slice(name),
        FloatText::Plain => write_to(out, format_args!("{value:?}")),
        FloatText::Scientific => scientific(out, &format!("{value:e}")),
    }
}

enum FloatText {
    Named(&'static [u8]),
    Plain,
    Scientific,
}

fn java_float_class(value: f64) -> FloatText {
    let magnitude = value.abs();
    if value.is_nan() {
        FloatText::Named(b"NaN")
    } else if value.is_infinite() {
        FloatText::Named(if value > 0.0 { b"Infinity" } else { b"-Infinity" })
    } else if magnitude == 0.0 || (1e-3..1e7).contains(&magnitude) {
        FloatText::Plain
    } else {
        FloatText::Scientific
    }
}

/// Rust's `5e299` is Java's `5.0E299`.
fn scientific(out: &mut Vec<u8>, text: &str) {
    let (mantissa, exponent) = text.split_once('e').expect("written with an exponent");
    out.extend_from_slice(mantissa.as_bytes());
    if !mantissa.contains('.') {
        out.extend_from_slice(b".0");
    }
    out.push(b'E');
    out.extend_from_slice(exponent.as_bytes());
}

/// A decimal with all digits of its scale: `BigDecimal.toPlainString`.
pub fn decimal_plain(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    let digits = unscaled.unsigned_abs().to_string();
    if unscaled < 0 {
        out.push(b'-');
    }
    let scale = usize::try_from(scale).unwrap_or(0);
    if digits.len() <= scale {
        out.extend_from_slice(b"0.");
        out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
        out.extend_from_slice(digits.as_bytes());
        return;
    }
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

/// A decimal without trailing zeros, in scientific notation where Java's
/// `BigDecimal.toString` uses it: `100` is `1E+2`.
pub fn decimal_stripped(out: &mut Vec<u8>, unscaled: i128, scale: i8) {
    let (mut unscaled, mut scale) = (unscaled, i32::from(scale));
    if unscaled == 0 {
        out.push(b'0');
        return;
    }
    while unscaled % 10 == 0 {
        unscaled /= 10;
        scale -= 1;
    }
    let digits = unscaled.unsigned_abs().to_string();
    let exponent = digits.len() as i32 - 1 - scale;
    if scale >= 0 && exponent >= -6 {
        return decimal_plain(out, unscaled, scale as i8);
    }
    if unscaled < 0 {
        out.push(b'-');
    }
    let (first, rest) = digits.split_at(1);
    out.extend_from_slice(first.as_bytes());
    if !rest.is_empty() {
        out.push(b'.');
        out.extend_from_slice(rest.as_bytes());
    }
    write_to(out, format_args!("E{exponent:+}"));
}

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

/// `yyyy-MM-dd` of a day since 1970-01-01.
pub fn date(out: &mut Vec<u8>, days: i64) {
    let (year, month, day) = civil_from_days(days);
    match year {
        0..=9999 => write_to(out, format_args!("{year:04}-{month:02}-{day:02}")),
        ..0 => write_to(out, format_args!("-{:04}-{month:02}-{day:02}", -year)),
        _ => write_to(out, format_args!("+{year}-{month:02}-{day:02}")),
    }
}

/// `HH:mm:ss`, then as many digits of fraction as matter.
pub fn time(out: &mut Vec<u8>, nanos_of_day: i64) {
    let (seconds, nanos) = (nanos_of_day / 1_000_000_000, nanos_of_day % 1_000_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    write_to(out, format_args!("{hour:02}:{minute:02}:{second:02}"));
    if nanos != 0 {
        write_to(out, format_args!(".{nanos:09}"));
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// Date and time of `units` since 1970-01-01, of which a second has
/// `units_per_second`, with `separator` between.
pub fn timestamp(out: &mut Vec<u8>, units: i64, units_per_second: i64, separator: u8) {
    let units_per_day = 86_400 * units_per_second;
    date(out, units.div_euclid(units_per_day));
    out.push(separator);
    let nanos_per_unit = NANOS_PER_DAY / units_per_day;
    time(out, units.rem_euclid(units_per_day) * nanos_per_unit);
}

/// The inverse of days since 1970-01-01; see
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn write_to(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to memory does not fail");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::parse;
    use super::*;

    fn printed(print: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        print(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_print_as_java_prints_them() {
        for (value, text) in [
            (4.611_686_018_427_388e18, "4.6116860184273879E18"),
            (5.0e299, "5.0E299"),
            (1.5, "1.5"),
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (100.0, "100.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (0.001, "0.001"),
            (0.0001, "1.0E-4"),
            (f64::NEG_INFINITY, "-Infinity"),
            (f64::NAN, "NaN"),
        ] {
            // Java before 19 printed one digit too many now and then; the
            // value is what counts.
            let out = printed(|out| double(out, value));
            let same = out == text || out.parse::<f64>() == text.parse::<f64>();
            assert!(same, "{value}: {out} is not {text}");
        }
        assert_eq!(printed(|out| single(out, 0.1)), "0.1");
    }

    #[test]
    fn decimals_print_as_java_prints_them() {
        assert_eq!(printed(|out| decimal_stripped(out, -21_000, 2)), "-2.1E+2");
        assert_eq!(printed(|out| decimal_stripped(out, 150, 2)), "1.5");
        assert_eq!(printed(|out| decimal_stripped(out, 0, 2)), "0");
        assert_eq!(printed(|out| decimal_stripped(out, 1, 7)), "1E-7");
        assert_eq!(printed(|out| decimal_stripped(out, -5, 2)), "-0.05");
        assert_eq!(printed(|out| decimal_plain(out, -21_000, 2)), "-210.00");
        assert_eq!(printed(|out| decimal_plain(out, 5, 3)), "0.005");
    }

    #[test]
    fn timestamps_keep_only_digits_that_matter() {
        let micros = |value| printed(|out| timestamp(out, value, 1_000_000, b' '));
        assert_eq!(micros(4_000_000), "1970-01-01 00:00:04");
        assert_eq!(micros(2_500_000), "1970-01-01 00:00:02.5");
        assert_eq!(micros(-1), "1969-12-31 23:59:59.999999");
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(micros in -70_000_000_000_000_000i64..200_000_000_000_000_000, days in -900_000i32..2_000_000) {
            let text = printed(|out| timestamp(out, micros, 1_000_000, b' '));
            let read = parse::timestamp(&text, parse::TimestampForm::Sql).unwrap();
            prop_assert_eq!(read.micros(), Some(micros));
            let text = printed(|out| date(out, days.into()));
            prop_assert_eq!(parse::date(&text), Some(days));
        }

        #[test]
        fn a_printed_number_reads_back(value: f64, unscaled in -10i128.pow(37)..10i128.pow(37), scale in 0i8..20) {
            let text = printed(|out| double(out, value));
            let read = parse::double(&text).unwrap();
            prop_assert!(read == value || (read.is_nan() && value.is_nan()));
            for print in [decimal_plain, decimal_stripped] {
                let text = printed(|out| print(out, unscaled, scale));
                prop_assert_eq!(parse::decimal(&text, 38, scale), Some(parse::Decimal::Fits(unscaled)));
            }
        }
    }
}
