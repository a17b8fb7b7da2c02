//! Functions that are other expressions under a name: IF, MOD.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::binary::comparison_coercion;
use datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility, binary_expr, when,
};

pub fn all() -> Vec<Arc<ScalarUDF>> {
    let signature = || Signature::user_defined(Volatility::Immutable);
    vec![
        Arc::new(ScalarUDF::from(If { signature: signature() })),
        Arc::new(ScalarUDF::from(Mod { signature: signature() })),
    ]
}

/// `IF(condition, then, otherwise)`: a CASE.
#[derive(Debug, PartialEq, Eq, Hash)]
struct If {
    signature: Signature,
}

impl ScalarUDFImpl for If {
    fn name(&self) -> &'static str {
        "if"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        let [_, then, otherwise] = types else {
            return plan_err!("IF takes a condition and two values");
        };
        match comparison_coercion(then, otherwise) {
            Some(common) => Ok(vec![DataType::Boolean, common.clone(), common]),
            None => plan_err!("IF cannot give {then} or {otherwise}: they are no one type"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[1].clone())
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Ok([condition, then, otherwise]) = <[Expr; 3]>::try_from(args) else {
            return internal_err!("coercion asked for three arguments");
        };
        let case = when(condition, then).otherwise(otherwise)?;
        Ok(ExprSimplifyResult::Simplified(case))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("IF is planned as a CASE")
    }
}

/// `MOD(a, b)`: `a % b`, with the sign of `a`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Mod {
    signature: Signature,
}

impl ScalarUDFImpl for Mod {
    fn name(&self) -> &'static str {
        "mod"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        match types {
            [a, b] if a.is_numeric() && b.is_numeric() => match comparison_coercion(a, b) {
                Some(common) => Ok(vec![common.clone(), common]),
                None => plan_err!("MOD cannot divide {a} by {b}"),
            },
            _ => plan_err!("MOD takes two numbers"),
        }
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        Ok(types[0].clone())
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let Ok([a, b]) = <[Expr; 2]>::try_from(args) else {
            return internal_err!("coercion asked for two arguments");
        };
        Ok(ExprSimplifyResult::Simplified(binary_expr(a, Operator::Modulo, b)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("MOD is planned as %")
    }
}
