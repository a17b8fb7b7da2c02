//! Puts an aggregate's state where rows stop flowing.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{self as logical, Expr};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::aggregate::LoweredAggregateBuilder;
use datafusion::physical_expr::expressions::Literal;

use super::window_columns::WindowColumns;
use super::{
    Operator, Rel, Result, Splitter, Stream, arrow_schema, closed, first, refused, unaliased,
};
use crate::planning::closed_plan::ClosedRows;
use crate::planning::event_time::passed_on;
use crate::planning::pipeline::{
    Aggregate, AggregateColumn, AggregateFunction, AssignTo, Expansion, Gathering, Leaf,
    LeafState, Op, Sessions,
};
use crate::planning::window::WindowSpec;

impl Splitter<'_> {
    /// Puts an aggregate's state where rows stop flowing.
    pub(super) fn aggregate_leaf(
        &mut self,
        mut stream: Stream,
        window: Option<&WindowColumns>,
        aggregate: &logical::Aggregate,
        mut keys: Vec<Expr>,
    ) -> Result<Rel> {
        if let Some(Expr::GroupingSet(sets)) = aggregate.group_expr.first() {
            keys = self.expand(&mut stream, sets, keys)?;
        }
        let input = Arc::clone(&stream.schema);
        let shared = window.is_some_and(|w| Self::share_slices(&mut stream, w, aggregate));
        let mut columns = Vec::new();
        let mut key_exprs = Vec::new();
        let mut key_fields: Vec<Field> = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            let at = passed_on(key, &input);
            let is = |set: fn(&WindowColumns) -> &BTreeSet<usize>| {
                window.is_some_and(|w| at.is_some_and(|i| set(w).contains(&i)))
            };
            columns.push(if is(|w| &w.start) {
                AggregateColumn::WindowStart
            } else if is(|w| &w.end) {
                AggregateColumn::WindowEnd
            } else if is(|w| &w.time) {
                AggregateColumn::WindowTime
            } else {
                key_exprs.push(self.physical(key, &input)?);
                key_fields.push(aggregate.schema.field(i).as_ref().clone());
                AggregateColumn::Key(key_exprs.len() - 1)
            });
        }
        let functions = self.functions(aggregate, &input)?;
        columns.extend((0..functions.len()).map(AggregateColumn::Function));
        let rows = ClosedRows::new(&aggregate.schema);
        let key_schema = Arc::new(Schema::new(key_fields));
        let sessions = window.filter(|_| stream.session.is_some()).map(|window| Sessions {
            keeps_late_rows: false,
            keys: key_exprs.clone(),
            key_schema: Arc::clone(&key_schema),
            time: first(&window.start),
        });
        let leaf = Leaf {
            spec: window.map_or_else(WindowSpec::whole, |w| w.spec.clone()),
            window_end: window.map(|w| first(&w.end)),
            assigned_to: if shared { AssignTo::Slice } else { AssignTo::Windows },
            gathers: sessions.map_or(Gathering::Slices, Gathering::Sessions),
            places: false,
            in_order: aggregate.aggr_expr.iter().any(in_order),
            schema: Arc::clone(rows.schema()),
            state: LeafState::Aggregate(Aggregate {
                keys: key_exprs,
                key_schema,
                functions,
                columns,
            }),
        };
        let window = window.map(|w| w.through(&keys, &input));
        let closed = closed(stream.branches, leaf, rows, &aggregate.schema, window)?;
        Ok(Rel::Closed(closed))
    }

    /// Lets rows go to slices, where nothing but the window's aggregate asks for
    /// the windows that they are in. Says whether they do.
    fn share_slices(
        stream: &mut Stream,
        window: &WindowColumns,
        aggregate: &logical::Aggregate,
    ) -> bool {
        let mut window = window.clone();
        let keys = logical::utils::grouping_set_to_exprlist(&aggregate.group_expr);
        let keys: Vec<Expr> = keys.unwrap_or_default().into_iter().cloned().collect();
        window.note(&keys, &stream.schema);
        for function in &aggregate.aggr_expr {
            // Any use of the window's columns, even passed on as an argument.
            window.note(
                &[Expr::IsNotNull(Box::new(unaliased(function).clone()))],
                &stream.schema,
            );
        }
        if window.computed_with {
            return false;
        }
        for branch in &mut stream.branches {
            for op in &mut branch.ops {
                if let Op::AssignWindow(assign) = op {
                    assign.to = AssignTo::Slice;
                }
            }
        }
        true
    }

    fn functions(
        &self,
        aggregate: &logical::Aggregate,
        input: &DFSchemaRef,
    ) -> Result<Vec<AggregateFunction>> {
        let arrow = arrow_schema(input);
        let context = PhysicalPlanningContext::default();
        let lower = |expr: &Expr| {
            let props = self.state.execution_props();
            let lowered =
                LoweredAggregateBuilder::new(expr, input, &arrow, props, &context).build()?;
            Ok(AggregateFunction { function: lowered.aggregate, filter: lowered.filter })
        };
        aggregate.aggr_expr.iter().map(lower).collect()
    }

    /// Repeats rows once per grouping set; the keys become columns of their
    /// own, so that an aggregate over the same column still sees its values.
    fn expand(
        &mut self,
        stream: &mut Stream,
        sets: &logical::GroupingSet,
        keys: Vec<Expr>,
    ) -> Result<Vec<Expr>> {
        let logical::GroupingSet::GroupingSets(sets) = sets else {
            return refused(Operator::GroupBy, "this grouping is not supported", "");
        };
        let input = Arc::clone(&stream.schema);
        let mut fields: Vec<_> =
            input.iter().map(|(q, f)| (q.cloned(), Arc::clone(f))).collect();
        let mut expanded = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            use datafusion::logical_expr::ExprSchemable;
            let name = format!("__key{i}");
            let field = key.to_field(&input)?.1.as_ref().clone();
            fields.push((None, Arc::new(field.with_name(&name).with_nullable(true))));
            // The window's own columns are in every set: keep them recognizable.
            let is_window = passed_on(key, &input).is_some_and(|at| {
                stream.window.as_ref().is_some_and(|window| window.contains(at))
            });
            expanded.push(if is_window { key.clone() } else { logical::col(name) });
        }
        let id_type = logical::Aggregate::grouping_id_type(keys.len(), 0);
        let id = logical::Aggregate::INTERNAL_GROUPING_ID;
        fields.push((None, Arc::new(Field::new(id, id_type.clone(), false))));
        expanded.push(logical::col(id));
        let schema = Arc::new(DFSchema::new_with_metadata(fields, Default::default())?);
        let arrow = arrow_schema(&schema);
        let make = || -> Result<Vec<Expansion>> {
            sets.iter().map(|set| self.expansion(set, &keys, &input, &id_type)).collect()
        };
        for branch in &mut stream.branches {
            branch.ops.push(Op::Expand { sets: make()?, schema: Arc::clone(&arrow) });
        }
        stream.schema = schema;
        Ok(expanded)
    }

    fn expansion(
        &self,
        set: &[Expr],
        keys: &[Expr],
        input: &DFSchemaRef,
        id_type: &arrow::datatypes::DataType,
    ) -> Result<Expansion> {
        use datafusion::logical_expr::ExprSchemable;
        let mut exprs = Vec::new();
        for (qualifier, field) in input.iter() {
            let column = datafusion::common::Column::new(qualifier.cloned(), field.name());
            exprs.push(self.physical(&Expr::Column(column), input)?);
        }
        let mut id = 0u64;
        for key in keys {
            let kept = set.contains(key);
            id = id << 1 | u64::from(!kept);
            exprs.push(if kept {
                self.physical(key, input)?
            } else {
                let null = ScalarValue::try_from(&key.get_type(input)?)?;
                Arc::new(Literal::new(null)) as Arc<dyn PhysicalExpr>
            });
        }
        let id = ScalarValue::UInt64(Some(id)).cast_to(id_type)?;
        exprs.push(Arc::new(Literal::new(id)));
        Ok(Expansion { exprs })
    }
}

