//! Names of functions that Flink does not have.

use super::check_error;

#[test]
fn what_only_other_systems_have_is_refused() {
    for (call, said) in [
        ("BOOL_AND(b)", "unknown function `BOOL_AND` in Flink SQL it is MIN(x)"),
        ("BIT_AND(i)", "unknown function `BIT_AND`"),
        ("MEDIAN(i)", "unknown function `MEDIAN`"),
        ("STRING_AGG(s, ',')", "in Flink SQL it is LISTAGG(x, separator)"),
        ("approx_distinct(s)", "in Flink SQL it is COUNT(DISTINCT x)"),
        ("APPROX_PERCENTILE_CONT(i, 0.5)", "unknown function `APPROX_PERCENTILE_CONT`"),
        ("NTH_VALUE(i, 2) OVER (ORDER BY ts)", "unknown function `NTH_VALUE`"),
        ("CUME_DISTT() OVER (ORDER BY ts)", "unknown function `CUME_DISTT`"),
        ("ARRAY_HAS(ARRAY[1], 1)", "in Flink SQL it is ARRAY_CONTAINS(a, x)"),
        ("LIST_DISTINCT(ARRAY[1])", "unknown function `LIST_DISTINCT`"),
        ("REGEXP_LIKE(s, 'h')", "unknown function `REGEXP_LIKE`"),
        ("DATE_TRUNC('day', ts)", "in Flink SQL it is FLOOR(x TO unit)"),
        ("UPER(s)", "unknown function `UPER` did you mean `UPPER`?"),
    ] {
        check_error(call, said);
    }
}
