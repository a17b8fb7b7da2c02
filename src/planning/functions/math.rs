//! Functions of numbers. Those of DOUBLEs are Java's; ROUND, TRUNCATE, ABS,
//! SIGN, FLOOR and CEIL keep the argument's kind of number.

use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type,
};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::ScalarUDF;

use super::function::{Function, Parameter};
use Parameter::{Double, Number};

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    let mut all = vec![
        of_double("sqrt", f64::sqrt),
        of_double("exp", f64::exp),
        of_double("ln", f64::ln),
        of_double("log10", f64::log10),
        of_double("log2", f64::log2),
        of_double("sin", f64::sin),
        of_double("cos", f64::cos),
        of_double("tan", f64::tan),
        of_double("cot", |x| 1.0 / x.tan()),
        of_double("asin", f64::asin),
        of_double("acos", f64::acos),
        of_double("atan", f64::atan),
        of_double("sinh", f64::sinh),
        of_double("cosh", f64::cosh),
        of_double("tanh", f64::tanh),
        of_double("degrees", f64::to_degrees),
        of_double("radians", f64::to_radians),
        of_doubles("power", java_pow),
        of_doubles("atan2", f64::atan2),
        constant("pi", std::f64::consts::PI),
        constant("e", std::f64::consts::E),
        log(),
    ];
    all.push(same_kind(
        "abs",
        Kernel { integer: i64::wrapping_abs, decimal: |v, _| v.abs(), double: f64::abs },
        false,
    ));
    all.push(same_kind("sign", SIGN, false));
    all.push(same_kind("floor", FLOOR, true));
    all.push(same_kind("ceil", CEIL, true));
    all.push(modulo());
    all
}

fn of_double(name: &'static str, f: fn(f64) -> f64) -> Arc<ScalarUDF> {
    Function::new(name, &[Double], DataType::Float64, move |args| {
        let numbers = args.array(0)?;
        Ok(Arc::new(numbers.as_primitive::<Float64Type>().unary::<_, Float64Type>(f)))
    })
    .udf()
}

fn of_doubles(name: &'static str, f: fn(f64, f64) -> f64) -> Arc<ScalarUDF> {
    Function::new(name, &[Double, Double], DataType::Float64, move |args| {
        let (a, b) = (args.doubles(0)?, args.doubles(1)?);
        Ok(args.collect::<Float64Type>(|row| Some(f(a.get(row)?, b.get(row)?))))
    })
    .udf()
}

/// Unlike C, Java's 1 to the power of NaN is NaN.
fn java_pow(base: f64, exponent: f64) -> f64 {
    if exponent.is_nan() || (base.abs() == 1.0 && exponent.is_infinite()) {
        return f64::NAN;
    }
    base.powf(exponent)
}

fn constant(name: &'static str, value: f64) -> Arc<ScalarUDF> {
    Function::new(name, &[], DataType::Float64, move |args| {
        Ok(args.collect::<Float64Type>(|_| Some(value)))
    })
    .udf()
}

/// `LOG(x)` is natural, `LOG(base, x)` is not.
fn log() -> Arc<ScalarUDF> {
    Function::new("log", &[Double, Double], DataType::Float64, |args| {
        let first = args.doubles(0)?;
        if args.len() == 1 {
            return Ok(args.collect::<Float64Type>(|row| first.get(row).map(f64::ln)));
        }
        let second = args.doubles(1)?;
        Ok(args
            .collect::<Float64Type>(|row| Some(second.get(row)?.ln() / first.get(row)?.ln())))
    })
    .optional(1)
    .udf()
}

/// One operation on each kind of number; a decimal comes with its unit, the
/// unscaled value of 1.
#[derive(Clone, Copy)]
struct Kernel {
    integer: fn(i64) -> i64,
    decimal: fn(i128, i128) -> i128,
    double: fn(f64) -> f64,
}

const SIGN: Kernel = Kernel {
    integer: i64::signum,
    decimal: |v, unit| v.signum() * unit,
    double: |v| if v == 0.0 || v.is_nan() { v } else { v.signum() },
};

const FLOOR: Kernel =
    Kernel { integer: |v| v, decimal: |v, unit| v.div_euclid(unit), double: f64::floor };

const CEIL: Kernel =
    Kernel { integer: |v| v, decimal: |v, unit| -(-v).div_euclid(unit), double: f64::ceil };

/// A function whose result is of the argument's kind; a DECIMAL loses its
/// scale if `whole`.
fn same_kind(name: &'static str, kernel: Kernel, whole: bool) -> Arc<ScalarUDF> {
    let function = Function::new(name, &[Number], DataType::Null, move |args| {
        apply(&args.array(0)?, kernel, args.returns)
    });
    let function = function.returning(move |types| {
        Ok(match &types[0] {
            DataType::Decimal128(precision, _) if whole => DataType::Decimal128(*precision, 0),
            other => other.clone(),
        })
    });
    if name == "ceil" { function.alias(&["ceiling"]).udf() } else { function.udf() }
}

fn apply(array: &ArrayRef, kernel: Kernel, returns: &DataType) -> Result<ArrayRef> {
    fn integers<T>(array: &ArrayRef, f: fn(i64) -> i64) -> ArrayRef
    where
        T: ArrowPrimitiveType,
        T::Native: Into<i64> + num_from_i64::FromI64,
    {
        let array: &PrimitiveArray<T> = array.as_primitive();
        Arc::new(array.unary::<_, T>(|v| num_from_i64::FromI64::from_i64(f(v.into()))))
    }
    Ok(match array.data_type() {
        DataType::Int8 => integers::<Int8Type>(array, kernel.integer),
        DataType::Int16 => integers::<Int16Type>(array, kernel.integer),
        DataType::Int32 => integers::<Int32Type>(array, kernel.integer),
        DataType::Int64 => integers::<Int64Type>(array, kernel.integer),
        DataType::Float32 => {
            let array = array.as_primitive::<Float32Type>();
            Arc::new(array.unary::<_, Float32Type>(|v| (kernel.double)(f64::from(v)) as f32))
        }
        DataType::Float64 => {
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(kernel.double))
        }
        DataType::Decimal128(_, scale) => {
            let unit = 10i128.pow(u32::from(scale.unsigned_abs()));
            let array = array.as_primitive::<Decimal128Type>();
            let out = array.unary::<_, Decimal128Type>(|v| (kernel.decimal)(v, unit));
            Arc::new(out.with_data_type(returns.clone()))
        }
        other => return exec_err!("{other} is no number"),
    })
}

/// Integers from an i64, wrapping.
mod num_from_i64 {
    pub(super) trait FromI64 {
        fn from_i64(value: i64) -> Self;
    }
    macro_rules! wrapping {
        ($($ty:ty),*) => { $(
            impl FromI64 for $ty {
                fn from_i64(value: i64) -> Self {
                    value as $ty
                }
            }
        )* };
    }
    wrapping!(i8, i16, i32, i64);
}

/// `MOD(a, b)` is planned as `a % b`; this is how it is found by name.
fn modulo() -> Arc<ScalarUDF> {
    Function::new("mod", &[Number, Number], DataType::Null, |args| {
        Ok(arrow::compute::kernels::numeric::rem(&args.array(0)?, &args.array(1)?)?)
    })
    .returning(|types| Ok(types[1].clone()))
    .udf()
}
