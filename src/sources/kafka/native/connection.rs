//! A connection to one broker: frames out, frames in.
//!
//! It is opened with blocking calls. From then on answers are taken as they
//! come, in pieces, without waiting.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsRequest, RequestHeader, SaslAuthenticateRequest, SaslHandshakeRequest,
};
use kafka_protocol::protocol::{
    Decodable, HeaderVersion, Request, StrBytes, encode_request_header_into_buffer,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustls::{ClientConnection, StreamOwned};

use super::sasl;
use super::settings::Settings;

/// The largest answer there can be: partitions and headers beside the limit.
const SLACK_BYTES: usize = 64 << 20;

/// Why a broker cannot be talked to.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// No waiting mends it.
    #[error("{0}")]
    Denied(String),
    #[error("{0}")]
    Protocol(String),
}

pub struct Connection {
    stream: Stream,
    client_id: StrBytes,
    /// What the broker speaks, by key.
    versions: HashMap<i16, (i16, i16)>,
    correlation: i32,
    incoming: Incoming,
    most_bytes: usize,
    timeout: Duration,
    /// When it has to be made anew.
    pub renew_at: Option<Instant>,
}

enum Stream {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// An answer that is on its way.
#[derive(Default)]
struct Incoming {
    head: [u8; 4],
    head_bytes: usize,
    length: usize,
    body: Vec<u8>,
}

impl Connection {
    /// Connects and introduces itself.
    pub fn open(host: &str, port: u16, settings: &Settings) -> Result<Self, Fault> {
        let socket = connect(host, port, settings.request_timeout)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(settings.request_timeout))?;
        socket.set_write_timeout(Some(settings.request_timeout))?;
        let stream = match &settings.tls {
            None => Stream::Plain(socket),
            Some(config) => {
                let name = host.to_owned().try_into();
                let name =
                    name.map_err(|_| Fault::Denied(format!("{host} is no host name")))?;
                let client = ClientConnection::new(Arc::clone(config), name);
                let client = client.map_err(|error| Fault::Denied(error.to_string()))?;
                let mut stream = Box::new(StreamOwned::new(client, socket));
                stream.conn.complete_io(&mut stream.sock).map_err(refused)?;
                Stream::Tls(stream)
            }
        };
        let mut connection = Self {
            stream,
            client_id: StrBytes::from_string(settings.client_id.clone()),
            versions: HashMap::new(),
            correlation: 0,
            incoming: Incoming::default(),
            most_bytes: usize::try_from(settings.fetch_bytes).unwrap_or_default() + SLACK_BYTES,
            timeout: settings.request_timeout,
            renew_at: None,
        };
        connection.learn_versions()?;
        if let Some(sasl) = &settings.sasl {
            connection.renew_at = sasl::authenticate(&mut connection, sasl)?;
        }
        connection.socket().set_nonblocking(true)?;
        Ok(connection)
    }

    fn learn_versions(&mut self) -> Result<(), Fault> {
        // Version 0 is what every broker answers.
        let answer = self.ask_in(&ApiVersionsRequest::default(), 0)?;
        let speaks = |api: &kafka_protocol::messages::api_versions_response::ApiVersion| {
            (api.api_key, (api.min_version, api.max_version))
        };
        self.versions = answer.api_keys.iter().map(speaks).collect();
        Ok(())
    }

    /// The newest version that both speak, but none after `most`.
    pub fn version<R: Request>(&self, most: i16) -> Result<i16, Fault> {
        let own = R::VERSIONS;
        let (low, high) = self.versions.get(&R::KEY).copied().unwrap_or((0, -1));
        let version = high.min(own.max).min(most);
        if version < low.max(own.min) {
            let what =
                ApiKey::try_from(R::KEY).map(|key| format!("{key:?}")).unwrap_or_default();
            return Err(Fault::Protocol(format!(
                "the broker speaks no common version of {what}"
            )));
        }
        Ok(version)
    }

    /// Sends a request and waits for its answer. Only while nothing is on its way.
    pub fn ask<R: Request>(&mut self, request: &R) -> Result<R::Response, Fault> {
        // Old enough that every broker speaks it, but no older: later ones say no
        // more that is needed here.
        let most = match R::KEY {
            key if key == SaslHandshakeRequest::KEY || key == SaslAuthenticateRequest::KEY => 1,
            _ => 9,
        };
        let version = self.version::<R>(most)?;
        self.ask_in(request, version)
    }

