//! Which columns come from a message's value and which from its key:
//! `key.fields`, `key.fields-prefix` and `value.fields-include`.

use crate::diagnostics::{Diagnostic, Spanned};
use crate::options::Options;
use crate::types::Column;

/// Indexes into the table's physical columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    pub value: Vec<usize>,
    /// In the order of `key.fields`.
    pub key: Vec<usize>,
    /// Cut off the names of the key's columns before the key format sees them.
    pub key_prefix: String,
}

impl Fields {
    /// The columns that the key format reads, by the names it knows them by.
    pub fn key_columns(&self, columns: &[Column]) -> Vec<Column> {
        let unprefixed = |column: &Column| {
            let name = column.name.strip_prefix(&self.key_prefix).unwrap_or(&column.name);
            Column { name: name.to_owned(), ty: column.ty.clone() }
        };
        self.key.iter().map(|i| unprefixed(&columns[*i])).collect()
    }

    pub fn value_columns(&self, columns: &[Column]) -> Vec<Column> {
        self.value.iter().map(|i| columns[*i].clone()).collect()
    }
}

/// Takes the options; what is wrong goes to `options.errors`.
pub fn take(options: &mut Options, columns: &[Column], has_key_format: bool) -> Fields {
    let names = options.take("key.fields");
    let prefix = options.take("key.fields-prefix");
    let except_key = options.parse("value.fields-include", "ALL or EXCEPT_KEY", |v| {
        match v.to_uppercase().as_str() {
            "ALL" => Some(false),
            "EXCEPT_KEY" => Some(true),
            _ => None,
        }
    });
    let except_key = except_key.unwrap_or(false);
    let key_prefix = prefix.as_ref().map(|p| p.value.clone()).unwrap_or_default();
    let key = key_columns(options, columns, has_key_format, names, &key_prefix);
    if let (false, Some(prefix)) = (except_key || key_prefix.is_empty(), prefix) {
        let message = "`key.fields-prefix` needs `value.fields-include` = `EXCEPT_KEY`";
        let label = "the value has no column of such a name";
        options.errors.push(Diagnostic::error(message).at(prefix.span).label(label));
    }
    let value = (0..columns.len()).filter(|i| !except_key || !key.contains(i)).collect();
    Fields { value, key, key_prefix }
}

fn key_columns(
    options: &mut Options,
    columns: &[Column],
    has_key_format: bool,
    names: Option<Spanned<String>>,
    prefix: &str,
) -> Vec<usize> {
    let Some(names) = names else {
        if has_key_format {
            let diagnostic = Diagnostic::error("option `key.fields` is missing")
                .at(options.table_span)
                .hint("`key.format` decodes the columns that `key.fields` lists, as `a;b`");
            options.errors.push(diagnostic);
        }
        return Vec::new();
    };
    if !has_key_format {
        let diagnostic = Diagnostic::error("option `key.format` is missing")
            .at(names.span)
            .label("`key.fields` needs a format that decodes them");
        options.errors.push(diagnostic);
    }
    let mut found = Vec::new();
    for name in names.value.split(';').map(str::trim).filter(|name| !name.is_empty()) {
        match columns.iter().position(|column| column.name == name) {
            None => {
                let message = format!("`key.fields` names no column: `{name}`");
                let known = columns.iter().map(|c| c.name.as_str());
                let diagnostic =
                    Diagnostic::error(message).at(names.span).did_you_mean(name, known);
                options.errors.push(diagnostic);
            }
            Some(_) if !name.starts_with(prefix) => {
                let message = format!("key column `{name}` does not start with `{prefix}`");
                let label = "all do, where `key.fields-prefix` is set";
                options.errors.push(Diagnostic::error(message).at(names.span).label(label));
            }
            Some(at) if found.contains(&at) => {
                let message = format!("`key.fields` names `{name}` twice");
                options.errors.push(Diagnostic::error(message).at(names.span));
            }
            Some(at) => found.push(at),
        }
    }
    found
}
