//! Where statements begin and end, and which kinds there are.

use super::super::ast::StatementKind;
use super::super::resolve_variables;
use super::{at, env, file, messages, only, parse, read, render};

#[test]
fn statements_end_at_semicolons_outside_literals_and_comments() {
    let text = "-- one; two\nSET 'a' = 'x;y' ;/* ; */\n SELECT ';' FROM `a;b`;;\nSELECT 1";
    let script = parse(text);
    let spans: Vec<_> = script.statements.iter().map(|s| at(text, s.span)).collect();
    assert_eq!(spans, ["SET 'a' = 'x;y'", "SELECT ';' FROM `a;b`", "SELECT 1"]);
}

#[test]
fn a_statement_set_is_one_statement() {
    let set = "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT x FROM s;\n\
               insert into b (c, d) values (1, 'x'); END";
    for text in
        [set.to_owned(), set.replacen("EXECUTE STATEMENT SET BEGIN", "BEGIN STATEMENT SET;", 1)]
    {
        let text = format!("{text};\nSELECT 1;");
        let script = parse(&text);
        assert_eq!(script.statements.len(), 2);
        let StatementKind::Insert(inserts) = &script.statements[0].kind else { panic!() };
        assert_eq!(at(&text, inserts[0].span), "INSERT INTO a SELECT x FROM s");
        assert_eq!(at(&text, inserts[1].span), "insert into b (c, d) values (1, 'x')");
        assert_eq!(at(&text, inserts[1].target.span), "b");
        assert_eq!(at(&text, inserts[1].columns[1].span), "d");
        assert_eq!(at(&text, inserts[1].query.span), "values (1, 'x')");
        assert!(at(&text, script.statements[0].span).ends_with("; END"));
    }
}

#[test]
fn a_broken_statement_set_says_why() {
    let unfinished = messages("EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT 1;");
    assert_eq!(unfinished, ["the STATEMENT SET has no END"]);
    let mixed = "EXECUTE STATEMENT SET BEGIN SELECT 1; INSERT INTO a SELEC 1; END;";
    assert_eq!(
        messages(mixed),
        [
            "a STATEMENT SET holds INSERT statements alone",
            "expected a query or VALUES, found `SELEC`"
        ]
    );
    assert_eq!(messages("END;"), ["END without EXECUTE STATEMENT SET BEGIN"]);
}

#[test]
fn inserts_take_queries_values_and_ctes() {
    for (text, target, columns) in [
        ("INSERT INTO t SELECT a FROM s", "t", 0),
        ("INSERT INTO t WITH c AS (SELECT 1) SELECT * FROM c", "t", 0),
        ("INSERT INTO t (SELECT a FROM s)", "t", 0),
        ("INSERT INTO t (a, `b`) SELECT a, b FROM s", "t", 2),
        ("INSERT INTO default_catalog.default_database.t VALUES (1)", "t", 0),
        ("EXECUTE INSERT INTO `default_database`.`t` VALUES (1)", "t", 0),
    ] {
        let StatementKind::Insert(inserts) = only(text) else { panic!("{text}") };
        assert_eq!(inserts[0].target.value, target);
        assert_eq!(inserts[0].columns.len(), columns, "{text}");
    }
}

#[test]
fn settings_are_read_quoted_and_bare() {
    let text = "SET 'a.b' = 'c d'; SET a.b = 10 s; RESET 'a.b'; RESET; set x=y";
    let script = parse(text);
    let read: Vec<_> = script
        .statements
        .iter()
        .map(|s| match &s.kind {
            StatementKind::Set { key, value } => format!("{}={}", key.value, value.value),
            StatementKind::Reset(Some(key)) => format!("-{}", key.value),
            StatementKind::Reset(None) => "-".to_owned(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(read, ["a.b=c d", "a.b=10 s", "-a.b", "-", "x=y"]);
    let StatementKind::Set { value, .. } = &script.statements[0].kind else { panic!() };
    assert_eq!(at(text, value.span), "'c d'");
}

#[test]
fn drops_and_views_are_read() {
    let text = "DROP TEMPORARY VIEW IF EXISTS v; CREATE TEMPORARY VIEW IF NOT EXISTS v \
                (a COMMENT 'x', b) COMMENT 'y' AS SELECT 1, 2";
    let script = parse(text);
    let StatementKind::Drop { name, if_exists } = &script.statements[0].kind else { panic!() };
    assert_eq!((name.value.as_str(), *if_exists), ("v", true));
    let StatementKind::CreateView(view) = &script.statements[1].kind else { panic!() };
    assert!(view.if_not_exists);
    assert_eq!(at(text, view.columns[1].span), "b");
    assert_eq!(at(text, view.query.span), "SELECT 1, 2");
}

#[test]
fn variables_are_resolved_in_literals_and_never_become_syntax() {
    let text = "SET 'k' = 'x-${TOPIC}-${NONE:-a;b}-${NONE:-}-$${BROKERS}-${1}-$';";
    let StatementKind::Set { value, .. } = only(text) else { panic!() };
    assert_eq!(value.value, "x-it's; here-a;b--$b:9092-${1}-$");
    assert_eq!(at(text, value.span), &text[10..text.len() - 1]);
}

#[test]
fn an_unset_variable_is_an_error_at_its_place() {
    let text = "SET 'a' = 'é ${NONE} ${OUT} ${ALSO}'";
    let found = super::super::parse(&file(text), &env).unwrap_err();
    assert_eq!(at(text, found[0].span.unwrap()), "${NONE}");
    assert_eq!(at(text, found[1].span.unwrap()), "${ALSO}");
    assert_eq!(found[0].message, "environment variable `NONE` is not set");
    assert_eq!(messages("SELECT * FROM ${1}").last().unwrap(), "`}` is not Flink SQL");
}

#[test]
fn a_variable_may_stand_for_a_name_and_is_never_more() {
    let text = "SELECT a FROM ${TOPIC} JOIN ${NONE:-u} USING (a)";
    assert_eq!(read(text), "SELECT a FROM `it's; here` JOIN `u` USING(a)");
    let resolved = resolve_variables(&file(text), &env).unwrap();
    assert_eq!(resolved, "SELECT a FROM `it's; here` JOIN `u` USING (a)");
    assert_eq!(messages("SELECT a FROM ${NONE}"), ["environment variable `NONE` is not set"]);
}

#[test]
fn the_resolved_text_is_a_script_again() {
    let text = "-- ${NONE}\nSELECT '${TOPIC}', '${', 'x' FROM t;";
    let resolved = resolve_variables(&file(text), &env)
        .unwrap_or_else(|errors| panic!("{}", render(text, &errors)));
    assert_eq!(resolved, "-- ${NONE}\nSELECT 'it''s; here', '${', 'x' FROM t;");
}

#[test]
fn sqlparsers_places_are_of_the_whole_script() {
    let text = "-- é\nSET 'é' = 'é';\n\tSELECT 'é', wert\n  FROM t";
    let script = parse(text);
    let StatementKind::Query(query) = &script.statements[1].kind else { panic!() };
    let select = query.ast.body.as_select().unwrap();
    use datafusion::sql::sqlparser::ast::Spanned as _;
    let span = script.span(select.projection[1].span()).unwrap();
    assert_eq!(at(text, span), "wert");
    assert_eq!(at(text, script.span(select.from[0].span()).unwrap()), "t");
}
