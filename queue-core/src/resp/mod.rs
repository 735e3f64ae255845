//! The Redis protocol's frames, RESP2 and RESP3: bytes in, frames out, and back.
//!
//! [`RequestReader`] and [`ReplyWriter`] are a server's two directions, [`RequestWriter`] and [`ReplyReader`] a client's.
//! Knows no command and no socket: the caller fills a reader's buffer and sends what a writer wrote.
//!
//! Invariants: both readers keep their place between reads, so each byte is looked at a bounded number of times however it
//! arrives; no length that the other side declares makes them allocate; and an error is final for the connection, since
//! nobody knows where the next frame would begin. All lengths are bytes unless they are named otherwise.

mod header;
mod inline;
mod read_buffer;
mod reply_error;
mod reply_reader;
mod reply_token;
mod reply_writer;
mod request_error;
mod request_reader;
mod request_writer;
#[cfg(test)]
mod tests;
mod value;

pub use reply_error::ReplyError;
pub use reply_reader::{ReplyLimits, ReplyReader};
pub use reply_writer::{ERROR_TEXT_BYTES_MAX, ReplyWriter};
pub use request_error::{Counted, RequestError};
pub use request_reader::{Request, RequestLimits, RequestReader};
pub use request_writer::RequestWriter;
pub use value::Value;

/// The protocol a connection's replies are written in. A connection starts with [`Version::Resp2`] until it says `HELLO 3`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Version {
    /// The older one: maps and sets are flat arrays, booleans integers, doubles bulk strings, null a length of -1.
    #[default]
    Resp2,
    /// The newer one, with types of their own for these, and pushes.
    Resp3,
}

impl Version {
    /// The version that `HELLO` calls by this number: 2 or 3.
    pub fn from_number(number: i64) -> Option<Self> {
        match number {
            2 => Some(Self::Resp2),
            3 => Some(Self::Resp3),
            _ => None,
        }
    }

    /// The number by which `HELLO` calls this version.
    pub fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}
