//! `PRINTF(format, x, …)`, as `java.util.Formatter` reads a format, in English.
//!
//! A specifier is `%[index$][flags][width][.precision]conversion`. Conversions
//! are `b s c d o x e f g`, `B S C X E G` of them in capitals, `%%` and `%n`.
//! What the format cannot say of an argument fails, as in Java.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int64Type};
use datafusion::common::{Result, exec_datafusion_err, plan_err};
use datafusion::logical_expr::ScalarUDF;

use super::super::flink_name;
use super::super::function::{Function, Parameter};
use super::length;
use crate::formats::print;

use Parameter::{Any, Text};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![printf()]
}

fn printf() -> Arc<ScalarUDF> {
    Function::new("printf", &[Text, Any], DataType::Utf8View, |args| {
        let formats = args.texts(0)?;
        let given = (1..args.len()).map(|at| Column::new(&args.array(at)?));
        let given = given.collect::<Result<Vec<_>>>()?;
        let mut fault = None;
        let out = args.write_texts(|row, out| {
            let format = formats.get(row)?;
            let values = given.iter().map(|column| column.get(row)).collect::<Vec<_>>();
            if let Err(why) = write(format, &values, out) {
                fault = Some(exec_datafusion_err!("PRINTF('{format}', …): {why}"));
            }
            Some(())
        });
        fault.map_or(Ok(out), Err)
    })
    .repeating()
    .coercing(|types| {
        for (at, ty) in types.iter().enumerate().skip(1) {
            if !(ty.is_numeric() || ty.is_string() || ty.is_null() || *ty == DataType::Boolean)
            {
                return plan_err!(
                    "argument {} of PRINTF is {}: CAST it to STRING",
                    at + 1,
                    flink_name(ty)
                );
            }
        }
        Ok(types.to_vec())
    })
    .udf()
}

/// An argument's values, each kind of them as Java would be given it.
enum Column {
    Null,
    Boolean(ArrayRef),
    /// With how many bits they have.
    Integer(ArrayRef, u32),
    Single(ArrayRef),
    Double(ArrayRef),
    /// Those that can only be printed as they are.
    Text(ArrayRef),
}

impl Column {
    fn new(array: &ArrayRef) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Null => Column::Null,
            DataType::Boolean => Column::Boolean(Arc::clone(array)),
            ty if ty.is_integer() => {
                let bits = ty.primitive_width().map_or(64, |bytes| bytes as u32 * 8);
                Column::Integer(cast(array, &DataType::Int64)?, bits)
            }
            DataType::Float32 => Column::Single(Arc::clone(array)),
            DataType::Float64 => Column::Double(Arc::clone(array)),
            _ => Column::Text(cast(array, &DataType::Utf8View)?),
        })
    }

    fn get(&self, row: usize) -> Value<'_> {
        match self {
            Column::Boolean(array) if array.is_valid(row) => {
                Value::Boolean(array.as_boolean().value(row))
            }
            Column::Integer(array, bits) if array.is_valid(row) => {
                Value::Integer(array.as_primitive::<Int64Type>().value(row), *bits)
            }
            Column::Single(array) if array.is_valid(row) => {
                Value::Single(array.as_primitive::<Float32Type>().value(row))
            }
            Column::Double(array) if array.is_valid(row) => {
                Value::Double(array.as_primitive::<Float64Type>().value(row))
            }
            Column::Text(array) if array.is_valid(row) => {
                Value::Text(array.as_string_view().value(row))
            }
            _ => Value::Null,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Value<'a> {
    Null,
    Boolean(bool),
    Integer(i64, u32),
    Single(f32),
    Double(f64),
    Text(&'a str),
}

/// What stands between `%` and the conversion.
#[derive(Debug, Default)]
struct Specifier<'f> {
    index: Option<usize>,
    flags: &'f str,
    width: usize,
    precision: Option<usize>,
}

impl Specifier<'_> {
    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }
}

