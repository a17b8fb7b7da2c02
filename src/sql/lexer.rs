//! A script's tokens with their places, environment variables resolved.
//!
//! `${VAR}` and `${VAR:-default}` are resolved inside string literals, and where
//! a name may stand, after lexing, so that a value can never become syntax: in
//! place of a name it is a quoted name. Places stay.
//! Comments and blanks are left out; a hint comment `/*+ … */` is refused,
//! since leaving it out would change what the query says.

use datafusion::sql::sqlparser::tokenizer::{
    Location, Token, TokenWithSpan, Tokenizer, Whitespace,
};

use super::Env;
use super::dialect::FlinkDialect;
use crate::diagnostics::{Diagnostic, Span};

/// A token, its place in sqlparser's lines and columns, and in bytes.
#[derive(Debug, Clone)]
pub(super) struct Tok {
    pub inner: TokenWithSpan,
    pub span: Span,
}

impl Tok {
    pub fn token(&self) -> &Token {
        &self.inner.token
    }

    /// The text of an unquoted word.
    pub fn word(&self) -> Option<&str> {
        match self.token() {
            Token::Word(word) if word.quote_style.is_none() => Some(&word.value),
            _ => None,
        }
    }

    /// True if this is the unquoted word `keyword`, in any case.
    pub fn is(&self, keyword: &str) -> bool {
        self.word().is_some_and(|w| w.eq_ignore_ascii_case(keyword))
    }
}

/// What a text consists of.
pub(super) struct Lexed {
    pub toks: Vec<Tok>,
    /// What is wrong with some of them.
    pub diagnostics: Vec<Diagnostic>,
    /// False if a literal or comment has no end: the statement that it is in,
    /// and all behind it, are missing.
    pub is_complete: bool,
}

/// The tokens of `text`.
pub(super) fn lex(text: &str, env: Env<'_>) -> Lexed {
    let mut raw = Vec::new();
    let outcome = Tokenizer::new(&FlinkDialect, text).tokenize_with_location_into_buf(&mut raw);
    let mut diagnostics = Vec::new();
    let mut offsets = Offsets::new(text);
    let mut toks: Vec<Tok> = Vec::with_capacity(raw.len());
    let mut name_until = 0;
    for mut inner in raw {
        let mut span = Span::new(offsets.of(inner.span.start), offsets.of(inner.span.end));
        if span.start < name_until {
            continue;
        }
        match &mut inner.token {
            Token::Whitespace(Whitespace::MultiLineComment(text)) if text.starts_with('+') => {
                diagnostics.push(hint_refused(span));
            }
            Token::Whitespace(_) | Token::Char('\u{feff}') => {}
            token => {
                if let Token::SingleQuotedString(value) = token {
                    resolve_variables(value, text, span, env, &mut diagnostics);
                } else if let Some(variable) = variable(&text[span.start..]) {
                    span = Span::new(span.start, span.start + variable.length);
                    name_until = span.end;
                    let name = named_by(&variable, span, env, &mut diagnostics);
                    *token = Token::make_word(&name, Some('`'));
                }
                toks.push(Tok { inner, span });
            }
        }
    }
    let is_complete = outcome.is_ok();
    if let Err(error) = outcome {
        let read = toks.last().map_or(0, |t: &Tok| t.span.end);
        let last = toks.iter().rposition(|t: &Tok| *t.token() == Token::SemiColon);
        toks.truncate(last.map_or(0, |n| n + 1));
        let at = offsets.of(error.location).min(text.len());
        let at = match error.message.contains("comment") {
            true => opening_of(text, read).unwrap_or(at),
            false => at,
        };
        let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
        let message = match error.message.as_str() {
            m if m.contains("comment") => "the comment has no end".to_owned(),
            m if m.contains("close delimiter") => "the name has no closing `".to_owned(),
            m if m.starts_with("Unterminated string") => {
                "the string has no closing '".to_owned()
            }
            m => lower_first(m),
        };
        diagnostics.push(Diagnostic::error(message).at(Span::new(at, end)));
    }
    Lexed { toks, diagnostics, is_complete }
}

/// Where the comment that nothing ends begins: behind the last token, after
/// comments that end.
fn opening_of(text: &str, mut from: usize) -> Option<usize> {
    loop {
        let opening = from + text[from..].find("/*")?;
        if let Some(line) = text[from..opening].find("--") {
            from += line + text[from + line..].find('\n')?;
            continue;
        }
        match text[opening + 2..].find("*/") {
            Some(end) => from = opening + 2 + end + 2,
            None => return Some(opening),
        }
    }
}

/// A message as it goes on behind `error: `; a keyword stays in capitals.
pub(super) fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    if text.chars().nth(1).is_some_and(char::is_uppercase) {
        return text.to_owned();
    }
    chars.next().map_or_else(String::new, |c| c.to_lowercase().chain(chars).collect())
}

