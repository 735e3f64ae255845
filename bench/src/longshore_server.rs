//! A Longshore server of our own to measure: loopback, a free port, `--fsync always`, a data directory.
//!
//! It is the daemon itself, run by this program as a process of its own, so that its memory can be told from ours.
//! Ends the process it started when dropped, as kill -9 does, and no other.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::client;

pub(crate) struct LongshoreServer {
    child: Child,
    address: SocketAddr,
}

impl LongshoreServer {
    /// Starts the server on `folder` and waits until it serves.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, &[])
    }

    /// As [`LongshoreServer::start`], with more flags.
    pub(crate) fn start_with(folder: &Path, flags: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--admin", "none", "--fsync", "always", "--data"])
            .arg(folder)
            .args(flags)
            .env("LONGSHORE_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let said = child.stdout.take().context("the server's output is piped")?;
        // Made before the server has answered, so that one that says nothing of use is ended too.
        let mut server = Self { child, address: SocketAddr::from(([127, 0, 0, 1], 0)) };
        let mut line = String::new();
        BufReader::new(said).read_line(&mut line)?;
        let address = line.split_once("listens on ").and_then(|(_, rest)| rest.split([',', ';']).next());
        server.address = address.and_then(|text| text.parse().ok()).with_context(|| format!("it said {line:?}"))?;
        client::await_ready(server.address)?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as an engine's.
    pub(crate) fn url(&self) -> String {
        format!("longshore://{}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for LongshoreServer {
    fn drop(&mut self) {
        // Both fail only when the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
