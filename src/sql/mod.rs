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
mod function_text;
mod lexer;
mod predicates;
mod query;
mod refused;
mod reserved;
mod rewrite;
mod rewrite_json;
mod rewrite_refused;
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
pub use function_text::{SqlFunction, parse_sql_function};
pub use predicates::may_repeat;
pub use rewrite::PARTITION_BY;
use statements::Statements;

/// Looks up an environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// sqlparser goes 50 levels deep, and takes up to 150 kB for each without
/// optimization: more than a thread has by default.
const STACK_BYTES: usize = 16 << 20;

/// Parses a script.
///
/// # Errors
/// Every statement that could not be parsed, each with its place: one broken
/// statement does not hide the next one's fault.
pub fn parse(file: &SourceFile, env: Env<'_>) -> Result<Script, Vec<Diagnostic>> {
    let mut lexed = lexer::lex(&file.text, env);
    let mut diagnostics = std::mem::take(&mut lexed.diagnostics);
    let (statements, mut found) = on_a_deep_stack(|| {
        let mut reader = Statements::new(&file.text, &lexed);
        reader.read_all();
        (reader.statements, reader.diagnostics)
    });
    diagnostics.append(&mut found);
    if !diagnostics.is_empty() {
        diagnostics.sort_by_key(|d| d.span);
        return Err(diagnostics);
    }
    let line_starts = lexer::line_starts(&file.text);
    Ok(Script { file: file.clone(), statements, line_starts })
}

fn on_a_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
        let thread = thread.spawn_scoped(scope, work).expect("the system starts a thread");
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The script's text with its environment variables resolved, as a Flink
/// cluster can run it.
///
/// # Errors
/// A variable that is not set and has no default, or a literal without an end.
pub fn resolve_variables(file: &SourceFile, env: Env<'_>) -> Result<String, Vec<Diagnostic>> {
    let lexed = lexer::lex(&file.text, env);
    if !lexed.diagnostics.is_empty() {
        return Err(lexed.diagnostics);
    }
    Ok(lexer::resolved_text(&file.text, &lexed.toks))
}
