//! One client's connection: read what is readable, serve all of it, write the replies with one write, and again.
//!
//! Requests that arrive together are executed together: the commands of a turn are one call of the engine. A turn is at
//! most 1,000 requests, or 1 MiB of them, or 1 MiB of replies, and what may have a large reply weighs as many requests,
//! so that one client's pipeline neither keeps the others waiting nor grows the output without bound.
//! Leaves to `outlet` what is executed and written, to `wait` the requests that wait, to `weight` what a request
//! weighs, to `local` those about the connection itself.

mod outlet;
mod session;
mod wait;
mod weight;

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use queue_core::model::{Error, Word};
use queue_core::resp::{Request as Frame, RequestLimits, RequestReader};
use queue_core::wire::{self, Parser, Request};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::local;
use crate::shared::{Connected, Shared};
pub(crate) use outlet::Outlet;
pub(crate) use session::Session;
use weight::{TURN_WEIGHT, weight};

/// Bytes of requests in one turn.
const TURN_BYTES: usize = 1 << 20;
/// Bytes that are read ahead of a client that is known; of another no more than a request of it may have.
const READ_BYTES: usize = 1 << 20;
/// How long a silent client is believed to be there before the kernel asks.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Why a connection ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The client closed it, or said QUIT.
    Closed,
    /// The server stops.
    Stopped,
    /// The client broke a rule: the protocol's, or a deadline.
    Refused(String),
    /// The network failed.
    Broken(std::io::Error),
}

/// Serves a client until the connection ends.
pub(crate) async fn serve(connected: Connected, stream: TcpStream, peer: SocketAddr) {
    prepare(&stream);
    let id = connected.id;
    let mut connection = Connection::new(Rc::clone(&connected.shared), stream, peer, id);
    let end = connection.run().await;
    let guesses = connection.session.wrong_passwords;
    // The descriptor is free before the place is.
    drop(connection);
    drop(connected);
    if guesses > 0 {
        // One line however often a client guesses, so that guessing fills no log.
        tracing::warn!(client = id, %peer, guesses, "wrong password");
    }
    match end {
        End::Closed | End::Stopped => tracing::debug!(client = id, %peer, "connection closed"),
        End::Refused(why) => tracing::info!(client = id, %peer, why, "connection closed by the server"),
        End::Broken(error) => tracing::debug!(client = id, %peer, %error, "connection broke"),
    }
}

/// Small replies leave at once, and a peer that vanished is noticed.
fn prepare(stream: &TcpStream) {
    let keepalive = socket2::TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
    // Neither is needed for being right, so a socket that refuses is served all the same.
    let prepared = stream.set_nodelay(true).and_then(|()| socket2::SockRef::from(stream).set_tcp_keepalive(&keepalive));
    if let Err(error) = prepared {
        tracing::debug!(%error, "a socket's options could not be set");
    }
}

/// What a request turned out to be.
#[expect(clippy::large_enum_variant, reason = "it lives for one request; nearly all are calls, and a box costs each")]
enum Step<'a> {
    /// One of Longshore's own.
    Call(wire::Call),
    /// About the connection, or unknown.
    Local(Frame<'a>),
    /// Not to be carried out.
    Refused(Error),
    /// A browser that a web page sent here: its request's lines would be read as commands. Redis closes too.
    Browser,
}

/// What a turn leaves.
#[derive(PartialEq, Eq)]
enum Left {
    /// Perhaps whole requests that were read already.
    Requests,
    /// Nothing to do before more bytes come.
    Nothing,
}

