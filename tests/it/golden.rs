//! `turnstile test`: the golden cases of `queries/`, and how it tells of cases
//! that do not pass.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::support::{python, root, text, turnstile};

/// The command in `folder`, its output plain whatever runs the tests.
fn test(folder: &Path, args: &[&str]) -> Output {
    let mut command = turnstile();
    command.current_dir(folder).arg("test").args(args);
    command.env_remove("GITHUB_ACTIONS").env_remove("CLICOLOR_FORCE").output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

const QUERY: &str = "
CREATE TABLE ev (k STRING, v BIGINT) WITH ('connector'='kafka','topic'='${TOPIC}',
  'properties.bootstrap.servers'='${KAFKA_BOOTSTRAP:-localhost:9092}',
  'scan.startup.mode'='latest-offset','format'='csv','csv.ignore-parse-errors'='true');
CREATE TABLE res (k STRING, double_v BIGINT, p INT) PARTITIONED BY (p)
WITH ('connector'='filesystem','path'='${LAKE}/res','format'='FORMAT');
INSERT INTO res SELECT k, v * 2, 7 FROM ev;
";

/// A folder with `queries/q.sql` and files below `queries/cases/q/one`.
fn project(format: &str, files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "queries/q.sql", &QUERY.replace("FORMAT", format));
    for (name, content) in files {
        write(&case(folder.path()), name, content);
    }
    folder
}

fn case(project: &Path) -> PathBuf {
    project.join("queries/cases/q/one")
}

fn write(folder: &Path, name: &str, content: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap()
}

const INPUT: (&str, &str) = ("input/TOPIC.0.csv", "a,1\nb,2\n,\nbroken,1,2\nc c,x\n");
const ROWS: &str = "NULL,NULL,7\na,2,7\nb,4,7\n\"c c\",NULL,7\n";

#[test]
fn the_cases_of_our_queries_pass() {
    let output = test(root(), &["queries"]);
    assert!(output.status.success(), "{}", text(&output));
    // Which rows are in which window of the machine's clock, no file can say.
    let printed = out(&output);
    let without = printed.lines().filter(|line| line.contains("has no case"));
    assert!(
        without
            .eq(["warning: queries/nexmark/q12.sql has no case in queries/nexmark/cases/q12/"])
    );
}

/// Their rows were worked out without turnstile, and still are.
#[test]
fn the_cases_of_our_queries_expect_what_python_works_out() {
    let Some(python) = python() else { return };
    let mut folders = Vec::new();
    for query in ["turnstile_5min", "turnstile_5min_csv"] {
        let entries = std::fs::read_dir(root().join("queries/cases").join(query)).unwrap();
        folders.extend(entries.map(|entry| entry.unwrap().path()));
    }
    let script = root().join("tests/oracle/turnstile_5min_cases.py");
    let output = Command::new(python).arg(script).args(&folders).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
}

#[test]
fn what_is_written_is_read_back_from_every_format() {
    for format in ["parquet", "csv", "json"] {
        // A CSV file cannot tell an empty text from none.
        let rows = if format == "csv" { ROWS } else { &ROWS.replacen("NULL", "", 1) };
        let project = project(format, &[INPUT, ("expected.csv", rows)]);
        let output = test(project.path(), &[]);
        assert!(output.status.success(), "{format}: {}", text(&output));
        assert!(out(&output).contains("1 passed"), "{}", out(&output));
    }
}

