//! Replies as a client reads them, of either version.
//!
//! The reader owns the connection's read buffer and returns owned values; aggregates are built on a stack of its own, so
//! nesting costs heap and not call depth. Which request a reply answers is the caller's business.
//!
//! Invariants: parsing goes on where it stopped; memory grows with the bytes that came, never with a declared length; after
//! an error the reader repeats that error for ever.

use super::read_buffer::ReadBuffer;
use super::reply_error::ReplyError;
use super::reply_token::{Aggregate, Token, token};
use super::value::Value;

/// What one reply may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyLimits {
    /// Aggregates inside one another. Bounds the depth of recursion over a [`Value`], its drop included.
    pub depth_max: usize,
    /// Items of one aggregate; pairs of a map.
    pub items_max: usize,
    /// Bytes of one simple string, error or double.
    pub line_bytes_max: usize,
    /// Bytes of one bulk string.
    pub bulk_bytes_max: usize,
    /// Bytes of one whole reply on the wire.
    pub reply_bytes_max: usize,
}

impl Default for ReplyLimits {
    /// Depth 32, 1,048,576 items, lines of 64 KiB, bulk strings of 64 MiB, replies of 256 MiB.
    fn default() -> Self {
        Self {
            depth_max: 32,
            items_max: 1024 * 1024,
            line_bytes_max: 64 * 1024,
            bulk_bytes_max: 64 * 1024 * 1024,
            reply_bytes_max: 256 * 1024 * 1024,
        }
    }
}

/// An aggregate of which items are still to come.
#[derive(Debug)]
struct Open {
    kind: Aggregate,
    missing: usize,
    items: Vec<Value>,
}

/// Reads replies out of the bytes of one connection.
///
/// # Examples
///
/// ```
/// use queue_core::resp::{ReplyLimits, ReplyReader, Value};
/// let mut reader = ReplyReader::new(ReplyLimits::default());
/// reader.buffer_mut().extend_from_slice(b"*2\r\n:1\r\n$2\r\nhi\r\n+O");
/// assert_eq!(reader.next_reply()?, Some(Value::Array(vec![Value::Integer(1), Value::Bulk(b"hi".to_vec())])));
/// assert_eq!(reader.next_reply()?, None);
/// # Ok::<(), queue_core::resp::ReplyError>(())
/// ```
#[derive(Debug)]
pub struct ReplyReader {
    buffer: ReadBuffer,
    limits: ReplyLimits,
    /// The aggregates around the next token, the outermost first.
    open: Vec<Open>,
    /// Bytes of the current reply that have been taken out of the buffer.
    taken_bytes: usize,
    /// How much of the line at the start of the buffer is known to hold no line end.
    searched: usize,
    failed: Option<ReplyError>,
}

impl ReplyReader {
    /// A reader of a new connection's bytes.
    pub fn new(limits: ReplyLimits) -> Self {
        Self { buffer: ReadBuffer::default(), limits, open: Vec::new(), taken_bytes: 0, searched: 0, failed: None }
    }

    /// Where to append what the connection sent; has room for at least 16 KiB. Only append.
    pub fn buffer_mut(&mut self) -> &mut Vec<u8> {
        self.buffer.room()
    }

    /// The next whole reply, or `None` until more bytes have come. A server's error is a value: [`Value::Error`].
    ///
    /// # Errors
    ///
    /// [`ReplyError`] if the bytes are no reply or exceed the limits; every later call answers the same.
    pub fn next_reply(&mut self) -> Result<Option<Value>, ReplyError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.advance().inspect_err(|error| {
            self.failed = Some(error.clone());
            self.open = Vec::new();
        })
    }

    fn advance(&mut self) -> Result<Option<Value>, ReplyError> {
        loop {
            let token = token(&self.buffer, &self.limits, &mut self.searched)?;
            let came = self.taken_bytes + token.as_ref().map_or(self.buffer.len(), |(_, bytes)| *bytes);
            if came > self.limits.reply_bytes_max {
                return Err(ReplyError::TooBig { what: "bytes in a reply", max: self.limits.reply_bytes_max });
            }
            let Some((token, bytes)) = token else { return Ok(None) };
            self.buffer.advance(bytes);
            self.taken_bytes = came;
            self.searched = 0;
            let value = match token {
                Token::Scalar(value) => Some(value),
                Token::Open(kind, 0) => close(kind, Vec::new()),
                Token::Open(kind, missing) => {
                    self.descend(kind, missing)?;
                    None
                }
            };
            if let Some(reply) = value.and_then(|value| self.fold(value)) {
                self.taken_bytes = 0;
                return Ok(Some(reply));
            }
        }
    }

    fn descend(&mut self, kind: Aggregate, missing: usize) -> Result<(), ReplyError> {
        if self.open.len() == self.limits.depth_max {
            return Err(ReplyError::TooBig { what: "aggregates inside one another", max: self.limits.depth_max });
        }
        self.open.push(Open { kind, missing, items: Vec::new() });
        Ok(())
    }

    /// Puts `value` into the innermost open aggregate, closing all that it completes; returns the reply if it is whole.
    fn fold(&mut self, value: Value) -> Option<Value> {
        let mut value = value;
        while let Some(mut innermost) = self.open.pop() {
            innermost.items.push(value);
            innermost.missing -= 1;
            if innermost.missing > 0 {
                self.open.push(innermost);
                return None;
            }
            value = close(innermost.kind, innermost.items)?;
        }
        Some(value)
    }
}

/// What an aggregate's items make; nothing if it only remarks on the next value.
fn close(kind: Aggregate, items: Vec<Value>) -> Option<Value> {
    match kind {
        Aggregate::Array => Some(Value::Array(items)),
        Aggregate::Set => Some(Value::Set(items)),
        Aggregate::Push => Some(Value::Push(items)),
        Aggregate::Attribute => None,
        Aggregate::Map => {
            let mut items = items.into_iter();
            let mut pairs = Vec::with_capacity(items.len() / 2);
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                pairs.push((key, value));
            }
            Some(Value::Map(pairs))
        }
    }
}
