//! DataFusion's errors as diagnostics with a place in the script.

use datafusion::common::{Column, DataFusionError, SchemaError, Span as DfSpan};
use datafusion::sql::sqlparser::ast::Spanned;
use datafusion::sql::sqlparser::tokenizer::{Location, Span as SqlSpan};

use super::{functions, words};
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

/// The diagnostic of `error`, without a place if `error` has none.
pub fn diagnostic(error: &DataFusionError, script: &Script) -> Diagnostic {
    let told = error.diagnostic();
    let span = told.and_then(|d| d.span).and_then(|s| script.span(sql_span(s)));
    let diagnostic = without_place(error, span, script);
    match span {
        Some(span) => diagnostic.at(span),
        None => diagnostic,
    }
}

fn without_place(error: &DataFusionError, span: Option<Span>, script: &Script) -> Diagnostic {
    let told = error.diagnostic();
    let root = error.find_root();
    if let DataFusionError::SchemaError(schema_error, _) = root {
        match schema_error.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                return unknown_column(field, valid_fields);
            }
            SchemaError::AmbiguousReference { field } => {
                let message = format!("several tables here have a column `{}`", field.name);
                let hint = format!("say whose it is: t.{}", field.name);
                return Diagnostic::error(message).hint(hint);
            }
            _ => {}
        }
    }
    if let Some(name) = told.and_then(|d| unknown_function(&d.message)) {
        return functions::unknown(span.map_or(name, |span| spelled(name, span, script)));
    }
    let root = plain_message(root);
    if let Some((message, hint)) = words::plain(&root) {
        let diagnostic = Diagnostic::error(message);
        return if hint.is_empty() { diagnostic } else { diagnostic.hint(hint) };
    }
    let Some(told) = told.filter(|told| !told.message.is_empty()) else {
        return Diagnostic::error(root);
    };
    let message = words::with_flink_types(&told.message);
    let mut diagnostic = Diagnostic::error(message.clone());
    let helps = told.helps.iter().map(|h| &h.message);
    for help in helps.chain(told.notes.iter().map(|n| &n.message)) {
        diagnostic = diagnostic.hint(words::with_flink_types(help));
    }
    if !root.contains(&message) && !message.contains(&root) {
        diagnostic = diagnostic.hint(root);
    }
    diagnostic
}

fn unknown_column(field: &Column, known: &[Column]) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("unknown column `{}`", field.flat_name()));
    let names = || known.iter().map(|c| c.name.as_str());
    match closest(&field.name, names()) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None if known.is_empty() => diagnostic,
        None => {
            let mut names: Vec<&str> = names().collect();
            names.dedup();
            diagnostic.hint(format!("the columns are {}", names.join(", ")))
        }
    }
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

/// The words without DataFusion's own prefixes, types by Flink's names.
pub fn plain_message(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let mut text = text.as_str();
    while let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    words::with_flink_types(text)
        .replace("failed with: Error during planning: ", "failed with: ")
}

/// What DataFusion puts before a message to say where in itself it arose.
const PREFIXES: &[&str] = &[
    "Arrow error: ",
    "Error during planning: ",
    "Execution error: ",
    "Internal error: ",
    "Invalid argument error: ",
    "Schema error: ",
    "This feature is not implemented: ",
    "type_coercion\ncaused by\n",
];
