//! As much of a browser as is measured: one page with the time to its first byte, and a stream that is read as it comes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::clock;

/// A dashboard that says nothing for this long has failed.
const SILENCE: Duration = Duration::from_secs(20);

/// A page, and the milliseconds from its request to the first byte of its answer.
pub(super) struct Fetched {
    pub(super) html: String,
    pub(super) first_byte_ms: f64,
}

/// Fetches `path` over a connection of its own, whose making is not counted.
pub(super) fn fetch(address: SocketAddr, path: &str) -> Result<Fetched> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    let started = clock::now();
    stream.write_all(request(address, path, "close").as_bytes())?;
    let mut answer = vec![0; 1 << 16];
    let read = stream.read(&mut answer).with_context(|| format!("{path} is not answered"))?;
    let first_byte_ms = started.elapsed().as_secs_f64() * 1e3;
    answer.truncate(read);
    stream.read_to_end(&mut answer)?;
    let html = String::from_utf8_lossy(&answer).into_owned();
    ensure!(html.starts_with("HTTP/1.1 200"), "{path} answers {:?}", html.lines().next().unwrap_or_default());
    Ok(Fetched { html, first_byte_ms })
}

fn request(address: SocketAddr, path: &str, connection: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: {connection}\r\n\r\n")
}

/// A page that stays open: its stream, read and thrown away.
pub(super) struct Viewer {
    stream: TcpStream,
    reader: JoinHandle<u64>,
}

impl Viewer {
    /// Opens the page at `path` and the stream that it names.
    pub(super) fn open(address: SocketAddr, path: &str) -> Result<Self> {
        let page = fetch(address, path)?.html;
        let rest = page.split_once("hx-sse:connect=\"").with_context(|| format!("{path} has no stream"))?.1;
        let source = rest.split('"').next().unwrap_or(rest).replace("&amp;", "&");
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(request(address, &source, "keep-alive").as_bytes())?;
        let mut read = stream.try_clone()?;
        let reader = std::thread::spawn(move || {
            let (mut buffer, mut updates) = (vec![0; 1 << 16], 0);
            while let Ok(count @ 1..) = read.read(&mut buffer) {
                // Each update has one, at the begin of a line.
                updates += buffer[..count].windows(4).filter(|part| part == b"\nid:").count() as u64;
            }
            updates
        });
        Ok(Self { stream, reader })
    }

    /// Closes it; answers how many updates came.
    pub(super) fn close(self) -> Result<u64> {
        self.stream.shutdown(Shutdown::Both)?;
        self.reader.join().ok().context("a viewer panicked")
    }
}
