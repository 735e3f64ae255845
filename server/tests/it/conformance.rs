//! The conformance suite over the remote engine: a real server process on a directory of its own, in real time.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use queue_core::engine::Engine;
use queue_core::model::Word;
use queue_core::testkit::Home;
use tempfile::TempDir;

use crate::common::Client;

queue_core::engine_conformance!(crate::conformance::ServerHome::new; every, durable);

/// A server process; it ends with its handle.
struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    fn start(data: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_longshore-server"));
        command.args(["--data", data, "--listen", "127.0.0.1:0", "--admin", "none"]);
        let mut child = command.env_clear().stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it is built");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let rest = line.split("listens on ").nth(1).unwrap_or_else(|| panic!("no address in {line:?}"));
        let address = rest.split([',', ';', ' ', '\n']).next().expect("an address").parse().expect("an address");
        Self { child, address }
    }

    /// Sends SIGTERM and waits for the end.
    fn stop(mut self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
        assert!(self.child.wait().expect("it ends").success(), "a server that is told to stop exits with 0");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory and the server on it.
pub(crate) struct ServerHome {
    data: TempDir,
    process: Mutex<Option<Process>>,
    /// Servers on restored backups.
    others: Mutex<Vec<Process>>,
}

impl ServerHome {
    pub(crate) fn new() -> Self {
        Self { data: tempfile::tempdir().expect("a directory"), process: Mutex::new(None), others: Mutex::default() }
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().expect("no holder panics")
    }

    /// The data directory; backups are beside it.
    fn jobs(&self) -> String {
        self.data.path().join("jobs").to_str().expect("a path of text").to_owned()
    }

    fn restart(&self) -> SocketAddr {
        let mut process = self.process();
        if let Some(running) = process.take() {
            running.stop();
        }
        process.insert(Process::start(&self.jobs())).address
    }
}

async fn connect(url: &str) -> Arc<dyn Engine> {
    loop {
        match queue_core::connect(url).await {
            Ok(engine) => return engine,
            Err(error) if error.word == Word::Loading => tokio::task::yield_now().await,
            Err(error) => panic!("{url}: {error}"),
        }
    }
}

#[async_trait]
impl Home for ServerHome {
    async fn open(&self) -> Arc<dyn Engine> {
        connect(&format!("longshore://{}", self.restart())).await
    }

    async fn waiting_calls(&self) -> Option<u64> {
        let address = self.process().as_ref().expect("the server runs").address;
        let info = Client::new(address).text("INFO");
        let line = info.lines().find_map(|line| line.strip_prefix("blocked_clients:")).expect("INFO tells");
        Some(line.trim().parse().expect("a number"))
    }

    async fn open_backup(&self, name: &str) -> Arc<dyn Engine> {
        let data = self.data.path();
        let restored = data.join("restored").join(name);
        let backup = data.join("jobs-backups").join(name);
        queue_core::engine::restore(backup, &restored, &mut |_, _| {}).expect("it is whole");
        let process = Process::start(restored.to_str().expect("a path of text"));
        let url = format!("longshore://{}", process.address);
        self.others.lock().expect("no holder panics").push(process);
        connect(&url).await
    }

    async fn crash(&self, engine: Arc<dyn Engine>) {
        if let Some(mut running) = self.process().take() {
            running.child.kill().expect("SIGKILL");
            running.child.wait().expect("it ends");
        }
        drop(engine);
    }
}
