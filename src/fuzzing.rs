//! What the fuzz targets in `fuzz/` feed: one function for each kind of bytes
//! that come from outside, with the rule that holds for all of them.
//!
//! A function panics where its rule is broken.

use std::sync::Arc;

use arrow::buffer::Buffer;

use crate::checkpoint::{Manifest, PieceRows, StoredPiece, manifest, segment};
use crate::cli;
use crate::diagnostics::SourceFile;
use crate::formats::testing::{
    array, assert_grouping_does_not_matter, bind, column, field, json_lines, map, messages,
};
use crate::formats::{Decoded, DecodingFormat, MessageParts};
use crate::kafka_client::parse_java_properties;
use crate::sinks::filesystem::partition_path;
use crate::sources::kafka::native::batches::{self, Wanted};
use crate::sources::kafka::native::codecs::Codecs;
use crate::sources::kafka::native::fetch;
use crate::types::{Column, SqlType};

/// What takes the bytes of one input.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also that of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("json", json),
    ("csv", csv),
    ("manifest", manifest),
    ("segment", segment),
    ("sql", sql),
    ("partition_path", partition_path),
    ("config", config),
    ("fetched", fetched),
];

/// Ends a message in the input of `json` and `csv`.
const MESSAGE_END: u8 = 0x1e;

/// Messages of JSON behind a byte that chooses the options.
pub fn json(input: &[u8]) {
    let options = [
        ("json.ignore-parse-errors", "true"),
        ("json.timestamp-format.standard", "ISO-8601"),
        ("json.fail-on-missing-field", "true"),
    ];
    let mut columns = flat_columns();
    let who = vec![field("name", SqlType::STRING), field("props", map(SqlType::Int))];
    let bid = vec![
        field("price", SqlType::Decimal { precision: 8, scale: 2 }),
        field("tags", array(SqlType::STRING)),
        field("who", SqlType::Row(who)),
    ];
    columns.push(column("bid", SqlType::Row(bid)));
    columns.push(column("bids", array(map(SqlType::Double))));
    decode("json", &columns, &options, input);
}

/// Messages of CSV behind a byte that chooses the options.
pub fn csv(input: &[u8]) {
    let options = [
        ("csv.ignore-parse-errors", "true"),
        ("csv.escape-character", "\\"),
        ("csv.allow-comments", "true"),
        ("csv.null-literal", "NULL"),
        ("csv.quote-character", "'"),
    ];
    let mut columns = flat_columns();
    columns.push(column("numbers", array(SqlType::Int)));
    decode("csv", &columns, &options, input);
}

fn flat_columns() -> Vec<Column> {
    vec![
        column("name", SqlType::STRING),
        column("yes", SqlType::Boolean),
        column("small", SqlType::SmallInt),
        column("big", SqlType::BigInt),
        column("ratio", SqlType::Double),
        column("price", SqlType::Decimal { precision: 20, scale: 3 }),
        column("day", SqlType::Date),
        column("hour", SqlType::Time(0)),
        column("et", SqlType::Timestamp(3)),
        column("at", SqlType::TimestampLtz(6)),
    ]
}

/// A message fares the same beside any others, and a value is the same
/// whichever other columns are read.
fn decode(name: &str, columns: &[Column], options: &[(&str, &str)], input: &[u8]) {
    let Some((chosen, input)) = input.split_first() else { return };
    let chosen: Vec<_> = options
        .iter()
        .enumerate()
        .filter_map(|(bit, option)| (chosen >> bit & 1 == 1).then_some(*option))
        .collect();
    // Options that exclude each other.
    let Ok(format) = bind(name, columns, &chosen) else { return };
    let payloads: Vec<_> =
        input.split(|byte| *byte == MESSAGE_END).map(|bytes| Some(bytes.to_vec())).collect();
    let each: Vec<usize> = (1..payloads.len().min(8)).collect();
    assert_grouping_does_not_matter(&*format, columns, &payloads, &each);
    assert_values_stay(&*format, columns, &payloads);
}

fn assert_values_stay(
    format: &dyn DecodingFormat,
    columns: &[Column],
    payloads: &[Option<Vec<u8>>],
) {
    let messages = messages(payloads);
    let all: Vec<usize> = (0..columns.len()).collect();
    let whole = format.decoder(&all).decode(&messages);
    for (index, column) in columns.iter().enumerate().step_by(3) {
        let mut alone = format.decoder(&[index]).decode(&messages);
        let of_whole = Decoded {
            columns: vec![Arc::clone(&whole.columns[index])],
            rows: whole.rows.clone(),
            errors: Vec::new(),
        };
        // A fault in a column that is not read is none.
        let kept: Vec<bool> =
            alone.rows.iter().map(|row| whole.rows.binary_search(row).is_ok()).collect();
        let kept = arrow::array::BooleanArray::from(kept);
        alone.columns[0] =
            arrow::compute::filter(&alone.columns[0], &kept).expect("one flag for each row");
        alone.rows.retain(|row| whole.rows.binary_search(row).is_ok());
        assert_eq!(alone.rows, whole.rows);
        let columns = std::slice::from_ref(column);
        assert_eq!(json_lines(columns, &alone), json_lines(columns, &of_whole));
    }
}

/// The bytes of a checkpoint; also as they would be with a right checksum.
pub fn manifest(input: &[u8]) {
    let json = input.splitn(2, |byte| *byte == b'\n').nth(1).unwrap_or(input);
    for bytes in [input, &manifest::enclose(json)] {
        if let Ok(read) = Manifest::from_bytes(bytes) {
            assert_eq!(Manifest::from_bytes(&read.to_bytes()), Ok(read));
        }
    }
}

