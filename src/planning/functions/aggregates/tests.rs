//! The functions as the engine drives them: types, wrap-around, and states
//! that are split and merged.

mod merging;
mod queries;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int32Array, Int64Array, StringViewArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::{AggregateExprBuilder, AggregateFunctionExpr};
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{GroupsAccumulatorAdapter, PhysicalExpr};

/// `name(column)`, or `name(column, separator)`, over a column of type `ty`.
fn function(
    name: &str,
    ty: &DataType,
    distinct: bool,
    separator: Option<&str>,
) -> Arc<AggregateFunctionExpr> {
    let literal = separator.map(|text| ScalarValue::Utf8View(Some(text.to_owned())));
    function_with(name, ty, distinct, literal)
}

/// `name(column)`, or `name(column, literal)`.
fn function_with(
    name: &str,
    ty: &DataType,
    distinct: bool,
    literal: Option<ScalarValue>,
) -> Arc<AggregateFunctionExpr> {
    let udaf = super::all()
        .into_iter()
        .find(|udaf| super::names(udaf).any(|known| known == name))
        .expect("the function is there");
    let schema = Arc::new(Schema::new(vec![Field::new("v", ty.clone(), true)]));
    let mut arguments: Vec<Arc<dyn PhysicalExpr>> = vec![Arc::new(Column::new("v", 0))];
    arguments.extend(literal.map(|value| Arc::new(Literal::new(value)) as _));
    let built = AggregateExprBuilder::new(udaf, arguments)
        .schema(schema)
        .alias("a")
        .with_distinct(distinct)
        .build()
        .expect("the function takes this type");
    Arc::new(built)
}

/// The accumulator that the engine makes for a function.
fn groups(function: &Arc<AggregateFunctionExpr>) -> Box<dyn GroupsAccumulator> {
    if function.groups_accumulator_supported() {
        return function.create_groups_accumulator().expect("it is supported");
    }
    let function = Arc::clone(function);
    Box::new(GroupsAccumulatorAdapter::new(move || function.create_accumulator()))
}

/// The result over one group, which both kinds of accumulators must agree on.
fn result(name: &str, values: ArrayRef) -> ScalarValue {
    result_of(&function(name, values.data_type(), false, None), values)
}

fn result_of(function: &Arc<AggregateFunctionExpr>, values: ArrayRef) -> ScalarValue {
    let mut row = function.create_accumulator().expect("every function has one");
    row.update_batch(&[Arc::clone(&values)]).expect("an update");
    let by_row = row.evaluate().expect("a result");

    let mut grouped = groups(function);
    grouped.update_batch(&[Arc::clone(&values)], &vec![0; values.len()], None, 1).unwrap();
    let by_group = grouped.evaluate(EmitTo::All).expect("a result");
    assert_eq!(by_group.data_type(), function.field().data_type(), "the promised type");
    assert_eq!(ScalarValue::try_from_array(&by_group, 0).unwrap(), by_row);
    by_row
}

fn bigints(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn decimals(values: &[Option<i128>], precision: u8, scale: i8) -> ArrayRef {
    let ty = DataType::Decimal128(precision, scale);
    Arc::new(Decimal128Array::from(values.to_vec()).with_data_type(ty))
}

#[test]
fn integer_sums_wrap_around_in_their_own_type() {
    let tiny: ArrayRef = Arc::new(Int8Array::from(vec![100, 27, 1]));
    assert_eq!(result("sum", tiny), ScalarValue::Int8(Some(-128)));
    let int: ArrayRef = Arc::new(Int32Array::from(vec![i32::MAX, 1]));
    assert_eq!(result("sum", int), ScalarValue::Int32(Some(i32::MIN)));
    assert_eq!(result("sum", bigints(&[i64::MAX, 2])), ScalarValue::Int64(Some(i64::MIN + 1)));
}

#[test]
fn floating_point_sums_keep_their_type() {
    let float: ArrayRef = Arc::new(Float32Array::from(vec![16_777_216.0, 1.0]));
    assert_eq!(result("sum", float), ScalarValue::Float32(Some(16_777_216.0)));
}

#[test]
fn a_sum_or_average_of_nothing_is_null() {
    let nulls: ArrayRef = Arc::new(Int32Array::from(vec![None, None]));
    assert_eq!(result("sum", Arc::clone(&nulls)), ScalarValue::Int32(None));
    assert_eq!(result("avg", nulls), ScalarValue::Int32(None));
    assert_eq!(result("sum", bigints(&[])), ScalarValue::Int64(None));
}

#[test]
fn averages_of_integers_are_truncated_toward_zero() {
    assert_eq!(result("avg", bigints(&[1, 2])), ScalarValue::Int64(Some(1)));
    assert_eq!(result("avg", bigints(&[-1, -2])), ScalarValue::Int64(Some(-1)));
    // Flink's own answer in the case `avg-bigint`: the sum has wrapped.
    let wrapped = result("avg", bigints(&[i64::MAX, 1]));
    assert_eq!(wrapped, ScalarValue::Int64(Some(-4_611_686_018_427_387_904)));
    let tiny: ArrayRef = Arc::new(Int8Array::from(vec![127, 127, 126]));
    assert_eq!(result("avg", tiny), ScalarValue::Int8(Some(126)));
}

#[test]
fn averages_of_floats_are_floats_of_a_double_sum() {
    let float: ArrayRef = Arc::new(Float32Array::from(vec![16_777_216.0, 1.0, 1.0]));
    let expected = (16_777_218.0_f64 / 3.0) as f32;
    assert_eq!(result("avg", float), ScalarValue::Float32(Some(expected)));
}

#[test]
fn decimals_sum_to_38_digits_and_average_to_six_after_the_point() {
    let values = decimals(&[Some(100), None, Some(275)], 10, 2);
    let sum = result("sum", Arc::clone(&values));
    assert_eq!(sum, ScalarValue::Decimal128(Some(375), 38, 2));
    assert_eq!(result("avg", values), ScalarValue::Decimal128(Some(1_875_000), 38, 6));
    let thirds = decimals(&[Some(-1), Some(-1), Some(0)], 10, 0);
    assert_eq!(result("avg", thirds), ScalarValue::Decimal128(Some(-666_667), 38, 6));
}

#[test]
fn a_decimal_sum_beyond_38_digits_is_null() {
    let most = 10i128.pow(38) - 1;
    let values = decimals(&[Some(most), Some(1), Some(-1)], 38, 0);
    assert_eq!(result("sum", Arc::clone(&values)), ScalarValue::Decimal128(None, 38, 0));
    assert_eq!(result("avg", values), ScalarValue::Decimal128(None, 38, 6));
}

#[test]
fn variances_keep_the_type_of_the_argument() {
    let int: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 4]));
    assert_eq!(result("var_pop", Arc::clone(&int)), ScalarValue::Int32(Some(1)));
    assert_eq!(result("stddev", int), ScalarValue::Int32(Some(1)));
    // Three rows of Flink's answer in the random case f1-084.
    let wide = bigints(&[-921_337_593_507, 167_112_666_267, -594_397_577_106]);
    assert_eq!(result("stddev_pop", wide), ScalarValue::Int64(Some(456_010_671_547)));
    // And from f1-008: the digits of a double, no more.
    let money = decimals(&[Some(-94_316_953_000_000), Some(-1_567_387_000_000)], 20, 10);
    let expected = ScalarValue::Decimal128(Some(215_062_049_829_708_900), 38, 10);
    assert_eq!(result("var_pop", money), expected);
}

