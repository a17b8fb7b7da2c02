//! What a query asks of its surroundings: TYPEOF, CURRENT_DATABASE.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::function::Function;
use crate::types::FLINK_TYPE;

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![type_of(), current_database()]
}

fn current_database() -> Arc<ScalarUDF> {
    Function::new("current_database", &[], DataType::Utf8View, |args| {
        Ok(args.write_texts(|_, out| {
            out.push_str("default_database");
            Some(())
        }))
    })
    .udf()
}

/// `TYPEOF(x)`: the type of an expression, as Flink writes it.
fn type_of() -> Arc<ScalarUDF> {
    let signature = Signature::any(1, Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(TypeOf { signature }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TypeOf {
    signature: Signature,
}

fn name_of(field: &FieldRef) -> String {
    let declared = field.metadata().get(FLINK_TYPE).cloned();
    let name = declared.unwrap_or_else(|| super::flink_name(field.data_type()));
    if field.is_nullable() { name } else { name + " NOT NULL" }
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &'static str {
        "typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let name = name_of(&args.arg_fields[0]);
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(Some(name))))
    }
}
