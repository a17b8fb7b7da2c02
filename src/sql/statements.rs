//! A script's statements: where one ends, and which kind it is.
//!
//! A statement ends at a `;`; between `EXECUTE STATEMENT SET BEGIN` and `END`
//! several INSERTs are one. A broken statement does not hide the next one's
//! faults.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::ast::{
    CreateFunction, CreateTable, CreateView, Insert, Query, Statement, StatementKind,
};
use super::create_table;
use super::cursor::Cursor;
use super::lexer::{Lexed, Tok};
use super::query::{extent, parse_query};
use super::refused;
use crate::diagnostics::{Diagnostic, Span, Spanned};

/// What reading a statement yields.
type Parsed<T> = Result<T, Vec<Diagnostic>>;

/// Reads statements one after another; a table may be LIKE an earlier one.
pub(super) struct Statements<'a> {
    text: &'a str,
    /// What stands between semicolons.
    pieces: std::vec::IntoIter<&'a [Tok]>,
    /// False if the script breaks off within a literal or comment.
    is_complete: bool,
    tables: Vec<CreateTable>,
    pub statements: Vec<Statement>,
    pub diagnostics: Vec<Diagnostic>,
}

impl<'a> Statements<'a> {
    pub fn new(text: &'a str, lexed: &'a Lexed) -> Self {
        let pieces: Vec<_> = lexed
            .toks
            .split(|t| *t.token() == Token::SemiColon)
            .filter(|piece| !piece.is_empty())
            .collect();
        Self {
            text,
            pieces: pieces.into_iter(),
            is_complete: lexed.is_complete,
            tables: Vec::new(),
            statements: Vec::new(),
            diagnostics: Vec::new(),
        }
    }

    pub fn read_all(&mut self) {
        while let Some(piece) = self.pieces.next() {
            let start = extent(piece, Span::default());
            match self.statement(piece) {
                Ok((kind, end)) => {
                    self.statements.push(Statement { span: start.to(end), kind });
                }
                Err(diagnostics) => {
                    self.diagnostics.extend(diagnostics.into_iter().map(|d| d.or_at(start)));
                }
            }
        }
    }

    /// A statement, and the place it ends at.
    fn statement(&mut self, piece: &'a [Tok]) -> Parsed<(StatementKind, Span)> {
        let mut cursor = Cursor::new(piece);
        if cursor.take_words(&["EXPLAIN", "PLAN", "FOR"])
            || (cursor.are_words(&["EXPLAIN", "INSERT"])
                || cursor.are_words(&["EXPLAIN", "STATEMENT"])
                || cursor.are_words(&["EXPLAIN", "EXECUTE"]))
                && cursor.take_words(&["EXPLAIN"])
        {
            // Flink writes EXPLAIN STATEMENT SET, and EXECUTE only to run it.
            cursor.take_words(&["EXECUTE"]);
            if cursor.take_words(&["STATEMENT", "SET"]) {
                cursor.expect_words(&["BEGIN"]).map_err(|d| vec![d])?;
                let (kind, end) = self.statement_set(piece, cursor.rest())?;
                let StatementKind::Insert(inserts) = kind else {
                    unreachable!("a statement set holds INSERTs")
                };
                return Ok((StatementKind::Explain(inserts), end));
            }
            let inserts = vec![insert(cursor)?];
            return Ok((StatementKind::Explain(inserts), extent(piece, Span::default())));
        }
        if cursor.take_words(&["EXECUTE", "STATEMENT", "SET"]) {
            cursor.expect_words(&["BEGIN"]).map_err(|d| vec![d])?;
            return self.statement_set(piece, cursor.rest());
        }
        if cursor.take_words(&["BEGIN", "STATEMENT", "SET"]) {
            cursor.expect_end().map_err(|d| vec![d])?;
            return self.statement_set(piece, &[]);
        }
        if cursor.are_words(&["EXECUTE", "INSERT"]) || cursor.are_words(&["EXECUTE", "SELECT"])
        {
            cursor.next();
        }
        Ok((self.simple(piece, cursor)?, extent(piece, Span::default())))
    }

    fn simple(&mut self, piece: &'a [Tok], mut cursor: Cursor<'a>) -> Parsed<StatementKind> {
        let word = cursor.peek().and_then(Tok::word).unwrap_or_default();
        match word.to_ascii_uppercase().as_str() {
            "CREATE" => self.create(cursor),
            "INSERT" => Ok(StatementKind::Insert(vec![insert(cursor)?])),
            "SELECT" | "WITH" | "VALUES" => self.query(cursor).map(StatementKind::Query),
            "" if cursor.is_token(&Token::LParen) => {
                self.query(cursor).map(StatementKind::Query)
            }
            "SET" => self.set(cursor).map_err(|d| vec![d]),
            "RESET" => self.reset(cursor).map_err(|d| vec![d]),
            "DROP" => drop(&mut cursor).map_err(|d| vec![d]),
            "END" => {
                let message = "END without EXECUTE STATEMENT SET BEGIN";
                Err(vec![Diagnostic::error(message).at(cursor.span())])
            }
            _ => Err(vec![refused::statement(piece)]),
        }
    }

