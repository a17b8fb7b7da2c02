//! Settings as a user sees them: `explain` tells what holds.

use std::path::Path;

use super::support::{text, turnstile};

const CONFIG: &str = "[pipeline]\nname = \"from_file\"\n";

/// A script that may set things itself.
fn script(folder: &Path, sets: &str) -> std::path::PathBuf {
    let file = folder.join("from_file_name.sql");
    let text = format!(
        "{sets}CREATE TABLE t (k STRING) WITH ('connector'='kafka','topic'='t',\
         'properties.bootstrap.servers'='localhost:9092',\
         'scan.startup.mode'='earliest-offset','format'='csv');\n\
         CREATE TABLE out_t (k STRING) WITH ('connector'='blackhole');\n\
         INSERT INTO out_t SELECT k FROM t;\n"
    );
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn each_place_is_stronger_than_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("turnstile.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let config = config.to_str().unwrap();
    let name = |sets: &str, variable: &str, flags: &[&str]| {
        let file = script(folder.path(), sets);
        let mut command = turnstile();
        command.env("TURNSTILE_PIPELINE_NAME", variable).arg("explain").args(flags).arg(file);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        let said = text(&output);
        said.split_whitespace().nth(1).unwrap().to_owned()
    };
    let set = "SET 'pipeline.name' = 'from_set';\n";
    assert_eq!(name("", "", &[]), "from_file_name");
    assert_eq!(name("", "", &["--config", config]), "from_file");
    assert_eq!(name("", "from_env", &["--config", config]), "from_env");
    assert_eq!(name(set, "from_env", &["--config", config]), "from_set");
    let flags = ["--config", config, "--set", "pipeline.name=from_flag"];
    assert_eq!(name(set, "from_env", &flags), "from_flag");
}

#[test]
fn the_idle_timeout_of_the_session_holds_for_tables_without_one() {
    let folder = tempfile::tempdir().unwrap();
    let explain = |sets: &str| {
        let output =
            turnstile().arg("explain").arg(script(folder.path(), sets)).output().unwrap();
        assert!(output.status.success(), "{}", text(&output));
        text(&output)
    };
    assert!(!explain("").contains("idle after"));
    let told = explain("SET 'table.exec.source.idle-timeout' = '7 s';\n");
    assert!(told.contains("idle after: 7s"), "{told}");
    let off = explain("SET 'table.exec.source.idle-timeout' = '0 s';\n");
    assert!(!off.contains("idle after"), "{off}");
}

#[test]
fn mistakes_in_a_configuration_file_have_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("turnstile.toml");
    std::fs::write(&config, "[turnstile]\nbatchsize = 7\n").unwrap();
    let file = script(folder.path(), "");
    let output =
        turnstile().arg("check").arg("--config").arg(&config).arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(said.contains("turnstile.toml:2:1"), "{said}");
    assert!(said.contains("did you mean `turnstile.batch-size`?"), "{said}");
}
