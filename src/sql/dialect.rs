//! What sqlparser may read: the choices among its dialects that make Flink SQL.
//!
//! Flink quotes identifiers with backticks, compares them with their case, and
//! takes a backslash in a string for itself. What sqlparser reads beyond Flink
//! is refused elsewhere ([`super::strict`]).

use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::{Keyword, RESERVED_FOR_IDENTIFIER};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};

use super::predicates;

/// Flink SQL, for sqlparser.
#[derive(Debug, Clone, Copy, Default)]
pub struct FlinkDialect;

/// Words that begin a construct of their own. Were they taken for identifiers
/// too, sqlparser would read every nested one twice before it gave up, and
/// would report the second reading's mistake.
const NEVER_AN_IDENTIFIER: &[Keyword] = &[
    Keyword::ARRAY,
    Keyword::CASE,
    Keyword::CAST,
    Keyword::CEIL,
    Keyword::EXTRACT,
    Keyword::FLOOR,
    Keyword::NOT,
    Keyword::NULL,
    Keyword::OVERLAY,
    Keyword::SUBSTRING,
    Keyword::TRY_CAST,
];

impl Dialect for FlinkDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('`')
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch == '$'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn is_reserved_for_identifier(&self, keyword: Keyword) -> bool {
        NEVER_AN_IDENTIFIER.contains(&keyword) || RESERVED_FOR_IDENTIFIER.contains(&keyword)
    }

    fn supports_unicode_string_literal(&self) -> bool {
        true
    }

    /// `COUNT(*) FILTER (WHERE …)`.
    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    /// `GROUPING SETS`, `CUBE`, `ROLLUP`.
    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }

    /// `JOIN t FOR SYSTEM_TIME AS OF …`.
    fn supports_table_versioning(&self) -> bool {
        true
    }

    /// `INTERVAL '5'` without a unit is nothing in Flink.
    fn require_interval_qualifier(&self) -> bool {
        true
    }

    fn supports_left_associative_joins_without_parens(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser<'_>) -> Option<Result<Expr, ParserError>> {
        predicates::case(parser)
    }

    /// `a IS DISTINCT FROM b OR c`: the right side ends before OR.
    fn parse_infix(
        &self,
        parser: &mut Parser<'_>,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        use Keyword::{DISTINCT, FROM, IS, NOT};
        let make = if parser.parse_keywords(&[IS, DISTINCT, FROM]) {
            Expr::IsDistinctFrom
        } else if parser.parse_keywords(&[IS, NOT, DISTINCT, FROM]) {
            Expr::IsNotDistinctFrom
        } else if let Some(json) = predicates::is_json(parser, expr) {
            return Some(Ok(json));
        } else {
            return predicates::between(parser, expr);
        };
        let left = Box::new(expr.clone());
        Some(parser.parse_subexpr(precedence).map(|right| make(left, Box::new(right))))
    }
}