fn hint_refused(span: Span) -> Diagnostic {
    Diagnostic::error("hints (`/*+ … */`) are not supported")
        .at(span)
        .hint("give the options in the table's WITH clause")
}

/// Turns places that never go back into byte offsets, in one walk.
struct Offsets<'a> {
    rest: std::str::Chars<'a>,
    at: usize,
    location: Location,
}

impl<'a> Offsets<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text.chars(), at: 0, location: Location::new(1, 1) }
    }

    fn of(&mut self, wanted: Location) -> usize {
        while self.location < wanted
            && let Some(c) = self.rest.next()
        {
            self.at += c.len_utf8();
            if c == '\n' {
                self.location = Location::new(self.location.line + 1, 1);
            } else {
                self.location.column += 1;
            }
        }
        self.at
    }
}

/// A `${…}` in a literal: its length in bytes, name and default.
struct Variable<'a> {
    length: usize,
    name: &'a str,
    default: Option<&'a str>,
}

/// The variable that `text` starts with, if it does: `${NAME}` or
/// `${NAME:-default}`. Anything else after `$` stays as it is.
fn variable(text: &str) -> Option<Variable<'_>> {
    let inner = text.strip_prefix("${")?;
    let inner = &inner[..inner.find('}')?];
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let mut chars = name.chars();
    let starts = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let goes_on = chars.all(|c| c.is_ascii_alphanumeric() || c == '_');
    (starts && goes_on).then_some(Variable { length: inner.len() + 3, name, default })
}

/// The name that a variable stands for.
fn named_by(
    variable: &Variable<'_>,
    place: Span,
    env: Env<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) -> String {
    let value = env(variable.name).or_else(|| variable.default.map(str::to_owned));
    match &value {
        None => diagnostics.push(unset(variable.name, place)),
        Some(name) if name.is_empty() || name.contains(['`', '\n']) => {
            let message = format!("environment variable `{}` is no name", variable.name);
            let hint = "outside a string it stands for a table or a column";
            diagnostics.push(Diagnostic::error(message).at(place).hint(hint));
        }
        Some(_) => {}
    }
    value.unwrap_or_else(|| variable.name.to_owned())
}

fn resolve_variables(
    value: &mut String,
    text: &str,
    literal: Span,
    env: Env<'_>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if !value.contains("${") {
        return;
    }
    let mut resolved = String::with_capacity(value.len());
    // Where in the file to look for the next variable's own place.
    let mut search_from = literal.start;
    let mut rest = value.as_str();
    while let Some(at) = rest.find("${") {
        resolved.push_str(&rest[..at]);
        rest = &rest[at..];
        let Some(variable) = variable(rest) else {
            resolved.push_str("${");
            rest = &rest[2..];
            continue;
        };
        let written = &rest[..variable.length];
        let place = text[search_from..literal.end].find(written).map_or(literal, |at| {
            let start = search_from + at;
            Span::new(start, start + written.len())
        });
        search_from = if place == literal { search_from } else { place.end };
        match env(variable.name).or_else(|| variable.default.map(str::to_owned)) {
            Some(found) => resolved.push_str(&found),
            None => diagnostics.push(unset(variable.name, place)),
        }
        rest = &rest[variable.length..];
    }
    resolved.push_str(rest);
    *value = resolved;
}

fn unset(name: &str, place: Span) -> Diagnostic {
    Diagnostic::error(format!("environment variable `{name}` is not set"))
        .at(place)
        .hint(format!("set it, or give a default: `${{{name}:-…}}`"))
}

/// The byte offset of the start of every line.
pub(super) fn line_starts(text: &str) -> Vec<usize> {
    std::iter::once(0).chain(text.match_indices('\n').map(|(i, _)| i + 1)).collect()
}

/// The text with its variables resolved, for a cluster that knows none.
pub(super) fn resolved_text(text: &str, toks: &[Tok]) -> String {
    let mut resolved = String::with_capacity(text.len());
    let mut copied_to = 0;
    for tok in toks {
        if let Token::SingleQuotedString(value) = tok.token()
            && text[tok.span.start..tok.span.end].contains("${")
        {
            resolved.push_str(&text[copied_to..tok.span.start]);
            resolved.push_str(&format!("'{}'", value.replace('\'', "''")));
            copied_to = tok.span.end;
        } else if let Token::Word(word) = tok.token()
            && text[tok.span.start..].starts_with("${")
        {
            resolved.push_str(&text[copied_to..tok.span.start]);
            resolved.push_str(&format!("`{}`", word.value));
            copied_to = tok.span.end;
        }
    }
    resolved.push_str(&text[copied_to..]);
    resolved
}
