//! Collects strings and bytes as Arrow views without copying what already lies
//! in the batch's payload buffer.
//!
//! A value of at most twelve bytes is kept in its view. A longer one that lies
//! inside the payload buffer is pointed at; one that does not, such as text
//! that had to be unescaped, is copied to a side buffer.
//!
//! Invariant: a view is made only from a value that is at hand, of the type
//! that the array will give back. The one `unsafe` block of the formats is
//! here, and rests on that.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryViewArray, StringViewArray, make_view};
use arrow::buffer::{Buffer, NullBuffer, ScalarBuffer};
use arrow::datatypes::ToByteSlice;

/// Views of at most this many bytes hold the value itself.
const MAX_INLINE: usize = 12;
/// Offsets in a view have 32 bits; a side buffer is closed well below that.
const MAX_SIDE_BYTES: usize = 1 << 30;

/// Strings of one column of one batch.
#[derive(Debug, Default)]
pub struct TextBuilder(Views);

/// Binary values of one column of one batch.
#[derive(Debug, Default)]
pub struct BytesBuilder(Views);

#[derive(Debug, Default)]
struct Views {
    views: Vec<u128>,
    /// The payloads of the batch: buffer 0.
    base: Buffer,
    base_is_used: bool,
    /// Full side buffers: buffers 1 and on.
    sides: Vec<Buffer>,
    side: Vec<u8>,
}

impl TextBuilder {
    /// Begins a batch of about so many rows, whose payloads are in `base`.
    pub fn start(&mut self, base: &Buffer, rows: usize) {
        self.0.start(base);
        self.0.views.reserve(rows);
    }

    pub fn push(&mut self, value: &str) {
        self.0.push(value.as_bytes());
    }

    /// Fills the place of a null.
    pub fn push_blank(&mut self) {
        self.0.views.push(0);
    }

    pub fn truncate(&mut self, len: usize) {
        self.0.views.truncate(len);
    }

    /// The value at `index`, for a caller that compares values.
    pub fn value(&self, index: usize) -> &[u8] {
        self.0.value(index)
    }

    #[allow(unsafe_code, reason = "checking each string again costs more than decoding it")]
    pub fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let (views, buffers) = self.0.finish();
        assert!(nulls.as_ref().is_none_or(|n| n.len() == views.len()), "a bit per view");
        // SAFETY: `try_new` would not fail. Every view was made by `push` from a
        // `&str`, or is the empty view of `push_blank`. `Views::push` sets the
        // length and the prefix from the value itself, and the buffer and the
        // offset either to the very bytes of that `&str` in `base`, which is
        // immutable while this builder holds it, or to a copy of them that is
        // only ever appended to; a value of at most twelve bytes is in its view,
        // with zeros behind it.
        let array = unsafe { StringViewArray::new_unchecked(views, buffers, nulls) };
        Arc::new(array)
    }
}

impl BytesBuilder {
    /// Begins a batch whose payloads are in `base`.
    pub fn start(&mut self, base: &Buffer) {
        self.0.start(base);
    }

    pub fn push(&mut self, value: &[u8]) {
        self.0.push(value);
    }

    /// Fills the place of a null.
    pub fn push_blank(&mut self) {
        self.0.views.push(0);
    }

    pub fn truncate(&mut self, len: usize) {
        self.0.views.truncate(len);
    }

    pub fn finish(&mut self, nulls: Option<NullBuffer>) -> ArrayRef {
        let (views, buffers) = self.0.finish();
        Arc::new(BinaryViewArray::new(views, buffers, nulls))
    }
}

impl Views {
    fn start(&mut self, base: &Buffer) {
        debug_assert!(self.views.is_empty(), "a batch begins when the last is finished");
        self.base = base.clone();
        self.base_is_used = false;
    }