/// Prints `values` by `format` onto `out`, or says why it cannot.
fn write(format: &str, values: &[Value<'_>], out: &mut String) -> Result<(), String> {
    let mut rest = format;
    let (mut ordinary, mut last) = (0, None);
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let (specifier, conversion, after) =
            specifier(after).ok_or_else(|| format!("'%{after}' is no specifier"))?;
        rest = after;
        if conversion == '%' || conversion == 'n' {
            pad(if conversion == 'n' { "\n" } else { "%" }, &specifier, out);
            continue;
        }
        let at = match specifier.index {
            Some(index) => index,
            None if specifier.has('<') => last.ok_or("'%<' has nothing before it")?,
            None => {
                ordinary += 1;
                ordinary - 1
            }
        };
        last = Some(at);
        let value = values
            .get(at)
            .ok_or_else(|| format!("'%{conversion}' has no argument {}", at + 1))?;
        let text = converted(*value, conversion.to_ascii_lowercase(), &specifier)?;
        let upper = conversion.is_ascii_uppercase();
        pad(&if upper { text.to_uppercase() } else { text }, &specifier, out);
    }
    out.push_str(rest);
    Ok(())
}

/// The specifier at the beginning, its conversion, and the rest.
fn specifier(text: &str) -> Option<(Specifier<'_>, char, &str)> {
    let digits =
        |text: &str| text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let mut specifier = Specifier::default();
    let mut rest = text;
    if let Some((index, after)) = rest
        .split_at(digits(rest))
        .1
        .strip_prefix('$')
        .map(|after| (&rest[..digits(rest)], after))
    {
        specifier.index = Some(index.parse::<usize>().ok()?.checked_sub(1)?);
        rest = after;
    }
    let flags =
        rest.len() - rest.trim_start_matches(['-', '#', '+', ' ', '0', ',', '(', '<']).len();
    (specifier.flags, rest) = rest.split_at(flags);
    let (width, after) = rest.split_at(digits(rest));
    if !width.is_empty() {
        specifier.width = width.parse().ok().filter(|w| *w <= MAX_WIDTH)?;
    }
    rest = after;
    if let Some(after) = rest.strip_prefix('.') {
        let (precision, after) = after.split_at(digits(after));
        specifier.precision = Some(precision.parse().ok().filter(|p| *p <= MAX_WIDTH)?);
        rest = after;
    }
    let conversion = rest.chars().next()?;
    let known = "bscdoxefgn%BSCXEG".contains(conversion);
    known.then(|| (specifier, conversion, &rest[conversion.len_utf8()..]))
}

/// No line is wider; a job shall not be filled with spaces by a wrong format.
const MAX_WIDTH: usize = 1 << 20;

fn pad(text: &str, specifier: &Specifier<'_>, out: &mut String) {
    let missing = specifier.width.saturating_sub(length(text) as usize);
    if specifier.has('-') {
        out.push_str(text);
    }
    out.extend(std::iter::repeat_n(' ', missing));
    if !specifier.has('-') {
        out.push_str(text);
    }
}

