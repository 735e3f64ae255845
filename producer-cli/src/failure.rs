//! Why a command ends other than well: what is said on standard error, what to do next, and the exit code.
//!
//! One table gives each error word its hint. What is said never holds a Rust type or `Debug` text.

use std::io;
use std::process::ExitCode;

use queue_core::model::{Error, Word, fragment};

use crate::out::Unwritten;

/// The exit code for a wrong command line.
pub(crate) const USAGE: u8 = 2;
/// The exit code of `--wait` for a job that ended dead or cancelled.
pub(crate) const NOT_COMPLETED: u8 = 6;

/// The end of a command that did not do what was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something is to be said.
    Said {
        /// What is wrong.
        message: String,
        /// What to do next; may have several lines.
        hint: String,
        /// The exit code.
        exit: u8,
    },
    /// Everything is said already.
    Exit(u8),
    /// Whoever read our output went away: nothing is wrong, and nobody is there to be told.
    ReaderGone,
}

impl Failure {
    /// A failure with its own hint.
    pub(crate) fn new(message: impl Into<String>, hint: impl Into<String>, exit: u8) -> Self {
        Self::Said { message: message.into(), hint: hint.into(), exit }
    }

    /// A value on the command line is not allowed.
    pub(crate) fn usage(error: Error, command: &str) -> Self {
        Self::new(error.message, format!("see: longshore {command} --help"), USAGE)
    }

    /// The system did not give this process what it needs to run.
    pub(crate) fn system(what: &str, error: &io::Error) -> Self {
        let hint = "are there too many processes or open files? ulimit -a";
        Self::new(format!("cannot {what}: {}", fragment(error)), hint, 1)
    }

    /// The end with this exit code, whether or not somebody read what was `shown`.
    pub(crate) fn exit(exit: u8, shown: Result<(), impl Into<Self>>) -> Self {
        match shown.map_err(Into::into) {
            Ok(()) | Err(Self::ReaderGone) => Self::Exit(exit),
            Err(failure) => failure,
        }
    }

    /// Says what is to be said on standard error.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Said { message, hint, exit } => {
                say(&message, &hint);
                ExitCode::from(exit)
            }
            Self::Exit(exit) => ExitCode::from(exit),
            Self::ReaderGone => ExitCode::SUCCESS,
        }
    }
}

/// Prints one error in the one form that errors have; a standard error that is closed is no reason to end otherwise.
pub(crate) fn say(message: &str, hint: &str) {
    use std::io::Write as _;
    let style = anstyle::AnsiColor::Red.on_default().bold();
    let hint: String = hint.lines().map(|line| format!("\n  {line}")).collect();
    let _ = writeln!(anstream::stderr().lock(), "{style}longshore:{style:#} {message}{hint}");
}

/// Says something beside the answer, where a program that reads the answer does not see it.
pub(crate) fn note(text: &str) {
    use std::io::Write as _;
    // As above: nobody there to be told is no failure.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::new(error.message, hint(error.word), error.word.exit_code())
    }
}

impl From<Unwritten> for Failure {
    fn from(Unwritten(error): Unwritten) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ReaderGone;
        }
        Self::new(
            format!("cannot write the output: {}", fragment(&error)),
            "is the disk full, or the output closed?",
            1,
        )
    }
}

/// What to do next about an error.
pub(crate) const fn hint(word: Word) -> &'static str {
    match word {
        Word::BadArg => "nothing was changed; what a command takes: longshore COMMAND --help",
        Word::NoJob => "list them: longshore job list; an id may need --queue",
        Word::NoQueue => "list them: longshore queue list",
        Word::NoWorker => "list them: longshore worker list",
        Word::NoOperation => "list them: longshore operation list",
        Word::NoFailure => "list them: longshore error list",
        Word::State => "nothing was changed; look at it: longshore job show JOB, longshore operation list",
        Word::Stale => "the job was handed out again since; look at it: longshore job show JOB",
        Word::Full => "nothing was changed; make room and try again, what takes it: longshore stats",
        Word::Unknown => {
            "it may be done or not: look before doing it again; with --id an enqueue can safely be sent again"
        }
        Word::Loading => "it is reading its journal; try again in a moment: longshore ping",
        Word::Unreachable => {
            "start one: longshore dev, or longshore-server; another address: --engine or LONGSHORE_ENGINE"
        }
        Word::NoAuth => {
            "give the password in the address: --engine or LONGSHORE_ENGINE=longshore://:PASSWORD@HOST:PORT"
        }
        Word::NoPerm => "ask whoever runs the server for the right to do this",
        Word::Unsupported => "another engine: --engine or LONGSHORE_ENGINE",
        Word::Trimmed => "what happened before is not kept; start with the oldest kept: --from 0",
        Word::Timeout => "wait longer, or look at it: longshore job show JOB",
        _ => "are server and longshore of one version? longshore ping, longshore --version",
    }
}

#[cfg(test)]
mod tests {
    use queue_core::model::Word;

    #[test]
    fn every_error_word_has_a_hint_of_one_line() {
        for word in Word::ALL {
            let hint = super::hint(word);
            assert!(!hint.is_empty() && !hint.contains('\n') && !hint.ends_with('.'), "{word}: {hint}");
        }
    }
}
