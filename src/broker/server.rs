//! The listener and the threads of the open connections.
//!
//! A thread per connection: a broker for one process has few, and a fetch that
//! waits costs a sleeping thread and nothing else.
//!
//! Invariant: once [`Server::stop`] returns, no client is served any more.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::connection;
use super::shared::Shared;

/// More connections than this are closed at once.
const MAX_CONNECTIONS: usize = 1024;

#[derive(Debug)]
pub(super) struct Server {
    shared: Arc<Shared>,
    open: Arc<Connections>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Connections(Mutex<BTreeMap<u64, Connection>>);

#[derive(Debug)]
struct Connection {
    stream: Arc<TcpStream>,
    thread: JoinHandle<()>,
}

impl Server {
    /// Listens on the loopback interface alone; port 0 takes any free one.
    pub fn start(port: u16) -> io::Result<(Self, Arc<Shared>)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let shared = Arc::new(Shared::new(listener.local_addr()?.port()));
        let open = Arc::new(Connections::default());
        let (for_acceptor, its_connections) = (Arc::clone(&shared), Arc::clone(&open));
        let acceptor = thread::Builder::new()
            .name("broker-accept".to_owned())
            .spawn(move || accept(&listener, &for_acceptor, &its_connections))?;
        let server = Self { shared: Arc::clone(&shared), open, acceptor: Some(acceptor) };
        Ok((server, shared))
    }

    /// Closes the listener and every connection, and waits for their threads.
    pub fn stop(&mut self) {
        self.shared.close();
        // The acceptor sleeps in the system until somebody calls.
        let woken = TcpStream::connect((Ipv4Addr::LOCALHOST, self.shared.port)).is_ok();
        if let Some(acceptor) = self.acceptor.take()
            && woken
        {
            join(acceptor);
        }
        self.open.take_all().for_each(|connection| join(connection.thread));
    }

    /// Closes every open connection. Their threads end on their own.
    pub fn cut_connections(&self) {
        drop(self.open.take_all());
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, open: &Arc<Connections>) {
    for (id, stream) in (0..).zip(listener.incoming()) {
        if shared.is_closed() {
            return;
        }
        // A client that is gone before it was accepted needs nothing.
        let Ok(stream) = stream else { continue };
        if !shared.faults.refuses() && open.len() < MAX_CONNECTIONS {
            open.begin(id, stream, shared);
        }
    }
}

impl Connections {
    fn begin(self: &Arc<Self>, id: u64, stream: TcpStream, shared: &Arc<Shared>) {
        let stream = Arc::new(stream);
        let (shared, open, its_stream) =
            (Arc::clone(shared), Arc::clone(self), Arc::clone(&stream));
        // The thread cannot end its entry before the entry is there.
        let mut entries = self.entries();
        let spawned =
            thread::Builder::new().name("broker-client".to_owned()).spawn(move || {
                connection::serve(&shared, &its_stream);
                open.entries().remove(&id);
            });
        if let Ok(thread) = spawned {
            entries.insert(id, Connection { stream, thread });
        }
    }

    fn take_all(&self) -> impl Iterator<Item = Connection> {
        let entries = std::mem::take(&mut *self.entries());
        for connection in entries.values() {
            // Already closed by the client: all the better.
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
        entries.into_values()
    }

    fn len(&self) -> usize {
        self.entries().len()
    }

    fn entries(&self) -> MutexGuard<'_, BTreeMap<u64, Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for a thread. If it panicked, that is our bug, and it goes on here.
fn join(thread: JoinHandle<()>) {
    if let Err(panic) = thread.join()
        && !thread::panicking()
    {
        std::panic::resume_unwind(panic);
    }
}
