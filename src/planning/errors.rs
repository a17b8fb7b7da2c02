//! DataFusion's errors as diagnostics with a place in the script.

use datafusion::common::{DataFusionError, SchemaError, Span as DfSpan};
use datafusion::sql::sqlparser::ast::Spanned;
use datafusion::sql::sqlparser::tokenizer::{Location, Span as SqlSpan};

use super::functions;
use crate::diagnostics::{Diagnostic, Span, closest};
use crate::sql::ast::Script;

/// What is wrong with an expression as the author wrote it.
#[derive(Debug)]
pub struct Misuse {
    message: String,
    span: SqlSpan,
}

impl Misuse {
    pub fn new(message: String, expr: &impl Spanned) -> Self {
        Self { message, span: expr.span() }
    }

    /// At its place, or at `fallback` if nothing of it stands in the script.
    pub fn diagnostic(self, script: &Script, fallback: Span) -> Diagnostic {
        Diagnostic::error(self.message).at(script.span(self.span).unwrap_or(fallback))
    }
}

/// The diagnostic of `error`; `fallback` is the place of the query.
pub fn diagnostic(error: &DataFusionError, script: &Script, fallback: Span) -> Diagnostic {
    let place = |span: Option<DfSpan>| span.and_then(|s| script.span(sql_span(s)));
    let told = error.diagnostic();
    let span = told.and_then(|d| place(d.span)).unwrap_or(fallback);
    let root = error.find_root();
    if let DataFusionError::SchemaError(schema_error, _) = root
        && let SchemaError::FieldNotFound { field, valid_fields } = schema_error.as_ref()
    {
        let names: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
        let diagnostic =
            Diagnostic::error(format!("unknown column `{}`", field.flat_name())).at(span);
        let mut known: Vec<&str> = names.clone();
        known.dedup();
        return match closest(&field.name, names) {
            Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
            None => diagnostic.hint(format!("the columns are {}", known.join(", "))),
        };
    }
    if let Some(name) = told.and_then(|d| unknown_function(&d.message)) {
        return functions::unknown(spelled(name, span, script)).at(span);
    }
    let message = match told {
        Some(told) if !told.message.is_empty() => told.message.clone(),
        _ => plain_message(root),
    };
    let mut diagnostic = Diagnostic::error(message.clone()).at(span);
    if let Some(told) = told {
        for help in
            told.helps.iter().map(|h| &h.message).chain(told.notes.iter().map(|n| &n.message))
        {
            diagnostic = diagnostic.hint(help.clone());
        }
        let root = plain_message(root);
        if !root.contains(&message) && !message.contains(&root) {
            diagnostic = diagnostic.hint(root);
        }
    }
    diagnostic
}

/// The function that the planner did not find.
fn unknown_function(message: &str) -> Option<&str> {
    message.strip_prefix("Invalid function '")?.strip_suffix('\'')
}

/// `name` as it stands at `span`: the planner has put it in small letters.
fn spelled<'s>(name: &'s str, span: Span, script: &'s Script) -> &'s str {
    let written = script.file.text.get(span.start..span.end);
    written.filter(|written| written.eq_ignore_ascii_case(name)).unwrap_or(name)
}

fn sql_span(span: DfSpan) -> SqlSpan {
    SqlSpan {
        start: Location { line: span.start.line, column: span.start.column },
        end: Location { line: span.end.line, column: span.end.column },
    }
}

/// The words without DataFusion's own prefix.
pub fn plain_message(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    for prefix in ["Error during planning: ", "Schema error: ", "type_coercion\ncaused by\n"] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return rest.to_owned();
        }
    }
    text
}
