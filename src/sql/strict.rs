//! Refuses what sqlparser reads and Flink SQL does not have, so that a script
//! that runs here runs on a Flink cluster.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self as sql, BinaryOperator, CastKind, Expr, SetExpr, Spanned as _, Visit, Visitor,
};

use super::lexer::Tok;
use super::reserved;
use crate::diagnostics::{Diagnostic, Span};

pub(super) fn check_query(query: &sql::Query, toks: &[Tok]) -> Vec<Diagnostic> {
    check(query, toks)
}

pub(super) fn check_expr(expr: &Expr, toks: &[Tok]) -> Vec<Diagnostic> {
    check(expr, toks)
}

fn check(node: &impl Visit, toks: &[Tok]) -> Vec<Diagnostic> {
    let mut strict = Strict { toks, diagnostics: Vec::new() };
    let _ = node.visit(&mut strict);
    strict.diagnostics
}

struct Strict<'a> {
    toks: &'a [Tok],
    diagnostics: Vec<Diagnostic>,
}

impl Strict<'_> {
    fn refuse(&mut self, what: &str, places: Option<sql_span::Places>, hint: &str) {
        let span = places.and_then(|places| sql_span::bytes(self.toks, places));
        let place = span.unwrap_or_else(|| self.everything());
        let mut diagnostic = Diagnostic::error(format!("{what} is not Flink SQL")).at(place);
        if !hint.is_empty() {
            diagnostic = diagnostic.hint(hint);
        }
        self.diagnostics.push(diagnostic);
    }

    fn everything(&self) -> Span {
        super::query::extent(self.toks, Span::default())
    }

    /// A clause, at the word that begins it.
    fn refuse_clause(&mut self, word: &str, hint: &str) {
        let tok = self.toks.iter().find(|t| t.is(word));
        let places = tok.map(|t| t.inner.span);
        self.refuse(word, places, hint);
    }

    fn select(&mut self, select: &sql::Select) {
        if select.top.is_some() {
            self.refuse_clause("TOP", "write LIMIT or FETCH FIRST at the end");
        }
        if select.into.is_some() {
            self.refuse_clause("INTO", "write INSERT INTO … SELECT …");
        }
        if matches!(select.distinct, Some(sql::Distinct::On(_))) {
            self.refuse_clause("DISTINCT", "take the first row by ROW_NUMBER() instead");
        }
        if !select.cluster_by.is_empty() {
            self.refuse_clause("CLUSTER", "");
        }
        if !select.distribute_by.is_empty() {
            self.refuse_clause("DISTRIBUTE", "");
        }
        if !select.sort_by.is_empty() {
            self.refuse_clause("SORT", "write ORDER BY");
        }
        if !select.lateral_views.is_empty() {
            self.refuse_clause("LATERAL", "write CROSS JOIN UNNEST(…)");
        }
        for item in &select.projection {
            if let sql::SelectItem::ExprWithAlias { alias, .. } = item {
                self.name(alias);
            }
        }
        for table in &select.from {
            self.table(table);
        }
    }

    fn table(&mut self, table: &sql::TableWithJoins) {
        let joined = table.joins.iter().map(|j| &j.relation);
        for factor in std::iter::once(&table.relation).chain(joined) {
            let alias = match factor {
                sql::TableFactor::Table { alias, sample, name, .. } => {
                    if sample.is_some() {
                        self.refuse_clause("TABLESAMPLE", "");
                    }
                    for part in &name.0 {
                        if let sql::ObjectNamePart::Identifier(ident) = part
                            && !ident.value.eq_ignore_ascii_case("UNNEST")
                        {
                            self.name(ident);
                        }
                    }
                    alias
                }
                sql::TableFactor::Derived { alias, .. }
                | sql::TableFactor::TableFunction { alias, .. } => alias,
                sql::TableFactor::Pivot { .. } => {
                    self.refuse_clause("PIVOT", "write SUM(x) FILTER (WHERE …)");
                    continue;
                }
                sql::TableFactor::Unpivot { .. } => {
                    self.refuse_clause("UNPIVOT", "write UNION ALL");
                    continue;
                }
                sql::TableFactor::NestedJoin { table_with_joins, alias } => {
                    self.table(table_with_joins);
                    alias
                }
                _ => continue,
            };
            if let Some(alias) = alias {
                self.name(&alias.name);
            }
        }
    }

    /// A reserved word needs backticks to be a name.
    fn name(&mut self, ident: &sql::Ident) {
        if ident.quote_style.is_none() && reserved::is_reserved(&ident.value) {
            let span = sql_span::bytes(self.toks, ident.span);
            let place = span.unwrap_or_else(|| self.everything());
            self.diagnostics.push(reserved::used_as_name(&ident.value, place));
        }
    }

    fn expr(&mut self, expr: &Expr) {
        let (what, hint) = match expr {
            Expr::Identifier(ident) => return self.name(ident),
            Expr::CompoundIdentifier(parts) => {
                return parts.iter().for_each(|part| self.name(part));
            }
            Expr::ILike { .. } => ("ILIKE", "write LOWER(a) LIKE LOWER(b)"),
            Expr::RLike { .. } => ("RLIKE", "write REGEXP(a, pattern)"),
            Expr::Cast { kind: CastKind::SafeCast, .. } => ("SAFE_CAST", "write TRY_CAST"),
            Expr::Cast { format: Some(_), .. } => ("CAST with FORMAT", "write DATE_FORMAT"),
            Expr::Convert { .. } => ("CONVERT", "write CAST"),
            Expr::AtTimeZone { .. } => ("AT TIME ZONE", "write CONVERT_TZ"),
            Expr::Collate { .. } => ("COLLATE", ""),
            Expr::IsNormalized { .. } => ("IS NORMALIZED", ""),
            Expr::TypedString(typed) => match &typed.data_type {
                sql::DataType::Date
                | sql::DataType::Time(None, sql::TimezoneInfo::None)
                | sql::DataType::Timestamp(None, sql::TimezoneInfo::None) => return,
                _ => ("a literal of this type", "write CAST('…' AS type)"),
            },
            Expr::BinaryOp { op, .. } => match op {
                BinaryOperator::Regexp => ("REGEXP as an operator", "write REGEXP(a, b)"),
                BinaryOperator::Xor => ("XOR", "write a <> b"),
                BinaryOperator::MyIntegerDivide | BinaryOperator::DuckIntegerDivide => {
                    ("integer division", "write CAST(a / b AS BIGINT)")
                }
                _ => return,
            },
            _ => return,
        };
        self.refuse(what, Some(expr.span()), hint);
    }
}

