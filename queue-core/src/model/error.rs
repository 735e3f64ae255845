//! Errors: one stable word each, a message that names what is wrong and what would be right, and what to do.
//!
//! The word is the first word of a protocol error, decides the exit code of the command line and the HTTP status.
//! Messages are lower-case fragments without a full stop; they never hold a Rust type or `Debug` text.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{JobNumber, JobState};

/// What kind of refusal or failure an [`Error`] is: the part that programs act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum Word {
    /// A field has a value that is not allowed.
    BadArg,
    /// No such job.
    NoJob,
    /// No such queue.
    NoQueue,
    /// No such worker.
    NoWorker,
    /// No such operation.
    NoOperation,
    /// No failures of such a fingerprint.
    NoFailure,
    /// The job, queue or operation is not in a state that allows this.
    State,
    /// The lease token is not the newest of its job.
    Stale,
    /// Disk, memory or a bound is exhausted; the message says which.
    Full,
    /// The outcome is unknown: a write failed or the reply was lost.
    Unknown,
    /// The broker is still recovering.
    Loading,
    /// No broker answers there.
    Unreachable,
    /// A password is needed, or it was wrong.
    NoAuth,
    /// What was asked is not allowed to this client.
    NoPerm,
    /// This engine can't do that.
    Unsupported,
    /// The feed does not reach back that far.
    Trimmed,
    /// The time given to wait ran out.
    Timeout,
    /// Anything that no client may want to tell apart, such as an unknown protocol command.
    Err,
}

impl Word {
    /// Every word, in the order of the documentation.
    pub const ALL: [Self; 18] = [
        Self::BadArg,
        Self::NoJob,
        Self::NoQueue,
        Self::NoWorker,
        Self::NoOperation,
        Self::NoFailure,
        Self::State,
        Self::Stale,
        Self::Full,
        Self::Unknown,
        Self::Loading,
        Self::Unreachable,
        Self::NoAuth,
        Self::NoPerm,
        Self::Unsupported,
        Self::Trimmed,
        Self::Timeout,
        Self::Err,
    ];

    /// The word as the protocol carries it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadArg => "BADARG",
            Self::NoJob => "NOJOB",
            Self::NoQueue => "NOQUEUE",
            Self::NoWorker => "NOWORKER",
            Self::NoOperation => "NOOPERATION",
            Self::NoFailure => "NOFAILURE",
            Self::State => "STATE",
            Self::Stale => "STALE",
            Self::Full => "FULL",
            Self::Unknown => "UNKNOWN",
            Self::Loading => "LOADING",
            Self::Unreachable => "UNREACHABLE",
            Self::NoAuth => "NOAUTH",
            Self::NoPerm => "NOPERM",
            Self::Unsupported => "UNSUPPORTED",
            Self::Trimmed => "TRIMMED",
            Self::Timeout => "TIMEOUT",
            Self::Err => "ERR",
        }
    }

    /// The word behind the protocol's text; [`Word::Err`] for any other.
    pub fn parse(text: &str) -> Self {
        match text {
            // Redis' words for a wrong password and a client that has not authenticated.
            "WRONGPASS" => Self::NoAuth,
            _ => Self::ALL.into_iter().find(|word| word.as_str() == text).unwrap_or(Self::Err),
        }
    }

    /// Whether doing the same again later can succeed. `UNKNOWN` may be resent only where every job has an id.
    pub const fn retry_helps(self) -> bool {
        matches!(self, Self::Full | Self::Loading | Self::Unreachable | Self::Timeout)
    }

    /// The exit code of the command line.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::NoJob | Self::NoQueue | Self::NoWorker | Self::NoOperation | Self::NoFailure => 3,
            Self::Loading | Self::Unreachable => 4,
            Self::Unknown => 5,
            Self::Timeout => 7,
            _ => 1,
        }
    }

    /// The HTTP status.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::BadArg | Self::Err => 400,
            Self::NoAuth => 401,
            Self::NoPerm => 403,
            Self::State | Self::Stale => 409,
            Self::Trimmed => 410,
            Self::Unsupported => 501,
            Self::Unknown | Self::Loading | Self::Unreachable => 503,
            Self::Timeout => 504,
            Self::Full => 507,
            Self::NoJob | Self::NoQueue | Self::NoWorker | Self::NoOperation | Self::NoFailure => 404,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal or failure: a word for programs, a message for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// What kind it is.
    pub word: Word,
    /// What is wrong, with field and value, and what would be right.
    pub message: String,
}

impl Error {
    /// An error of any kind.
    pub fn new(word: Word, message: impl Into<String>) -> Self {
        Self { word, message: message.into() }
    }

    /// `BADARG`: `field` has `value`; `allowed` says what would be right. Long values are cut.
    ///
    /// # Examples
    ///
    /// ```
    /// use queue_core::model::Error;
    /// let error = Error::bad_arg("priority", "5000", "an integer from -1000 to 1000");
    /// assert_eq!(error.message, "priority is 5000; allowed: an integer from -1000 to 1000");
    /// ```
    pub fn bad_arg(field: &str, value: impl fmt::Display, allowed: &str) -> Self {
        let value = value.to_string();
        let shown = if value.is_empty() { "empty".to_owned() } else { cut(&value, 64) };
        Self::new(Word::BadArg, format!("{field} is {shown}; allowed: {allowed}"))
    }

    /// `NOJOB` for whatever named the job.
    pub fn no_job(job: impl fmt::Display) -> Self {
        Self::new(Word::NoJob, format!("no job {job}: it never existed, was removed, or aged out"))
    }

    /// `NOQUEUE` for a queue's name.
    pub fn no_queue(queue: &str) -> Self {
        Self::new(Word::NoQueue, format!("no queue {}: a queue is made by its first job", cut(queue, 64)))
    }

    /// `NOWORKER` for a worker's name.
    pub fn no_worker(worker: &str) -> Self {
        Self::new(Word::NoWorker, format!("no worker {}: none of this name has beaten lately", cut(worker, 64)))
    }

    /// `NOOPERATION` for its number.
    pub fn no_operation(operation: impl fmt::Display) -> Self {
        Self::new(Word::NoOperation, format!("no operation {operation}: it never existed, or ended long ago"))
    }

    /// `NOFAILURE` for a fingerprint.
    pub fn no_failure(fingerprint: &str) -> Self {
        Self::new(
            Word::NoFailure,
            format!("no failures {}: none were like that, or too long ago", cut(fingerprint, 200)),
        )
    }

    /// `STATE`: the job is in `state`; `verb` needs one of `needs`.
    pub fn state(number: JobNumber, state: JobState, verb: &str, needs: &str) -> Self {
        Self::new(Word::State, format!("job {number} is {state}; {verb} needs {needs}"))
    }
}

/// What the system or a library says of a failure, in our form: a lower-case fragment without the system's number.
///
/// # Examples
///
/// ```
/// let error = std::fs::read("/no/such/file").expect_err("there is none");
/// assert_eq!(queue_core::model::fragment(&error), "no such file or directory");
/// ```
pub fn fragment(error: &dyn std::error::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    match (letters.next(), letters.clone().next()) {
        // A word of capitals stays one.
        (Some(first), Some(second)) if !second.is_uppercase() => first.to_lowercase().chain(letters).collect(),
        _ => text.to_owned(),
    }
}

/// `text` as one line of at most `max` bytes, with control characters replaced and an ellipsis where it was cut.
fn cut(text: &str, max: usize) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    if text.len() <= max {
        return text.chars().map(clean).collect();
    }
    let end = (0..=max).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    text[..end].chars().map(clean).chain(std::iter::once('…')).collect()
}
