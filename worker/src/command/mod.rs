//! One command handler: a program that runs one attempt of one job.
//!
//! It knows processes and pipes and nothing of the engine: the caller leases, passes log lines on and settles.
//! Invariants: the program can neither block nor outgrow the worker, whatever it reads, prints or leaves running;
//! once `run` has returned or was dropped, the program has been waited for or killed.

mod outcome;
mod output;
mod process;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use queue_core::model::{LeasedJob, LogLine, Outcome};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::CancellationToken;

use output::Output;
use process::Process;

/// How long a stopped program has between `TERM` and `KILL`.
pub const KILL_AFTER: Duration = Duration::from_secs(10);

/// How long to go on reading once the program has ended: what it wrote lies in the pipes already, and only a process
/// that it left behind can keep them open for longer.
const DRAIN_AFTER_EXIT: Duration = Duration::from_millis(250);

/// A program with its arguments, and how to run it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandHandler {
    /// The program and its arguments, at least one; no shell reads them. A program with a slash is relative to
    /// `dir`, any other is looked up on `PATH`.
    pub argv: Vec<String>,
    /// The program's working directory: the folder of the handlers file. Absolute.
    pub dir: PathBuf,
    /// Variables beside PATH, HOME, LANG and TZ, which it may replace; `LONGSHORE_…` it may not.
    pub env: BTreeMap<String, String>,
    /// Bound of one attempt, beside that of the job, which the caller watches. `None`: only the job's.
    pub timeout: Option<Duration>,
    /// Time between `TERM` and `KILL`; default [`KILL_AFTER`].
    pub kill_after: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself or by its timeout: what to settle with.
    Settle(Outcome),
    /// Because the caller cancelled it, before the program had ended; the caller knows what that means for the job.
    /// With the last lines of standard error.
    Cancelled(String),
}

impl CommandHandler {
    /// A handler without variables or timeout of its own.
    pub fn new(argv: Vec<String>, dir: PathBuf) -> Self {
        Self { argv, dir, env: BTreeMap::new(), timeout: None, kill_after: KILL_AFTER }
    }

    /// Runs the program for one attempt.
    ///
    /// The payload is its standard input, which it need not read. Exit status 0 completes, and the last line of
    /// standard output that is not blank is the result if it is one JSON value; 65 fails for good; 75 snoozes by the
    /// job's backoff; anything else is a failed attempt with the last lines of standard error in its text.
    ///
    /// `log` gets both outputs line by line while the program runs, within the bounds of a job's log; what is over is
    /// counted in one last line. The handler's own timeout and `cancel` stop the program's whole process group. What the program leaves
    /// behind after ending by itself is left alone.
    ///
    /// Dropping the future kills the process group at once.
    pub async fn run(&self, job: &LeasedJob, cancel: &CancellationToken, log: impl FnMut(LogLine)) -> Ended {
        if cancel.is_cancelled() {
            return Ended::Cancelled(String::new());
        }
        let (mut process, pipes) = match Process::start(self, job) {
            Ok(started) => started,
            Err(error) => return outcome::not_started(self, &error),
        };
        let mut output = Output::new(log);
        let ending = {
            let mut end = pin!(process.end(self.timeout, cancel, self.kill_after));
            let mut talk = pin!(async {
                tokio::join!(feed(pipes.stdin, &job.payload), output.pump(pipes.stdout, pipes.stderr));
            });
            tokio::select! {
                ending = &mut end => {
                    // Running out of this time is the answer, too: somebody else holds the pipes.
                    let _ = tokio::time::timeout(DRAIN_AFTER_EXIT, talk).await;
                    ending
                }
                () = &mut talk => end.await,
            }
        };
        outcome::of(ending, self.timeout, output.finish())
    }

    /// The program as it is started.
    pub fn program(&self) -> PathBuf {
        let name = self.argv.first().map_or("", String::as_str);
        if name.contains('/') { self.dir.join(name.strip_prefix("./").unwrap_or(name)) } else { PathBuf::from(name) }
    }
}

/// Writes the payload and closes the pipe. A program that closes its end first is not interested, which is its right.
async fn feed(mut stdin: tokio::process::ChildStdin, payload: &[u8]) {
    if let Err(error) = stdin.write_all(payload).await {
        tracing::debug!(%error, "the handler did not read its whole payload");
    }
}
