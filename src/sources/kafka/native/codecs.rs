//! What batches are compressed with.

use std::io::{self, Read};

use zstd::stream::raw::{Decoder, InBuffer, Operation, OutBuffer};

/// The most that one batch may become.
const MOST_BYTES: usize = 1 << 30;
/// By how much a batch usually grows.
const USUAL_GROWTH: usize = 4;

/// Decompresses batch after batch.
#[derive(Default)]
pub struct Codecs {
    zstd: Option<Decoder<'static>>,
}

impl Codecs {
    /// Appends what `bytes` holds to `out`. `codec` is the number in the batch's
    /// attributes; 0, no compression, is none of them.
    ///
    /// # Errors
    /// Bytes that are not what they are said to be, or become too many.
    pub fn inflate(&mut self, codec: i16, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match codec {
            1 => copy(flate2::read::MultiGzDecoder::new(bytes), out),
            2 => snappy(bytes, out),
            3 => copy(lz4_flex::frame::FrameDecoder::new(bytes), out),
            4 => self.zstd(bytes, out),
            other => Err(io::Error::other(format!("compression {other} is not known"))),
        }
    }

    fn zstd(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        let decoder = match &mut self.zstd {
            Some(decoder) => {
                decoder.reinit()?;
                decoder
            }
            none => none.insert(Decoder::new()?),
        };
        let (limit, mut input) = (out.len() + MOST_BYTES, InBuffer::around(bytes));
        loop {
            if out.len() >= limit {
                return Err(too_large());
            }
            out.reserve((bytes.len() * USUAL_GROWTH).max(64 << 10));
            let at = out.len();
            let mut output = OutBuffer::around_pos(out, at);
            let hint = decoder.run(&mut input, &mut output)?;
            let is_full = output.pos() == output.capacity();
            if hint == 0 && input.pos() == bytes.len() {
                return Ok(());
            }
            if input.pos() == bytes.len() && !is_full {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn copy(from: impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    let read = from.take(MOST_BYTES as u64).read_to_end(out)?;
    if read == MOST_BYTES { Err(too_large()) } else { Ok(()) }
}

fn too_large() -> io::Error {
    io::Error::other("a batch becomes more than 1 GiB")
}

/// What Java's library writes in front of its chunks.
const XERIAL: &[u8] = b"\x82SNAPPY\0";
/// With two version numbers.
const XERIAL_HEADER_BYTES: usize = 16;

/// Java writes chunks, each behind its length; other clients one block.
fn snappy(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    if !bytes.starts_with(XERIAL) {
        return snappy_block(bytes, out);
    }
    let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let mut rest = bytes.get(XERIAL_HEADER_BYTES..).ok_or_else(short)?;
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| short())?;
        snappy_block(behind.get(..length).ok_or_else(short)?, out)?;
        rest = &behind[length..];
    }
    if rest.is_empty() { Ok(()) } else { Err(short()) }
}

fn snappy_block(bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    let length = snap::raw::decompress_len(bytes)?;
    if length > MOST_BYTES {
        return Err(too_large());
    }
    let at = out.len();
    out.resize(at + length, 0);
    let written = snap::raw::Decoder::new().decompress(bytes, &mut out[at..])?;
    out.truncate(at + written);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    fn xerial(bytes: &[u8]) -> Vec<u8> {
        let mut out = [XERIAL, &[0, 0, 0, 1, 0, 0, 0, 1]].concat();
        for chunk in bytes.chunks(50) {
            let block = snap::raw::Encoder::new().compress_vec(chunk).unwrap();
            out.extend(u32::try_from(block.len()).unwrap().to_be_bytes());
            out.extend(block);
        }
        out
    }

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    }

    proptest! {
        #[test]
        fn what_was_deflated_is_inflated(
            parts in prop::collection::vec("[a-c]{0,300}", 1..4),
            garbage: Vec<u8>,
        ) {
            let mut codecs = Codecs::default();
            for part in &parts {
                let bytes = part.as_bytes();
                let snappy = snap::raw::Encoder::new().compress_vec(bytes).unwrap();
                let zstd = zstd::encode_all(bytes, 1).unwrap();
                let all =
                    [(1, gzip(bytes)), (2, snappy), (2, xerial(bytes)), (3, lz4(bytes)), (4, zstd)];
                for (codec, deflated) in all {
                    let mut out = b"before".to_vec();
                    codecs.inflate(codec, &deflated, &mut out).unwrap();
                    prop_assert_eq!(&out[6..], bytes, "codec {}", codec);
                    // Whole chunks of a stream may be missed by none but the checksum.
                    out.clear();
                    if codecs.inflate(codec, &deflated[..deflated.len() / 2], &mut out).is_ok() {
                        prop_assert!(bytes.starts_with(&out), "codec {}", codec);
                    }
                    let _ = codecs.inflate(codec, &garbage, &mut out);
                }
            }
        }
    }
}
