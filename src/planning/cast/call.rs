//! A CAST as the SQL planner sees it: a call `cast(x, 'TYPE')`.
//!
//! DataFusion names a column after what is inside a cast, so that AVG(v) and
//! AVG(CAST(v AS DOUBLE)) would be one; a call has a name of its own. The calls
//! are rewritten by [`super::rewrite`] before the plan is optimized.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{DFSchema, DataFusionError, Result, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};
use datafusion::sql::sqlparser::ast;

use super::Failure;

/// The functions that `CAST` and `TRY_CAST` are written as.
pub(crate) fn functions(time_zone: &str) -> Vec<Arc<ScalarUDF>> {
    [Failure::Fails, Failure::IsNull]
        .map(|failure| {
            let signature = Signature::any(2, Volatility::Immutable);
            let call = Call { failure, time_zone: time_zone.to_owned(), signature };
            Arc::new(ScalarUDF::new_from_impl(call))
        })
        .to_vec()
}

/// The name of the function that a cast is written as.
pub(crate) fn name(failure: Failure) -> &'static str {
    match failure {
        Failure::Fails => "cast",
        Failure::IsNull => "try_cast",
    }
}

/// The call as a cast, if it is one.
pub(crate) fn resolved(
    function: &ScalarUDF,
    args: &[Expr],
    schema: &DFSchema,
) -> Option<Result<Expr>> {
    let call = function.inner().downcast_ref::<Call>()?;
    let [value, Expr::Literal(ty, _)] = args else {
        return Some(internal_err!("a cast is written with a literal type"));
    };
    let ty = ty.try_as_str().flatten().unwrap_or_default();
    Some(call.target(ty).and_then(|to| {
        super::rewrite(value.clone(), &to, call.failure, schema, &call.time_zone)
    }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Call {
    failure: Failure,
    time_zone: String,
    signature: Signature,
}

impl Call {
    fn target(&self, ty: &str) -> Result<Field> {
        let name = ast::ObjectName::from(vec![ast::Ident::new(ty)]);
        let ty = crate::sql::resolve_type(&ast::DataType::Custom(name, Vec::new()))
            .map_err(|diagnostic| DataFusionError::Plan(diagnostic.message))?;
        Ok(ty.to_field("", &self.time_zone))
    }
}

impl ScalarUDFImpl for Call {
    fn name(&self) -> &'static str {
        name(self.failure)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("return_field_from_args says it")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let ty = args.scalar_arguments.get(1).copied().flatten();
        match ty.and_then(|ty| ty.try_as_str().flatten()) {
            Some(ty) => Ok(Arc::new(self.target(ty)?.with_name(self.name()))),
            None => internal_err!("a cast names its type"),
        }
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("a cast is rewritten before it is evaluated")
    }
}
