//! Flink's functions.
use std::sync::Arc;
use datafusion::execution::SessionStateDefaults;
use datafusion::logical_expr::planner::ExprPlanner;
use datafusion::logical_expr::{AggregateUDF, ScalarUDF, WindowUDF};

pub struct Session { pub time_zone: String }
pub fn scalar_functions(_: &Session) -> Vec<Arc<ScalarUDF>> { SessionStateDefaults::default_scalar_functions() }
pub fn aggregate_functions() -> Vec<Arc<AggregateUDF>> { SessionStateDefaults::default_aggregate_functions() }
pub fn window_functions() -> Vec<Arc<WindowUDF>> { SessionStateDefaults::default_window_functions() }
pub fn expr_planners(_: &Session) -> Vec<Arc<dyn ExprPlanner>> { SessionStateDefaults::default_expr_planners() }
