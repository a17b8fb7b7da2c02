//! IF, IFNULL, NULLIF, COALESCE, GREATEST, LEAST, IS_…: their values get the
//! type they have in common.
//!
//! IF and NULLIF become CASE when they are optimized, so that a branch is
//! evaluated only for the rows that need it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray};
use arrow::compute::kernels::{cmp, zip::zip};
use arrow::compute::{and, is_not_null, is_null, not};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{Case, Expr, ScalarUDF, lit};

use super::flink_name;
use super::function::{Function, Parameter};
use crate::planning::coercion::common::{common_type, common_type_in_order};
use Parameter::{Any, Boolean, Text};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![
        if_function(),
        coalesce("coalesce"),
        coalesce("ifnull"),
        nullif(),
        extreme("greatest", cmp::gt),
        extreme("least", cmp::lt),
        is_number("is_decimal", |text| text.trim().parse::<f64>().is_ok()),
        is_number("is_digit", |text| text.bytes().all(|b| b.is_ascii_digit())),
        is_number("is_alpha", |text| text.chars().all(char::is_alphabetic)),
    ]
}

/// All of `types` from `first` on, brought to what they have in common.
fn shared(name: &str, first: usize, types: &[DataType]) -> Result<Vec<DataType>> {
    let common = match name {
        "IF" => common_type_in_order(&types[first..]),
        _ => common_type(&types[first..]),
    };
    let Some(common) = common else {
        let names = types[first..].iter().map(flink_name).collect::<Vec<_>>().join(", ");
        return plan_err!("the values of {name} have no type in common: {names}");
    };
    let mut shared = types.to_vec();
    shared[first..].fill(common);
    Ok(shared)
}

fn if_function() -> Arc<ScalarUDF> {
    Function::new("if", &[Boolean, Any, Any], DataType::Null, |args| {
        let mask = args.booleans(0)?;
        Ok(zip(&certainly(&mask), &args.array(1)?, &args.array(2)?)?)
    })
    .coercing(|types| shared("IF", 1, types))
    .returning(|types| Ok(types[1].clone()))
    .simplifying(|args| {
        let [condition, then, otherwise] = <[Expr; 3]>::try_from(args).ok()?;
        let branches = vec![(Box::new(condition), Box::new(then))];
        Some(Expr::Case(Case::new(None, branches, Some(Box::new(otherwise)))))
    })
    .udf()
}

/// True where `mask` is, false where it is false or unknown.
fn certainly(mask: &BooleanArray) -> BooleanArray {
    match mask.nulls() {
        Some(nulls) => BooleanArray::new(mask.values() & nulls.inner(), None),
        None => mask.clone(),
    }
}

fn coalesce(name: &'static str) -> Arc<ScalarUDF> {
    let upper = name.to_uppercase();
    let function = Function::new(name, &[Any, Any], DataType::Null, |args| {
        let mut value = args.array(0)?;
        for at in 1..args.len() {
            if value.null_count() == 0 {
                break;
            }
            value = zip(&is_not_null(&value)?, &value, &args.array(at)?)?;
        }
        Ok(value)
    })
    .coercing(move |types| shared(&upper, 0, types))
    .returning(|types| Ok(types[0].clone()))
    .simplifying(|mut args| {
        let last = args.pop()?;
        if args.is_empty() {
            return Some(last);
        }
        let branches = args
            .into_iter()
            .map(|arg| (Box::new(Expr::IsNotNull(Box::new(arg.clone()))), Box::new(arg)));
        Some(Expr::Case(Case::new(None, branches.collect(), Some(Box::new(last)))))
    });
    if name == "coalesce" { function.repeating().udf() } else { function.udf() }
}

fn nullif() -> Arc<ScalarUDF> {
    Function::new("nullif", &[Any, Any], DataType::Null, |args| {
        let (value, other) = (args.array(0)?, args.array(1)?);
        let equal = certainly(&cmp::eq(&value, &other)?);
        Ok(arrow::compute::nullif(&value, &equal)?)
    })
    .coercing(|types| shared("NULLIF", 0, types))
    .returning(|types| Ok(types[0].clone()))
    .simplifying(|args| {
        let [value, other] = <[Expr; 2]>::try_from(args).ok()?;
        let equal = value.clone().eq(other);
        let branches = vec![(Box::new(equal), Box::new(lit(ScalarValue::Null)))];
        Some(Expr::Case(Case::new(None, branches, Some(Box::new(value)))))
    })
    .udf()
}

type Comparison = fn(
    &dyn arrow::array::Datum,
    &dyn arrow::array::Datum,
) -> std::result::Result<BooleanArray, arrow::error::ArrowError>;

/// NULL if any argument is.
fn extreme(name: &'static str, better: Comparison) -> Arc<ScalarUDF> {
    let upper = name.to_uppercase();
    Function::new(name, &[Any, Any], DataType::Null, move |args| {
        let mut best: ArrayRef = args.array(0)?;
        for at in 1..args.len() {
            let other = args.array(at)?;
            let keep = certainly(&better(&best, &other)?);
            let unknown = is_null(&best)?;
            let keep = arrow::compute::or(&keep, &unknown)?;
            best = zip(&keep, &best, &other)?;
            let known = and(&not(&unknown)?, &is_not_null(&other)?)?;
            best = arrow::compute::nullif(&best, &not(&known)?)?;
        }
        Ok(best)
    })
    .coercing(move |types| shared(&upper, 0, types))
    .returning(|types| Ok(types[0].clone()))
    .repeating()
    .udf()
}

fn is_number(name: &'static str, test: fn(&str) -> bool) -> Arc<ScalarUDF> {
    Function::new(name, &[Text], DataType::Boolean, move |args| {
        let texts = args.texts(0)?;
        Ok(args.collect_booleans(|row| {
            Some(texts.get(row).is_some_and(|text| !text.is_empty() && test(text)))
        }))
    })
    .udf()
}
