//! One of our own daemons to measure: this program once more, as a process whose memory and time can be told from ours.
//!
//! Ends the process it started when dropped, as kill -9 does, and no other.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

pub(crate) struct Daemon {
    child: Child,
    /// The first line that it wrote: where it listens.
    said: String,
}

impl Daemon {
    /// Starts this program with `arguments`, and waits for its first line.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .env("LONGSHORE_LOG", "warn")
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {arguments:?}"))?;
        let output = child.stdout.take().context("its output is piped")?;
        // Made before it has answered, so that one that says nothing of use is ended too.
        let mut daemon = Self { child, said: String::new() };
        BufReader::new(output).read_line(&mut daemon.said)?;
        Ok(daemon)
    }

    /// What stands behind `before` in its first line, up to any of `end`.
    pub(crate) fn said(&self, before: &str, end: &[char]) -> Result<&str> {
        let rest = self.said.split_once(before).with_context(|| format!("it said {:?}", self.said))?.1;
        Ok(rest.split(end).next().unwrap_or(rest).trim_end())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only when the process is already gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
