//! What the author of a broken script reads.

use super::{errors, messages};

#[track_caller]
fn says(text: &str, expected: &str) {
    assert_eq!(errors(text), expected, "{text}");
}

#[test]
fn one_broken_statement_does_not_hide_the_next() {
    says(
        "CRAETE TABLE t (a INT);\nCREATE TABEL t (a INT);\nSELECT 1;\nSELECT a FORM t;\n",
        "error: unknown statement `CRAETE`\n \
--> q.sql:1:1
1 | CRAETE TABLE t (a INT);
  | ^^^^^^
hint: did you mean `CREATE`?
error: expected `TABLE` or `VIEW`, found `TABEL`\n \
--> q.sql:2:8
2 | CREATE TABEL t (a INT);
  |        ^^^^^
hint: did you mean `TABLE`?
error: expected the end of the statement, found `t`\n \
--> q.sql:4:15
4 | SELECT a FORM t;
  |               ^
hint: did you mean `FROM` where `FORM` is?
",
    );
}

#[test]
fn several_columns_mistakes_are_told_at_once() {
    says(
        "CREATE TABLE t (\n  a STRNG,\n  b TEXT,\n  value INT,\n  c ROW<d IN, x ARRAY<INT>>,\n  \
         e DECIMAL(40),\n  f AS a +,\n  WATERMARK FOR g AS h -\n) WITH ('a' = 'b');",
        "error: unknown type `STRNG`\n \
--> q.sql:2:5
2 |   a STRNG,
  |     ^^^^^
hint: did you mean `STRING`?
error: unknown type `TEXT`\n \
--> q.sql:3:5
3 |   b TEXT,
  |     ^^^^
hint: Flink SQL calls it `STRING`
error: `value` is a reserved word\n \
--> q.sql:4:3
4 |   value INT,
  |   ^^^^^ not a name without backticks
hint: as a name it takes backticks: `value`
error: unknown type `IN`\n \
--> q.sql:5:11
5 |   c ROW<d IN, x ARRAY<INT>>,
  |           ^^
hint: did you mean `INT`?
error: precision 40 is out of range\n \
--> q.sql:6:13
6 |   e DECIMAL(40),
  |             ^^ 1 to 38 are possible
error: expected an expression, found the end of the expression\n \
--> q.sql:7:11
7 |   f AS a +,
  |           ^
error: expected an expression, found the end of the expression\n \
--> q.sql:8:25
8 |   WATERMARK FOR g AS h -
  |                         ^
",
    );
}

