//! Parts of strings, and where they are.

use std::sync::Arc;

use arrow::datatypes::{DataType, Int32Type};
use datafusion::common::Result;
use datafusion::logical_expr::ScalarUDF;

use super::super::arguments::Arguments;
use super::super::arrays::list_of;
use super::super::function::{Function, Parameter};
use super::{byte_of, length};

use Parameter::{Any, Integer, Text};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let mut all = vec![
        substring(),
        left(),
        right(),
        split_index(),
        split(),
        char_length(),
        position(),
        instr(),
        locate(),
        ascii(),
    ];
    all.extend([
        trim("btrim", true, true),
        trim("ltrim", true, false),
        trim("rtrim", false, true),
    ]);
    all.extend([affix("startswith", true), affix("endswith", false)]);
    all
}

/// `SUBSTRING(s, from[, count])`: from 0 is from 1, a negative start counts
/// from the end, and one before the text's beginning gives ''; a negative count is NULL.
pub(crate) fn substring() -> Arc<ScalarUDF> {
    Function::new("substring", &[Text, Integer, Integer], DataType::Utf8View, |args| {
        let (texts, starts) = (args.texts(0)?, args.integers(1)?);
        let counts = (args.len() > 2).then(|| args.integers(2)).transpose()?;
        Ok(args.slice_texts(|row| {
            let text = texts.get(row)?;
            let count = match &counts {
                Some(counts) => counts.get(row)?,
                None => i64::MAX,
            };
            let start = starts.get(row)?;
            (count >= 0).then(|| cut(text, start, count))
        }))
    })
    .optional(1)
    .alias(&["substr"])
    .udf()
}

fn cut(text: &str, start: i64, count: i64) -> &str {
    let from = match start {
        1.. => start - 1,
        0 => 0,
        _ => length(text) + start,
    };
    if from < 0 || count <= 0 {
        return "";
    }
    let rest = &text[byte_of(text, usize::try_from(from).unwrap_or(usize::MAX))..];
    &rest[..byte_of(rest, usize::try_from(count).unwrap_or(usize::MAX))]
}

fn left() -> Arc<ScalarUDF> {
    Function::new("left", &[Text, Integer], DataType::Utf8View, |args| {
        let (texts, counts) = (args.texts(0)?, args.integers(1)?);
        Ok(args.slice_texts(|row| Some(cut(texts.get(row)?, 1, counts.get(row)?))))
    })
    .udf()
}

fn right() -> Arc<ScalarUDF> {
    Function::new("right", &[Text, Integer], DataType::Utf8View, |args| {
        let (texts, counts) = (args.texts(0)?, args.integers(1)?);
        Ok(args.slice_texts(|row| {
            let (text, count) = (texts.get(row)?, counts.get(row)?);
            Some(cut(text, (length(text) - count).max(0) + 1, count))
        }))
    })
    .udf()
}

/// `SPLIT_INDEX(s, separator, index)`: the index counts from 0; the separator
/// is a string, or a character's code.
fn split_index() -> Arc<ScalarUDF> {
    Function::new("split_index", &[Text, Any, Integer], DataType::Utf8View, |args| {
        let (texts, separators, indexes) =
            (args.texts(0)?, separators(args)?, args.integers(2)?);
        Ok(args.slice_texts(|row| {
            let index = usize::try_from(indexes.get(row)?).ok()?;
            piece(texts.get(row)?, separators.get(row)?, index)
        }))
    })
    .udf()
}

fn separators(args: &Arguments<'_>) -> Result<super::super::arguments::Texts> {
    if !args.values[1].data_type().is_integer() {
        return args.texts(1);
    }
    let codes = args.integers(1)?;
    let texts = args.write_texts(|row, out| {
        let code = u32::try_from(codes.get(row)?).ok()?;
        out.push(char::from_u32(code)?);
        Some(())
    });
    Ok(super::super::arguments::Texts::of_array(&texts))
}

fn piece<'t>(text: &'t str, separator: &str, index: usize) -> Option<&'t str> {
    if text.is_empty() {
        return None;
    }
    if separator.is_empty() {
        return text.split(' ').nth(index);
    }
    text.split(separator).nth(index)
}

/// `SPLIT(s, separator)`: by '' into characters; '' has no pieces.
fn split() -> Arc<ScalarUDF> {
    Function::new("split", &[Text, Text], list_of(&DataType::Utf8View), |args| {
        let (texts, separators) = (args.texts(0)?, args.texts(1)?);
        args.write_lists(|row, out| {
            let (Some(text), Some(separator)) = (texts.get(row), separators.get(row)) else {
                return Ok(None);
            };
            if separator.is_empty() {
                out.extend(text.chars().map(|letter| Some(letter.to_string())));
            } else if !text.is_empty() {
                out.extend(text.split(separator).map(Some));
            }
            Ok(Some(()))
        })
    })
    .udf()
}

fn char_length() -> Arc<ScalarUDF> {
    Function::new("char_length", &[Text], DataType::Int32, |args| {
        let texts = args.texts(0)?;
        Ok(args.collect::<Int32Type>(|row| Some(length(texts.get(row)?) as i32)))
    })
    .alias(&["character_length"])
    .udf()
}

/// Where `part` is in `text`, from 1, searching from character `from`, which
/// counts from 1; 0 if nowhere.
fn find(text: &str, part: &str, from: i64) -> i64 {
    if from < 1 || from > length(text) + 1 {
        return 0;
    }
    let skipped = byte_of(text, from as usize - 1);
    match text[skipped..].find(part) {
        Some(at) => length(&text[..skipped + at]) + 1,
        None => 0,
    }
}

