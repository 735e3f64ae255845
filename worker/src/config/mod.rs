//! The handlers file: which queues the worker serves, and which program runs which job.
//!
//! `read` turns TOML into values and names every fault by line, field, value and what is allowed; `check` looks at the
//! programs. Leaves to the caller flags and environment, which go before the file, and what the engine's URL means.
//! Invariant: a [`Config`] that was loaded can be run; one fault refuses the whole file. Durations are [`Duration`]s.

mod check;
mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use queue_core::model::fragment;

use crate::command::CommandHandler;

/// Jobs that run at once where nothing else is said.
pub const CONCURRENCY: u32 = 10;
/// Most jobs that one worker runs at once.
pub const CONCURRENCY_MAX: u32 = 10_000;
/// Largest weight of a queue.
pub const WEIGHT_MAX: u32 = 1_000;
/// Time that running jobs have to end after `SIGTERM` where nothing else is said.
pub const GRACE: Duration = Duration::from_secs(25);

/// A handlers file that was read and found sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `engine`: the engine's URL, if the file has one.
    pub engine: Option<String>,
    /// `concurrency`: 1 to 10,000 jobs at once; default 10.
    pub concurrency: u32,
    /// `grace`: time that running jobs have to end after `SIGTERM`; default 25 s.
    pub grace: Duration,
    /// `[queues]`: the queues served, in the order of the file, with weights of 1 to 1,000. At least one.
    pub queues: Vec<(String, u32)>,
    handlers: BTreeMap<String, Arc<CommandHandler>>,
}

impl Config {
    /// Reads and checks the file: what it says, and that each handler's program is there and can be executed.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every fault found, if there is any, or if the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let unreadable = |error: std::io::Error| ConfigError::unreadable(&shown, &error);
        let bytes = std::fs::read(path).map_err(unreadable)?;
        let text = String::from_utf8(bytes).map_err(|error| ConfigError::no_text(&shown, &error.utf8_error()))?;
        Self::parse(&text, &shown, &folder_of(path).map_err(unreadable)?)
    }

    /// As [`Config::load`], for a text: `file` names it in messages, and programs are relative to `dir`, which is
    /// absolute.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with every fault found.
    pub fn parse(text: &str, file: &str, dir: &Path) -> Result<Self, ConfigError> {
        let (config, programs, mut faults) = read::read(text, dir);
        faults.extend(programs.iter().filter_map(|program| check::program(&config, program)));
        if faults.is_empty() {
            return Ok(config);
        }
        faults.sort_by_key(|fault| fault.line);
        let faults = faults.into_iter().map(|Fault { line, message }| format!("{file}:{line}: {message}")).collect();
        Err(ConfigError { faults })
    }

    /// Every handler as the file names it, by name.
    pub fn handlers(&self) -> impl Iterator<Item = (&str, &CommandHandler)> {
        self.handlers.iter().map(|(name, handler)| (name.as_str(), &**handler))
    }
}

/// The file's folder, absolute, so that a handler is found whatever the daemon's own folder is.
fn folder_of(path: &Path) -> std::io::Result<PathBuf> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.canonicalize(),
        _ => std::env::current_dir(),
    }
}

/// What is wrong with a handlers file: every fault, a line each, `FILE:LINE: …`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    faults: Vec<String>,
}

impl ConfigError {
    /// The faults in the order of the file; at least one.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    fn no_text(file: &str, error: &std::str::Utf8Error) -> Self {
        Self { faults: vec![format!("{file} is no UTF-8 text: see its byte {}", error.valid_up_to())] }
    }

    fn unreadable(file: &str, error: &std::io::Error) -> Self {
        let why = match error.kind() {
            std::io::ErrorKind::NotFound => "no such file; `longshore init` writes one to start from".to_owned(),
            _ => fragment(error),
        };
        Self { faults: vec![format!("cannot read {file}: {why}")] }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

/// One thing that is wrong. Lines count from 1.
#[derive(Debug)]
struct Fault {
    line: usize,
    message: String,
}

/// Where the file names a program, and whose.
#[derive(Debug)]
struct Program {
    line: usize,
    field: String,
    handler: String,
}
