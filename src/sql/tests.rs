//! Scripts in, statements and messages out.

use super::ast::{Query, Script, StatementKind};
use crate::diagnostics::{Diagnostic, SourceFile, Span};

mod cases;
mod errors;
mod limits;
mod queries;
mod scripts;
mod tables;

fn file(text: &str) -> SourceFile {
    SourceFile { name: "q.sql".into(), text: text.into() }
}

fn env(name: &str) -> Option<String> {
    match name {
        "TOPIC" => Some("it's; here".to_owned()),
        "BROKERS" => Some("b:9092".to_owned()),
        "OUT" => Some("/lake".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Script {
    super::parse(&file(text), &env).unwrap_or_else(|errors| panic!("{}", render(text, &errors)))
}

fn render(text: &str, errors: &[Diagnostic]) -> String {
    errors.iter().map(|e| e.render(&file(text))).collect()
}

/// What is said of a script that does not parse.
fn errors(text: &str) -> String {
    match super::parse(&file(text), &env) {
        Ok(_) => panic!("parsed: {text}"),
        Err(errors) => render(text, &errors),
    }
}

/// The first line of each message.
fn messages(text: &str) -> Vec<String> {
    let errors = super::parse(&file(text), &env).expect_err(text);
    errors.into_iter().map(|e| e.message).collect()
}

fn only(text: &str) -> StatementKind {
    let mut statements = parse(text).statements;
    assert_eq!(statements.len(), 1, "{text}");
    statements.pop().unwrap().kind
}

fn query(text: &str) -> Query {
    match only(text) {
        StatementKind::Query(query) => query,
        other => panic!("{other:?}"),
    }
}

/// A query as sqlparser prints what it read.
fn read(text: &str) -> String {
    query(text).ast.to_string()
}

fn at(text: &str, span: Span) -> &str {
    &text[span.start..span.end]
}
