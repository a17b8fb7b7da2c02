//! Builds a reply: fields are copied into a buffer, stored batches are shared.

use std::io::{self, IoSlice, Write};

use bytes::{BufMut, Bytes, BytesMut};

/// Below this size a stored batch is copied into the reply: a copy is cheaper
/// than one more slice in the system call.
const SHARE_FROM_BYTES: usize = 2048;

/// A reply in the making. Start with [`Writer::new`], end with
/// [`Writer::finish`].
#[derive(Debug)]
pub struct Writer {
    correlation_id: i32,
    open: BytesMut,
    done: Vec<Bytes>,
    flexible: bool,
}

/// A whole frame, ready to be sent.
#[derive(Debug)]
pub struct Reply {
    prefix: [u8; 8],
    parts: Vec<Bytes>,
}

impl Writer {
    pub fn new(correlation_id: i32, flexible: bool) -> Self {
        let open = BytesMut::with_capacity(256);
        Self { correlation_id, open, done: Vec::new(), flexible }
    }

    pub fn i16(&mut self, value: i16) {
        self.open.put_i16(value);
    }

    pub fn i32(&mut self, value: i32) {
        self.open.put_i32(value);
    }

    pub fn i64(&mut self, value: i64) {
        self.open.put_i64(value);
    }

    pub fn boolean(&mut self, value: bool) {
        self.open.put_u8(u8::from(value));
    }

    pub fn string(&mut self, text: &str) {
        self.nullable_string(Some(text));
    }

    /// Writes a string; one too long for its length field is cut.
    pub fn nullable_string(&mut self, text: Option<&str>) {
        let text = text.map(|text| &text[..text.floor_char_boundary(i16::MAX as usize)]);
        let length = text.map(str::len);
        if self.flexible {
            put_unsigned_varint(&mut self.open, length.map_or(0, |length| length as u64 + 1));
        } else {
            let length = length.map_or(-1, |length| i16::try_from(length).unwrap_or(i16::MAX));
            self.i16(length);
        }
        self.open.put_slice(text.unwrap_or_default().as_bytes());
    }

    fn length(&mut self, length: usize) {
        if self.flexible {
            put_unsigned_varint(&mut self.open, length as u64 + 1);
        } else {
            self.i32(i32::try_from(length).expect("a reply is far below 2 GiB"));
        }
    }

    pub fn array<T>(
        &mut self,
        elements: impl IntoIterator<Item = T, IntoIter: ExactSizeIterator>,
        mut element: impl FnMut(&mut Self, T),
    ) {
        let elements = elements.into_iter();
        self.length(elements.len());
        elements.for_each(|each| element(self, each));
    }

    /// Ends a structure of a flexible version: no tagged fields.
    pub fn tags(&mut self) {
        if self.flexible {
            put_unsigned_varint(&mut self.open, 0);
        }
    }

    /// Writes a block of bytes made of stored batches, sharing their memory.
    pub fn batches(&mut self, batches: &[Bytes]) {
        self.length(batches.iter().map(Bytes::len).sum());
        for batch in batches {
            if batch.len() < SHARE_FROM_BYTES {
                self.open.put_slice(batch);
            } else {
                self.done.push(self.open.split().freeze());
                self.done.push(batch.clone());
            }
        }
    }

    pub fn finish(mut self) -> Reply {
        self.done.push(self.open.freeze());
        let length = 4 + self.done.iter().map(Bytes::len).sum::<usize>();
        let length = i32::try_from(length).expect("a reply is far below 2 GiB");
        let mut prefix = [0; 8];
        prefix[..4].copy_from_slice(&length.to_be_bytes());
        prefix[4..].copy_from_slice(&self.correlation_id.to_be_bytes());
        Reply { prefix, parts: self.done }
    }
}

impl Reply {
    pub fn send(&self, stream: &mut impl Write) -> io::Result<()> {
        let mut slices = Vec::with_capacity(self.parts.len() + 1);
        slices.push(IoSlice::new(&self.prefix));
        slices.extend(
            self.parts.iter().filter(|part| !part.is_empty()).map(|part| IoSlice::new(part)),
        );
        let mut left = slices.as_mut_slice();
        while !left.is_empty() {
            match stream.write_vectored(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut left, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn put_unsigned_varint(buffer: &mut impl BufMut, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return buffer.put_u8(low & 0x7f);
        }
        buffer.put_u8(low | 0x80);
    }
}

/// A signed integer in zigzag order, as records use it.
pub fn put_varint(buffer: &mut impl BufMut, value: i64) {
    put_unsigned_varint(buffer, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

#[cfg(test)]
mod tests {
    use super::super::Reader;
    use super::*;

    fn bytes_of(reply: &Reply) -> Vec<u8> {
        let mut sent = Vec::new();
        reply.send(&mut sent).unwrap();
        sent
    }

    #[test]
    fn the_frame_length_counts_shared_batches() {
        let mut writer = Writer::new(7, false);
        writer.batches(&[Bytes::from(vec![1; 10]), Bytes::from(vec![2; 5000])]);
        writer.i16(-1);
        let sent = bytes_of(&writer.finish());
        assert_eq!(sent.len(), 4 + 4 + 4 + 5010 + 2);
        assert_eq!(sent[..4], (sent.len() as i32 - 4).to_be_bytes());
        assert_eq!(sent[4..8], 7_i32.to_be_bytes());
        assert_eq!(sent[8..12], 5010_i32.to_be_bytes());
        assert_eq!(sent[sent.len() - 2..], [0xff, 0xff]);
    }

    #[test]
    fn both_encodings_are_read_back() {
        for flexible in [false, true] {
            let mut writer = Writer::new(0, flexible);
            writer.nullable_string(None);
            writer.string("ü");
            writer.array(vec![1, 300], |writer, value| writer.i32(value));
            writer.tags();
            let sent = bytes_of(&writer.finish());
            let mut reader = Reader::new(&sent[8..]);
            reader.set_flexible(flexible);
            assert_eq!(reader.nullable_string(), Ok(None));
            assert_eq!(reader.string(), Ok("ü"));
            assert_eq!(reader.array(Reader::i32), Ok(vec![1, 300]));
            assert_eq!(reader.tags(), Ok(()));
            assert_eq!(reader.remaining(), 0);
        }
    }

    #[test]
    fn varints_are_read_back() {
        for value in [0, -1, 1, 63, -64, 64, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(Reader::new(&bytes).varint(), Ok(value));
        }
    }
}
