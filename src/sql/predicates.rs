//! Flink's expressions that sqlparser does not read, in terms of those it does.
//!
//! | in the file | in the AST |
//! |---|---|
//! | `a IS JSON OBJECT`, `a IS NOT JSON` | `is_json(a, 'OBJECT')`, `NOT is_json(a, 'VALUE')` |
//! | `a BETWEEN SYMMETRIC b AND c` | `(a BETWEEN b AND c OR a BETWEEN c AND b)` |
//! | `a BETWEEN ASYMMETRIC b AND c` | `a BETWEEN b AND c` |
//! | `CASE a WHEN b, c THEN d END` | `CASE WHEN a IN (b, c) THEN d END` |

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::helpers::attached_token::AttachedToken;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, Function, FunctionArg, FunctionArgExpr,
    FunctionArgumentList, FunctionArguments, Ident, ObjectName, UnaryOperator, Value,
    visit_expressions,
};
use datafusion::sql::sqlparser::dialect::{Dialect as _, Precedence};
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

use super::dialect::FlinkDialect;

/// How many expressions may come of one that is written out several times:
/// nested in itself it would double at every level.
const MAX_REPEATED: usize = 100_000;

/// What may follow `IS JSON`.
const KINDS: &[&str] = &["VALUE", "SCALAR", "ARRAY", "OBJECT"];

/// Whether `expr` is small enough to be written out `times` times.
pub fn may_repeat(expr: &Expr, times: usize) -> bool {
    let mut count = 0_usize;
    let flow = visit_expressions(expr, |_| {
        count += times;
        if count > MAX_REPEATED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    flow.is_continue()
}

fn check_repeated(expr: &Expr, times: usize) -> Result<(), ParserError> {
    match may_repeat(expr, times) {
        true => Ok(()),
        false => Err(ParserError::RecursionLimitExceeded),
    }
}

/// `[NOT] JSON [kind]` behind `value IS`, if it is there.
pub(super) fn is_json(parser: &mut Parser<'_>, value: &Expr) -> Option<Expr> {
    use Keyword::{IS, JSON, NOT};
    let place = parser.peek_token().span;
    let negated = parser.parse_keywords(&[IS, NOT, JSON]);
    if !negated && !parser.parse_keywords(&[IS, JSON]) {
        return None;
    }
    let next = parser.peek_token();
    let kind = match &next.token {
        Token::Word(word) if word.quote_style.is_none() => {
            KINDS.iter().find(|kind| word.value.eq_ignore_ascii_case(kind))
        }
        _ => None,
    };
    let kind = match kind {
        Some(kind) => {
            parser.next_token();
            kind
        }
        None => "VALUE",
    };
    let kind = Value::SingleQuotedString(kind.to_owned()).with_span(next.span);
    let args = [value.clone(), Expr::Value(kind)]
        .map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg)));
    let call = Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_span(place, "is_json")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    });
    Some(match negated {
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(call) },
        false => call,
    })
}

/// `[NOT] BETWEEN SYMMETRIC|ASYMMETRIC b AND c` behind `value`, if it is there.
pub(super) fn between(
    parser: &mut Parser<'_>,
    value: &Expr,
) -> Option<Result<Expr, ParserError>> {
    use Keyword::{ASYMMETRIC, BETWEEN, NOT, SYMMETRIC};
    for (kind, symmetric) in [(SYMMETRIC, true), (ASYMMETRIC, false)] {
        let negated = parser.parse_keywords(&[NOT, BETWEEN, kind]);
        if negated || parser.parse_keywords(&[BETWEEN, kind]) {
            return Some(bounds(parser, value, negated, symmetric));
        }
    }
    None
}

fn bounds(
    parser: &mut Parser<'_>,
    value: &Expr,
    negated: bool,
    symmetric: bool,
) -> Result<Expr, ParserError> {
    let precedence = FlinkDialect.prec_value(Precedence::Between);
    let one = parser.parse_subexpr(precedence)?;
    parser.expect_keyword_is(Keyword::AND)?;
    let other = parser.parse_subexpr(precedence)?;
    let between = |low: &Expr, high: &Expr| {
        let own = |expr: &Expr| Box::new(expr.clone());
        Expr::Between { expr: own(value), negated, low: own(low), high: own(high) }
    };
    if !symmetric {
        return Ok(between(&one, &other));
    }
    [value, &one, &other].iter().try_for_each(|part| check_repeated(part, 2))?;
    let op = if negated { BinaryOperator::And } else { BinaryOperator::Or };
    let (left, right) = (Box::new(between(&one, &other)), Box::new(between(&other, &one)));
    Ok(Expr::Nested(Box::new(Expr::BinaryOp { left, op, right })))
}

/// A `CASE`, if it is one.
pub(super) fn case(parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
    parser.parse_keyword(Keyword::CASE).then(|| whole_case(parser))
}

fn whole_case(parser: &mut Parser<'_>) -> Result<Expr, ParserError> {
    let case_token = AttachedToken(parser.get_current_token().clone());
    let mut operand = None;
    if !parser.peek_keyword(Keyword::WHEN) {
        operand = Some(Box::new(parser.parse_expr()?));
    }
    parser.expect_keyword_is(Keyword::WHEN)?;
    let mut branches = Vec::new();
    loop {
        let conditions = match operand {
            Some(_) => parser.parse_comma_separated(Parser::parse_expr)?,
            None => vec![parser.parse_expr()?],
        };
        parser.expect_keyword_is(Keyword::THEN)?;
        branches.push((conditions, parser.parse_expr()?));
        if !parser.parse_keyword(Keyword::WHEN) {
            break;
        }
    }
    let else_result = match parser.parse_keyword(Keyword::ELSE) {
        true => Some(Box::new(parser.parse_expr()?)),
        false => None,
    };
    let end_token = AttachedToken(parser.expect_keyword(Keyword::END)?);
    // Values that are listed are compared one branch at a time.
    let listed = branches.iter().any(|(conditions, _)| conditions.len() > 1);
    let compared = operand.take_if(|_| listed);
    if let Some(value) = &compared {
        check_repeated(value, branches.len())?;
    }
    let branches = branches.into_iter().map(|(conditions, result)| {
        let condition = match &compared {
            Some(value) => {
                Expr::InList { expr: value.clone(), list: conditions, negated: false }
            }
            None => conditions.into_iter().next().expect("a list has one"),
        };
        CaseWhen { condition, result }
    });
    let conditions = branches.collect();
    Ok(Expr::Case { case_token, end_token, operand, conditions, else_result })
}
