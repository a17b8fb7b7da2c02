//! However rows are spread over accumulators, merging their states gives what
//! one accumulator gives.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, UInt32Array};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{EmitTo, GroupsAccumulator};
use datafusion::physical_expr::aggregate::AggregateFunctionExpr;
use proptest::prelude::*;

use super::{function, function_with, groups};

const PARTS: usize = 4;

#[derive(Debug, Clone)]
struct Row {
    value: Option<i64>,
    key: usize,
    part: usize,
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let value = proptest::option::weighted(0.8, -40i64..40);
    let row = (value, 0..4usize, 0..PARTS);
    let row = row.prop_map(|(value, key, part)| Row { value, key, part });
    proptest::collection::vec(row, 1..60)
}

/// The rows' values as an array of type `ty`, in which their sums wrap around.
fn column(rows: &[Row], ty: &DataType) -> ArrayRef {
    let factor = match ty {
        DataType::Int8 => 3,
        DataType::Int64 => i64::MAX / 17,
        _ => 1,
    };
    let values = rows.iter().map(|row| Some(row.value?.wrapping_mul(factor)));
    let values: Int64Array = values.collect();
    cast(&values, ty).expect("small numbers fit every type")
}

/// Groups numbered as their keys arrive, as the engine numbers them.
struct Table {
    keys: Vec<usize>,
    accumulator: Box<dyn GroupsAccumulator>,
}

impl Table {
    fn new(function: &Arc<AggregateFunctionExpr>) -> Self {
        Self { keys: Vec::new(), accumulator: groups(function) }
    }

    fn number(&mut self, keys: &[usize]) -> Vec<usize> {
        let mut number = |key: &usize| {
            self.keys.iter().position(|known| known == key).unwrap_or_else(|| {
                self.keys.push(*key);
                self.keys.len() - 1
            })
        };
        keys.iter().map(&mut number).collect()
    }

    fn update(&mut self, keys: &[usize], values: ArrayRef) {
        let numbers = self.number(keys);
        let count = self.keys.len();
        self.accumulator.update_batch(&[values], &numbers, None, count).expect("an update");
    }

    fn merge(&mut self, keys: &[usize], states: &[ArrayRef]) {
        let numbers = self.number(keys);
        let count = self.keys.len();
        self.accumulator.merge_batch(states, &numbers, count).expect("a merge");
    }

    fn merge_table(&mut self, mut other: Table) {
        let states = other.accumulator.state(EmitTo::All).expect("states");
        self.merge(&other.keys, &states);
    }

    fn results(mut self) -> BTreeMap<usize, ScalarValue> {
        let results = self.accumulator.evaluate(EmitTo::All).expect("results");
        let value = |row| ScalarValue::try_from_array(&results, row).expect("a value");
        self.keys.iter().enumerate().map(|(row, key)| (*key, value(row))).collect()
    }
}

type Results = BTreeMap<usize, ScalarValue>;

fn at_once(function: &Arc<AggregateFunctionExpr>, rows: &[Row], column: &ArrayRef) -> Results {
    let mut table = Table::new(function);
    let keys: Vec<usize> = rows.iter().map(|row| row.key).collect();
    table.update(&keys, Arc::clone(column));
    table.results()
}

/// Every part is folded by a table of its own and merged; the last comes as a
/// state per row where the function has that form.
fn in_parts(function: &Arc<AggregateFunctionExpr>, rows: &[Row], column: &ArrayRef) -> Results {
    let mut whole = Table::new(function);
    for part in 0..PARTS {
        let indexes: UInt32Array =
            (0u32..).zip(rows).filter(|(_, row)| row.part == part).map(|(i, _)| i).collect();
        if indexes.is_empty() {
            continue;
        }
        let values = take(column, &indexes, None).expect("rows of the column");
        let keys: Vec<usize> =
            rows.iter().filter(|row| row.part == part).map(|row| row.key).collect();
        if part == PARTS - 1 && function.groups_accumulator_supported() {
            let states = whole.accumulator.convert_to_state(&[values], None).expect("states");
            whole.merge(&keys, &states);
            continue;
        }
        let mut table = Table::new(function);
        table.update(&keys, values);
        whole.merge_table(table);
    }
    whole.results()
}

