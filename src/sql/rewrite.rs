//! Turns Flink's query syntax into what sqlparser reads, token by token, so
//! that every place in the file stays what it was.
//!
//! What a planner sees of it:
//!
//! | in the file | in the AST |
//! |---|---|
//! | `TUMBLE(TABLE ev, …)` | `TUMBLE(ev, …)` |
//! | `SESSION(TABLE ev PARTITION BY (a, b), …)` | `SESSION(ev, "PARTITION BY" => DESCRIPTOR(a, b), …)`, see [`PARTITION_BY`] |
//! | `TIMESTAMPDIFF(MINUTE, a, b)`, `TIMESTAMPADD` | `TIMESTAMPDIFF('MINUTE', a, b)` |
//! | `CAST(x AS ROW<a INT>)` | a type named `` `ROW<…>` ``, for [`super::resolve_type`] |
//! | `MAP['a', 1]` | `MAP('a', 1)` |
//! | `CEILING(x)` | `CEIL(x)` |
//! | `TRIM(BOTH FROM s)` | `TRIM(BOTH ' ' FROM s)` |
//! | `INTERVAL -'1' DAY` | `INTERVAL '-1' DAY` |
//! | `default_catalog.default_database.t` | `t` |
//! | `JSON_VALUE(js, '$.a' NULL ON EMPTY)` | `JSON_VALUE(js, '$.a', "ON EMPTY" => 'NULL')`, see [`super::rewrite_json`] |
//! | `JSON_OBJECT(KEY k VALUE v)` | `JSON_OBJECT(k, v, "ON NULL" => 'NULL')` |
//!
//! What is refused because of one token is in [`super::rewrite_refused`].

use datafusion::sql::sqlparser::tokenizer::{Span as Places, Token, TokenWithSpan, Word};

use super::cursor::{Cursor, describe};
use super::data_types::parse_type;
use super::lexer::Tok;
use super::{rewrite_json, rewrite_refused};
use crate::diagnostics::Diagnostic;
use crate::types::ColumnType;

/// The name of the argument that carries `PARTITION BY` of a window function's
/// input; its value is `DESCRIPTOR(column, …)`.
pub const PARTITION_BY: &str = "PARTITION BY";

/// Units of `TIMESTAMPADD` and `TIMESTAMPDIFF`.
pub(super) const TIME_UNITS: &[&str] = &[
    "MILLISECOND",
    "SECOND",
    "MINUTE",
    "HOUR",
    "DAY",
    "WEEK",
    "MONTH",
    "QUARTER",
    "YEAR",
    "MICROSECOND",
    "NANOSECOND",
];

/// Words before a `(` that does not hold a function's arguments.
const NOT_FUNCTIONS: &[&str] = &[
    "ALL",
    "AND",
    "ANY",
    "AS",
    "BETWEEN",
    "BY",
    "CASE",
    "CUBE",
    "DISTINCT",
    "ELSE",
    "EXCEPT",
    "EXISTS",
    "FILTER",
    "FROM",
    "GROUP",
    "HAVING",
    "IN",
    "INTERSECT",
    "IS",
    "JOIN",
    "LIKE",
    "NOT",
    "ON",
    "OR",
    "OVER",
    "ROLLUP",
    "SELECT",
    "SETS",
    "SOME",
    "THEN",
    "UNION",
    "USING",
    "VALUES",
    "WHEN",
    "WHERE",
    "WITH",
];

/// How many operators may follow one another without a comma between: the tree
/// of an expression is as deep.
const MAX_OPERATORS: usize = 1000;

/// An open parenthesis or bracket.
#[derive(Debug, Default)]
struct Frame {
    /// The function whose arguments it holds, in capitals.
    function: Option<String>,
    /// How many commas it had so far, and `VALUE` for one.
    commas: usize,
    /// How many operators since the last comma.
    operators: usize,
    /// What its closing token is to become.
    close: Option<Token>,
}

