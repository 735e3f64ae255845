//! The server loop written by hand over epoll: the rival that shows what tokio's tasks cost.
//!
//! Each turn reads every ready connection, applies, commits once on this thread, and writes the replies.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;

use anyhow::Result;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::broker::Broker;
use super::log::{Frame, Log};

const READ_BYTES: usize = 64 * 1024;
const LISTENER: Token = Token(usize::MAX);

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
}

/// Serves `listener` until the process is ended.
pub(crate) fn serve(listener: TcpListener, mut log: Log) -> Result<()> {
    listener.set_nonblocking(true)?;
    let mut listener = mio::net::TcpListener::from_std(listener);
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut events = Events::with_capacity(1024);
    let (mut connections, mut dirty) = (Vec::<Option<Connection>>::new(), Vec::new());
    let (mut broker, mut frame) = (Broker::default(), Frame::default());
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                accept(&listener, &poll, &mut connections)?;
            } else if turn(&mut connections[event.token().0], &mut broker) {
                dirty.push(event.token().0);
            }
        }
        std::mem::swap(broker.frame_mut(), &mut frame);
        if frame.records > 0 {
            log.commit(&mut frame)?;
            super::server::publish(&log);
        }
        for at in dirty.drain(..) {
            connections[at].as_mut().map_or(Ok(()), write)?;
        }
    }
}

fn accept(listener: &mio::net::TcpListener, poll: &Poll, connections: &mut Vec<Option<Connection>>) -> Result<()> {
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nodelay(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        poll.registry().register(&mut stream, Token(connections.len()), interest)?;
        connections.push(Some(Connection { stream, input: Vec::new(), output: Vec::new() }));
    }
    Ok(())
}

/// Reads and applies what `slot` has; answers whether there is something to write. An ended connection leaves its slot.
fn turn(slot: &mut Option<Connection>, broker: &mut Broker) -> bool {
    let Some(connection) = slot else { return false };
    loop {
        let start = connection.input.len();
        connection.input.resize(start + READ_BYTES, 0);
        let outcome = connection.stream.read(&mut connection.input[start..]);
        let count = outcome.as_ref().map_or(0, |count| *count);
        connection.input.truncate(start + count);
        match outcome {
            Ok(0) => {
                *slot = None;
                return false;
            }
            // A short read has drained the socket; epoll reports the next byte.
            Ok(count) if count < READ_BYTES => break,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(_) => {
                *slot = None;
                return false;
            }
        }
    }
    let (used, _) = broker.consume(&connection.input, &mut connection.output);
    connection.input.drain(..used);
    !connection.output.is_empty()
}

/// Writes what the socket takes; the rest goes when epoll says that there is room.
fn write(connection: &mut Connection) -> Result<()> {
    match connection.stream.write(&connection.output) {
        Ok(count) => drop(connection.output.drain(..count)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
        Err(_) => connection.output.clear(),
    }
    Ok(())
}
