//! Reads Kafka's primitive types from a frame without copying.

use std::ops::Range;

use super::Malformed;

/// The most elements an array may have. More than any client sends here, and
/// few enough that a hostile frame cannot make a request outgrow memory.
const MAX_ELEMENTS: usize = 100_000;

/// A place in a frame. Strings borrow from it.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    frame: &'a [u8],
    at: usize,
    flexible: bool,
}

impl<'a> Reader<'a> {
    pub fn new(frame: &'a [u8]) -> Self {
        Self { frame, at: 0, flexible: false }
    }

    /// From here on lengths are compact and tagged fields may follow.
    pub fn set_flexible(&mut self, flexible: bool) {
        self.flexible = flexible;
    }

    pub fn remaining(&self) -> usize {
        self.frame.len() - self.at
    }

    fn take_range(&mut self, count: usize) -> Result<Range<usize>, Malformed> {
        if count > self.remaining() {
            return Err(Malformed::TooShort);
        }
        let range = self.at..self.at + count;
        self.at = range.end;
        Ok(range)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let range = self.take_range(N)?;
        self.frame[range].try_into().map_err(|_| Malformed::TooShort)
    }

    pub fn i8(&mut self) -> Result<i8, Malformed> {
        self.take().map(i8::from_be_bytes)
    }

    pub fn i16(&mut self) -> Result<i16, Malformed> {
        self.take().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, Malformed> {
        self.take().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Result<i64, Malformed> {
        self.take().map(i64::from_be_bytes)
    }

    pub fn boolean(&mut self) -> Result<bool, Malformed> {
        Ok(self.i8()? != 0)
    }

    /// An unsigned integer of seven bits a byte, at most ten bytes.
    pub fn unsigned_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.take()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed::Varint)
    }

    /// A signed integer in zigzag order, as records use it.
    pub fn varint(&mut self) -> Result<i64, Malformed> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// A length on the wire: `None` stands for null.
    fn length(&mut self, classic: fn(&mut Self) -> Result<i64, Malformed>) -> Length {
        if self.flexible {
            let plus_one = self.unsigned_varint()?;
            return plus_one.checked_sub(1).map(to_usize).transpose();
        }
        match classic(self)? {
            -1 => Ok(None),
            length => u64::try_from(length)
                .map_err(|_| Malformed::Length)
                .and_then(to_usize)
                .map(Some),
        }
    }

    fn length_of_string(&mut self) -> Length {
        self.length(|reader| reader.i16().map(i64::from))
    }

    fn length_of_array(&mut self) -> Length {
        self.length(|reader| reader.i32().map(i64::from))
    }

    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, Malformed> {
        let Some(length) = self.length_of_string()? else { return Ok(None) };
        self.text(length).map(Some)
    }

    pub fn string(&mut self) -> Result<&'a str, Malformed> {
        self.nullable_string()?.ok_or(Malformed::Null)
    }

    /// The client id of a request header, which is never compact.
    pub fn header_string(&mut self) -> Result<Option<&'a str>, Malformed> {
        let flexible = std::mem::replace(&mut self.flexible, false);
        let text = self.nullable_string();
        self.flexible = flexible;
        text
    }

    fn text(&mut self, length: usize) -> Result<&'a str, Malformed> {
        let range = self.take_range(length)?;
        std::str::from_utf8(&self.frame[range]).map_err(|_| Malformed::NotUtf8)
    }

    /// Where in the frame a block of bytes lies.
    pub fn nullable_bytes(&mut self) -> Result<Option<Range<usize>>, Malformed> {
        let Some(length) = self.length_of_array()? else { return Ok(None) };
        self.take_range(length).map(Some)
    }

    pub fn nullable_array<T>(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Option<Vec<T>>, Malformed> {
        let Some(count) = self.length_of_array()? else { return Ok(None) };
        // Every element takes a byte at least.
        if count > MAX_ELEMENTS || count > self.remaining() {
            return Err(Malformed::Length);
        }
        (0..count).map(|_| element(self)).collect::<Result<Vec<T>, _>>().map(Some)
    }

    pub fn array<T>(
        &mut self,
        element: impl FnMut(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        self.nullable_array(element)?.ok_or(Malformed::Null)
    }

    /// Skips the tagged fields that end a structure of a flexible version.
    pub fn tags(&mut self) -> Result<(), Malformed> {
        self.each_tag(|_| {})
    }

    /// Skips them too, but says which there are.
    pub fn each_tag(&mut self, mut seen: impl FnMut(u64)) -> Result<(), Malformed> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            seen(self.unsigned_varint()?);
            let size = to_usize(self.unsigned_varint()?)?;
            self.take_range(size)?;
        }
        Ok(())
    }
}

type Length = Result<Option<usize>, Malformed>;

fn to_usize(length: u64) -> Result<usize, Malformed> {
    usize::try_from(length).map_err(|_| Malformed::Length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_length_beyond_the_frame_is_malformed() {
        assert_eq!(Reader::new(&[0, 9, b'a']).string(), Err(Malformed::TooShort));
        assert_eq!(Reader::new(&[0xff, 0xfe]).string(), Err(Malformed::Length));
        assert_eq!(Reader::new(&[0xff, 0xff]).nullable_string(), Ok(None));
        let mut huge = Reader::new(&[0x7f, 0xff, 0xff, 0xff]);
        assert_eq!(huge.array(Reader::i8), Err(Malformed::Length));
        let mut endless = Reader::new(&[0x80; 16]);
        assert_eq!(endless.unsigned_varint(), Err(Malformed::Varint));
    }

    #[test]
    fn zigzag_follows_the_protocol_buffers_table() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x01], -1),
            (&[0x02], 1),
            (&[0x03], -2),
            (&[0xfe, 0xff, 0xff, 0xff, 0x0f], 2_147_483_647),
        ] {
            assert_eq!(Reader::new(bytes).varint(), Ok(value));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>, flexible: bool) {
            let mut reader = Reader::new(&bytes);
            reader.set_flexible(flexible);
            let _ = reader.clone().array(|r| { r.string()?; r.tags() });
            let _ = reader.clone().nullable_bytes();
            let _ = reader.varint();
        }
    }
}
