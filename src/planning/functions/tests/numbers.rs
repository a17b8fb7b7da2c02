//! Arithmetic and functions of numbers.

use super::{check, check_error};

/// Of FLOAT and DOUBLE the first counts where Flink 2.3 lets it.
#[test]
fn float_beside_double() {
    check(&[
        ("r + f", "FLOAT", "3.0"),
        ("f + r", "DOUBLE", "3.0"),
        ("CAST(CAST(3 AS FLOAT) * CAST(16777217 AS DOUBLE) AS BIGINT)", "BIGINT", "50331648"),
        ("CAST(0.2 AS DOUBLE) + CAST(0.1 AS FLOAT)", "DOUBLE", "0.30000000149011613"),
        ("r / CAST(3 AS DOUBLE)", "FLOAT", "0.16666667"),
        ("r + d", "DOUBLE", "3.0"),
        ("r + 1.5", "DOUBLE", "2.0"),
        ("r * 1", "FLOAT", "0.5"),
        ("CASE WHEN NOT b THEN r ELSE f END", "FLOAT", "2.5"),
        ("CASE WHEN b THEN f ELSE r END", "DOUBLE", "2.5"),
        ("CASE WHEN b THEN r ELSE 1.5 END", "DOUBLE", "0.5"),
        ("IF(b, r, f)", "FLOAT", "0.5"),
        ("COALESCE(r, f)", "DOUBLE", "0.5"),
        ("GREATEST(r, f)", "DOUBLE", "2.5"),
        ("NULLIF(r, f)", "FLOAT", "0.5"),
    ]);
}

#[test]
fn arithmetic_has_flinks_types() {
    check(&[
        ("i / 2", "INT", "3"),
        ("-i / 2", "INT", "-3"),
        ("l % 3", "INT", "-1"),
        ("MOD(l, 3)", "INT", "-1"),
        ("i % (-3)", "INT", "1"),
        ("2147483647 + 1", "INT", "-2147483648"),
        ("i + 2147483647", "INT", "-2147483642"),
        ("i * 9223372036854775807", "BIGINT", "9223372036854775801"),
        ("ti + ti", "TINYINT", "-56"),
        ("f * 0.25", "DOUBLE", "0.625"),
        ("r * i", "FLOAT", "3.5"),
        ("r + f", "FLOAT", "3.0"),
        ("f * r", "DOUBLE", "1.25"),
        ("r + d", "DOUBLE", "3.0"),
        ("l * 0.908", "DECIMAL(24, 3)", "-6.356"),
        ("d * 1.5", "DECIMAL(13, 3)", "3.750"),
        ("d / 3", "DECIMAL(21, 13)", "0.8333333333333"),
        ("d + 1", "DECIMAL(13, 2)", "3.50"),
        ("d - d", "DECIMAL(11, 2)", "0.00"),
        ("d % 2", "DECIMAL(10, 2)", "0.50"),
        ("1.5E0 * 2", "DOUBLE", "3.0"),
        ("f / 0", "DOUBLE", "inf"),
        ("-(d)", "DECIMAL(10, 2)", "-2.50"),
    ]);
    check_error("1 / (i - 7)", "ivide by zero");
    check_error("d / 0", "ivision by zero");
}

#[test]
fn random_numbers_are_javas() {
    check(&[
        ("RAND(1)", "DOUBLE", "0.7308781907032909"),
        ("RAND_INTEGER(42, 10)", "INT", "0"),
        ("RAND_INTEGER(i + 35, i + 3)", "INT", "0"),
        ("RAND_INTEGER(1)", "INT", "0"),
        ("RAND(NULL)", "DOUBLE", "NULL"),
    ]);
    check_error("RAND_INTEGER(0)", "the bound of RAND_INTEGER is an INT above 0");
}

#[test]
fn types_have_names() {
    check(&[
        ("TYPEOF(i)", "STRING", "INT"),
        ("TYPEOF(s)", "STRING", "STRING"),
        ("TYPEOF(s, TRUE)", "STRING", "VARCHAR(2147483647)"),
        ("TYPEOF(s, FALSE)", "STRING", "STRING"),
        ("TYPEOF(CAST(NULL AS BYTES), TRUE)", "STRING", "VARBINARY(2147483647)"),
    ]);
    check_error("TYPEOF(i, b)", "the second argument of TYPEOF is TRUE or FALSE");
}

