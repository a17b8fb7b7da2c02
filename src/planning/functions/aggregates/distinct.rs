//! DISTINCT, for any aggregate that has a plain form.
//!
//! Keeps the distinct values in order of arrival and runs the plain aggregate
//! over them at the end. The state is the list of values, so that states merge
//! as sets do.

use std::collections::HashSet;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::function::StateFieldsArgs;
use datafusion::logical_expr::utils::format_state_name;

/// Makes the plain aggregate that runs over the distinct values.
pub type Plain = Box<dyn Fn() -> Result<Box<dyn Accumulator>> + Send + Sync>;

pub struct Distinct {
    ty: DataType,
    seen: HashSet<ScalarValue>,
    in_order: Vec<ScalarValue>,
    plain: Plain,
}

/// The state of [`Distinct`]: one list of the first argument's values.
pub fn state_fields(args: &StateFieldsArgs<'_>) -> Vec<FieldRef> {
    let item = Field::new_list_field(args.input_fields[0].data_type().clone(), true);
    let name = format_state_name(args.name, "distinct");
    vec![Arc::new(Field::new_list(name, item, true))]
}

impl Distinct {
    pub fn new(ty: DataType, plain: Plain) -> Self {
        Self { ty, seen: HashSet::new(), in_order: Vec::new(), plain }
    }

    fn insert_all(&mut self, values: &dyn Array) -> Result<()> {
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            let mut value = ScalarValue::try_from_array(values, row)?;
            if !self.seen.contains(&value) {
                value.compact();
                self.in_order.push(value.clone());
                self.seen.insert(value);
            }
        }
        Ok(())
    }
}

impl std::fmt::Debug for Distinct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Distinct({}, {} values)", self.ty, self.in_order.len())
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.insert_all(values[0].as_ref())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for list in states[0].as_list::<i32>().iter().flatten() {
            self.insert_all(list.as_ref())?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let list = ScalarValue::new_list_nullable(&self.in_order, &self.ty);
        Ok(vec![ScalarValue::List(list)])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut plain = (self.plain)()?;
        if !self.in_order.is_empty() {
            let values = ScalarValue::iter_to_array(self.in_order.iter().cloned())?;
            plain.update_batch(&[values])?;
        }
        plain.evaluate()
    }

    fn size(&self) -> usize {
        let values: usize = self.in_order.iter().map(ScalarValue::size).sum();
        size_of_val(self) + 2 * values
    }
}
