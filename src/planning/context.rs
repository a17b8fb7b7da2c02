//! What DataFusion's SQL planner asks of us: tables, functions and types.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{DataFusionError, Result, TableReference, plan_err};
use datafusion::execution::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, RelationPlanner, TypePlanner,
};
use datafusion::logical_expr::{
    AggregateUDF, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::prelude::SessionConfig;
use datafusion::sql::sqlparser::ast;

use super::catalog::Catalog;
use super::functions::{self, Session};
use super::lookup;
use super::user_functions::DeclaredFunctions;
use super::window::{AssignWindowNode, WindowKind};
use crate::diagnostics::closest;

/// DataFusion's session, set up for Flink's SQL and for plans that run on one
/// thread, again and again.
pub fn session_state(session: &Session) -> SessionState {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_information_schema(false)
        .with_default_catalog_and_schema("default_catalog", "default_database");
    let options = config.options_mut();
    options.sql_parser.enable_ident_normalization = false;
    options.sql_parser.parse_float_as_decimal = true;
    options.sql_parser.collect_spans = true;
    options.sql_parser.map_string_types_to_utf8view = true;
    // NULL is the least value in Flink's ORDER BY.
    options.sql_parser.default_null_ordering = "nulls_min".to_owned();
    options.execution.time_zone = Some(session.time_zone.clone());
    // A subquery as a value becomes a join, which the split knows.
    options.optimizer.enable_physical_uncorrelated_scalar_subquery = false;
    options.optimizer.enable_dynamic_filter_pushdown = false;
    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
    options.optimizer.enable_join_dynamic_filter_pushdown = false;
    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
    let mut builder = SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .with_scalar_functions(functions::scalar_functions(session))
        .with_aggregate_functions(functions::aggregate_functions())
        .with_window_functions(functions::window_functions());
    builder.expr_planners().replace(functions::expr_planners(session));
    builder.build()
}

/// `plan` after DataFusion's optimizer.
///
/// # Errors
/// Those of its rules.
pub fn optimized(plan: &LogicalPlan, state: &SessionState) -> Result<LogicalPlan> {
    let is_session = |node: &LogicalPlan| match node {
        LogicalPlan::Extension(e) => {
            let node = e.node.as_any().downcast_ref::<AssignWindowNode>();
            Ok(node.is_some_and(|n| matches!(n.spec.kind, WindowKind::Session { .. })))
        }
        _ => Ok(false),
    };
    if !plan.exists(is_session)? {
        return state.optimize(plan);
    }
    // It puts an aggregate by more columns below COUNT(DISTINCT …), and sessions are
    // formed by what the lowest aggregate is by.
    const ADDS_KEYS: &str = "single_distinct_aggregation_to_group_by";
    let rules = state.optimizers().iter().filter(|rule| rule.name() != ADDS_KEYS);
    let rules = rules.cloned().collect();
    let builder = SessionStateBuilder::new_from_existing(state.clone());
    builder.with_optimizer_rules(rules).build().optimize(plan)
}

/// Answers DataFusion's planner from the catalog.
pub struct PlanContext<'a> {
    pub catalog: &'a Catalog,
    pub state: &'a SessionState,
    pub relation_planners: Vec<Arc<dyn RelationPlanner>>,
    pub type_planner: Arc<dyn TypePlanner>,
    pub declared: &'a DeclaredFunctions,
}

impl ContextProvider for PlanContext<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        if name.schema().is_some() {
            return plan_err!(
                "catalogs and databases other than the default are not supported"
            );
        }
        match self.catalog.plan_of(name.table())? {
            Some(plan) => Ok(Arc::new(Inlined::new(plan))),
            None => {
                let known = self.catalog.names();
                let hint = closest(name.table(), known.iter().map(String::as_str))
                    .map(|near| format!("; did you mean `{near}`?"))
                    .unwrap_or_default();
                plan_err!("table `{}` is not declared in this file{hint}", name.table())
            }
        }
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relation_planners
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::clone(&self.type_planner))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let own = || self.state.scalar_functions().get(&name.to_lowercase()).cloned();
        let own = || own().filter(|_| !functions::is_foreign(name));
        self.declared.native(name).or_else(own).or_else(|| lookup::function(name))
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(&name.to_lowercase()).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(&name.to_lowercase()).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }
}

/// A table or view whose plan takes its place.
struct Inlined {
    plan: LogicalPlan,
    schema: SchemaRef,
}

impl Inlined {
    fn new(plan: LogicalPlan) -> Self {
        let schema = Arc::clone(plan.schema().inner());
        Self { plan, schema }
    }
}

impl TableSource for Inlined {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn get_logical_plan(&self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

/// Types as Flink spells and maps them.
#[derive(Debug)]
pub struct FlinkTypes {
    pub time_zone: String,
}

impl TypePlanner for FlinkTypes {
    fn plan_type_field(&self, sql_type: &ast::DataType) -> Result<Option<FieldRef>> {
        let ty = crate::sql::resolve_type(sql_type)
            .map_err(|diagnostic| DataFusionError::Plan(diagnostic.message))?;
        Ok(Some(Arc::new(ty.to_field("", &self.time_zone))))
    }
}