#[test]
fn branches_meet() {
    check(&[
        ("CASE WHEN b THEN d ELSE 1 END", "DECIMAL(12, 2)", "2.50"),
        ("IF(b, d, 0)", "DECIMAL(12, 2)", "2.50"),
        ("IF(nil IS NULL, 1, 2)", "INT", "1"),
        ("COALESCE(NULL, i, 1)", "INT", "7"),
        ("COALESCE(nil, 'x')", "STRING", "x"),
        ("IFNULL(nil, 'x')", "STRING", "x"),
        ("NULLIF(i, 7)", "INT", "NULL"),
        ("NULLIF(i, 8)", "INT", "7"),
        ("10 / NULLIF(i - 7, 0)", "INT", "NULL"),
        ("GREATEST(1, i, 3)", "INT", "7"),
        ("LEAST(i, -2)", "INT", "-2"),
        ("GREATEST(i, NULL)", "INT", "NULL"),
        ("LEAST('b', 'a')", "STRING", "a"),
        ("i IS DISTINCT FROM d", "BOOLEAN", "true"),
        ("'7' = i", "BOOLEAN", "true"),
        ("i IN (1, 7.0)", "BOOLEAN", "true"),
        ("d BETWEEN 2 AND 3", "BOOLEAN", "true"),
        ("b IS NOT FALSE", "BOOLEAN", "true"),
    ]);
}

#[test]
fn functions_keep_their_kind_of_number() {
    check(&[
        ("ABS(l)", "BIGINT", "7"),
        ("ABS(-d)", "DECIMAL(10, 2)", "2.50"),
        ("SIGN(-d)", "DECIMAL(10, 2)", "-1.00"),
        ("SIGN(l)", "BIGINT", "-1"),
        ("FLOOR(d)", "DECIMAL(10, 0)", "2"),
        ("CEIL(d)", "DECIMAL(10, 0)", "3"),
        ("CEILING(f)", "DOUBLE", "3.0"),
        ("FLOOR(-f)", "DOUBLE", "-3.0"),
        ("FLOOR(i)", "INT", "7"),
        ("ROUND(d)", "DECIMAL(9, 0)", "3"),
        ("ROUND(d, 1)", "DECIMAL(10, 1)", "2.5"),
        ("ROUND(d, -1)", "DECIMAL(9, 0)", "0"),
        ("ROUND(f)", "DOUBLE", "3.0"),
        ("ROUND(1234, -2)", "INT", "1200"),
        ("TRUNCATE(d, 1)", "DECIMAL(10, 1)", "2.5"),
        ("TRUNCATE(f)", "DOUBLE", "2.0"),
        ("SQRT(f * 10)", "DOUBLE", "5.0"),
        ("POWER(i, 2)", "DOUBLE", "49.0"),
        ("LOG10(100)", "DOUBLE", "2.0"),
        ("LOG(2, 8)", "DOUBLE", "3.0"),
        ("LN(1)", "DOUBLE", "0.0"),
    ]);
}

#[test]
fn types_meet_in_conditions() {
    check(&[
        ("CASE dt WHEN '2024-02-29' THEN 1 END", "INT", "1"),
        ("CASE i WHEN 7.0 THEN 'a' ELSE 'bc' END", "STRING", "a"),
        ("CASE WHEN i > 100 THEN 1/0 ELSE 2 END", "INT", "2"),
        ("CASE WHEN b THEN NULL ELSE ts END", "TIMESTAMP", "NULL"),
        ("NOT b", "BOOLEAN", "false"),
        ("b AND nil IS NULL OR FALSE", "BOOLEAN", "true"),
        ("ROW(1, 'a') = ROW(1, 'a')", "BOOLEAN", "true"),
        ("s SIMILAR TO 'h.*'", "BOOLEAN", "true"),
        ("s SIMILAR TO 'h'", "BOOLEAN", "false"),
        ("s NOT SIMILAR TO 'h%|x'", "BOOLEAN", "false"),
        ("s SIMILAR TO 'h_(l){2}' || 'o'", "BOOLEAN", "true"),
        ("'a%' SIMILAR TO 'a!%' ESCAPE '!'", "BOOLEAN", "true"),
        ("nil SIMILAR TO 'a'", "BOOLEAN", "NULL"),
        ("s NOT SIMILAR TO nil", "BOOLEAN", "NULL"),
        ("s LIKE 'h!%%' ESCAPE '!'", "BOOLEAN", "false"),
        ("'a%b' LIKE 'a!%%' ESCAPE '!'", "BOOLEAN", "true"),
        ("'a%b' LIKE 'a\\%'", "BOOLEAN", "false"),
        ("i + nil", "INT", "NULL"),
        ("'1' + 1", "INT", "2"),
    ]);
    check_error("b + 1", "`+` does not take BOOLEAN and INT");
    check_error("s SIMILAR TO '[a'", "the SIMILAR TO pattern '[a' has a `[`");
    check_error("i SIMILAR TO '7'", "`SIMILAR TO` does not take INT and STRING");
}

#[test]
fn rounding_beyond_the_limits() {
    check(&[
        ("ROUND(CAST(127 AS TINYINT), -1)", "TINYINT", "-126"),
        ("ROUND(2147483647, -1)", "INT", "-2147483646"),
        ("ROUND(9223372036854775807, -1)", "BIGINT", "-9223372036854775806"),
        ("TRUNCATE(2147483647, -1)", "INT", "2147483640"),
        ("ROUND(CAST('9.9' AS DECIMAL(2, 1)))", "DECIMAL(2, 0)", "10"),
        (
            "ROUND(CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)), -1)",
            "DECIMAL(38, 0)",
            "NULL",
        ),
    ]);
}