#[test]
fn a_subquerys_mistake_is_told_where_it_is() {
    says(
        "SELECT * FROM (SELECT a b c FROM t) WHERE x",
        "error: expected the end of the query, found `c`\n \
--> q.sql:1:27
1 | SELECT * FROM (SELECT a b c FROM t) WHERE x
  |                           ^
",
    );
    says(
        "SELECT a FROM t WHERE (b > 1",
        "error: expected `)`, found the end of the statement\n \
--> q.sql:1:29
1 | SELECT a FROM t WHERE (b > 1
  |                             ^
",
    );
}

#[test]
fn a_mistake_is_told_at_the_word_that_makes_it() {
    says(
        "SELECT a, FROM t",
        "error: expected an expression, found `FROM`\n \
--> q.sql:1:11
1 | SELECT a, FROM t
  |           ^^^^
",
    );
    says(
        "SELECT a FROM (SELECT b FROM c WHERE) d",
        "error: expected an expression, found the end of the query\n \
--> q.sql:1:37
1 | SELECT a FROM (SELECT b FROM c WHERE) d
  |                                     ^
",
    );
    says(
        "SELECT INTERVAL '5' SECOMD FROM t",
        "error: INTERVAL requires a unit after the literal value\n \
--> q.sql:1:21
1 | SELECT INTERVAL '5' SECOMD FROM t
  |                     ^^^^^^
hint: did you mean `SECOND`?
",
    );
    assert_eq!(messages("CREATE TABLE x (a INT").len(), 1);
}

#[test]
fn names_in_clauses_of_a_table_are_checked() {
    says(
        "CREATE TABLE t (price INT, price INT, PRIMARY KEY (pirce) NOT ENFORCED)",
        "error: column `price` is there twice\n \
--> q.sql:1:28
1 | CREATE TABLE t (price INT, price INT, PRIMARY KEY (pirce) NOT ENFORCED)
  |                            ^^^^^
error: unknown column `pirce`\n \
--> q.sql:1:52
1 | CREATE TABLE t (price INT, price INT, PRIMARY KEY (pirce) NOT ENFORCED)
  |                                                    ^^^^^ not a column of `t`
hint: did you mean `price`?
",
    );
}

#[test]
fn what_flink_has_and_we_do_not_run_is_refused_by_name() {
    for (text, message) in [
        ("USE CATALOG c", "USE is not supported"),
        ("ADD JAR '/x.jar'", "ADD JAR is not supported"),
        ("CREATE CATALOG c WITH ('a' = 'b')", "CREATE CATALOG is not supported"),
        ("CREATE TEMPORARY MODEL f AS 'x'", "CREATE TEMPORARY MODEL is not supported"),
        ("DROP DATABASE d", "DROP DATABASE is not supported"),
        ("ALTER TABLE t ADD a INT", "ALTER is not supported"),
        ("EXPLAIN SELECT 1", "EXPLAIN is not supported"),
        ("SHOW TABLES", "SHOW is not supported"),
        ("DESCRIBE t", "DESCRIBE is not supported"),
        ("INSERT OVERWRITE t SELECT 1", "INSERT OVERWRITE is not supported"),
        ("INSERT INTO t PARTITION (a = 1) SELECT 1", "a static PARTITION (…) is not supported"),
        ("CREATE TABLE t AS SELECT 1", "CREATE TABLE … AS is not supported"),
        (
            "CREATE TABLE t (a TIMESTAMP WITH TIME ZONE)",
            "TIMESTAMP WITH TIME ZONE is not supported",
        ),
        ("SELECT * FROM t MATCH_RECOGNIZE (ORDER BY a)", "MATCH_RECOGNIZE is not supported"),
        ("SELECT * FROM t /*+ OPTIONS('a'='b') */", "hints (`/*+ … */`) are not supported"),
        (
            "INSERT INTO c.d.t SELECT 1",
            "catalogs and databases other than the default are not supported",
        ),
    ] {
        assert_eq!(messages(text)[0], message, "{text}");
    }
}

#[test]
fn what_flink_does_not_have_is_refused() {
    for (text, message) in [
        ("SELECT a::INT FROM t", "`::` is not Flink SQL"),
        ("SELECT a == b FROM t", "`==` is not Flink SQL"),
        ("SELECT \"a\" FROM t", "`\"a\"` is no name and no string in Flink SQL"),
        ("SELECT a ILIKE 'x' FROM t", "ILIKE is not Flink SQL"),
        ("SELECT SAFE_CAST(a AS INT) FROM t", "SAFE_CAST is not Flink SQL"),
        ("SELECT BIGINT '1' FROM t", "a literal of this type is not Flink SQL"),
        ("SELECT user FROM t", "`user` is a reserved word"),
        ("SELECT a AS day FROM t", "`day` is a reserved word"),
        ("SELECT TOP 5 a FROM t", "TOP is not Flink SQL"),
        ("SELECT INTERVAL 5 SECOND FROM t", "the value of an INTERVAL is a string"),
        ("SELECT TIMESTAMPDIFF(MINUET, a, b) FROM t", "unknown unit of time `MINUET`"),
        ("SELECT CAST(a AS STRNG) FROM t", "unknown type `STRNG`"),
        (
            "CREATE TABLE t (a INT PRIMARY KEY)",
            "a PRIMARY KEY is not enforced, and has to say so",
        ),
    ] {
        assert_eq!(messages(text)[0], message, "{text}");
    }
}

#[test]
fn what_has_no_end_is_told_where_it_begins() {
    says(
        "SELECT 1;\nSELECT 'abc\n",
        "error: the string has no closing '\n --> q.sql:2:8\n2 | SELECT 'abc\n  |        ^\n",
    );
    assert_eq!(messages("SELECT FORM; SELECT `a"), ["the name has no closing `"]);
    assert_eq!(messages("SELECT 1 /* b"), ["the comment has no end"]);
}

#[test]
fn a_mistake_in_a_list_of_options_is_told() {
    says(
        "CREATE TABLE t (a INT) WITH ('a' = 'b' 'c' = 'd')",
        "error: expected `,` or `)`, found `'c'`\n \
--> q.sql:1:40
1 | CREATE TABLE t (a INT) WITH ('a' = 'b' 'c' = 'd')
  |                                        ^^^
",
    );
    assert_eq!(
        messages("CREATE TABLE t (a INT) WITH (connector = 'kafka')"),
        ["expected an option's key in single quotes, found `connector`"]
    );
}
