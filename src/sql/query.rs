//! Queries and expressions: Flink's tokens rewritten, sqlparser's errors placed.

use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::ast::{Expr, Query};
use super::cursor::describe;
use super::dialect::FlinkDialect;
use super::lexer::{Tok, lower_first};
use super::{rewrite, strict};
use crate::diagnostics::{Diagnostic, Span, closest};

/// Words that are misspelt into aliases: `SELECT a FORM t`.
const CLAUSES: &[&str] = &[
    "FROM",
    "WHERE",
    "GROUP",
    "ORDER",
    "HAVING",
    "UNION",
    "JOIN",
    "LIMIT",
    "BETWEEN",
    "SELECT",
    "INNER",
    "LEFT",
    "DISTINCT",
    "INTERVAL",
    "EXCEPT",
    "INTERSECT",
    "WINDOW",
    "AND",
];

/// Parses `toks`, all of them, as a query.
pub(super) fn parse_query(toks: &[Tok], place: Span) -> Result<Query, Vec<Diagnostic>> {
    let ast = parse(toks, "statement", place, |p| p.parse_query())?;
    let diagnostics = strict::check_query(&ast, toks);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    Ok(Query { span: extent(toks, place), ast })
}

/// Parses `toks`, all of them, as an expression.
pub(super) fn parse_expr(toks: &[Tok], place: Span) -> Result<Expr, Vec<Diagnostic>> {
    let ast = parse(toks, "expression", place, |p| p.parse_expr())?;
    let diagnostics = strict::check_expr(&ast, toks);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    Ok(Expr { span: extent(toks, place), ast })
}

/// From the first token to the last one.
pub(super) fn extent(toks: &[Tok], place: Span) -> Span {
    match (toks.first(), toks.last()) {
        (Some(first), Some(last)) => first.span.to(last.span),
        _ => place,
    }
}

fn parse<T>(
    toks: &[Tok],
    what: &str,
    place: Span,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T, Vec<Diagnostic>> {
    if toks.is_empty() {
        let end = place.end;
        let kind = if what == "statement" { "a query" } else { "an expression" };
        let message = format!("expected {kind}, found the end of the {what}");
        return Err(vec![Diagnostic::error(message).at(Span::new(end, end))]);
    }
    let (tokens, diagnostics) = rewrite::rewrite(toks);
    if !diagnostics.is_empty() {
        return Err(diagnostics);
    }
    run(tokens, what, parse)
        .map_err(|error| vec![inner_error(toks).unwrap_or_else(|| placed(&error, what, toks))])
}

fn run<T>(
    tokens: Vec<TokenWithSpan>,
    what: &str,
    parse: impl FnOnce(&mut Parser<'_>) -> Result<T, ParserError>,
) -> Result<T, ParserError> {
    let mut parser = Parser::new(&FlinkDialect).with_tokens_with_locations(tokens);
    let parsed = parse(&mut parser)?;
    let next = parser.peek_token();
    if next.token == Token::EOF {
        return Ok(parsed);
    }
    parser.expected(&format!("the end of the {what}"), next)
}

/// sqlparser tries a parenthesis in FROM as a query and then as a table, and
/// reports why it is no table. So when a statement fails, its queries in
/// parentheses are tried alone, the innermost first.
fn inner_error(toks: &[Tok]) -> Option<Diagnostic> {
    let starts = |n: &usize| {
        *toks[*n].token() == Token::LParen
            && toks.get(n + 1).is_some_and(|t| t.is("SELECT") || t.is("WITH"))
    };
    (0..toks.len()).rev().filter(starts).find_map(|open| {
        let inside = &toks[open + 1..];
        let inside = &inside[..closing(inside)?];
        let error = run(rewrite::rewrite(inside).0, "query", |p| p.parse_query()).err()?;
        Some(placed(&error, "query", inside))
    })
}

/// Where the parenthesis closes that opened before `toks`.
fn closing(toks: &[Tok]) -> Option<usize> {
    let mut depth = 0_usize;
    toks.iter().position(|tok| {
        match tok.token() {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return true,
            Token::RParen => depth -= 1,
            _ => {}
        }
        false
    })
}

/// sqlparser's error as a diagnostic at the token it found.
fn placed(error: &ParserError, what: &str, toks: &[Tok]) -> Diagnostic {
    let (ParserError::ParserError(text) | ParserError::TokenizerError(text)) = error else {
        return Diagnostic::error("the query nests too deeply")
            .at(extent(toks, Span::default()))
            .hint("split it into views");
    };
    let (message, location) = text.rsplit_once(" at Line: ").unwrap_or((text, ""));
    let found = found_at(location, toks);
    let Some((expected, found_text)) = message
        .strip_prefix("Expected")
        .and_then(|m| m.trim_start_matches(':').split_once(", found: "))
    else {
        let place = found.map_or(extent(toks, Span::default()), |n| toks[n].span);
        let diagnostic = Diagnostic::error(lower_first(message)).at(place);
        return hint_at_unit(diagnostic, found.map(|n| &toks[n]));
    };
    let is_symbol = !expected.contains(|c: char| c.is_alphanumeric() || c == '`');
    let expected = expected.trim();
    let expected = if is_symbol { format!("`{expected}`") } else { expected.to_owned() };
    let Some(found) = found.filter(|_| found_text != "EOF") else {
        let message = format!("expected {expected}, found the end of the {what}");
        let end = toks.last().map_or(0, |t| t.span.end);
        return Diagnostic::error(message).at(Span::new(end, end));
    };
    // Sometimes the place is of the token behind the one that was found.
    let is_found = |n: &usize| toks[*n].word().is_some_and(|w| w == found_text);
    let found = found.checked_sub(1).filter(is_found).unwrap_or(found);
    let tok = &toks[found];
    let diagnostic =
        Diagnostic::error(format!("expected {expected}, found {}", describe(tok.token())))
            .at(tok.span);
    if expected.contains("date/time") {
        return hint_at_unit(diagnostic, Some(tok));
    }
    hint_at_clause(diagnostic, &toks[..=found])
}

/// A misspelt unit of an INTERVAL, of EXTRACT or of FLOOR.
fn hint_at_unit(diagnostic: Diagnostic, found: Option<&Tok>) -> Diagnostic {
    match found.and_then(Tok::word) {
        Some(word) => diagnostic.did_you_mean(word, rewrite::TIME_UNITS.iter().copied()),
        None => diagnostic,
    }
}

/// The token at sqlparser's `1, Column: 5`.
fn found_at(location: &str, toks: &[Tok]) -> Option<usize> {
    let (line, column) = location.split_once(", Column: ")?;
    let (line, column) = (line.parse::<u64>().ok()?, column.parse::<u64>().ok()?);
    toks.iter().position(|t| {
        let start = t.inner.span.start;
        start.line == line && start.column == column
    })
}

/// A misspelt clause word passes for an alias, and the token behind it is
/// found wanting: look at it and the one before.
fn hint_at_clause(diagnostic: Diagnostic, toks: &[Tok]) -> Diagnostic {
    let misspelt = toks.iter().rev().take(2).filter_map(Tok::word).find_map(|word| {
        let keyword = closest(word, CLAUSES.iter().copied())?;
        (!keyword.eq_ignore_ascii_case(word)).then_some((word, keyword))
    });
    match misspelt {
        Some((word, keyword)) => {
            diagnostic.hint(format!("did you mean `{keyword}` where `{word}` is?"))
        }
        None => diagnostic,
    }
}
