//! Strings made from others.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::Result;
use datafusion::logical_expr::ScalarUDF;

use super::super::function::{Function, Parameter};
use super::{byte_of, length};

use Parameter::{Integer, Text};

/// More than this is no string anybody wants; Java fails on it too.
const MAX_BYTES: usize = i32::MAX as usize;

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![
        upper(),
        lower(),
        initcap(),
        reverse(),
        concat(),
        concat_ws(),
        pad("lpad", true),
        pad("rpad", false),
        repeat(),
        replace(),
        translate(),
        overlay(),
        chr(),
        elt(),
        uuid(),
    ]
}

/// A string made from one string.
fn mapped(
    name: &'static str,
    map: impl Fn(&str, &mut String) + Send + Sync + 'static,
) -> Arc<ScalarUDF> {
    Function::new(name, &[Text], DataType::Utf8View, move |args| {
        let texts = args.texts(0)?;
        Ok(args.write_texts(|row, out| {
            map(texts.get(row)?, out);
            Some(())
        }))
    })
    .udf()
}

fn upper() -> Arc<ScalarUDF> {
    mapped("upper", |text, out| {
        if text.is_ascii() {
            out.push_str(text);
            out.make_ascii_uppercase();
        } else {
            out.push_str(&text.to_uppercase());
        }
    })
}

fn lower() -> Arc<ScalarUDF> {
    mapped("lower", |text, out| {
        if text.is_ascii() {
            out.push_str(text);
            out.make_ascii_lowercase();
        } else {
            out.push_str(&text.to_lowercase());
        }
    })
}

/// Letters of ASCII alone, as in Flink.
fn initcap() -> Arc<ScalarUDF> {
    mapped("initcap", |text, out| {
        let mut first = true;
        for letter in text.chars() {
            out.push(if first {
                letter.to_ascii_uppercase()
            } else {
                letter.to_ascii_lowercase()
            });
            first = !letter.is_ascii_alphanumeric();
        }
    })
}

fn reverse() -> Arc<ScalarUDF> {
    mapped("reverse", |text, out| out.extend(text.chars().rev()))
}

/// NULL if any argument is.
fn concat() -> Arc<ScalarUDF> {
    Function::new("concat", &[Text], DataType::Utf8View, |args| {
        let parts = (0..args.len()).map(|at| args.texts(at)).collect::<Result<Vec<_>>>()?;
        Ok(args.write_texts(|row, out| {
            for part in &parts {
                out.push_str(part.get(row)?);
            }
            Some(())
        }))
    })
    .repeating()
    .udf()
}

/// Leaves out what is NULL; a NULL separator makes NULL.
fn concat_ws() -> Arc<ScalarUDF> {
    Function::new("concat_ws", &[Text, Text], DataType::Utf8View, |args| {
        let parts = (0..args.len()).map(|at| args.texts(at)).collect::<Result<Vec<_>>>()?;
        let (separators, parts) = parts.split_first().expect("a separator is asked for");
        Ok(args.write_texts(|row, out| {
            let separator = separators.get(row)?;
            let mut first = true;
            for part in parts.iter().filter_map(|part| part.get(row)) {
                if !first {
                    out.push_str(separator);
                }
                out.push_str(part);
                first = false;
            }
            Some(())
        }))
    })
    .repeating()
    .udf()
}

/// `LPAD(s, length, pad)`: a longer text is cut at its end; an empty pad that
/// is needed makes NULL.
fn pad(name: &'static str, before: bool) -> Arc<ScalarUDF> {
    Function::new(name, &[Text, Integer, Text], DataType::Utf8View, move |args| {
        let (texts, lengths, pads) = (args.texts(0)?, args.integers(1)?, args.texts(2)?);
        Ok(args.write_texts(|row, out| {
            let (text, pad) = (texts.get(row)?, pads.get(row)?);
            let wanted = usize::try_from(lengths.get(row)?).ok()?;
            let missing = wanted.saturating_sub(length(text) as usize);
            if missing == 0 {
                out.push_str(&text[..byte_of(text, wanted)]);
                return Some(());
            }
            if pad.is_empty() || missing > MAX_BYTES {
                return None;
            }
            let padding = pad.chars().cycle().take(missing);
            if before {
                out.extend(padding);
                out.push_str(text);
            } else {
                out.push_str(text);
                out.extend(padding);
            }
            Some(())
        }))
    })
    .udf()
}

