//! What to say of a function that Flink does not have: its name there, or one
//! that is written nearly the same.

use super::{Session, aggregate_functions, scalar_functions, window_functions};
use crate::diagnostics::{Diagnostic, closest};

/// What other systems call a function, and what to write in Flink SQL.
const FOREIGN: &[(&str, &str)] = &[
    ("ANY_VALUE", "FIRST_VALUE(x)"),
    ("APPROX_DISTINCT", "COUNT(DISTINCT x)"),
    ("APPROX_MEDIAN", "PERCENTILE(x, 0.5)"),
    ("APPROX_PERCENTILE_CONT", "PERCENTILE(x, p)"),
    ("ARRAY_HAS", "ARRAY_CONTAINS(a, x)"),
    ("ARRAY_TO_STRING", "ARRAY_JOIN(a, separator)"),
    ("BOOL_AND", "MIN(x)"),
    ("BOOL_OR", "MAX(x)"),
    ("COUNT_IF", "COUNT(*) FILTER (WHERE x)"),
    ("DATE_PART", "EXTRACT(unit FROM x)"),
    ("DATE_TRUNC", "FLOOR(x TO unit)"),
    ("EVERY", "MIN(x)"),
    ("GROUP_CONCAT", "LISTAGG(x, separator)"),
    ("LEN", "CHAR_LENGTH(x)"),
    ("LENGTH", "CHAR_LENGTH(x)"),
    ("MAKE_ARRAY", "ARRAY[a, b]"),
    ("MEAN", "AVG(x)"),
    ("MEDIAN", "PERCENTILE(x, 0.5)"),
    ("NVL", "COALESCE(a, b)"),
    ("PERCENTILE_CONT", "PERCENTILE(x, p)"),
    ("POW", "POWER(x, y)"),
    ("QUANTILE_CONT", "PERCENTILE(x, p)"),
    ("RANDOM", "RAND()"),
    ("SPLIT_PART", "SPLIT_INDEX(s, separator, index)"),
    ("STRING_AGG", "LISTAGG(x, separator)"),
    ("STRPOS", "POSITION(part IN s)"),
    ("STRUCT", "ROW(a, b)"),
    ("TO_CHAR", "DATE_FORMAT(x, format)"),
    ("VAR", "VARIANCE(x)"),
];

/// The older windows, whose names are no functions by themselves.
const WINDOWS: &[&str] = &["TUMBLE", "HOP", "SESSION"];

/// Functions that syntax stands for, which scripts do not call by name.
const SYNTAX: &[&str] = &[
    "ceil_to",
    "field_of",
    "floor_to",
    "is_json",
    "item",
    "json_or_null",
    "json_text",
    "overlaps",
];

/// Second names that DataFusion gives functions of Flink's.
const NOT_FLINKS: &[&str] = &["array_cat", "array_remove_all", "array_to_string", "struct"];

/// Whether Flink knows the function under another name only.
pub(crate) fn is_foreign(name: &str) -> bool {
    let name = name.to_lowercase();
    NOT_FLINKS.contains(&name.as_str()) || name.starts_with("list_")
}

/// The diagnostic of a call of `name`, without a place.
pub(crate) fn unknown(name: &str) -> Diagnostic {
    let diagnostic = Diagnostic::error(format!("unknown function `{name}`"));
    let plain = name.to_uppercase().replacen("LIST_", "ARRAY_", 1);
    if window_functions().iter().any(|function| function.name().to_uppercase() == plain) {
        return Diagnostic::error(format!("{plain} needs OVER (…)"))
            .hint(format!("write {plain}() OVER (PARTITION BY … ORDER BY …)"));
    }
    if let Some(window) = WINDOWS.iter().find(|window| plain.starts_with(**window)) {
        return Diagnostic::error(format!("{plain} is out of place here")).hint(format!(
            "GROUP BY {window}(ts, …) makes windows, one kind in a query, and {window}_START, \
             {window}_END and {window}_ROWTIME with the same arguments are about them"
        ));
    }
    let foreign = FOREIGN.iter().find(|(foreign, _)| *foreign == plain);
    if let Some((_, flink)) = foreign {
        return diagnostic.hint(format!("in Flink SQL it is {flink}"));
    }
    let known = names();
    match closest(&plain, known.iter().map(String::as_str)) {
        Some(near) => diagnostic.hint(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}

/// Every function that a script can call, in capitals.
fn names() -> Vec<String> {
    let session = Session { time_zone: "UTC".to_owned() };
    let mut all = Vec::new();
    for function in scalar_functions(&session) {
        all.push(function.name().to_owned());
        all.extend(function.aliases().iter().cloned());
    }
    for function in aggregate_functions() {
        all.push(function.name().to_owned());
        all.extend(function.aliases().iter().cloned());
    }
    all.extend(window_functions().iter().map(|function| function.name().to_owned()));
    all.retain(|name| !SYNTAX.contains(&name.as_str()) && !is_foreign(name));
    all.iter().map(|name| name.to_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_near_name_is_offered() {
        assert_eq!(unknown("f").hints, [] as [&str; 0]);
        assert_eq!(unknown("chra_length").hints, ["did you mean `CHAR_LENGTH`?"]);
        assert_eq!(unknown("Mean").hints, ["in Flink SQL it is AVG(x)"]);
        assert_eq!(unknown("list_concat").hints, ["did you mean `ARRAY_CONCAT`?"]);
    }
}