    fn query(&self, cursor: Cursor<'a>) -> Parsed<Query> {
        parse_query(cursor.rest(), cursor.last_span())
    }

    /// The INSERTs up to `END`; `first` follows `BEGIN` without a semicolon.
    fn statement_set(
        &mut self,
        opening: &'a [Tok],
        first: &'a [Tok],
    ) -> Parsed<(StatementKind, Span)> {
        let mut inserts = Vec::new();
        let mut diagnostics = Vec::new();
        let mut next = (!first.is_empty()).then_some(first);
        loop {
            let Some(piece) = next.take().or_else(|| self.pieces.next()) else {
                if self.is_complete {
                    let message = "the STATEMENT SET has no END";
                    let place = extent(opening, Span::default());
                    let diagnostic = Diagnostic::error(message).at(place).hint("write `END;`");
                    diagnostics.push(diagnostic);
                }
                return Err(diagnostics);
            };
            let cursor = Cursor::new(piece);
            if cursor.is_word("END") {
                let mut cursor = cursor;
                cursor.next();
                diagnostics.extend(cursor.expect_end().err());
                if inserts.is_empty() && diagnostics.is_empty() {
                    let message = "the STATEMENT SET is empty";
                    diagnostics.push(Diagnostic::error(message));
                }
                return if diagnostics.is_empty() {
                    Ok((StatementKind::Insert(inserts), extent(piece, Span::default())))
                } else {
                    Err(diagnostics)
                };
            }
            if !cursor.is_word("INSERT") {
                let message = "a STATEMENT SET holds INSERT statements alone";
                diagnostics.push(Diagnostic::error(message).at(extent(piece, cursor.span())));
                continue;
            }
            match insert(cursor) {
                Ok(insert) => inserts.push(insert),
                Err(found) => diagnostics.extend(found),
            }
        }
    }

    fn create(&mut self, mut cursor: Cursor<'a>) -> Parsed<StatementKind> {
        let whole = cursor.clone();
        cursor.take_words(&["CREATE"]);
        let temporary = cursor.take_words(&["TEMPORARY"]);
        if (temporary && cursor.take_words(&["SYSTEM", "FUNCTION"]))
            || cursor.take_words(&["FUNCTION"])
        {
            let function = function(&mut cursor).map_err(|d| vec![d])?;
            return Ok(StatementKind::CreateFunction(function));
        }
        if cursor.take_words(&["TABLE"]) {
            let table = create_table::parse(cursor, &self.tables)?;
            self.tables.retain(|t| t.name.value != table.name.value);
            self.tables.push(table.clone());
            return Ok(StatementKind::CreateTable(table));
        }
        if cursor.take_words(&["VIEW"]) {
            return view(cursor).map(StatementKind::CreateView);
        }
        Err(vec![refused::create(&whole, &cursor)])
    }

    /// `SET 'k' = 'v'`, or `SET k = v` as the SQL client takes it.
    fn set(&self, mut cursor: Cursor<'a>) -> Result<StatementKind, Diagnostic> {
        cursor.take_words(&["SET"]);
        if cursor.is_at_end() {
            return Err(Diagnostic::error("SET without a key is not supported")
                .at(cursor.last_span())
                .hint("write SET 'key' = 'value'"));
        }
        let key = cursor.take_until(|c| c.is_token(&Token::Eq));
        if key.is_empty() {
            return Err(cursor.unexpected("a key"));
        }
        cursor.expect(&Token::Eq)?;
        let value = cursor.rest();
        if value.is_empty() {
            return Err(cursor.unexpected("a value"));
        }
        Ok(StatementKind::Set { key: self.raw(key)?, value: self.raw(value)? })
    }

    fn reset(&self, mut cursor: Cursor<'a>) -> Result<StatementKind, Diagnostic> {
        cursor.take_words(&["RESET"]);
        let key = cursor.rest();
        let key = if key.is_empty() { None } else { Some(self.raw(key)?) };
        Ok(StatementKind::Reset(key))
    }

    /// A string literal's value, or the text of `toks` as it is written.
    fn raw(&self, toks: &[Tok]) -> Result<Spanned<String>, Diagnostic> {
        let span = extent(toks, Span::default());
        let mut cursor = Cursor::new(toks);
        if cursor.is_string() {
            let literal = cursor.string("a string")?;
            return cursor.expect_end().map(|()| literal);
        }
        Ok(Spanned::new(self.text[span.start..span.end].to_owned(), span))
    }
}

