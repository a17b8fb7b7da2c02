//! From a script's text to its statements.
//!
//! sqlparser reads expressions and queries; the script splitter, Flink's DDL
//! and `${VAR}` are ours, on sqlparser's tokenizer, so that every statement
//! and every name keeps its place in the file. No I/O: the environment is
//! passed in.

pub mod ast;
mod create_table;
mod cursor;
mod data_types;
mod dialect;
mod lexer;
mod query;
mod refused;
mod reserved;
mod rewrite;
mod rewrite_json;
mod statements;
mod strict;
mod table_checks;
mod table_like;
#[cfg(test)]
mod tests;

use crate::diagnostics::{Diagnostic, SourceFile};
use ast::Script;
pub use data_types::resolve_type;
pub use dialect::FlinkDialect;
pub use rewrite::PARTITION_BY;
use statements::Statements;

/// Looks up an environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Parses a script.
///
/// # Errors
/// Every statement that could not be parsed, each with its place: one broken
/// statement does not hide the next one's fault.
pub fn parse(file: &SourceFile, env: Env<'_>) -> Result<Script, Vec<Diagnostic>> {
    let mut lexed = lexer::lex(&file.text, env);
    let mut diagnostics = std::mem::take(&mut lexed.diagnostics);
    let mut reader = Statements::new(&file.text, &lexed);
    reader.read_all();
    let statements = reader.statements;
    diagnostics.append(&mut reader.diagnostics);
    if !diagnostics.is_empty() {
        diagnostics.sort_by_key(|d| d.span);
        return Err(diagnostics);
    }
    let line_starts = lexer::line_starts(&file.text);
    Ok(Script { file: file.clone(), statements, line_starts })
}
