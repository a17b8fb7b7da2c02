//! Flink's type syntax, the same for columns and for CAST.
//!
//! sqlparser reads the types it knows, but not `ROW<…>`, `MAP<…>`, `T ARRAY` or
//! `TIMESTAMP … WITH LOCAL TIME ZONE`. So one parser here reads all of them;
//! inside a query a type that sqlparser cannot read travels as one quoted name
//! ([`super::rewrite`]), and [`resolve_type`] reads it back.

use datafusion::sql::sqlparser::ast as sql;
use datafusion::sql::sqlparser::tokenizer::Token;

use super::cursor::{Cursor, describe};
use super::lexer;
use crate::diagnostics::{Diagnostic, Span};
use crate::types::{ColumnType, RowField, SqlType};

/// How deep types may nest.
const MAX_DEPTH: usize = 32;
const MAX_LENGTH: u32 = i32::MAX as u32;

/// Every name that a type can begin with, for "did you mean".
const NAMES: &[&str] = &[
    "ARRAY",
    "BIGINT",
    "BINARY",
    "BOOLEAN",
    "BYTES",
    "CHAR",
    "DATE",
    "DECIMAL",
    "DOUBLE",
    "FLOAT",
    "INT",
    "INTEGER",
    "MAP",
    "MULTISET",
    "NUMERIC",
    "ROW",
    "SMALLINT",
    "STRING",
    "TIME",
    "TIMESTAMP",
    "TIMESTAMP_LTZ",
    "TINYINT",
    "VARBINARY",
    "VARCHAR",
];

/// What other systems call a type, and what Flink calls it.
const FOREIGN_NAMES: &[(&str, &str)] = &[
    ("BOOL", "BOOLEAN"),
    ("BLOB", "BYTES"),
    ("DATETIME", "TIMESTAMP"),
    ("INT2", "SMALLINT"),
    ("INT4", "INT"),
    ("INT8", "BIGINT"),
    ("INT32", "INT"),
    ("INT64", "BIGINT"),
    ("LONG", "BIGINT"),
    ("REAL", "FLOAT"),
    ("SHORT", "SMALLINT"),
    ("STRUCT", "ROW"),
    ("TEXT", "STRING"),
    ("TIMESTAMPTZ", "TIMESTAMP_LTZ"),
    ("UUID", "STRING"),
];

/// The type that sqlparser read as a CAST's target, or in a typed literal.
///
/// # Errors
/// The type is none of Flink's. The diagnostic has no place: sqlparser keeps
/// none for types. A query that [`super::parse`] let pass has no such type.
pub fn resolve_type(ty: &sql::DataType) -> Result<ColumnType, Diagnostic> {
    let text = match ty {
        sql::DataType::Custom(name, modifiers) if modifiers.is_empty() => {
            match name.0.as_slice() {
                [sql::ObjectNamePart::Identifier(ident)] => ident.value.clone(),
                _ => name.to_string(),
            }
        }
        ty => ty.to_string(),
    };
    let unplaced = |d: Diagnostic| Diagnostic { span: None, ..d };
    let mut lexed = lexer::lex(&text, &|_| None);
    if let Some(error) = lexed.diagnostics.pop() {
        return Err(unplaced(error));
    }
    let mut cursor = Cursor::new(&lexed.toks);
    let parsed = parse_type(&mut cursor).map_err(unplaced)?;
    cursor.expect_end().map_err(unplaced)?;
    Ok(parsed)
}

/// Reads a type with its `[NOT] NULL`.
pub(super) fn parse_type(cursor: &mut Cursor<'_>) -> Result<ColumnType, Diagnostic> {
    nested(cursor, 0)
}

fn nested(cursor: &mut Cursor<'_>, depth: usize) -> Result<ColumnType, Diagnostic> {
    if depth > MAX_DEPTH {
        let message = format!("types nest deeper than {MAX_DEPTH} levels");
        return Err(Diagnostic::error(message).at(cursor.span()));
    }
    let base = base(cursor, depth)?;
    let mut ty = nullability(cursor, base);
    for _ in depth..MAX_DEPTH {
        if cursor.take_words(&["ARRAY"]) {
            ty = nullability(cursor, SqlType::Array(Box::new(ty)));
        } else if cursor.take_words(&["MULTISET"]) {
            ty = nullability(cursor, SqlType::Multiset(Box::new(ty)));
        } else {
            break;
        }
    }
    Ok(ty)
}

