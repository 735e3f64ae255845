//! Standard output: buffered, without colour where it is no terminal, and quiet when its reader goes away.
//!
//! Every write returns its error, so a closed pipe ends the command through [`crate::failure::Failure::ReaderGone`]
//! instead of a panic.

use std::fmt;
use std::io::{self, BufWriter, Write};

use serde::Serialize;

/// Where a command's answer goes.
pub(crate) struct Out {
    to: BufWriter<anstream::AutoStream<io::Stdout>>,
}

impl Out {
    /// Standard output.
    pub(crate) fn stdout() -> Self {
        Self { to: BufWriter::new(anstream::stdout()) }
    }

    /// One line of text.
    pub(crate) fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        writeln!(self.to, "{text}")
    }

    /// Text that brings its own line ends.
    pub(crate) fn text(&mut self, text: &str) -> io::Result<()> {
        self.to.write_all(text.as_bytes())
    }

    /// One line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let text = serde_json::to_string(value).expect("what is shown is plain data");
        self.line(text)
    }

    /// Shows what was written so far.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
