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
    let message = match told {
        Some(told) if !told.message.is_empty() => told.message.clone(),
        _ => plain_message(root),
    };
    if let Some(name) = message.strip_prefix("Invalid function '") {
        let name = name.trim_end_matches('\'').to_uppercase();
        let known = functions::names();
        let message = format!("unknown function `{name}`");
        let known = known.iter().map(String::as_str);
        return Diagnostic::error(message).at(span).did_you_mean(&name, known);
    }
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