fn nullability(cursor: &mut Cursor<'_>, ty: SqlType) -> ColumnType {
    if cursor.take_words(&["NOT", "NULL"]) {
        return ty.not_null();
    }
    cursor.take_words(&["NULL"]);
    ty.nullable()
}

fn base(cursor: &mut Cursor<'_>, depth: usize) -> Result<SqlType, Diagnostic> {
    let Some(word) = cursor.peek().and_then(|t| t.word()) else {
        return Err(cursor.unexpected("a type"));
    };
    let name = word.to_ascii_uppercase();
    let span = cursor.span();
    cursor.next();
    Ok(match name.as_str() {
        "BOOLEAN" => SqlType::Boolean,
        "TINYINT" => SqlType::TinyInt,
        "SMALLINT" => SqlType::SmallInt,
        "INT" | "INTEGER" => SqlType::Int,
        "BIGINT" => SqlType::BigInt,
        "FLOAT" => SqlType::Float,
        "DOUBLE" => {
            cursor.take_words(&["PRECISION"]);
            SqlType::Double
        }
        "DATE" => SqlType::Date,
        "STRING" => SqlType::STRING,
        "BYTES" => SqlType::BYTES,
        "CHAR" | "CHARACTER" if cursor.take_words(&["VARYING"]) => {
            SqlType::Varchar(length(cursor, MAX_LENGTH)?)
        }
        "CHAR" | "CHARACTER" => SqlType::Char(length(cursor, 1)?),
        "VARCHAR" => SqlType::Varchar(length(cursor, MAX_LENGTH)?),
        "BINARY" if cursor.take_words(&["VARYING"]) => {
            SqlType::Varbinary(length(cursor, MAX_LENGTH)?)
        }
        "BINARY" => SqlType::Binary(length(cursor, 1)?),
        "VARBINARY" => SqlType::Varbinary(length(cursor, MAX_LENGTH)?),
        "DECIMAL" | "DEC" | "NUMERIC" => decimal(cursor)?,
        "TIME" => time(cursor)?,
        "TIMESTAMP" => timestamp(cursor)?,
        "TIMESTAMP_LTZ" => SqlType::TimestampLtz(precision(cursor, 6)?),
        "ARRAY" => {
            open_angle(cursor)?;
            let item = nested(cursor, depth + 1)?;
            close_angle(cursor)?;
            SqlType::Array(Box::new(item))
        }
        "MAP" => {
            open_angle(cursor)?;
            let key = nested(cursor, depth + 1)?;
            cursor.expect(&Token::Comma)?;
            let value = nested(cursor, depth + 1)?;
            close_angle(cursor)?;
            SqlType::Map(Box::new(key), Box::new(value))
        }
        "ROW" => row(cursor, depth)?,
        "MULTISET" => {
            open_angle(cursor)?;
            let item = nested(cursor, depth + 1)?;
            close_angle(cursor)?;
            SqlType::Multiset(Box::new(item))
        }
        "RAW" | "STRUCTURED" | "INTERVAL" | "VARIANT" | "DESCRIPTOR" | "BITMAP" => {
            return Err(Diagnostic::error(format!("type {name} is not supported")).at(span));
        }
        _ => return Err(unknown_type(word, span)),
    })
}

fn unknown_type(word: &str, span: Span) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("unknown type `{word}`")).at(span);
    let foreign = FOREIGN_NAMES.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
    match foreign {
        Some((_, flink)) => diagnostic.hint(format!("Flink SQL calls it `{flink}`")),
        None => diagnostic.did_you_mean(word, NAMES.iter().copied()),
    }
}

/// `(n)`; Flink takes the longest where a varying type leaves it out, else 1.
fn length(cursor: &mut Cursor<'_>, default: u32) -> Result<u32, Diagnostic> {
    bounded(cursor, "length", default, 1, MAX_LENGTH)
}

/// `(p)` of a time.
fn precision(cursor: &mut Cursor<'_>, default: u8) -> Result<u8, Diagnostic> {
    let precision = bounded(cursor, "precision", u32::from(default), 0, 9)?;
    Ok(u8::try_from(precision).expect("at most 9"))
}

