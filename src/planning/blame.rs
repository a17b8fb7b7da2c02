//! Where a mistake is of which only the words are known: in the smallest
//! expression without which it is not made.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Spanned as _, Value, Visit, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::tokenizer::Span;

/// In larger queries nobody is blamed: each expression would be planned.
const MAX_EXPRESSIONS: usize = 400;

/// The place of the expression of `part` that is at fault. `fault_of` says what
/// is wrong with a part, and `fault` is what it says of this one.
///
/// Goes down from the outermost expressions as long as one alone is at fault:
/// with NULL in its place the mistake is gone.
pub fn place<T: Visit + VisitMut + Clone>(
    part: &T,
    fault: &str,
    fault_of: impl Fn(T) -> Option<String>,
) -> Option<Span> {
    let mut found = Expressions::default();
    let _ = Visit::visit(part, &mut found);
    if found.all.len() > MAX_EXPRESSIONS {
        return None;
    }
    let mut blamed: Option<usize> = None;
    let (mut place, mut is_cured) = (None, false);
    loop {
        let inner = (0..found.all.len()).filter(|at| found.all[*at].parent == blamed);
        let (mut cured, mut changed) = (Vec::new(), Vec::new());
        for at in inner {
            let mut without = part.clone();
            let _ = VisitMut::visit(&mut without, &mut Without { at, next: 0 });
            match fault_of(without) {
                None => cured.push(at),
                Some(other) if other != fault => changed.push(at),
                Some(_) => {}
            }
        }
        // A mistake that turns into another one is only a trace of it.
        is_cured |= !cured.is_empty();
        let suspects = if is_cured { cured } else { changed };
        let [only] = suspects.as_slice() else { return place };
        blamed = Some(*only);
        let span = found.all[*only].span;
        if span != Span::empty() {
            place = Some(span);
        }
    }
}

struct Expression {
    span: Span,
    parent: Option<usize>,
}

/// Every expression, the outer ones first.
#[derive(Default)]
struct Expressions {
    all: Vec<Expression>,
    around: Vec<usize>,
}

impl Visitor for Expressions {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        let parent = self.around.last().copied();
        self.around.push(self.all.len());
        self.all.push(Expression { span: expr.span(), parent });
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.around.pop();
        ControlFlow::Continue(())
    }
}

/// Puts NULL in place of one expression, counted in the same order.
struct Without {
    at: usize,
    next: usize,
}

impl VisitorMut for Without {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if self.next == self.at {
            *expr = Expr::Value(Value::Null.into());
        }
        self.next += 1;
        ControlFlow::Continue(())
    }
}
