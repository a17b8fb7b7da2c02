//! A scalar function of Flink's as DataFusion sees it: what it takes, what it
//! returns, and how it is evaluated, column by column.
//!
//! A function says what it takes as [`Parameter`]s; arguments of a near type
//! are cast to it, others are refused with Flink's type names. Evaluation gets
//! [`Arguments`] and makes one array of as many rows; if all arguments are
//! constants it is asked for one row.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::arguments::Arguments;

/// A kind of argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    /// Any string; given as Utf8View.
    Text,
    /// A string or bytes, as it is.
    TextOrBytes,
    /// Any integer; given as Int64.
    Integer,
    /// Any number; given as Float64.
    Double,
    /// Any number, as it is; given as Int32 if it is the literal NULL.
    Number,
    Boolean,
    /// TIMESTAMP, TIMESTAMP_LTZ or DATE, as it is.
    Instant,
    /// The same, or a string.
    InstantOrText,
    /// A point of time or a time of day.
    Temporal,
    Any,
}

impl Parameter {
    fn name(self) -> &'static str {
        match self {
            Parameter::Text => "STRING",
            Parameter::TextOrBytes => "STRING or BYTES",
            Parameter::Integer => "INT",
            Parameter::Double => "DOUBLE",
            Parameter::Number => "a number",
            Parameter::Boolean => "BOOLEAN",
            Parameter::Instant => "TIMESTAMP or DATE",
            Parameter::InstantOrText => "TIMESTAMP or STRING",
            Parameter::Temporal => "TIMESTAMP, DATE or TIME",
            Parameter::Any => "any type",
        }
    }

    /// The type an argument of type `from` is given as, if it fits at all.
    fn accept(self, from: &DataType) -> Option<DataType> {
        use DataType::{
            Binary, BinaryView, Boolean, Date32, Float64, Int32, Int64, LargeUtf8, Null,
            Time32, Time64, Timestamp, Utf8, Utf8View,
        };
        let micros = || Timestamp(TimeUnit::Microsecond, None);
        match (self, from) {
            (Parameter::Text | Parameter::TextOrBytes, Utf8 | LargeUtf8 | Utf8View | Null) => {
                Some(Utf8View)
            }
            (Parameter::TextOrBytes, Binary | BinaryView) => Some(BinaryView),
            (Parameter::Integer, ty) if ty.is_integer() || ty.is_null() => Some(Int64),
            (Parameter::Double, ty) if ty.is_numeric() || ty.is_null() => Some(Float64),
            (Parameter::Number, Null) => Some(Int32),
            (Parameter::Number, ty) if ty.is_numeric() => Some(ty.clone()),
            (Parameter::Boolean, Boolean | Null) => Some(Boolean),
            (
                Parameter::Instant | Parameter::InstantOrText | Parameter::Temporal,
                Timestamp(..) | Date32,
            ) => Some(from.clone()),
            (Parameter::Temporal, Time32(_) | Time64(_)) => Some(from.clone()),
            (Parameter::InstantOrText, Utf8 | LargeUtf8 | Utf8View) => Some(Utf8View),
            (Parameter::Instant | Parameter::InstantOrText | Parameter::Temporal, Null) => {
                Some(micros())
            }
            (Parameter::Any, ty) => Some(ty.clone()),
            _ => None,
        }
    }
}

