//! Standard output: buffered, without colour where it is no terminal, and quiet when its reader goes away.
//!
//! Every write returns its error, so a closed pipe ends the command through [`crate::failure::Failure::ReaderGone`]
//! instead of a panic. It is an error of its own kind: not every failed read or write is one of the output.

use std::fmt;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// Where a command's answer goes.
pub(crate) struct Out {
    to: BufWriter<anstream::AutoStream<io::Stdout>>,
}

/// The answer could not be written.
#[derive(Debug)]
pub(crate) struct Unwritten(pub(crate) io::Error);

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self(error)
    }
}

impl Out {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self { to: BufWriter::new(anstream::stdout()) }
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> Result<(), Unwritten> {
        Ok(writeln!(self.to, "{text}")?)
    }

    /// Text that brings its own line ends.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Unwritten> {
        Ok(self.to.write_all(text.as_bytes())?)
    }

    /// One line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Unwritten> {
        let text = serde_json::to_string(value).expect("what is shown is plain data");
        self.line(text)
    }

    /// Shows what was written so far.
    pub(crate) fn flush(&mut self) -> Result<(), Unwritten> {
        Ok(self.to.flush()?)
    }
}
