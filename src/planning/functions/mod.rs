//! Flink's functions: DataFusion's where they mean the same, ours where not.

mod aggregates;
mod calendar;
mod conditional;
mod java_pattern;
mod text;
mod timestamps;

use std::sync::Arc;

use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

/// What functions know of the session.
#[derive(Debug, Clone)]
pub struct Session {
    /// `table.local-time-zone`.
    pub time_zone: String,
}

/// Later ones take the place of earlier ones of the same name.
pub fn scalar_functions(session: &Session) -> Vec<Arc<ScalarUDF>> {
    let mut functions = SessionStateDefaults::default_scalar_functions();
    functions.extend(timestamps::all(session));
    functions.extend(calendar::all());
    functions.extend(conditional::all());
    functions.extend(text::all());
    functions.extend(renamed());
    functions
}

/// DataFusion's under Flink's names.
fn renamed() -> Vec<Arc<ScalarUDF>> {
    const NAMES: [(&str, &str); 2] = [("signum", "sign"), ("trunc", "truncate")];
    SessionStateDefaults::default_scalar_functions()
        .into_iter()
        .filter_map(|function| {
            let (_, name) = NAMES.iter().find(|(theirs, _)| *theirs == function.name())?;
            Some(Arc::new(function.as_ref().clone().with_aliases([*name])))
        })
        .collect()
}

pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> {
    aggregates::all()
}

pub fn window_functions() -> Vec<Arc<WindowUDF>> {
    SessionStateDefaults::default_window_functions()
}

pub fn expr_planners(_: &Session) -> Vec<Arc<dyn ExprPlanner>> {
    SessionStateDefaults::default_expr_planners()
}
