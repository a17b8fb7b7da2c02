//! The proleptic Gregorian calendar, and a wall time taken apart.
//!
//! Source: <https://howardhinnant.github.io/date_algorithms.html>

pub(crate) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(crate) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;

/// Days since 1970-01-01.
pub(crate) fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day counted from 1970-01-01.
pub(crate) fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

pub(crate) fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub(crate) fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days since 1970-01-01, if there is such a day.
pub(crate) fn checked_days(year: i64, month: i64, day: i64) -> Option<i64> {
    let valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    valid.then(|| days_from_civil(year, month, day))
}

/// 1 is Sunday, 7 is Saturday.
pub(crate) fn day_of_week(days: i64) -> i64 {
    (days + 4).rem_euclid(7) + 1
}

pub(crate) fn day_of_year(days: i64) -> i64 {
    let (year, _, _) = civil_from_days(days);
    days - days_from_civil(year, 1, 1) + 1
}

/// The year and week of ISO 8601: weeks begin on Monday, the first holds
/// January 4th.
pub(crate) fn iso_week(days: i64) -> (i64, i64) {
    let thursday = days + 3 - (days + 3).rem_euclid(7);
    let (year, _, _) = civil_from_days(thursday);
    (year, (thursday - days_from_civil(year, 1, 1)) / 7 + 1)
}

/// The same day `months` later, or the last of that month.
pub(crate) fn add_months(days: i64, months: i64) -> i64 {
    let (year, month, day) = civil_from_days(days);
    let total = year * 12 + month - 1 + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    days_from_civil(year, month, day.min(days_in_month(year, month)))
}

/// A wall time in microseconds since 1970-01-01T00:00:00, `months` later.
pub(crate) fn add_months_to_micros(micros: i64, months: i64) -> i64 {
    let (days, of_day) = split(micros);
    add_months(days, months) * MICROS_PER_DAY + of_day
}

/// The day and the microsecond of the day.
pub(crate) fn split(micros: i64) -> (i64, i64) {
    (micros.div_euclid(MICROS_PER_DAY), micros.rem_euclid(MICROS_PER_DAY))
}

/// A wall time in its parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wall {
    pub days: i64,
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    pub micro: i64,
}

impl Wall {
    pub(crate) fn of(micros: i64) -> Self {
        let (days, of_day) = split(micros);
        let (year, month, day) = civil_from_days(days);
        let seconds = of_day / MICROS_PER_SECOND;
        Wall {
            days,
            year,
            month,
            day,
            hour: seconds / 3600,
            minute: seconds / 60 % 60,
            second: seconds % 60,
            micro: of_day % MICROS_PER_SECOND,
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Datelike, NaiveDate};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn days_are_chronos(days in -800_000i32..3_000_000) {
            let date = NaiveDate::from_epoch_days(days).expect("within chrono's years");
            let days = i64::from(days);
            let (year, month, day) = civil_from_days(days);
            prop_assert_eq!(
                (year, month, day),
                (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()))
            );
            prop_assert_eq!(days_from_civil(year, month, day), days);
            prop_assert_eq!(day_of_year(days), i64::from(date.ordinal()));
            prop_assert_eq!(day_of_week(days), i64::from(date.weekday().num_days_from_sunday()) + 1);
            let week = date.iso_week();
            prop_assert_eq!(iso_week(days), (i64::from(week.year()), i64::from(week.week())));
        }
    }

    #[test]
    fn a_month_later_is_no_later_than_that_months_end() {
        let days = days_from_civil(2024, 1, 31);
        assert_eq!(civil_from_days(add_months(days, 1)), (2024, 2, 29));
        assert_eq!(civil_from_days(add_months(days, -2)), (2023, 11, 30));
        assert_eq!(civil_from_days(add_months(days, 12)), (2025, 1, 31));
    }
}
