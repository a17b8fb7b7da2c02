//! One client's connection: a frame in, a frame out, in order, until either
//! side has had enough.
//!
//! Like a real broker, a connection works on one request at a time. A frame
//! that cannot be read, is too large, or asks for what is not
//! [`SUPPORTED`](super::api::SUPPORTED) closes the connection.

use std::io::{self, BufReader, Read};
use std::net::TcpStream;

use bytes::BytesMut;
use tracing::debug;

use super::api::{Api, Supported};
use super::faults::Fault;
use super::handlers::{self, Answer, Request};
use super::shared::Shared;
use crate::kafka_wire::{Malformed, Reader};

/// Kafka's `socket.request.max.bytes`.
const MAX_FRAME_BYTES: usize = 100 * 1024 * 1024;
const READ_BUFFER_BYTES: usize = 16 * 1024;

/// Serves a connection until it ends.
pub(super) fn serve(shared: &Shared, stream: &TcpStream) {
    if let Err(error) = serve_requests(shared, stream) {
        debug!(%error, "the embedded broker lost a connection");
    }
}

fn serve_requests(shared: &Shared, mut stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut incoming = BufReader::with_capacity(READ_BUFFER_BYTES, stream);
    while let Some(frame) = read_frame(&mut incoming)? {
        if shared.is_closed() || shared.faults.refuses() {
            return Ok(());
        }
        let answer = answer(shared, frame).unwrap_or_else(|malformed| {
            debug!(%malformed, "the embedded broker closes a connection");
            Answer::Close
        });
        shared.pause(shared.faults.delay());
        if shared.faults.refuses() {
            return Ok(());
        }
        match answer {
            Answer::Reply(reply) => reply.send(&mut stream)?,
            Answer::Silence => {}
            Answer::Close => return Ok(()),
        }
    }
    Ok(())
}

/// The next frame without its length, or `None` at the end of the stream.
fn read_frame(incoming: &mut impl Read) -> io::Result<Option<BytesMut>> {
    let mut length = [0; 4];
    match incoming.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    }
    let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MAX_FRAME_BYTES {
        let reason = "a frame beyond the limit of the embedded broker";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    let mut frame = BytesMut::zeroed(length);
    incoming.read_exact(&mut frame)?;
    Ok(Some(frame))
}

fn answer(shared: &Shared, frame: BytesMut) -> Result<Answer, Malformed> {
    let mut header = Reader::new(&frame);
    let (key, version) = (header.i16()?, header.i16()?);
    let correlation_id = header.i32()?;
    let Some(supported) = Supported::of_key(key) else { return Ok(Answer::Close) };
    let api = supported.api;
    if !supported.speaks(version) {
        // Only ApiVersions has an answer to that: the versions there are.
        let reply =
            (api == Api::ApiVersions).then(|| handlers::versions_refused(correlation_id));
        return Ok(reply.map_or(Answer::Close, Answer::Reply));
    }
    let flexible = supported.is_flexible(version);
    header.set_flexible(flexible);
    header.header_string()?;
    header.tags()?;
    let body_at = frame.len() - header.remaining();

    let fault = shared.faults.meet(api);
    if fault == Some(Fault::Disconnect) {
        return Ok(Answer::Close);
    }
    let ordered = match fault {
        Some(Fault::Error(code)) => Some(code),
        _ => None,
    };
    shared.expire_transactions();
    let request = Request { api, version, flexible, correlation_id, ordered };
    let answer = handlers::handle(shared, &request, frame, body_at)?;
    Ok(if fault == Some(Fault::LoseReply) { Answer::Close } else { answer })
}

#[cfg(test)]
mod tests {
    use super::super::api::SUPPORTED;
    use super::*;
    use proptest::prelude::*;

    fn frame(key: i16, version: i16, body: &[u8]) -> BytesMut {
        let header = [key.to_be_bytes(), version.to_be_bytes()].concat();
        let (correlation_id, no_client_id) = ([0; 4], [0xff, 0xff]);
        BytesMut::from(&[&header[..], &correlation_id, &no_client_id, body].concat()[..])
    }

    /// Bytes that look like small lengths and short strings more often than not.
    fn likely_bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte =
            prop_oneof![5 => Just(0_u8), 3 => 1..4_u8, 1 => Just(0xff_u8), 1 => any::<u8>()];
        proptest::collection::vec(byte, 0..200)
    }

    #[test]
    fn an_unknown_request_or_version_closes_the_connection() {
        let shared = Shared::new(0);
        for (key, version) in [(11, 0), (999, 0), (0, 2), (0, 9), (-1, 0)] {
            let answer = answer(&shared, frame(key, version, &[])).unwrap();
            assert!(matches!(answer, Answer::Close), "{key} {version}");
        }
    }

    #[test]
    fn api_versions_from_the_future_are_answered() {
        let shared = Shared::new(0);
        let answer = answer(&shared, frame(18, 4, &[])).unwrap();
        assert!(matches!(answer, Answer::Reply(_)));
    }

    #[test]
    fn a_frame_too_large_is_an_error_before_it_is_read() {
        let mut incoming = &[0x7f, 0xff, 0xff, 0xff][..];
        let error = read_frame(&mut incoming).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let mut negative = &[0xff, 0xff, 0xff, 0xff][..];
        assert!(read_frame(&mut negative).is_err());
    }

    proptest! {
        #[test]
        fn any_body_is_answered_or_refused(at in 0..SUPPORTED.len(), body in likely_bytes()) {
            let shared = Shared::new(0);
            // A closed broker lets no fetch wait.
            shared.close();
            let supported = SUPPORTED[at];
            for version in supported.min..=supported.max {
                let frame = frame(supported.api as i16, version, &body);
                let _ = answer(&shared, frame);
            }
        }

        #[test]
        fn any_frame_is_answered_or_refused(bytes in likely_bytes()) {
            let shared = Shared::new(0);
            shared.close();
            let _ = answer(&shared, BytesMut::from(&bytes[..]));
        }
    }
}