/// The tokens for sqlparser, and what was wrong. With an error, they still
/// parse as far as they can.
pub(super) fn rewrite(toks: &[Tok]) -> (Vec<TokenWithSpan>, Vec<Diagnostic>) {
    let mut rewriter = Rewriter {
        cursor: Cursor::new(toks),
        out: Vec::with_capacity(toks.len()),
        frames: Vec::new(),
        operators: 0,
        diagnostics: Vec::new(),
    };
    while !rewriter.cursor.is_at_end() {
        rewriter.step();
    }
    (rewriter.out, rewriter.diagnostics)
}

struct Rewriter<'a> {
    cursor: Cursor<'a>,
    out: Vec<TokenWithSpan>,
    frames: Vec<Frame>,
    /// As in a frame, outside all of them.
    operators: usize,
    diagnostics: Vec<Diagnostic>,
}

impl<'a> Rewriter<'a> {
    fn step(&mut self) {
        let Some(tok) = self.cursor.peek() else { return };
        let special = match tok.token() {
            Token::Word(word) if word.quote_style.is_none() => self.word(tok, &word.value),
            Token::Word(_) => self.qualifier(tok),
            Token::Colon => self.json_value(tok),
            Token::Comma | Token::RParen => {
                self.end_of_json_argument(tok);
                false
            }
            _ => false,
        };
        if !special {
            self.keep(tok);
        }
    }

