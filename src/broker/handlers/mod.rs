//! One handler per request: read its fields, ask the state, write the reply.
//!
//! Handlers hold no decisions about the log or transactions; those are in
//! [`State`](super::state::State) and below. Fields are named in the order of
//! the protocol, with the version that brought them.

mod admin;
mod fetch;
mod metadata;
mod offsets;
mod produce;
mod transactions;
mod versions;

pub(super) use versions::refused as versions_refused;

use bytes::BytesMut;

use super::api::Api;
use super::error_code::ErrorCode;
use super::shared::Shared;
use crate::kafka_wire::{Malformed, Reader, Reply, Writer};

/// What the header of a request says, and what the faults make of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub api: Api,
    pub version: i16,
    pub flexible: bool,
    pub correlation_id: i32,
    /// The code a fault orders instead of the real outcome.
    pub ordered: Option<ErrorCode>,
}

/// What follows a request.
#[derive(Debug)]
pub(super) enum Answer {
    Reply(Reply),
    /// A produce request that asked for no answer.
    Silence,
    Close,
}

/// A request on its way through a handler.
struct Call<'a> {
    shared: &'a Shared,
    version: i16,
    ordered: Option<ErrorCode>,
}

impl Call<'_> {
    /// The outcome of `real`, unless a fault orders an error.
    fn outcome<T>(&self, real: impl FnOnce() -> Result<T, ErrorCode>) -> Result<T, ErrorCode> {
        self.ordered.map_or_else(real, Err)
    }
}

/// Answers a request whose fields start at `body_at` of `frame`.
pub(super) fn handle(
    shared: &Shared,
    request: &Request,
    frame: BytesMut,
    body_at: usize,
) -> Result<Answer, Malformed> {
    let call = Call { shared, version: request.version, ordered: request.ordered };
    let mut writer = Writer::new(request.correlation_id, request.flexible);
    if request.api == Api::Produce {
        return produce::produce(&call, frame, body_at, writer);
    }
    let mut body = Reader::new(&frame[body_at..]);
    body.set_flexible(request.flexible);
    if request.api != Api::ApiVersions {
        // The header of a flexible reply has tagged fields, but for ApiVersions.
        writer.tags();
    }
    handler_of(request.api)(&call, &mut body, &mut writer)?;
    Ok(Answer::Reply(writer.finish()))
}

type Handler = fn(&Call<'_>, &mut Reader<'_>, &mut Writer) -> Result<(), Malformed>;

fn handler_of(api: Api) -> Handler {
    match api {
        Api::Produce => unreachable!("produce owns its frame"),
        Api::Fetch => fetch::fetch,
        Api::ListOffsets => offsets::list_offsets,
        Api::Metadata => metadata::metadata,
        Api::OffsetCommit => offsets::offset_commit,
        Api::OffsetFetch => offsets::offset_fetch,
        Api::FindCoordinator => metadata::find_coordinator,
        Api::ApiVersions => versions::api_versions,
        Api::CreateTopics => admin::create_topics,
        Api::DeleteTopics => admin::delete_topics,
        Api::DeleteRecords => admin::delete_records,
        Api::InitProducerId => transactions::init_producer_id,
        Api::OffsetForLeaderEpoch => offsets::offset_for_leader_epoch,
        Api::AddPartitionsToTxn => transactions::add_partitions,
        Api::AddOffsetsToTxn => transactions::add_offsets,
        Api::EndTxn => transactions::end,
        Api::TxnOffsetCommit => transactions::offset_commit,
        Api::CreatePartitions => admin::create_partitions,
    }
}

/// An array of topics, each with an array of what `partition` reads.
fn read_topics<'a, T>(
    body: &mut Reader<'a>,
    mut partition: impl FnMut(&mut Reader<'a>) -> Result<T, Malformed>,
) -> Result<Vec<(&'a str, Vec<T>)>, Malformed> {
    body.array(|body| {
        let name = body.string()?;
        let partitions = body.array(|body| {
            let each = partition(body)?;
            body.tags()?;
            Ok(each)
        })?;
        body.tags()?;
        Ok((name, partitions))
    })
}

fn write_topics<T>(
    reply: &mut Writer,
    topics: &[(&str, Vec<T>)],
    mut partition: impl FnMut(&mut Writer, &str, &T),
) {
    reply.array(topics, |reply, (name, partitions)| {
        reply.string(name);
        reply.array(partitions, |reply, each| {
            partition(reply, name, each);
            reply.tags();
        });
        reply.tags();
    });
}

/// The time a client is asked to hold back for: never any.
fn write_throttle(reply: &mut Writer) {
    reply.i32(0);
}
