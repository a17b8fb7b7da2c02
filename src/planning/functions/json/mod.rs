//! JSON_VALUE, JSON_QUERY and JSON_EXISTS over a string; [`build`] makes JSON.
//!
//! A path is `$` with `.name`, `['name']`, `[0]`, `[*]` and `.*` behind it, and
//! perhaps `lax` or `strict` before it; `strict` unless it is said. Strictly,
//! whatever cannot be used is an error: no JSON, nothing there, null, the wrong
//! kind of value. In `lax` mode all of it is empty. What is left of a document
//! is written without spaces, fields sorted by name, numbers with their digits.
//!
//! The clauses come as further arguments, each a literal or NULL:
//! `(js, path, on empty, default on empty, on error, default on error)`, where
//! a behaviour is `NULL`, `ERROR`, `DEFAULT`, `EMPTY ARRAY`, `EMPTY OBJECT`,
//! `TRUE`, `FALSE` or `UNKNOWN`. See [`super::syntax`].

mod build;
mod path;
mod scan;
mod write;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::Session;
use super::arguments::{Arguments, Texts};
use super::function::{Function, Parameter};
use Parameter::Text;
pub(crate) use build::check_json_keys;
use path::Path;
use scan::Found;
pub(super) use write::Fields;

pub(super) fn all(_: &Session) -> Vec<Arc<ScalarUDF>> {
    let mut all = vec![json_value(), json_query(), json_exists(), json_quote(), json_unquote()];
    all.extend(build::all());
    all
}

/// Paths by their text: one that is the same for all rows is parsed once.
struct Paths {
    texts: Texts,
    last: Option<(String, Path)>,
}

impl Paths {
    fn get(&mut self, row: usize) -> Result<Option<&Path>> {
        let Some(text) = self.texts.get(row) else { return Ok(None) };
        if self.last.as_ref().is_none_or(|(last, _)| last != text) {
            match Path::parse(text) {
                Ok(path) => self.last = Some((text.to_owned(), path)),
                Err(message) => return exec_err!("{message}"),
            }
        }
        Ok(self.last.as_ref().map(|(_, path)| path))
    }
}

/// Why there is no value.
#[derive(Clone, Copy)]
enum Miss {
    Empty,
    Error,
}

/// What happens on empty and on error.
struct Clauses {
    empty: (Option<Texts>, Option<Texts>),
    error: (Option<Texts>, Option<Texts>),
}

impl Clauses {
    fn of(args: &Arguments<'_>) -> Result<Self> {
        Ok(Self {
            empty: (args.texts_if_given(2)?, args.texts_if_given(3)?),
            error: (args.texts_if_given(4)?, args.texts_if_given(5)?),
        })
    }

    fn text(&self, miss: Miss, row: usize) -> Result<Option<&str>> {
        let (behaviour, default) = match miss {
            Miss::Empty => &self.empty,
            Miss::Error => &self.error,
        };
        let behaviour = behaviour.as_ref().and_then(|b| b.get(row)).unwrap_or("NULL");
        Ok(match behaviour {
            "EMPTY ARRAY" => Some("[]"),
            "EMPTY OBJECT" => Some("{}"),
            "DEFAULT" => default.as_ref().and_then(|d| d.get(row)),
            "ERROR" => {
                return match miss {
                    Miss::Empty => exec_err!("the JSON path leads nowhere (ERROR ON EMPTY)"),
                    Miss::Error => exec_err!("the JSON value cannot be used (ERROR ON ERROR)"),
                };
            }
            _ => None,
        })
    }
}

