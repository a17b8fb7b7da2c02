//! LIKE: in Flink a backslash is an ordinary character unless ESCAPE names it;
//! in Arrow's kernels it always escapes. Literal patterns are translated.

use datafusion::common::tree_node::Transformed;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::{Expr, Like};

pub(super) fn typed(like: Like) -> Result<Transformed<Expr>> {
    let Expr::Literal(pattern, metadata) = like.pattern.as_ref() else {
        if like.escape_char.is_some() {
            return plan_err!("LIKE … ESCAPE takes a literal pattern");
        }
        return Ok(Transformed::no(Expr::Like(like)));
    };
    let Some(text) = pattern.try_as_str().flatten() else {
        return Ok(Transformed::no(Expr::Like(like)));
    };
    if like.escape_char.is_none() && !text.contains('\\') {
        return Ok(Transformed::no(Expr::Like(like)));
    }
    let Some(translated) = translated(text, like.escape_char) else {
        return plan_err!(
            "the LIKE pattern '{text}' escapes something other than `%`, `_` and itself"
        );
    };
    let literal = Expr::Literal(ScalarValue::Utf8View(Some(translated)), metadata.clone());
    let like = Like { pattern: Box::new(literal), escape_char: None, ..like };
    Ok(Transformed::yes(Expr::Like(like)))
}

/// The pattern with a backslash for every escape.
fn translated(pattern: &str, escape: Option<char>) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 4);
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let literal = if Some(letter) == escape {
            let escaped = letters.next()?;
            if !matches!(escaped, '%' | '_') && Some(escaped) != escape {
                return None;
            }
            escaped
        } else if letter == '\\' {
            letter
        } else {
            out.push(letter);
            continue;
        };
        if matches!(literal, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(literal);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_backslashes() {
        for (pattern, escape, expected) in [
            (r"a\%", None, Some(r"a\\%")),
            ("a!%%", Some('!'), Some(r"a\%%")),
            ("a!!_", Some('!'), Some("a!_")),
            (r"a\_", Some('\\'), Some(r"a\_")),
            ("a!b", Some('!'), None),
            ("a!", Some('!'), None),
        ] {
            assert_eq!(translated(pattern, escape).as_deref(), expected, "{pattern}");
        }
    }
}
