//! Offsets: those a log has (`ListOffsets`, `OffsetForLeaderEpoch`), and those a
//! group has committed (`OffsetCommit`, `OffsetFetch`).

use super::super::LEADER_EPOCH;
use super::super::error_code::{ErrorCode, wire_code};
use super::super::groups::{Committed, Offsets};
use super::super::log::{Isolation, Log};
use super::super::state::State;
use super::{Call, read_topics, write_throttle, write_topics};
use crate::kafka_wire::{Malformed, Reader, Writer};

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
const NONE: i64 = -1;
const NO_LEADER_EPOCH: i32 = -1;

/// Offset and timestamp that `ListOffsets` answers with.
type Found = (i64, i64);

pub(super) fn list_offsets(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let _replica_id = body.i32()?;
    let level = if call.version >= 2 { body.i8()? } else { 0 };
    let isolation = Isolation::from_wire(level);
    let topics = read_topics(body, |body| {
        let partition = body.i32()?;
        if call.version >= 4 {
            let _current_leader_epoch = body.i32()?;
        }
        Ok((partition, body.i64()?))
    })?;
    if call.version >= 2 {
        write_throttle(reply);
    }
    call.shared.read(|state| {
        write_topics(reply, &topics, |reply, topic, (partition, timestamp_ms)| {
            let find = || find_offset(state, topic, *partition, *timestamp_ms, isolation);
            write_found(call, reply, *partition, call.outcome(find));
        });
    });
    Ok(())
}

fn find_offset(
    state: &State,
    topic: &str,
    partition: i32,
    timestamp_ms: i64,
    isolation: Isolation,
) -> Result<Found, ErrorCode> {
    let log = state.topics.log(topic, partition)?;
    match timestamp_ms {
        LATEST => Ok((log.readable_end(isolation), NONE)),
        EARLIEST => Ok((log.start(), NONE)),
        0.. => Ok(log.find_time(timestamp_ms, isolation).unwrap_or((NONE, NONE))),
        // The other special timestamps came with later versions.
        _ => Err(ErrorCode::InvalidRequest),
    }
}

fn write_found(
    call: &Call<'_>,
    reply: &mut Writer,
    partition: i32,
    outcome: Result<Found, ErrorCode>,
) {
    let (offset, timestamp_ms) = outcome.unwrap_or((NONE, NONE));
    reply.i32(partition);
    reply.i16(wire_code(&outcome));
    reply.i64(timestamp_ms);
    reply.i64(offset);
    if call.version >= 4 {
        reply.i32(if offset == NONE { NO_LEADER_EPOCH } else { LEADER_EPOCH });
    }
}

/// There has been one leader epoch only, and it ends where the log ends.
pub(super) fn offset_for_leader_epoch(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    if call.version >= 3 {
        let _replica_id = body.i32()?;
    }
    let topics = read_topics(body, |body| {
        let partition = body.i32()?;
        let _current_leader_epoch = body.i32()?;
        Ok((partition, body.i32()?))
    })?;
    write_throttle(reply);
    call.shared.read(|state| {
        write_topics(reply, &topics, |reply, topic, (partition, epoch)| {
            let end = call.outcome(|| state.topics.log(topic, *partition).map(Log::end));
            let known = *epoch >= LEADER_EPOCH;
            reply.i16(wire_code(&end));
            reply.i32(*partition);
            reply.i32(if known { LEADER_EPOCH } else { NO_LEADER_EPOCH });
            reply.i64(end.ok().filter(|_| known).unwrap_or(NONE));
        });
    });
    Ok(())
}

/// One partition of a commit.
pub(super) struct Commit {
    partition: i32,
    committed: Committed,
}

pub(super) fn read_commits<'a>(
    body: &mut Reader<'a>,
    with_leader_epoch: bool,
) -> Result<Vec<(&'a str, Vec<Commit>)>, Malformed> {
    read_topics(body, |body| {
        let partition = body.i32()?;
        let offset = body.i64()?;
        let leader_epoch = if with_leader_epoch { body.i32()? } else { NO_LEADER_EPOCH };
        let metadata = body.nullable_string()?.map(str::to_owned);
        Ok(Commit { partition, committed: Committed { offset, leader_epoch, metadata } })
    })
}