fn bounded(
    cursor: &mut Cursor<'_>,
    what: &str,
    default: u32,
    least: u32,
    most: u32,
) -> Result<u32, Diagnostic> {
    if !cursor.take(&Token::LParen) {
        return Ok(default);
    }
    let number = within(cursor, what, least, most)?;
    cursor.expect(&Token::RParen)?;
    Ok(number)
}

fn within(
    cursor: &mut Cursor<'_>,
    what: &str,
    least: u32,
    most: u32,
) -> Result<u32, Diagnostic> {
    let number = cursor.number(&format!("a {what}"))?;
    if (least..=most).contains(&number.value) {
        return Ok(number.value);
    }
    let message = format!("{what} {} is out of range", number.value);
    Err(Diagnostic::error(message)
        .at(number.span)
        .label(format!("{least} to {most} are possible")))
}

fn decimal(cursor: &mut Cursor<'_>) -> Result<SqlType, Diagnostic> {
    let mut scale = 0;
    if !cursor.take(&Token::LParen) {
        return Ok(SqlType::Decimal { precision: 10, scale });
    }
    let precision = within(cursor, "precision", 1, 38)?;
    if cursor.take(&Token::Comma) {
        let bounded = within(cursor, "scale", 0, precision)?;
        scale = i8::try_from(bounded).expect("at most 38");
    }
    cursor.expect(&Token::RParen)?;
    Ok(SqlType::Decimal { precision: u8::try_from(precision).expect("at most 38"), scale })
}

fn time(cursor: &mut Cursor<'_>) -> Result<SqlType, Diagnostic> {
    let ty = SqlType::Time(precision(cursor, 0)?);
    cursor.take_words(&["WITHOUT", "TIME", "ZONE"]);
    if cursor.are_words(&["WITH"]) {
        return Err(without_zone_only("TIME", cursor));
    }
    Ok(ty)
}

fn timestamp(cursor: &mut Cursor<'_>) -> Result<SqlType, Diagnostic> {
    let precision = precision(cursor, 6)?;
    if cursor.take_words(&["WITH", "LOCAL", "TIME", "ZONE"]) {
        return Ok(SqlType::TimestampLtz(precision));
    }
    if cursor.are_words(&["WITH", "TIME", "ZONE"]) {
        return Err(without_zone_only("TIMESTAMP", cursor)
            .hint("write TIMESTAMP_LTZ for a point in time"));
    }
    cursor.take_words(&["WITHOUT", "TIME", "ZONE"]);
    Ok(SqlType::Timestamp(precision))
}

fn without_zone_only(name: &str, cursor: &Cursor<'_>) -> Diagnostic {
    Diagnostic::error(format!("{name} WITH TIME ZONE is not supported")).at(cursor.span())
}

fn open_angle(cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
    cursor.expect(&Token::Lt).map(|_| ())
}

fn close_angle(cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
    if cursor.take_closing_angle() { Ok(()) } else { Err(cursor.unexpected("`>`")) }
}

/// `ROW<a T 'comment', …>` or `ROW(a T, …)`.
fn row(cursor: &mut Cursor<'_>, depth: usize) -> Result<SqlType, Diagnostic> {
    if cursor.take(&Token::Neq) {
        return Ok(SqlType::Row(Vec::new()));
    }
    let round = cursor.take(&Token::LParen);
    if !round && !cursor.take(&Token::Lt) {
        return Err(cursor.unexpected("`<` and the fields of the ROW"));
    }
    let mut fields: Vec<RowField> = Vec::new();
    loop {
        let name = cursor.identifier("a field's name")?;
        if fields.iter().any(|f| f.name == name.value) {
            let message = format!("field {} is there twice", describe_name(&name.value));
            return Err(Diagnostic::error(message).at(name.span));
        }
        let ty = nested(cursor, depth + 1)?;
        if cursor.is_string() {
            cursor.next();
        }
        fields.push(RowField { name: name.value, ty });
        if !cursor.take(&Token::Comma) {
            break;
        }
    }
    let closed = if round { cursor.take(&Token::RParen) } else { cursor.take_closing_angle() };
    if !closed {
        return Err(cursor.unexpected(if round { "`,` or `)`" } else { "`,` or `>`" }));
    }
    Ok(SqlType::Row(fields))
}

fn describe_name(name: &str) -> String {
    describe(&Token::make_word(name, None))
}
