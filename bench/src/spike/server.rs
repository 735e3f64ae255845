//! One spike server as a process of its own: the child that serves, and the handle its parent holds.
//!
//! The child prints its address, then answers each line on its standard input with its number of syncs; it ends with its parent.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};

use super::log::Log;
use super::{Candidate, HUGE_PAGES, ServeArguments, SyncPlace, mio_loop, name, tokio_loop};

/// Syncs of this process's log so far.
static SYNCS: AtomicU64 = AtomicU64::new(0);

/// Makes the log's count of syncs visible to the thread that reports it.
pub(super) fn publish(log: &Log) {
    SYNCS.store(log.syncs(), Ordering::Relaxed);
}

/// Serves until standard input ends.
pub(super) fn serve(arguments: &ServeArguments) -> Result<()> {
    let log = Log::create(&arguments.log, Duration::from_millis(arguments.added_ms))?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("{}", listener.local_addr()?);
    std::thread::spawn(report);
    match arguments.server {
        Candidate::Inline => tokio_loop::serve(listener, log, SyncPlace::Loop, false),
        Candidate::InlineLocalSet => tokio_loop::serve(listener, log, SyncPlace::Loop, true),
        Candidate::Helper => tokio_loop::serve(listener, log, SyncPlace::Helper, false),
        Candidate::Adaptive => tokio_loop::serve(listener, log, SyncPlace::Adaptive, false),
        Candidate::Mio => mio_loop::serve(listener, log),
    }
}

fn report() {
    for _ in std::io::stdin().lines() {
        println!("{}", SYNCS.load(Ordering::Relaxed));
    }
    std::process::exit(0);
}

/// A running child.
pub(super) struct Server {
    child: Child,
    asking: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    /// Starts `candidate` on a new log in `folder`.
    pub(super) fn start(candidate: Candidate, added_ms: u64, folder: &Path) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["spike", "serve", "--server", &name(candidate), "--added-ms", &added_ms.to_string(), "--log"])
            .arg(folder.join("log"))
            .env(HUGE_PAGES, "0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let asking = child.stdin.take().context("the child has no standard input")?;
        let mut answers = BufReader::new(child.stdout.take().context("the child has no standard output")?);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let address = line.trim().parse().with_context(|| format!("{candidate:?} did not start"))?;
        Ok(Self { child, asking, answers, address })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Syncs that the child has made.
    pub(super) fn syncs(&mut self) -> Result<u64> {
        self.asking.write_all(b"syncs\n")?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line.trim().parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only when the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
