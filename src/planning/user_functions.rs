//! Functions that a script declares: `CREATE FUNCTION f AS 'class'`.
//!
//! There is no JVM to load a class into. A class stands for a function written
//! in Rust, [`UserFunction`], or for an expression that the settings give under
//! `turnstile.functions.CLASS`.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/create/#create-function>

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::sql::sqlparser::ast::{
    self, CastKind, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName,
    VisitMut, VisitorMut,
};

use super::errors::Misuse;
use super::functions::flink_name;
use super::insert::casts_implicitly;
use crate::diagnostics::{Diagnostic, Spanned};
use crate::sql::{SqlFunction, parse_sql_function};
use crate::types::SqlType;

/// Before a class name: the setting that says what it stands for.
pub const FUNCTIONS: &str = "turnstile.functions.";

/// A scalar function written in Rust that stands for a class.
///
/// It is called with whole columns: one array per parameter, in the parameter's
/// Arrow type and all of one length, and gives as many values.
pub trait UserFunction: Debug + Send + Sync {
    /// The class that a script names, such as `com.acme.CountChar`.
    fn class(&self) -> &str;
    fn parameters(&self) -> Vec<SqlType>;
    fn returns(&self) -> SqlType;
    /// # Errors
    /// Why there is no result; it stops the job.
    fn evaluate(&self, arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, String>;
}

/// The functions written in Rust, by class.
#[derive(Debug, Clone)]
pub struct UserFunctions {
    by_class: BTreeMap<String, Arc<dyn UserFunction>>,
}

impl Default for UserFunctions {
    /// Those that come with turnstile.
    fn default() -> Self {
        let mut functions = Self { by_class: BTreeMap::new() };
        functions.register(Arc::new(CountChar));
        functions
    }
}

impl UserFunctions {
    pub fn register(&mut self, function: Arc<dyn UserFunction>) {
        self.by_class.insert(function.class().to_owned(), function);
    }
}

/// What the script has declared, by name in capitals.
#[derive(Debug, Clone, Default)]
pub struct DeclaredFunctions {
    native: BTreeMap<String, Arc<ScalarUDF>>,
    sql: BTreeMap<String, SqlFunction>,
    /// Those whose declaration is at fault.
    faulty: BTreeSet<String>,
}

impl DeclaredFunctions {
    pub fn contains(&self, name: &str) -> bool {
        let name = name.to_uppercase();
        self.native.contains_key(&name)
            || self.sql.contains_key(&name)
            || self.faulty.contains(&name)
    }

    /// The function of that name that is written in Rust.
    pub fn native(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        self.native.get(&name.to_uppercase()).cloned()
    }

    pub fn remove(&mut self, name: &str) -> bool {
        let name = name.to_uppercase();
        self.native.remove(&name).is_some()
            | self.sql.remove(&name).is_some()
            | self.faulty.remove(&name)
    }

    /// Declares `name` as what `class` stands for.
    ///
    /// # Errors
    /// An unknown class, or a setting that cannot be read.
    pub fn declare(
        &mut self,
        name: &str,
        class: &Spanned<String>,
        known: &UserFunctions,
        settings: &BTreeMap<String, String>,
        time_zone: &str,
    ) -> std::result::Result<(), Diagnostic> {
        let declared = self.try_declare(name, class, known, settings, time_zone);
        if declared.is_err() {
            self.faulty.insert(name.to_uppercase());
        }
        declared
    }

    fn try_declare(
        &mut self,
        name: &str,
        class: &Spanned<String>,
        known: &UserFunctions,
        settings: &BTreeMap<String, String>,
        time_zone: &str,
    ) -> std::result::Result<(), Diagnostic> {
        let key = format!("{FUNCTIONS}{}", class.value);
        if let Some(text) = settings.get(&key) {
            let function = parse_sql_function(text).map_err(|fault| {
                Diagnostic::error(format!("`{key}`: {}", fault.message))
                    .at(class.span)
                    .hint(format!("it is `{text}`"))
                    .hint(USAGE)
            })?;
            self.sql.insert(name.to_uppercase(), function);
            return Ok(());
        }
        let Some(function) = known.by_class.get(&class.value) else {
            let classes = known.by_class.keys().map(String::as_str);
            return Err(Diagnostic::error(format!("unknown class `{}`", class.value))
                .at(class.span)
                .did_you_mean(&class.value, classes)
                .hint(format!(
                    "say what it stands for: SET '{key}' = '(s STRING) RETURNS STRING AS UPPER(s)'"
                )));
        };
        let udf = ScalarUDF::new_from_impl(Native::new(name, Arc::clone(function), time_zone));
        self.native.insert(name.to_uppercase(), Arc::new(udf));
        Ok(())
    }

    /// Puts their expressions in place of the calls of functions written in SQL.
    ///
    /// # Errors
    /// A call with another number of arguments than there are parameters; `None`
    /// for a function whose declaration is known to be at fault.
    pub fn expand(&self, part: &mut impl VisitMut) -> std::result::Result<(), Option<Misuse>> {
        if self.sql.is_empty() && self.faulty.is_empty() {
            return Ok(());
        }
        match part.visit(&mut Calls { declared: self }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(fault) => Err(fault),
        }
    }
}

const USAGE: &str = "write (parameter TYPE, …) RETURNS TYPE AS expression";

struct Calls<'a> {
    declared: &'a DeclaredFunctions,
}

