//! One client's connection: read what is readable, serve all of it, write the replies with one write, and again.
//!
//! Requests that arrive together are executed together: the commands of a turn are one call of the engine. A turn is at
//! most 1,000 requests or 1 MiB, so that one client's pipeline does not keep the others waiting.
//! Leaves to `outlet` what is executed and written, to `wait` the requests that wait, to `local` those about the
//! connection itself.

mod outlet;
mod session;
mod wait;

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
use crate::shared::{Shared, count};
pub(crate) use outlet::Outlet;
pub(crate) use session::Session;

/// Requests of one turn.
const TURN_REQUESTS: usize = 1_000;
/// Bytes of requests in one turn.
const TURN_BYTES: usize = 1 << 20;
/// Bytes that are read ahead while a turn is not full.
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
pub(crate) async fn serve(shared: Rc<Shared>, stream: TcpStream, peer: SocketAddr) {
    let open = &shared.counters.connected;
    open.set(open.get() + 1);
    count(&shared.counters.accepted, 1);
    prepare(&stream);
    let id = shared.counters.accepted.get();
    let end = Connection::new(Rc::clone(&shared), stream, peer, id).run().await;
    open.set(open.get() - 1);
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
    /// When a client that still has to authenticate is sent away.
    authenticate_by: Instant,
}

impl Connection {
    fn new(shared: Rc<Shared>, stream: TcpStream, peer: SocketAddr, id: u64) -> Self {
        let session = Session::new(id, peer, shared.password.is_none());
        let limits = if session.authenticated { RequestLimits::AUTHENTICATED } else { RequestLimits::UNAUTHENTICATED };
        Self {
            reader: RequestReader::new(limits),
            parser: Parser::default(),
            session,
            stop: Box::pin(shared.stop.clone().cancelled_owned()),
            authenticate_by: Instant::now() + shared.limits.authenticate,
            outlet: Outlet::new(shared, stream),
        }
    }

    async fn run(mut self) -> End {
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
        let (mut requests, mut bytes) = (0, 0);
        while requests < TURN_REQUESTS && bytes < TURN_BYTES {
            let frame = match self.reader.next_request() {
                Ok(Some(frame)) => frame,
                Ok(None) => {
                    self.finish(requests).await?;
                    return Ok(Left::Nothing);
                }
                Err(error) => {
                    let error = Error::new(Word::Err, error.to_string());
                    self.outlet.execute().await?;
                    self.outlet.refuse(&error);
                    self.outlet.send().await?;
                    return Err(End::Refused(error.message));
                }
            };
            requests += 1;
            bytes += frame.wire_bytes();
            let step = classify(&mut self.parser, &self.session, frame);
            match step {
                Step::Browser => return Err(End::Refused("an HTTP request came to the port of the protocol".into())),
                Step::Call(wire::Call { request: Request::Execute(command), context, form }) => {
                    let context = context.map(|context| self.session.context(context));
                    self.outlet.add(command, context, form).await?;
                }
                Step::Call(call) => {
                    self.outlet.execute().await?;
                    let context = self.session.context(call.context.unwrap_or_default());
                    self.outlet.answer(call.request, &context, call.form, &mut self.reader, &mut self.stop).await?;
                }
                Step::Local(frame) => {
                    self.outlet.execute().await?;
                    let known = self.session.authenticated;
                    local::run(frame, &mut self.session, &mut self.outlet).await?;
                    if known != self.session.authenticated {
                        self.reader.set_limits(limits(&self.session));
                    }
                }
                Step::Refused(error) => {
                    self.outlet.execute().await?;
                    self.outlet.refuse(&error);
                }
            }
        }
        self.finish(requests).await?;
        Ok(Left::Requests)
    }

    async fn finish(&mut self, requests: usize) -> Result<(), End> {
        count(&self.outlet.shared.counters.requests, requests as u64);
        self.outlet.execute().await?;
        self.outlet.send().await
    }

    /// Reads what is readable; waits for it if there is nothing.
    async fn fill(&mut self) -> Result<(), End> {
        let stream = &mut self.outlet.stream;
        let read = async {
            if self.session.authenticated {
                return stream.read_buf(self.reader.buffer_mut()).await;
            }
            let read = stream.read_buf(self.reader.buffer_mut());
            let late = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "did not authenticate in time");
            tokio::time::timeout_at(self.authenticate_by, read).await.map_err(late)?
        };
        let came = tokio::select! {
            biased;
            () = &mut self.stop => return Err(End::Stopped),
            came = read => came,
        };
        match came {
            Ok(0) => return Err(End::Closed),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {
                return Err(End::Refused(error.to_string()));
            }
            Err(error) => return Err(End::Broken(error)),
        }
        // What else is there already joins this turn: the more arrives together, the fewer syncs it costs.
        while self.reader.unread_bytes() < READ_BYTES {
            match self.outlet.stream.try_read_buf(self.reader.buffer_mut()) {
                // The end of the stream is found again by the next read, after these requests are served.
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        Ok(())
    }
}

fn limits(session: &Session) -> RequestLimits {
    if session.authenticated { RequestLimits::AUTHENTICATED } else { RequestLimits::UNAUTHENTICATED }
}

fn classify<'a>(parser: &mut Parser, session: &Session, frame: Frame<'a>) -> Step<'a> {
    if [&b"POST"[..], b"HOST:"].iter().any(|word| frame.name().eq_ignore_ascii_case(word)) {
        return Step::Browser;
    }
    if !session.authenticated {
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
