//! A function written in SQL: `(s STRING, n INT) RETURNS STRING AS expression`.

use datafusion::sql::sqlparser::ast as sql;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::Cursor;
use super::data_types::parse_type;
use super::lexer::lex;
use super::query::parse_expr;
use crate::diagnostics::{Diagnostic, Span};

/// A function whose calls stand for an expression.
#[derive(Debug, Clone)]
pub struct SqlFunction {
    /// Names and types, as Flink writes them.
    pub parameters: Vec<(String, String)>,
    pub returns: String,
    pub body: sql::Expr,
}

/// Reads a function's text.
///
/// # Errors
/// What is wrong, its place counted from the text's start.
pub fn parse_sql_function(text: &str) -> Result<SqlFunction, Diagnostic> {
    let lexed = lex(text, &|_| None);
    if let Some(diagnostic) = lexed.diagnostics.into_iter().next() {
        return Err(diagnostic);
    }
    let mut cursor = Cursor::new(&lexed.toks);
    cursor.expect(&Token::LParen)?;
    let mut parameters = Vec::new();
    while !cursor.take(&Token::RParen) {
        if !parameters.is_empty() {
            cursor.expect(&Token::Comma)?;
        }
        let name = cursor.identifier("a parameter's name")?;
        parameters.push((name.value, parse_type(&mut cursor)?.to_string()));
    }
    cursor.expect_words(&["RETURNS"])?;
    let returns = parse_type(&mut cursor)?.to_string();
    cursor.expect_words(&["AS"])?;
    let body = parse_expr(cursor.rest(), cursor.last_span()).map_err(first)?;
    Ok(SqlFunction { parameters, returns, body: body.ast })
}

fn first(diagnostics: Vec<Diagnostic>) -> Diagnostic {
    let none = || Diagnostic::error("no expression").at(Span::default());
    diagnostics.into_iter().next().unwrap_or_else(none)
}