/// The bytes of a piece of state; also with a right checksum.
pub fn segment(input: &[u8]) {
    let mut piece = StoredPiece {
        id: manifest::PieceId { epoch: 1, maker: 0, number: 0 },
        of: serde_json::Value::Null,
        segment: String::new(),
        from: 0,
        bytes: input.len() as u64,
        rows: 0,
        sha256: "0".repeat(64),
    };
    assert!(segment::decode(&piece, None).is_err());
    assert!(segment::decode(&piece, Some(input)).is_err());
    piece.sha256 = manifest::checksum(input);
    let Ok(rows) = segment::decode(&piece, Some(input)) else { return };
    let mut written = Vec::new();
    let again = segment::write(&PieceRows::Here(Arc::new(rows.clone())), &mut written);
    let Ok((bytes, sha256)) = again else { return };
    assert_eq!(bytes, written.len() as u64);
    piece.sha256 = sha256;
    let read = segment::decode(&piece, Some(&written)).expect("what was written");
    assert_eq!(read.num_rows(), rows.num_rows());
}

/// A script behind some tables is planned, or what is wrong is shown at its
/// places.
pub fn sql(input: &[u8]) {
    const TABLES: &str = include_str!("../tests/diagnostics/prelude.sql");
    let Ok(text) = str::from_utf8(input) else { return };
    cli::check(&source("fuzzed.sql", &format!("{TABLES}{text}")));
}

/// Any two values have one folder each, and different ones.
pub fn partition_path(input: &[u8]) {
    const DEFAULT: &str = "__DEFAULT_PARTITION__";
    let mut texts = input.split(|byte| *byte == MESSAGE_END).map(String::from_utf8_lossy);
    let (one, other) = (texts.next().unwrap_or_default(), texts.next().unwrap_or_default());
    let folder = |value: &str| partition_path::folder("d", Some(value), DEFAULT);
    for value in [&one, &other] {
        let name = folder(value);
        assert!(name.len() <= 255 && name.starts_with("d="));
        assert!(!name.contains(|c: char| c.is_control() || "/\\?*[".contains(c)));
        let decoded = percent_encoding::percent_decode_str(&name[2..]).decode_utf8();
        let whole = decoded.expect("a cut is between characters") == value.as_ref();
        assert!(whole || value.is_empty() || value.len() > 70);
    }
    let shared = one.is_empty() && other == DEFAULT || other.is_empty() && one == DEFAULT;
    assert_eq!(folder(&one) == folder(&other), one == other || shared);
}

/// A configuration file, and one of a Kafka client.
pub fn config(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let file = source("turnstile.toml", text);
    if let Err(faults) = cli::settings::file::parse(text) {
        assert!(!faults.is_empty());
        faults.iter().for_each(|fault| assert!(!fault.render(&file).is_empty()));
    }
    match parse_java_properties(text) {
        Ok(pairs) => pairs.iter().for_each(|(name, value)| {
            assert!(text.get(name.span.start..name.span.end).is_some());
            assert!(text.get(value.span.start..value.span.end).is_some());
        }),
        Err(faults) => {
            faults.iter().for_each(|fault| assert!(!fault.render(&file).is_empty()));
        }
    }
}

/// A broker's answer to a fetch behind the version it is in, and the batches in
/// it, whose checksums are made right.
pub fn fetched(input: &[u8]) {
    let Some((version, frame)) = input.split_first() else { return };
    let Ok(answer) = fetch::answer(frame, i16::from(version % 9) + 4) else { return };
    let mut frame = frame.to_vec();
    for fetched in &answer.partitions {
        sum(&mut frame[fetched.records.clone()]);
    }
    let (frame, mut codecs) = (Buffer::from_vec(frame), Codecs::default());
    for fetched in &answer.partitions {
        let wanted = Wanted {
            topic: &fetched.topic,
            partition: fetched.partition,
            parts: MessageParts { keys: true, headers: true },
            from: 3,
            until: Some(1 << 40),
        };
        let (records, aborted) = (fetched.records.clone(), &fetched.aborted);
        let Ok(read) = batches::read(&wanted, &frame, records, aborted, &mut codecs) else {
            continue;
        };
        assert!(read.next >= wanted.from);
        for mut messages in read.messages {
            let count = messages.len();
            let rest = messages.split_off(count / 2);
            assert_eq!(messages.len() + rest.len(), count);
            for part in [messages, rest] {
                let bytes =
                    (0..part.len()).map(|i| (part.payload(i), part.key(i), part.stamp(i)));
                assert_eq!(bytes.count(), part.offsets.len());
                assert!(part.offsets.iter().all(|offset| (3..1 << 40).contains(offset)));
            }
        }
    }
}

/// Makes the checksums of batches right.
fn sum(mut batches: &mut [u8]) {
    while let Some(length) = batches.get(8..12) {
        let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
        let end = usize::try_from(length).expect("it fits").saturating_add(12);
        if end > batches.len() || end < 21 {
            return;
        }
        let (batch, rest) = std::mem::take(&mut batches).split_at_mut(end);
        let checksum = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&checksum.to_be_bytes());
        batches = rest;
    }
}

fn source(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: text.into() }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    use super::*;

    /// What fuzzing has found worth keeping.
    #[test]
    fn every_corpus_is_survived() {
        for (name, target) in TARGETS {
            let path = format!("{}/fuzz/corpus/{name}.base64", env!("CARGO_MANIFEST_DIR"));
            let corpus = std::fs::read_to_string(&path).expect(&path);
            assert!(corpus.lines().count() > 5, "{path} is no corpus");
            for (line, input) in corpus.lines().enumerate() {
                let input = BASE64_STANDARD.decode(input).expect("base64");
                let run = || target(&input);
                if std::panic::catch_unwind(run).is_err() {
                    panic!("{path}:{}: {}", line + 1, input.escape_ascii());
                }
            }
        }
    }
}
