//! A table for the messages that could not be read: `turnstile.dead-letters.path`.

use std::sync::Arc;

use arrow::datatypes::Schema;

use super::catalog::Connectors;
use super::pipeline::Output;
use crate::diagnostics::{Diagnostic, Span};
use crate::options::Options;
use crate::sinks::SinkTable;
use crate::types::{Column, ColumnType, SqlType};

/// Where messages go that cannot be decoded, as Parquet.
pub const DEAD_LETTERS: &str = "turnstile.dead-letters.path";
/// What the table is called in messages and in golden cases.
pub const TABLE: &str = "dead_letters";

/// The columns, in the order in which the engine fills them.
fn columns() -> Vec<Column> {
    let column = |name: &str, ty: ColumnType| Column { name: name.to_owned(), ty };
    let headers =
        SqlType::Map(Box::new(SqlType::STRING.not_null()), Box::new(SqlType::BYTES.nullable()));
    vec![
        column("table", SqlType::STRING.not_null()),
        column("topic", SqlType::STRING.not_null()),
        column("partition", SqlType::Int.not_null()),
        column("offset", SqlType::BigInt.not_null()),
        column("timestamp", SqlType::TimestampLtz(3).not_null()),
        column("key", SqlType::BYTES.nullable()),
        column("payload", SqlType::BYTES.nullable()),
        column("headers", headers.nullable()),
        column("error", SqlType::STRING.not_null()),
    ]
}

/// The table below `path`.
///
/// # Errors
/// A path that cannot be written to.
pub fn output(
    path: &str,
    time_zone: &str,
    connectors: &dyn Connectors,
) -> Result<Output, Vec<Diagnostic>> {
    let columns = columns();
    let table = SinkTable {
        name: TABLE,
        name_span: Span::default(),
        columns: &columns,
        partitioned_by: &[],
        time_zone,
    };
    let options = Options::default()
        .with("connector", "filesystem".to_owned())
        .with("path", path.to_owned())
        .with("format", "parquet".to_owned());
    let sink = connectors.sink(&table, options).map_err(|errors| {
        let named = |error: Diagnostic| {
            Diagnostic::error(format!("`{DEAD_LETTERS}`: {}", error.message))
        };
        errors.into_iter().map(named).collect::<Vec<_>>()
    })?;
    let fields: Vec<_> = columns.iter().map(|column| column.to_field(time_zone)).collect();
    Ok(Output {
        table: TABLE.to_owned(),
        connector: "filesystem".to_owned(),
        sink,
        schema: Arc::new(Schema::new(fields)),
    })
}
