//! The payloads of a batch as text.
//!
//! Where payloads lie side by side, UTF-8 is checked once for the whole batch.
//! Where other bytes lie between them, or some message is not UTF-8, each is
//! looked at on its own, so that a bad one costs itself alone.

use simdutf8::basic::from_utf8;

use super::Messages;

/// Payloads as text; see [`Messages`].
pub struct Texts<'a> {
    messages: &'a Messages,
    whole: Option<&'a str>,
}

impl<'a> Texts<'a> {
    pub fn of(messages: &'a Messages) -> Self {
        let lengths = messages.payloads.iter().filter_map(|slot| slot.range());
        let payload_bytes: usize = lengths.map(|range| range.len()).sum();
        let is_dense = payload_bytes == messages.bytes.len();
        let whole = is_dense.then(|| from_utf8(&messages.bytes).ok()).flatten();
        Self { messages, whole }
    }

    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether message `i` has no payload.
    pub fn is_null(&self, i: usize) -> bool {
        self.messages.payloads[i].is_null()
    }

    /// The payload of message `i`, `None` if there is none or it is not UTF-8.
    pub fn get(&self, i: usize) -> Option<&'a str> {
        let range = self.messages.payloads[i].range()?;
        if range.is_empty() {
            // Text wherever it lies, also between the halves of a character.
            return Some("");
        }
        match self.whole {
            // Two halves of a character may meet where messages do.
            Some(whole) => whole.get(range),
            None => from_utf8(&self.messages.bytes[range]).ok(),
        }
    }
}

/// The most characters of a value that an error shows.
const MAX_EXCERPT: usize = 60;

/// The beginning of `text`, for an error message.
pub fn excerpt(text: &str) -> String {
    match text.char_indices().nth(MAX_EXCERPT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::{MessageParts, MessagesBuilder};

    #[test]
    fn halves_of_a_character_never_meet_around_an_empty_message() {
        let mut builder = MessagesBuilder::new("t".into(), 0, MessageParts::default());
        for (offset, payload) in (0..).zip([&b"\xc3"[..], b"", b"\xa9"]) {
            builder.push(offset, 0, Some(payload), None, Vec::new);
        }
        let messages = builder.finish();
        let texts = Texts::of(&messages);
        assert_eq!([texts.get(0), texts.get(1), texts.get(2)], [None, Some(""), None]);
    }
}
