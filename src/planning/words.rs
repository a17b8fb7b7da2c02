//! What DataFusion says, in the author's words: Flink's names of types, and
//! plain sentences for the mistakes that authors make.

/// DataFusion's words, `{}` for what varies, how it is said here, `{0}` for the
/// first of what varies, and a hint. The first that fits counts.
const WORDS: &[(&str, &str, &str)] = &[
    // Of the names of tables and columns.
    ("table {}; did you mean {}?", "table {0}", "did you mean {1}?"),
    ("table {} is not declared in this file", "table {0} is not declared in this file", ""),
    (
        "{}column \"{}\" must appear in the GROUP BY clause or must be part of an aggregate function{}",
        "`{1}` is neither in GROUP BY nor in an aggregate function",
        "add it to GROUP BY, or write MIN({1}) or another aggregate function",
    ),
    (
        "HAVING clause references: {} must appear in the GROUP BY clause{}",
        "HAVING is about groups, and this is neither in GROUP BY nor in an aggregate function",
        "without GROUP BY, write WHERE",
    ),
    (
        "Aggregate functions are not allowed in the WHERE clause{}",
        "an aggregate function cannot stand in WHERE",
        "write HAVING behind GROUP BY",
    ),
    (
        "Aggregate function calls cannot be nested{}",
        "an aggregate function cannot stand in another",
        "compute the inner one in a subquery",
    ),
    (
        "Cannot find column with position {} in SELECT clause. Valid columns: 1 to {}",
        "there is no column {0} to GROUP BY: SELECT has {1}",
        "",
    ),
    (
        "Order by column out of bounds, specified: {}, max: {}",
        "there is no column {0} to ORDER BY: SELECT has {1}",
        "",
    ),
    (
        "Schema contains duplicate qualified field name {}.{}",
        "two tables here are called `{0}`",
        "give each another alias: AS a, AS b",
    ),
    (
        "Projections require unique expression names but the expression \"{} AS {}\" at {}",
        "two columns here are called `{1}`",
        "give each a name of its own with AS",
    ),
    (
        "Projections require unique expression names but the expression \"{}\" at {}",
        "two columns here are called `{0}`",
        "give each a name of its own with AS",
    ),
    ("Invalid qualifier {}", "no table here is called `{0}`", ""),
    ("SELECT * with no tables specified is not valid", "SELECT * needs a FROM", ""),
    ("The window {} is not defined!", "no WINDOW here is called `{0}`", ""),
    ("Field {} not found in struct", "the ROW has no field `{0}`", ""),
    (
        "Cannot access field at argument {}: type {} is not ROW, MAP, or NULL",
        "only a ROW has fields, this is {1}",
        "",
    ),
    (
        "Dot access not supported for {}",
        "a field of an expression is not supported",
        "write x.field of a column x",
    ),
    // Of the widths of rows.
    (
        "Source table contains {} columns but only {} names given as column alias",
        "the alias names {1} columns, the query has {0}",
        "",
    ),
    (
        "Inconsistent data length across values list: got {} values in row {} but expected {}",
        "the rows of VALUES have different widths: {2} and {0}",
        "",
    ),
    (
        "UNION queries have different number of columns{}",
        "the two sides of UNION have different numbers of columns",
        "",
    ),
    (
        "Too many columns! The subquery should only return one column{}",
        "a subquery here has one column",
        "",
    ),
    // Of types.
    ("Function '{}' user-defined coercion failed with: {}. No function matches {}", "{1}", ""),
    (
        "Cannot coerce arithmetic expression STRING + STRING to valid types",
        "STRING + STRING is not possible",
        "write a || b",
    ),
    ("Cannot coerce arithmetic expression {} to valid types", "{0} is not possible", CAST),
    (
        "Cannot infer common argument type for comparison operation {}",
        "{0} is not possible: the types have nothing in common",
        CAST,
    ),
    (
        "Cannot infer common argument type for logical boolean operation {}",
        "{0} is not possible: both sides must be BOOLEAN",
        "compare with something, as in a > 0",
    ),
    (
        "Unary operator 'NOT' requires a boolean expression, got {}",
        "NOT takes a BOOLEAN, not {0}",
        "compare with something, as in a > 0",
    ),
    (
        "Cannot create filter with non-boolean predicate '{}' returning {}",
        "a condition must be BOOLEAN, this is {1}",
        "compare with something, as in a > 0",
    ),
    (
        "Join condition must be boolean type, but got {}",
        "a condition must be BOOLEAN, this is {0}",
        "compare with something, as in a.k = b.k",
    ),
    (
        "Can not find compatible types to compare {} with [{}]",
        "{0} IN ({1}) is not possible: the types have nothing in common",
        CAST,
    ),
    (
        "Failed to coerce types {} and {} in BETWEEN expression{}",
        "BETWEEN does not take {0} and {1}: the types have nothing in common",
        CAST,
    ),
    (
        "There isn't a common type to coerce {} and {} in LIKE expression",
        "LIKE does not take {0} and {1}",
        CAST,
    ),
    (
        "Failed to coerce case ({}) and when ({}) to common types in CASE WHEN expression",
        "CASE does not take {0} and {1}: the types have nothing in common",
        CAST,
    ),
    (
        "Incompatible inputs for Union: Previous inputs were of type {}, but got incompatible type {} on column '{}'",
        "column `{2}` of the two sides of UNION ALL is {0} and {1}",
        CAST,
    ),
    (
        "Inconsistent data type across values list at row {} column {}. Was {} but found {}",
        "the rows of VALUES have different types: {2} and {3}",
        CAST,
    ),
    (
        "Inconsistent metadata across values list at row {} column {}. {}",
        "the rows of VALUES have different types",
        CAST,
    ),
    ("make_map requires an even number of arguments", "MAP[…] takes a value for each key", ""),
    (
        "Failed to unify argument types of make_array: [{}]",
        "the elements of an ARRAY have no type in common: {0}",
        CAST,
    ),
    (
        "Failed to unify argument types of {}: [{}]",
        "the arguments have no type in common: {1}",
        CAST,
    ),
    (
        "{} does not support type {}. No function matches {}",
        "this function does not take {1}",
        "",
    ),
    (
        "Failed to coerce arguments to satisfy a call to '{}' function: coercion from {} to the signature {}",
        "this function does not take {1}",
        "",
    ),
    (
        "Substring without for/from is not valid{}",
        "SUBSTRING needs the place it begins at",
        "write SUBSTRING(s, 1) or SUBSTRING(s FROM 1)",
    ),
    (
        "Expected LIMIT to be an integer or null, but got {}",
        "LIMIT takes a whole number, not {0}",
        "",
    ),
    (
        "Invalid escape character in LIKE expression. Expected a single character wrapped with single quotes, got {}",
        "ESCAPE takes one character, not {0}",
        "",
    ),
    (
        "Unable to represent {} in a signed 32-bit integer",
        "the interval of {0} is too long",
        "",
    ),
    (
        "Parser error: Invalid input syntax for type interval: \"{}\"",
        "the interval '{0}' cannot be read",
        "write a number and a unit, as in INTERVAL '5' MINUTE",
    ),
    // Of what is not built.
    (
        "Physical plan does not support logical expression ScalarSubquery{}",
        "a subquery as a value is not supported here",
        "join with it",
    ),
    ("FETCH clause is not supported yet", "FETCH is not supported", "write LIMIT"),
    ("Table Functions are not supported", "this table function is not supported", ""),
];