fn converted(
    value: Value<'_>,
    conversion: char,
    specifier: &Specifier<'_>,
) -> Result<String, String> {
    let cut = |text: String| match specifier.precision {
        Some(most) => text.chars().take(most).collect(),
        None => text,
    };
    Ok(match (conversion, value) {
        ('b', Value::Boolean(value)) => cut(value.to_string()),
        ('b', value) => cut((value != Value::Null).to_string()),
        (_, Value::Null) => cut("null".to_owned()),
        ('s', Value::Boolean(value)) => cut(value.to_string()),
        ('s', Value::Integer(value, _)) => cut(value.to_string()),
        ('s', Value::Single(value)) => cut(shown(|out| print::single(out, value))),
        (_, Value::Single(value)) => {
            return converted(Value::Double(value.into()), conversion, specifier);
        }
        ('s', Value::Double(value)) => cut(shown(|out| print::double(out, value))),
        ('s', Value::Text(value)) => cut(value.to_owned()),
        ('c', Value::Integer(code, ..=32)) => u32::try_from(code)
            .ok()
            .and_then(char::from_u32)
            .ok_or_else(|| format!("{code} is no character"))?
            .to_string(),
        ('d', Value::Integer(value, _)) => {
            signed(value < 0, &value.unsigned_abs().to_string(), specifier)
        }
        ('o' | 'x', Value::Integer(value, bits)) => {
            let value = value as u64 & (u64::MAX >> (64 - bits));
            let (prefix, digits) = match conversion {
                'o' => ("0", format!("{value:o}")),
                _ => ("0x", format!("{value:x}")),
            };
            let prefix = if specifier.has('#') { prefix } else { "" };
            let zeros = zeros(prefix.len() + digits.len(), specifier);
            format!("{prefix}{zeros}{digits}")
        }
        ('e' | 'f' | 'g', Value::Double(value)) if value.is_finite() => {
            let digits = Digits::of(value.abs());
            let precision = specifier.precision.unwrap_or(6);
            let text = match conversion {
                'e' => digits.scientific(precision),
                'f' => digits.plain(precision),
                _ => digits.general(precision.max(1)),
            };
            signed(value.is_sign_negative(), &text, specifier)
        }
        ('e' | 'f' | 'g', Value::Double(value)) => match value {
            v if v.is_nan() => "NaN".to_owned(),
            v if v > 0.0 && specifier.has('+') => "+Infinity".to_owned(),
            v if v > 0.0 => "Infinity".to_owned(),
            _ if specifier.has('(') => "(Infinity)".to_owned(),
            _ => "-Infinity".to_owned(),
        },
        (conversion, value) => {
            let kind = match value {
                Value::Boolean(_) => "a BOOLEAN",
                Value::Integer(..) => "an integer",
                Value::Single(_) | Value::Double(_) => "a DOUBLE",
                _ => "a STRING or DECIMAL",
            };
            return Err(format!("'%{conversion}' cannot print {kind}"));
        }
    })
}

fn shown(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap_or_default()
}

/// A number without its sign, with sign, groups and zeros as the flags say.
fn signed(negative: bool, number: &str, specifier: &Specifier<'_>) -> String {
    let (before, after) = match negative {
        true if specifier.has('(') => ("(", ")"),
        true => ("-", ""),
        false if specifier.has('+') => ("+", ""),
        false if specifier.has(' ') => (" ", ""),
        false => ("", ""),
    };
    let number = if specifier.has(',') { grouped(number) } else { number.to_owned() };
    let zeros = zeros(before.len() + number.len() + after.len(), specifier);
    format!("{before}{zeros}{number}{after}")
}

fn zeros(length: usize, specifier: &Specifier<'_>) -> String {
    let wanted = if specifier.has('0') { specifier.width } else { 0 };
    "0".repeat(wanted.saturating_sub(length))
}

