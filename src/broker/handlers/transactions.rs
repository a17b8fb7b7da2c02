//! The requests of idempotent and transactional producers.

use super::super::error_code::{ErrorCode, wire_code};
use super::super::state::State;
use super::super::transactions::Caller;
use super::offsets::{existing, read_commits, without_members, write_commits};
use super::{Call, read_topics, write_throttle, write_topics};
use crate::kafka_wire::{Malformed, Reader, Writer};

const NO_PRODUCER: (i64, i16) = (-1, -1);

pub(super) fn init_producer_id(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let transactional_id = body.nullable_string()?;
    let timeout_ms = body.i32()?;
    let claimed = if call.version >= 3 { (body.i64()?, body.i16()?) } else { NO_PRODUCER };
    body.tags()?;
    let expected = (claimed != NO_PRODUCER).then_some(claimed);
    let now_ms = call.shared.now_ms();
    let producer = call.outcome(|| {
        call.shared.change(|state| match transactional_id {
            Some("") => Err(ErrorCode::InvalidRequest),
            Some(id) => state.init_transactional(id, timeout_ms, expected, now_ms),
            None => Ok((state.transactions.new_producer_id(), 0)),
        })
    });
    // Older clients know of stale epochs only, not of fencing.
    let producer = producer.map_err(|code| fencing_as(code, call.version >= 4));
    let (producer_id, epoch) = producer.unwrap_or(NO_PRODUCER);
    write_throttle(reply);
    reply.i16(wire_code(&producer));
    reply.i64(producer_id);
    reply.i16(epoch);
    reply.tags();
    Ok(())
}

fn fencing_as(code: ErrorCode, by_name: bool) -> ErrorCode {
    match code {
        ErrorCode::ProducerFenced if !by_name => ErrorCode::InvalidProducerEpoch,
        other => other,
    }
}

fn read_caller<'a>(body: &mut Reader<'a>) -> Result<Caller<'a>, Malformed> {
    let transactional_id = body.string()?;
    Ok(Caller { transactional_id, producer_id: body.i64()?, epoch: body.i16()? })
}

/// The outcome of a step of the caller's transaction.
fn step(
    call: &Call<'_>,
    step: impl FnOnce(&mut State, i64) -> Result<(), ErrorCode>,
) -> Result<(), ErrorCode> {
    let now_ms = call.shared.now_ms();
    call.outcome(|| call.shared.change(|state| step(state, now_ms)))
        .map_err(|code| fencing_as(code, call.version >= 2))
}

pub(super) fn add_partitions(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let caller = read_caller(body)?;
    let topics = read_topics(body, Reader::i32)?;
    let wanted = || {
        let each = |(topic, partitions): &(&str, Vec<i32>)| {
            let topic = (*topic).to_owned();
            partitions.iter().map(|each| (topic.clone(), *each)).collect::<Vec<_>>()
        };
        topics.iter().flat_map(each)
    };
    let mut missing = Vec::new();
    let outcome = step(call, |state, now_ms| {
        state.transactions.may_call(caller)?;
        let exists =
            |(topic, partition): &(String, i32)| state.topics.log(topic, *partition).is_ok();
        missing = wanted().filter(|place| !exists(place)).collect();
        if !missing.is_empty() {
            return Err(ErrorCode::OperationNotAttempted);
        }
        state.transactions.add_partitions(caller, wanted(), now_ms)
    });
    write_throttle(reply);
    write_topics(reply, &topics, |reply, topic, partition| {
        let is_missing = missing.iter().any(|(t, p)| t == topic && p == partition);
        let unknown = is_missing.then_some(ErrorCode::UnknownTopicOrPartition);
        reply.i32(*partition);
        reply.i16(wire_code(&unknown.map_or(outcome, Err)));
    });
    Ok(())
}

pub(super) fn add_offsets(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let caller = read_caller(body)?;
    let group = body.string()?;
    let outcome =
        step(call, |state, now_ms| state.transactions.add_group(caller, group, now_ms));
    write_throttle(reply);
    reply.i16(wire_code(&outcome));
    Ok(())
}

pub(super) fn end(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let caller = read_caller(body)?;
    let committed = body.boolean()?;
    let outcome = step(call, |state, now_ms| state.end_transaction(caller, committed, now_ms));
    write_throttle(reply);
    reply.i16(wire_code(&outcome));
    Ok(())
}

pub(super) fn offset_commit(
    call: &Call<'_>,
    body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    let transactional_id = body.string()?;
    let group = body.string()?;
    let caller = Caller { transactional_id, producer_id: body.i64()?, epoch: body.i16()? };
    let mut generation = -1;
    if call.version >= 3 {
        generation = body.i32()?;
        let _member_id = body.string()?;
        let _group_instance_id = body.nullable_string()?;
    }
    let topics = read_commits(body, call.version >= 2)?;
    let outcome = step(call, |state, _| {
        without_members(generation)?;
        let offsets = existing(state, &topics);
        state.transactions.stage_offsets(caller, group, offsets)
    });
    write_throttle(reply);
    call.shared.read(|state| write_commits(reply, state, &topics, outcome));
    reply.tags();
    Ok(())
}