impl Visitor for Strict<'_> {
    type Break = ();

    fn pre_visit_query(&mut self, query: &sql::Query) -> ControlFlow<()> {
        if !query.locks.is_empty() {
            self.refuse_clause("FOR", "a query takes no locks");
        }
        if let Some(with) = &query.with {
            if with.recursive {
                self.refuse_clause("RECURSIVE", "");
            }
            with.cte_tables.iter().for_each(|cte| self.name(&cte.alias.name));
        }
        set_expr(self, &query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        self.expr(expr);
        ControlFlow::Continue(())
    }
}

fn set_expr(strict: &mut Strict<'_>, body: &SetExpr) {
    match body {
        SetExpr::Select(select) => {
            if select.qualify.is_some() {
                strict.refuse_clause("QUALIFY", "filter ROW_NUMBER() in an outer query");
            }
            strict.select(select);
        }
        SetExpr::SetOperation { left, right, .. } => {
            set_expr(strict, left);
            set_expr(strict, right);
        }
        _ => {}
    }
}

/// From sqlparser's lines and columns to bytes, by the tokens that begin and
/// end there.
mod sql_span {
    pub(super) use datafusion::sql::sqlparser::tokenizer::Span as Places;

    use super::{Span, Tok};

    pub(super) fn bytes(toks: &[Tok], places: Places) -> Option<Span> {
        let first = toks.binary_search_by(|t| t.inner.span.start.cmp(&places.start)).ok()?;
        let last = toks.binary_search_by(|t| t.inner.span.end.cmp(&places.end)).ok()?;
        Some(toks[first].span.to(toks[last].span))
    }
}
