//! A server in this process on a port of its own, and a plain client that sees every byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::BytesMut;
use queue_core::engine::{Engine, LocalEngine, LocalOptions};
use queue_core::model::Error;
use queue_core::resp::{ReplyLimits, ReplyReader, RequestWriter, Value};
use server::{Bound, CancellationToken, Config};

/// Nothing here takes longer, unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Server {
    pub(crate) bound: Bound,
    stop: CancellationToken,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

pub(crate) fn config() -> Config {
    Config { listen: "127.0.0.1:0".to_owned(), admin: None, ..Config::default() }
}

/// A memory engine on the runtime that calls.
pub(crate) async fn memory() -> Result<Arc<dyn Engine>, Error> {
    Ok(Arc::new(LocalEngine::memory(LocalOptions::default())))
}

impl Server {
    pub(crate) fn start(config: Config) -> Self {
        let known = config.password.is_none();
        let server = Self::opening(config, memory());
        // Opening takes no time, but another thread; it is over once INFO says so.
        while known && !server.client().text("INFO").contains("loading:0") {
            std::thread::yield_now();
        }
        server
    }

    pub(crate) fn opening(
        config: Config,
        open: impl Future<Output = Result<Arc<dyn Engine>, Error>> + Send + 'static,
    ) -> Self {
        let stop = CancellationToken::new();
        let (tell, told) = mpsc::channel();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            server::run(&config, open, stopped, |bound| tell.send(bound).expect("the test waits"))
        });
        let bound = told.recv_timeout(PATIENCE).expect("the server binds");
        Self { bound, stop, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.bound.clients
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.bound.clients)
    }

    /// Stops the server and waits until it has.
    pub(crate) fn stop(mut self) -> Result<(), Error> {
        self.stop.cancel();
        self.thread.take().expect("stopped once").join().expect("the server does not panic")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A test that failed has its own message already.
            let _ = thread.join();
        }
    }
}

/// A client that sends lines as redis-cli would, and reads replies.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    reader: ReplyReader,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a good time");
        stream.set_nodelay(true).expect("a good socket");
        Self { stream, reader: ReplyReader::new(ReplyLimits::default()) }
    }

    pub(crate) fn send(&mut self, text: &str) {
        self.stream.write_all(format!("{text}\r\n").as_bytes()).expect("the server reads");
    }

    /// Sends requests of any bytes, as clients other than people do.
    pub(crate) fn request(&mut self, requests: &[&[&[u8]]]) {
        let mut out = BytesMut::new();
        requests.iter().for_each(|words| RequestWriter::write(&mut out, words));
        self.stream.write_all(&out).expect("the server reads");
    }

    /// A figure of INFO.
    pub(crate) fn figure(&mut self, field: &str) -> u64 {
        let info = self.text("INFO");
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.unwrap_or_else(|| panic!("INFO tells no {field}")).parse().expect("a number")
    }

    /// The next reply; `None` if the server closed the connection.
    pub(crate) fn read(&mut self) -> Option<Value> {
        loop {
            if let Some(value) = self.reader.next_reply().expect("a good reply") {
                return Some(value);
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(read) => self.reader.buffer_mut().extend_from_slice(&bytes[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("no reply came: {error}"),
            }
        }
    }

    pub(crate) fn ask(&mut self, text: &str) -> Value {
        self.send(text);
        self.read().unwrap_or_else(|| panic!("{text}: the server closed the connection"))
    }

    /// The reply as text, if it is one; errors with a minus before them.
    pub(crate) fn text(&mut self, text: &str) -> String {
        match self.ask(text) {
            Value::Simple(text) => text,
            Value::Error(text) => format!("-{text}"),
            Value::Bulk(bytes) => String::from_utf8(bytes).expect("text"),
            Value::Integer(number) => number.to_string(),
            other => format!("{other:?}"),
        }
    }
}
