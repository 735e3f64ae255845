//! Server loops on one tokio thread: a task per connection, one committer.
//!
//! A connection's task reads, applies and appends replies to its connection's buffer. The committer takes the frame together with
//! the length of each buffer at that moment, writes, syncs, and lets out exactly these bytes: what was applied later waits.
//! Modes: sync on the loop, sync on a helper thread, or whichever the average sync time asks for.

use std::cell::RefCell;
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Notify;
use tokio::task::{spawn_local, yield_now};

use super::SyncPlace;
use super::broker::Broker;
use super::log::{Frame, Log};
use crate::clock;

/// A read buffer's room.
const READ_BYTES: usize = 64 * 1024;
/// Above this average a sync leaves the loop's thread.
const HELPER_ABOVE_US: f64 = 200.0;
/// Above this average a commit waits for company.
const GATHER_ABOVE_US: f64 = 500.0;
/// The longest that a commit waits for company.
const GATHER_MAX_US: f64 = 100.0;

struct Connection {
    socket: OwnedWriteHalf,
    output: RefCell<Output>,
}

#[derive(Default)]
struct Output {
    bytes: BytesMut,
    /// Bytes of this connection that the socket has taken since it began: where `bytes` starts.
    written: u64,
    /// Up to where a finished commit has let them out; never below `written`.
    released: u64,
    dirty: bool,
    flushing: bool,
}

/// What connections and committer share.
#[derive(Default)]
struct Hub {
    state: RefCell<Shared>,
    wake: Notify,
}

#[derive(Default)]
struct Shared {
    broker: Broker,
    dirty: Vec<Rc<Connection>>,
    /// Requests applied since the frame was last taken.
    waiting: usize,
}

/// Connections that wait for one commit, each with the end of its replies up to that commit.
type Waiting = Vec<(Rc<Connection>, u64)>;

/// Serves `listener` until the process is ended.
pub(crate) fn serve(listener: TcpListener, log: Log, place: SyncPlace, local_set: bool) -> Result<()> {
    listener.set_nonblocking(true)?;
    if local_set {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return tokio::task::LocalSet::new().block_on(&runtime, accept(listener, log, place));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default())?;
    runtime.block_on(accept(listener, log, place))
}

