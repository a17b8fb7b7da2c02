//! The correctness cases: what a real Flink answered to each script.

use std::path::Path;

use turnstile::cases::{Case, Fault, Verdict, check, find};
use turnstile::engine::StopSignal;

/// Cases that do not give Flink's rows yet, one name a line. A case that begins
/// to pass must leave the list.
const KNOWN: &str = include_str!("cases-not-yet.txt");

/// What is not as expected in any way of running it.
fn failure(case: &Case) -> Option<String> {
    match check(case, &StopSignal::default()) {
        Verdict::Failed(failure) => {
            let faults: Vec<String> = failure.faults.iter().map(Fault::to_string).collect();
            Some(format!("## {}\n{}", case.name(), faults.join("\n")))
        }
        Verdict::Passed | Verdict::Stopped => None,
    }
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
