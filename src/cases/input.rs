//! The messages of a case, as files.
//!
//! A payload a line is what a person reads and diffs; JSON lines that say
//! everything of a message are for what that cannot hold.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use super::{CaseError, files, read};
use crate::formats::Header;
use crate::sources::replay::{Message, Partitions};
use std::collections::BTreeMap;

/// A line that is a message without a value.
const TOMBSTONE: &str = "<tombstone>";
/// The end of a file of JSON lines that say everything of a message.
const WHOLE: &str = ".messages.jsonl";

/// Every topic's messages in `folder`, which may be missing.
pub fn load(folder: &Path) -> Result<BTreeMap<String, Partitions>, CaseError> {
    let mut input: BTreeMap<String, Partitions> = BTreeMap::new();
    for path in files(folder)? {
        let file = InputFile::named(&path)?;
        let text = read(&path)?;
        let messages = if file.whole {
            whole(&path, &text)?
        } else {
            text.lines().zip(0..).map(plain).collect()
        };
        let topic = input.entry(file.topic).or_default();
        if topic.insert(file.partition, messages).is_some() {
            let message = format!("{}: a second file of its partition", path.display());
            return Err(CaseError::Format(message));
        }
    }
    Ok(input)
}

/// What the name of an input file says.
struct InputFile {
    topic: String,
    partition: i32,
    whole: bool,
}

impl InputFile {
    /// Reads `TOPIC.PARTITION.ext` or `TOPIC.PARTITION.messages.jsonl`.
    fn named(path: &Path) -> Result<Self, CaseError> {
        let wrong = || {
            let hint = "name it TOPIC.PARTITION.jsonl (or .csv, .txt, .messages.jsonl)";
            CaseError::Format(format!("{}: {hint}", path.display()))
        };
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(wrong)?;
        let (stem, whole) = match name.strip_suffix(WHOLE) {
            Some(stem) => (stem, true),
            None => (name.rsplit_once('.').ok_or_else(wrong)?.0, false),
        };
        let (topic, partition) = stem.rsplit_once('.').ok_or_else(wrong)?;
        let partition = partition.parse().ok().filter(|p| *p >= 0).ok_or_else(wrong)?;
        Ok(Self { topic: topic.to_owned(), partition, whole })
    }
}

fn plain((line, number): (&str, i64)) -> Message {
    Message {
        payload: (line != TOMBSTONE).then(|| line.as_bytes().to_vec()),
        timestamp_ms: number,
        ..Message::default()
    }
}

/// A message as a line of JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WholeMessage {
    /// The line's number, from 0, unless said.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<Bytes>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, Option<Bytes>)>,
    value: Option<Bytes>,
}

/// Text where it is text.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Bytes {
    Text(String),
    Other { base64: String },
}

impl Bytes {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Bytes::Text(text.to_owned()),
            Err(_) => Bytes::Other { base64: BASE64.encode(bytes) },
        }
    }

    fn decode(self) -> Result<Vec<u8>, String> {
        match self {
            Bytes::Text(text) => Ok(text.into_bytes()),
            Bytes::Other { base64 } => BASE64.decode(base64).map_err(|e| e.to_string()),
        }
    }
}

fn whole(path: &Path, text: &str) -> Result<Vec<Message>, CaseError> {
    let message = |(line, number): (&str, i64)| {
        let wrong = |reason: String| {
            CaseError::Format(format!("{}:{}: {reason}", path.display(), number + 1))
        };
        let read: WholeMessage =
            serde_json::from_str(line).map_err(|e| wrong(format!("no message: {e}")))?;
        let decode = |bytes: Option<Bytes>| bytes.map(Bytes::decode).transpose().map_err(wrong);
        let headers = read.headers.into_iter();
        let headers = headers.map(|(key, value)| Ok(Header { key, value: decode(value)? }));
        Ok(Message {
            payload: decode(read.value)?,
            key: decode(read.key)?,
            headers: headers.collect::<Result<_, CaseError>>()?,
            timestamp_ms: read.timestamp.unwrap_or(number),
        })
    };
    text.lines().zip(0..).map(message).collect()
}

/// The text of a partition's file and the end of its name; `extension` is the
/// one of the topic's format. `whole` says whether more than payloads counts.
pub fn text_of(messages: &[Message], extension: &str, whole: bool) -> (String, String) {
    let mut text = String::new();
    let plain = |message: &Message| match &message.payload {
        None => Some(TOMBSTONE.to_owned()),
        Some(payload) => {
            let line = std::str::from_utf8(payload).ok()?;
            (!line.contains(['\n', '\r']) && line != TOMBSTONE).then(|| line.to_owned())
        }
    };
    let lines: Option<Vec<String>> = messages.iter().map(plain).collect();
    if let Some(lines) = lines.filter(|_| !whole) {
        lines.iter().for_each(|line| {
            let _ = writeln!(text, "{line}");
        });
        return (text, format!(".{extension}"));
    }
    for message in messages {
        let bytes = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(Bytes::of);
        let headers = message.headers.iter();
        let line = WholeMessage {
            timestamp: Some(message.timestamp_ms),
            key: bytes(&message.key),
            headers: headers.map(|header| (header.key.clone(), bytes(&header.value))).collect(),
            value: bytes(&message.payload),
        };
        let line = serde_json::to_string(&line).expect("texts and numbers are JSON");
        let _ = writeln!(text, "{line}");
    }
    (text, WHOLE.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_messages_keep_everything() {
        let header = |key: &str, value: Option<&[u8]>| Header {
            key: key.to_owned(),
            value: value.map(<[u8]>::to_vec),
        };
        let messages = vec![
            Message {
                payload: Some(b"a\nb".to_vec()),
                key: Some(vec![0xff, 0]),
                headers: vec![header("trace", Some(b"1")), header("trace", None)],
                timestamp_ms: 1_700_000_000_000,
            },
            Message { payload: None, timestamp_ms: 7, ..Message::default() },
        ];
        let (text, end) = text_of(&messages, "csv", false);
        assert_eq!(end, ".messages.jsonl");
        assert_eq!(
            text,
            "{\"timestamp\":1700000000000,\"key\":{\"base64\":\"/wA=\"},\
             \"headers\":[[\"trace\",\"1\"],[\"trace\",null]],\"value\":\"a\\nb\"}\n\
             {\"timestamp\":7,\"value\":null}\n"
        );
        assert_eq!(whole(Path::new("x"), &text).unwrap(), messages);
    }

    #[test]
    fn payloads_alone_are_lines() {
        let payload = |text: &str| Message {
            payload: Some(text.as_bytes().to_vec()),
            timestamp_ms: 9,
            ..Message::default()
        };
        let messages = [payload("a,1"), Message::default(), payload("")];
        let (text, end) = text_of(&messages, "csv", false);
        assert_eq!((text.as_str(), end.as_str()), ("a,1\n<tombstone>\n\n", ".csv"));
        assert_eq!(text_of(&messages, "csv", true).1, ".messages.jsonl");
    }

    #[test]
    fn a_wrong_line_is_named() {
        let error = whole(Path::new("t.0.messages.jsonl"), "{\"value\":\"a\"}\n{\"valu\":1}\n");
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("t.0.messages.jsonl:2: no message: unknown field"),
            "{error}"
        );
    }
}
