//! Requests as a server reads them: arrays of bulk strings, or inline lines.
//!
//! The reader owns the connection's read buffer and hands out requests that borrow from it: a request costs no allocation,
//! and nothing can outlive its request by holding a slice of the buffer. Knows no command.
//!
//! Invariants: parsing goes on where it stopped, so a request of many reads takes linear time; memory grows with the bytes
//! that came, never with a declared length; after an error the reader repeats that error for ever.

use super::header::{Header, header, integer, printable};
use super::inline;
use super::read_buffer::ReadBuffer;
use super::request_error::{Counted, RequestError};
use smallvec::SmallVec;

/// What one request may ask for. Bounds what a connection buffers for a request that has not all come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Arguments of one request, its name included.
    pub arguments_max: u32,
    /// Bytes of one argument.
    pub argument_bytes_max: u32,
    /// Bytes of an inline request, without its line end.
    pub inline_bytes_max: u32,
    /// Bytes of a request on the wire, headers included.
    pub request_bytes_max: u32,
    /// Whether the connection may do what it likes; if not, errors say that AUTH would help.
    pub authenticated: bool,
}

impl RequestLimits {
    /// For a connection that may run commands: room for a batch of 10,000 jobs and 16 MiB.
    pub const AUTHENTICATED: Self = Self {
        arguments_max: 1024 * 1024,
        argument_bytes_max: 16 * 1024 * 1024,
        inline_bytes_max: 64 * 1024,
        request_bytes_max: 32 * 1024 * 1024,
        authenticated: true,
    };

    /// For a connection that still has to authenticate: enough for HELLO with AUTH and SETNAME. The first two are Redis'.
    pub const UNAUTHENTICATED: Self = Self {
        arguments_max: 10,
        argument_bytes_max: 16 * 1024,
        inline_bytes_max: 16 * 1024,
        request_bytes_max: 32 * 1024,
        authenticated: false,
    };
}

/// Where an argument lies: in the read buffer, or among the unquoted arguments of an inline request.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

/// One request: a command's name and its arguments, at least one in all.
///
/// Borrows from the reader: copy what has to outlive it.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    wire_bytes: usize,
}

impl<'a> Request<'a> {
    /// Arguments, the command's name included; never 0.
    #[expect(clippy::len_without_is_empty, reason = "a request is never empty")]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// The command's name as it was sent, in any case of letters.
    pub fn name(&self) -> &'a [u8] {
        self.slice(self.spans[0])
    }

    /// The argument with this number; 0 is the command's name.
    pub fn argument(&self, index: usize) -> Option<&'a [u8]> {
        self.spans.get(index).map(|span| self.slice(*span))
    }

    /// All arguments in order, the command's name first.
    pub fn arguments(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + Clone + use<'a> {
        let request = *self;
        request.spans.iter().map(move |span| request.slice(*span))
    }

    /// What the request took on the wire: a caller's measure of how much of one connection it served.
    pub fn wire_bytes(&self) -> usize {
        self.wire_bytes
    }

    fn slice(&self, span: Span) -> &'a [u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }
}

/// A finished request's arguments lie in the read buffer, or, unquoted, beside it.
#[derive(Debug, Clone, Copy)]
enum Source {
    Buffer,
    Unquoted,
}

/// Reads requests out of the bytes of one connection.
///
/// # Examples
///
/// ```
/// use queue_core::resp::{RequestLimits, RequestReader};
/// let mut reader = RequestReader::new(RequestLimits::AUTHENTICATED);
/// reader.buffer_mut().extend_from_slice(b"*2\r\n$4\r\nECHO\r\n$2\r\nhi\r\nPI");
/// let request = reader.next_request()?.expect("a whole request came");
/// assert_eq!((request.name(), request.argument(1)), (&b"ECHO"[..], Some(&b"hi"[..])));
/// assert!(reader.next_request()?.is_none());
/// # Ok::<(), queue_core::resp::RequestError>(())
/// ```
#[derive(Debug)]
pub struct RequestReader {
    buffer: ReadBuffer,
    limits: RequestLimits,
    /// Offset in `buffer` of the first byte not parsed yet; for an inline request, not searched for its end yet.
    position: usize,
    /// Arguments of the current array that have not come yet; 0 between requests.
    missing: u32,
    /// Declared length of the argument whose header was parsed and whose bytes have not all come.
    declared: Option<u32>,
    spans: SmallVec<[Span; 8]>,
    unquoted: Vec<u8>,
    /// The bytes before `position` belong to a request that was handed out; they go with the next call.
    handed_out: bool,
    failed: Option<RequestError>,
}

