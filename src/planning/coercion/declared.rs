//! The Flink type of an expression, where Arrow's does not tell: a TIMESTAMP's
//! precision.

use arrow::datatypes::{DataType, Field};
use datafusion::common::ExprSchema;
use datafusion::logical_expr::{Expr, ExprSchemable};

use crate::types::FLINK_TYPE;

/// What Flink's functions and windows return.
const USUAL: u8 = 3;

/// The precision of a TIMESTAMP or TIMESTAMP_LTZ.
pub(crate) fn precision(expr: &Expr, schema: &dyn ExprSchema) -> u8 {
    of(expr, schema).unwrap_or(USUAL)
}

fn of(expr: &Expr, schema: &dyn ExprSchema) -> Option<u8> {
    let is_time = |e: &Expr| matches!(e.get_type(schema), Ok(DataType::Timestamp(..)));
    match expr {
        Expr::Column(column) => declared(schema.field_from_column(column).ok()?),
        Expr::Alias(alias) => of(&alias.expr, schema),
        Expr::Cast(cast) => declared(&cast.field),
        Expr::TryCast(cast) => declared(&cast.field),
        Expr::BinaryExpr(binary) => [&binary.left, &binary.right]
            .into_iter()
            .find(|e| is_time(e))
            .and_then(|e| of(e, schema)),
        Expr::Case(case) => {
            let branches = case.when_then_expr.iter().map(|(_, then)| then);
            let branches = branches.chain(case.else_expr.iter());
            branches.filter(|e| is_time(e)).filter_map(|e| of(e, schema)).max()
        }
        Expr::AggregateFunction(function) => of(function.params.args.first()?, schema),
        Expr::ScalarFunction(function) => match expr.to_field(schema) {
            Ok((_, field)) if field.metadata().contains_key(FLINK_TYPE) => declared(&field),
            _ => {
                let times = function.args.iter().filter(|e| is_time(e));
                times.filter_map(|e| of(e, schema)).max()
            }
        },
        _ => None,
    }
}

/// The precision in a field's declared type.
pub(crate) fn declared(field: &Field) -> Option<u8> {
    let text = field.metadata().get(FLINK_TYPE)?;
    let digits = text.strip_suffix(')')?.strip_prefix("TIMESTAMP")?.trim_start_matches("_LTZ");
    digits.strip_prefix('(')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SqlType;

    #[test]
    fn the_declared_precision_is_in_the_field() {
        let of = |ty: SqlType| declared(&ty.nullable().to_field("t", "UTC"));
        assert_eq!(of(SqlType::Timestamp(3)), Some(3));
        assert_eq!(of(SqlType::TimestampLtz(6)), Some(6));
        assert_eq!(of(SqlType::Int), None);
    }
}