fn grouped(number: &str) -> String {
    let whole = number.find(['.', 'e']).unwrap_or(number.len());
    let mut out = String::with_capacity(number.len() * 4 / 3);
    for (at, digit) in number[..whole].char_indices() {
        if at > 0 && (whole - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out + &number[whole..]
}

/// The fewest digits that tell a number from its neighbours, which Java rounds
/// half up: `0.digits * 10^exponent`.
struct Digits {
    digits: Vec<u8>,
    exponent: i32,
}

impl Digits {
    fn of(value: f64) -> Self {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').expect("asked for");
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).map(|b| b - b'0').collect();
        let exponent = exponent.parse::<i32>().expect("a number");
        Self { digits, exponent: if value == 0.0 { 1 } else { exponent + 1 } }
    }

    /// Rounded to `count` digits, which may be none.
    fn rounded(&self, count: i32) -> Self {
        let Ok(count) = usize::try_from(count) else {
            return Self { digits: Vec::new(), exponent: self.exponent };
        };
        let mut digits = self.digits.clone();
        let up = digits.get(count).is_some_and(|next| *next >= 5);
        digits.truncate(count);
        if up {
            while digits.last() == Some(&9) {
                digits.pop();
            }
            match digits.last_mut() {
                Some(last) => *last += 1,
                None => return Self { digits: vec![1], exponent: self.exponent + 1 },
            }
        }
        Self { digits, exponent: self.exponent }
    }

    /// The digit of `10^power`.
    fn digit(&self, power: i32) -> char {
        let at = usize::try_from(self.exponent - 1 - power).ok();
        char::from(b'0' + at.and_then(|at| self.digits.get(at)).copied().unwrap_or(0))
    }

    fn plain(&self, precision: usize) -> String {
        let rounded = self.rounded(self.exponent.saturating_add(precision as i32));
        let whole = (0..rounded.exponent.max(1)).rev().map(|power| rounded.digit(power));
        let fraction = (1..=precision as i32).map(|at| rounded.digit(-at));
        let (whole, fraction) = (whole.collect::<String>(), fraction.collect::<String>());
        if fraction.is_empty() { whole } else { format!("{whole}.{fraction}") }
    }

    fn scientific(&self, precision: usize) -> String {
        let rounded = self.rounded(precision as i32 + 1);
        let power = rounded.exponent - 1;
        let first = rounded.digit(power);
        let fraction = (1..=precision as i32).map(|at| rounded.digit(power - at));
        let fraction = fraction.collect::<String>();
        let point = if fraction.is_empty() { "" } else { "." };
        let sign = if power < 0 { '-' } else { '+' };
        format!("{first}{point}{fraction}e{sign}{:02}", power.abs())
    }

    /// Plain from 0.0001 to below 10^precision, which is how many digits it has.
    fn general(&self, precision: usize) -> String {
        let zero = self.digits.iter().all(|digit| *digit == 0);
        let exponent = self.rounded(precision as i32).exponent;
        if zero || (-3..=precision as i32).contains(&exponent) {
            self.plain((precision as i32 - exponent) as usize)
        } else {
            self.scientific(precision - 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: &str, values: &[Value<'_>]) -> Result<String, String> {
        let mut out = String::new();
        write(format, values, &mut out).map(|()| out)
    }

    #[test]
    fn formats_are_javas() {
        use Value::*;
        for (format, value, expected) in [
            ("%d|", Integer(-7, 32), "-7|"),
            ("%5d", Integer(42, 32), "   42"),
            ("%-5d|", Integer(42, 32), "42   |"),
            ("%05d", Integer(-42, 32), "-0042"),
            ("%+,d", Integer(1_234_567, 64), "+1,234,567"),
            ("%(d", Integer(-1, 32), "(1)"),
            ("%x", Integer(-1, 32), "ffffffff"),
            ("%X", Integer(-1, 8), "FF"),
            ("%#o", Integer(8, 32), "010"),
            ("%c", Integer(97, 32), "a"),
            ("%f", Double(2.5), "2.500000"),
            ("%.2f", Double(0.125), "0.13"),
            ("%.1f", Double(0.15), "0.2"),
            ("%.0f", Double(0.5), "1"),
            ("%.3f", Double(0.0), "0.000"),
            ("%.2f", Double(9.999), "10.00"),
            ("%,.2f", Double(1_234_567.891), "1,234,567.89"),
            ("%08.2f", Double(-1.23456), "-0001.23"),
            ("%e", Double(12345.678), "1.234568e+04"),
            ("%.2E", Double(0.0001), "1.00E-04"),
            ("%g", Double(0.0001), "0.000100000"),
            ("%g", Double(1e6), "1.00000e+06"),
            ("%g", Double(123.0), "123.000"),
            ("%f", Double(f64::NAN), "NaN"),
            ("%S", Text("abc"), "ABC"),
            ("%.2s", Text("abc"), "ab"),
            ("%1$s %1$s %<s", Text("a"), "a a a"),
            ("%s %%%n", Null, "null %\n"),
            ("%d", Null, "null"),
            ("%b", Null, "false"),
            ("%b", Text("x"), "true"),
        ] {
            assert_eq!(printed(format, &[value]).as_deref(), Ok(expected), "{format}");
        }
        for (format, value) in [
            ("%d", Double(1.0)),
            ("%d", Text("1")),
            ("%f", Integer(1, 32)),
            ("%q", Null),
            ("%s %s", Null),
            ("%", Null),
            ("%2$s", Null),
        ] {
            assert!(printed(format, &[value]).is_err(), "{format}");
        }
    }
}