impl RequestReader {
    /// A reader of a new connection's bytes.
    pub fn new(limits: RequestLimits) -> Self {
        Self {
            buffer: ReadBuffer::default(),
            limits,
            position: 0,
            missing: 0,
            declared: None,
            spans: SmallVec::new(),
            unquoted: Vec::new(),
            handed_out: false,
            failed: None,
        }
    }

    /// Sets the limits from the next length on: a connection that authenticates gets larger ones.
    pub fn set_limits(&mut self, limits: RequestLimits) {
        self.limits = limits;
    }

    /// Where to append what the connection sent; has room for at least 16 KiB. Only append.
    pub fn buffer_mut(&mut self) -> &mut Vec<u8> {
        self.release();
        self.buffer.room()
    }

    /// Bytes that came and have not been handed out in a request.
    pub fn unread_bytes(&self) -> usize {
        self.buffer.len() - if self.handed_out { self.position } else { 0 }
    }

    /// The next whole request, or `None` until more bytes have come. Empty requests (`*0`, a bare line end) are skipped.
    ///
    /// # Errors
    ///
    /// [`RequestError`] if the bytes are no request or exceed the limits; every later call answers the same.
    pub fn next_request(&mut self) -> Result<Option<Request<'_>>, RequestError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.release();
        match self.advance() {
            Ok(None) => Ok(None),
            Ok(Some(source)) => {
                self.handed_out = true;
                let bytes = match source {
                    Source::Buffer => &self.buffer[..self.position],
                    Source::Unquoted => &self.unquoted[..],
                };
                Ok(Some(Request { bytes, spans: &self.spans, wire_bytes: self.position }))
            }
            Err(error) => {
                self.failed = Some(error.clone());
                Err(error)
            }
        }
    }

    /// Drops the bytes of the request that was handed out last.
    fn release(&mut self) {
        if !self.handed_out {
            return;
        }
        self.handed_out = false;
        self.skip();
        self.spans.clear();
        self.unquoted.clear();
        // A request of very many arguments, or a long line, must not keep its memory for the connection's life.
        if self.spans.capacity() > 1024 {
            self.spans.shrink_to_fit();
        }
        if self.unquoted.capacity() > 1024 {
            self.unquoted = Vec::new();
        }
    }

    fn skip(&mut self) {
        self.buffer.advance(self.position);
        self.position = 0;
    }

    /// Parses up to the end of one request that is not empty.
    fn advance(&mut self) -> Result<Option<Source>, RequestError> {
        loop {
            if self.missing > 0 {
                return Ok(self.array()?.then_some(Source::Buffer));
            }
            let (source, whole) = match self.buffer.first() {
                None => return Ok(None),
                Some(b'*') => (Source::Buffer, self.array_header()?),
                Some(_) => (Source::Unquoted, self.line()?),
            };
            if !whole {
                return Ok(None);
            }
            if self.missing > 0 {
                continue;
            }
            if !self.spans.is_empty() {
                return Ok(Some(source));
            }
            self.skip();
        }
    }

    /// Reads `*n`; false if it has not all come.
    fn array_header(&mut self) -> Result<bool, RequestError> {
        let Some((found, bytes)) = self.length(Counted::Arguments, 1)? else { return Ok(false) };
        self.missing = found;
        self.position = bytes + 1;
        Ok(true)
    }

    /// Reads arguments until none is missing; false if they have not all come.
    fn array(&mut self) -> Result<bool, RequestError> {
        while self.missing > 0 {
            let declared = match self.declared {
                Some(declared) => declared,
                None => match self.argument_header()? {
                    Some(declared) => declared,
                    None => return Ok(false),
                },
            };
            if !self.argument(declared)? {
                self.declared = Some(declared);
                return Ok(false);
            }
            self.declared = None;
            self.missing -= 1;
        }
        Ok(true)
    }

    /// Reads `$n` of the next argument.
    fn argument_header(&mut self) -> Result<Option<u32>, RequestError> {
        match self.buffer.get(self.position) {
            None => return Ok(None),
            Some(b'$') => {}
            Some(other) => return Err(RequestError::ExpectedBulk { found: printable(&[*other]) }),
        }
        let Some((declared, bytes)) = self.length(Counted::ArgumentBytes, self.position + 1)? else { return Ok(None) };
        self.position += bytes + 1;
        // Refused as soon as it is declared, so that what cannot be accepted is not buffered first.
        let max = self.limits.request_bytes_max;
        if self.position + declared as usize + 2 > max as usize {
            return Err(RequestError::TooBigRequest { max });
        }
        Ok(Some(declared))
    }

    /// Takes an argument's bytes and its CRLF; false if they have not all come.
    fn argument(&mut self, declared: u32) -> Result<bool, RequestError> {
        let start = self.position;
        let end = start + declared as usize;
        match self.buffer.get(end..end + 2) {
            None => return Ok(false),
            Some(b"\r\n") => {}
            Some(_) => return Err(RequestError::ExpectedLineEnd { what: "an argument" }),
        }
        self.spans.push(span(start, end));
        self.position = end + 2;
        Ok(true)
    }

    /// Reads the length that starts at `from`: the number, and the bytes of its line.
    fn length(&self, what: Counted, from: usize) -> Result<Option<(u32, usize)>, RequestError> {
        match header(&self.buffer[from..]) {
            Header::Whole { text, bytes } => Ok(Some((self.checked_length(what, text)?, bytes))),
            Header::Partial => Ok(None),
            Header::Long => Err(RequestError::TooBigCount { what }),
            Header::Broken => Err(RequestError::ExpectedLineEnd { what: "a length" }),
        }
    }

    fn checked_length(&self, what: Counted, text: &[u8]) -> Result<u32, RequestError> {
        let max = match what {
            Counted::Arguments => self.limits.arguments_max,
            Counted::ArgumentBytes => self.limits.argument_bytes_max,
        };
        let number = match integer(text) {
            // As in Redis, an array of negative length is an empty request.
            Some(negative) if negative < 0 && what == Counted::Arguments => Some(0),
            Some(number) => u32::try_from(number).ok(),
            None => None,
        };
        match number {
            Some(found) if found <= max => Ok(found),
            Some(found) if !self.limits.authenticated => Err(RequestError::Unauthenticated { what, found, max }),
            _ => Err(RequestError::InvalidLength { what, found: printable(text), max }),
        }
    }

    /// Reads an inline request; false if its line has not ended.
    fn line(&mut self) -> Result<bool, RequestError> {
        let max = self.limits.inline_bytes_max;
        let end = memchr::memchr(b'\n', &self.buffer[self.position..]).map(|offset| self.position + offset);
        // The line end is not counted: a line at its limit may have its CR here and its LF in the next read.
        let line = &self.buffer[..end.unwrap_or(self.buffer.len())];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > max as usize {
            return Err(RequestError::TooBigInline { max });
        }
        let Some(end) = end else {
            self.position = self.buffer.len();
            return Ok(false);
        };
        let mut start = 0;
        inline::split(line, &mut self.unquoted, |end| {
            self.spans.push(span(start, end));
            start = end;
        })?;
        self.position = end + 1;
        Ok(true)
    }
}

/// Offsets fit 32 bits because the limits do: `request_bytes_max` bounds the one kind, `inline_bytes_max` the other.
fn span(start: usize, end: usize) -> Span {
    let offset = |value: usize| u32::try_from(value).expect("the limits keep offsets below 4 GiB");
    Span { start: offset(start), end: offset(end) }
}