    #[inline]
    fn push(&mut self, value: &[u8]) {
        let Some(offset) = self.offset_in_base(value) else {
            return match value.len() <= MAX_INLINE {
                true => self.views.push(make_view(value, 0, 0)),
                false => self.push_copy(value),
            };
        };
        let is_inline = value.len() <= MAX_INLINE;
        self.base_is_used |= !is_inline;
        // A view is made of the sixteen bytes that begin with the value.
        self.views.push(match self.base[offset as usize..].first_chunk::<16>() {
            None => make_view(value, 0, offset),
            Some(bytes) => {
                let bytes = u128::from_le_bytes(*bytes);
                let length = value.len() as u128;
                if is_inline {
                    let own = (1 << (8 * value.len())) - 1;
                    length | (bytes & own) << 32
                } else {
                    length | (bytes & u128::from(u32::MAX)) << 32 | u128::from(offset) << 96
                }
            }
        });
    }

    /// Where `value` lies in the payload buffer, if that is where it lies.
    fn offset_in_base(&self, value: &[u8]) -> Option<u32> {
        let offset = value.as_ptr().addr().checked_sub(self.base.as_ptr().addr())?;
        let inside = offset.checked_add(value.len())? <= self.base.len();
        inside.then(|| u32::try_from(offset).ok())?
    }

    fn push_copy(&mut self, value: &[u8]) {
        if self.side.len() + value.len() > MAX_SIDE_BYTES && !self.side.is_empty() {
            self.sides.push(Buffer::from_vec(std::mem::take(&mut self.side)));
        }
        let offset = u32::try_from(self.side.len()).expect("a side buffer is closed in time");
        let block =
            u32::try_from(self.sides.len() + 1).expect("a side buffer holds a gibibyte");
        self.side.extend_from_slice(value);
        self.views.push(make_view(value, block, offset));
    }

    fn value(&self, index: usize) -> &[u8] {
        let view = &self.views[index];
        let word = |shift: u32| (*view >> shift) as u32 as usize;
        let (len, block, offset) = (word(0), word(64), word(96));
        if len <= MAX_INLINE {
            let bytes = std::slice::from_ref(view).to_byte_slice();
            return &bytes[4..4 + len];
        }
        let bytes = match block {
            0 => &self.base[..],
            block => self.sides.get(block - 1).map_or(&self.side[..], |side| side),
        };
        &bytes[offset..offset + len]
    }

    fn finish(&mut self) -> (ScalarBuffer<u128>, Vec<Buffer>) {
        let views = ScalarBuffer::from(std::mem::take(&mut self.views));
        let base = std::mem::take(&mut self.base);
        let mut sides = std::mem::take(&mut self.sides);
        if !self.side.is_empty() {
            sides.push(Buffer::from_vec(std::mem::take(&mut self.side)));
        }
        let mut buffers = Vec::new();
        // Payloads that no view points at need not be kept alive.
        if self.base_is_used || !sides.is_empty() {
            buffers.push(if self.base_is_used { base } else { Buffer::default() });
        }
        buffers.append(&mut sides);
        (views, buffers)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray};

    use super::*;

    #[test]
    fn long_text_of_the_batch_is_not_copied() {
        let base = Buffer::from_vec(b"short, and a text that is long".to_vec());
        let whole = std::str::from_utf8(&base).unwrap().to_owned();
        let text = std::str::from_utf8(&base).unwrap();
        let mut builder = TextBuilder::default();
        builder.start(&base, 4);
        builder.push(&text[..5]);
        builder.push(&text[7..]);
        builder.push_blank();
        builder.push(&whole[7..]);
        assert_eq!(builder.value(0), b"short");
        assert_eq!(builder.value(1), builder.value(3));
        let array = builder.finish(None);
        let array = array.as_string_view();
        array.to_data().validate_full().unwrap();
        assert_eq!(array.value(1), "and a text that is long");
        assert_eq!(array.value(3), "and a text that is long");
        assert_eq!(array.data_buffers().len(), 2);
        assert_eq!(array.data_buffers()[0].as_ptr(), base.as_ptr());
    }

    #[test]
    fn payloads_that_nothing_points_at_are_let_go() {
        let base = Buffer::from_vec(b"a long enough payload".to_vec());
        let mut builder = TextBuilder::default();
        builder.start(&base, 4);
        builder.push("short");
        builder.push("something that lies elsewhere");
        let array = builder.finish(None);
        array.to_data().validate_full().unwrap();
        assert!(array.as_string_view().data_buffers()[0].is_empty());
    }
}