#[test]
fn a_wrong_expectation_is_shown_blessed_and_then_passes() {
    let wrong = ",NULL,7\na,3,7\nb,4,7\n\"c c\",NULL,7\nd,8,7\n";
    let counts = "late_rows = 0\nundecodable = 0\n";
    let files = [INPUT, ("expected.csv", wrong), ("expected.toml", counts)];
    let project = project("parquet", &files);
    let output = test(project.path(), &["queries", "--junit", "out/junit.xml"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let shown = "rows of `res`: 1 row changed, 1 missing; 3 as expected (- expected, + written)\n\
        \x20   k  double_v  p\n\
        \x20 - a         3  7\n\
        \x20 + a         2  7\n\
        \x20             ^\n\
        \x20 - d         8  7\n\
        \x20 undecodable messages: 0 expected, 1 found\n";
    assert!(out(&output).contains(shown), "{}", out(&output));
    assert!(out(&output).contains("1 failed, 0 passed in "), "{}", out(&output));
    junit_has_one_failure(&read(project.path(), "out/junit.xml"));

    let output = test(project.path(), &["queries", "--bless"]);
    assert!(output.status.success(), "{}", text(&output));
    assert!(out(&output).contains(shown), "what changes is shown: {}", out(&output));
    let rows = read(&case(project.path()), "expected.csv");
    assert_eq!(rows, "\"c c\",NULL,7\n,NULL,7\na,2,7\nb,4,7\n");
    let counts = read(&case(project.path()), "expected.toml");
    assert_eq!(counts, "late_rows = 0\nundecodable = 1\n");
    assert!(test(project.path(), &[]).status.success());
}

fn junit_has_one_failure(xml: &str) {
    let mut reader = quick_xml::Reader::from_str(xml);
    let (mut cases, mut failures) = (0, 0);
    loop {
        match reader.read_event().expect("well-formed XML") {
            quick_xml::events::Event::Eof => break,
            quick_xml::events::Event::Start(element) => match element.name().as_ref() {
                b"testcase" => {
                    cases += 1;
                    let name = element.try_get_attribute("name").unwrap().unwrap();
                    assert_eq!(name.value.as_ref(), b"q/one");
                }
                b"failure" => failures += 1,
                _ => {}
            },
            _ => {}
        }
    }
    assert_eq!((cases, failures), (1, 1), "{xml}");
}

#[test]
fn a_new_case_expects_nothing_until_it_is_blessed() {
    let project = project("json", &[INPUT]);
    let output = test(project.path(), &[]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(out(&output).contains("none are expected yet"), "{}", out(&output));
    assert!(test(project.path(), &["--bless"]).status.success());
    let counts = read(&case(project.path()), "expected.toml");
    assert_eq!(counts, "late_rows = 0\nundecodable = 1\n", "a blessed case says all");
}

#[test]
fn an_expected_error_must_be_said() {
    let strict = QUERY.replace("'csv.ignore-parse-errors'='true'", "'csv.field-delimiter'=','");
    let strict = strict.replace("FORMAT", "parquet");
    let fails = "cannot decode a message of `ev`";
    for (error, code) in [(fails, 0), ("", 0), ("another error", 1)] {
        let files = [INPUT, ("query.sql", &strict), ("expected.error", error)];
        let project = project("parquet", &files);
        let output = test(project.path(), &["queries/cases"]);
        assert_eq!(output.status.code(), Some(code), "`{error}`: {}", text(&output));
        let said = "the script failed, as expected, but not with `another error`";
        assert_eq!(out(&output).contains(said), code == 1, "{}", out(&output));
    }
    let ran = project("parquet", &[INPUT, ("expected.error", fails)]);
    let output = test(ran.path(), &[]);
    assert!(
        out(&output).contains("an error is expected, but the script ran"),
        "{}",
        out(&output)
    );
}

#[test]
fn a_query_that_is_refused_is_shown_at_its_place() {
    let query = QUERY.replace("v * 2", "w * 2").replace("FORMAT", "parquet");
    let files = [INPUT, ("query.sql", &query), ("expected.csv", "")];
    let project = project("parquet", &files);
    let output = test(project.path(), &["--github"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(out(&output).contains("query.sql:7:27"), "{}", out(&output));
    let annotation = "::error file=queries/cases/q/one/query.sql,line=7,title=q/one::";
    assert!(out(&output).contains(annotation), "{}", out(&output));
    assert!(out(&output).contains("::warning file=queries/q.sql,"), "{}", out(&output));
    // What fails is nothing to expect where rows were.
    let output = test(project.path(), &["--bless"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert_eq!(read(&case(project.path()), "expected.csv"), "");
}

#[test]
fn cases_that_are_wrong_themselves_say_where() {
    for (files, said) in [
        (&[("input/TOPC.0.csv", "a,1\n"), ("expected.csv", "")][..], "did you mean `TOPIC`?"),
        (&[("input/TOPIC.csv", "")], "name it TOPIC.PARTITION.jsonl"),
        (&[INPUT, ("expected.csv", "a\n")], "line 1 has 1 values, the table 3 columns"),
        (&[INPUT, ("expected.rez.csv", "")], "did you mean `res`?"),
        (&[INPUT, ("expected.toml", "late = 1\n")], "unknown field `late`"),
        (&[INPUT, ("arrival", "TOPIC.0 9\n")], "only 5 messages of `TOPIC.0` are left"),
        (&[INPUT, ("expected.csv", ""), ("expected.error", "")], "both rows and an error"),
    ] {
        let project = project("parquet", files);
        let output = test(project.path(), &[]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(out(&output).contains(said), "no `{said}` in {}", out(&output));
    }
}

#[test]
fn what_cannot_be_done_is_neither_passed_nor_failed() {
    let project = project("parquet", &[INPUT, ("expected.csv", ROWS)]);
    std::fs::create_dir(project.path().join("empty")).unwrap();
    for (args, said) in [
        (&["nowhere"][..], "nowhere: No such file"),
        (&["empty"], "no case in empty"),
        (&["--filter", "x"], "none of 1 cases has `x` in its name"),
        (&["--jobs", "0"], "--jobs"),
        (&["--blss"], "--bless"),
    ] {
        let output = test(project.path(), args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {}", text(&output));
        assert!(text(&output).contains(said), "{args:?}: {}", text(&output));
    }
}

#[test]
fn a_query_without_a_case_is_a_warning() {
    let project = project("json", &[INPUT, ("expected.csv", &ROWS.replacen("NULL", "", 1))]);
    write(project.path(), "queries/r.sql", "");
    let output = test(project.path(), &[]);
    assert!(output.status.success(), "{}", text(&output));
    let warning = "warning: queries/r.sql has no case in queries/cases/r/";
    assert!(out(&output).contains(warning), "{}", out(&output));
    assert!(out(&output).contains("1 passed, 1 without a case in"), "{}", out(&output));
}

/// Which row comes first is a matter of timing: no result to rely on.
#[test]
fn a_result_that_depends_on_the_order_does_not_pass() {
    let script = "SET 'execution.runtime-mode' = 'batch';".to_owned() + QUERY;
    let script = script.replace("FROM ev;", "FROM ev LIMIT 1;").replace("FORMAT", "json");
    let script =
        script.replace("'scan.startup", "'scan.bounded.mode'='latest-offset','scan.startup");
    let files = [
        ("query.sql", script.as_str()),
        ("input/TOPIC.0.csv", "a,1\nb,2\n"),
        ("input/TOPIC.1.csv", "c,3\nd,4\n"),
        ("input/TOPIC.2.csv", "e,5\nf,6\n"),
        ("expected.csv", "a,2,7\n"),
    ];
    let project = project("json", &files);
    let output = test(project.path(), &["--bless"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    for said in ["the result depends on how it is run; with ", "not blessed"] {
        assert!(out(&output).contains(said), "no `{said}` in {}", out(&output));
    }
}

#[test]
fn rows_of_a_table_that_makes_no_files_are_compared_too() {
    let print = QUERY.replace("'filesystem','path'='${LAKE}/res','format'='FORMAT'", "'print'");
    let print = print.replace(" PARTITIONED BY (p)", "");
    let two = print.clone() + "INSERT INTO b SELECT v FROM ev;";
    let two = two.replace(
        "INSERT INTO res",
        "CREATE TABLE b (v BIGINT) WITH ('connector'='blackhole');\nINSERT INTO res",
    );
    for script in [&print, &two] {
        let project = project(
            "json",
            &[INPUT, ("query.sql", script), ("expected.csv", &ROWS.replacen("NULL", "", 1))],
        );
        let output = test(project.path(), &[]);
        assert!(output.status.success(), "{}", text(&output));
        assert!(!out(&output).contains("+I["), "nothing is printed: {}", out(&output));
    }
}

#[test]
fn ctrl_c_ends_a_run_and_says_what_is_left() {
    let rows = ROWS.replacen("NULL", "", 1);
    let project = project("json", &[INPUT, ("expected.csv", &rows)]);
    let slow = project.path().join("queries/cases/q/slow");
    write(&slow, "arrival", &"pause 1 ms\n".repeat(1_000_000));
    write(&slow, INPUT.0, INPUT.1);
    write(&slow, "expected.csv", &rows);
    let mut child = turnstile()
        .current_dir(project.path())
        .args(["test", "--jobs", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.starts_with("ok    q/one")));
    let pid = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("----  q/slow")), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("1 passed, 1 not run in ")), "{rest:?}");
}
