//! The identity of a topic, which one made anew under the same name does not
//! share (KIP-516): what tells that the offsets of before mean nothing any more.
//!
//! librdkafka has it in an answer for administrators, which the Rust client does
//! not reach.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::bindings as native;
use rdkafka::consumer::Consumer;
use rdkafka::error::{IsError, KafkaError, KafkaResult, RDKafkaErrorCode};

use super::context::Client;

/// The ids of those topics that have one, in base64 as Kafka's tools show them.
/// Brokers before 2.8 know none.
///
/// # Errors
/// No answer of the brokers in that time.
pub(super) fn topic_ids(
    client: &Client,
    topics: &[Arc<str>],
    within: Duration,
) -> KafkaResult<BTreeMap<Arc<str>, Arc<str>>> {
    let names: Vec<CString> =
        topics.iter().filter_map(|name| CString::new(name.as_bytes()).ok()).collect();
    let answer = Answer::wait(client, &names, within)?;
    let mut ids = BTreeMap::new();
    // SAFETY: the descriptions belong to the answer's event, which lives until
    // the end of this function, and what is read of them is copied.
    unsafe {
        let mut count = 0;
        let result = native::rd_kafka_event_DescribeTopics_result(answer.0);
        if result.is_null() {
            return Ok(ids);
        }
        let described = native::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        for i in 0..count {
            let topic = *described.add(i);
            let id = native::rd_kafka_TopicDescription_topic_id(topic);
            if id.is_null() {
                continue;
            }
            let bits = native::rd_kafka_Uuid_most_significant_bits(id)
                | native::rd_kafka_Uuid_least_significant_bits(id);
            if bits == 0 {
                continue;
            }
            let name = CStr::from_ptr(native::rd_kafka_TopicDescription_name(topic));
            let id = CStr::from_ptr(native::rd_kafka_Uuid_base64str(id));
            ids.insert(name.to_string_lossy().into(), id.to_string_lossy().into());
        }
    }
    Ok(ids)
}

/// An event that is ours to destroy.
struct Answer(*mut native::rd_kafka_event_t);

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: the queue made it ours, and nothing else destroys it.
        unsafe { native::rd_kafka_event_destroy(self.0) }
    }
}

impl Answer {
    fn wait(client: &Client, names: &[CString], within: Duration) -> KafkaResult<Self> {
        let millis = i32::try_from(within.as_millis()).unwrap_or(i32::MAX).max(1);
        let mut pointers: Vec<*const c_char> = names.iter().map(|n| n.as_ptr()).collect();
        // SAFETY: the client outlives the call; names, options and queue are
        // destroyed here, after librdkafka has copied or referenced them.
        let event = unsafe {
            let handle = client.client().native_ptr();
            let topics = native::rd_kafka_TopicCollection_of_topic_names(
                pointers.as_mut_ptr(),
                pointers.len(),
            );
            let options = native::rd_kafka_AdminOptions_new(
                handle,
                native::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
            );
            native::rd_kafka_AdminOptions_set_request_timeout(
                options,
                millis,
                ptr::null_mut(),
                0,
            );
            let queue = native::rd_kafka_queue_new(handle);
            native::rd_kafka_DescribeTopics(handle, topics, options, queue);
            let event = native::rd_kafka_queue_poll(queue, millis);
            native::rd_kafka_queue_destroy(queue);
            native::rd_kafka_AdminOptions_destroy(options);
            native::rd_kafka_TopicCollection_destroy(topics);
            event
        };
        if event.is_null() {
            return Err(KafkaError::MetadataFetch(RDKafkaErrorCode::OperationTimedOut));
        }
        let answer = Answer(event);
        // SAFETY: the event is alive.
        let status = unsafe { native::rd_kafka_event_error(answer.0) };
        if status.is_error() {
            return Err(KafkaError::MetadataFetch(status.into()));
        }
        Ok(answer)
    }
}
