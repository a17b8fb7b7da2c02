//! Produce: appends the batches of a frame without copying them.

use std::ops::Range;

use bytes::{Buf, BytesMut};

use super::super::batch::Batch;
use super::super::error_code::{ErrorCode, wire_code};
use super::{Answer, Call, read_topics, write_throttle, write_topics};
use crate::kafka_wire::{Malformed, Reader, Writer};

/// Places in the frame of the records for each partition.
type Places = Vec<(String, Vec<(i32, Option<Range<usize>>)>)>;
type Checked = (i32, Result<Batch, ErrorCode>);
type Appended = (i32, Result<Offsets, ErrorCode>);

#[derive(Debug, Clone, Copy)]
struct Offsets {
    base: i64,
    log_start: i64,
}

pub(super) fn produce(
    call: &Call<'_>,
    frame: BytesMut,
    body_at: usize,
    mut reply: Writer,
) -> Result<Answer, Malformed> {
    let (acks, places) = read(&mut Reader::new(&frame[body_at..]))?;
    let ordered =
        call.ordered.or((!matches!(acks, -1..=1)).then_some(ErrorCode::InvalidRequiredAcks));
    let checked = cut(frame, body_at, places, ordered);
    let names: Vec<String> = checked.iter().map(|(name, _)| name.clone()).collect();
    let appended = append(call, checked);
    let failed = appended.iter().flatten().any(|(_, outcome)| outcome.is_err());
    match acks {
        // With nobody waiting for an answer, closing is the only way to object.
        0 if failed => return Ok(Answer::Close),
        0 => return Ok(Answer::Silence),
        _ => {}
    }
    let topics: Vec<_> = names.iter().map(String::as_str).zip(appended).collect();
    write_topics(&mut reply, &topics, |reply, _, each| write_partition(call, reply, *each));
    write_throttle(&mut reply);
    Ok(Answer::Reply(reply.finish()))
}

fn read(body: &mut Reader<'_>) -> Result<(i16, Places), Malformed> {
    // The coordinator knows the producer by the id in its batches.
    let _transactional_id = body.nullable_string()?;
    let acks = body.i16()?;
    let _timeout_ms = body.i32()?;
    let topics = read_topics(body, |body| Ok((body.i32()?, body.nullable_bytes()?)))?;
    let owned = topics.into_iter().map(|(name, partitions)| (name.to_owned(), partitions));
    Ok((acks, owned.collect()))
}

/// Cuts the batches out of the frame and checks them, before any lock is taken.
fn cut(
    mut frame: BytesMut,
    body_at: usize,
    places: Places,
    ordered: Option<ErrorCode>,
) -> Vec<(String, Vec<Checked>)> {
    frame.advance(body_at);
    let mut gone = 0;
    let mut check = |(partition, place): (i32, Option<Range<usize>>)| {
        let Some(place) = place else { return (partition, Err(ErrorCode::InvalidRecord)) };
        frame.advance(place.start - gone);
        let bytes = frame.split_to(place.len());
        gone = place.end;
        (partition, ordered.map_or_else(|| Batch::from_client(bytes), Err))
    };
    let check_topic =
        |(name, places): (String, Vec<_>)| (name, places.into_iter().map(&mut check).collect());
    places.into_iter().map(check_topic).collect()
}

fn append(call: &Call<'_>, topics: Vec<(String, Vec<Checked>)>) -> Vec<Vec<Appended>> {
    call.shared.change(|state| {
        let mut append_one = |topic: &str, (partition, batch): Checked| {
            let offsets = batch.and_then(|batch| {
                let base = state.append(topic, partition, batch)?;
                let log_start = state.topics.log(topic, partition)?.start();
                Ok(Offsets { base, log_start })
            });
            (partition, offsets)
        };
        let mut append_topic = |(name, batches): (String, Vec<Checked>)| {
            batches.into_iter().map(|batch| append_one(&name, batch)).collect()
        };
        topics.into_iter().map(&mut append_topic).collect()
    })
}

fn write_partition(call: &Call<'_>, reply: &mut Writer, (partition, outcome): Appended) {
    const NO_LOG_APPEND_TIME: i64 = -1;
    let offsets = outcome.unwrap_or(Offsets { base: -1, log_start: -1 });
    reply.i32(partition);
    reply.i16(wire_code(&outcome));
    reply.i64(offsets.base);
    reply.i64(NO_LOG_APPEND_TIME);
    if call.version >= 5 {
        reply.i64(offsets.log_start);
    }
    if call.version >= 8 {
        let record_errors: [(); 0] = [];
        reply.array(record_errors, |_, ()| ());
        let message = outcome.err().map(|code| code.to_string());
        reply.nullable_string(message.as_deref());
    }
}