impl VisitorMut for Calls<'_> {
    type Break = Option<Misuse>;

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Option<Misuse>> {
        let Expr::Function(call) = expr else { return ControlFlow::Continue(()) };
        let name = call.name.to_string().replace('`', "");
        if self.declared.faulty.contains(&name.to_uppercase()) {
            return ControlFlow::Break(None);
        }
        let Some(function) = self.declared.sql.get(&name.to_uppercase()) else {
            return ControlFlow::Continue(());
        };
        let misuse = |message| ControlFlow::Break(Some(Misuse::new(message, call)));
        let Some(arguments) = arguments(call) else {
            return misuse(format!("{name} takes plain arguments"));
        };
        if arguments.len() != function.parameters.len() {
            let wanted = match function.parameters.len() {
                1 => "1 argument".to_owned(),
                wanted => format!("{wanted} arguments"),
            };
            return misuse(format!("{name} takes {wanted}, not {}", arguments.len()));
        }
        let values = function.parameters.iter().zip(arguments);
        let values =
            values.map(|((name, ty), value)| (name.clone(), cast(value, ty))).collect();
        let mut body = function.body.clone();
        let _ = body.visit(&mut Parameters { values });
        *expr = cast(Expr::Nested(Box::new(body)), &function.returns);
        ControlFlow::Continue(())
    }
}

fn arguments(call: &ast::Function) -> Option<Vec<Expr>> {
    let FunctionArguments::List(list) = &call.args else { return Some(Vec::new()) };
    let value = |arg: &FunctionArg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
        _ => None,
    };
    list.args.iter().map(value).collect()
}

fn cast(value: Expr, ty: &str) -> Expr {
    let ty = ObjectName::from(vec![Ident::with_quote('`', ty)]);
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(value),
        data_type: ast::DataType::Custom(ty, Vec::new()),
        array: false,
        format: None,
    }
}

struct Parameters {
    values: BTreeMap<String, Expr>,
}

impl VisitorMut for Parameters {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Identifier(name) = expr
            && let Some(value) = self.values.get(&name.value)
        {
            *expr = value.clone();
        }
        ControlFlow::Continue(())
    }
}

/// A function written in Rust as DataFusion sees it.
#[derive(Debug)]
struct Native {
    name: String,
    function: Arc<dyn UserFunction>,
    parameters: Vec<DataType>,
    returns: DataType,
    signature: Signature,
}

impl Native {
    fn new(name: &str, function: Arc<dyn UserFunction>, time_zone: &str) -> Self {
        let types = function.parameters().iter().map(|ty| ty.to_arrow(time_zone)).collect();
        let returns = function.returns().to_arrow(time_zone);
        let signature = Signature::user_defined(Volatility::Immutable);
        Self { name: name.to_lowercase(), function, parameters: types, returns, signature }
    }
}

impl PartialEq for Native {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.function.class() == other.function.class()
    }
}

impl Eq for Native {}

impl Hash for Native {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.function.class().hash(state);
    }
}

impl ScalarUDFImpl for Native {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What Flink casts by itself.
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let name = self.name.to_uppercase();
        if given.len() != self.parameters.len() {
            let (wanted, given) = (self.parameters.len(), given.len());
            return plan_err!("{name} takes {wanted} arguments, not {given}");
        }
        for (at, (from, to)) in given.iter().zip(&self.parameters).enumerate() {
            if !casts_implicitly(from, to) {
                let (from, to) = (flink_name(from), flink_name(to));
                return plan_err!("argument {} of {name} is {from}, it takes {to}", at + 1);
            }
        }
        Ok(self.parameters.clone())
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.returns.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        match self.function.evaluate(&arrays) {
            Ok(values) => Ok(ColumnarValue::Array(values)),
            Err(reason) => exec_err!("{}: {reason}", self.name),
        }
    }
}

/// How often a character is in a text: the function of Nexmark's query 14.
#[derive(Debug)]
struct CountChar;

impl UserFunction for CountChar {
    fn class(&self) -> &str {
        "com.github.nexmark.flink.udf.CountChar"
    }

    fn parameters(&self) -> Vec<SqlType> {
        vec![SqlType::STRING, SqlType::STRING]
    }

    fn returns(&self) -> SqlType {
        SqlType::BigInt
    }

    fn evaluate(&self, arguments: &[ArrayRef]) -> std::result::Result<ArrayRef, String> {
        let (texts, letters) = (arguments[0].as_string_view(), arguments[1].as_string_view());
        let count = |(text, letter): (Option<&str>, Option<&str>)| {
            let letter = letter?.chars().next();
            let count = text?.chars().filter(|c| Some(*c) == letter).count();
            i64::try_from(count).ok()
        };
        let counts: Int64Array = texts.iter().zip(letters.iter()).map(count).collect();
        debug_assert_eq!(counts.len(), texts.len());
        Ok(Arc::new(counts))
    }
}