    /// The last token taken.
    fn previous(&self) -> Option<&'a Tok> {
        self.cursor.last()
    }

    fn previous_is(&self, token: &Token) -> bool {
        self.previous().is_some_and(|t| t.token() == token)
    }

    /// Takes the next token as it is, keeping track of parentheses.
    fn keep(&mut self, tok: &'a Tok) {
        let function = self.function_called();
        self.count_operator(tok);
        self.cursor.next();
        match tok.token() {
            Token::LParen => {
                self.frames.push(Frame { function, ..Frame::default() });
            }
            Token::LBracket => {
                self.frames.push(Frame::default());
            }
            Token::RParen | Token::RBracket => {
                let frame = self.frames.pop();
                if let Some(close) = frame.and_then(|f| f.close) {
                    return self.put(close, tok);
                }
            }
            Token::Comma => {
                if let Some(frame) = self.frames.last_mut() {
                    frame.commas += 1;
                    frame.operators = 0;
                }
            }
            token => {
                self.diagnostics.extend(rewrite_refused::token(token).map(|d| d.at(tok.span)))
            }
        }
        self.out.push(tok.inner.clone());
    }

    fn count_operator(&mut self, tok: &Tok) {
        let is_operator = matches!(
            tok.token(),
            Token::Plus | Token::Minus | Token::Mul | Token::Div | Token::StringConcat
        ) || ["AND", "OR", "UNION"].iter().any(|word| tok.is(word));
        let operators = match self.frames.last_mut() {
            Some(frame) => &mut frame.operators,
            None => &mut self.operators,
        };
        *operators += usize::from(is_operator);
        if is_operator && *operators == MAX_OPERATORS {
            let message = format!("more than {MAX_OPERATORS} operators follow one another");
            let hint = "write IN (…) for many comparisons, or split the query into views";
            self.diagnostics.push(Diagnostic::error(message).at(tok.span).hint(hint));
        }
    }

    /// A token in the place of `tok`.
    fn put(&mut self, token: Token, tok: &Tok) {
        self.out.push(TokenWithSpan::new(token, tok.inner.span));
    }

    /// The function whose arguments begin behind the previous token.
    fn function_called(&self) -> Option<String> {
        let Token::Word(word) = self.previous()?.token() else { return None };
        let upper = word.value.to_ascii_uppercase();
        let is_function =
            word.quote_style.is_some() || !NOT_FUNCTIONS.contains(&upper.as_str());
        is_function.then_some(upper)
    }

    fn in_function(&self) -> Option<&str> {
        self.frames.last()?.function.as_deref()
    }

    fn at_argument_start(&self) -> bool {
        self.in_function().is_some()
            && [Token::LParen, Token::Comma, Token::RArrow]
                .iter()
                .any(|token| self.previous_is(token))
    }

    /// Handles an unquoted word that means something to Flink alone; false if
    /// it does not.
    fn word(&mut self, tok: &'a Tok, word: &str) -> bool {
        if self.previous_is(&Token::Period) {
            return false;
        }
        match word.to_ascii_uppercase().as_str() {
            "TABLE" if self.at_argument_start() => {
                self.cursor.next();
            }
            "PARTITION" if self.in_function().is_some() && self.is_next("BY") => {
                self.partition_by(tok);
            }
            "AS" if matches!(self.in_function(), Some("CAST" | "TRY_CAST")) => {
                self.keep(tok);
                self.cast_type();
            }
            "MAP" if self.next_is(&Token::LBracket) => self.map_literal(tok),
            "CEILING" if self.next_is(&Token::LParen) => {
                self.cursor.next();
                self.put(Token::make_keyword("CEIL"), tok);
            }
            "INTERVAL" => self.interval(tok),
            "FROM" if self.at_trim_without_characters() => {
                self.put(Token::SingleQuotedString(" ".to_owned()), tok);
                self.keep(tok);
            }
            "DEFAULT_CATALOG" | "DEFAULT_DATABASE" => return self.qualifier(tok),
            _ if self.at_time_unit() => self.time_unit(tok, word),
            _ if self.at_json_clause(word) => self.json_clauses(),
            "KEY" if self.at_json_key() => {
                self.cursor.next();
            }
            "VALUE" => return self.json_value(tok),
            behaviour @ ("NULL" | "ABSENT")
                if self.makes_json().is_some()
                    && self.cursor.are_words(&[behaviour, "ON", "NULL"]) =>
            {
                self.on_null(tok, behaviour);
            }
            upper => {
                let refused = rewrite_refused::word(upper, &self.cursor);
                self.diagnostics.extend(refused.map(|d| d.at(tok.span)));
                return false;
            }
        }
        true
    }

    fn is_next(&self, keyword: &str) -> bool {
        self.cursor.peek_nth(1).is_some_and(|t| t.is(keyword))
    }

    fn next_is(&self, token: &Token) -> bool {
        self.cursor.peek_nth(1).is_some_and(|t| t.token() == token)
    }

    /// `PARTITION BY a` or `PARTITION BY (a, b)` behind a table argument.
    fn partition_by(&mut self, tok: &'a Tok) {
        self.cursor.take_words(&["PARTITION", "BY"]);
        let start = self.cursor.position();
        let what = "a column to partition by";
        let read = if self.cursor.is_token(&Token::LParen) {
            self.cursor.identifiers(what).map(|_| ())
        } else {
            self.cursor.identifier(what).map(|_| ())
        };
        if let Err(diagnostic) = read {
            return self.diagnostics.push(diagnostic);
        }
        let columns = self.cursor.since(start);
        self.put(Token::Comma, tok);
        self.put(Token::make_word(PARTITION_BY, Some('`')), tok);
        self.put(Token::RArrow, tok);
        self.put(Token::make_word("DESCRIPTOR", None), tok);
        let in_parentheses = columns.len() > 1;
        if !in_parentheses {
            self.put(Token::LParen, tok);
        }
        self.out.extend(columns.iter().map(|t| t.inner.clone()));
        if !in_parentheses {
            self.put(Token::RParen, tok);
        }
    }

    /// The type behind `AS`.
    fn cast_type(&mut self) {
        let before = self.cursor.position();
        let Some(first) = self.cursor.peek() else { return };
        match parse_type(&mut self.cursor) {
            Ok(ty) => self.put_type(before, first, &ty),
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                self.cursor.take_until(|_| false);
                self.put(Token::make_keyword("STRING"), first);
            }
        }
    }

    /// Leaves a type as it is if sqlparser reads it, else makes it one name.
    fn put_type(&mut self, start: usize, first: &Tok, ty: &ColumnType) {
        let toks = self.cursor.since(start);
        if toks.len() == 1 || (ty.nullable && is_plain(toks)) {
            return self.out.extend(toks.iter().map(|t| t.inner.clone()));
        }
        let last = toks.last().map_or(first, |t| t);
        let places = Places::new(first.inner.span.start, last.inner.span.end);
        let name = Token::make_word(&ty.to_string(), Some('`'));
        self.out.push(TokenWithSpan::new(name, places));
    }

    /// `MAP[k, v, …]`.
    fn map_literal(&mut self, tok: &'a Tok) {
        self.keep(tok);
        if let Some(bracket) = self.cursor.next() {
            self.put(Token::LParen, bracket);
        }
        let function = Some("MAP".to_owned());
        self.frames.push(Frame { function, close: Some(Token::RParen), ..Frame::default() });
    }

    /// `INTERVAL [-]'…' unit`.
    fn interval(&mut self, tok: &'a Tok) {
        self.keep(tok);
        let Some(sign) = self.cursor.peek() else { return };
        if matches!(sign.token(), Token::Number(..)) {
            let number = describe(sign.token());
            let number = number.trim_matches('`');
            let diagnostic = Diagnostic::error("the value of an INTERVAL is a string")
                .at(sign.span)
                .hint(format!("write `INTERVAL '{number}'` and the unit"));
            return self.diagnostics.push(diagnostic);
        }
        let negative = *sign.token() == Token::Minus;
        let Some(Token::SingleQuotedString(value)) = self.cursor.peek_nth(1).map(Tok::token)
        else {
            return;
        };
        if negative || *sign.token() == Token::Plus {
            let value = match (negative, value.strip_prefix('-')) {
                (true, Some(positive)) => positive.to_owned(),
                (true, None) => format!("-{value}"),
                (false, _) => value.clone(),
            };
            self.cursor.next();
            if let Some(literal) = self.cursor.next() {
                self.put(Token::SingleQuotedString(value), literal);
            }
        }
    }

    /// Drops `default_catalog.default_database.` and `default_database.`.
    fn qualifier(&mut self, tok: &Tok) -> bool {
        match tok.token() {
            Token::Word(w) if w.value == "default_catalog" => self.cursor.qualifiers(2),
            Token::Word(w) if w.value == "default_database" => self.cursor.qualifiers(1),
            _ => false,
        }
    }

    /// True at the FROM of `TRIM(BOTH FROM s)`.
    fn at_trim_without_characters(&self) -> bool {
        self.in_function() == Some("TRIM")
            && self.previous().is_some_and(|t| {
                *t.token() == Token::LParen
                    || ["BOTH", "LEADING", "TRAILING"].iter().any(|word| t.is(word))
            })
    }

    fn at_time_unit(&self) -> bool {
        matches!(self.in_function(), Some("TIMESTAMPADD" | "TIMESTAMPDIFF"))
            && self.previous_is(&Token::LParen)
    }

    fn time_unit(&mut self, tok: &Tok, word: &str) {
        self.cursor.next();
        let upper = word.to_ascii_uppercase();
        let unit = upper.strip_prefix("SQL_TSI_").unwrap_or(&upper);
        if !TIME_UNITS.contains(&unit) {
            let diagnostic = Diagnostic::error(format!("unknown unit of time `{word}`"))
                .at(tok.span)
                .did_you_mean(word, TIME_UNITS.iter().copied());
            self.diagnostics.push(diagnostic);
        }
        self.put(Token::SingleQuotedString(unit.to_owned()), tok);
    }

    /// True at a clause behind the path of a JSON function.
    fn at_json_clause(&self, word: &str) -> bool {
        self.in_function().is_some_and(rewrite_json::is_function)
            && self.frames.last().is_some_and(|f| f.commas > 0)
            && matches!(
                self.previous().map(Tok::token),
                Some(Token::SingleQuotedString(_) | Token::UnicodeStringLiteral(_))
            )
            && rewrite_json::begins_clause(word)
    }

    /// The function that makes JSON in whose arguments we are, and what it does
    /// with NULLs unless it is said.
    fn makes_json(&self) -> Option<(&str, &'static str)> {
        let function = self.in_function()?;
        rewrite_json::on_null(function).map(|behaviour| (function, behaviour))
    }

    /// True at `KEY` before a key.
    fn at_json_key(&self) -> bool {
        let is_name = [Token::Colon, Token::Comma, Token::Period, Token::RParen]
            .iter()
            .any(|token| self.next_is(token));
        self.at_argument_start()
            && self.makes_json().is_some_and(|(name, _)| rewrite_json::takes_pairs(name))
            && !is_name
            && !self.is_next("VALUE")
    }

    /// `VALUE`, or a colon, between a key and its value.
    fn json_value(&mut self, tok: &'a Tok) -> bool {
        let takes_pairs =
            self.makes_json().is_some_and(|(name, _)| rewrite_json::takes_pairs(name));
        let Some(frame) = self.frames.last_mut().filter(|f| takes_pairs && f.commas % 2 == 0)
        else {
            return false;
        };
        frame.commas += 1;
        frame.operators = 0;
        self.cursor.next();
        self.put(Token::Comma, tok);
        true
    }

    /// What must have been said where an argument of a function that makes
    /// JSON ends, or is added.
    fn end_of_json_argument(&mut self, tok: &'a Tok) {
        let Some((name, behaviour)) = self.makes_json() else { return };
        let is_empty = self.previous_is(&Token::LParen);
        let Some(frame) = self.frames.last() else { return };
        let is_closed = frame.close.is_some();
        if rewrite_json::takes_pairs(name) && frame.commas % 2 == 0 && !is_empty && !is_closed {
            let message =
                format!("expected `VALUE` and a value, found {}", describe(tok.token()));
            let diagnostic = Diagnostic::error(message).at(tok.span);
            return self.diagnostics.push(diagnostic);
        }
        if *tok.token() == Token::RParen && !is_closed {
            self.put_on_null(tok, behaviour, is_empty);
        }
    }

    /// `NULL ON NULL`, `ABSENT ON NULL`.
    fn on_null(&mut self, tok: &'a Tok, behaviour: &str) {
        let is_empty = self.previous_is(&Token::LParen);
        self.cursor.take_words(&[behaviour, "ON", "NULL"]);
        self.put_on_null(tok, behaviour, is_empty);
        if !self.cursor.is_token(&Token::RParen) {
            self.diagnostics.push(self.cursor.unexpected("`)`"));
        }
        if let Some(frame) = self.frames.last_mut() {
            frame.close = Some(Token::RParen);
        }
    }

    fn put_on_null(&mut self, tok: &'a Tok, behaviour: &str, is_first: bool) {
        if !is_first {
            self.put(Token::Comma, tok);
        }
        self.out.extend(rewrite_json::on_null_argument(behaviour, tok));
    }

    fn json_clauses(&mut self) {
        let function = self.in_function().unwrap_or_default().to_owned();
        match rewrite_json::clauses(&function, &mut self.cursor) {
            Ok(clauses) => {
                for clause in clauses {
                    self.out.extend(clause.head);
                    let (value, diagnostics) = rewrite(clause.value);
                    self.out.extend(value);
                    self.diagnostics.extend(diagnostics);
                }
            }
            Err(diagnostic) => {
                self.diagnostics.push(diagnostic);
                self.cursor.take_until(|_| false);
            }
        }
    }
}

/// True if sqlparser reads these tokens of a type as we do.
fn is_plain(toks: &[Tok]) -> bool {
    toks.iter().all(|t| match t.token() {
        Token::LParen | Token::RParen | Token::Comma | Token::Number(..) => true,
        Token::Word(Word { value, .. }) => {
            !["ROW", "LOCAL", "ARRAY", "WITHOUT", "NULL", "CHARACTER", "BINARY"]
                .iter()
                .any(|w| value.eq_ignore_ascii_case(w))
        }
        _ => false,
    })
}
