//! The function that a CAST of ours becomes.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DataFusionError, Result, ScalarValue, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use super::write::Length;
use super::{Failure, numbers, points, read, write};
use crate::types::FLINK_TYPE;

/// How values are converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Conversion {
    /// Any type to a string; `precision` is a TIMESTAMP's.
    Write { length: Length, precision: u8 },
    /// A string to another type.
    Read,
    /// A number, or BOOLEAN, to a number.
    Number,
    /// A point of time to another kind, with so many digits of its fraction.
    Point { digits: u8 },
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct FlinkCast {
    conversion: Conversion,
    target: DataType,
    /// The target as declared.
    name: String,
    failure: Failure,
    time_zone: String,
    signature: Signature,
}

impl FlinkCast {
    pub(super) fn new(
        conversion: Conversion,
        target: DataType,
        name: String,
        failure: Failure,
        time_zone: &str,
    ) -> Self {
        let signature = Signature::any(1, Volatility::Immutable);
        Self { conversion, target, name, failure, time_zone: time_zone.to_owned(), signature }
    }

    pub(super) fn call(self, expr: Expr) -> Expr {
        ScalarUDF::new_from_impl(self).call(vec![expr])
    }

    fn convert(&self, array: &ArrayRef) -> Result<ArrayRef> {
        let outcome = Outcome::new(self.failure, &self.name);
        match self.conversion {
            Conversion::Write { length, precision } => write::texts(array, length, precision),
            Conversion::Read => {
                read::values(array, &self.target, &self.name, &self.time_zone, &outcome)
            }
            Conversion::Number => numbers::values(array, &self.target, &outcome),
            Conversion::Point { digits } => {
                points::values(array, &self.target, digits, &self.time_zone)
            }
        }
    }
}

/// What becomes of a value that has none in the target type.
pub(super) struct Outcome<'a> {
    failure: Failure,
    target: &'a str,
}

impl<'a> Outcome<'a> {
    pub(super) fn new(failure: Failure, target: &'a str) -> Self {
        Self { failure, target }
    }

    /// NULL, or the error.
    pub(super) fn failed<T>(&self, value: impl std::fmt::Display) -> Result<Option<T>> {
        match self.failure {
            Failure::IsNull => Ok(None),
            Failure::Fails => Err(DataFusionError::Execution(format!(
                "'{value}' cannot be cast to {}; TRY_CAST gives NULL instead",
                self.target
            ))),
        }
    }
}

impl ScalarUDFImpl for FlinkCast {
    fn name(&self) -> &'static str {
        match self.failure {
            Failure::Fails => "flink_cast",
            Failure::IsNull => "flink_try_cast",
        }
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        let argument = args.iter().map(ToString::to_string).collect::<String>();
        let function = match self.failure {
            Failure::Fails => "CAST",
            Failure::IsNull => "TRY_CAST",
        };
        Ok(format!("{function}({argument} AS {})", self.name))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args says it")
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let declared = HashMap::from([(FLINK_TYPE.to_owned(), self.name.clone())]);
        let field = Field::new(self.name(), self.target.clone(), true);
        Ok(Arc::new(field.with_metadata(declared)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[0] {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(self.convert(array)?)),
            ColumnarValue::Scalar(value) => {
                let array = self.convert(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?))
            }
        }
    }
}
