//! `INSERT INTO`: fits a query's columns to the sink's.

use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::common::{Column as DfColumn, Result, ScalarValue};
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::sql::sqlparser::ast::{SelectItem, SetExpr, Spanned};
use std::sync::Arc;

use super::catalog::Table;
use super::functions::flink_name;
use super::window::TimeKind;
use super::{cast, event_time};
use crate::diagnostics::{Diagnostic, Span};
use crate::sql::ast::{Insert, Script};
use crate::types::{Column, FLINK_TYPE};

/// What an INSERT writes: the plan, with the sink's columns in its order.
#[derive(Debug)]
pub struct Fitted {
    pub plan: LogicalPlan,
    pub schema: SchemaRef,
}

/// Checks `query` against the sink and casts where Flink would cast by itself.
pub fn fit(
    insert: &Insert,
    query: LogicalPlan,
    table: &Table,
    time_zone: &str,
    batch: bool,
    script: &Script,
) -> std::result::Result<Fitted, Diagnostic> {
    let sink = table.writable();
    let written = written_columns(insert, &sink)?;
    if !batch {
        check_time_attributes(insert, &query)?;
    }
    let given = query.schema().fields().len();
    if given != written.len() {
        let message = format!(
            "the query has {given} column{}, `{}` takes {}",
            if given == 1 { "" } else { "s" },
            insert.target.value,
            written.len()
        );
        return Err(Diagnostic::error(message)
            .at(insert.query.span)
            .hint(format!("query: {}", columns_of(query.schema().as_arrow())))
            .hint(format!("sink: {}", declared(&sink))));
    }
    for (i, target) in written.iter().enumerate() {
        check_type(insert, query.schema().field(i), &sink[*target], i, time_zone)
            .map_err(|wrong| wrong.at(place_of(insert, i, script)))?;
    }
    let schema: Schema =
        Schema::new(sink.iter().map(|c| c.to_field(time_zone)).collect::<Vec<_>>());
    let schema = Arc::new(schema);
    let plan = project(query, &written, &schema, time_zone)
        .map_err(|e| Diagnostic::error(e.strip_backtrace()).at(insert.query.span))?;
    Ok(Fitted { plan, schema })
}

/// Where the query gives its column `index`; the whole query if no single place
/// does.
fn place_of(insert: &Insert, index: usize, script: &Script) -> Span {
    let item = match insert.query.ast.body.as_ref() {
        SetExpr::Select(select) => {
            let items = select.projection.get(..=index).unwrap_or_default();
            let is_one = |item: &SelectItem| {
                matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })
            };
            items.last().filter(|_| items.iter().all(is_one)).map(Spanned::span)
        }
        _ => None,
    };
    item.and_then(|item| script.span(item)).unwrap_or(insert.query.span)
}

/// For each column of the query the index of the sink's column it goes to.
fn written_columns(
    insert: &Insert,
    sink: &[Column],
) -> std::result::Result<Vec<usize>, Diagnostic> {
    if insert.columns.is_empty() {
        return Ok((0..sink.len()).collect());
    }
    let mut written = Vec::new();
    for name in &insert.columns {
        let Some(at) = sink.iter().position(|c| c.name == name.value) else {
            return Err(Diagnostic::error(format!("unknown column `{}`", name.value))
                .at(name.span)
                .label(format!("not a column of `{}`", insert.target.value))
                .did_you_mean(&name.value, sink.iter().map(|c| c.name.as_str())));
        };
        if written.contains(&at) {
            let message = format!("column `{}` is given twice", name.value);
            return Err(Diagnostic::error(message).at(name.span));
        }
        written.push(at);
    }
    Ok(written)
}

/// Flink writes one time attribute into a sink at most.
fn check_time_attributes(
    insert: &Insert,
    query: &LogicalPlan,
) -> std::result::Result<(), Diagnostic> {
    let mut times = event_time::columns(query);
    times.retain(|_, kind| *kind == TimeKind::Event);
    if times.len() < 2 {
        return Ok(());
    }
    let names: Vec<String> =
        times.keys().map(|i| format!("`{}`", query.schema().field(*i).name())).collect();
    let message = format!("{} are all time attributes; a sink takes one", names.join(" and "));
    Err(Diagnostic::error(message)
        .at(insert.query.span)
        .hint("cast the others: CAST(… AS TIMESTAMP(3))"))
}

