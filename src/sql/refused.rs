//! Flink's statements that a single job has no use for: refused by name, with
//! what to do instead.

use super::cursor::{Cursor, describe};
use super::lexer::Tok;
use super::query::extent;
use crate::diagnostics::{Diagnostic, Span};

/// How a statement begins, and what to do instead.
const STATEMENTS: &[(&[&str], &str)] = &[
    (&["USE"], CATALOG),
    (&["SHOW"], LOOK),
    (&["DESCRIBE"], LOOK),
    (&["DESC"], LOOK),
    (&["EXPLAIN"], "write EXPLAIN INSERT INTO …; it has no other details"),
    (&["ALTER"], "write what it is to be in the CREATE statement"),
    (&["ADD", "JAR"], JAR),
    (&["REMOVE", "JAR"], JAR),
    (&["LOAD", "MODULE"], JAR),
    (&["UNLOAD", "MODULE"], JAR),
    (&["ANALYZE"], ""),
    (&["CALL"], ""),
    (&["COMPILE"], PLAN),
    (&["EXECUTE"], "write the INSERT itself, or EXECUTE STATEMENT SET BEGIN … END"),
    (&["PLAN"], PLAN),
    (&["DELETE"], CHANGE),
    (&["UPDATE"], CHANGE),
    (&["MERGE"], CHANGE),
    (&["TRUNCATE"], CHANGE),
    (&["REPLACE"], "write CREATE TABLE and INSERT INTO"),
    (&["STOP", "JOB"], "stop the process: it ends after a checkpoint"),
    (&["BEGIN"], "write EXECUTE STATEMENT SET BEGIN … END"),
    (&["QUIT"], ""),
    (&["EXIT"], ""),
    (&["HELP"], ""),
    (&["CLEAR"], ""),
    (&["SOURCE"], ""),
];

/// What can be created and dropped in Flink besides tables and views.
const OBJECTS: &[(&[&str], &str)] = &[
    (&["CATALOG"], CATALOG),
    (&["DATABASE"], CATALOG),
    (&["MODEL"], ""),
    (&["CONNECTION"], "give the options in the table's WITH clause"),
    (&["MATERIALIZED", "TABLE"], "write CREATE TABLE and INSERT INTO"),
    (&["OR"], "a script creates a table once"),
];

const CATALOG: &str = "name tables without a catalog, and create them in the script";
const CHANGE: &str = "a job appends to its tables; it does not change them";
const JAR: &str = "connectors and formats are built in; leave the statement out";
const LOOK: &str = "run `turnstile check` on the script to see its tables";
const PLAN: &str = "write the INSERT itself";

const KNOWN: &[&str] =
    &["CREATE", "INSERT", "SELECT", "SET", "RESET", "DROP", "EXECUTE", "WITH", "VALUES", "END"];

/// Says what is wrong with a statement that we do not read.
pub(super) fn statement(toks: &[Tok]) -> Diagnostic {
    let cursor = Cursor::new(toks);
    let found = STATEMENTS.iter().find(|(words, _)| cursor.are_words(words));
    if let Some((words, hint)) = found {
        return refuse(&words.join(" "), &toks[..words.len()], hint);
    }
    let place = cursor.span();
    match cursor.peek().and_then(Tok::word) {
        Some(word) => Diagnostic::error(format!("unknown statement `{word}`"))
            .at(place)
            .did_you_mean(word, KNOWN.iter().copied()),
        None => cursor.unexpected("a statement"),
    }
}

/// Says what is wrong with a CREATE or DROP of something else than a table or
/// view; `object` stands at what it is.
pub(super) fn create(whole: &Cursor<'_>, object: &Cursor<'_>) -> Diagnostic {
    let found = OBJECTS.iter().find(|(words, _)| object.are_words(words));
    let Some((words, hint)) = found else {
        return object.unexpected_word("`TABLE` or `VIEW`", &["TABLE", "VIEW", "TEMPORARY"]);
    };
    let length = object.position() - whole.position() + words.len();
    let toks = &whole.rest()[..length];
    let name: Vec<_> = toks.iter().map(|t| describe(t.token()).replace('`', "")).collect();
    refuse(&name.join(" ").to_uppercase(), toks, hint)
}

fn refuse(name: &str, toks: &[Tok], hint: &str) -> Diagnostic {
    let diagnostic =
        Diagnostic::error(format!("{name} is not supported")).at(extent(toks, Span::default()));
    if hint.is_empty() { diagnostic } else { diagnostic.hint(hint) }
}