const CAST: &str = "CAST one side to the type of the other";

/// What `text` of DataFusion's means, and a hint, empty if there is none.
pub fn plain(text: &str) -> Option<(String, String)> {
    WORDS.iter().find_map(|(theirs, ours, hint)| {
        let found = captures(theirs, text)?;
        let message = filled(ours, &found);
        // What a function says may be DataFusion's words again.
        let inner = if *ours == "{1}" { plain(&message) } else { None };
        Some(inner.unwrap_or_else(|| (message, filled(hint, &found))))
    })
}

/// What stands in `text` for each `{}` of `pattern`; the shortest that fits.
fn captures<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let at = match parts.peek() {
            None => rest.ends_with(part).then(|| rest.len() - part.len())?,
            Some(_) => rest.find(part)?,
        };
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(found)
}

fn filled(words: &str, found: &[&str]) -> String {
    let mut words = words.to_owned();
    for (n, text) in found.iter().enumerate() {
        words = words.replace(&format!("{{{n}}}"), text);
    }
    words
}

/// What Arrow's types without parameters are called.
const TYPES: &[(&str, &str)] = &[
    ("BinaryView", "BYTES"),
    ("Binary", "BYTES"),
    ("Boolean", "BOOLEAN"),
    ("Date32", "DATE"),
    ("Decimal128", "DECIMAL"),
    ("Float32", "FLOAT"),
    ("Float64", "DOUBLE"),
    ("Int16", "SMALLINT"),
    ("Int32", "INT"),
    ("Int64", "BIGINT"),
    ("Int8", "TINYINT"),
    ("LargeUtf8", "STRING"),
    ("Null", "NULL"),
    ("UInt64", "BIGINT"),
    ("Utf8View", "STRING"),
    ("Utf8", "STRING"),
    ("Struct", "ROW"),
    ("Map", "MAP"),
];

