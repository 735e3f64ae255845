//! A Longshore server of our own to measure: loopback, a free port, `--fsync always`, a data directory.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};

use crate::client;
use crate::daemon::Daemon;

pub(crate) struct LongshoreServer {
    daemon: Daemon,
    address: SocketAddr,
}

impl LongshoreServer {
    /// Starts the server on `folder` and waits until it serves.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        Self::start_with(folder, &[])
    }

    /// As [`LongshoreServer::start`], with more flags.
    pub(crate) fn start_with(folder: &Path, flags: &[&str]) -> Result<Self> {
        let folder = folder.to_str().context("the folder's path is text")?;
        let usual = ["serve", "--listen", "127.0.0.1:0", "--admin", "none", "--fsync", "always", "--data", folder];
        let daemon = Daemon::start(&[&usual, flags].concat())?;
        let address = daemon.said("listens on ", &[',', ';'])?.parse()?;
        client::await_ready(address)?;
        Ok(Self { daemon, address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address as an engine's.
    pub(crate) fn url(&self) -> String {
        format!("longshore://{}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.daemon.pid()
    }
}
