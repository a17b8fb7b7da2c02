//! The correctness cases: what a real Flink answered to each script.

use std::path::Path;

use turnstile::cases::{Case, Variation, find, run};

const VARIATIONS: [Variation; 3] = [
    Variation { workers: 1, batch_size: 8192, seed: 1 },
    Variation { workers: 1, batch_size: 1, seed: 2 },
    Variation { workers: 3, batch_size: 2, seed: 3 },
];

/// Cases that do not give Flink's rows yet, one name a line. A case that begins
/// to pass must leave the list.
const KNOWN: &str = include_str!("cases-not-yet.txt");

/// The first variation that fails, and how.
fn failure(case: &Case) -> Option<String> {
    VARIATIONS.iter().find_map(|variation| {
        let scratch = tempfile::tempdir().expect("a scratch folder");
        let error = run(case, *variation, scratch.path()).err()?;
        Some(format!("## {} {variation:?}\n{error}", case.name()))
    })
}

#[test]
fn every_case_gives_flinks_rows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let folders = find(&root).expect("the cases are there");
    let only = std::env::var("CASE").ok();
    let known: Vec<&str> =
        KNOWN.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let (mut passed, mut wrong) = (0, Vec::new());
    for folder in folders {
        let case = Case::load(&folder).expect("a case that can be read");
        let name = case.name();
        if only.as_ref().is_some_and(|only| !name.contains(only)) {
            continue;
        }
        match (failure(&case), known.contains(&name.as_str())) {
            (None, false) => passed += 1,
            (Some(_), true) if only.is_none() => {}
            (Some(failure), _) => wrong.push(failure),
            (None, true) => {
                wrong.push(format!("## {name} passes: take it off cases-not-yet.txt"))
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong, {passed} passed\n{}", wrong.len(), wrong.join("\n"));
    assert!(passed > 0, "no case ran");
}
