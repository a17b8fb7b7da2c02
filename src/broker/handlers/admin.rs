//! Topics made, widened, deleted and shortened over the wire.

use super::super::error_code::{ErrorCode, wire_code};
use super::{Call, read_topics, write_throttle, write_topics};
use crate::kafka_wire::{Malformed, Reader, Writer};

/// Stands for "as the broker is configured".
const BY_DEFAULT: i32 = -1;
const DEFAULT_PARTITIONS: i32 = 1;
/// In `DeleteRecords`: everything there is.
const UP_TO_THE_END: i64 = -1;

/// Topic settings that say what this broker does anyway. Others are refused,
/// but for `retention.bytes`, which it follows.
const TRUE_ALREADY: [(&str, &str); 4] = [
    ("cleanup.policy", "delete"),
    ("compression.type", "producer"),
    ("message.timestamp.type", "CreateTime"),
    ("retention.ms", "-1"),
];

struct NewTopic<'a> {
    name: &'a str,
    partitions: i32,
    replication: i16,
    has_assignments: bool,
    settings: Vec<(&'a str, Option<&'a str>)>,
}

/// Why a topic is not made: a code, and words where the code says too little.
struct Refusal {
    code: ErrorCode,
    reason: String,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, reason: code.to_string() }
    }
}

pub(super) fn create_topics(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let topics = body.array(read_new_topic)?;
    let _timeout_ms = body.i32()?;
    let validate_only = body.boolean()?;
    write_throttle(reply);
    reply.array(&topics, |reply, topic| {
        reply.string(topic.name);
        write_outcome(reply, create(call, topic, validate_only));
    });
    Ok(())
}

fn read_new_topic<'a>(body: &mut Reader<'a>) -> Result<NewTopic<'a>, Malformed> {
    Ok(NewTopic {
        name: body.string()?,
        partitions: body.i32()?,
        replication: body.i16()?,
        has_assignments: !body
            .array(|body| Ok((body.i32()?, body.array(Reader::i32)?)))?
            .is_empty(),
        settings: body.array(|body| Ok((body.string()?, body.nullable_string()?)))?,
    })
}

fn create(call: &Call<'_>, topic: &NewTopic<'_>, validate_only: bool) -> Result<(), Refusal> {
    call.outcome(|| Ok(()))?;
    if topic.has_assignments {
        return Err(ErrorCode::InvalidReplicaAssignment.into());
    }
    if !matches!(topic.replication, -1 | 1) {
        return Err(ErrorCode::InvalidReplicationFactor.into());
    }
    let retention_bytes = retention_bytes(&topic.settings)?;
    let partitions = match topic.partitions {
        BY_DEFAULT => DEFAULT_PARTITIONS,
        count => count,
    };
    call.shared.change(|state| {
        if validate_only {
            state.topics.may_create(topic.name, partitions)
        } else {
            state.topics.create(topic.name, partitions, retention_bytes)
        }
    })?;
    Ok(())
}

fn retention_bytes(settings: &[(&str, Option<&str>)]) -> Result<Option<u64>, Refusal> {
    let mut retention = None;
    for setting in settings {
        match *setting {
            ("retention.bytes", Some("-1")) => retention = None,
            ("retention.bytes", Some(bytes)) => {
                retention = Some(bytes.parse().map_err(|_| refused("retention.bytes"))?);
            }
            (name, Some(value)) if TRUE_ALREADY.contains(&(name, value)) => {}
            (name, _) => return Err(refused(name)),
        }
    }
    Ok(retention)
}

fn refused(setting: &str) -> Refusal {
    let reason = format!("the embedded broker does not follow this value of `{setting}`");
    Refusal { code: ErrorCode::InvalidConfig, reason }
}

fn write_outcome(reply: &mut Writer, outcome: Result<(), Refusal>) {
    let refusal = outcome.err();
    reply.i16(refusal.as_ref().map_or(0, |refusal| refusal.code.wire()));
    reply.nullable_string(refusal.as_ref().map(|refusal| refusal.reason.as_str()));
}

pub(super) fn create_partitions(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let topics = body.array(|body| {
        let (name, total) = (body.string()?, body.i32()?);
        let assignments = body.nullable_array(|body| body.array(Reader::i32))?;
        Ok((name, total, assignments.is_some_and(|each| !each.is_empty())))
    })?;
    let _timeout_ms = body.i32()?;
    let validate_only = body.boolean()?;
    write_throttle(reply);
    reply.array(&topics, |reply, (name, total, has_assignments)| {
        let outcome = call.outcome(|| match (has_assignments, validate_only) {
            (true, _) => Err(ErrorCode::InvalidReplicaAssignment),
            (false, true) => call.shared.read(|state| state.topics.may_widen(name, *total)),
            (false, false) => call.shared.change(|state| state.topics.widen(name, *total)),
        });
        reply.string(name);
        write_outcome(reply, outcome.map_err(Refusal::from));
    });
    Ok(())
}

pub(super) fn delete_topics(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let names = body.array(Reader::string)?;
    write_throttle(reply);
    reply.array(names, |reply, name| {
        let delete = || call.shared.change(|state| state.delete_topic(name));
        reply.string(name);
        reply.i16(wire_code(&call.outcome(delete)));
    });
    Ok(())
}

pub(super) fn delete_records(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let topics = read_topics(body, |body| Ok((body.i32()?, body.i64()?)))?;
    write_throttle(reply);
    write_topics(reply, &topics, |reply, topic, (partition, offset)| {
        let start = call.outcome(|| {
            call.shared.change(|state| {
                let log = state.topics.log_mut(topic, *partition)?;
                let upto = if *offset == UP_TO_THE_END { log.end() } else { *offset };
                log.truncate(upto).map(|()| log.start())
            })
        });
        reply.i32(*partition);
        reply.i64(start.unwrap_or(-1));
        reply.i16(wire_code(&start));
    });
    Ok(())
}