/// How the name of a type begins that Arrow does not tell from a MAP.
const MULTISET: &str = "MULTISET<";

fn check_type(
    insert: &Insert,
    from: &arrow::datatypes::Field,
    to: &Column,
    position: usize,
    time_zone: &str,
) -> std::result::Result<(), Diagnostic> {
    let target = to.ty.ty.to_arrow(time_zone);
    let is_multiset =
        from.metadata().get(FLINK_TYPE).is_some_and(|ty| ty.starts_with(MULTISET));
    let same_kind = is_multiset == to.ty.ty.to_string().starts_with(MULTISET);
    if casts_implicitly(from.data_type(), &target) && (same_kind || from.data_type().is_null())
    {
        return Ok(());
    }
    let message = format!(
        "column {} of the query is {}, `{}` of `{}` is {}",
        position + 1,
        type_name(from),
        to.name,
        insert.target.value,
        to.ty.ty
    );
    let hint = if same_kind {
        format!("write CAST(… AS {}) if that is what you mean", to.ty.ty)
    } else {
        format!("declare `{}` as {}", to.name, type_name(from))
    };
    Err(Diagnostic::error(message).hint(hint))
}

fn type_name(field: &arrow::datatypes::Field) -> String {
    field.metadata().get(FLINK_TYPE).cloned().unwrap_or_else(|| flink_name(field.data_type()))
}

fn columns_of(schema: &Schema) -> String {
    let column = |f: &Arc<arrow::datatypes::Field>| format!("{} {}", f.name(), type_name(f));
    schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}

fn declared(sink: &[Column]) -> String {
    sink.iter().map(|c| format!("{} {}", c.name, c.ty)).collect::<Vec<_>>().join(", ")
}

/// Flink's `LogicalTypeCasts.supportsImplicitCast`.
pub(super) fn casts_implicitly(from: &DataType, to: &DataType) -> bool {
    use DataType::{
        Binary, BinaryView, Boolean, Date32, Decimal128, Float32, Float64, Int8, Int16, Int32,
        Int64, LargeUtf8, List, Map, Null, Struct, Timestamp, Utf8, Utf8View,
    };
    let rank = |ty: &DataType| match ty {
        Int8 => Some(0),
        Int16 => Some(1),
        Int32 => Some(2),
        // DataFusion counts rows unsigned; ROW_NUMBER is a BIGINT.
        Int64 | DataType::UInt64 => Some(3),
        Decimal128(..) => Some(4),
        Float32 => Some(5),
        Float64 => Some(6),
        _ => None,
    };
    match (from, to) {
        (Null, _) => true,
        (a, b) if a == b => true,
        (a, Decimal128(..)) => rank(a).is_some(),
        (Utf8 | LargeUtf8 | Utf8View, Utf8View) | (Binary | BinaryView, BinaryView) => true,
        (Timestamp(..), Timestamp(..)) => true,
        (DataType::Time32(_) | DataType::Time64(_), DataType::Time32(_)) => true,
        (Boolean, Boolean) | (Date32, Date32) => true,
        (List(a), List(b)) => casts_implicitly(a.data_type(), b.data_type()),
        (Map(a, _), Map(b, _)) => casts_implicitly(a.data_type(), b.data_type()),
        (Struct(a), Struct(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|(a, b)| casts_implicitly(a.data_type(), b.data_type()))
        }
        (a, b) => matches!((rank(a), rank(b)), (Some(a), Some(b)) if a <= b),
    }
}

fn project(
    query: LogicalPlan,
    written: &[usize],
    schema: &SchemaRef,
    time_zone: &str,
) -> Result<LogicalPlan> {
    let exprs = schema.fields().iter().enumerate().map(|(i, field)| {
        let Some(from) = written.iter().position(|w| *w == i) else {
            let null = ScalarValue::try_from(field.data_type())?;
            return Ok(lit(null).alias(field.name()));
        };
        let given = query.schema().qualified_field(from);
        let column = Expr::Column(DfColumn::from(given));
        // Flink does not cut a string to a sink's length by itself.
        let plain = field.data_type().is_string() || given.1.data_type().is_nested();
        let cast = if plain {
            column.cast_to(field.data_type(), query.schema())?
        } else {
            cast::rewrite(column, field, cast::Failure::Fails, query.schema(), time_zone)?
        };
        Ok(cast.alias(field.name()))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    LogicalPlanBuilder::from(query).project(exprs)?.build()
}
