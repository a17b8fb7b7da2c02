//! Reads a path: which store, and where in it.
//!
//! Pure. As in Flink a path is taken literally: `%20` is three characters, and
//! a path without a scheme is on the local disk.

use std::fmt;
use std::path::PathBuf;

use crate::diagnostics::Diagnostic;

/// Where a folder is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Location {
    /// May be relative to the working directory.
    Local(PathBuf),
    /// `prefix` has no slash at either end and may be empty.
    S3 { bucket: String, prefix: String },
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Local(path) => write!(f, "{}", path.display()),
            Location::S3 { bucket, prefix } if prefix.is_empty() => write!(f, "s3://{bucket}"),
            Location::S3 { bucket, prefix } => write!(f, "s3://{bucket}/{prefix}"),
        }
    }
}

impl Location {
    /// The folder of that name in this one.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        match self {
            Location::Local(path) => Location::Local(path.join(name)),
            Location::S3 { bucket, prefix } => {
                let slash = if prefix.is_empty() { "" } else { "/" };
                let prefix = format!("{prefix}{slash}{name}");
                Location::S3 { bucket: bucket.clone(), prefix }
            }
        }
    }

    /// The folder that this lies in, and its name there.
    pub fn parent(&self) -> Option<(Self, String)> {
        match self {
            Location::Local(path) => {
                let name = path.file_name()?.to_str()?.to_owned();
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let parent = parent.map_or_else(|| PathBuf::from("."), PathBuf::from);
                Some((Location::Local(parent), name))
            }
            Location::S3 { bucket, prefix } => {
                let (parent, name) = prefix.rsplit_once('/').unwrap_or(("", prefix));
                let parent = Location::S3 { bucket: bucket.clone(), prefix: parent.to_owned() };
                (!name.is_empty()).then(|| (parent, name.to_owned()))
            }
        }
    }

    /// True if this is `other` or a folder in it.
    pub fn is_within(&self, other: &Location) -> bool {
        match (self, other) {
            (Location::Local(own), Location::Local(other)) => {
                let absolute =
                    |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
                absolute(own).starts_with(absolute(other))
            }
            (
                Location::S3 { bucket, prefix },
                Location::S3 { bucket: other, prefix: outer },
            ) => {
                let below = prefix.strip_prefix(outer.as_str());
                let inside = |rest: &str| rest.is_empty() || rest.starts_with('/');
                bucket == other && (outer.is_empty() || below.is_some_and(inside))
            }
            _ => false,
        }
    }
}

/// # Errors
/// What is wrong with the path, without a place.
pub fn parse(text: &str) -> Result<Location, Diagnostic> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Diagnostic::error("the path is empty"));
    }
    match scheme(text) {
        None => Ok(Location::Local(PathBuf::from(text))),
        Some(("file", rest)) => local(rest),
        Some(("s3" | "s3a", rest)) => s3(rest),
        Some((other, _)) => Err(Diagnostic::error(format!("cannot write to `{other}:` paths"))
            .label("expected file://, s3:// or s3a://, or a path without a scheme")
            .did_you_mean(other, ["file", "s3", "s3a"])),
    }
}

/// The scheme and what follows its colon; a colon after a slash is part of a
/// plain path.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once(':')?;
    (!scheme.is_empty() && !scheme.contains('/')).then_some((scheme, rest))
}

/// `file:/x` and `file:///x`.
fn local(rest: &str) -> Result<Location, Diagnostic> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.starts_with('/') {
        return Ok(Location::Local(PathBuf::from(path)));
    }
    Err(Diagnostic::error("a file:// path names no other machine")
        .hint(format!("write `file:///{path}`, or `{path}` for a relative path")))
}

fn s3(rest: &str) -> Result<Location, Diagnostic> {
    let path = rest.strip_prefix("//").unwrap_or_default();
    let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
    if bucket.is_empty() {
        let missing = "an S3 path starts with its bucket, as in `s3://bucket/prefix`";
        return Err(Diagnostic::error(missing));
    }
    let prefix = prefix.trim_matches('/');
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains(char::is_control);
    if !prefix.is_empty() && prefix.split('/').any(odd) {
        let odd = "an S3 prefix cannot have empty parts, `.`, `..` or control characters";
        return Err(Diagnostic::error(odd));
    }
    Ok(Location::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_flink_reads_them() {
        let local = |path: &str| Ok(Location::Local(PathBuf::from(path)));
        let s3 = |bucket: &str, prefix: &str| {
            Ok(Location::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
        };
        assert_eq!(parse("out/res"), local("out/res"));
        assert_eq!(parse("/lake/a:b"), local("/lake/a:b"));
        assert_eq!(parse("file:///lake/a%20b"), local("/lake/a%20b"));
        assert_eq!(parse("file:/lake"), local("/lake"));
        assert_eq!(parse("s3://lake/a/b/"), s3("lake", "a/b"));
        assert_eq!(parse("s3a://lake"), s3("lake", ""));
    }

    #[test]
    fn one_folder_may_be_within_another() {
        let parse = |text| parse(text).expect("a path");
        let within = |one, other| parse(one).is_within(&parse(other));
        assert!(within("s3://b/lake/state", "s3://b/lake") && within("s3://b/l", "s3://b"));
        assert!(within("/lake/state", "/lake") && within("/lake", "/lake"));
        assert!(!within("s3://b/lakes", "s3://b/lake") && !within("/lakes", "/lake"));
        assert!(!within("s3://b/lake", "s3://c/lake") && !within("/lake", "s3://lake"));
        assert_eq!(parse("s3://b").join("x"), parse("s3://b/x"));
    }

    #[test]
    fn other_places_are_refused() {
        for text in ["", "hdfs://nn/x", "file://lake/x", "s3://", "s3:/lake/x", "s3://l/a/../b"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
