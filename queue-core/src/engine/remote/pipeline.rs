//! The connection for everything that does not wait: requests of all callers in one stream, replies matched in order.
//!
//! Natural batching: what callers ask while a batch is in flight goes out together once its replies are here, so that
//! the server finds it together, too, and syncs once for all of it.
//! Invariant: a request whose bytes were given to a connection is never sent again here; whether that is safe is the
//! caller's to know.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::BytesMut;
use smallvec::SmallVec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::closed;
use super::link::{Link, Pauses, Server, hung_up};
use super::resend::Asked;
use crate::model::{Error, fragment};
use crate::wire::{self, Form, Response};

/// Batches that may be in flight: one that the server works on, and one behind it, so that it need not wait for us.
const BATCHES_MAX: usize = 2;
/// A server that owes a reply and says nothing for this long is taken for gone.
const SILENCE: Duration = Duration::from_secs(60);

/// The forms of the replies to one call.
pub(super) type Forms = SmallVec<[Form; 2]>;

/// Why a call has no answers.
#[derive(Debug)]
pub(super) enum Failure {
    /// No server had it.
    Unsent(Error),
    /// It was sent, and its reply did not come.
    Lost(Error),
    /// No server had it, nor will one: this engine is closed.
    Closed,
}

impl Failure {
    /// What a caller is told who asked once.
    pub(super) fn answer(self, asked: Asked) -> Error {
        match self {
            Self::Unsent(error) => error,
            Self::Lost(error) => asked.answer(&error),
            Self::Closed => closed(),
        }
    }
}

type Answers = Result<Vec<Result<Response, Error>>, Failure>;

/// A call whose replies have not all come.
struct Pending {
    forms: Forms,
    answers: Vec<Result<Response, Error>>,
    caller: oneshot::Sender<Answers>,
}

impl Pending {
    fn fail(self, failure: Failure) {
        // A caller that does not wait any more needs no answer.
        let _ = self.caller.send(Err(failure));
    }
}

/// What callers have asked and the connection has not taken yet.
#[derive(Default)]
struct Queue {
    out: BytesMut,
    pending: VecDeque<Pending>,
    closed: bool,
    /// The task has ended; said under the lock, so that nobody waits for a word that was given before.
    ended: bool,
}

struct Shared {
    server: Arc<Server>,
    queue: Mutex<Queue>,
    work: Notify,
    ended: Notify,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The callers' end.
pub(super) struct Pipeline {
    shared: Arc<Shared>,
}

impl Pipeline {
    /// Begins with a connection that is there already.
    pub(super) fn start(server: Arc<Server>, link: Link) -> Self {
        let shared = Arc::new(Shared { server, queue: Mutex::default(), work: Notify::new(), ended: Notify::new() });
        tokio::spawn(run(Arc::clone(&shared), link));
        Self { shared }
    }

    /// Sends the requests that `encode` writes, and returns an answer for each.
    pub(super) async fn submit(&self, encode: impl FnOnce(&mut BytesMut) -> Forms) -> Answers {
        let (caller, answers) = oneshot::channel();
        {
            let mut queue = self.shared.queue();
            if queue.closed {
                return Err(Failure::Closed);
            }
            let forms = encode(&mut queue.out);
            let answers = Vec::with_capacity(forms.len());
            queue.pending.push_back(Pending { forms, answers, caller });
        }
        self.shared.work.notify_one();
        // The task ends only with its runtime while callers wait.
        answers.await.unwrap_or_else(|_| Err(Failure::Lost(closed())))
    }

    /// Waits for what was asked, and closes the connection.
    pub(super) async fn close(&self) {
        let ended = self.shared.ended.notified();
        tokio::pin!(ended);
        ended.as_mut().enable();
        let over = {
            let mut queue = self.shared.queue();
            queue.closed = true;
            queue.ended
        };
        self.shared.work.notify_one();
        if !over {
            ended.await;
        }
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.work.notify_one();
    }
}

/// Tells whoever waits for the end, however the task ends.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        let unsent = {
            let mut queue = self.0.queue();
            queue.closed = true;
            queue.ended = true;
            std::mem::take(&mut queue.pending)
        };
        unsent.into_iter().for_each(|pending| pending.fail(Failure::Closed));
        self.0.ended.notify_waiters();
    }
}