#[test]
fn one_row_has_a_population_variance_of_zero_and_no_sample_variance() {
    let one: ArrayRef = Arc::new(Float64Array::from(vec![2.5]));
    assert_eq!(result("stddev_pop", Arc::clone(&one)), ScalarValue::Float64(Some(0.0)));
    assert_eq!(result("variance", one), ScalarValue::Float64(None));
}

#[test]
fn first_and_last_values_skip_nulls() {
    let names: ArrayRef =
        Arc::new(StringViewArray::from(vec![None, Some("a"), Some("b"), None]));
    let text = |text: &str| ScalarValue::Utf8View(Some(text.to_owned()));
    assert_eq!(result("first_value", Arc::clone(&names)), text("a"));
    assert_eq!(result("last_value", Arc::clone(&names)), text("b"));
    assert_eq!(result("listagg", names), text("a,b"));
}

/// As Flink's `CollectAggFunction`: NULL is left out, and nothing is no NULL.
#[test]
fn collect_counts_each_value() {
    let shown = |distinct: bool, names: Vec<Option<&str>>| {
        let names: ArrayRef = Arc::new(StringViewArray::from(names));
        let function = function("collect", names.data_type(), distinct, None);
        result_of(&function, names).to_string()
    };
    let names = vec![Some("b"), None, Some("a"), Some("b")];
    assert_eq!(shown(false, names.clone()), "[{a:1,b:2}]");
    assert_eq!(shown(true, names), "[{a:1,b:1}]");
    assert_eq!(shown(false, vec![None]), "[{}]");
}

#[test]
fn percentiles_are_between_numbers() {
    let part = |part: f64| Some(ScalarValue::Float64(Some(part)));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![
        Some(10.0),
        None,
        Some(20.0),
        Some(40.0),
        Some(30.0),
    ]));
    for (at, expected) in [(0.0, 10.0), (0.5, 25.0), (0.3, 19.0), (1.0, 40.0)] {
        let function = function_with("percentile", &DataType::Float64, false, part(at));
        let found = result_of(&function, Arc::clone(&values));
        assert_eq!(found, ScalarValue::Float64(Some(expected)), "{at}");
    }
    let function = function_with("percentile", &DataType::Float64, false, part(0.5));
    let nothing: ArrayRef = Arc::new(Float64Array::from(vec![None]));
    assert_eq!(result_of(&function, nothing), ScalarValue::Float64(None));
    let function = function_with("percentile", &DataType::Float64, false, part(1.5));
    let error = function.create_accumulator().err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.contains("a part from 0 to 1, not 1.5")));
}

#[test]
fn the_least_and_greatest_boolean() {
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![None, Some(true), Some(false)]));
    assert_eq!(result("min", Arc::clone(&flags)), ScalarValue::Boolean(Some(false)));
    assert_eq!(result("max", flags), ScalarValue::Boolean(Some(true)));
}

#[test]
fn a_row_that_is_filtered_out_does_not_count() {
    for (name, expected) in [("sum", 5), ("first_value", 5), ("avg", 5), ("var_pop", 0)] {
        let mut sum = groups(&function(name, &DataType::Int64, false, None));
        let filter = BooleanArray::from(vec![Some(false), None, Some(true)]);
        sum.update_batch(&[bigints(&[1, 2, 5])], &[0, 1, 1], Some(&filter), 2).unwrap();
        let expected = Int64Array::from(vec![None, Some(expected)]);
        assert_eq!(sum.evaluate(EmitTo::All).unwrap().as_ref(), &expected as &dyn Array);
    }
}
