//! Load generator: a number of connections, each with a number of requests in flight, over one epoll thread.
//!
//! It counts reply lines, so it drives the spike's servers and Redis alike. Requests are prepared once; every request is the same.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::{clock, host};

/// A run in which nothing arrives for this long has failed.
const SILENCE: Duration = Duration::from_secs(20);

/// What to send and how.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Requests in flight on each connection.
    pub(crate) depth: usize,
    /// Requests in all.
    pub(crate) requests: usize,
    /// One encoded request.
    pub(crate) request: Vec<u8>,
    /// Lines of its reply.
    pub(crate) reply_lines: usize,
}

/// What a run measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

struct Client {
    stream: TcpStream,
    sent: VecDeque<Instant>,
    output: Vec<u8>,
    lines: usize,
}

impl Load {
    /// Sends everything, waits for every reply.
    pub(crate) fn run(&self, address: SocketAddr) -> Result<Outcome> {
        let mut poll = Poll::new()?;
        let mut clients = Vec::new();
        for at in 0..self.connections {
            let mut stream = TcpStream::from_std(connect(address)?);
            poll.registry().register(&mut stream, Token(at), Interest::READABLE | Interest::WRITABLE)?;
            clients.push(Client { stream, sent: VecDeque::new(), output: Vec::new(), lines: 0 });
        }
        let started = clock::now();
        let mut left = self.requests;
        for client in &mut clients {
            self.refill(client, &mut left)?;
        }
        let latencies = self.drive(&mut poll, &mut clients, left)?;
        Ok(Outcome {
            requests_per_second: self.requests as f64 / started.elapsed().as_secs_f64(),
            p50_us: host::percentile(&latencies, 0.5),
            p99_us: host::percentile(&latencies, 0.99),
        })
    }

    fn drive(&self, poll: &mut Poll, clients: &mut [Client], mut left: usize) -> Result<Vec<f64>> {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 64 * 1024];
        let mut latencies = Vec::with_capacity(self.requests);
        while latencies.len() < self.requests {
            poll.poll(&mut events, Some(SILENCE))?;
            if events.is_empty() {
                bail!("no reply for {SILENCE:?} after {} of {}", latencies.len(), self.requests);
            }
            for event in &events {
                let client = &mut clients[event.token().0];
                let replies = client.receive(&mut buffer, self.reply_lines)?;
                let now = clock::now();
                latencies.extend(client.sent.drain(..replies).map(|sent| (now - sent).as_secs_f64() * 1e6));
                self.refill(client, &mut left)?;
            }
        }
        Ok(latencies)
    }

    /// Tops a connection up to its depth and writes what its socket takes.
    fn refill(&self, client: &mut Client, left: &mut usize) -> Result<()> {
        let free = (self.depth - client.sent.len()).min(*left);
        if free > 0 {
            let now = clock::now();
            for _ in 0..free {
                client.output.extend_from_slice(&self.request);
                client.sent.push_back(now);
            }
            *left -= free;
        }
        client.send()
    }
}

impl Client {
    fn send(&mut self) -> Result<()> {
        if self.output.is_empty() {
            return Ok(());
        }
        match self.stream.write(&self.output) {
            Ok(count) => drop(self.output.drain(..count)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Reads what is there; answers how many replies are complete with it.
    fn receive(&mut self, buffer: &mut [u8], reply_lines: usize) -> Result<usize> {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => bail!("the server closed the connection"),
                Ok(count) => {
                    if memchr::memchr(b'-', &buffer[..count]).is_some() {
                        bail!("the server answered an error: {}", String::from_utf8_lossy(&buffer[..count.min(200)]));
                    }
                    self.lines += memchr::memchr_iter(b'\n', &buffer[..count]).count();
                    if count < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let replies = self.lines / reply_lines;
        self.lines %= reply_lines;
        Ok(replies)
    }
}

fn connect(address: SocketAddr) -> Result<std::net::TcpStream> {
    let stream = std::net::TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Encodes a command as the protocol's array of bulk strings.
pub(crate) fn encode(arguments: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
    out
}