/// The connection's end: serves callers over one connection after the other.
async fn run(shared: Arc<Shared>, first: Link) {
    let _ended = Ended(Arc::clone(&shared));
    let (mut link, mut pauses) = (Some(first), Pauses::default());
    let mut not_before = Instant::now();
    loop {
        let connected = match link.take() {
            Some(link) => Ok(link),
            None => {
                // A connection is made when there is something to send, and no sooner than the last failure allows.
                while shared.queue().pending.is_empty() {
                    if shared.queue().closed {
                        return;
                    }
                    shared.work.notified().await;
                }
                tokio::time::sleep_until(not_before).await;
                shared.server.connect().await
            }
        };
        match connected {
            Ok(connected) => {
                pauses.reset();
                let Some(why) = Serving::new(&shared, connected).run().await else { return };
                tracing::debug!(server = shared.server.shown(), why, "connection lost");
            }
            Err(error) => {
                not_before = Instant::now() + pauses.next();
                let unsent = {
                    let mut queue = shared.queue();
                    queue.out.clear();
                    std::mem::take(&mut queue.pending)
                };
                unsent.into_iter().for_each(|pending| pending.fail(Failure::Unsent(error.clone())));
            }
        }
    }
}

/// One connection while it works.
struct Serving<'a> {
    shared: &'a Shared,
    link: Link,
    writing: BytesMut,
    in_flight: VecDeque<Pending>,
    /// Calls of each batch that are not answered yet.
    batches: VecDeque<usize>,
}

impl<'a> Serving<'a> {
    fn new(shared: &'a Shared, link: Link) -> Self {
        Self { shared, link, writing: BytesMut::new(), in_flight: VecDeque::new(), batches: VecDeque::new() }
    }

    /// Serves until the connection is lost, and says why; `None` if it was closed on purpose.
    async fn run(mut self) -> Option<String> {
        let ended = self.serve().await;
        let why = ended.as_ref().err().map(|error| fragment(error))?;
        let lost = self.shared.server.lost(&why);
        self.in_flight.drain(..).for_each(|pending| pending.fail(Failure::Lost(lost.clone())));
        Some(why)
    }

    async fn serve(&mut self) -> std::io::Result<()> {
        let silence = tokio::time::sleep(SILENCE);
        tokio::pin!(silence);
        loop {
            if self.writing.is_empty() && self.batches.len() < BATCHES_MAX {
                let idle = self.in_flight.is_empty();
                let took = self.take();
                if idle && took {
                    silence.as_mut().reset(Instant::now() + SILENCE);
                }
                if idle && !took && self.shared.queue().closed {
                    return Ok(());
                }
            }
            let (mut read, mut write) = self.link.stream.split();
            tokio::select! {
                biased;
                came = read.read_buf(self.link.reader.buffer_mut()) => {
                    if came? == 0 {
                        return Err(hung_up());
                    }
                    silence.as_mut().reset(Instant::now() + SILENCE);
                    self.answer()?;
                }
                // Reading goes on meanwhile: a server that waits for us to read would not read either.
                written = write.write_buf(&mut self.writing), if !self.writing.is_empty() => drop(written?),
                () = self.shared.work.notified(), if self.writing.is_empty() && self.batches.len() < BATCHES_MAX => {}
                () = &mut silence, if !self.in_flight.is_empty() => {
                    let text = format!("no reply within {} s", SILENCE.as_secs());
                    return Err(std::io::Error::new(std::io::ErrorKind::TimedOut, text));
                }
            }
        }
    }

    /// Takes what callers have asked as the next batch; `false` if that is nothing.
    fn take(&mut self) -> bool {
        let mut queue = self.shared.queue();
        if queue.pending.is_empty() {
            return false;
        }
        self.writing = queue.out.split();
        self.batches.push_back(queue.pending.len());
        self.in_flight.append(&mut queue.pending);
        true
    }

    /// Hands out the replies that have come.
    fn answer(&mut self) -> std::io::Result<()> {
        loop {
            let value = match self.link.reader.next_reply() {
                Ok(Some(crate::resp::Value::Push(_))) => continue,
                Ok(Some(value)) => value,
                Ok(None) => return Ok(()),
                Err(error) => return Err(std::io::Error::other(error.to_string())),
            };
            let Some(pending) = self.in_flight.front_mut() else {
                return Err(std::io::Error::other("a reply that nobody asked for"));
            };
            pending.answers.push(wire::read(pending.forms[pending.answers.len()], value));
            if pending.answers.len() < pending.forms.len() {
                continue;
            }
            let Pending { answers, caller, .. } = self.in_flight.pop_front().expect("it was just looked at");
            // A caller that does not wait any more needs no answer.
            let _ = caller.send(Ok(answers));
            let batch = self.batches.front_mut().expect("what is in flight belongs to a batch");
            *batch -= 1;
            if *batch == 0 {
                self.batches.pop_front();
            }
        }
    }
}
