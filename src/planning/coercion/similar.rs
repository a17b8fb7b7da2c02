//! SIMILAR TO: a function of ours, with its pattern made ready beforehand where
//! that is a literal.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, Result, plan_err};
use datafusion::logical_expr::{Expr, ExprSchemable, Like, not};

use crate::planning::functions::{flink_name, similar_to, similar_to_each};

pub(super) fn typed(given: Like, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let (text, pattern) = (given.expr.get_type(schema)?, given.pattern.get_type(schema)?);
    if [&text, &pattern].iter().any(|ty| !ty.is_string() && !ty.is_null()) {
        let (text, pattern) = (flink_name(&text), flink_name(&pattern));
        return plan_err!("`SIMILAR TO` does not take {text} and {pattern}");
    }
    let literal = match given.pattern.as_ref() {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    };
    let function = match literal {
        Some(pattern) => similar_to(pattern, given.escape_char)?,
        None => similar_to_each(given.escape_char),
    };
    let call = function.call(vec![*given.expr, *given.pattern]);
    Ok(Transformed::yes(if given.negated { not(call) } else { call }))
}
