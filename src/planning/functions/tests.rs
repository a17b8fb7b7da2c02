//! Expressions as a script writes them, through the real parser, planner and
//! evaluation, against what Flink's documentation or a real Flink says.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::util::display::array_value_to_string;
use datafusion::common::DFSchema;
use datafusion::sql::sqlparser::ast as sqlparser;

use super::{Session, flink_name};
use crate::diagnostics::SourceFile;
use crate::planning::context::session_state;
use crate::planning::plan_expr;
use crate::sql::ast::StatementKind;
use crate::types::{Column, SqlType};

mod casts;
mod json;
mod names;
mod numbers;
mod predicates;
mod texts;
mod times;

/// What an expression over no columns gives: its type and value, or the error.
fn evaluated_in(zone: &str, expression: &str) -> Result<(String, String), String> {
    let text = format!("INSERT INTO r SELECT {expression} FROM t;");
    let file = SourceFile { name: "test.sql".into(), text: text.into() };
    let script = crate::sql::parse(&file, &|_| None)
        .map_err(|errors| errors.iter().map(|e| e.render(&file)).collect::<String>())?;
    let StatementKind::Insert(inserts) = &script.statements[0].kind else {
        panic!("an INSERT")
    };
    let query = &inserts[0].query;
    let sqlparser::SetExpr::Select(select) = query.ast.body.as_ref() else {
        panic!("a SELECT")
    };
    let (sqlparser::SelectItem::UnnamedExpr(ast)
    | sqlparser::SelectItem::ExprWithAlias { expr: ast, .. }) = &select.projection[0]
    else {
        panic!("an expression")
    };
    let expr = crate::sql::ast::Expr { span: query.span, ast: ast.clone() };
    let batch = one_row(zone);
    let schema = DFSchema::try_from(batch.schema()).expect("unqualified columns");
    let state = session_state(&Session { time_zone: zone.to_owned() });
    let planned = plan_expr(&expr, &schema, &state, zone, &script, &Default::default())
        .map_err(|e| format!("{} {}", e.message, e.hints.join(" ")))?;
    let physical =
        state.create_physical_expr(planned, &schema).map_err(|e| e.strip_backtrace())?;
    let value = physical.evaluate(&batch).map_err(|e| e.strip_backtrace())?;
    let array = value.into_array(1).map_err(|e| e.strip_backtrace())?;
    let shown = if array.is_null(0) {
        "NULL".to_owned()
    } else {
        array_value_to_string(&array, 0).expect("a value that can be shown")
    };
    Ok((flink_name(array.data_type()), shown))
}

/// One row of columns, each named by its type.
fn one_row(zone: &str) -> RecordBatch {
    use arrow::array as a;
    let micros = 1_709_211_909_123_456; // 2024-02-29 13:05:09.123456
    let column = |name: &str, ty: SqlType| Column { name: name.to_owned(), ty: ty.nullable() };
    let columns: Vec<(Column, a::ArrayRef)> = vec![
        (column("i", SqlType::Int), Arc::new(a::Int32Array::from(vec![7]))),
        (column("l", SqlType::BigInt), Arc::new(a::Int64Array::from(vec![-7]))),
        (column("ti", SqlType::TinyInt), Arc::new(a::Int8Array::from(vec![100]))),
        (column("f", SqlType::Double), Arc::new(a::Float64Array::from(vec![2.5]))),
        (column("r", SqlType::Float), Arc::new(a::Float32Array::from(vec![0.5]))),
        (
            column("d", SqlType::Decimal { precision: 10, scale: 2 }),
            Arc::new(
                a::Decimal128Array::from(vec![250])
                    .with_precision_and_scale(10, 2)
                    .expect("fits"),
            ),
        ),
        (column("s", SqlType::STRING), Arc::new(a::StringViewArray::from(vec!["héllo"]))),
        (
            column("nil", SqlType::STRING),
            Arc::new(a::StringViewArray::from(vec![None::<&str>])),
        ),
        (column("b", SqlType::Boolean), Arc::new(a::BooleanArray::from(vec![true]))),
        (
            column("ts", SqlType::Timestamp(3)),
            Arc::new(a::TimestampMicrosecondArray::from(vec![micros])),
        ),
        (
            column("ltz", SqlType::TimestampLtz(3)),
            Arc::new(a::TimestampMicrosecondArray::from(vec![micros]).with_timezone(zone)),
        ),
        (column("dt", SqlType::Date), Arc::new(a::Date32Array::from(vec![19_782]))),
    ];
    let fields: Vec<_> = columns.iter().map(|(column, _)| column.to_field(zone)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), arrays).expect("fits")
}

/// Checks expressions against the type and value that they must have.
fn check(cases: &[(&str, &str, &str)]) {
    check_in("UTC", cases);
}

fn check_in(zone: &str, cases: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (expression, ty, value) in cases {
        match evaluated_in(zone, expression) {
            Ok(found) if found == ((*ty).to_owned(), (*value).to_owned()) => {}
            found => wrong.push(format!("{expression}: expected {ty} {value}, got {found:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Checks that an expression fails, in planning or evaluation, with a message.
fn check_error(expression: &str, part: &str) {
    match evaluated_in("UTC", expression) {
        Err(message) => assert!(message.contains(part), "{expression}: {message}"),
        Ok(value) => panic!("{expression} gave {value:?}"),
    }
}
