//! The arithmetic of an average: how values widen into a sum, and how the sum
//! is divided at the end.

use std::fmt::Debug;
use std::marker::PhantomData;

use arrow::datatypes::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type,
};

use super::decimals;

/// How values of one type are averaged.
pub trait Mean: Debug + Clone + Send + Sync + 'static {
    /// What is averaged, and what the average is.
    type Value: ArrowPrimitiveType + Debug;
    type Sum: ArrowPrimitiveType + Debug;

    fn widen(
        value: <Self::Value as ArrowPrimitiveType>::Native,
    ) -> <Self::Sum as ArrowPrimitiveType>::Native;

    fn add(
        a: <Self::Sum as ArrowPrimitiveType>::Native,
        b: <Self::Sum as ArrowPrimitiveType>::Native,
    ) -> <Self::Sum as ArrowPrimitiveType>::Native;

    fn subtract(
        a: <Self::Sum as ArrowPrimitiveType>::Native,
        b: <Self::Sum as ArrowPrimitiveType>::Native,
    ) -> <Self::Sum as ArrowPrimitiveType>::Native;

    /// `None` where the average is no value of its type; `count` is positive.
    fn divide(
        &self,
        sum: <Self::Sum as ArrowPrimitiveType>::Native,
        count: i64,
    ) -> Option<<Self::Value as ArrowPrimitiveType>::Native>;
}

/// Numbers other than decimals: integers in 64 bits, floating point in double.
#[derive(Debug)]
pub struct Numbers<T>(PhantomData<T>);

impl<T> Clone for Numbers<T> {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl<T> Numbers<T> {
    pub fn new() -> Self {
        Self(PhantomData)
    }
}

macro_rules! integers {
    ($($of:ty),*) => {$(
        impl Mean for Numbers<$of> {
            type Value = $of;
            type Sum = Int64Type;

            fn widen(value: <$of as ArrowPrimitiveType>::Native) -> i64 {
                i64::from(value)
            }

            fn add(a: i64, b: i64) -> i64 {
                a.wrapping_add(b)
            }

            fn subtract(a: i64, b: i64) -> i64 {
                a.wrapping_sub(b)
            }

            fn divide(
                &self,
                sum: i64,
                count: i64,
            ) -> Option<<$of as ArrowPrimitiveType>::Native> {
                // A sum that has not wrapped has an average of the values' own
                // type; one that has is cut to it, as Java's casts do.
                Some((sum / count) as <$of as ArrowPrimitiveType>::Native)
            }
        }
    )*};
}

integers!(Int8Type, Int16Type, Int32Type, Int64Type);

macro_rules! floating_point {
    ($($of:ty),*) => {$(
        impl Mean for Numbers<$of> {
            type Value = $of;
            type Sum = Float64Type;

            fn widen(value: <$of as ArrowPrimitiveType>::Native) -> f64 {
                f64::from(value)
            }

            fn add(a: f64, b: f64) -> f64 {
                a + b
            }

            fn subtract(a: f64, b: f64) -> f64 {
                a - b
            }

            fn divide(
                &self,
                sum: f64,
                count: i64,
            ) -> Option<<$of as ArrowPrimitiveType>::Native> {
                Some((sum / count as f64) as <$of as ArrowPrimitiveType>::Native)
            }
        }
    )*};
}

floating_point!(Float32Type, Float64Type);

/// Decimals of one scale; the average has at least six digits after the point.
#[derive(Debug, Clone)]
pub struct Decimals {
    more_digits: u32,
}

impl Decimals {
    pub fn of_scale(scale: i8) -> Self {
        Self { more_digits: u32::from(scale.max(6).abs_diff(scale)) }
    }
}

impl Mean for Decimals {
    type Value = Decimal128Type;
    type Sum = Decimal128Type;

    fn widen(value: i128) -> i128 {
        value
    }

    fn add(a: i128, b: i128) -> i128 {
        decimals::add(a, b)
    }

    fn subtract(a: i128, b: i128) -> i128 {
        decimals::add(a, -b)
    }

    fn divide(&self, sum: i128, count: i64) -> Option<i128> {
        let sum = decimals::value(sum)?;
        decimals::divide(sum, count, self.more_digits)
    }
}
