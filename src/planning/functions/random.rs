//! RAND and RAND_INTEGER, without a seed or, with one, as `java.util.Random`
//! goes on from it.
//!
//! A seed that is a literal begins one sequence for all rows of the call; one
//! that is computed begins a sequence in each row.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{Expr, ScalarUDF};
use rand::Rng as _;

use super::arguments::Arguments;
use super::function::{Function, Parameter};
use Parameter::Integer;

pub(super) fn all() -> Vec<Arc<ScalarUDF>> {
    vec![rand(), rand_integer()]
}

/// `RAND([seed])`: from 0 to, but not, 1.
fn rand() -> Arc<ScalarUDF> {
    Function::new("rand", &[Integer], DataType::Float64, |args| {
        let seeds = (args.len() > 0).then(|| args.integers(0)).transpose()?;
        Ok(args.collect::<Float64Type>(|row| match &seeds {
            Some(seeds) => Some(Java::new(seeds.get(row)?).double()),
            None => Some(rand::rng().random()),
        }))
    })
    .optional(1)
    .volatile()
    .simplifying(|args| {
        let sequence = Mutex::new(Java::new(literal(args.first()?)?));
        let call = Function::new("rand", &[], DataType::Float64, move |args| {
            let mut java = sequence.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(args.collect::<Float64Type>(|_| Some(java.double())))
        });
        Some(call.detail(&args[0].to_string()).volatile().udf().call(Vec::new()))
    })
    .udf()
}

/// `RAND_INTEGER([seed, ]bound)`: from 0 to, but not, the bound.
fn rand_integer() -> Arc<ScalarUDF> {
    const NAME: &str = "rand_integer";
    Function::new(NAME, &[Integer, Integer], DataType::Int32, |args| {
        let seeds = (args.len() > 1).then(|| args.integers(0)).transpose()?;
        bounded(args, |row, bound| match &seeds {
            Some(seeds) => Some(Java::new(seeds.get(row)?).below(bound)),
            None => Some(rand::rng().random_range(0..bound)),
        })
    })
    .optional(1)
    .volatile()
    .simplifying(|args| {
        let [seed, bound] = args.as_slice() else { return None };
        let sequence = Mutex::new(Java::new(literal(seed)?));
        let call = Function::new(NAME, &[Integer], DataType::Int32, move |args| {
            let mut java = sequence.lock().unwrap_or_else(PoisonError::into_inner);
            bounded(args, |_, bound| Some(java.below(bound)))
        });
        Some(call.detail(&seed.to_string()).volatile().udf().call(vec![bound.clone()]))
    })
    .udf()
}

/// Numbers below the last argument.
///
/// # Errors
/// A bound below 1.
fn bounded(
    args: &Arguments<'_>,
    mut draw: impl FnMut(usize, i32) -> Option<i32>,
) -> Result<ArrayRef> {
    let bounds = args.integers(args.len() - 1)?;
    let mut drawn = Vec::with_capacity(args.rows);
    for row in 0..args.rows {
        drawn.push(match bounds.get(row).map(i32::try_from) {
            None => None,
            Some(Ok(bound @ 1..)) => draw(row, bound),
            Some(_) => return exec_err!("the bound of RAND_INTEGER is an INT above 0"),
        });
    }
    Ok(args.collect::<Int32Type>(|row| drawn[row]))
}

fn literal(expr: &Expr) -> Option<i64> {
    let Expr::Literal(value, _) = expr else { return None };
    match value.cast_to(&DataType::Int64).ok()? {
        datafusion::common::ScalarValue::Int64(seed) => seed,
        _ => None,
    }
}

/// The linear congruential generator that `java.util.Random` documents.
struct Java(i64);

impl Java {
    const MULTIPLIER: i64 = 0x5_DEEC_E66D;
    const MASK: i64 = (1 << 48) - 1;

    fn new(seed: i64) -> Self {
        Self((seed ^ Self::MULTIPLIER) & Self::MASK)
    }

    fn bits(&mut self, count: u32) -> i32 {
        self.0 = self.0.wrapping_mul(Self::MULTIPLIER).wrapping_add(11) & Self::MASK;
        (self.0 >> (48 - count)) as i32
    }

    fn double(&mut self) -> f64 {
        let (high, low) = (i64::from(self.bits(26)), i64::from(self.bits(27)));
        ((high << 27) + low) as f64 / (1i64 << 53) as f64
    }

    fn below(&mut self, bound: i32) -> i32 {
        if bound.count_ones() == 1 {
            return ((i64::from(bound) * i64::from(self.bits(31))) >> 31) as i32;
        }
        loop {
            let bits = self.bits(31);
            let value = bits % bound;
            if bits.wrapping_sub(value).wrapping_add(bound - 1) >= 0 {
                return value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_javas_sequence() {
        let mut java = Java::new(42);
        assert_eq!([java.below(10), java.below(10), java.below(10)], [0, 3, 8]);
        assert_eq!(Java::new(1).double(), 0.730_878_190_703_290_9);
        assert_eq!(Java::new(0).below(16), 11);
    }
}
