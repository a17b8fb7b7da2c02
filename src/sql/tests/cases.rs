//! Every script that a real Flink ran parses.

use std::path::{Path, PathBuf};

fn scripts(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            scripts(&path, found);
        } else if path.ends_with("query.sql") {
            found.push(path);
        }
    }
}

#[test]
fn every_case_parses() {
    let mut found = Vec::new();
    scripts(Path::new("tests/cases"), &mut found);
    assert!(found.len() > 100, "{} cases", found.len());
    let mut failed = String::new();
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = super::file(&text);
        if let Err(errors) = super::super::parse(&file, &super::env) {
            failed += &format!("{}\n{}\n", path.display(), super::render(&text, &errors));
        }
    }
    assert!(failed.is_empty(), "{failed}");
}
