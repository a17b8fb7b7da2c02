//! librdkafka's batch call: many messages of many partitions for one crossing
//! into C, at about half the cost of taking them one by one.
//!
//! What it hands out is safe: a [`Taken`] borrows its message, which is destroyed
//! right after.
//!
//! Partitions are started at explicit offsets through librdkafka's simple
//! consumer, which knows no group, so that reading needs no rights to one and
//! the client's own events stay apart from the messages.
//!
//! Invariant: everything made of a client is destroyed before the client.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{IsError, RDKafkaErrorCode};

use crate::formats::{Header, Stamp, TimestampType};

/// The most messages taken with one call.
const BATCH: usize = 10_000;

/// A client's partitions and the queue that their messages arrive in.
pub struct BatchQueue<C: ConsumerContext> {
    topics: BTreeMap<Arc<str>, Topic>,
    started: Vec<(Arc<str>, i32)>,
    queue: *mut native::rd_kafka_queue_t,
    batch: Vec<Owned>,
    client: BaseConsumer<C>,
}

// SAFETY: librdkafka's handles may be used from any thread; the queue and the
// topics are reached through `&mut self` alone.
unsafe impl<C: ConsumerContext> Send for BatchQueue<C> {}

struct Topic(*mut native::rd_kafka_topic_t);

