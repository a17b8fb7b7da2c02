//! `CREATE TABLE … LIKE t (INCLUDING …)`: what a table takes from another.
//!
//! Flink's rules: physical columns always come along, first; what else comes
//! along is a choice per feature, and unless it is OVERWRITING, a thing that
//! both tables have is a mistake. The other table must be of this script.

use datafusion::sql::sqlparser::tokenizer::Token;

use super::ast::{ColumnDef, ColumnKind, CreateTable};
use super::cursor::Cursor;
use crate::diagnostics::{Diagnostic, Spanned};

/// A LIKE clause, not yet looked up.
#[derive(Debug, Clone)]
pub(super) struct Like {
    source: Spanned<String>,
    strategies: Strategies,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Including,
    Excluding,
    Overwriting,
}

#[derive(Debug, Clone, Copy)]
struct Strategies {
    constraints: Strategy,
    generated: Strategy,
    metadata: Strategy,
    options: Strategy,
    partitions: Strategy,
    watermarks: Strategy,
}

const FEATURES: &[&str] = &[
    "ALL",
    "CONSTRAINTS",
    "DISTRIBUTION",
    "GENERATED",
    "METADATA",
    "OPTIONS",
    "PARTITIONS",
    "WATERMARKS",
];

/// Reads what follows `LIKE`.
pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Like, Diagnostic> {
    let source = cursor.table_name("the name of the table it is like")?;
    let mut choices = Vec::new();
    if cursor.take(&Token::LParen) {
        while !cursor.take(&Token::RParen) {
            choices.push(choice(cursor)?);
        }
    }
    let mut strategies =
        Strategies { options: Strategy::Overwriting, ..Strategies::all(Strategy::Including) };
    if let Some((_, strategy)) = choices.iter().find(|(feature, _)| feature == "ALL") {
        strategies = Strategies::all(*strategy);
    }
    for (feature, strategy) in choices {
        strategies.set(&feature, strategy);
    }
    Ok(Like { source, strategies })
}

fn choice(cursor: &mut Cursor<'_>) -> Result<(String, Strategy), Diagnostic> {
    let strategy = if cursor.take_words(&["INCLUDING"]) {
        Strategy::Including
    } else if cursor.take_words(&["EXCLUDING"]) {
        Strategy::Excluding
    } else if cursor.take_words(&["OVERWRITING"]) {
        Strategy::Overwriting
    } else {
        let words = ["INCLUDING", "EXCLUDING", "OVERWRITING"];
        return Err(cursor.unexpected_word("`INCLUDING` or `EXCLUDING`", &words));
    };
    let feature = FEATURES.iter().find(|feature| cursor.take_words(&[feature]));
    let Some(feature) = feature else {
        return Err(cursor.unexpected_word("a feature such as `OPTIONS`", FEATURES));
    };
    if strategy == Strategy::Overwriting
        && matches!(*feature, "ALL" | "CONSTRAINTS" | "DISTRIBUTION" | "PARTITIONS")
    {
        let message = format!("OVERWRITING {feature} is not possible");
        let hint = "OVERWRITING takes GENERATED, METADATA, OPTIONS or WATERMARKS";
        return Err(Diagnostic::error(message).at(cursor.last_span()).hint(hint));
    }
    Ok(((*feature).to_owned(), strategy))
}

impl Strategies {
    fn all(strategy: Strategy) -> Self {
        Self {
            constraints: strategy,
            generated: strategy,
            metadata: strategy,
            options: strategy,
            partitions: strategy,
            watermarks: strategy,
        }
    }

    fn set(&mut self, feature: &str, strategy: Strategy) {
        match feature {
            "CONSTRAINTS" => self.constraints = strategy,
            "GENERATED" => self.generated = strategy,
            "METADATA" => self.metadata = strategy,
            "OPTIONS" => self.options = strategy,
            "PARTITIONS" => self.partitions = strategy,
            "WATERMARKS" => self.watermarks = strategy,
            _ => {}
        }
    }

