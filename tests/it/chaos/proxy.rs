//! A proxy before an HTTP server that refuses, loses, delays and cuts off what
//! passes through it. It changes no byte of a request, so signatures hold.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What becomes of a request.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// It is answered.
    Passed,
    /// It is answered, but not at once.
    Slow(Duration),
    /// It is answered with this status and has no effect.
    Refused(u16),
    /// It takes effect, and nobody says so.
    ReplyLost,
    /// The same, but it takes effect only when nobody waits any more.
    Late(Duration),
    /// It takes effect, and the answer ends in the middle.
    ReplyCut,
}

impl Fate {
    fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Slow(_) => "slow",
            Self::Refused(_) => "refused",
            Self::ReplyLost => "reply lost",
            Self::Late(_) => "late",
            Self::ReplyCut => "reply cut",
        }
    }
}

/// A request or an answer, as it came.
#[derive(Clone)]
pub struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    /// What is asked for, or how it went.
    pub fn first_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// True if it puts something unless it is there.
    pub fn creates(&self) -> bool {
        self.header("if-none-match") == Some("*")
    }

    fn header(&self, name: &str) -> Option<&str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(':'));
        let mut values = fields.filter(|(own, _)| own.eq_ignore_ascii_case(name));
        values.next().map(|(_, value)| value.trim())
    }

    fn write(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(self.head.as_bytes())?;
        to.write_all(&self.body)?;
        to.flush()
    }

    /// `None` at the end of the connection; `is_bare` if no body follows,
    /// whatever the head says.
    fn read(from: &mut impl BufRead, is_bare: bool) -> io::Result<Option<Self>> {
        let mut head = String::new();
        loop {
            if from.read_line(&mut head)? == 0 {
                return if head.is_empty() { Ok(None) } else { Err(cut_off()) };
            }
            if head.ends_with("\r\n\r\n") {
                break;
            }
        }
        let mut message = Self { head, body: Vec::new() };
        if is_bare {
            return Ok(Some(message));
        }
        if message.header("transfer-encoding") == Some("chunked") {
            message.body = chunks(from)?;
        } else if let Some(length) = message.header("content-length") {
            message.body = vec![0; length.parse().map_err(io::Error::other)?];
            from.read_exact(&mut message.body)?;
        }
        Ok(Some(message))
    }
}

fn cut_off() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}

/// A body in chunks, with their sizes.
fn chunks(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Err(cut_off());
        }
        let size = u64::from_str_radix(line.trim(), 16).map_err(io::Error::other)?;
        body.extend(line.as_bytes());
        // The chunk, and the end of its line.
        if from.take(size + 2).read_to_end(&mut body)? as u64 != size + 2 {
            return Err(cut_off());
        }
        if size == 0 {
            return Ok(body);
        }
    }
}

/// How many requests have met which fate.
pub type Met = BTreeMap<&'static str, u32>;

type Decide = Box<dyn FnMut(&Message) -> Fate + Send>;

struct Shared {
    server: u16,
    decide: Mutex<Decide>,
    met: Mutex<Met>,
}

pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Decides the fate of each request to the server at a local port.
    pub fn start(server: u16, decide: impl FnMut(&Message) -> Fate + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let decide: Mutex<Decide> = Mutex::new(Box::new(decide));
        let shared = Arc::new(Shared { server, decide, met: Mutex::default() });
        let own = Arc::clone(&shared);
        // It lasts as long as the tests.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&own);
                // A client that is gone, or is to think that the server is.
                thread::spawn(move || drop(shared.serve(&client)));
            }
        });
        Self { port, shared }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn met(&self) -> Met {
        self.shared.count().clone()
    }
}

impl Shared {
    fn serve(self: Arc<Self>, client: &TcpStream) -> io::Result<()> {
        let served = self.pass_on(client);
        client.shutdown(Shutdown::Both)?;
        served
    }

    fn pass_on(self: &Arc<Self>, mut client: &TcpStream) -> io::Result<()> {
        let mut requests = BufReader::new(client);
        while let Some(request) = Message::read(&mut requests, false)? {
            let fate = (self.decide.lock().unwrap_or_else(PoisonError::into_inner))(&request);
            *self.count().entry(fate.name()).or_default() += 1;
            match fate {
                Fate::Passed => self.ask(&request)?.write(&mut client)?,
                Fate::Slow(pause) => {
                    let answer = self.ask(&request)?;
                    thread::sleep(pause);
                    answer.write(&mut client)?;
                }
                Fate::Refused(status) => {
                    write!(client, "HTTP/1.1 {status} No\r\ncontent-length: 0\r\n\r\n")?;
                }
                Fate::ReplyLost => return self.ask(&request).map(|_| ()),
                Fate::Late(pause) => {
                    let own = Arc::clone(self);
                    thread::spawn(move || {
                        thread::sleep(pause);
                        own.ask(&request).map(|_| ())
                    });
                    return Ok(());
                }
                Fate::ReplyCut => {
                    let answer = self.ask(&request)?;
                    let mut bytes = Vec::new();
                    answer.write(&mut bytes)?;
                    return client.write_all(&bytes[..bytes.len() / 2]);
                }
            }
        }
        Ok(())
    }

    fn count(&self) -> MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the server says.
    fn ask(&self, request: &Message) -> io::Result<Message> {
        let server = TcpStream::connect(("127.0.0.1", self.server))?;
        request.write(&mut &server)?;
        let is_bare = request.head.starts_with("HEAD ");
        let answer = Message::read(&mut BufReader::new(&server), is_bare)?;
        let answer = answer.ok_or_else(cut_off)?;
        if answer.first_line().contains(" 412 ") {
            *self.count().entry("was there").or_default() += 1;
        }
        Ok(answer)
    }
}

/// Accidents of every kind, longer than `timeout` now and then.
pub fn at_random(seed: u64, timeout: Duration) -> impl FnMut(&Message) -> Fate + Send {
    let mut rng = StdRng::seed_from_u64(seed);
    move |_| match rng.random_range(0..100) {
        0..3 => Fate::Refused(503),
        3..5 => Fate::Refused(500),
        5..9 => Fate::ReplyLost,
        9..11 => Fate::Late(rng.random_range(Duration::ZERO..timeout)),
        11..13 => Fate::ReplyCut,
        13 => Fate::Slow(timeout * 2),
        14..20 => Fate::Slow(rng.random_range(Duration::ZERO..timeout / 10)),
        _ => Fate::Passed,
    }
}
