//! librdkafka's batch call: many messages for one lock and no event each.
//!
//! The only unsafe code of the source. Measured against `BaseConsumer::poll`,
//! this takes half the processor time a message.

#![allow(unsafe_code)]

use std::ffi::CStr;
use std::ptr;
use std::slice;
use std::time::Duration;

use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;

use crate::formats::Header;

/// The consumer's queue of fetched messages.
///
/// Invariant: lives no longer than the consumer it was taken from; both are
/// owned by one reader, which drops the queue first.
pub struct BatchQueue {
    queue: *mut rd::rd_kafka_queue_t,
    buffer: Vec<*mut rd::rd_kafka_message_t>,
}

// SAFETY: librdkafka's queues may be used from any thread; the buffer is empty
// between calls.
unsafe impl Send for BatchQueue {}

/// A message, or an event of a partition, borrowed until the batch is dropped.
pub struct Fetched<'a>(&'a rd::rd_kafka_message_t);

impl BatchQueue {
    /// The queue of `consumer`, up to `capacity` messages a call. `None` if the
    /// consumer has no `group.id`.
    pub fn of<C: ConsumerContext>(consumer: &BaseConsumer<C>, capacity: usize) -> Option<Self> {
        // SAFETY: the client's handle is valid while the consumer lives.
        let queue = unsafe { rd::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        (!queue.is_null()).then(|| Self { queue, buffer: Vec::with_capacity(capacity) })
    }

    /// Waits at most `wait` for the first message; calls `each` for up to `max`.
    pub fn consume(&mut self, max: usize, wait: Duration, mut each: impl FnMut(&Fetched<'_>)) {
        let max = max.min(self.buffer.capacity());
        let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the buffer has room for `max` pointers, and librdkafka says
        // how many it wrote.
        let count = unsafe {
            let to = self.buffer.as_mut_ptr();
            let count = rd::rd_kafka_consume_batch_queue(self.queue, wait_ms, to, max);
            self.buffer.set_len(usize::try_from(count).unwrap_or(0).min(max));
            self.buffer.len()
        };
        for i in 0..count {
            let message = self.buffer[i];
            // SAFETY: librdkafka gave a valid message, ours until destroyed,
            // which happens once, here, after its last use.
            unsafe {
                each(&Fetched(&*message));
                rd::rd_kafka_message_destroy(message);
            }
        }
        self.buffer.clear();
    }
}

impl Drop for BatchQueue {
    fn drop(&mut self) {
        // SAFETY: the reference was ours and is given up once.
        unsafe { rd::rd_kafka_queue_destroy(self.queue) };
    }
}

impl Fetched<'_> {
    pub fn error(&self) -> Option<RDKafkaErrorCode> {
        let code: RDKafkaErrorCode = self.0.err.into();
        (code != RDKafkaErrorCode::NoError).then_some(code)
    }

    /// What librdkafka says of the error.
    pub fn error_text(&self) -> String {
        // SAFETY: a C string or null, valid while the message is.
        unsafe {
            let text = rd::rd_kafka_message_errstr(self.0);
            if text.is_null() {
                return String::new();
            }
            CStr::from_ptr(text).to_string_lossy().into_owned()
        }
    }

    /// Identifies the topic while the client lives.
    pub fn topic_key(&self) -> usize {
        self.0.rkt as usize
    }

    pub fn topic(&self) -> String {
        if self.0.rkt.is_null() {
            return String::new();
        }
        // SAFETY: the topic handle is valid while the message is.
        unsafe {
            let name = rd::rd_kafka_topic_name(self.0.rkt);
            CStr::from_ptr(name).to_string_lossy().into_owned()
        }
    }

    pub fn partition(&self) -> i32 {
        self.0.partition
    }

    pub fn offset(&self) -> i64 {
        self.0.offset
    }

    pub fn payload(&self) -> Option<&[u8]> {
        // SAFETY: librdkafka's payload is `len` bytes at `payload`, or null.
        unsafe { bytes(self.0.payload.cast(), self.0.len) }
    }

    pub fn key(&self) -> Option<&[u8]> {
        // SAFETY: likewise.
        unsafe { bytes(self.0.key.cast(), self.0.key_len) }
    }

    /// Milliseconds since the epoch, -1 if there is none.
    pub fn timestamp(&self) -> i64 {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both pointers are valid for the call.
        unsafe { rd::rd_kafka_message_timestamp(self.0, &raw mut kind) }
    }

    pub fn headers(&self) -> Vec<Header> {
        let mut all = Vec::new();
        let mut headers = ptr::null_mut();
        // SAFETY: the headers stay the message's; names are C strings, values
        // are `size` bytes or null, both valid while the message is.
        unsafe {
            let code = rd::rd_kafka_message_headers(self.0, &raw mut headers);
            if RDKafkaErrorCode::from(code) != RDKafkaErrorCode::NoError {
                return all;
            }
            for index in 0.. {
                let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
                let code = rd::rd_kafka_header_get_all(
                    headers,
                    index,
                    &raw mut name,
                    &raw mut value,
                    &raw mut size,
                );
                if RDKafkaErrorCode::from(code) != RDKafkaErrorCode::NoError {
                    break;
                }
                all.push(Header {
                    key: CStr::from_ptr(name).to_string_lossy().into_owned(),
                    value: bytes(value.cast(), size).map(<[u8]>::to_vec),
                });
            }
        }
        all
    }
}

/// # Safety
/// `at` is null or points to `len` bytes that live for `'a`.
unsafe fn bytes<'a>(at: *const u8, len: usize) -> Option<&'a [u8]> {
    if at.is_null() {
        return None;
    }
    // SAFETY: the caller's promise.
    Some(unsafe { slice::from_raw_parts(at, len) })
}
