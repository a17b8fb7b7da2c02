//! Metadata and `FindCoordinator`: there is one broker, and it leads everything.

use uuid::Uuid;

use super::super::error_code::{ErrorCode, wire_code};
use super::super::state::State;
use super::super::topics::is_legal_name;
use super::super::{HOST, LEADER_EPOCH, NODE_ID};
use super::{Call, write_throttle};
use crate::kafka_wire::{Malformed, Reader, Writer};

/// What stands for authorized operations that were not asked for.
const OPERATIONS_OMITTED: i32 = i32::MIN;

pub(super) fn metadata(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let named = body.nullable_array(|body| {
        if call.version >= 10 {
            // The id of the topic: asked for by name.
            body.i64()?;
            body.i64()?;
        }
        let name = body.string()?;
        body.tags()?;
        Ok(name)
    })?;
    let topics = call.shared.read(|state| match named {
        Some(some) => some.into_iter().map(|name| described(call, state, name)).collect(),
        None => {
            state.topics.names().map(|name| described(call, state, name)).collect::<Vec<_>>()
        }
    });
    if call.version >= 3 {
        write_throttle(reply);
    }
    reply.array([()], |reply, ()| write_broker(call, reply));
    if call.version >= 2 {
        reply.string(&format!("turnstile-embedded-{}", call.shared.port));
    }
    reply.i32(NODE_ID);
    reply.array(topics, |reply, topic| write_topic(call, reply, topic));
    if call.version >= 8 {
        reply.i32(OPERATIONS_OMITTED);
    }
    reply.tags();
    Ok(())
}

/// A topic's name, and its id and number of partitions if it exists.
type Described = (String, Result<(Uuid, i32), ErrorCode>);

fn described(call: &Call<'_>, state: &State, name: &str) -> Described {
    let partitions = call.outcome(|| {
        if !is_legal_name(name) {
            return Err(ErrorCode::InvalidTopic);
        }
        state.topics.get(name).map(|topic| (topic.id(), topic.partition_count()))
    });
    (name.to_owned(), partitions)
}

fn write_broker(call: &Call<'_>, reply: &mut Writer) {
    reply.i32(NODE_ID);
    reply.string(HOST);
    reply.i32(i32::from(call.shared.port));
    // A broker's rack came with version 1.
    reply.nullable_string(None);
    reply.tags();
}

fn write_topic(call: &Call<'_>, reply: &mut Writer, (name, topic): Described) {
    reply.i16(wire_code(&topic));
    reply.string(&name);
    let (id, partitions) = topic.unwrap_or_default();
    if call.version >= 10 {
        let (most, least) = id.as_u64_pair();
        reply.i64(most.cast_signed());
        reply.i64(least.cast_signed());
    }
    reply.boolean(false);
    reply.array(0..partitions, |reply, partition| {
        reply.i16(0);
        reply.i32(partition);
        reply.i32(NODE_ID);
        if call.version >= 7 {
            reply.i32(LEADER_EPOCH);
        }
        let (replicas, in_sync) = ([NODE_ID], [NODE_ID]);
        reply.array(replicas, Writer::i32);
        reply.array(in_sync, Writer::i32);
        if call.version >= 5 {
            let offline: [i32; 0] = [];
            reply.array(offline, Writer::i32);
        }
        reply.tags();
    });
    if call.version >= 8 {
        reply.i32(OPERATIONS_OMITTED);
    }
    reply.tags();
}

pub(super) fn find_coordinator(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    body.string()?;
    let code = call.ordered.map_or(0, ErrorCode::wire);
    if call.version >= 1 {
        write_throttle(reply);
    }
    reply.i16(code);
    if call.version >= 1 {
        reply.nullable_string(None);
    }
    reply.i32(NODE_ID);
    reply.string(HOST);
    reply.i32(i32::from(call.shared.port));
    Ok(())
}