    fn of_column(&self, kind: &ColumnKind) -> Strategy {
        match kind {
            ColumnKind::Physical(_) => Strategy::Including,
            ColumnKind::Metadata { .. } => self.metadata,
            ColumnKind::Computed(_) => self.generated,
        }
    }
}

/// Brings into `table` what it takes from the table it is like.
pub(super) fn merge(
    table: &mut CreateTable,
    like: &Like,
    earlier: &[CreateTable],
) -> Result<(), Vec<Diagnostic>> {
    let wanted = &like.source.value;
    let Some(source) = earlier.iter().find(|t| t.name.value == *wanted) else {
        let diagnostic = Diagnostic::error(format!("unknown table `{wanted}`"))
            .at(like.source.span)
            .label("LIKE takes a table created above")
            .did_you_mean(wanted, earlier.iter().map(|t| t.name.value.as_str()));
        return Err(vec![diagnostic]);
    };
    let mut errors = columns(table, source, &like.strategies);
    let strategies = &like.strategies;
    if strategies.watermarks != Strategy::Excluding
        && let Some(watermark) = &source.watermark
    {
        if let Some(own) = &table.watermark
            && strategies.watermarks == Strategy::Including
        {
            errors.push(twice("a WATERMARK", &own.column, "OVERWRITING WATERMARKS"));
        }
        table.watermark.get_or_insert_with(|| watermark.clone());
    }
    if strategies.constraints == Strategy::Including && !source.primary_key.is_empty() {
        if let Some(own) = table.primary_key.first() {
            errors.push(twice("a PRIMARY KEY", own, "EXCLUDING CONSTRAINTS"));
        }
        table.primary_key.clone_from(&source.primary_key);
    }
    if strategies.partitions == Strategy::Including && !source.partitioned_by.is_empty() {
        if let Some(own) = table.partitioned_by.first() {
            errors.push(twice("PARTITIONED BY", own, "EXCLUDING PARTITIONS"));
        }
        table.partitioned_by.clone_from(&source.partitioned_by);
    }
    errors.extend(options(table, source, strategies.options));
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

fn twice(what: &str, own: &Spanned<String>, way_out: &str) -> Diagnostic {
    has_too(what, own).hint(format!("write LIKE … ({way_out})"))
}

fn has_too(what: &str, own: &Spanned<String>) -> Diagnostic {
    Diagnostic::error(format!("the table it is LIKE has {what} too")).at(own.span)
}

fn columns(
    table: &mut CreateTable,
    source: &CreateTable,
    strategies: &Strategies,
) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    let mut own = std::mem::take(&mut table.columns);
    for column in &source.columns {
        let strategy = strategies.of_column(&column.kind);
        if strategy == Strategy::Excluding {
            continue;
        }
        let same = own.iter().position(|c| c.name.value == column.name.value);
        let mut merged: ColumnDef = column.clone();
        if let Some(at) = same {
            let replacement = own.remove(at);
            if strategy == Strategy::Including {
                let (own, what) = (&replacement.name, "this column");
                errors.push(match &column.kind {
                    ColumnKind::Physical(_) => has_too(what, own).hint("leave it out here"),
                    ColumnKind::Metadata { .. } => twice(what, own, "OVERWRITING METADATA"),
                    ColumnKind::Computed(_) => twice(what, own, "OVERWRITING GENERATED"),
                });
            }
            merged = replacement;
        }
        table.columns.push(merged);
    }
    table.columns.append(&mut own);
    errors
}

fn options(
    table: &mut CreateTable,
    source: &CreateTable,
    strategy: Strategy,
) -> Vec<Diagnostic> {
    let mut errors = Vec::new();
    if strategy == Strategy::Excluding {
        return errors;
    }
    for (key, value) in &source.options {
        match table.options.iter().find(|(own, _)| own.value == key.value) {
            Some((own, _)) if strategy == Strategy::Including => {
                errors.push(twice("this option", own, "OVERWRITING OPTIONS"));
            }
            Some(_) => {}
            None => table.options.push((key.clone(), value.clone())),
        }
    }
    errors
}
