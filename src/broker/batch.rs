//! Record batches of magic 2: checked when a client sends one, built when the
//! broker writes records or transaction markers itself.
//!
//! Records are never decompressed. The base offset and the leader epoch, the
//! two fields a broker assigns, lie outside the checksum, so a batch is kept
//! and handed out in the bytes the producer sent.

use bytes::{BufMut, Bytes, BytesMut};

use super::error_code::ErrorCode;
use crate::kafka_wire::{Malformed, Reader, put_varint};

/// Bytes before the first record.
const HEADER_BYTES: usize = 61;
/// Bytes before the ones that `batch_length` counts.
const LENGTH_COUNTS_FROM: usize = 12;
/// The checksum covers everything from the attributes on.
const CHECKSUM_FROM: usize = 21;
const MAGIC: i8 = 2;

const COMPRESSION_MASK: i16 = 0x07;
const TRANSACTIONAL: i16 = 0x10;
const CONTROL: i16 = 0x20;

pub(super) const NO_PRODUCER: i64 = -1;

/// A record to append in-process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp_ms: i64,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// What the header of a checked batch says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub attributes: i16,
    /// Offset of the last record, relative to the first.
    pub last_offset_delta: i32,
    pub base_timestamp_ms: i64,
    pub max_timestamp_ms: i64,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub base_sequence: i32,
}

impl Header {
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    fn is_compressed(&self) -> bool {
        self.attributes & COMPRESSION_MASK != 0
    }
}

/// A batch that has passed every check and has no offset yet.
#[derive(Debug)]
pub(super) struct Batch {
    pub header: Header,
    bytes: BytesMut,
}

impl Batch {
    /// Checks what a producer sent as the records of one partition.
    pub fn from_client(bytes: BytesMut) -> Result<Self, ErrorCode> {
        let header = checked_header(&bytes)?;
        if header.is_control() {
            return Err(ErrorCode::InvalidRecord);
        }
        Ok(Self { header, bytes })
    }

    /// An uncompressed batch of `records`, which must not be empty.
    pub fn of_records(records: &[Record]) -> Self {
        assert!(!records.is_empty(), "a batch holds a record at least");
        let producer = (NO_PRODUCER, -1);
        Self::build(0, producer, records)
    }

    /// The control batch that ends a transaction in one partition.
    pub fn marker(producer: (i64, i16), committed: bool, timestamp_ms: i64) -> Self {
        let key = vec![0, 0, 0, u8::from(committed)];
        let (version, coordinator_epoch) = ([0, 0], [0; 4]);
        let record = Record {
            key: Some(key),
            value: Some([&version[..], &coordinator_epoch].concat()),
            timestamp_ms,
            headers: Vec::new(),
        };
        Self::build(TRANSACTIONAL | CONTROL, producer, &[record])
    }

    fn build(
        attributes: i16,
        (producer_id, producer_epoch): (i64, i16),
        records: &[Record],
    ) -> Self {
        let base_timestamp_ms = records[0].timestamp_ms;
        let latest = records.iter().map(|record| record.timestamp_ms).max();
        let count =
            i32::try_from(records.len()).expect("a batch holds fewer than 2^31 records");
        let header = Header {
            attributes,
            last_offset_delta: count - 1,
            base_timestamp_ms,
            max_timestamp_ms: latest.unwrap_or(base_timestamp_ms),
            producer_id,
            producer_epoch,
            base_sequence: -1,
        };
        let mut bytes = BytesMut::with_capacity(HEADER_BYTES + 64 * records.len());
        put_header(&mut bytes, &header, count);
        let mut body = Vec::new();
        for (offset_delta, record) in (0..).zip(records) {
            body.clear();
            put_record(&mut body, record, offset_delta, base_timestamp_ms);
            put_length(&mut bytes, body.len());
            bytes.put_slice(&body);
        }
        seal(&mut bytes);
        Self { header, bytes }
    }

    /// Gives the batch its place in the log.
    pub fn at_offset(mut self, base_offset: i64) -> Stored {
        self.bytes[..8].copy_from_slice(&base_offset.to_be_bytes());
        self.bytes[12..16].copy_from_slice(&super::LEADER_EPOCH.to_be_bytes());
        Stored { base_offset, header: self.header, bytes: self.bytes.freeze() }
    }
}

/// A batch in a partition's log.
#[derive(Debug)]
pub(super) struct Stored {
    pub base_offset: i64,
    pub header: Header,
    pub bytes: Bytes,
}

impl Stored {
    pub fn last_offset(&self) -> i64 {
        self.base_offset + i64::from(self.header.last_offset_delta)
    }