type Coerce = dyn Fn(&[DataType]) -> Result<Vec<DataType>> + Send + Sync;
type Simplify = dyn Fn(Vec<Expr>) -> Option<Expr> + Send + Sync;
type Returns = dyn Fn(&[DataType]) -> Result<DataType> + Send + Sync;
type Evaluate = dyn Fn(&Arguments<'_>) -> Result<ArrayRef> + Send + Sync;

/// A scalar function.
#[derive(Clone)]
pub(super) struct Function {
    name: &'static str,
    aliases: Vec<String>,
    parameters: Vec<Parameter>,
    /// How many of `parameters` may be left out at the end.
    optional: usize,
    /// The last parameter may repeat.
    repeats: bool,
    signature: Signature,
    /// What tells two instances of one name apart, such as a zone.
    detail: String,
    coerce: Option<Arc<Coerce>>,
    simplify: Option<Arc<Simplify>>,
    returns: Arc<Returns>,
    evaluate: Arc<Evaluate>,
}

impl Function {
    pub(super) fn new(
        name: &'static str,
        parameters: &[Parameter],
        returns: DataType,
        evaluate: impl Fn(&Arguments<'_>) -> Result<ArrayRef> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            aliases: Vec::new(),
            parameters: parameters.to_vec(),
            optional: 0,
            repeats: false,
            signature: Signature::user_defined(Volatility::Immutable),
            detail: String::new(),
            coerce: None,
            simplify: None,
            returns: Arc::new(move |_| Ok(returns.clone())),
            evaluate: Arc::new(evaluate),
        }
    }

    pub(super) fn alias(mut self, names: &[&str]) -> Self {
        self.aliases.extend(names.iter().map(|n| (*n).to_owned()));
        self
    }

    /// The last `count` parameters may be left out.
    pub(super) fn optional(mut self, count: usize) -> Self {
        self.optional = count;
        self
    }

    /// The last parameter may repeat, or be absent.
    pub(super) fn repeating(mut self) -> Self {
        self.repeats = true;
        self.optional = 1;
        self
    }

    pub(super) fn returning(
        mut self,
        returns: impl Fn(&[DataType]) -> Result<DataType> + Send + Sync + 'static,
    ) -> Self {
        self.returns = Arc::new(returns);
        self
    }

    /// Brings accepted arguments to further types, such as one they share.
    pub(super) fn coercing(
        mut self,
        coerce: impl Fn(&[DataType]) -> Result<Vec<DataType>> + Send + Sync + 'static,
    ) -> Self {
        self.coerce = Some(Arc::new(coerce));
        self
    }

    /// Another expression of the same value, which the optimizer puts in place
    /// of a call with these arguments.
    pub(super) fn simplifying(
        mut self,
        simplify: impl Fn(Vec<Expr>) -> Option<Expr> + Send + Sync + 'static,
    ) -> Self {
        self.simplify = Some(Arc::new(simplify));
        self
    }

    /// Not the same at every call.
    pub(super) fn volatile(mut self) -> Self {
        self.signature = Signature::user_defined(Volatility::Volatile);
        self
    }

    pub(super) fn detail(mut self, detail: &str) -> Self {
        detail.clone_into(&mut self.detail);
        self
    }

    pub(super) fn udf(self) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(self))
    }

    fn parameter(&self, at: usize) -> Option<Parameter> {
        match self.parameters.get(at) {
            Some(parameter) => Some(*parameter),
            None if self.repeats => self.parameters.last().copied(),
            None => None,
        }
    }

    fn usage(&self) -> String {
        let names = self.parameters.iter().enumerate().map(|(i, parameter)| {
            let optional = i + self.optional >= self.parameters.len();
            let dots =
                if self.repeats && i + 1 == self.parameters.len() { ", …" } else { "" };
            let name = parameter.name();
            if optional { format!("[{name}{dots}]") } else { name.to_owned() }
        });
        let mut names: Vec<_> = names.collect();
        match (self.name, names.as_mut_slice()) {
            // As it is written.
            ("extract", [_, from]) => return format!("EXTRACT(unit FROM {from})"),
            ("floor_to", [value, _]) => return format!("FLOOR({value} TO unit)"),
            ("ceil_to", [value, _]) => return format!("CEIL({value} TO unit)"),
            ("timestampadd" | "timestampdiff", [unit, ..]) => "unit".clone_into(unit),
            _ => {}
        }
        let names = names.join(", ");
        format!("{}({names})", self.name.to_uppercase())
    }
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Function").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.detail == other.detail
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.detail.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let least = self.parameters.len() - self.optional;
        let most = if self.repeats { usize::MAX } else { self.parameters.len() };
        if given.len() < least || given.len() > most {
            return plan_err!("{} got {} arguments", self.usage(), given.len());
        }
        let coerced = given.iter().enumerate().map(|(at, from)| {
            let parameter = self.parameter(at).expect("counted above");
            match parameter.accept(from) {
                Some(ty) => Ok(ty),
                None => plan_err!(
                    "argument {} of {} is {}",
                    at + 1,
                    self.usage(),
                    super::flink_name(from)
                ),
            }
        });
        let coerced = coerced.collect::<Result<Vec<_>>>()?;
        self.coerce.as_ref().map_or(Ok(coerced.clone()), |coerce| coerce(&coerced))
    }

    fn simplify(&self, args: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let simpler = self.simplify.as_ref().and_then(|simplify| simplify(args.clone()));
        Ok(match simpler {
            Some(expr) => ExprSimplifyResult::Simplified(expr),
            None => ExprSimplifyResult::Original(args),
        })
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        (self.returns)(arguments)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let constant = args.args.iter().all(|a| matches!(a, ColumnarValue::Scalar(_)));
        let constant = constant && self.signature.volatility == Volatility::Immutable;
        let rows = if constant { 1 } else { args.number_rows };
        let arguments = Arguments { values: &args.args, rows, returns: args.return_type() };
        let array = (self.evaluate)(&arguments)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?));
        }
        Ok(ColumnarValue::Array(array))
    }
}