    fn ask_in<R: Request>(&mut self, request: &R, version: i16) -> Result<R::Response, Fault> {
        self.send(request, version)?;
        let deadline = Instant::now() + self.timeout;
        let mut frame = loop {
            if let Some(frame) = self.receive()? {
                break Bytes::from(frame);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::from(io::ErrorKind::TimedOut).into());
            }
            wait_for(&[self.readable()], left)?;
        };
        let malformed = |error: &dyn std::fmt::Display| Fault::Protocol(error.to_string());
        let header_version = R::Response::header_version(version);
        kafka_protocol::messages::ResponseHeader::decode(&mut frame, header_version)
            .map_err(|e| malformed(&e))?;
        R::Response::decode(&mut frame, version).map_err(|e| malformed(&e))
    }

    /// Sends a request.
    pub fn send<R: Request>(&mut self, request: &R, version: i16) -> Result<(), Fault> {
        self.correlation = self.correlation.wrapping_add(1);
        let header = RequestHeader::default()
            .with_request_api_key(R::KEY)
            .with_request_api_version(version)
            .with_correlation_id(self.correlation)
            .with_client_id(Some(self.client_id.clone()));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        let unsendable = |error: &dyn std::fmt::Display| Fault::Protocol(error.to_string());
        encode_request_header_into_buffer(&mut frame, &header).map_err(|e| unsendable(&e))?;
        request.encode(&mut frame, version).map_err(|e| unsendable(&e))?;
        let length = u32::try_from(frame.len() - 4).map_err(|e| unsendable(&e))?;
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.write_all(&frame)?;
        Ok(())
    }

    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let written = match &mut self.stream {
                Stream::Plain(socket) => socket.write(bytes),
                Stream::Tls(stream) => stream.write(bytes),
            };
            match written {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => bytes = &bytes[count..],
                Err(error) if is_not_yet(&error) => self.wait_to_write(deadline)?,
                Err(error) => return Err(error),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let Stream::Tls(stream) = &mut self.stream else { return Ok(()) };
        while stream.conn.wants_write() {
            match stream.conn.write_tls(&mut stream.sock) {
                Ok(_) => {}
                Err(error) if is_not_yet(&error) => {
                    let flags = PollFd::new(&stream.sock, PollFlags::OUT);
                    wait_for(&[flags], deadline.saturating_duration_since(Instant::now()))?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn wait_to_write(&self, deadline: Instant) -> io::Result<()> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        wait_for(&[PollFd::new(self.socket(), PollFlags::OUT)], left)
    }

    /// Takes what has come of an answer; gives it once it is whole, from behind
    /// its length on.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, Fault> {
        let incoming = &mut self.incoming;
        while incoming.head_bytes < 4 {
            let head = &mut incoming.head[incoming.head_bytes..];
            match self.stream.read(head) {
                Ok(0) => return Err(closed()),
                Ok(count) => incoming.head_bytes += count,
                Err(error) if is_not_yet(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if incoming.head_bytes == 4 {
                let length = usize::try_from(i32::from_be_bytes(incoming.head));
                incoming.length =
                    length.ok().filter(|length| *length <= self.most_bytes).ok_or_else(
                        || Fault::Protocol("what answers is no Kafka broker".to_owned()),
                    )?;
                incoming.body = Vec::with_capacity(incoming.length);
            }
        }
        while incoming.body.len() < incoming.length {
            match self.stream.read_into(&mut incoming.body, incoming.length) {
                Ok(0) => return Err(closed()),
                Ok(_) => {}
                Err(error) if is_not_yet(&error) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        incoming.head_bytes = 0;
        Ok(Some(std::mem::take(&mut incoming.body)))
    }

    /// What to wait for until more has come.
    pub fn readable(&self) -> PollFd<'_> {
        PollFd::from_borrowed_fd(self.as_fd(), PollFlags::IN)
    }

    fn socket(&self) -> &TcpStream {
        match &self.stream {
            Stream::Plain(socket) => socket,
            Stream::Tls(stream) => &stream.sock,
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl Stream {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Plain(socket) => socket.read(into),
            Stream::Tls(stream) => stream.read(into),
        }
    }

    /// Reads up to the wanted length, behind what is there.
    fn read_into(&mut self, body: &mut Vec<u8>, length: usize) -> io::Result<usize> {
        match self {
            // Not a byte too many, and none set to zero first.
            Stream::Plain(socket) if body.capacity() == length => {
                Ok(rustix::io::read(socket, rustix::buffer::spare_capacity(body))?)
            }
            _ => {
                let (at, more) = (body.len(), (length - body.len()).min(TLS_BYTES));
                body.resize(at + more, 0);
                let read = self.read(&mut body[at..]);
                body.truncate(at + read.as_ref().copied().unwrap_or_default());
                read
            }
        }
    }
}

/// Of one read through TLS, whose records are at most so large.
const TLS_BYTES: usize = 16 << 10;

/// Waits until one of them has something to say.
pub fn wait_for(what: &[PollFd<'_>], within: Duration) -> io::Result<()> {
    let mut what = what.to_vec();
    let within = Timespec::try_from(within).ok();
    match poll(&mut what, within.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn connect(host: &str, port: u16, within: Duration) -> io::Result<TcpStream> {
    let mut last = None;
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, within) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::Error::other(format!("{host} has no address"))))
}

fn is_not_yet(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

fn closed() -> Fault {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the broker closed the connection").into()
}

/// A certificate that is not believed stays so.
fn refused(error: io::Error) -> Fault {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(tls) => Fault::Denied(format!("TLS: {tls}")),
        None => Fault::Io(error),
    }
}
