//! A blocking client of the protocol, for what is not measured: one request, one reply.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use queue_core::resp::{ReplyLimits, ReplyReader, Value};

use crate::load::encode;

/// A server that says nothing for this long has failed.
const SILENCE: Duration = Duration::from_secs(20);

pub(crate) struct Client {
    stream: TcpStream,
    reader: ReplyReader,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        Ok(Self { stream, reader: ReplyReader::new(ReplyLimits::default()) })
    }

    pub(crate) fn send(&mut self, arguments: &[&[u8]]) -> Result<()> {
        Ok(self.stream.write_all(&encode(arguments))?)
    }

    /// The next reply; an error that the server answers is one of ours.
    pub(crate) fn receive(&mut self) -> Result<Value> {
        let mut buffer = [0; 4096];
        loop {
            match self.reader.next_reply()? {
                Some(Value::Error(error)) => bail!("the server answered {error}"),
                Some(reply) => return Ok(reply),
                None => {}
            }
            let read = self.stream.read(&mut buffer)?;
            ensure!(read > 0, "the server closed the connection");
            self.reader.buffer_mut().extend_from_slice(&buffer[..read]);
        }
    }
}

/// Asks the server at `address` until its engine is open.
pub(crate) fn await_ready(address: SocketAddr) -> Result<()> {
    let mut client = Client::connect(address)?;
    loop {
        client.send(&[b"STATS"])?;
        match client.receive() {
            Ok(_) => return Ok(()),
            Err(error) if error.to_string().contains("LOADING") => std::thread::yield_now(),
            Err(error) => return Err(error),
        }
    }
}
