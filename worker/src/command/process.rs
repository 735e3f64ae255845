//! The program as a process: its environment, its process group, and how it is stopped.
//!
//! Leaves bytes to `output` and meaning to `outcome`.
//! Invariant: a group that was started is released only once its leader has been waited for; dropped before, it is
//! killed.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use queue_core::model::LeasedJob;
use rustix::process::{Pid, Signal, WaitOptions, kill_process_group, test_kill_process_group, waitpgid};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio_util::sync::CancellationToken;

use super::CommandHandler;

/// What a handler sees of the daemon's environment.
const INHERITED: [&str; 4] = ["PATH", "HOME", "LANG", "TZ"];

/// How often to look whether a stopped group is gone; the kernel tells nobody when a stranger's child ends.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why the program runs no more.
#[derive(Debug)]
pub(super) enum Ending {
    /// It ended by itself.
    Exited(ExitStatus),
    /// It was stopped at its time limit.
    TimedOut,
    /// It was stopped because the caller said so.
    Cancelled,
    /// Its exit status could not be read.
    Lost(io::Error),
}

/// Our ends of the program's standard streams.
pub(super) struct Pipes {
    pub(super) stdin: ChildStdin,
    pub(super) stdout: ChildStdout,
    pub(super) stderr: ChildStderr,
}

/// A running program.
pub(super) struct Process {
    child: Child,
    group: Group,
}

impl Process {
    pub(super) fn start(handler: &CommandHandler, job: &LeasedJob) -> io::Result<(Self, Pipes)> {
        let mut child = command(handler, job).spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = Group { leader: leader.expect("a child that was not waited for has a process id"), running: true };
        let pipes = Pipes {
            stdin: child.stdin.take().expect("stdin is piped"),
            stdout: child.stdout.take().expect("stdout is piped"),
            stderr: child.stderr.take().expect("stderr is piped"),
        };
        Ok((Self { child, group }, pipes))
    }

    /// Waits until the program has ended, by itself or because it was stopped.
    pub(super) async fn end(
        &mut self,
        limit: Option<Duration>,
        cancel: &CancellationToken,
        kill_after: Duration,
    ) -> Ending {
        let why = tokio::select! {
            // First, so that work that is done counts as done.
            biased;
            status = self.child.wait() => {
                self.group.running = false;
                return status.map_or_else(Ending::Lost, Ending::Exited);
            }
            () = cancel.cancelled() => Ending::Cancelled,
            () = elapsed(limit) => Ending::TimedOut,
        };
        match self.stop(kill_after).await {
            Ok(_) => why,
            Err(error) => Ending::Lost(error),
        }
    }

    /// `TERM` to the whole group, time to end in order, `KILL` to whoever is left.
    async fn stop(&mut self, kill_after: Duration) -> io::Result<ExitStatus> {
        self.group.signal(Signal::TERM);
        // A stopped process would hear of the end only when continued.
        self.group.signal(Signal::CONT);
        let child = &mut self.child;
        let group = &self.group;
        let in_order = async {
            child.wait().await?;
            group.gone().await;
            io::Result::Ok(())
        };
        if tokio::time::timeout(kill_after, in_order).await.is_err() {
            self.group.signal(Signal::KILL);
        }
        let status = self.child.wait().await;
        self.group.running = false;
        status
    }
}

async fn elapsed(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

fn command(handler: &CommandHandler, job: &LeasedJob) -> Command {
    let mut command = Command::new(handler.program());
    command
        .args(handler.argv.iter().skip(1))
        .current_dir(&handler.dir)
        .env_clear()
        .envs(INHERITED.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .envs(&handler.env)
        .env("LONGSHORE_JOB", job.number.0.to_string())
        .env("LONGSHORE_QUEUE", &job.queue)
        .env("LONGSHORE_NAME", &job.name)
        .env("LONGSHORE_ATTEMPT", job.attempt.to_string())
        .env("LONGSHORE_LEASE_TOKEN", job.token.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// The program's process group: itself, and every descendant that did not leave it.
struct Group {
    leader: Pid,
    running: bool,
}

impl Group {
    /// A group that is gone already is as good as signalled.
    fn signal(&self, signal: Signal) {
        if let Err(error) = kill_process_group(self.leader, signal)
            && error != rustix::io::Errno::SRCH
        {
            tracing::warn!(group = self.leader.as_raw_nonzero().get(), %error, "cannot signal a handler's processes");
        }
    }

    /// Waits until no process of the group is left. Only for a group whose leader has been waited for.
    async fn gone(&self) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            look.tick().await;
            // In a container the worker may be the first process, and orphans become its children.
            while let Ok(Some(_)) = waitpgid(self.leader, WaitOptions::NOHANG) {}
            if test_kill_process_group(self.leader) == Err(rustix::io::Errno::SRCH) {
                return;
            }
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.running {
            self.signal(Signal::KILL);
        }
    }
}
