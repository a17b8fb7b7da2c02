//! `CREATE TABLE`: columns, watermark, key, partitions, options.
//!
//! A mistake in one column does not hide the next one's.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::ast::{ColumnDef, ColumnKind, CreateTable, WatermarkDef};
use super::cursor::Cursor;
use super::data_types::parse_type;
use super::lexer::Tok;
use super::query::parse_expr;
use super::{table_checks, table_like};
use crate::diagnostics::{Diagnostic, Span, Spanned};

/// Reads what follows `CREATE TABLE`; `earlier` are the tables it may be LIKE.
pub(super) fn parse(
    mut cursor: Cursor<'_>,
    earlier: &[CreateTable],
) -> Result<CreateTable, Vec<Diagnostic>> {
    let mut reader = Reader::default();
    let head = head(&mut cursor).map_err(|d| vec![d])?;
    if cursor.is_token(&Token::LParen) {
        reader.columns(&mut cursor);
    }
    let clauses = clauses(&mut cursor);
    let mut errors = reader.errors;
    let (clauses, like) = match clauses {
        Ok(found) => found,
        Err(diagnostic) => {
            errors.push(diagnostic);
            return Err(errors);
        }
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let (name, if_not_exists) = head;
    let mut table = CreateTable {
        name,
        if_not_exists,
        columns: reader.columns,
        watermark: reader.watermark,
        primary_key: reader.primary_key.unwrap_or_default(),
        partitioned_by: clauses.partitioned_by,
        options: clauses.options,
    };
    if let Some(like) = like {
        table_like::merge(&mut table, &like, earlier)?;
    }
    table_checks::check(&mut table)?;
    Ok(table)
}

fn head(cursor: &mut Cursor<'_>) -> Result<(Spanned<String>, bool), Diagnostic> {
    let if_not_exists = cursor.take_words(&["IF", "NOT", "EXISTS"]);
    Ok((cursor.table_name("the table's name")?, if_not_exists))
}

#[derive(Default)]
struct Reader {
    columns: Vec<ColumnDef>,
    watermark: Option<WatermarkDef>,
    primary_key: Option<Vec<Spanned<String>>>,
    errors: Vec<Diagnostic>,
}

impl Reader {
    /// `(column, …)`.
    fn columns(&mut self, cursor: &mut Cursor<'_>) {
        cursor.take(&Token::LParen);
        loop {
            let start = cursor.clone();
            if let Err(errors) = self.element(cursor) {
                self.errors.extend(errors);
                let broken_at = cursor.position();
                *cursor = start;
                skip_element(cursor, broken_at);
                if cursor.is_at_end() {
                    return;
                }
            }
            if cursor.take(&Token::Comma) {
                continue;
            }
            if !cursor.take(&Token::RParen) {
                self.errors.push(cursor.unexpected("`,` or `)`"));
                cursor.take_until(|_| false);
                cursor.take(&Token::RParen);
            }
            return;
        }
    }

    fn element(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Vec<Diagnostic>> {
        if cursor.is_word("WATERMARK") {
            return self.watermark(cursor);
        }
        let is_key = cursor.are_words(&["PRIMARY", "KEY"]) || cursor.is_word("CONSTRAINT");
        if is_key || (cursor.is_word("UNIQUE") && opens(cursor)) {
            return self.table_key(cursor).map_err(|d| vec![d]);
        }
        self.column(cursor)
    }

    /// `WATERMARK FOR c AS expr`.
    fn watermark(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Vec<Diagnostic>> {
        let start = cursor.span();
        let column = watermark_column(cursor).map_err(|d| vec![d])?;
        let before = cursor.last_span();
        let toks = cursor.take_until(|c| c.is_token(&Token::Comma));
        let expr = parse_expr(toks, before)?;
        if self.watermark.is_some() {
            let message = "a table has one WATERMARK";
            return Err(vec![Diagnostic::error(message).at(start)]);
        }
        self.watermark = Some(WatermarkDef { column, expr });
        Ok(())
    }

    /// `[CONSTRAINT n] PRIMARY KEY (a, b) NOT ENFORCED`.
    fn table_key(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
        if cursor.take_words(&["CONSTRAINT"]) {
            cursor.identifier("the constraint's name")?;
        }
        refuse_unique(cursor)?;
        let start = cursor.span();
        cursor.expect_words(&["PRIMARY", "KEY"])?;
        let columns = cursor.identifiers("a column's name")?;
        not_enforced(cursor, start)?;
        self.key(columns, start)
    }

    fn key(&mut self, columns: Vec<Spanned<String>>, place: Span) -> Result<(), Diagnostic> {
        if self.primary_key.is_some() {
            return Err(Diagnostic::error("a table has one PRIMARY KEY").at(place));
        }
        self.primary_key = Some(columns);
        Ok(())
    }

    /// `name type …`, `name type METADATA …` or `name AS expr`.
    fn column(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Vec<Diagnostic>> {
        let name = cursor.identifier("a column's name").map_err(|d| vec![d])?;
        let kind = if cursor.take_words(&["AS"]) {
            let before = cursor.last_span();
            let toks = cursor.take_until(|c| c.is_token(&Token::Comma) || at_comment(c));
            ColumnKind::Computed(parse_expr(toks, before)?)
        } else {
            self.typed(cursor, &name).map_err(|d| vec![d])?
        };
        comment(cursor).map_err(|d| vec![d])?;
        if !cursor.is_token(&Token::Comma) && !cursor.is_token(&Token::RParen) {
            let words = ["METADATA", "COMMENT", "PRIMARY", "NOT", "VIRTUAL", "FROM"];
            return Err(vec![cursor.unexpected_word("`,` or `)`", &words)]);
        }
        self.columns.push(ColumnDef { name, kind });
        Ok(())
    }

    fn typed(
        &mut self,
        cursor: &mut Cursor<'_>,
        name: &Spanned<String>,
    ) -> Result<ColumnKind, Diagnostic> {
        let start = cursor.span();
        let ty = parse_type(cursor)?;
        let ty_span = start.to(cursor.last_span());
        let kind = if cursor.take_words(&["METADATA"]) {
            let key = if cursor.take_words(&["FROM"]) {
                cursor.string("the metadata's key in single quotes")?
            } else {
                name.clone()
            };
            let is_virtual = cursor.take_words(&["VIRTUAL"]);
            ColumnKind::Metadata { ty, ty_span, key, is_virtual }
        } else {
            ColumnKind::Physical(ty)
        };
        if cursor.take_words(&["CONSTRAINT"]) {
            cursor.identifier("the constraint's name")?;
        }
        refuse_unique(cursor)?;
        let key = cursor.span();
        if cursor.take_words(&["PRIMARY", "KEY"]) {
            not_enforced(cursor, key)?;
            self.key(vec![name.clone()], key)?;
        }
        Ok(kind)
    }
}

/// Goes on to the end of a column, which a mistake at `broken_at` cut short.
fn skip_element(cursor: &mut Cursor<'_>, broken_at: usize) {
    // Commas between a type's parameters are not the column's end.
    let mut angles = 0_usize;
    loop {
        cursor.take_until(|c| {
            [Token::Comma, Token::Lt, Token::Gt, Token::ShiftRight]
                .iter()
                .any(|token| c.is_token(token))
        });
        match cursor.peek().map(Tok::token) {
            Some(Token::Comma) if angles == 0 && cursor.position() >= broken_at => return,
            Some(Token::Comma) => {}
            Some(Token::Lt) => {
                let of_type = ["ROW", "ARRAY", "MAP", "MULTISET"];
                let last = cursor.last();
                angles += usize::from(of_type.iter().any(|w| last.is_some_and(|t| t.is(w))));
            }
            Some(Token::Gt) => angles = angles.saturating_sub(1),
            Some(Token::ShiftRight) => angles = angles.saturating_sub(2),
            _ => return,
        }
        cursor.next();
    }
}

fn opens(cursor: &Cursor<'_>) -> bool {
    cursor.peek_nth(1).is_some_and(|t| *t.token() == Token::LParen)
}

fn watermark_column(cursor: &mut Cursor<'_>) -> Result<Spanned<String>, Diagnostic> {
    cursor.expect_words(&["WATERMARK", "FOR"])?;
    let column = cursor.identifier("the column of the event time")?;
    if cursor.is_token(&Token::Period) {
        return Err(Diagnostic::error("a WATERMARK on a nested field is not supported")
            .at(column.span)
            .hint("make it a column: `ts AS a.b`, WATERMARK FOR ts"));
    }
    cursor.expect_words(&["AS"])?;
    Ok(column)
}

fn refuse_unique(cursor: &Cursor<'_>) -> Result<(), Diagnostic> {
    if cursor.is_word("UNIQUE") {
        return Err(Diagnostic::error("UNIQUE is not supported").at(cursor.span()));
    }
    Ok(())
}

fn not_enforced(cursor: &mut Cursor<'_>, key: Span) -> Result<(), Diagnostic> {
    if cursor.take_words(&["NOT", "ENFORCED"]) {
        return Ok(());
    }
    Err(Diagnostic::error("a PRIMARY KEY is not enforced, and has to say so")
        .at(key.to(cursor.last_span()))
        .hint("write NOT ENFORCED behind it"))
}

fn at_comment(cursor: &Cursor<'_>) -> bool {
    cursor.is_word("COMMENT")
        && cursor.peek_nth(1).is_some_and(|t| matches!(t.token(), Token::SingleQuotedString(_)))
}

fn comment(cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
    if cursor.take_words(&["COMMENT"]) {
        cursor.string("a comment in single quotes")?;
    }
    Ok(())
}

type Options = Vec<(Spanned<String>, Spanned<String>)>;

#[derive(Default)]
struct Clauses {
    partitioned_by: Vec<Spanned<String>>,
    options: Options,
}

/// What follows the columns.
fn clauses(cursor: &mut Cursor<'_>) -> Result<(Clauses, Option<table_like::Like>), Diagnostic> {
    let mut clauses = Clauses::default();
    comment(cursor)?;
    if cursor.is_word("DISTRIBUTED") {
        return Err(Diagnostic::error("DISTRIBUTED BY is not supported")
            .at(cursor.span())
            .hint("PARTITIONED BY makes folders"));
    }
    if cursor.take_words(&["PARTITIONED"]) {
        cursor.expect_words(&["BY"])?;
        clauses.partitioned_by = cursor.identifiers("a column's name")?;
    }
    if cursor.take_words(&["WITH"]) {
        clauses.options = options(cursor)?;
    }
    let like =
        if cursor.take_words(&["LIKE"]) { Some(table_like::parse(cursor)?) } else { None };
    if cursor.is_word("AS") {
        return Err(Diagnostic::error("CREATE TABLE … AS is not supported")
            .at(cursor.span())
            .hint("write the columns, and INSERT INTO … SELECT …"));
    }
    if !cursor.is_at_end() {
        let words = ["WITH", "PARTITIONED", "LIKE", "COMMENT"];
        return Err(cursor.unexpected_word("`WITH` or the end of the statement", &words));
    }
    Ok((clauses, like))
}

/// `('key' = 'value', …)`.
fn options(cursor: &mut Cursor<'_>) -> Result<Options, Diagnostic> {
    cursor.expect(&Token::LParen)?;
    let mut options = Vec::new();
    if cursor.take(&Token::RParen) {
        return Ok(options);
    }
    loop {
        let key = cursor.string("an option's key in single quotes")?;
        cursor.expect(&Token::Eq)?;
        let value = cursor.string("an option's value in single quotes")?;
        options.push((key, value));
        if !cursor.take(&Token::Comma) {
            break;
        }
    }
    if cursor.take(&Token::RParen) { Ok(options) } else { Err(cursor.unexpected("`,` or `)`")) }
}
