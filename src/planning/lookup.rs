//! `JOIN t FOR SYSTEM_TIME AS OF r.proctime AS t ON …`: each row meets the rows
//! that a table holds when it comes.
//!
//! DataFusion's SQL planner drops the clause, so before planning it becomes a
//! condition of the join, `__as_of(r.proctime)`, and after planning a node above
//! the join's right side.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/joins/#lookup-join>

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchemaRef, Result, not_impl_err, plan_err};
use datafusion::logical_expr::expr_fn::SimpleScalarUDF;
use datafusion::logical_expr::utils::{conjunction, split_conjunction_owned};
use datafusion::logical_expr::{
    Expr, Extension, Join, LogicalPlan, ScalarUDF, Signature, UserDefinedLogicalNodeCore,
    Volatility,
};
use datafusion::sql::sqlparser::ast::{
    self, BinaryOperator, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, JoinConstraint, JoinOperator, ObjectName, Select, TableFactor,
    TableVersion, TableWithJoins, VisitMut, VisitorMut,
};

use super::closed_plan::ClosedRows;
use super::errors::Misuse;
use super::event_time;
use super::window::TimeKind;

const AS_OF: &str = "__as_of";

/// The condition's function, by its name.
pub fn function(name: &str) -> Option<Arc<ScalarUDF>> {
    let signature = Signature::any(1, Volatility::Volatile);
    let never = Arc::new(|_: &_| not_impl_err!("{AS_OF} is no function to be called"));
    (name == AS_OF).then(|| {
        let function =
            SimpleScalarUDF::new_with_signature(AS_OF, signature, DataType::Boolean, never);
        Arc::new(ScalarUDF::from(function))
    })
}

/// Puts the time of every `FOR SYSTEM_TIME AS OF` into its join's condition.
///
/// # Errors
/// A clause that is no part of such a join.
pub fn rewrite(part: &mut impl VisitMut) -> std::result::Result<(), Misuse> {
    match part.visit(&mut Rewriter) {
        ControlFlow::Break(misuse) => Err(misuse),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Misuse;

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<Misuse> {
        match select.from.iter_mut().try_for_each(rewrite_joins) {
            Ok(()) => ControlFlow::Continue(()),
            Err(misuse) => ControlFlow::Break(misuse),
        }
    }
}

fn rewrite_joins(from: &mut TableWithJoins) -> std::result::Result<(), Misuse> {
    if let TableFactor::Table { version: Some(version), name, .. } = &from.relation {
        return Err(as_of(version, name).map_or_else(
            |misuse| misuse,
            |_| {
                let message = "FOR SYSTEM_TIME AS OF belongs to the table that is joined";
                Misuse::new(message.to_owned(), name)
            },
        ));
    }
    for join in &mut from.joins {
        let TableFactor::Table { version, name, .. } = &mut join.relation else { continue };
        let Some(time) = version.take().map(|version| as_of(&version, name)).transpose()?
        else {
            continue;
        };
        match &mut join.join_operator {
            JoinOperator::Join(JoinConstraint::On(on))
            | JoinOperator::Inner(JoinConstraint::On(on))
            | JoinOperator::Left(JoinConstraint::On(on))
            | JoinOperator::LeftOuter(JoinConstraint::On(on)) => {
                let condition = std::mem::replace(on, ast::Expr::Identifier(Ident::new("x")));
                *on = ast::Expr::BinaryOp {
                    left: Box::new(ast::Expr::Nested(Box::new(condition))),
                    op: BinaryOperator::And,
                    right: Box::new(call(time)),
                };
            }
            _ => {
                let message = "a join FOR SYSTEM_TIME AS OF is JOIN or LEFT JOIN, with ON";
                return Err(Misuse::new(message.to_owned(), name));
            }
        }
    }
    Ok(())
}

fn as_of(version: &TableVersion, name: &ObjectName) -> std::result::Result<ast::Expr, Misuse> {
    match version {
        TableVersion::ForSystemTimeAsOf(time) => Ok(time.clone()),
        other => Err(Misuse::new(format!("`{other}` is not Flink SQL"), name)),
    }
}

fn call(argument: ast::Expr) -> ast::Expr {
    ast::Expr::Function(ast::Function {
        name: ObjectName::from(vec![Ident::new(AS_OF)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: vec![FunctionArg::Unnamed(FunctionArgExpr::Expr(argument))],
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// `plan` with the table of each such join below a [`LookupNode`].
///
/// # Errors
/// A time that is not the machine's, a table that cannot be looked up in.
pub fn mark(plan: LogicalPlan) -> Result<LogicalPlan> {
    let marked = plan.transform_up_with_subqueries(|plan| match plan {
        LogicalPlan::Join(join) => marked_join(join),
        other => Ok(Transformed::no(other)),
    })?;
    Ok(marked.data)
}

fn marked_join(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let Some(filter) = join.filter.take() else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let (times, rest): (Vec<Expr>, Vec<Expr>) =
        split_conjunction_owned(filter).into_iter().partition(|expr| time_of(expr).is_some());
    join.filter = conjunction(rest);
    let Some(time) = times.first().and_then(time_of) else {
        return Ok(Transformed::no(LogicalPlan::Join(join)));
    };
    let index = event_time::passed_on(time, join.left.schema());
    let kinds = event_time::columns(&join.left);
    match index.and_then(|index| kinds.get(&index)) {
        Some(TimeKind::Processing) => {}
        Some(TimeKind::Event) => {
            return plan_err!(
                "a join FOR SYSTEM_TIME AS OF an event time is not supported: take PROCTIME()"
            );
        }
        None => {
            return plan_err!(
                "`{time}` is no time attribute of the rows that are joined: take PROCTIME()"
            );
        }
    }
    if !is_files(&join.right)? {
        return plan_err!(
            "FOR SYSTEM_TIME AS OF needs a table that can be looked up in: one WITH \
             ('connector' = 'filesystem')"
        );
    }
    let node = LookupNode { input: join.right.as_ref().clone() };
    join.right = Arc::new(LogicalPlan::Extension(Extension { node: Arc::new(node) }));
    Ok(Transformed::yes(LogicalPlan::Join(join)))
}

fn time_of(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::ScalarFunction(call) if call.name() == AS_OF => call.args.first(),
        _ => None,
    }
}

/// Whether all that `plan` reads are tables of files.
fn is_files(plan: &LogicalPlan) -> Result<bool> {
    let mut all = true;
    plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            all &= ClosedRows::files_of(scan).is_some();
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(all)
}

/// Whether `plan` is looked up in.
pub fn is_lookup(plan: &LogicalPlan) -> bool {
    let is_node = |node: &LogicalPlan| match node {
        LogicalPlan::Extension(e) => Ok(e.node.as_any().is::<LookupNode>()),
        _ => Ok(false),
    };
    plan.exists(is_node).unwrap_or(false)
}

/// The right side of a lookup join.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LookupNode {
    pub input: LogicalPlan,
}

impl PartialOrd for LookupNode {
    fn partial_cmp(&self, _: &Self) -> Option<Ordering> {
        None
    }
}

impl UserDefinedLogicalNodeCore for LookupNode {
    fn name(&self) -> &'static str {
        "Lookup"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        self.input.schema()
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lookup")
    }

    fn with_exprs_and_inputs(
        &self,
        _: Vec<Expr>,
        mut inputs: Vec<LogicalPlan>,
    ) -> Result<Self> {
        Ok(Self { input: inputs.pop().expect("one input") })
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        Some(vec![output_columns.to_vec()])
    }
}
