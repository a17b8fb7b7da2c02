//! `CROSS JOIN UNNEST(array) AS t (a, b)`: a row for each element.
//!
//! DataFusion's SQL planner knows no UNNEST over columns of the relation beside
//! it, so what stands left of it becomes an argument before planning:
//!
//! | in the query | planned as |
//! |---|---|
//! | `FROM r CROSS JOIN UNNEST(r.x) AS t (a)` | `FROM __unnest((SELECT * FROM r), r.x) AS t (a)` |
//! | `FROM r, UNNEST(r.x) AS t (a)` | the same |
//! | `FROM r LEFT JOIN UNNEST(r.x) AS t (a) ON TRUE` | `__unnest_outer`: a row with NULLs where there is no element |
//!
//! An element that is a ROW becomes its fields, an entry of a MAP key and value.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/joins/#array-multiset-and-map-expansion>

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::TableReference;
use datafusion::common::{DFSchema, DFSchemaRef, Result, plan_err};
use datafusion::logical_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion::logical_expr::{
    Expr, ExprSchemable, Extension, LogicalPlan, UserDefinedLogicalNodeCore,
};
use datafusion::sql::sqlparser::ast::{
    self, FunctionArg, FunctionArgExpr, Ident, JoinConstraint, JoinOperator, ObjectName,
    Select, TableFactor, TableFunctionArgs, TableWithJoins, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::errors::plain_message;
use super::functions::flink_name;
use super::relation::{error_at, span_of};
use crate::types::FLINK_TYPE;

const INNER: &str = "__unnest";
const OUTER: &str = "__unnest_outer";

/// Puts what stands left of every UNNEST into it.
pub fn rewrite(part: &mut impl VisitMut) {
    let _ = part.visit(&mut Rewriter);
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = ();

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        let mut from: Vec<TableWithJoins> = Vec::new();
        for table in std::mem::take(&mut select.from) {
            let Some((array, alias)) = unnest_of(&table.relation) else {
                from.push(folded(table));
                continue;
            };
            // `FROM a, UNNEST(a.x)`: everything so far stands left of it.
            if from.is_empty() {
                from.push(table);
                continue;
            }
            let relation = call(INNER, std::mem::take(&mut from), array, alias);
            from.push(folded(TableWithJoins { relation, joins: table.joins }));
        }
        select.from = from;
        ControlFlow::Continue(())
    }
}

/// The joins of `table` with what stands left of each UNNEST inside it.
fn folded(table: TableWithJoins) -> TableWithJoins {
    let mut left = TableWithJoins { relation: table.relation, joins: Vec::new() };
    for join in table.joins {
        let name = unnest_of(&join.relation).zip(name_for(&join.join_operator));
        match name {
            Some(((array, alias), name)) => {
                let relation = call(name, vec![left], array, alias);
                left = TableWithJoins { relation, joins: Vec::new() };
            }
            None => left.joins.push(join),
        }
    }
    left
}

/// The array and the alias of `UNNEST(array) AS alias`.
fn unnest_of(relation: &TableFactor) -> Option<(ast::Expr, Option<ast::TableAlias>)> {
    let (array, alias) = match relation {
        TableFactor::Table {
            name, alias, args: Some(args), with_ordinality: false, ..
        } if name.to_string().eq_ignore_ascii_case("UNNEST") => {
            let [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] = args.args.as_slice()
            else {
                return None;
            };
            (array, alias)
        }
        TableFactor::UNNEST { array_exprs, alias, with_offset: false, .. } => {
            let [array] = array_exprs.as_slice() else { return None };
            (array, alias)
        }
        _ => return None,
    };
    Some((array.clone(), alias.clone()))
}

fn name_for(join: &JoinOperator) -> Option<&'static str> {
    let always = |constraint: &JoinConstraint| match constraint {
        JoinConstraint::None => true,
        JoinConstraint::On(ast::Expr::Value(value)) => value.value == Value::Boolean(true),
        _ => false,
    };
    match join {
        JoinOperator::CrossJoin(_) => Some(INNER),
        JoinOperator::Join(on) | JoinOperator::Inner(on) if always(on) => Some(INNER),
        JoinOperator::Left(on) | JoinOperator::LeftOuter(on) if always(on) => Some(OUTER),
        _ => None,
    }
}

fn call(
    name: &str,
    left: Vec<TableWithJoins>,
    array: ast::Expr,
    alias: Option<ast::TableAlias>,
) -> TableFactor {
    let argument = |expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr));
    let args = vec![argument(ast::Expr::Subquery(Box::new(all_of(left)))), argument(array)];
    TableFactor::Table {
        name: ObjectName::from(vec![Ident::new(name)]),
        alias,
        args: Some(TableFunctionArgs { args, settings: None }),
        with_hints: vec![],
        version: None,
        with_ordinality: false,
        partitions: vec![],
        json_path: None,
        sample: None,
        index_hints: vec![],
    }
}

/// `SELECT * FROM left`.
fn all_of(left: Vec<TableWithJoins>) -> ast::Query {
    let parser = Parser::new(&GenericDialect {}).try_with_sql("SELECT * FROM t");
    let query = parser.and_then(|mut parser| parser.parse_query());
    let mut query = *query.expect("this is SQL");
    if let ast::SetExpr::Select(select) = query.body.as_mut() {
        select.from = left;
    }
    query
}

/// Plans what [`rewrite`] made.
#[derive(Debug)]
pub struct Unnests;

