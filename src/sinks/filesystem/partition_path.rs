//! Names the folder of a partition: `DATE=2024-01-01/city=K%3Aln`.
//!
//! Names are Hive's, as Flink, Spark, DuckDB and Arrow read them. Whatever the
//! value, it stays one folder name: every character with a meaning in a path,
//! a URL or a glob is percent-encoded, and since a name starts with its column
//! it can never be `.`, `..` or hidden.

use std::fmt::Write as _;

/// The most bytes a folder's name may have; file systems take 255.
const MAX_NAME_BYTES: usize = 240;

/// The folder of one column's value. A null and an empty text, which a folder
/// cannot express, go to `default_name`.
pub(crate) fn folder(column: &str, value: Option<&str>, default_name: &str) -> String {
    let mut name = escape(column);
    name.push('=');
    let value = value.filter(|text| !text.is_empty()).unwrap_or(default_name);
    name.push_str(&bounded(value, MAX_NAME_BYTES.saturating_sub(name.len())));
    name
}

/// Percent-encodes what must not stand in a file's name.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        push_escaped(&mut out, c);
    }
    out
}

fn push_escaped(out: &mut String, c: char) {
    if !needs_escape(c) {
        out.push(c);
        return;
    }
    let mut buffer = [0; 4];
    for byte in c.encode_utf8(&mut buffer).bytes() {
        write!(out, "%{byte:02X}").expect("a String takes every write");
    }
}

/// Hive's list, and what no listing of an object store can carry.
fn needs_escape(c: char) -> bool {
    const SPECIAL: &str = "\"#%'*/:=?\\{}[]^";
    c.is_control() || SPECIAL.contains(c) || matches!(c, '\u{FFFE}' | '\u{FFFF}')
}

/// `value` escaped; when that is too long, its beginning and a checksum of the
/// whole, so that two long values keep folders of their own.
fn bounded(value: &str, max_bytes: usize) -> String {
    const CHECKSUM_BYTES: usize = "~01234567".len();
    let mut out = String::new();
    let mut cut_at = 0;
    for c in value.chars() {
        push_escaped(&mut out, c);
        if out.len() + CHECKSUM_BYTES <= max_bytes {
            cut_at = out.len();
        }
        if out.len() > max_bytes {
            out.truncate(cut_at);
            let checksum = crc32c::crc32c(value.as_bytes());
            write!(out, "~{checksum:08x}").expect("a String takes every write");
            break;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DEFAULT: &str = "__DEFAULT_PARTITION__";

    #[test]
    fn values_are_encoded_as_hive_does() {
        let cases = [
            (Some("09-23-23"), "d=09-23-23"),
            (Some("../x"), "d=..%2Fx"),
            (Some("a=b%41"), "d=a%3Db%2541"),
            (Some("Köln 東京"), "d=Köln 東京"),
            (Some("\n"), "d=%0A"),
            (Some(""), "d=__DEFAULT_PARTITION__"),
            (None, "d=__DEFAULT_PARTITION__"),
        ];
        for (value, expected) in cases {
            assert_eq!(folder("d", value, DEFAULT), expected);
        }
    }

    #[test]
    fn long_values_keep_folders_of_their_own() {
        let one = folder("d", Some(&"x".repeat(5000)), DEFAULT);
        let other = folder("d", Some(&"x".repeat(5001)), DEFAULT);
        assert_ne!(one, other);
        assert_eq!(one.len(), MAX_NAME_BYTES);
    }

    proptest! {
        #[test]
        fn a_name_is_one_short_folder(value in any::<String>(), long in 0_usize..300) {
            let value = value.repeat(long.max(1));
            let name = folder("d", Some(&value), DEFAULT);
            prop_assert!(name.len() <= MAX_NAME_BYTES);
            prop_assert!(!name.contains(['/', '\\', '\0', '*', '?', '[']));
            prop_assert_eq!(name.matches('=').count(), 1);
        }

        #[test]
        fn a_short_name_decodes_to_its_value(value in "\\PC{1,20}") {
            let name = folder("d", Some(&value), DEFAULT);
            let decoded = percent_encoding::percent_decode_str(&name[2..]).decode_utf8();
            prop_assert_eq!(decoded.expect("UTF-8"), value);
        }
    }
}
