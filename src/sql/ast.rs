//! The statements of a script.
//!
//! Queries and expressions are sqlparser's AST, whose spans are lines and
//! columns of the whole script (not of the statement); [`Script::span`] turns
//! them into byte offsets.

use datafusion::sql::sqlparser::ast as sql;
use datafusion::sql::sqlparser::tokenizer;

use crate::diagnostics::{SourceFile, Span, Spanned};
use crate::types::ColumnType;

#[derive(Debug, Clone)]
pub struct Script {
    pub file: SourceFile,
    pub statements: Vec<Statement>,
    /// Byte offset of the start of every line.
    pub line_starts: Vec<usize>,
}

#[derive(Debug, Clone)]
pub struct Statement {
    pub span: Span,
    pub kind: StatementKind,
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a script has few statements")]
pub enum StatementKind {
    CreateTable(CreateTable),
    CreateView(CreateView),
    /// Several inserts that run as one job: `EXECUTE STATEMENT SET BEGIN … END`,
    /// or one alone.
    Insert(Vec<Insert>),
    /// `EXPLAIN` of the same: shown, not run.
    Explain(Vec<Insert>),
    /// `SET 'key' = 'value'`.
    Set {
        key: Spanned<String>,
        value: Spanned<String>,
    },
    /// `RESET 'key'`, or `RESET` of all.
    Reset(Option<Spanned<String>>),
    /// `DROP TABLE` or `DROP VIEW`, `IF EXISTS` or not.
    Drop {
        name: Spanned<String>,
        if_exists: bool,
    },
    /// `CREATE FUNCTION`.
    CreateFunction(CreateFunction),
    /// `DROP FUNCTION`, `IF EXISTS` or not.
    DropFunction {
        name: Spanned<String>,
        if_exists: bool,
    },
    /// A query with no sink (`SELECT …` at the top level).
    Query(Query),
}

/// `CREATE FUNCTION f AS 'class'`.
#[derive(Debug, Clone)]
pub struct CreateFunction {
    pub name: Spanned<String>,
    pub if_not_exists: bool,
    /// The class that it names.
    pub class: Spanned<String>,
}

#[derive(Debug, Clone)]
pub struct CreateTable {
    pub name: Spanned<String>,
    pub if_not_exists: bool,
    pub columns: Vec<ColumnDef>,
    pub watermark: Option<WatermarkDef>,
    /// `PRIMARY KEY (…) NOT ENFORCED`.
    pub primary_key: Vec<Spanned<String>>,
    pub partitioned_by: Vec<Spanned<String>>,
    /// `WITH (…)`, environment variables resolved.
    pub options: Vec<(Spanned<String>, Spanned<String>)>,
}

#[derive(Debug, Clone)]
pub struct ColumnDef {
    pub name: Spanned<String>,
    pub kind: ColumnKind,
}

#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a script has few columns")]
pub enum ColumnKind {
    Physical(ColumnType),
    /// `name TYPE METADATA [FROM 'key'] [VIRTUAL]`.
    Metadata {
        ty: ColumnType,
        ty_span: Span,
        /// The column's own name where `FROM` is left out.
        key: Spanned<String>,
        is_virtual: bool,
    },
    /// `name AS expr`.
    Computed(Expr),
}

/// `WATERMARK FOR column AS expr`.
#[derive(Debug, Clone)]
pub struct WatermarkDef {
    pub column: Spanned<String>,
    pub expr: Expr,
}

#[derive(Debug, Clone)]
pub struct CreateView {
    pub name: Spanned<String>,
    pub if_not_exists: bool,
    pub columns: Vec<Spanned<String>>,
    pub query: Query,
}

#[derive(Debug, Clone)]
pub struct Insert {
    pub span: Span,
    pub target: Spanned<String>,
    /// `INSERT INTO t (a, b)`; empty: all, in order.
    pub columns: Vec<Spanned<String>>,
    pub query: Query,
}

/// A query and its place.
#[derive(Debug, Clone)]
pub struct Query {
    pub span: Span,
    pub ast: Box<sql::Query>,
}

/// An expression and its place.
#[derive(Debug, Clone)]
pub struct Expr {
    pub span: Span,
    pub ast: sql::Expr,
}

impl Script {
    /// A place of sqlparser's (lines and columns, from 1, in characters, the
    /// end exclusive) in bytes; `None` where sqlparser knew no place.
    pub fn span(&self, span: tokenizer::Span) -> Option<Span> {
        let start = self.offset(span.start)?;
        let end = self.offset(span.end)?;
        Some(Span::new(start, end.max(start)))
    }

    fn offset(&self, at: tokenizer::Location) -> Option<usize> {
        let line = usize::try_from(at.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(at.column).ok()?.checked_sub(1)?;
        let start = *self.line_starts.get(line)?;
        let text = &self.file.text[start..];
        let within = text.char_indices().nth(column).map_or(text.len(), |(i, _)| i);
        Some(start + within)
    }
}
