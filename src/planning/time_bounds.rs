//! Bounds that a join's condition puts on the time between its two sides, such
//! as `b.ts BETWEEN a.ts AND a.ts + INTERVAL '10' SECOND`.
//!
//! Source: <https://nightlies.apache.org/flink/flink-docs-stable/docs/dev/table/sql/queries/joins/#interval-joins>

use datafusion::common::{DFSchema, ScalarValue};
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Operator};

use super::event_time::passed_on;

/// Right time minus left time lies between `lower_ms` and `upper_ms`, or within
/// less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeBounds {
    /// Index of the time column on the left and on the right.
    pub left: usize,
    pub right: usize,
    pub lower_ms: i64,
    pub upper_ms: i64,
}

/// Says of a column's index whether time can be told by it.
pub type IsTime<'a> = &'a dyn Fn(usize) -> bool;

/// A column of the left side (`true`) or the right, and what is added to it.
#[derive(Debug, Clone, Copy)]
struct Term {
    is_left: bool,
    column: usize,
    micros: i64,
}

/// The bounds that `conditions`, all of which hold, put on a time column of
/// either side; `None` if they leave one end open.
pub fn find(
    conditions: &[&Expr],
    schemas: (&DFSchema, &DFSchema),
    is_time: (IsTime<'_>, IsTime<'_>),
) -> Option<TimeBounds> {
    // For each pair of columns the largest lower and the least upper bound.
    let mut found: Vec<(usize, usize, Option<i64>, Option<i64>)> = Vec::new();
    let mut note = |smaller: Option<Term>, larger: Option<Term>| {
        let (Some(smaller), Some(larger)) = (smaller, larger) else { return };
        if smaller.is_left == larger.is_left {
            return;
        }
        // smaller + s <= larger + l
        let gap = smaller.micros - larger.micros;
        let (left, right) = if smaller.is_left { (smaller, larger) } else { (larger, smaller) };
        if !is_time.0(left.column) || !is_time.1(right.column) {
            return;
        }
        let place = found.iter().position(|f| (f.0, f.1) == (left.column, right.column));
        let place = place.unwrap_or_else(|| {
            found.push((left.column, right.column, None, None));
            found.len() - 1
        });
        let bounds = &mut found[place];
        if smaller.is_left {
            bounds.2 = Some(bounds.2.map_or(gap, |lower| lower.max(gap)));
        } else {
            bounds.3 = Some(bounds.3.map_or(-gap, |upper| upper.min(-gap)));
        }
    };
    let term = |expr: &Expr| term(expr, schemas);
    for condition in conditions {
        match condition {
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => match op {
                Operator::Lt | Operator::LtEq => note(term(left), term(right)),
                Operator::Gt | Operator::GtEq => note(term(right), term(left)),
                Operator::Eq => {
                    note(term(left), term(right));
                    note(term(right), term(left));
                }
                _ => {}
            },
            Expr::Between(Between { expr, negated: false, low, high }) => {
                note(term(low), term(expr));
                note(term(expr), term(high));
            }
            _ => {}
        }
    }
    found.into_iter().find_map(|(left, right, lower, upper)| {
        Some(TimeBounds {
            left,
            right,
            lower_ms: lower?.div_euclid(1000),
            upper_ms: upper?.div_euclid(1000) + i64::from(upper? % 1000 != 0),
        })
    })
}

/// A column, or one with a constant stretch of time added or taken away.
fn term(expr: &Expr, schemas: (&DFSchema, &DFSchema)) -> Option<Term> {
    match expr {
        Expr::Alias(alias) => term(&alias.expr, schemas),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Plus, right }) => {
            match (micros(left), micros(right)) {
                (None, Some(added)) => Some(plus(term(left, schemas)?, added)),
                (Some(added), None) => Some(plus(term(right, schemas)?, added)),
                _ => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) => {
            Some(plus(term(left, schemas)?, -micros(right)?))
        }
        _ => {
            let of = |schema, is_left| {
                passed_on(expr, schema).map(|column| Term { is_left, column, micros: 0 })
            };
            of(schemas.0, true).or_else(|| of(schemas.1, false))
        }
    }
}

fn plus(term: Term, micros: i64) -> Term {
    Term { micros: term.micros + micros, ..term }
}

/// A constant stretch of time.
fn micros(expr: &Expr) -> Option<i64> {
    const DAY: i64 = 86_400_000_000;
    match expr {
        Expr::Alias(alias) => micros(&alias.expr),
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(i)), _) if i.months == 0 => {
            Some(i64::from(i.days) * DAY + i.nanoseconds / 1_000)
        }
        Expr::Literal(ScalarValue::IntervalDayTime(Some(i)), _) => {
            Some(i64::from(i.days) * DAY + i64::from(i.milliseconds) * 1_000)
        }
        Expr::Literal(ScalarValue::DurationMicrosecond(Some(micros)), _) => Some(*micros),
        Expr::Literal(ScalarValue::DurationMillisecond(Some(ms)), _) => Some(ms * 1_000),
        Expr::Literal(ScalarValue::DurationSecond(Some(s)), _) => Some(s * 1_000_000),
        Expr::Literal(ScalarValue::DurationNanosecond(Some(n)), _) => Some(n / 1_000),
        _ => None,
    }
}
