//! What must hold of a table's columns, whoever reads or writes it.

use super::ast::{ColumnKind, CreateTable};
use crate::diagnostics::{Diagnostic, Spanned};

/// Checks names, and makes the columns of the primary key NOT NULL, as Flink
/// does.
pub(super) fn check(table: &mut CreateTable) -> Result<(), Vec<Diagnostic>> {
    let mut errors = Vec::new();
    if table.columns.is_empty() {
        let message = format!("table `{}` has no columns", table.name.value);
        errors.push(Diagnostic::error(message).at(table.name.span));
        return Err(errors);
    }
    for (n, column) in table.columns.iter().enumerate() {
        if table.columns[..n].iter().any(|c| c.name.value == column.name.value) {
            let message = format!("column `{}` is there twice", column.name.value);
            errors.push(Diagnostic::error(message).at(column.name.span));
        }
    }
    let watermark = table.watermark.as_ref().map(|w| &w.column);
    let named = table.primary_key.iter().chain(&table.partitioned_by).chain(watermark);
    errors.extend(named.filter_map(|name| unknown_column(table, name)));
    if !errors.is_empty() {
        return Err(errors);
    }
    for column in &mut table.columns {
        let in_key = table.primary_key.iter().any(|key| key.value == column.name.value);
        if let ColumnKind::Physical(ty) = &mut column.kind
            && in_key
        {
            ty.nullable = false;
        }
    }
    Ok(())
}

fn unknown_column(table: &CreateTable, name: &Spanned<String>) -> Option<Diagnostic> {
    let names = || table.columns.iter().map(|c| c.name.value.as_str());
    if names().any(|known| known == name.value) {
        return None;
    }
    let message = format!("unknown column `{}`", name.value);
    let label = format!("not a column of `{}`", table.name.value);
    Some(
        Diagnostic::error(message)
            .at(name.span)
            .label(label)
            .did_you_mean(&name.value, names()),
    )
}
