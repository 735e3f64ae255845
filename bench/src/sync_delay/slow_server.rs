//! The server's library over the log engine on a slow storage, on a thread of this process, so that its syncs can be counted.
//!
//! Stops and joins its thread when dropped.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use queue_core::engine::{Engine, LocalEngine, LocalOptions};
use queue_core::journal::DirStorage;
use queue_core::journal::faults::{FaultyStorage, Plan};
use queue_core::model::Error;
use server::{CancellationToken, Config};

use crate::client;

pub(super) struct SlowServer {
    address: SocketAddr,
    plan: Arc<Plan>,
    stop: CancellationToken,
    thread: Option<JoinHandle<Result<(), Error>>>,
}

impl SlowServer {
    /// Starts a server on `folder` whose syncs take `delay` longer, and waits until it serves.
    pub(super) fn start(folder: &Path, delay: Duration) -> Result<Self> {
        let storage = FaultyStorage::slow(DirStorage::new(folder), delay);
        let (plan, stop) = (Arc::clone(storage.plan()), CancellationToken::new());
        let (tell, told) = mpsc::channel();
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let config = Config { listen: "127.0.0.1:0".to_owned(), admin: None, ..Config::default() };
            let open = async move {
                let (engine, _) = LocalEngine::on(storage, LocalOptions::default())?;
                Ok(Arc::new(engine) as Arc<dyn Engine>)
            };
            server::run(&config, open, stopped, |bound| {
                // If nobody listens any more there is nothing to measure either.
                let _ = tell.send(bound.clients);
            })
        });
        let address = told.recv().context("the server has ended at its start")?;
        let server = Self { address, plan, stop, thread: Some(thread) };
        client::await_ready(address)?;
        Ok(server)
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// File syncs since the start.
    pub(super) fn syncs(&self) -> u64 {
        self.plan.syncs()
    }
}

impl Drop for SlowServer {
    fn drop(&mut self) {
        self.stop.cancel();
        // How it ended matters to nobody once its figures are taken.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
