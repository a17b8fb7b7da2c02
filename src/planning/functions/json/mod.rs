//! JSON_VALUE, JSON_QUERY and JSON_EXISTS over a string.
//!
//! A path is `$` with `.name`, `['name']`, `[0]`, `[*]` and `.*` behind it, and
//! perhaps `lax` or `strict` before it. The order of an object's fields is
//! kept; what is left of a document is written without spaces, as Jackson does.
//!
//! The clauses come as further arguments, each a literal or NULL:
//! `(js, path, on empty, default on empty, on error, default on error)`, where
//! a behaviour is `NULL`, `ERROR`, `DEFAULT`, `EMPTY ARRAY`, `EMPTY OBJECT`,
//! `TRUE`, `FALSE` or `UNKNOWN`. See [`super::syntax`].

mod path;
mod scan;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::Session;
use super::arguments::{Arguments, Texts};
use super::function::{Function, Parameter};
use Parameter::Text;
use path::Path;
use scan::Found;

pub(super) fn all(_: &Session) -> Vec<Arc<ScalarUDF>> {
    vec![json_value(), json_query(), json_exists(), json_quote()]
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

/// What a row gives.
enum Outcome {
    Null,
    Text(String),
    Miss(Miss),
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
    pick: impl Fn(&[Found<'_>], &Path) -> Outcome,
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
        let outcome = match scan::find(document, path) {
            None => Outcome::Miss(Miss::Error),
            Some(found) => pick(&found, path),
        };
        let miss = match outcome {
            Outcome::Null => return None,
            Outcome::Text(text) => {
                out.push_str(&text);
                return Some(());
            }
            Outcome::Miss(miss) => miss,
        };
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
            [] => Outcome::Miss(Miss::Empty),
            [Found::Null] => Outcome::Null,
            [value] if !path.is_many() => match value.scalar() {
                Some(text) => Outcome::Text(text),
                None => Outcome::Miss(Miss::Error),
            },
            _ => Outcome::Miss(Miss::Error),
        })
    })
    .optional(4)
    .udf()
}

/// `JSON_QUERY(js, path[, …, wrapper])`: an object or array, as JSON. A wrapper
/// (`UNCONDITIONAL`, `CONDITIONAL`) makes an array of anything.
fn json_query() -> Arc<ScalarUDF> {
    Function::new("json_query", &[Text; 7], DataType::Utf8View, |args| {
        let wrapper = args.texts_if_given(6)?;
        let wrapper = wrapper.as_ref().and_then(|w| w.get(0)).unwrap_or("WITHOUT").to_owned();
        found(args, |found, path| {
            let single = match found {
                [] if !path.is_many() => return Outcome::Miss(Miss::Empty),
                [value] if !path.is_many() => Some(value),
                _ => None,
            };
            let compact = |value: &Found<'_>| value.compact();
            match (single, wrapper.as_str()) {
                (Some(Found::Null), "WITHOUT") => Outcome::Null,
                (Some(value), "WITHOUT") if value.is_scalar() => Outcome::Miss(Miss::Error),
                (Some(value), "WITHOUT") => Outcome::Text(value.compact()),
                (Some(value), "CONDITIONAL") if !value.is_scalar() => {
                    Outcome::Text(value.compact())
                }
                _ => {
                    let all = found.iter().map(compact).collect::<Vec<_>>().join(",");
                    Outcome::Text(format!("[{all}]"))
                }
            }
        })
    })
    .optional(5)
    .udf()
}

/// `JSON_EXISTS(js, path[, on error])`.
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
            all.push(match (scan::find(document, path), behaviour) {
                (Some(found), _) => Some(!found.is_empty()),
                (None, "TRUE") => Some(true),
                (None, "UNKNOWN") => None,
                (None, "ERROR") => {
                    return exec_err!("'{document}' is no JSON (ERROR ON ERROR)");
                }
                (None, _) => Some(false),
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
            out.push_str(&scan::quoted(texts.get(row)?));
            Some(())
        }))
    })
    .udf()
}
