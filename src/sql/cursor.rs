//! Walks over tokens and says what was expected where something else was found.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::lexer::Tok;
use super::reserved;
use crate::diagnostics::{Diagnostic, Span, Spanned};

/// A place in a run of tokens.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    toks: &'a [Tok],
    at: usize,
    /// The first `>` of a `>>` is taken, the second is not.
    half_taken: bool,
    /// The place to name where there is no token at all.
    place: Span,
}

impl<'a> Cursor<'a> {
    pub fn new(toks: &'a [Tok]) -> Self {
        let place = toks.first().map_or(Span::default(), |t| t.span);
        Self { toks, at: 0, half_taken: false, place }
    }

    pub fn position(&self) -> usize {
        self.at
    }

    pub fn peek(&self) -> Option<&'a Tok> {
        self.peek_nth(0)
    }

    pub fn peek_nth(&self, n: usize) -> Option<&'a Tok> {
        self.toks.get(self.at + n)
    }

    pub fn next(&mut self) -> Option<&'a Tok> {
        let tok = self.peek()?;
        self.at += 1;
        Some(tok)
    }

    pub fn is_at_end(&self) -> bool {
        self.at >= self.toks.len()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [Tok] {
        &self.toks[self.at..]
    }

    /// The tokens taken since `position`.
    pub fn since(&self, position: usize) -> &'a [Tok] {
        &self.toks[position..self.at]
    }

    /// The token just taken.
    pub fn last(&self) -> Option<&'a Tok> {
        self.at.checked_sub(1).map(|last| &self.toks[last])
    }

    /// The place of the token just taken.
    pub fn last_span(&self) -> Span {
        self.last().map_or(self.place, |t| t.span)
    }

    /// The place of the next token, or of the last one at the end.
    pub fn span(&self) -> Span {
        self.peek().map_or_else(|| self.last_span(), |t| t.span)
    }

    pub fn is_word(&self, keyword: &str) -> bool {
        self.are_words(&[keyword])
    }

    /// True if the next words are `keywords`.
    pub fn are_words(&self, keywords: &[&str]) -> bool {
        keywords.iter().enumerate().all(|(n, k)| self.peek_nth(n).is_some_and(|t| t.is(k)))
    }

    /// Takes `keywords` if they all come next.
    pub fn take_words(&mut self, keywords: &[&str]) -> bool {
        let found = self.are_words(keywords);
        if found {
            self.at += keywords.len();
        }
        found
    }

    pub fn expect_words(&mut self, keywords: &[&str]) -> Result<(), Diagnostic> {
        for keyword in keywords {
            if !self.take_words(&[keyword]) {
                return Err(self.unexpected_word(&format!("`{keyword}`"), &[keyword]));
            }
        }
        Ok(())
    }

    pub fn is_token(&self, token: &Token) -> bool {
        self.peek().is_some_and(|t| t.token() == token)
    }

    pub fn take(&mut self, token: &Token) -> bool {
        let found = self.is_token(token);
        self.at += usize::from(found);
        found
    }

    pub fn expect(&mut self, token: &Token) -> Result<Span, Diagnostic> {
        if self.take(token) {
            return Ok(self.last_span());
        }
        Err(self.unexpected(&format!("`{token}`")))
    }

    /// Takes a `>` that closes a type's parameters, also one half of a `>>`.
    pub fn take_closing_angle(&mut self) -> bool {
        if self.is_token(&Token::ShiftRight) {
            self.at += usize::from(self.half_taken);
            self.half_taken = !self.half_taken;
            return true;
        }
        self.take(&Token::Gt)
    }

    /// A name: quoted with backticks, or a word that is not reserved.
    pub fn identifier(&mut self, what: &str) -> Result<Spanned<String>, Diagnostic> {
        let Some(tok) = self.peek() else { return Err(self.unexpected(what)) };
        let Token::Word(word) = tok.token() else { return Err(self.unexpected(what)) };
        if word.quote_style.is_none() && reserved::is_reserved(&word.value) {
            return Err(reserved::used_as_name(&word.value, tok.span));
        }
        self.at += 1;
        Ok(Spanned::new(word.value.clone(), tok.span))
    }

    /// `(a, b, …)`.
    pub fn identifiers(&mut self, what: &str) -> Result<Vec<Spanned<String>>, Diagnostic> {
        self.expect(&Token::LParen)?;
        let mut names = vec![self.identifier(what)?];
        while self.take(&Token::Comma) {
            names.push(self.identifier(what)?);
        }
        if !self.take(&Token::RParen) {
            return Err(self.unexpected("`,` or `)`"));
        }
        Ok(names)
    }

    /// Takes the `count` last of `default_catalog.default_database.`, which
    /// name what every table is in.
    pub fn qualifiers(&mut self, count: usize) -> bool {
        let names = ["default_catalog", "default_database"];
        let found = names[2 - count..].iter().enumerate().all(|(n, name)| {
            let is_name = |t: &Tok| matches!(t.token(), Token::Word(w) if w.value == *name);
            self.peek_nth(2 * n).is_some_and(is_name)
                && self.peek_nth(2 * n + 1).is_some_and(|t| *t.token() == Token::Period)
        });
        self.at += if found { 2 * count } else { 0 };
        found
    }

    /// The name of a table or view. Flink's default catalog and database may be
    /// named; there is no other.
    pub fn table_name(&mut self, what: &str) -> Result<Spanned<String>, Diagnostic> {
        if !self.qualifiers(2) {
            self.qualifiers(1);
        }
        let name = self.identifier(what)?;
        if !self.take(&Token::Period) {
            return Ok(name);
        }
        let mut span = name.span;
        while let Some(tok) = self.peek()
            && matches!(tok.token(), Token::Word(_) | Token::Period)
            && tok.span.start == span.to(self.last_span()).end
        {
            span = span.to(tok.span);
            self.at += 1;
        }
        let message = "catalogs and databases other than the default are not supported";
        Err(Diagnostic::error(message)
            .at(span)
            .hint("write the table's name alone, and CREATE TABLE in the script"))
    }

    pub fn is_string(&self) -> bool {
        self.peek().is_some_and(|t| {
            matches!(t.token(), Token::SingleQuotedString(_) | Token::UnicodeStringLiteral(_))
        })
    }

    pub fn string(&mut self, what: &str) -> Result<Spanned<String>, Diagnostic> {
        let Some(tok) = self.peek() else { return Err(self.unexpected(what)) };
        let (Token::SingleQuotedString(value) | Token::UnicodeStringLiteral(value)) =
            tok.token()
        else {
            return Err(self.unexpected(what));
        };
        self.at += 1;
        Ok(Spanned::new(value.clone(), tok.span))
    }

    /// An unsigned whole number.
    pub fn number(&mut self, what: &str) -> Result<Spanned<u32>, Diagnostic> {
        let tok = self.peek().filter(|t| matches!(t.token(), Token::Number(_, false)));
        let number = tok.and_then(|t| t.token().to_string().parse().ok());
        match (tok, number) {
            (Some(tok), Some(number)) => {
                self.at += 1;
                Ok(Spanned::new(number, tok.span))
            }
            _ => Err(self.unexpected(what)),
        }
    }

    /// Fails unless everything is read.
    pub fn expect_end(&self) -> Result<(), Diagnostic> {
        if self.is_at_end() {
            return Ok(());
        }
        Err(self.unexpected("the end of the statement"))
    }

    /// Takes the tokens up to the next one, outside parentheses and brackets,
    /// at which `ends` is true, or up to a closing one that opens before here.
    pub fn take_until(&mut self, ends: impl Fn(&Cursor<'a>) -> bool) -> &'a [Tok] {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(tok) = self.peek() {
            match tok.token() {
                Token::LParen | Token::LBracket => depth += 1,
                Token::RParen | Token::RBracket if depth == 0 => break,
                Token::RParen | Token::RBracket => depth -= 1,
                _ if depth == 0 && ends(self) => break,
                _ => {}
            }
            self.at += 1;
        }
        &self.toks[start..self.at]
    }

    /// Says that `expected` should stand where something else does.
    pub fn unexpected(&self, expected: &str) -> Diagnostic {
        self.unexpected_word(expected, &[])
    }

    /// The same, with a hint if what stands there is nearly one of `keywords`.
    pub fn unexpected_word(&self, expected: &str, keywords: &[&str]) -> Diagnostic {
        let Some(tok) = self.peek() else {
            let message = format!("expected {expected}, found the end of the statement");
            let end = self.last_span().end;
            return Diagnostic::error(message).at(Span::new(end, end));
        };
        let diagnostic =
            Diagnostic::error(format!("expected {expected}, found {}", describe(tok.token())))
                .at(tok.span);
        let is_other = |word: &&str| !keywords.iter().any(|k| word.eq_ignore_ascii_case(k));
        match tok.word().filter(is_other) {
            Some(word) => diagnostic.did_you_mean(word, keywords.iter().copied()),
            None => diagnostic,
        }
    }
}

/// A token as a message names it.
pub(super) fn describe(token: &Token) -> String {
    match token {
        Token::SingleQuotedString(value) => format!("`'{}'`", value.replace('\'', "''")),
        Token::Word(word) => format!("`{}`", word.value),
        token => format!("`{token}`"),
    }
}