impl Drop for Topic {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_topic_new`, destroyed once, and before the
        // client by `BatchQueue::drop`.
        unsafe { native::rd_kafka_topic_destroy(self.0) }
    }
}

/// A message that is ours to destroy.
#[repr(transparent)]
struct Owned(*mut native::rd_kafka_message_t);

impl Drop for Owned {
    fn drop(&mut self) {
        // SAFETY: the batch call made it ours, and nothing else destroys it.
        unsafe { native::rd_kafka_message_destroy(self.0) }
    }
}

/// A message, or an event of a partition, while it is looked at.
pub struct Taken<'a>(&'a native::rd_kafka_message_t);

impl<C: ConsumerContext> BatchQueue<C> {
    pub fn new(client: BaseConsumer<C>) -> Self {
        // SAFETY: the client lives as long as `self`, which destroys the queue.
        let queue = unsafe { native::rd_kafka_queue_new(client.client().native_ptr()) };
        assert!(!queue.is_null(), "librdkafka allocates queues or aborts");
        let batch = Vec::with_capacity(BATCH);
        Self { topics: BTreeMap::new(), started: Vec::new(), queue, batch, client }
    }

    pub fn client(&self) -> &BaseConsumer<C> {
        &self.client
    }

    /// Begins to fetch a partition.
    pub fn start(
        &mut self,
        topic: &Arc<str>,
        partition: i32,
        offset: i64,
    ) -> Result<(), String> {
        let handle = self.topic(topic)?;
        // SAFETY: topic and queue are of this client and alive.
        let status = unsafe {
            native::rd_kafka_consume_start_queue(handle, partition, offset, self.queue)
        };
        if status != 0 {
            // SAFETY: it reads this thread's last error.
            let code: RDKafkaErrorCode = unsafe { native::rd_kafka_last_error() }.into();
            return Err(code.to_string());
        }
        self.started.push((Arc::clone(topic), partition));
        Ok(())
    }

    /// Ends fetching a partition; what of it is still queued is discarded.
    pub fn stop(&mut self, topic: &str, partition: i32) {
        let Some(at) = self.started.iter().position(|(t, p)| &**t == topic && *p == partition)
        else {
            return;
        };
        self.started.swap_remove(at);
        if let Some(handle) = self.topics.get(topic) {
            // SAFETY: the topic is of this client and alive.
            unsafe { native::rd_kafka_consume_stop(handle.0, partition) };
        }
    }

    fn topic(&mut self, name: &Arc<str>) -> Result<*mut native::rd_kafka_topic_t, String> {
        if let Some(topic) = self.topics.get(name) {
            return Ok(topic.0);
        }
        let c_name = CString::new(name.as_bytes()).map_err(|e| e.to_string())?;
        // SAFETY: the name is copied; no configuration is handed over.
        let handle = unsafe {
            native::rd_kafka_topic_new(
                self.client.client().native_ptr(),
                c_name.as_ptr(),
                ptr::null_mut(),
            )
        };
        if handle.is_null() {
            // SAFETY: it reads this thread's last error.
            let code: RDKafkaErrorCode = unsafe { native::rd_kafka_last_error() }.into();
            return Err(code.to_string());
        }
        self.topics.insert(Arc::clone(name), Topic(handle));
        Ok(handle)
    }

    /// Shows up to `max` queued messages and events to `see`, in order within
    /// a partition. Waits at most `wait` for the first. Returns how many.
    pub fn take(
        &mut self,
        max: usize,
        wait: Duration,
        mut see: impl FnMut(Taken<'_>),
    ) -> usize {
        if self.fill(max, 0) == 0 {
            // The call returns only when it is full or its time is up: for the
            // first alone, it is asked for one.
            let wait_ms = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
            if wait_ms == 0 || self.fill(1, wait_ms) == 0 {
                return 0;
            }
        }
        let count = self.batch.len();
        for message in self.batch.drain(..) {
            // SAFETY: the pointer is valid until `message` is dropped, after
            // `see` has returned; `Taken` cannot outlive that.
            see(Taken(unsafe { &*message.0 }));
        }
        count
    }

    fn fill(&mut self, max: usize, wait_ms: i32) -> usize {
        let max = max.min(BATCH);
        debug_assert!(self.batch.is_empty());
        // SAFETY: `batch` has room for `BATCH` pointers and is empty. `Owned`
        // has the layout of a pointer. The call writes as many pointers as it
        // returns, and those messages are ours.
        unsafe {
            let count = native::rd_kafka_consume_batch_queue(
                self.queue,
                wait_ms,
                self.batch.as_mut_ptr().cast(),
                max,
            );
            let count = usize::try_from(count).unwrap_or(0);
            self.batch.set_len(count);
            count
        }
    }
}

impl<C: ConsumerContext> Drop for BatchQueue<C> {
    fn drop(&mut self) {
        self.batch.clear();
        for (topic, partition) in std::mem::take(&mut self.started) {
            if let Some(handle) = self.topics.get(&topic) {
                // SAFETY: the topic is of this client and alive.
                unsafe { native::rd_kafka_consume_stop(handle.0, partition) };
            }
        }
        self.topics.clear();
        // SAFETY: made by `new`, destroyed once; the client, a field, follows.
        unsafe { native::rd_kafka_queue_destroy(self.queue) }
    }
}

impl Taken<'_> {
    /// The same for all messages of a topic while it is being read.
    pub fn topic_key(&self) -> usize {
        self.0.rkt as usize
    }

    pub fn topic(&self) -> &str {
        if self.0.rkt.is_null() {
            return "";
        }
        // SAFETY: the topic's name lives as long as the topic, which the
        // message holds on to.
        let name = unsafe { CStr::from_ptr(native::rd_kafka_topic_name(self.0.rkt)) };
        name.to_str().unwrap_or_default()
    }

    pub fn partition(&self) -> i32 {
        self.0.partition
    }

    /// Of a message its offset; of the end of a partition the offset that the
    /// next message will have.
    pub fn offset(&self) -> i64 {
        self.0.offset
    }

    /// What happened, if this is no message.
    pub fn event(&self) -> Option<RDKafkaErrorCode> {
        self.0.err.is_error().then(|| self.0.err.into())
    }

    /// librdkafka's words about an event.
    pub fn event_text(&self) -> String {
        self.payload()
            .map(|text| String::from_utf8_lossy(text).into_owned())
            .unwrap_or_default()
    }

    pub fn payload(&self) -> Option<&[u8]> {
        bytes(self.0.payload, self.0.len)
    }

    pub fn key(&self) -> Option<&[u8]> {
        bytes(self.0.key, self.0.key_len)
    }

    /// Milliseconds since the epoch (-1 where there are none), and what the
    /// broker noted.
    pub fn timestamp(&self) -> (i64, Stamp) {
        let mut kind = native::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: the message is valid, and `kind` is written to before it is read.
        let (timestamp, epoch) = unsafe {
            (
                native::rd_kafka_message_timestamp(self.0, &raw mut kind),
                native::rd_kafka_message_leader_epoch(self.0),
            )
        };
        let stamp =
            Stamp { leader_epoch: (epoch >= 0).then_some(epoch), timestamp_type: named(kind) };
        (timestamp, stamp)
    }

    pub fn headers(&self) -> Vec<Header> {
        let mut headers = ptr::null_mut();
        // SAFETY: the message is valid; the headers stay the message's own.
        let code = unsafe { native::rd_kafka_message_headers(self.0, &raw mut headers) };
        if code.is_error() || headers.is_null() {
            return Vec::new();
        }
        let mut all = Vec::new();
        let mut name: *const c_char = ptr::null();
        let mut value: *const c_void = ptr::null();
        let mut size = 0;
        // SAFETY: the headers are valid; for every index there is the call
        // fills in a name, and a value of `size` bytes or null.
        unsafe {
            while !native::rd_kafka_header_get_all(
                headers,
                all.len(),
                &raw mut name,
                &raw mut value,
                &raw mut size,
            )
            .is_error()
            {
                let key = CStr::from_ptr(name).to_string_lossy().into_owned();
                all.push(Header { key, value: bytes(value, size).map(<[u8]>::to_vec) });
            }
        }
        all
    }
}

/// Bytes that librdkafka owns, for as long as the caller's borrow of them.
fn bytes<'a>(start: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: callers pass a pointer and length of a message they borrow, and
    // hand the slice out under that borrow.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start.cast(), len) })
}

fn named(kind: native::rd_kafka_timestamp_type_t) -> TimestampType {
    use native::rd_kafka_timestamp_type_t as Kind;
    match kind {
        Kind::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE => TimestampType::NoTimestampType,
        Kind::RD_KAFKA_TIMESTAMP_CREATE_TIME => TimestampType::CreateTime,
        Kind::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME => TimestampType::LogAppendTime,
    }
}
