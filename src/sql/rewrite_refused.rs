//! What one token of a query tells to be no part of what we run: constructs of
//! Flink's that are refused by name, and signs that Flink SQL does not have.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::{Cursor, describe};
use crate::diagnostics::Diagnostic;

/// Refuses what Flink has and we do not run, by the unquoted word in capitals
/// at which the cursor stands.
pub(super) fn word(word: &str, cursor: &Cursor<'_>) -> Option<Diagnostic> {
    let is_call = cursor.peek_nth(1).is_some_and(|t| *t.token() == Token::LParen);
    let (what, hint) = match word {
        "MATCH_RECOGNIZE" if is_call => {
            ("MATCH_RECOGNIZE", "express the pattern with window functions")
        }
        _ => return None,
    };
    Some(Diagnostic::error(format!("{what} is not supported")).hint(hint))
}

/// Says of a token that is no part of Flink SQL what to write instead.
pub(super) fn token(token: &Token) -> Option<Diagnostic> {
    let hint = match token {
        Token::Word(_)
        | Token::Number(_, false)
        | Token::SingleQuotedString(_)
        | Token::HexStringLiteral(_)
        | Token::UnicodeStringLiteral(_)
        | Token::Comma
        | Token::Eq
        | Token::Neq
        | Token::Lt
        | Token::Gt
        | Token::LtEq
        | Token::GtEq
        | Token::Plus
        | Token::Minus
        | Token::Mul
        | Token::Div
        | Token::Mod
        | Token::StringConcat
        | Token::LParen
        | Token::RParen
        | Token::LBracket
        | Token::RBracket
        | Token::Period
        | Token::RArrow => return None,
        Token::DoubleQuotedString(name) => {
            let message = format!("`\"{name}\"` is no name and no string in Flink SQL");
            return Some(
                Diagnostic::error(message)
                    .hint("names are quoted with backticks, strings with single quotes"),
            );
        }
        Token::DoubleColon => Some("write CAST(x AS type)"),
        Token::DoubleEq => Some("write `=`"),
        Token::Spaceship => Some("write IS NOT DISTINCT FROM"),
        Token::Arrow | Token::LongArrow => Some("write JSON_VALUE(x, '$.path')"),
        Token::LBrace | Token::RBrace => {
            Some("an environment variable is written inside a string: '${VAR}'")
        }
        _ => None,
    };
    let diagnostic = Diagnostic::error(format!("{} is not Flink SQL", describe(token)));
    Some(match hint {
        Some(hint) => diagnostic.hint(hint),
        None => diagnostic,
    })
}
