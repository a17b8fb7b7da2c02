//! Scripts in, statements and messages out.

use datafusion::sql::sqlparser::ast as sql;

use super::ast::*;
use crate::diagnostics::{Diagnostic, SourceFile};

mod cases;

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

fn errors(text: &str) -> String {
    match super::parse(&file(text), &env) {
        Ok(_) => panic!("parsed: {text}"),
        Err(errors) => render(text, &errors),
    }
}

fn query(text: &str) -> Query {
    match parse(text).statements.pop().unwrap().kind {
        StatementKind::Query(query) => query,
        other => panic!("{other:?}"),
    }
}