    /// Offset and timestamp of the first record that is not older than
    /// `timestamp_ms`. In a compressed batch, which is not opened, that is the
    /// batch's first record: a reader sees older records, but misses none.
    pub fn first_at_or_after(&self, timestamp_ms: i64) -> Option<(i64, i64)> {
        if self.header.max_timestamp_ms < timestamp_ms || self.header.is_control() {
            return None;
        }
        let first = (self.base_offset, self.header.base_timestamp_ms);
        if self.header.is_compressed() || first.1 >= timestamp_ms {
            return Some(first);
        }
        Some(self.search_records(timestamp_ms).unwrap_or(first))
    }

    fn search_records(&self, timestamp_ms: i64) -> Option<(i64, i64)> {
        let mut rest = &self.bytes[HEADER_BYTES..];
        while !rest.is_empty() {
            let mut reader = Reader::new(rest);
            let length = usize::try_from(reader.varint().ok()?).ok()?;
            let body = rest.len() - reader.remaining();
            let (timestamp_delta, offset_delta) = record_deltas(&mut reader).ok()?;
            let timestamp = self.header.base_timestamp_ms.checked_add(timestamp_delta)?;
            if timestamp >= timestamp_ms {
                return Some((self.base_offset.checked_add(offset_delta)?, timestamp));
            }
            rest = rest.get(body.checked_add(length)?..)?;
        }
        None
    }
}

fn record_deltas(reader: &mut Reader<'_>) -> Result<(i64, i64), Malformed> {
    reader.i8()?;
    Ok((reader.varint()?, reader.varint()?))
}

fn checked_header(bytes: &[u8]) -> Result<Header, ErrorCode> {
    let claimed = length_and_magic(bytes).map_err(|_| ErrorCode::CorruptMessage)?;
    if claimed.magic != MAGIC {
        return Err(ErrorCode::UnsupportedForMessageFormat);
    }
    let length = usize::try_from(claimed.length).map_err(|_| ErrorCode::CorruptMessage)?;
    let present = bytes.len() - LENGTH_COUNTS_FROM;
    if bytes.len() < HEADER_BYTES || length > present {
        return Err(ErrorCode::CorruptMessage);
    }
    if length < present {
        // A second batch follows, which a producer must not send.
        return Err(ErrorCode::InvalidRecord);
    }
    if crc32c::crc32c(&bytes[CHECKSUM_FROM..]) != claimed.checksum {
        return Err(ErrorCode::CorruptMessage);
    }
    let (header, count) = read_header(bytes).map_err(|_| ErrorCode::CorruptMessage)?;
    if count < 1 || header.last_offset_delta != count - 1 {
        return Err(ErrorCode::InvalidRecord);
    }
    Ok(header)
}

struct Claimed {
    length: i32,
    magic: i8,
    checksum: u32,
}

fn length_and_magic(bytes: &[u8]) -> Result<Claimed, Malformed> {
    let mut reader = Reader::new(bytes);
    let _base_offset = reader.i64()?;
    let length = reader.i32()?;
    let _leader_epoch = reader.i32()?;
    let magic = reader.i8()?;
    let checksum = reader.i32()?.cast_unsigned();
    Ok(Claimed { length, magic, checksum })
}

fn read_header(bytes: &[u8]) -> Result<(Header, i32), Malformed> {
    let mut reader = Reader::new(&bytes[CHECKSUM_FROM..]);
    let header = Header {
        attributes: reader.i16()?,
        last_offset_delta: reader.i32()?,
        base_timestamp_ms: reader.i64()?,
        max_timestamp_ms: reader.i64()?,
        producer_id: reader.i64()?,
        producer_epoch: reader.i16()?,
        base_sequence: reader.i32()?,
    };
    Ok((header, reader.i32()?))
}

fn put_header(bytes: &mut BytesMut, header: &Header, count: i32) {
    bytes.put_i64(0);
    bytes.put_i32(0);
    bytes.put_i32(0);
    bytes.put_i8(MAGIC);
    bytes.put_u32(0);
    bytes.put_i16(header.attributes);
    bytes.put_i32(header.last_offset_delta);
    bytes.put_i64(header.base_timestamp_ms);
    bytes.put_i64(header.max_timestamp_ms);
    bytes.put_i64(header.producer_id);
    bytes.put_i16(header.producer_epoch);
    bytes.put_i32(header.base_sequence);
    bytes.put_i32(count);
}

