//! Finds cases, and the queries that have none.
//!
//! A folder that holds `input/` or `expected…` is a case. Its script is its own
//! `query.sql`, or, for `cases/x/NAME`, the `x.sql` beside `cases`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{CaseError, sorted};

/// What is below a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub cases: Vec<PathBuf>,
    /// Query files without a case.
    pub untested: Vec<PathBuf>,
}

/// The cases of a query file, the one that `path` is, or all below it, sorted.
///
/// # Errors
/// A path that does not exist or cannot be listed.
pub fn find_all(path: &Path) -> Result<Found, CaseError> {
    let mut found = Found::default();
    let mut queries = Vec::new();
    if path.is_file() {
        queries.push(path.to_owned());
        let stem = path.file_stem().unwrap_or_default();
        let own = path.parent().unwrap_or(Path::new("")).join("cases").join(stem);
        if own.is_dir() {
            walk(&own, &mut found.cases, &mut Vec::new())?;
        }
    } else {
        walk(path, &mut found.cases, &mut queries)?;
    }
    let tested: BTreeSet<PathBuf> = found.cases.iter().filter_map(|c| script_of(c)).collect();
    found.untested = queries.into_iter().filter(|query| !tested.contains(query)).collect();
    Ok(found)
}

/// The cases alone.
pub fn find(path: &Path) -> Result<Vec<PathBuf>, CaseError> {
    Ok(find_all(path)?.cases)
}

fn walk(
    folder: &Path,
    cases: &mut Vec<PathBuf>,
    queries: &mut Vec<PathBuf>,
) -> Result<(), CaseError> {
    let entries = sorted(folder)?;
    let name = |path: &PathBuf| path.file_name().map(|n| n.to_string_lossy().into_owned());
    let makes_a_case = |path: &PathBuf| {
        let name = name(path).unwrap_or_default();
        (name == "input" && path.is_dir()) || is_expectation(&name)
    };
    if entries.iter().any(makes_a_case) && script_of(folder).is_some() {
        cases.push(folder.to_owned());
        return Ok(());
    }
    for path in entries {
        let hidden = name(&path).is_none_or(|name| name.starts_with('.'));
        if path.is_dir() && !path.is_symlink() && !hidden {
            walk(&path, cases, queries)?;
        } else if path.is_file() && path.extension().is_some_and(|e| e == "sql") {
            queries.push(path);
        }
    }
    Ok(())
}

fn is_expectation(name: &str) -> bool {
    name == "expected.error"
        || name == "expected.toml"
        || (name.starts_with("expected.") && name.ends_with(".csv"))
}

/// The script of a case; `None` if the folder does not say.
pub fn script_of(folder: &Path) -> Option<PathBuf> {
    let own = folder.join("query.sql");
    if own.is_file() {
        return Some(own);
    }
    beside(folder).or_else(|| beside(&std::path::absolute(folder).ok()?))
}

/// `DIR/cases/x/NAME` to `DIR/x.sql`.
fn beside(folder: &Path) -> Option<PathBuf> {
    let query = folder.parent()?;
    let cases = query.parent()?;
    let name = query.file_name()?.to_str()?;
    (cases.file_name()? == "cases")
        .then(|| cases.parent().map(|p| p.join(format!("{name}.sql"))))?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &Path, path: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "").unwrap();
    }

    #[test]
    fn cases_are_found_below_their_queries_or_by_themselves() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        for path in [
            "a.sql",
            "b.sql",
            "cases/a/one/input/t.0.csv",
            "cases/a/two/expected.csv",
            "cases/a/two/input/expected.csv",
            "own/query.sql",
            "own/expected.error",
            ".git/cases/a/x/expected.csv",
        ] {
            touch(root, path);
        }
        let relative = |paths: Vec<PathBuf>| -> Vec<String> {
            let strip = |p: PathBuf| p.strip_prefix(root).unwrap().display().to_string();
            paths.into_iter().map(strip).collect()
        };
        let found = find_all(root).unwrap();
        assert_eq!(relative(found.cases), ["cases/a/one", "cases/a/two", "own"]);
        assert_eq!(relative(found.untested), ["b.sql"]);
        let one = find_all(&root.join("a.sql")).unwrap();
        assert_eq!(relative(one.cases), ["cases/a/one", "cases/a/two"]);
        let itself = root.join("cases/a/one");
        assert_eq!(find(&itself).unwrap(), vec![itself.clone()]);
        assert_eq!(script_of(&itself), Some(root.join("a.sql")));
        assert_eq!(script_of(&root.join("own")), Some(root.join("own/query.sql")));
        assert!(find_all(&root.join("none")).is_err());
    }
}