struct Connection {
    reader: RequestReader,
    parser: Parser,
    session: Session,
    outlet: Outlet,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Connection {
    fn new(shared: Rc<Shared>, stream: TcpStream, peer: SocketAddr, id: u64) -> Self {
        let session = Session::new(id, peer, &shared);
        let mut connection = Self {
            reader: RequestReader::new(limits(&session)),
            parser: Parser::default(),
            session,
            stop: Box::pin(shared.stop.clone().cancelled_owned()),
            outlet: Outlet::new(shared, stream),
        };
        connection.obey_session();
        connection
    }

    /// What a client may do depends on whether it is known, also how much it may send and how long its replies may take.
    fn obey_session(&mut self) {
        self.reader.set_limits(limits(&self.session));
        self.outlet.stranger_until = self.session.stranger_until;
    }

    async fn run(&mut self) -> End {
        loop {
            let served = match self.turn().await {
                Ok(Left::Nothing) => self.fill().await,
                // Others first: this client has had its turn.
                Ok(Left::Requests) => {
                    tokio::task::yield_now().await;
                    Ok(())
                }
                Err(end) => Err(end),
            };
            if let Err(end) = served {
                return end;
            }
        }
    }

    /// Serves the requests that have been read, as far as a turn goes.
    async fn turn(&mut self) -> Result<Left, End> {
        let (mut requests, mut weighed, mut bytes) = (0, 0, 0);
        while weighed < TURN_WEIGHT && bytes < TURN_BYTES && !self.outlet.is_full() {
            let frame = match self.reader.next_request() {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.finish(requests).await?;
                    return Ok(Left::Nothing);
                }
                Err(error) => {
                    let error = Error::new(Word::Err, error.to_string());
                    self.outlet.execute().await;
                    self.outlet.refuse(&error);
                    self.outlet.send().await?;
                    return Err(End::Refused(error.message));
                }
            };
            requests += 1;
            bytes += frame.wire_bytes();
            let step = classify(&mut self.parser, &self.session, frame);
            weighed += match &step {
                Step::Call(call) => weight(&call.request),
                _ => 1,
            };
            match step {
                Step::Browser => return Err(End::Refused("an HTTP request came to the port of the protocol".into())),
                Step::Call(wire::Call { request: Request::Execute(command), context, form }) => {
                    let context = context.map(|context| self.session.context(context));
                    self.outlet.add(command, context, form).await;
                }
                Step::Call(call) => {
                    self.outlet.execute().await;
                    let context = self.session.context(call.context.unwrap_or_default());
                    self.outlet.answer(call.request, &context, call.form, &mut self.reader, &mut self.stop).await?;
                }
                Step::Local(frame) => {
                    self.outlet.execute().await;
                    let before = self.session.stranger_until;
                    local::run(frame, &mut self.session, &mut self.outlet).await?;
                    if before != self.session.stranger_until {
                        self.obey_session();
                    }
                }
                Step::Refused(error) => {
                    self.outlet.execute().await;
                    self.outlet.refuse(&error);
                }
            }
        }
        self.finish(requests).await?;
        Ok(Left::Requests)
    }

    async fn finish(&mut self, requests: usize) -> Result<(), End> {
        self.outlet.shared.counters().requests.add(requests as u64);
        self.outlet.execute().await;
        self.outlet.send().await
    }

    /// Reads what is readable; waits for it if there is nothing.
    async fn fill(&mut self) -> Result<(), End> {
        let came = tokio::select! {
            // The deadline comes before what is there to read: it holds for who never stops sending, too.
            biased;
            () = &mut self.stop => return Err(End::Stopped),
            () = deadline(self.session.stranger_until) => return Err(stranger()),
            came = self.outlet.stream.read_buf(self.reader.buffer_mut()) => came,
        };
        match came {
            Ok(0) => return Err(End::Closed),
            Ok(_) => {}
            Err(error) => return Err(End::Broken(error)),
        }
        let ahead = READ_BYTES.min(limits(&self.session).request_bytes_max as usize);
        // What else is there already joins this turn: the more arrives together, the fewer syncs it costs.
        while self.reader.unread_bytes() < ahead {
            match self.outlet.stream.try_read_buf(self.reader.buffer_mut()) {
                // The end of the stream is found again by the next read, after these requests are served.
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

async fn deadline(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// The end of a client that did not say in time who it is.
fn stranger() -> End {
    End::Refused("did not authenticate in time".to_owned())
}

fn limits(session: &Session) -> RequestLimits {
    if session.is_known() { RequestLimits::AUTHENTICATED } else { RequestLimits::UNAUTHENTICATED }
}

fn classify<'a>(parser: &mut Parser, session: &Session, frame: Frame<'a>) -> Step<'a> {
    if [&b"POST"[..], b"HOST:"].iter().any(|word| frame.name().eq_ignore_ascii_case(word)) {
        return Step::Browser;
    }
    if !session.is_known() {
        return match local::allowed_to_strangers(frame.name()) {
            true => Step::Local(frame),
            false => Step::Refused(Error::new(Word::NoAuth, "Authentication required.")),
        };
    }
    match parser.parse(frame) {
        Some(Ok(call)) => Step::Call(call),
        Some(Err(error)) => Step::Refused(error),
        None => Step::Local(frame),
    }
}
