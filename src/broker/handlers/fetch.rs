//! Fetch: hands out stored batches, and waits for new ones when there are none.
//!
//! There are no fetch sessions: every reply carries session id 0, which tells
//! a client to name all its partitions each time.

use std::time::Duration;

use super::super::error_code::{ErrorCode, wire_code};
use super::super::log::{Isolation, Taken};
use super::super::shared::LastCall;
use super::super::state::State;
use super::{Call, read_topics, write_throttle, write_topics};
use crate::kafka_wire::{Malformed, Reader, Writer};

/// The most a reply carries, whatever the client allows; one large batch may
/// exceed it.
const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;
/// The longest a fetch may wait, whatever the client allows.
const MAX_WAIT: Duration = Duration::from_secs(60);
const NO_SESSION: i32 = 0;

struct Wanted<'a> {
    patience: Duration,
    min_bytes: usize,
    max_bytes: usize,
    isolation: Isolation,
    topics: Vec<(&'a str, Vec<Position>)>,
}

struct Position {
    partition: i32,
    offset: i64,
    max_bytes: usize,
}

/// What the partitions had to give.
#[derive(Default)]
struct Gathered<'a> {
    topics: Vec<(&'a str, Vec<Part>)>,
    size_bytes: usize,
    failed: bool,
}

struct Part {
    partition: i32,
    outcome: Result<Found, ErrorCode>,
}

struct Found {
    taken: Taken,
    log_start: i64,
    last_stable: i64,
    end: i64,
}

pub(super) fn fetch(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let wanted = read(call.version, body)?;
    let answer = call.shared.wait_for(wanted.patience, |state, LastCall(last)| {
        let gathered = gather(call, state, &wanted);
        (last || gathered.is_enough(&wanted)).then_some(gathered)
    });
    let gathered = answer.unwrap_or_default();
    write_throttle(reply);
    if call.version >= 7 {
        reply.i16(0);
        reply.i32(NO_SESSION);
    }
    write_topics(reply, &gathered.topics, |reply, _, part| write_part(call, reply, part));
    Ok(())
}

fn read<'a>(version: i16, body: &mut Reader<'a>) -> Result<Wanted<'a>, Malformed> {
    let _replica_id = body.i32()?;
    let max_wait_ms = body.i32()?;
    let min_bytes = body.i32()?;
    let max_bytes = body.i32()?;
    let isolation = Isolation::from_wire(body.i8()?);
    if version >= 7 {
        let (_session_id, _session_epoch) = (body.i32()?, body.i32()?);
    }
    let topics = read_topics(body, |body| read_position(version, body))?;
    let patience = Duration::from_millis(u64::try_from(max_wait_ms).unwrap_or(0));
    Ok(Wanted {
        patience: patience.min(MAX_WAIT),
        min_bytes: usize::try_from(min_bytes).unwrap_or(0),
        max_bytes: usize::try_from(max_bytes).unwrap_or(0).min(MAX_REPLY_BYTES),
        isolation,
        topics,
    })
}

fn read_position(version: i16, body: &mut Reader<'_>) -> Result<Position, Malformed> {
    let partition = body.i32()?;
    if version >= 9 {
        let _current_leader_epoch = body.i32()?;
    }
    let offset = body.i64()?;
    if version >= 5 {
        let _log_start_of_a_follower = body.i64()?;
    }
    let max_bytes = usize::try_from(body.i32()?).unwrap_or(0);
    Ok(Position { partition, offset, max_bytes })
}

fn gather<'a>(call: &Call<'_>, state: &State, wanted: &Wanted<'a>) -> Gathered<'a> {
    let mut gathered = Gathered::default();
    for (topic, positions) in &wanted.topics {
        let mut parts = Vec::with_capacity(positions.len());
        for position in positions {
            let left = wanted.max_bytes.saturating_sub(gathered.size_bytes);
            let limit = position.max_bytes.min(left);
            let first = gathered.size_bytes == 0;
            let outcome =
                call.outcome(|| find(state, topic, position, wanted.isolation, limit, first));
            gathered.size_bytes += outcome.as_ref().map_or(0, |found| found.taken.size_bytes);
            gathered.failed |= outcome.is_err();
            parts.push(Part { partition: position.partition, outcome });
        }
        gathered.topics.push((topic, parts));
    }
    gathered
}

fn find(
    state: &State,
    topic: &str,
    position: &Position,
    isolation: Isolation,
    limit: usize,
    even_if_large: bool,
) -> Result<Found, ErrorCode> {
    let log = state.topics.log(topic, position.partition)?;
    Ok(Found {
        taken: log.take(position.offset, isolation, limit, even_if_large)?,
        log_start: log.start(),
        last_stable: log.last_stable(),
        end: log.end(),
    })
}

impl Gathered<'_> {
    fn is_enough(&self, wanted: &Wanted<'_>) -> bool {
        self.failed || self.size_bytes >= wanted.min_bytes || wanted.topics.is_empty()
    }
}

fn write_part(call: &Call<'_>, reply: &mut Writer, part: &Part) {
    const NO_PREFERRED_REPLICA: i32 = -1;
    let nothing = Found { taken: Taken::default(), log_start: -1, last_stable: -1, end: -1 };
    let found = part.outcome.as_ref().unwrap_or(&nothing);
    reply.i32(part.partition);
    reply.i16(wire_code(&part.outcome));
    reply.i64(found.end);
    reply.i64(found.last_stable);
    if call.version >= 5 {
        reply.i64(found.log_start);
    }
    reply.array(&found.taken.aborted, |reply, aborted| {
        reply.i64(aborted.producer_id);
        reply.i64(aborted.first_offset);
    });
    if call.version >= 11 {
        reply.i32(NO_PREFERRED_REPLICA);
    }
    reply.batches(&found.taken.batches);
}
