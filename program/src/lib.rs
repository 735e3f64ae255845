//! What Longshore's programs have in common, so that they behave alike: logs, the way to the engine, where they listen, what
//! they tell of themselves, how they end.
//!
//! Leaves to each program what it is for. Invariant: nothing here knows which program it is part of but by what it is told.

pub mod admin;
mod connect;
mod listen;
pub mod log;

use std::process::ExitCode;

use queue_core::model::Error;

pub use connect::{ENGINE, connect};
pub use listen::Listen;

/// The end of a program: a failure goes to standard error, each line under the program's name, and its word is the exit code.
pub fn end(program: &str, ended: Result<(), Error>) -> ExitCode {
    let Err(error) = ended else { return ExitCode::SUCCESS };
    for line in error.message.lines() {
        eprintln!("{program}: {line}");
    }
    ExitCode::from(error.word.exit_code())
}