/// Whether an aggregate's value depends on the order of its rows.
fn in_order(function: &Expr) -> bool {
    const NAMES: [&str; 5] =
        ["FIRST_VALUE", "LAST_VALUE", "LISTAGG", "ARRAY_AGG", "JSON_ARRAYAGG"];
    match unaliased(function) {
        Expr::AggregateFunction(function) => {
            NAMES.iter().any(|name| function.func.name().eq_ignore_ascii_case(name))
        }
        _ => false,
    }
}

/// Flink forms sessions by the columns of PARTITION BY; an aggregate over them
/// must be by the same.
pub(super) fn session_keys_agree(
    window: &WindowColumns,
    keys: &[&Expr],
    schema: &DFSchema,
    in_sets: bool,
) -> Result<()> {
    let columns: Vec<Option<usize>> = keys.iter().map(|key| passed_on(key, schema)).collect();
    let others = columns.iter().filter(|at| !at.is_some_and(|i| window.contains(i)));
    let is_partition = |at: &usize| window.partition.iter().any(|columns| columns.contains(at));
    let by_partition = others.clone().all(|at| at.as_ref().is_some_and(is_partition));
    let all = window.partition.iter().all(|p| columns.iter().flatten().any(|i| p.contains(i)));
    if by_partition && all && !in_sets {
        return Ok(());
    }
    refused(
        Operator::GroupBy,
        "an aggregate over SESSION must be by its window and the columns of PARTITION BY",
        "name the same columns in both: SESSION(TABLE t PARTITION BY (a, b), …) \
         and GROUP BY a, b, window_start, window_end",
    )
}