/// `POSITION(part IN text)`; the planner gives the text first.
pub(crate) fn position() -> Arc<ScalarUDF> {
    Function::new("position", &[Text, Text], DataType::Int32, |args| {
        let (texts, parts) = (args.texts(0)?, args.texts(1)?);
        Ok(args
            .collect::<Int32Type>(|row| Some(find(texts.get(row)?, parts.get(row)?, 1) as i32)))
    })
    .udf()
}

/// `INSTR(text, part[, from[, occurrence]])`; a negative `from` searches back
/// from the end.
fn instr() -> Arc<ScalarUDF> {
    Function::new("instr", &[Text, Text, Integer, Integer], DataType::Int32, |args| {
        let (texts, parts) = (args.texts(0)?, args.texts(1)?);
        let given = |at: usize| (args.len() > at).then(|| args.integers(at)).transpose();
        let (starts, occurrences) = (given(2)?, given(3)?);
        Ok(args.collect::<Int32Type>(|row| {
            let (text, part) = (texts.get(row)?, parts.get(row)?);
            let start = starts.as_ref().map_or(Some(1), |s| s.get(row))?;
            let occurrence = occurrences.as_ref().map_or(Some(1), |o| o.get(row))?;
            Some(nth(text, part, start, occurrence) as i32)
        }))
    })
    .optional(2)
    .udf()
}

fn nth(text: &str, part: &str, start: i64, occurrence: i64) -> i64 {
    if occurrence < 1 || start == 0 {
        return 0;
    }
    if start < 0 {
        let end = byte_of(text, usize::try_from(length(text) + start + 1).unwrap_or(0));
        let upto = &text[..(end + part.len()).min(text.len())];
        let found = upto.rmatch_indices(part).nth(occurrence as usize - 1);
        return found.map_or(0, |(at, _)| length(&text[..at]) + 1);
    }
    let mut at = start - 1;
    for _ in 0..occurrence {
        at = find(text, part, at + 1);
        if at == 0 {
            return 0;
        }
    }
    at
}

/// `LOCATE(part, text[, from])`.
fn locate() -> Arc<ScalarUDF> {
    Function::new("locate", &[Text, Text, Integer], DataType::Int32, |args| {
        let (parts, texts) = (args.texts(0)?, args.texts(1)?);
        let starts = (args.len() > 2).then(|| args.integers(2)).transpose()?;
        Ok(args.collect::<Int32Type>(|row| {
            let start = starts.as_ref().map_or(Some(1), |s| s.get(row))?;
            Some(find(texts.get(row)?, parts.get(row)?, start) as i32)
        }))
    })
    .optional(1)
    .udf()
}

/// The first byte's value; 0 for ''.
fn ascii() -> Arc<ScalarUDF> {
    Function::new("ascii", &[Text], DataType::Int32, |args| {
        let texts = args.texts(0)?;
        Ok(args.collect::<Int32Type>(|row| {
            let first = texts.get(row)?.bytes().next().unwrap_or(0);
            Some(i32::from(first as i8))
        }))
    })
    .udf()
}

/// Cuts every character of a set, a space if none is given, off the ends.
fn trim(name: &'static str, start: bool, end: bool) -> Arc<ScalarUDF> {
    let function = Function::new(name, &[Text, Text], DataType::Utf8View, move |args| {
        let texts = args.texts(0)?;
        let sets = args.texts_if_given(1)?;
        Ok(args.slice_texts(|row| {
            let set = sets.as_ref().map_or(Some(" "), |s| s.get(row))?;
            let mut text = texts.get(row)?;
            if start {
                text = text.trim_start_matches(|c| set.contains(c));
            }
            if end {
                text = text.trim_end_matches(|c| set.contains(c));
            }
            Some(text)
        }))
    });
    let function = function.optional(1);
    if start && end { function.alias(&["trim"]).udf() } else { function.udf() }
}

fn affix(name: &'static str, start: bool) -> Arc<ScalarUDF> {
    Function::new(name, &[Text, Text], DataType::Boolean, move |args| {
        let (texts, parts) = (args.texts(0)?, args.texts(1)?);
        Ok(args.collect_booleans(|row| {
            let (text, part) = (texts.get(row)?, parts.get(row)?);
            Some(if start { text.starts_with(part) } else { text.ends_with(part) })
        }))
    })
    .udf()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn substrings_are_flinks() {
        for (start, count, expected) in [
            (1, 2, "hé"),
            (0, 2, "hé"),
            (2, 3, "éll"),
            (-2, 9, "lo"),
            (-9, 9, ""),
            (6, 1, ""),
            (2, 0, ""),
            (2, i64::MAX, "éllo"),
        ] {
            assert_eq!(cut("héllo", start, count), expected, "{start} {count}");
        }
    }

    #[test]
    fn places_count_characters_from_one() {
        assert_eq!(find("héllo", "l", 1), 3);
        assert_eq!(find("héllo", "l", 4), 4);
        assert_eq!(find("héllo", "x", 1), 0);
        assert_eq!(find("héllo", "", 1), 1);
        assert_eq!(nth("aXbXcX", "X", 1, 2), 4);
        assert_eq!(nth("aXbXcX", "X", -1, 2), 4);
    }

    #[test]
    fn pieces_count_from_zero() {
        assert_eq!(piece("a/b//c", "/", 2), Some(""));
        assert_eq!(piece("a/b//c", "/", 3), Some("c"));
        assert_eq!(piece("a/b//c", "/", 4), None);
        assert_eq!(piece("", "/", 0), None);
    }
}