/// `[IF NOT EXISTS] f AS 'class' [LANGUAGE JAVA|SCALA|PYTHON] [USING JAR '…', …]`.
/// Where the class is to be found does not matter: no class is loaded.
fn function(cursor: &mut Cursor<'_>) -> Result<CreateFunction, Diagnostic> {
    let if_not_exists = cursor.take_words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.table_name("the function's name")?;
    cursor.expect_words(&["AS"])?;
    let class = cursor.string("the class, in quotes")?;
    if cursor.take_words(&["LANGUAGE"]) {
        let known = ["JAVA", "SCALA", "PYTHON"];
        if !known.iter().any(|language| cursor.take_words(&[language])) {
            return Err(cursor.unexpected_word("JAVA, SCALA or PYTHON", &known));
        }
    }
    if cursor.take_words(&["USING"]) {
        loop {
            cursor.expect_words(&["JAR"])?;
            cursor.string("the jar's path, in quotes")?;
            if !cursor.take(&Token::Comma) {
                break;
            }
        }
    }
    cursor.expect_end()?;
    Ok(CreateFunction { name, if_not_exists, class })
}

/// `DROP [TEMPORARY] TABLE|VIEW [IF EXISTS] name`.
fn drop(cursor: &mut Cursor<'_>) -> Result<StatementKind, Diagnostic> {
    let whole = cursor.clone();
    cursor.take_words(&["DROP"]);
    let temporary = cursor.take_words(&["TEMPORARY"]);
    if (temporary && cursor.take_words(&["SYSTEM", "FUNCTION"]))
        || cursor.take_words(&["FUNCTION"])
    {
        let if_exists = cursor.take_words(&["IF", "EXISTS"]);
        let name = cursor.table_name("the name of a function")?;
        cursor.expect_end()?;
        return Ok(StatementKind::DropFunction { name, if_exists });
    }
    if !cursor.take_words(&["TABLE"]) && !cursor.take_words(&["VIEW"]) {
        return Err(refused::create(&whole, cursor));
    }
    let if_exists = cursor.take_words(&["IF", "EXISTS"]);
    let name = cursor.table_name("the name of a table or view")?;
    cursor.expect_end()?;
    Ok(StatementKind::Drop { name, if_exists })
}

/// `[IF NOT EXISTS] v [(column [COMMENT '…'], …)] [COMMENT '…'] AS query`.
fn view(mut cursor: Cursor<'_>) -> Parsed<CreateView> {
    let (name, if_not_exists, columns) = view_head(&mut cursor).map_err(|d| vec![d])?;
    let query = parse_query(cursor.rest(), cursor.last_span())?;
    Ok(CreateView { name, if_not_exists, columns, query })
}

type ViewHead = (Spanned<String>, bool, Vec<Spanned<String>>);

fn view_head(cursor: &mut Cursor<'_>) -> Result<ViewHead, Diagnostic> {
    let if_not_exists = cursor.take_words(&["IF", "NOT", "EXISTS"]);
    let name = cursor.table_name("the view's name")?;
    let mut columns = Vec::new();
    if cursor.take(&Token::LParen) {
        loop {
            columns.push(cursor.identifier("a column's name")?);
            if cursor.take_words(&["COMMENT"]) {
                cursor.string("a comment in single quotes")?;
            }
            if !cursor.take(&Token::Comma) {
                break;
            }
        }
        cursor.expect(&Token::RParen)?;
    }
    if cursor.take_words(&["COMMENT"]) {
        cursor.string("a comment in single quotes")?;
    }
    cursor.expect_words(&["AS"])?;
    Ok((name, if_not_exists, columns))
}

/// `INSERT INTO t [(a, b)] query`.
fn insert(mut cursor: Cursor<'_>) -> Parsed<Insert> {
    let start = cursor.span();
    let (target, columns) = insert_head(&mut cursor).map_err(|d| vec![d])?;
    let query = parse_query(cursor.rest(), cursor.last_span())?;
    Ok(Insert { span: start.to(query.span), target, columns, query })
}

type InsertHead = (Spanned<String>, Vec<Spanned<String>>);

fn insert_head(cursor: &mut Cursor<'_>) -> Result<InsertHead, Diagnostic> {
    cursor.expect_words(&["INSERT"])?;
    if cursor.is_word("OVERWRITE") {
        return Err(Diagnostic::error("INSERT OVERWRITE is not supported")
            .at(cursor.span())
            .label("a stream is appended to")
            .hint("write INSERT INTO, and give the table an empty path"));
    }
    cursor.expect_words(&["INTO"])?;
    let target = cursor.table_name("the name of the table to insert into")?;
    if cursor.is_word("PARTITION") {
        return Err(Diagnostic::error("a static PARTITION (…) is not supported")
            .at(cursor.span())
            .hint("select the partition columns' values as the last columns"));
    }
    let opens_query = ["SELECT", "WITH", "VALUES"]
        .iter()
        .any(|word| cursor.peek_nth(1).is_some_and(|t| t.is(word)))
        || cursor.peek_nth(1).is_some_and(|t| *t.token() == Token::LParen);
    let columns = if cursor.is_token(&Token::LParen) && !opens_query {
        cursor.identifiers("a column's name")?
    } else {
        Vec::new()
    };
    let begins_query = cursor.is_token(&Token::LParen)
        || ["SELECT", "WITH", "VALUES", "TABLE"].iter().any(|word| cursor.is_word(word));
    if !begins_query {
        let words = ["SELECT", "VALUES", "WITH"];
        return Err(cursor.unexpected_word("a query or VALUES", &words));
    }
    Ok((target, columns))
}