impl RelationPlanner for Unnests {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> Result<RelationPlanning> {
        refuse(&relation)?;
        let TableFactor::Table { name, args: Some(args), alias, .. } = &relation else {
            return Ok(RelationPlanning::Original(Box::new(relation)));
        };
        let outer = match name.to_string().as_str() {
            INNER => false,
            OUTER => true,
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        let [left, array] = args.args.as_slice() else {
            return plan_err!("UNNEST takes one array");
        };
        let (FunctionArg::Unnamed(FunctionArgExpr::Expr(ast::Expr::Subquery(left))), array) =
            (left, array)
        else {
            return plan_err!("UNNEST takes one array");
        };
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(array)) = array else {
            return plan_err!("UNNEST takes one array");
        };
        let input = context.plan(TableFactor::Derived {
            lateral: false,
            subquery: left.clone(),
            alias: None,
            sample: None,
        })?;
        let list = context.sql_to_expr(array.clone(), input.schema())?;
        let (table, names) = match alias {
            Some(alias) => {
                let columns = alias.columns.iter().map(|c| c.name.value.clone()).collect();
                (Some(alias.name.value.clone()), columns)
            }
            None => (None, Vec::new()),
        };
        let place = span_of(array);
        let node = UnnestNode::try_new(input, list, outer, table, names)
            .map_err(|e| error_at(plain_message(&e), place, None))?;
        let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// Refuses an UNNEST that [`rewrite`] left alone.
fn refuse(relation: &TableFactor) -> Result<()> {
    let (place, with_ordinality) = match relation {
        TableFactor::Table { name, args: Some(_), with_ordinality, .. }
            if name.to_string().eq_ignore_ascii_case("UNNEST") =>
        {
            (span_of(relation), *with_ordinality)
        }
        TableFactor::UNNEST { with_ordinality, .. } => (span_of(relation), *with_ordinality),
        _ => return Ok(()),
    };
    if with_ordinality {
        return Err(error_at("WITH ORDINALITY is not supported", place, None));
    }
    let help = "write FROM t CROSS JOIN UNNEST(a) AS u (x), or LEFT JOIN … ON TRUE";
    Err(error_at("UNNEST takes one array of the tables beside it", place, Some(help)))
}

/// The logical node: its input's columns and those of the element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnnestNode {
    pub input: LogicalPlan,
    /// The array or map.
    pub list: Expr,
    /// Whether a row without an element stays.
    pub outer: bool,
    table: Option<String>,
    names: Vec<String>,
    schema: DFSchemaRef,
}

impl UnnestNode {
    fn try_new(
        input: LogicalPlan,
        list: Expr,
        outer: bool,
        table: Option<String>,
        names: Vec<String>,
    ) -> Result<Self> {
        let (_, of_list) = list.to_field(input.schema())?;
        let declared = of_list.metadata().get(FLINK_TYPE);
        if declared.is_some_and(|ty| ty.starts_with("MULTISET<")) {
            return plan_err!("UNNEST of a MULTISET is not supported: collect with ARRAY_AGG");
        }
        let elements = elements(of_list.data_type())?;
        if !names.is_empty() && names.len() != elements.len() {
            return plan_err!(
                "UNNEST gives {} here, the alias names {}",
                columns(elements.len()),
                names.len()
            );
        }
        let mut fields: Vec<_> =
            input.schema().iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
        let qualifier = table.as_ref().map(|table| TableReference::bare(table.as_str()));
        for (i, field) in elements.into_iter().enumerate() {
            let name = names.get(i).cloned().unwrap_or_else(|| field.name().clone());
            let field = field.with_name(name).with_nullable(true);
            fields.push((qualifier.clone(), Arc::new(field)));
        }
        let metadata = input.schema().metadata().clone();
        let schema = Arc::new(DFSchema::new_with_metadata(fields, metadata)?);
        Ok(Self { input, list, outer, table, names, schema })
    }
}

fn columns(count: usize) -> String {
    if count == 1 { "1 column".to_owned() } else { format!("{count} columns") }
}

/// The columns that an element of `list` becomes.
fn elements(list: &DataType) -> Result<Vec<Field>> {
    let of_row = |field: &Field| match field.data_type() {
        DataType::Struct(fields) => fields.iter().map(|f| f.as_ref().clone()).collect(),
        _ => vec![field.clone().with_name("f0")],
    };
    match list {
        DataType::List(field) => Ok(of_row(field)),
        DataType::Map(entries, _) => Ok(of_row(entries)),
        other => plan_err!("UNNEST takes an ARRAY or a MAP, not {}", flink_name(other)),
    }
}

impl Hash for UnnestNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.list.hash(state);
        self.outer.hash(state);
        self.names.hash(state);
    }
}

impl PartialOrd for UnnestNode {
    fn partial_cmp(&self, _other: &Self) -> Option<Ordering> {
        None
    }
}

impl UserDefinedLogicalNodeCore for UnnestNode {
    fn name(&self) -> &'static str {
        "Unnest"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.list.clone()]
    }

    /// A filter on the element cannot run before there is one.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let width = self.input.schema().fields().len();
        self.schema.fields().iter().skip(width).map(|f| f.name().clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unnest: {}", self.list)
    }

    fn with_exprs_and_inputs(
        &self,
        mut exprs: Vec<Expr>,
        mut inputs: Vec<LogicalPlan>,
    ) -> Result<Self> {
        let list = exprs.pop().expect("one expression");
        let input = inputs.pop().expect("one input");
        Self::try_new(input, list, self.outer, self.table.clone(), self.names.clone())
    }

    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let input = self.input.schema();
        let width = input.fields().len();
        let own = self.list.column_refs().into_iter();
        let own = own.map(|column| input.maybe_index_of_column(column));
        let own = own.collect::<Option<Vec<_>>>()?;
        let mut needed: Vec<usize> =
            output_columns.iter().copied().filter(|i| *i < width).chain(own).collect();
        needed.sort_unstable();
        needed.dedup();
        Some(vec![needed])
    }
}
