//! Requests as a client writes them: arrays of bulk strings.
//!
//! Leaves the command to the caller. Invariant: a request has exactly as many arguments as its header says.

use super::header::{count, put_bulk, put_header};
use bytes::BytesMut;

/// Writes one request, argument by argument.
///
/// # Examples
///
/// ```
/// use queue_core::resp::RequestWriter;
/// let mut out = bytes::BytesMut::new();
/// RequestWriter::begin(&mut out, 2).argument(b"ECHO").integer(42).finish();
/// assert_eq!(&out[..], b"*2\r\n$4\r\nECHO\r\n$2\r\n42\r\n");
/// ```
#[derive(Debug)]
#[must_use = "a request is whole only after `finish`"]
pub struct RequestWriter<'a> {
    out: &'a mut BytesMut,
    missing: usize,
}

impl<'a> RequestWriter<'a> {
    /// Begins a request of `arguments` arguments, the command's name included.
    pub fn begin(out: &'a mut BytesMut, arguments: usize) -> Self {
        put_header(out, b'*', count(arguments));
        Self { out, missing: arguments }
    }

    /// Writes a whole request.
    pub fn write(out: &'a mut BytesMut, arguments: &[&[u8]]) {
        arguments
            .iter()
            .fold(Self::begin(out, arguments.len()), |request, argument| request.argument(argument))
            .finish();
    }

    /// The next argument.
    ///
    /// # Panics
    ///
    /// If the request already has as many as it began with.
    pub fn argument(mut self, bytes: &[u8]) -> Self {
        self.missing = self.missing.checked_sub(1).expect("a request has no more arguments than it began with");
        put_bulk(self.out, bytes);
        self
    }

    /// The next argument, a number in decimal digits.
    ///
    /// # Panics
    ///
    /// As [`RequestWriter::argument`].
    pub fn integer(self, number: i64) -> Self {
        self.argument(itoa::Buffer::new().format(number).as_bytes())
    }

    /// Ends the request.
    ///
    /// # Panics
    ///
    /// If arguments are missing: what follows would be taken for them.
    pub fn finish(self) {
        assert_eq!(self.missing, 0, "a request has as many arguments as it began with");
    }
}
