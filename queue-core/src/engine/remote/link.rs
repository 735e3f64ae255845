//! One connection to a server: reaching it, the handshake, and a single request with its reply.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::model::{Error, Word, fragment};
use crate::resp::{ReplyLimits, ReplyReader, RequestWriter, Value};
use crate::wire;

/// How long reaching a server may take, its handshake included.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a silent server is believed to be there before the kernel asks.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// The first pause before connecting again.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// The longest pause before connecting again, before jitter.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// A server's address and how to get in.
pub(super) struct Server {
    host: String,
    port: u16,
    password: Option<String>,
}

/// A connection whose handshake is done.
pub(super) struct Link {
    pub(super) stream: TcpStream,
    pub(super) reader: ReplyReader,
}

impl Server {
    pub(super) fn new(host: &str, port: u16, password: Option<String>) -> Self {
        Self { host: host.to_owned(), port, password }
    }

    /// The address as people write it; never shows the password.
    pub(super) fn shown(&self) -> String {
        match self.host.contains(':') {
            true => format!("longshore://[{}]:{}", self.host, self.port),
            false => format!("longshore://{}:{}", self.host, self.port),
        }
    }

    fn unreachable(&self, why: &str) -> Error {
        Error::new(Word::Unreachable, format!("cannot reach {}: {why}", self.shown()))
    }

    /// A connection that worked ended.
    pub(super) fn lost(&self, why: &str) -> Error {
        Error::new(Word::Unreachable, format!("lost the connection to {}: {why}", self.shown()))
    }

    /// Reaches the server and shakes hands.
    ///
    /// # Errors
    ///
    /// `UNREACHABLE`, `NOAUTH`, or `UNSUPPORTED` for a server that is not Longshore's.
    pub(super) async fn connect(&self) -> Result<Link, Error> {
        let connecting = async {
            let stream = TcpStream::connect((self.host.as_str(), self.port))
                .await
                .map_err(|error| self.unreachable(&fragment(&error)))?;
            let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
            stream
                .set_nodelay(true)
                .and_then(|()| socket2::SockRef::from(&stream).set_tcp_keepalive(&keepalive))
                .map_err(|error| self.unreachable(&fragment(&error)))?;
            self.greet(Link { stream, reader: ReplyReader::new(ReplyLimits::default()) }).await
        };
        let late = || self.unreachable(&format!("no answer within {} s", CONNECT.as_secs()));
        tokio::time::timeout(CONNECT, connecting).await.map_err(|_| late())?
    }

    async fn greet(&self, mut link: Link) -> Result<Link, Error> {
        let mut out = BytesMut::new();
        match &self.password {
            None => RequestWriter::write(&mut out, &[b"HELLO", b"3"]),
            Some(password) => {
                RequestWriter::write(&mut out, &[b"HELLO", b"3", b"AUTH", b"default", password.as_bytes()]);
            }
        }
        RequestWriter::write(&mut out, &[b"CLIENT", b"SETINFO", b"LIB-NAME", b"longshore"]);
        RequestWriter::write(&mut out, &[b"CLIENT", b"SETINFO", b"LIB-VER", env!("CARGO_PKG_VERSION").as_bytes()]);
        let broken = |error: io::Error| self.unreachable(&fragment(&error));
        link.stream.write_all(&out).await.map_err(broken)?;
        match link.reply().await.map_err(broken)? {
            Value::Map(fields) if is_longshore(&fields) => {}
            Value::Error(text) => return Err(self.turned_away(&text)),
            _ => {
                let text = format!("{} is no Longshore server; perhaps another port?", self.shown());
                return Err(Error::new(Word::Unsupported, text));
            }
        }
        // What these answer does not matter: they only name the client.
        link.reply().await.map_err(broken)?;
        link.reply().await.map_err(broken)?;
        Ok(link)
    }

    /// Why the server does not let us in.
    fn turned_away(&self, text: &str) -> Error {
        let (word, message) = text.split_once(' ').unwrap_or(("ERR", text));
        match Word::parse(word) {
            Word::NoAuth if self.password.is_none() => {
                let hint = "needs a password; give it in the address: longshore://:PASSWORD@HOST:PORT";
                Error::new(Word::NoAuth, format!("{} {hint}", self.shown()))
            }
            Word::NoAuth => Error::new(Word::NoAuth, format!("{} does not accept this password", self.shown())),
            Word::Err => self.unreachable(message),
            known => Error::new(known, message),
        }
    }
}

fn is_longshore(fields: &[(Value, Value)]) -> bool {
    let text = |text: &str| Value::Bulk(text.as_bytes().to_vec());
    fields.contains(&(text("server"), text("longshore")))
}

impl Link {
    /// The next reply.
    pub(super) async fn reply(&mut self) -> io::Result<Value> {
        loop {
            match self.reader.next_reply() {
                Ok(Some(value)) => return Ok(value),
                Ok(None) => {}
                Err(error) => return Err(io::Error::other(error.to_string())),
            }
            if self.stream.read_buf(self.reader.buffer_mut()).await? == 0 {
                return Err(hung_up());
            }
        }
    }

    /// Sends one request and reads its reply.
    pub(super) async fn ask(&mut self, request: &[u8], form: wire::Form) -> io::Result<Result<wire::Response, Error>> {
        self.stream.write_all(request).await?;
        Ok(wire::read(form, self.reply().await?))
    }
}

/// The other side closed the connection.
pub(super) fn hung_up() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed it")
}

/// Pauses between attempts to connect: doubling, with jitter, so that many clients do not come back at once.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: PAUSE_FIRST }
    }
}

impl Pauses {
    /// The pause after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(PAUSE_MAX);
        pause + pause / 2 * u32::from(u8::from_le_bytes(crate::random::bytes())) / 255
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }
}
