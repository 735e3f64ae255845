//! A Redis of our own to measure against: loopback, a free port, `appendfsync always`, files in the run's scratch folder.
//!
//! Ends the process it started when dropped, and no other.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::clock;

/// How long Redis may take until it accepts connections.
const START_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) struct RedisServer {
    child: Child,
    address: SocketAddr,
}

impl RedisServer {
    /// Starts `redis-server` with an append-only file synced before each reply.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--dir"])
            .arg(folder)
            .args(["--appendonly", "yes", "--appendfsync", "always", "--save", ""])
            .args(["--no-appendfsync-on-rewrite", "no", "--auto-aof-rewrite-percentage", "0"])
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start redis-server; install it: apt-get install redis-server (version 7)")?;
        let mut server = Self { child, address };
        server.await_start()?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Requests per second of redis-benchmark's LPUSH of 190 bytes, `connections` with one in flight each.
    pub(crate) fn benchmark_lpush(&self, connections: u32, requests: u64) -> Result<f64> {
        let output = Command::new("redis-benchmark")
            .args(["-p", &self.address.port().to_string(), "-c", &connections.to_string()])
            .args(["-n", &requests.to_string(), "-d", "190", "-t", "lpush", "--csv"])
            .output()
            .context("cannot start redis-benchmark; install it: apt-get install redis-tools (version 7)")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().find(|line| line.starts_with("\"LPUSH")).context("redis-benchmark printed no LPUSH")?;
        let rate = line.split(',').nth(1).context("redis-benchmark's line has no rate")?;
        Ok(rate.trim_matches('"').parse()?)
    }

    /// Tries to connect until Redis listens; a refused connection returns at once, so each try is followed by a yield.
    fn await_start(&mut self) -> Result<()> {
        let started = clock::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("redis-server ended at start: {status}");
            }
            if started.elapsed() > START_TIMEOUT {
                bail!("redis-server does not listen on {} after {START_TIMEOUT:?}", self.address);
            }
            std::thread::yield_now();
        }
        Ok(())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // Both fail only when the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
