//! Sums and quotients of decimals within 38 digits.
//!
//! A sum that leaves 38 digits becomes a mark that no later addition takes
//! away, so that merging keeps it; [`value`] tells it from a value.

/// Takes the place of a sum that has left 38 digits.
const OVERFLOW: i128 = i128::MIN;
const LARGEST: u128 = 10u128.pow(38) - 1;

/// The sum of two decimals of one scale.
pub fn add(a: i128, b: i128) -> i128 {
    if a == OVERFLOW || b == OVERFLOW {
        return OVERFLOW;
    }
    a.checked_add(b).and_then(fitting).unwrap_or(OVERFLOW)
}

/// The value of a sum; `None` where it has overflowed.
pub fn value(sum: i128) -> Option<i128> {
    (sum != OVERFLOW).then_some(sum)
}

/// `sum / count` with `more_digits` more digits after the point, rounded half
/// up (away from zero); `None` beyond 38 digits. `count` is positive.
pub fn divide(sum: i128, count: i64, more_digits: u32) -> Option<i128> {
    let (scale, count) = (10u128.pow(more_digits), u128::from(count.unsigned_abs()));
    let magnitude = sum.unsigned_abs();
    // The remainder is below 2^63 and the scale at most 10^6 for scales from 0
    // up, so that only the whole part can overflow.
    let rest = (magnitude % count) * scale;
    let rounded = rest / count + u128::from(rest % count * 2 >= count);
    let quotient = (magnitude / count).checked_mul(scale)?.checked_add(rounded)?;
    let quotient = i128::try_from(quotient).ok()?;
    fitting(if sum < 0 { -quotient } else { quotient })
}

fn fitting(value: i128) -> Option<i128> {
    (value.unsigned_abs() <= LARGEST).then_some(value)
}

/// The decimal of `scale` nearest to the shortest text of `value`, as Java
/// converts a double; `None` beyond 38 digits and for what is no number.
pub fn of_double(value: f64, scale: i8) -> Option<i128> {
    if !value.is_finite() {
        return None;
    }
    let text = format!("{:e}", value.abs());
    let (mantissa, exponent) = text.split_once('e').expect("the format has an exponent");
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: u128 = format!("{whole}{fraction}").parse().expect("at most 17 digits");
    let exponent: i32 = exponent.parse().expect("the exponent of a double");
    let shift = exponent - i32::try_from(fraction.len()).ok()? + i32::from(scale);
    let magnitude = if shift >= 0 {
        digits.checked_mul(10u128.checked_pow(shift.unsigned_abs())?)?
    } else {
        match 10u128.checked_pow(shift.unsigned_abs()) {
            Some(divisor) => (digits + divisor / 2) / divisor,
            None => 0,
        }
    };
    let magnitude = i128::try_from(magnitude).ok()?;
    fitting(if value < 0.0 { -magnitude } else { magnitude })
}
