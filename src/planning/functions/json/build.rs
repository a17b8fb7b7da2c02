//! JSON_STRING, JSON_OBJECT, JSON_ARRAY and IS JSON.
//!
//! What JSON_OBJECT and JSON_ARRAY take is JSON already, or NULL for what is to
//! be absent: see [`super::super::syntax`], which puts JSON_STRING around
//! values, and around that `json_or_null` if NULLs are not absent.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, Result, exec_err, plan_err};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF};
use serde::de::IgnoredAny;

use super::super::arguments::Arguments;
use super::super::flink_name;
use super::super::function::{Function, Parameter};
use super::path::Path;
use super::scan;
use super::write::{Fields, Writer, check};
use Parameter::{Any, Text};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![json_string(), or_null(), json_text(), json_object(), json_array(), is_json()]
}

/// Texts that may fail.
fn texts(
    args: &Arguments<'_>,
    mut write: impl FnMut(usize, &mut String) -> Result<Option<()>>,
) -> Result<arrow::array::ArrayRef> {
    let mut fault = Ok(());
    let texts = args.write_texts(|row, out| match write(row, out) {
        Ok(written) => written,
        Err(error) => {
            fault = Err(error);
            None
        }
    });
    fault.map(|()| texts)
}

/// `JSON_STRING(x)`: the value as JSON; NULL stays NULL.
fn json_string() -> Arc<ScalarUDF> {
    Function::new("json_string", &[Any], DataType::Utf8View, |args| {
        let (array, is_constant) = args.raw(0)?;
        let values = Writer::new(&array)?;
        texts(args, |row, out| {
            let row = if is_constant { 0 } else { row };
            if values.is_null(row) {
                return Ok(None);
            }
            values.write(row, out).map(Some)
        })
    })
    .coercing(|types| match &types[0] {
        DataType::Null => Ok(vec![DataType::Utf8View]),
        ty => check(ty).map(|()| vec![ty.clone()]),
    })
    .udf()
}

/// JSON, or `null` for what is NULL.
fn or_null() -> Arc<ScalarUDF> {
    Function::new("json_or_null", &[Text], DataType::Utf8View, |args| {
        let values = args.texts(0)?;
        Ok(args.slice_texts(|row| Some(values.get(row).unwrap_or("null"))))
    })
    .udf()
}

/// `JSON(x)` where it is a value of JSON_OBJECT or JSON_ARRAY: the document,
/// without spaces and with its fields sorted.
fn json_text() -> Arc<ScalarUDF> {
    Function::new("json_text", &[Text], DataType::Utf8View, |args| {
        let documents = args.texts(0)?;
        let root = Path { steps: Vec::new(), lax: false };
        texts(args, |row, out| {
            let Some(document) = documents.get(row) else { return Ok(None) };
            if document.trim().is_empty() {
                return Ok(None);
            }
            let first = first_value(document).and_then(|first| scan::find(first, &root));
            match first.as_deref() {
                Some([value]) => out.push_str(&value.compact()),
                _ => return exec_err!("JSON got a text that is no JSON: {document}"),
            }
            Ok(Some(()))
        })
    })
    .udf()
}

/// `JSON_OBJECT(key, json, …)`.
fn json_object() -> Arc<ScalarUDF> {
    Function::new("json_object", &[Text], DataType::Utf8View, |args| {
        let all = (0..args.len()).map(|at| args.texts(at)).collect::<Result<Vec<_>>>()?;
        texts(args, |row, out| {
            let mut fields = Fields::default();
            for pair in all.chunks_exact(2) {
                if let Some(value) = pair[1].get(row) {
                    fields.set(pair[0].get(row), value.to_owned())?;
                }
            }
            fields.write(out);
            Ok(Some(()))
        })
    })
    .repeating()
    .udf()
}

/// Refuses columns that may be NULL as keys of JSON_OBJECT, as Flink does.
pub(crate) fn check_json_keys(arguments: &[Expr], schema: &DFSchema) -> Result<()> {
    for key in arguments.iter().step_by(2) {
        if let Expr::Column(column) = key
            && key.nullable(schema)?
        {
            let name = column.name();
            return plan_err!(
                "the key `{name}` of JSON_OBJECT may be NULL: declare the column NOT NULL"
            );
        }
    }
    Ok(())
}

/// `JSON_ARRAY(json, …)`.
fn json_array() -> Arc<ScalarUDF> {
    Function::new("json_array", &[Text], DataType::Utf8View, |args| {
        let all = (0..args.len()).map(|at| args.texts(at)).collect::<Result<Vec<_>>>()?;
        Ok(args.write_texts(|row, out| {
            out.push('[');
            for value in all.iter().filter_map(|value| value.get(row)) {
                if out.len() > 1 {
                    out.push(',');
                }
                out.push_str(value);
            }
            out.push(']');
            Some(())
        }))
    })
    .repeating()
    .udf()
}

/// `x IS JSON kind`: whether the text begins with a JSON value of the kind;
/// false for NULL.
fn is_json() -> Arc<ScalarUDF> {
    Function::new("is_json", &[Any, Text], DataType::Boolean, |args| {
        let (texts, kinds) = (args.texts(0)?, args.texts(1)?);
        Ok(args.collect_booleans(|row| {
            let kind = kinds.get(row).unwrap_or("VALUE");
            Some(texts.get(row).is_some_and(|text| begins_with(kind, text)))
        }))
    })
    .coercing(|types| match &types[0] {
        ty if ty.is_string() || ty.is_null() => Ok(vec![DataType::Utf8View; 2]),
        other => plan_err!("IS JSON asks of a STRING, not of {}", flink_name(other)),
    })
    .udf()
}

fn begins_with(kind: &str, text: &str) -> bool {
    let Some(value) = first_value(text) else { return false };
    let first = value.trim_start().bytes().next();
    match kind {
        "OBJECT" => first == Some(b'{'),
        "ARRAY" => first == Some(b'['),
        "SCALAR" => !matches!(first, Some(b'{' | b'[')),
        _ => true,
    }
}

/// The value that the text begins with; what follows is of no matter.
fn first_value(text: &str) -> Option<&str> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let (value, rest) = text.split_at(values.byte_offset());
    let is_number = value.ends_with(|c: char| c.is_ascii_digit());
    let ends = !is_number || rest.is_empty() || rest.starts_with(char::is_whitespace);
    ends.then_some(value)
}
