//! Replies as a server writes them, in the version of the protocol that the connection speaks.
//!
//! Leaves to the caller that an aggregate is followed by as many replies as its header says.
//! Invariant: no text can end its line early, so a client never loses its place whatever an error quotes.

use super::Version;
use super::header::{count, put_bulk, put_header};
use bytes::BytesMut;

/// An error's text is cut here; clients bound the length of a line.
pub const ERROR_TEXT_BYTES_MAX: usize = 4096;

/// Appends replies to a connection's output.
#[derive(Debug)]
pub struct ReplyWriter<'a> {
    out: &'a mut BytesMut,
    version: Version,
}

impl<'a> ReplyWriter<'a> {
    /// A writer that appends to `out`.
    pub fn new(out: &'a mut BytesMut, version: Version) -> Self {
        Self { out, version }
    }

    /// The version it writes.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Writes what follows in another version: the reply to `HELLO` is already in the one it asks for.
    pub fn set_version(&mut self, version: Version) {
        self.version = version;
    }

    /// `+OK`.
    pub fn ok(&mut self) {
        self.out.extend_from_slice(b"+OK\r\n");
    }

    /// A simple string. Control characters become blanks.
    pub fn simple(&mut self, text: &str) {
        self.out.extend_from_slice(b"+");
        self.put_line(text);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An error: its stable word (`ERR`, `BADARG`), then a text for people.
    ///
    /// Control characters become blanks; the text is cut at [`ERROR_TEXT_BYTES_MAX`].
    pub fn error(&mut self, word: &str, text: &str) {
        self.out.extend_from_slice(b"-");
        self.put_line(word);
        self.out.extend_from_slice(b" ");
        self.put_line(&text[..text.floor_char_boundary(ERROR_TEXT_BYTES_MAX)]);
        self.out.extend_from_slice(b"\r\n");
    }

    /// An integer.
    pub fn integer(&mut self, number: i64) {
        put_header(self.out, b':', number);
    }

    /// A bulk string: any bytes.
    pub fn bulk(&mut self, bytes: &[u8]) {
        put_bulk(self.out, bytes);
    }

    /// Nothing, where a bulk string would have stood. RESP2: a bulk string of length -1.
    pub fn null(&mut self) {
        self.out.extend_from_slice(if self.version == Version::Resp3 { b"_\r\n" } else { b"$-1\r\n" });
    }

    /// Nothing, where an array would have stood. RESP2: an array of length -1.
    pub fn null_array(&mut self) {
        self.out.extend_from_slice(if self.version == Version::Resp3 { b"_\r\n" } else { b"*-1\r\n" });
    }

    /// An array's header; `items` replies follow.
    pub fn array(&mut self, items: usize) {
        put_header(self.out, b'*', count(items));
    }

    /// A map's header; `pairs` times a key and a value follow. RESP2: a flat array of twice as many.
    pub fn map(&mut self, pairs: usize) {
        match self.version {
            Version::Resp2 => put_header(self.out, b'*', count(pairs * 2)),
            Version::Resp3 => put_header(self.out, b'%', count(pairs)),
        }
    }

    /// A set's header; `items` replies follow. RESP2: an array.
    pub fn set(&mut self, items: usize) {
        self.aggregate(b'~', items);
    }

    /// The header of a push, which answers no request; `items` replies follow. RESP2: an array.
    pub fn push(&mut self, items: usize) {
        self.aggregate(b'>', items);
    }

    /// A double, in the fewest digits that read back the same. RESP2: a bulk string.
    pub fn double(&mut self, number: f64) {
        let text = if number.is_nan() { "nan".to_owned() } else { number.to_string() };
        match self.version {
            Version::Resp2 => self.bulk(text.as_bytes()),
            Version::Resp3 => {
                self.out.extend_from_slice(b",");
                self.out.extend_from_slice(text.as_bytes());
                self.out.extend_from_slice(b"\r\n");
            }
        }
    }

    /// A truth value. RESP2: 1 or 0.
    pub fn boolean(&mut self, truth: bool) {
        match self.version {
            Version::Resp2 => self.integer(i64::from(truth)),
            Version::Resp3 => self.out.extend_from_slice(if truth { b"#t\r\n" } else { b"#f\r\n" }),
        }
    }

    fn aggregate(&mut self, kind: u8, items: usize) {
        put_header(self.out, if self.version == Version::Resp3 { kind } else { b'*' }, count(items));
    }

    fn put_line(&mut self, text: &str) {
        let start = self.out.len();
        self.out.extend_from_slice(text.as_bytes());
        for byte in &mut self.out[start..] {
            if byte.is_ascii_control() {
                *byte = b' ';
            }
        }
    }
}