fn put_record(body: &mut Vec<u8>, record: &Record, offset_delta: i64, base_timestamp_ms: i64) {
    body.put_i8(0);
    put_varint(body, record.timestamp_ms.wrapping_sub(base_timestamp_ms));
    put_varint(body, offset_delta);
    put_block(body, record.key.as_deref());
    put_block(body, record.value.as_deref());
    put_length(body, record.headers.len());
    for (name, value) in &record.headers {
        put_block(body, Some(name.as_bytes()));
        put_block(body, value.as_deref());
    }
}

fn put_block(body: &mut Vec<u8>, block: Option<&[u8]>) {
    let Some(block) = block else { return put_varint(body, -1) };
    put_length(body, block.len());
    body.put_slice(block);
}

fn put_length(buffer: &mut impl BufMut, length: usize) {
    put_varint(buffer, i64::try_from(length).expect("memory is smaller than 2^63 bytes"));
}

/// Fills in the length and the checksum.
fn seal(bytes: &mut BytesMut) {
    let length = i32::try_from(bytes.len() - LENGTH_COUNTS_FROM)
        .expect("an appended batch is below 2 GiB");
    bytes[8..12].copy_from_slice(&length.to_be_bytes());
    let checksum = crc32c::crc32c(&bytes[CHECKSUM_FROM..]);
    bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
}

#[cfg(test)]
impl Batch {
    /// A batch as an idempotent or transactional producer would send it.
    pub fn of_producer(
        producer: (i64, i16),
        sequence: i32,
        count: usize,
        transactional: bool,
    ) -> Self {
        let records = vec![Record::default(); count];
        let attributes = if transactional { TRANSACTIONAL } else { 0 };
        let mut batch = Self::build(attributes, producer, &records);
        batch.header.base_sequence = sequence;
        batch.bytes[53..57].copy_from_slice(&sequence.to_be_bytes());
        seal(&mut batch.bytes);
        batch
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(timestamp_ms: i64) -> Record {
        Record { value: Some(b"value".to_vec()), timestamp_ms, ..Record::default() }
    }

    fn checked(bytes: &[u8]) -> Result<Header, ErrorCode> {
        Batch::from_client(BytesMut::from(bytes)).map(|batch| batch.header)
    }

    #[test]
    fn a_built_batch_passes_the_checks_of_a_sent_one() {
        let batch = Batch::of_records(&[record(5), record(3), record(9)]);
        let header = checked(batch.bytes()).unwrap();
        assert_eq!(header, batch.header);
        assert_eq!((header.base_timestamp_ms, header.max_timestamp_ms), (5, 9));
        assert_eq!(header.last_offset_delta, 2);
    }

    #[test]
    fn every_flipped_bit_under_the_checksum_is_seen() {
        let good = Batch::of_records(&[record(5)]).bytes().to_vec();
        for at in CHECKSUM_FROM..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(checked(&bad), Err(ErrorCode::CorruptMessage), "byte {at}");
        }
    }

    #[test]
    fn two_batches_at_once_and_other_magics_are_refused() {
        let one = Batch::of_records(&[record(5)]).bytes().to_vec();
        assert_eq!(
            checked(&[one.clone(), one.clone()].concat()),
            Err(ErrorCode::InvalidRecord)
        );
        let mut old = one.clone();
        old[16] = 1;
        assert_eq!(checked(&old), Err(ErrorCode::UnsupportedForMessageFormat));
        let marker = Batch::marker((1, 0), true, 0);
        assert_eq!(checked(marker.bytes()), Err(ErrorCode::InvalidRecord));
    }

    #[test]
    fn time_is_searched_record_by_record() {
        let batch = Batch::of_records(&[record(10), record(20), record(15), record(30)]);
        let stored = batch.at_offset(100);
        assert_eq!(stored.first_at_or_after(0), Some((100, 10)));
        assert_eq!(stored.first_at_or_after(11), Some((101, 20)));
        assert_eq!(stored.first_at_or_after(21), Some((103, 30)));
        assert_eq!(stored.first_at_or_after(31), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_checked_without_panic(bytes: Vec<u8>) {
            let _ = checked(&bytes);
        }

        #[test]
        fn records_that_lie_are_searched_without_panic(tail: Vec<u8>, at: i64) {
            let mut bytes = BytesMut::from(Batch::of_records(&[record(5)]).bytes());
            bytes.truncate(HEADER_BYTES);
            bytes.extend_from_slice(&tail);
            bytes[35..43].copy_from_slice(&i64::MAX.to_be_bytes());
            seal(&mut bytes);
            let stored = Batch::from_client(bytes).unwrap().at_offset(0);
            let _ = stored.first_at_or_after(at);
        }
    }
}
