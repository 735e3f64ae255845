//! What a program's end means for the job: exit status and output become a settlement.
//!
//! Texts are for people: the status first, then the last lines of standard error.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use queue_core::model::{Outcome, duration, fragment};
use rustix::io::Errno;

use super::output::Printed;
use super::process::Ending;
use super::{CommandHandler, Ended};

/// `EX_DATAERR` of sysexits: the payload is at fault, so another attempt is useless.
const REJECTED: i32 = 65;
/// `EX_TEMPFAIL` of sysexits: not now.
const SNOOZE: i32 = 75;

/// The settlement of a program that ran.
pub(super) fn of(ending: Ending, limit: Option<Duration>, printed: Printed) -> Ended {
    let Printed { result, tail } = printed;
    Ended::Settle(match ending {
        Ending::Cancelled => return Ended::Cancelled(tail),
        Ending::TimedOut => {
            let limit_ms = limit.map_or(0, |limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
            failed("timeout", &format!("timed out after {}", duration::show_ms(limit_ms)), &tail)
        }
        Ending::Lost(error) => failed("wait", &format!("exit status unknown: {error}"), &tail),
        Ending::Exited(status) => match status.code() {
            Some(0) => Outcome::Complete { result: result.map(Into::into) },
            Some(SNOOZE) => Outcome::Snooze { delay_ms: None },
            Some(REJECTED) => Outcome::Fail {
                kind: "rejected".to_owned(),
                error: text("exit status 65 (rejected)", &tail),
                retryable: false,
            },
            Some(code) => failed("exit", &format!("exit status {code}"), &tail),
            None => failed("signal", &killed(status), &tail),
        },
    })
}

/// The settlement of a program that could not be started; the text names what to mend.
pub(super) fn not_started(handler: &CommandHandler, error: &io::Error) -> Ended {
    let program = handler.program();
    let path = program.display();
    if let Some(lack) = lack(error) {
        tracing::warn!(program = %path, "cannot run it now; its job is put off: {lack}");
        return Ended::Settle(Outcome::Snooze { delay_ms: None });
    }
    let looked_up = !program.has_root();
    let why = match error.kind() {
        io::ErrorKind::NotFound if !handler.dir.is_dir() => {
            format!("its folder {} is not there", handler.dir.display())
        }
        io::ErrorKind::NotFound if looked_up => "not found on PATH".to_owned(),
        io::ErrorKind::NotFound if program.exists() => "the interpreter in its first line is not there".to_owned(),
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "not executable by this user".to_owned(),
        _ => fragment(error),
    };
    Ended::Settle(failed("spawn", &format!("cannot run {path}: {why}"), ""))
}

/// What this machine is short of, if that is why: nothing is wrong with the job, so it loses no attempt.
fn lack(error: &io::Error) -> Option<&'static str> {
    Some(match Errno::from_io_error(error)? {
        Errno::MFILE => "too many open files in this process (ulimit -n)",
        Errno::NFILE => "too many open files on this machine",
        Errno::AGAIN => "too many processes (ulimit -u, or the limit of the service)",
        Errno::NOMEM => "no memory for another process",
        _ => return None,
    })
}

fn failed(kind: &str, what: &str, tail: &str) -> Outcome {
    Outcome::Fail { kind: kind.to_owned(), error: text(what, tail), retryable: true }
}

fn text(what: &str, tail: &str) -> String {
    if tail.is_empty() { what.to_owned() } else { format!("{what}: {tail}") }
}

fn killed(status: ExitStatus) -> String {
    let Some(signal) = status.signal() else {
        return format!("ended by {status}");
    };
    let name = match signal {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        _ => return format!("killed by signal {signal}"),
    };
    format!("killed by signal {signal} ({name})")
}