async fn accept(listener: TcpListener, log: Log, place: SyncPlace) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let hub = Rc::new(Hub::default());
    let committer = Committer { hub: Rc::clone(&hub), log: Some(log), helper: Helper::start(), place };
    spawn_local(async move {
        if let Err(error) = committer.run().await {
            // A failed write or sync is final.
            eprintln!("commit failed: {error:#}");
            std::process::exit(1);
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        spawn_local(connection(Rc::clone(&hub), stream));
    }
}

async fn connection(hub: Rc<Hub>, stream: TcpStream) {
    let (mut reader, socket): (OwnedReadHalf, _) = stream.into_split();
    let connection = Rc::new(Connection { socket, output: RefCell::default() });
    let mut input = BytesMut::with_capacity(READ_BYTES);
    while reader.read_buf(&mut input).await.is_ok_and(|count| count > 0) {
        hub.consume(&connection, &mut input);
        input.reserve(READ_BYTES / 4);
    }
}

impl Hub {
    fn consume(&self, connection: &Rc<Connection>, input: &mut BytesMut) {
        let mut replies = Vec::new();
        let mut shared = self.state.borrow_mut();
        let (used, commands) = shared.broker.consume(input, &mut replies);
        input.advance(used);
        if commands == 0 {
            return;
        }
        shared.waiting += commands;
        let mut output = connection.output.borrow_mut();
        output.bytes.extend_from_slice(&replies);
        if !output.dirty {
            output.dirty = true;
            shared.dirty.push(Rc::clone(connection));
        }
        if shared.dirty.len() == 1 {
            self.wake.notify_one();
        }
    }

    /// The frame and those who wait for it; requests that come from now on wait for the next one.
    fn take(&self, empty: &mut Frame) -> (Waiting, usize) {
        let mut shared = self.state.borrow_mut();
        std::mem::swap(shared.broker.frame_mut(), empty);
        let waiting = shared.dirty.drain(..).map(|connection| {
            let mut output = connection.output.borrow_mut();
            output.dirty = false;
            let end = output.written + output.bytes.len() as u64;
            drop(output);
            (connection, end)
        });
        let waiting = waiting.collect();
        (waiting, std::mem::take(&mut shared.waiting))
    }
}

/// Writes and syncs frames, one at a time.
struct Committer {
    hub: Rc<Hub>,
    log: Option<Log>,
    helper: Helper,
    place: SyncPlace,
}

impl Committer {
    async fn run(mut self) -> Result<()> {
        let mut frame = Frame::default();
        let mut expected = 0;
        loop {
            self.hub.wake.notified().await;
            // Resumed only after the driver was polled: every ready connection has been read by then.
            yield_now().await;
            let mut log = self.log.take().expect("the log is back after each commit");
            gather(&self.hub, log.average_us(), expected).await;
            let (waiting, requests) = self.hub.take(&mut frame);
            expected = requests;
            let away = match self.place {
                SyncPlace::Loop => false,
                SyncPlace::Helper => true,
                SyncPlace::Adaptive => log.average_us() > HELPER_ABOVE_US,
            };
            if frame.records == 0 {
                // Only errors to answer: nothing to make durable.
            } else if away {
                (log, frame) = self.helper.commit(log, frame).await?;
            } else {
                log.commit(&mut frame)?;
            }
            super::server::publish(&log);
            self.log = Some(log);
            for (connection, end) in waiting {
                release(connection, end);
            }
        }
    }
}

/// On a slow disk, waits a little for as many requests as the last frame released: they are probably on their way again.
async fn gather(hub: &Hub, average_us: f64, expected: usize) {
    if average_us < GATHER_ABOVE_US {
        return;
    }
    let limit = Duration::from_secs_f64((average_us / 10.0).min(GATHER_MAX_US) / 1e6);
    let started = clock::now();
    while hub.state.borrow().waiting < expected && started.elapsed() < limit {
        yield_now().await;
    }
}

/// Lets out the replies up to `end`.
fn release(connection: Rc<Connection>, end: u64) {
    let mut output = connection.output.borrow_mut();
    output.released = end;
    if output.flushing {
        return;
    }
    write_released(&connection.socket, &mut output);
    if output.released > output.written {
        output.flushing = true;
        drop(output);
        spawn_local(flush(connection));
    }
}

/// Writes what the socket takes; an error shows up at the reading side too, which ends the connection.
fn write_released(socket: &OwnedWriteHalf, output: &mut Output) {
    let length = (output.released - output.written) as usize;
    if let Ok(count) = socket.try_write(&output.bytes[..length]) {
        output.bytes.advance(count);
        output.written += count as u64;
    }
}

/// Goes on writing for a peer that reads slowly.
async fn flush(connection: Rc<Connection>) {
    while connection.socket.writable().await.is_ok() {
        let mut output = connection.output.borrow_mut();
        write_released(&connection.socket, &mut output);
        if output.released == output.written {
            output.flushing = false;
            return;
        }
    }
}

/// A thread that commits while the loop goes on.
struct Helper {
    work: mpsc::Sender<(Log, Frame)>,
    done: tokio::sync::mpsc::UnboundedReceiver<Result<(Log, Frame)>>,
}

impl Helper {
    fn start() -> Self {
        let (work, inbox) = mpsc::channel::<(Log, Frame)>();
        let (outbox, done) = tokio::sync::mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for (mut log, mut frame) in inbox {
                let outcome = log.commit(&mut frame).map(|()| (log, frame));
                if outbox.send(outcome).is_err() {
                    return;
                }
            }
        });
        Self { work, done }
    }

    async fn commit(&mut self, log: Log, frame: Frame) -> Result<(Log, Frame)> {
        self.work.send((log, frame)).context("the helper thread is gone")?;
        self.done.recv().await.context("the helper thread is gone")?
    }
}