/// Writes one code per partition. `outcome` is that of the whole request; a
/// partition that does not exist has its own.
pub(super) fn write_commits(
    reply: &mut Writer,
    state: &State,
    topics: &[(&str, Vec<Commit>)],
    outcome: Result<(), ErrorCode>,
) {
    write_topics(reply, topics, |reply, topic, commit| {
        let known = state.topics.log(topic, commit.partition).map(drop);
        reply.i32(commit.partition);
        reply.i16(wire_code(&outcome.and(known)));
    });
}

/// The offsets of those partitions that exist.
pub(super) fn existing(state: &State, topics: &[(&str, Vec<Commit>)]) -> Offsets {
    let each = |(topic, commits): &(&str, Vec<Commit>)| {
        let topic = (*topic).to_owned();
        let known =
            commits.iter().filter(|each| state.topics.log(&topic, each.partition).is_ok());
        known
            .map(|each| ((topic.clone(), each.partition), each.committed.clone()))
            .collect::<Vec<_>>()
    };
    topics.iter().flat_map(each).collect()
}

pub(super) fn offset_commit(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let group = body.string()?;
    let generation = body.i32()?;
    let _member_id = body.string()?;
    if call.version >= 7 {
        let _group_instance_id = body.nullable_string()?;
    }
    if call.version <= 4 {
        let _retention_ms = body.i64()?;
    }
    let topics = read_commits(body, call.version >= 6)?;
    if call.version >= 3 {
        write_throttle(reply);
    }
    call.shared.change(|state| {
        let outcome = call.outcome(|| without_members(generation));
        if outcome.is_ok() {
            let offsets = existing(state, &topics);
            state.groups.commit(group, offsets);
        }
        write_commits(reply, state, &topics, outcome);
    });
    Ok(())
}

/// Refuses who claims to be a member of a group: groups have none here.
pub(super) fn without_members(generation: i32) -> Result<(), ErrorCode> {
    if generation < 0 { Ok(()) } else { Err(ErrorCode::UnknownMemberId) }
}

pub(super) fn offset_fetch(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let group = body.string()?;
    let named = body.nullable_array(|body| Ok((body.string()?, body.array(Reader::i32)?)))?;
    if call.version >= 3 {
        write_throttle(reply);
    }
    call.shared.read(|state| {
        let topics = named.unwrap_or_else(|| committed_partitions(state, group));
        write_topics(reply, &topics, |reply, topic, partition| {
            let committed = state.groups.committed(group, topic, *partition);
            write_committed(call, reply, *partition, committed);
        });
    });
    if call.version >= 2 {
        reply.i16(call.ordered.map_or(0, ErrorCode::wire));
    }
    Ok(())
}

fn committed_partitions<'a>(state: &'a State, group: &str) -> Vec<(&'a str, Vec<i32>)> {
    let mut topics: Vec<(&str, Vec<i32>)> = Vec::new();
    for (topic, partition) in state.groups.partitions_of(group) {
        match topics.last_mut() {
            Some((last, partitions)) if *last == topic => partitions.push(partition),
            _ => topics.push((topic, vec![partition])),
        }
    }
    topics
}

fn write_committed(
    call: &Call<'_>,
    reply: &mut Writer,
    partition: i32,
    committed: Option<&Committed>,
) {
    reply.i32(partition);
    reply.i64(committed.map_or(NONE, |committed| committed.offset));
    if call.version >= 5 {
        reply.i32(committed.map_or(NO_LEADER_EPOCH, |committed| committed.leader_epoch));
    }
    let metadata = committed.and_then(|committed| committed.metadata.as_deref());
    reply.string(metadata.unwrap_or_default());
    reply.i16(call.ordered.map_or(0, ErrorCode::wire));
}