fn repeat() -> Arc<ScalarUDF> {
    Function::new("repeat", &[Text, Integer], DataType::Utf8View, |args| {
        let (texts, counts) = (args.texts(0)?, args.integers(1)?);
        Ok(args.write_texts(|row, out| {
            let text = texts.get(row)?;
            let count = usize::try_from(counts.get(row)?.max(0)).ok()?;
            if text.len().checked_mul(count)? > MAX_BYTES {
                return None;
            }
            for _ in 0..count {
                out.push_str(text);
            }
            Some(())
        }))
    })
    .udf()
}

fn replace() -> Arc<ScalarUDF> {
    Function::new("replace", &[Text, Text, Text], DataType::Utf8View, |args| {
        let (texts, from, to) = (args.texts(0)?, args.texts(1)?, args.texts(2)?);
        Ok(args.write_texts(|row, out| {
            let (text, from, to) = (texts.get(row)?, from.get(row)?, to.get(row)?);
            let mut rest = 0;
            for (at, part) in text.match_indices(from) {
                out.push_str(&text[rest..at]);
                out.push_str(to);
                rest = at + part.len();
            }
            out.push_str(&text[rest..]);
            Some(())
        }))
    })
    .udf()
}

/// `TRANSLATE(s, from, to)`: each character of `from` becomes the one at its
/// place in `to`, or nothing where `to` is shorter.
fn translate() -> Arc<ScalarUDF> {
    Function::new("translate", &[Text, Text, Text], DataType::Utf8View, |args| {
        let (texts, from, to) = (args.texts(0)?, args.texts(1)?, args.texts(2)?);
        Ok(args.write_texts(|row, out| {
            let (text, from, to) = (texts.get(row)?, from.get(row)?, to.get(row)?);
            for letter in text.chars() {
                match from.chars().position(|f| f == letter) {
                    None => out.push(letter),
                    Some(at) => out.extend(to.chars().nth(at)),
                }
            }
            Some(())
        }))
    })
    .alias(&["translate3"])
    .udf()
}

/// `OVERLAY(s PLACING r FROM start [FOR count])`; a start outside the text
/// changes nothing.
pub(crate) fn overlay() -> Arc<ScalarUDF> {
    Function::new("overlay", &[Text, Text, Integer, Integer], DataType::Utf8View, |args| {
        let (texts, parts, starts) = (args.texts(0)?, args.texts(1)?, args.integers(2)?);
        let counts = (args.len() > 3).then(|| args.integers(3)).transpose()?;
        Ok(args.write_texts(|row, out| {
            let (text, part, start) = (texts.get(row)?, parts.get(row)?, starts.get(row)?);
            let count = match &counts {
                Some(counts) => counts.get(row)?,
                None => length(part),
            };
            let whole = length(text);
            if start <= 0 || start > whole {
                out.push_str(text);
                return Some(());
            }
            out.push_str(&text[..byte_of(text, start as usize - 1)]);
            out.push_str(part);
            if count > 0 && start.checked_add(count)? <= whole {
                out.push_str(&text[byte_of(text, (start - 1 + count) as usize)..]);
            }
            Some(())
        }))
    })
    .optional(1)
    .udf()
}

/// The character of the number's lowest byte.
fn chr() -> Arc<ScalarUDF> {
    Function::new("chr", &[Integer], DataType::Utf8View, |args| {
        let codes = args.integers(0)?;
        Ok(args.write_texts(|row, out| {
            let code = codes.get(row)?;
            if code >= 0 {
                out.push(char::from(code as u8));
            }
            Some(())
        }))
    })
    .udf()
}

/// `ELT(n, a, b, …)`: the n-th, from 1.
fn elt() -> Arc<ScalarUDF> {
    Function::new("elt", &[Integer, Text], DataType::Utf8View, |args| {
        let indexes = args.integers(0)?;
        let texts = (1..args.len()).map(|at| args.texts(at)).collect::<Result<Vec<_>>>()?;
        Ok(args.slice_texts(|row| {
            let index = usize::try_from(indexes.get(row)?).ok()?.checked_sub(1)?;
            texts.get(index)?.get(row)
        }))
    })
    .repeating()
    .udf()
}

fn uuid() -> Arc<ScalarUDF> {
    Function::new("uuid", &[], DataType::Utf8View, |args| {
        Ok(args.write_texts(|_, out| {
            let text = uuid::Uuid::new_v4();
            out.push_str(text.hyphenated().encode_lower(&mut uuid::Uuid::encode_buffer()));
            Some(())
        }))
    })
    .volatile()
    .udf()
}
