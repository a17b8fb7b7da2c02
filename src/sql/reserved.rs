//! The words that Flink keeps for itself: as names they need backticks.
//!
//! A script that used one bare would run here and fail on a Flink cluster. The
//! list is of what the standard and Flink reserve; words that Flink lets pass
//! as names (`name`, `key`, `week`, …) are not on it.

use crate::diagnostics::{Diagnostic, Span};

/// Sorted, so that a binary search finds a word.
#[rustfmt::skip]
const RESERVED: &[&str] = &[
    "ABS", "ALL", "ALTER", "AND", "ANY", "ARRAY", "AS", "ASYMMETRIC", "AT", "AUTHORIZATION",
    "AVG", "BEGIN", "BETWEEN", "BIGINT", "BINARY", "BLOB", "BOOLEAN", "BOTH", "BY", "BYTES",
    "CALL", "CARDINALITY", "CASE", "CAST", "CEIL", "CEILING", "CHAR", "CHARACTER", "CHECK",
    "CLOB", "COALESCE", "COLLATE", "COLLECT", "COLUMN", "COMMENT", "COMMIT", "CONDITION",
    "CONNECT", "CONSTRAINT", "CONVERT", "CORRESPONDING", "COUNT", "COVAR_POP", "COVAR_SAMP",
    "CREATE", "CROSS", "CUBE", "CUME_DIST", "CURRENT", "CURRENT_CATALOG", "CURRENT_DATE",
    "CURRENT_TIME", "CURRENT_TIMESTAMP", "CURRENT_USER", "CURSOR", "CYCLE", "DATE", "DAY",
    "DEC", "DECIMAL", "DECLARE", "DEFAULT", "DEFINE", "DELETE", "DENSE_RANK", "DESCRIBE",
    "DISTINCT", "DOUBLE", "DROP", "EACH", "ELEMENT", "ELSE", "END", "ESCAPE", "EVERY", "EXCEPT",
    "EXEC", "EXECUTE", "EXISTS", "EXP", "EXPLAIN", "EXTEND", "EXTERNAL", "EXTRACT", "FALSE",
    "FETCH", "FILTER", "FIRST_VALUE", "FLOAT", "FLOOR", "FOR", "FOREIGN", "FROM", "FULL",
    "FUNCTION", "FUSION", "GLOBAL", "GRANT", "GROUP", "GROUPING", "GROUPS", "HASH", "HAVING",
    "HOUR", "IDENTITY", "IMPORT", "IN", "INDICATOR", "INNER", "INSERT", "INT", "INTEGER",
    "INTERSECT", "INTERSECTION", "INTERVAL", "INTO", "IS", "JOIN", "LAG", "LANGUAGE",
    "LAST_VALUE", "LATERAL", "LEAD", "LEADING", "LEFT", "LIKE", "LIMIT", "LN", "LOCAL",
    "LOCALTIME", "LOCALTIMESTAMP", "LOWER", "MATCH", "MATCH_RECOGNIZE", "MAX", "MEASURES",
    "MEMBER", "MERGE", "METHOD", "MIN", "MINUS", "MINUTE", "MOD", "MODULE", "MODULES", "MONTH",
    "MULTISET", "NATIONAL", "NATURAL", "NEXT", "NO", "NONE", "NORMALIZE", "NOT", "NTH_VALUE",
    "NTILE", "NULL", "NULLIF", "NUMERIC", "OCCURRENCES_REGEX", "OCTET_LENGTH", "OF", "OFFSET",
    "ON", "ONLY", "OR", "ORDER", "OUT", "OUTER", "OVER", "OVERLAPS", "OVERLAY", "PARAMETER",
    "PARTITION", "PATTERN", "PER", "PERCENT", "PERCENT_RANK", "PERIOD", "PERMUTE", "POSITION",
    "POWER", "PRECISION", "PREPARE", "PRIMARY", "PROCEDURE", "RANGE", "RANK", "RAW", "REAL",
    "RECURSIVE", "REFERENCES", "RESULT", "RETURN", "RETURNS", "REVOKE", "RIGHT", "ROLLBACK",
    "ROLLUP", "ROW", "ROWS", "ROW_NUMBER", "SAVEPOINT", "SCROLL", "SEARCH", "SECOND", "SELECT",
    "SESSION_USER", "SET", "SIMILAR", "SKIP", "SMALLINT", "SOME", "SQL", "SQRT", "START",
    "STATIC", "STDDEV_POP", "STDDEV_SAMP", "STREAM", "STRING", "SUBMULTISET", "SUBSET",
    "SUBSTRING", "SUM", "SYMMETRIC", "SYSTEM", "SYSTEM_TIME", "TABLE", "TABLES", "TABLESAMPLE",
    "THEN", "TIME", "TIMESTAMP", "TIMESTAMP_LTZ", "TINYINT", "TO", "TRAILING", "TRANSLATE",
    "TRIGGER", "TRIM", "TRUE", "TRUNCATE", "UESCAPE", "UNION", "UNIQUE", "UNKNOWN", "UNNEST",
    "UPDATE", "UPPER", "UPSERT", "USE", "USER", "USING", "VALUE", "VALUES", "VARBINARY",
    "VARCHAR", "VARYING", "VAR_POP", "VAR_SAMP", "VERSIONING", "VIEWS", "WATERMARK", "WHEN",
    "WHENEVER", "WHERE", "WIDTH_BUCKET", "WINDOW", "WITH", "WITHIN", "WITHOUT", "YEAR",
];

/// True if `word`, in any case, cannot be a name without backticks.
pub(super) fn is_reserved(word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    RESERVED.binary_search(&upper.as_str()).is_ok()
}

pub(super) fn used_as_name(word: &str, span: Span) -> Diagnostic {
    Diagnostic::error(format!("`{word}` is a reserved word"))
        .at(span)
        .label("not a name without backticks")
        .hint(format!("as a name it takes backticks: `{word}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_spares_what_flink_lets_pass() {
        assert!(RESERVED.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(is_reserved("value") && is_reserved("Day") && is_reserved("user"));
        for free in ["name", "key", "week", "ts", "rowtime", "type", "data", "id"] {
            assert!(!is_reserved(free), "{free}");
        }
    }
}