/// `text` with Flink's names of types in place of Arrow's.
pub fn with_flink_types(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let in_word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if !in_word && let Some((name, after)) = flink_type(rest) {
            out.push_str(&name);
            rest = after;
        } else if let Some(after) = rest.strip_prefix(", metadata: ").and_then(behind_braces) {
            rest = after;
        } else {
            out.push(next);
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}

/// The type that `text` begins with, and what follows it.
fn flink_type(text: &str) -> Option<(String, &str)> {
    let length = text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len());
    let (word, rest) = text.split_at(length);
    let inside = enclosed(rest, '(', ')');
    match (word, inside) {
        ("List", Some((item, after))) => {
            Some((format!("ARRAY<{}>", with_flink_types(item)), after))
        }
        ("Struct", Some((fields, after))) => {
            let fields = with_flink_types(fields).replace("\": ", " ").replace('"', "");
            Some((format!("ROW<{fields}>"), after))
        }
        ("Map", Some((_, after))) => Some(("MAP".to_owned(), after)),
        ("Time32" | "Time64", Some((_, after))) => Some(("TIME".to_owned(), after)),
        ("Interval" | "Duration", Some((_, after))) => Some(("INTERVAL".to_owned(), after)),
        ("Timestamp", Some((unit, after))) => {
            let name = if unit.contains(',') { "TIMESTAMP_LTZ" } else { "TIMESTAMP" };
            Some((name.to_owned(), after))
        }
        _ => {
            let (_, name) = TYPES.iter().find(|(arrow, _)| *arrow == word)?;
            Some(((*name).to_owned(), rest))
        }
    }
}

/// What stands between a bracket at the beginning and its counterpart, and what
/// follows.
fn enclosed(text: &str, open: char, close: char) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close {
            depth = depth.checked_sub(1)?;
        }
        if depth == 0 {
            return (at > 0).then(|| (&text[1..at], &text[at + close.len_utf8()..]));
        }
    }
    None
}

fn behind_braces(text: &str) -> Option<&str> {
    enclosed(text, '{', '}').map(|(_, after)| after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_flinks_names() {
        for (arrow, flink) in [
            ("Utf8View + Int64", "STRING + BIGINT"),
            (
                "List(Utf8View, metadata: {\"flink.type\": \"STRING\"}) = Utf8",
                "ARRAY<STRING> = STRING",
            ),
            ("Struct(\"a\": Int32, \"b\": List(Int8))", "ROW<a INT, b ARRAY<TINYINT>>"),
            ("Timestamp(µs) > Decimal128(3, 1)", "TIMESTAMP > DECIMAL(3, 1)"),
            ("a NullPointer in my_Int64", "a NullPointer in my_Int64"),
        ] {
            assert_eq!(with_flink_types(arrow), flink);
        }
    }

    #[test]
    fn what_varies_is_taken_over() {
        let said = plain("Invalid qualifier x").unwrap();
        assert_eq!(said, ("no table here is called `x`".to_owned(), String::new()));
        assert_eq!(plain("Invalid"), None);
    }
}
