//! `ApiVersions`: what this broker speaks.

use super::super::api::{Api, SUPPORTED};
use super::super::error_code::ErrorCode;
use super::{Call, write_throttle};
use crate::kafka_wire::{Malformed, Reader, Reply, Writer};

pub(super) fn api_versions(
    call: &Call<'_>,
    _body: &mut Reader<'_>,
    reply: &mut Writer,
) -> Result<(), Malformed> {
    reply.i16(call.ordered.map_or(0, ErrorCode::wire));
    write_versions(reply);
    if call.version >= 1 {
        write_throttle(reply);
    }
    reply.tags();
    Ok(())
}

/// The answer to a version of `ApiVersions` from the future: always in
/// version 0, with the list from which the client picks an older one.
pub(in crate::broker) fn refused(correlation_id: i32) -> Reply {
    let mut reply = Writer::new(correlation_id, false);
    reply.i16(ErrorCode::UnsupportedVersion.wire());
    write_versions(&mut reply);
    reply.finish()
}

fn write_versions(reply: &mut Writer) {
    reply.array(SUPPORTED, |reply, supported| {
        let key: Api = supported.api;
        reply.i16(key as i16);
        reply.i16(supported.min);
        reply.i16(supported.max);
        reply.tags();
    });
}