/// A column of strings found in documents by paths.
fn found(
    args: &Arguments<'_>,
    pick: impl Fn(&[Found<'_>], &Path) -> Option<String>,
) -> Result<ArrayRef> {
    let documents = args.texts(0)?;
    let mut paths = Paths { texts: args.texts(1)?, last: None };
    let clauses = Clauses::of(args)?;
    let mut fault = None;
    let texts = args.write_texts(|row, out| {
        let document = documents.get(row)?;
        let path = match paths.get(row) {
            Ok(path) => path?,
            Err(error) => {
                fault = Some(error);
                return None;
            }
        };
        let picked = scan::find(document, path).and_then(|found| pick(&found, path));
        if let Some(text) = picked {
            out.push_str(&text);
            return Some(());
        }
        let miss = if path.lax { Miss::Empty } else { Miss::Error };
        match clauses.text(miss, row) {
            Ok(text) => {
                out.push_str(text?);
                Some(())
            }
            Err(error) => {
                fault = Some(error);
                None
            }
        }
    });
    fault.map_or(Ok(texts), Err)
}

/// `JSON_VALUE(js, path)`: a scalar, as text.
fn json_value() -> Arc<ScalarUDF> {
    Function::new("json_value", &[Text; 6], DataType::Utf8View, |args| {
        found(args, |found, path| match found {
            [value] if !path.is_many() => value.scalar(),
            _ => None,
        })
    })
    .optional(4)
    .udf()
}

/// `JSON_QUERY(js, path[, …, wrapper])`: an object or array, as JSON; a path to
/// many values gives the array of them. A wrapper (`UNCONDITIONAL`,
/// `CONDITIONAL`) makes an array of anything.
fn json_query() -> Arc<ScalarUDF> {
    Function::new("json_query", &[Text; 7], DataType::Utf8View, |args| {
        let wrapper = args.texts_if_given(6)?;
        let wrapper = wrapper.as_ref().and_then(|w| w.get(0)).unwrap_or("WITHOUT").to_owned();
        found(args, |found, path| {
            let (is_scalar, text) = if path.is_many() {
                let all = found.iter().map(Found::compact).collect::<Vec<_>>();
                if all.is_empty() {
                    return None;
                }
                (false, format!("[{}]", all.join(",")))
            } else {
                let value = found.first().filter(|value| **value != Found::Null)?;
                (value.is_scalar(), value.compact())
            };
            match wrapper.as_str() {
                "UNCONDITIONAL" => Some(format!("[{text}]")),
                "CONDITIONAL" if is_scalar => Some(format!("[{text}]")),
                _ => (!is_scalar).then_some(text),
            }
        })
    })
    .optional(5)
    .udf()
}

/// `JSON_EXISTS(js, path[, on error])`: what is there and not null. Without
/// `lax`, a path that leads nowhere is an error, and an error is FALSE unless
/// it is said otherwise.
fn json_exists() -> Arc<ScalarUDF> {
    Function::new("json_exists", &[Text; 3], DataType::Boolean, |args| {
        let documents = args.texts(0)?;
        let mut paths = Paths { texts: args.texts(1)?, last: None };
        let on_error = args.texts_if_given(2)?;
        let mut all = Vec::with_capacity(args.rows);
        for row in 0..args.rows {
            let (Some(document), Some(path)) = (documents.get(row), paths.get(row)?) else {
                all.push(None);
                continue;
            };
            let behaviour = on_error.as_ref().and_then(|b| b.get(row)).unwrap_or("FALSE");
            let found = scan::find(document, path);
            let is_error = found.as_ref().is_none_or(Vec::is_empty) && !path.lax;
            all.push(match behaviour {
                _ if !is_error => {
                    Some(found.is_some_and(|found| found.iter().any(|v| *v != Found::Null)))
                }
                "TRUE" => Some(true),
                "UNKNOWN" => None,
                "ERROR" => {
                    return exec_err!("the JSON path leads nowhere (ERROR ON ERROR)");
                }
                _ => Some(false),
            });
        }
        Ok(args.collect_booleans(|row| all[row]))
    })
    .optional(1)
    .udf()
}

/// `JSON_QUOTE(s)`: a string as a JSON string.
fn json_quote() -> Arc<ScalarUDF> {
    Function::new("json_quote", &[Text], DataType::Utf8View, |args| {
        let texts = args.texts(0)?;
        Ok(args.write_texts(|row, out| {
            quote(texts.get(row)?, out);
            Some(())
        }))
    })
    .udf()
}

/// Escapes `/` too, and whatever is not ASCII.
fn quote(text: &str, out: &mut String) {
    for letter in scan::quoted(text).chars() {
        match letter {
            '/' => out.push_str("\\/"),
            letter if letter.is_ascii() => out.push(letter),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
}

/// `JSON_UNQUOTE(s)`: a JSON string's text; anything else as it is.
fn json_unquote() -> Arc<ScalarUDF> {
    Function::new("json_unquote", &[Text], DataType::Utf8View, |args| {
        let texts = args.texts(0)?;
        Ok(args.write_texts(|row, out| {
            let text = texts.get(row)?;
            match serde_json::from_str::<String>(text) {
                Ok(unquoted) => out.push_str(&unquoted),
                Err(_) => out.push_str(text),
            }
            Some(())
        }))
    })
    .udf()
}
