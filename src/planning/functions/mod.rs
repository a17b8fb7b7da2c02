//! Flink's functions, by their names in lower case.
//!
//! Where DataFusion has a function of that name with another meaning, ours
//! takes its place; names that only DataFusion knows are not registered, since
//! a script must run on Flink unchanged.

mod aggregates;
mod arguments;
mod arrays;
mod collections;
mod conditional;
mod function;
mod json;
mod json_syntax;
mod maps;
mod math;
mod planners;
mod random;
mod rounding;
mod session;
pub mod syntax;
#[cfg(test)]
mod tests;
mod text;
pub(crate) mod time;
mod unknown;
mod windows;

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub(crate) use json::check_json_keys;
pub(crate) use text::{similar_to, similar_to_each};
pub(crate) use unknown::{is_foreign, unknown};

/// What functions know of the session.
#[derive(Debug, Clone)]
pub struct Session {
    /// `table.local-time-zone`: an IANA name or an offset such as `+02:00`.
    pub time_zone: String,
}

pub fn scalar_functions(session: &Session) -> Vec<Arc<ScalarUDF>> {
    let mut all = time::all(session);
    all.extend(text::all());
    all.extend(math::all());
    all.extend(random::all());
    all.extend(rounding::all());
    all.extend(conditional::all());
    all.extend(json::all(session));
    all.extend(collections::all());
    all.extend(super::cast::call::functions(&session.time_zone));
    all.extend(arrays::all());
    all.extend(maps::all());
    all.extend(session::all());
    all
}

pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    aggregates::all()
}

pub fn window_functions() -> Vec<Arc<WindowUDF>> {
    windows::all()
}

/// The planners of expressions, ours first.
pub fn expr_planners(_: &Session) -> Vec<Arc<dyn ExprPlanner>> {
    let mut all: Vec<Arc<dyn ExprPlanner>> = vec![Arc::new(planners::FlinkSyntax)];
    all.extend(SessionStateDefaults::default_expr_planners());
    all
}

/// Whether `name` is an aggregate function, however it is written.
pub(crate) fn is_aggregate(name: &str) -> bool {
    let name = name.to_lowercase();
    aggregate_functions().iter().any(|function| function.name() == name)
}

/// Whether `name` is a function of one row's values.
fn is_scalar(name: &str) -> bool {
    let name = name.to_lowercase();
    let session = Session { time_zone: "UTC".to_owned() };
    scalar_functions(&session)
        .iter()
        .any(|function| function.name() == name || function.aliases().contains(&name))
}

/// What Flink calls an Arrow type.
pub(crate) fn flink_name(ty: &DataType) -> String {
    match ty {
        DataType::Null => "NULL".to_owned(),
        DataType::Boolean => "BOOLEAN".to_owned(),
        DataType::Int8 => "TINYINT".to_owned(),
        DataType::Int16 => "SMALLINT".to_owned(),
        DataType::Int32 => "INT".to_owned(),
        DataType::Int64 | DataType::UInt64 => "BIGINT".to_owned(),
        DataType::Float32 => "FLOAT".to_owned(),
        DataType::Float64 => "DOUBLE".to_owned(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "BYTES".to_owned(),
        DataType::Date32 => "DATE".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "TIME".to_owned(),
        DataType::Timestamp(_, None) => "TIMESTAMP".to_owned(),
        DataType::Timestamp(_, Some(_)) => "TIMESTAMP_LTZ".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".to_owned(),
        DataType::List(item) => format!("ARRAY<{}>", flink_name(item.data_type())),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(kv) if kv.len() == 2 => format!(
                "MAP<{}, {}>",
                flink_name(kv[0].data_type()),
                flink_name(kv[1].data_type())
            ),
            _ => "MAP".to_owned(),
        },
        DataType::Struct(fields) => {
            let fields =
                fields.iter().map(|f| format!("`{}` {}", f.name(), flink_name(f.data_type())));
            format!("ROW<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}
