//! The clauses of JSON functions, as named arguments that sqlparser reads and a
//! planner finds again.
//!
//! | in the file | argument |
//! |---|---|
//! | `RETURNING BIGINT` | `RETURNING => 'BIGINT'` |
//! | `NULL ON EMPTY`, `ERROR ON ERROR`, `EMPTY ARRAY ON EMPTY`, `TRUE ON ERROR` | `"ON EMPTY" => 'NULL'`, `"ON ERROR" => 'ERROR'`, … |
//! | `DEFAULT x ON EMPTY` | `"DEFAULT ON EMPTY" => x` |
//! | `WITH CONDITIONAL ARRAY WRAPPER` | `WRAPPER => 'CONDITIONAL'` (or `'UNCONDITIONAL'`, `'WITHOUT'`) |
//! | `NULL ON NULL`, `ABSENT ON NULL` | `"ON NULL" => 'NULL'`, also where it goes without saying |
//! | `KEY k VALUE v`, `k VALUE v`, `k: v` | `k, v` |

use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

use super::cursor::Cursor;
use super::data_types::parse_type;
use super::lexer::Tok;
use crate::diagnostics::Diagnostic;

/// A clause as an argument: `, name =>` and perhaps its value, and the value's
/// tokens in the file.
pub(super) struct Clause<'a> {
    pub head: Vec<TokenWithSpan>,
    pub value: &'a [Tok],
}

const CLAUSE_STARTS: &[&str] = &[
    "RETURNING",
    "NULL",
    "ERROR",
    "EMPTY",
    "DEFAULT",
    "TRUE",
    "FALSE",
    "UNKNOWN",
    "WITH",
    "WITHOUT",
];

/// What a function that makes JSON does with NULLs unless it is said.
pub(super) fn on_null(name: &str) -> Option<&'static str> {
    match name {
        "JSON_OBJECT" | "JSON_OBJECTAGG" => Some("NULL"),
        "JSON_ARRAY" | "JSON_ARRAYAGG" => Some("ABSENT"),
        _ => None,
    }
}

/// Whether a function that makes JSON takes keys with values.
pub(super) fn takes_pairs(name: &str) -> bool {
    matches!(name, "JSON_OBJECT" | "JSON_OBJECTAGG")
}

/// The argument that says what is done with NULLs, without a comma before.
pub(super) fn on_null_argument(behaviour: &str, at: &Tok) -> [TokenWithSpan; 3] {
    let name = Token::make_word("ON NULL", Some('`'));
    let value = Token::SingleQuotedString(behaviour.to_owned());
    [name, Token::RArrow, value].map(|token| TokenWithSpan::new(token, at.inner.span))
}

pub(super) fn is_function(name: &str) -> bool {
    matches!(name, "JSON_VALUE" | "JSON_QUERY" | "JSON_EXISTS")
}

pub(super) fn begins_clause(word: &str) -> bool {
    CLAUSE_STARTS.iter().any(|start| word.eq_ignore_ascii_case(start))
}

/// Reads all clauses up to the closing parenthesis, which stays.
pub(super) fn clauses<'a>(
    function: &str,
    cursor: &mut Cursor<'a>,
) -> Result<Vec<Clause<'a>>, Diagnostic> {
    let mut found = Vec::new();
    while let Some(first) = cursor.peek() {
        if *first.token() == Token::RParen {
            break;
        }
        found.push(clause(function, first, cursor)?);
    }
    Ok(found)
}

fn clause<'a>(
    function: &str,
    first: &Tok,
    cursor: &mut Cursor<'a>,
) -> Result<Clause<'a>, Diagnostic> {
    if cursor.take_words(&["RETURNING"]) {
        let ty = parse_type(cursor)?;
        return Ok(worded(first, "RETURNING", &ty.ty.to_string()));
    }
    if function == "JSON_VALUE" && cursor.take_words(&["DEFAULT"]) {
        let value = cursor.take_until(|c| c.is_word("ON"));
        let name = format!("DEFAULT {}", occasion(cursor)?);
        return Ok(Clause { head: head(first, &name), value });
    }
    if function == "JSON_QUERY" && (cursor.is_word("WITH") || cursor.is_word("WITHOUT")) {
        return Ok(worded(first, "WRAPPER", wrapper(cursor)?));
    }
    let behaviours: &[&[&str]] = match function {
        "JSON_EXISTS" => &[&["TRUE"], &["FALSE"], &["UNKNOWN"], &["ERROR"]],
        "JSON_QUERY" => &[&["NULL"], &["ERROR"], &["EMPTY", "ARRAY"], &["EMPTY", "OBJECT"]],
        _ => &[&["NULL"], &["ERROR"]],
    };
    let Some(behaviour) = behaviours.iter().find(|words| cursor.take_words(words)) else {
        return Err(cursor.unexpected_word(&format!("a clause of {function}"), CLAUSE_STARTS));
    };
    let occasion = occasion(cursor)?;
    Ok(worded(first, occasion, &behaviour.join(" ")))
}

fn occasion(cursor: &mut Cursor<'_>) -> Result<&'static str, Diagnostic> {
    if cursor.take_words(&["ON", "EMPTY"]) {
        return Ok("ON EMPTY");
    }
    if cursor.take_words(&["ON", "ERROR"]) {
        return Ok("ON ERROR");
    }
    Err(cursor.unexpected("`ON EMPTY` or `ON ERROR`"))
}

fn wrapper(cursor: &mut Cursor<'_>) -> Result<&'static str, Diagnostic> {
    let kind = if cursor.take_words(&["WITHOUT"]) {
        "WITHOUT"
    } else {
        cursor.expect_words(&["WITH"])?;
        if cursor.take_words(&["CONDITIONAL"]) {
            "CONDITIONAL"
        } else {
            cursor.take_words(&["UNCONDITIONAL"]);
            "UNCONDITIONAL"
        }
    };
    cursor.take_words(&["ARRAY"]);
    cursor.expect_words(&["WRAPPER"])?;
    Ok(kind)
}

fn head(first: &Tok, name: &str) -> Vec<TokenWithSpan> {
    [Token::Comma, Token::make_word(name, Some('`')), Token::RArrow]
        .into_iter()
        .map(|token| TokenWithSpan::new(token, first.inner.span))
        .collect()
}

fn worded<'a>(first: &Tok, name: &str, value: &str) -> Clause<'a> {
    let mut head = head(first, name);
    let value = Token::SingleQuotedString(value.to_owned());
    head.push(TokenWithSpan::new(value, first.inner.span));
    Clause { head, value: &[] }
}
