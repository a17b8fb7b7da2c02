//! What a query asks of its surroundings: TYPEOF, CURRENT_DATABASE.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    TypeSignature, Volatility,
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

/// `TYPEOF(x[, in full])`: the type of an expression, as Flink writes it; in
/// full, STRING is VARCHAR(2147483647).
fn type_of() -> Arc<ScalarUDF> {
    let signature = Signature::one_of(
        vec![TypeSignature::Any(1), TypeSignature::Any(2)],
        Volatility::Immutable,
    );
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

/// The name with its lengths; what is between backticks is a field's name.
fn in_full(name: &str) -> String {
    let parts = name.split('`').enumerate().map(|(at, part)| match at % 2 {
        0 => part
            .replace("STRING", "VARCHAR(2147483647)")
            .replace("BYTES", "VARBINARY(2147483647)"),
        _ => part.to_owned(),
    });
    parts.collect::<Vec<_>>().join("`")
}

impl ScalarUDFImpl for TypeOf {
    fn name(&self) -> &'static str {
        "typeof"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args says it")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let full = args.scalar_arguments.get(1);
        if full.is_some_and(|full| !matches!(full, Some(ScalarValue::Boolean(Some(_))))) {
            return plan_err!("the second argument of TYPEOF is TRUE or FALSE");
        }
        Ok(Arc::new(Field::new(self.name(), DataType::Utf8View, false)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut name = name_of(&args.arg_fields[0]);
        if let Some(ColumnarValue::Scalar(ScalarValue::Boolean(Some(true)))) = args.args.get(1)
        {
            name = in_full(&name);
        }
        Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(Some(name))))
    }
}