fn alike(a: &ScalarValue, b: &ScalarValue) -> bool {
    match (a, b) {
        (ScalarValue::Float64(Some(a)), ScalarValue::Float64(Some(b))) => {
            f64::abs(a - b) <= 1e-9 * f64::abs(*b).max(1.0)
        }
        _ => a == b,
    }
}

fn check(name: &str, ty: &DataType, distinct: bool, rows: &[Row]) {
    let function = function(name, ty, distinct, None);
    let column = column(rows, ty);
    let whole = at_once(&function, rows, &column);
    let split = in_parts(&function, rows, &column);
    assert!(whole.keys().eq(split.keys()), "the same groups");
    for (key, whole) in &whole {
        let split = &split[key];
        let what = format!("{name}({ty}) of {key}, distinct {distinct}");
        assert!(alike(split, whole), "{what}: {split:?} is not {whole:?}");
    }
}

const NUMBERS: [&str; 5] = ["sum", "avg", "count", "min", "max"];
const SPREADS: [&str; 4] = ["var_pop", "var_samp", "stddev_pop", "stddev_samp"];

proptest! {
    #[test]
    fn numbers_merge_exactly(rows in rows()) {
        let decimal = DataType::Decimal128(12, 2);
        let types = [DataType::Int8, DataType::Int32, DataType::Int64, decimal];
        for (name, ty) in NUMBERS.iter().flat_map(|name| types.iter().map(move |ty| (name, ty))) {
            check(name, ty, false, &rows);
            check(name, ty, true, &rows);
        }
    }

    #[test]
    fn counted_values_merge_exactly(rows in rows()) {
        for ty in [DataType::Int64, DataType::Utf8View, DataType::Float64] {
            check("collect", &ty, false, &rows);
            check("collect", &ty, true, &rows);
        }
        let part = Some(ScalarValue::Float64(Some(0.3)));
        let function = function_with("percentile", &DataType::Float64, false, part);
        let column = column(&rows, &DataType::Float64);
        let split = in_parts(&function, &rows, &column);
        prop_assert_eq!(split, at_once(&function, &rows, &column));
    }

    #[test]
    fn doubles_merge_but_for_their_last_digits(rows in rows()) {
        for name in NUMBERS.iter().chain(&SPREADS) {
            check(name, &DataType::Float64, false, &rows);
            check(name, &DataType::Float64, true, &rows);
        }
    }

    #[test]
    fn joined_strings_have_the_same_members(rows in rows()) {
        for distinct in [false, true] {
            let function = function("listagg", &DataType::Utf8View, distinct, Some("; "));
            let column = column(&rows, &DataType::Utf8View);
            let members = |results: Results| -> Vec<Option<Vec<String>>> {
                let sorted = |value: &ScalarValue| {
                    let text = value.try_as_str().expect("a string")?;
                    let mut texts: Vec<_> = text.split("; ").map(str::to_owned).collect();
                    texts.sort();
                    Some(texts)
                };
                results.values().map(sorted).collect()
            };
            let split = in_parts(&function, &rows, &column);
            assert_eq!(members(split), members(at_once(&function, &rows, &column)));
        }
    }

    #[test]
    fn first_and_last_values_come_from_their_group(rows in rows()) {
        for name in ["first_value", "last_value"] {
            let function = function(name, &DataType::Int64, false, None);
            let values: Int64Array = rows.iter().map(|row| row.value).collect();
            let column: ArrayRef = Arc::new(values);
            for (key, result) in in_parts(&function, &rows, &column) {
                let ScalarValue::Int64(result) = result else { panic!("{result} is no BIGINT") };
                let mut of_group = rows.iter().filter(|row| row.key == key);
                match result {
                    Some(_) => assert!(of_group.any(|row| row.value == result)),
                    None => assert!(of_group.all(|row| row.value.is_none())),
                }
            }
        }
    }
}
