//! The bytes that a connection sent and nobody has parsed yet.
//!
//! Leaves reading to the caller and parsing to the readers. Invariant: each byte is moved a bounded number of times on
//! average, and an emptied buffer keeps at most [`KEEP_BYTES`], so that one big frame does not hold its memory for the
//! connection's life. (`BytesMut` reports only what is left behind its offset, so it cannot tell how much it holds.)

use std::ops::Deref;

/// Room made for each read.
const READ_BYTES: usize = 16 * 1024;

/// The most that an empty buffer keeps.
const KEEP_BYTES: usize = 64 * 1024;

/// Dereferences to the unread bytes.
#[derive(Debug, Default)]
pub(super) struct ReadBuffer {
    bytes: Vec<u8>,
    /// How many of `bytes` have been taken.
    taken: usize,
}

impl ReadBuffer {
    /// Where to append, with room for at least [`READ_BYTES`]. Grows by doubling, after the bytes came.
    pub(super) fn room(&mut self) -> &mut Vec<u8> {
        // Only where at least as much was taken as has to be moved: this pays for the move.
        if self.taken > 0 && self.taken >= self.len() {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.reserve(READ_BYTES);
        &mut self.bytes
    }

    /// Takes the first `count` unread bytes away.
    #[inline]
    pub(super) fn advance(&mut self, count: usize) {
        self.taken += count;
        if self.taken >= self.bytes.len() {
            assert_eq!(self.taken, self.bytes.len(), "only bytes that came can be taken");
            self.taken = 0;
            self.bytes.clear();
            if self.bytes.capacity() > KEEP_BYTES {
                self.bytes = Vec::new();
            }
        }
    }
}

impl Deref for ReadBuffer {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_bytes_make_room_and_emptied_buffers_shrink() {
        let mut buffer = ReadBuffer::default();
        buffer.room().extend_from_slice(b"abcdef");
        buffer.advance(2);
        buffer.room().extend_from_slice(b"gh");
        assert_eq!(&buffer[..], b"cdefgh");
        buffer.advance(5);
        buffer.room().extend_from_slice(b"i");
        assert_eq!((&buffer[..], buffer.bytes.len()), (&b"hi"[..], 2));
        buffer.room().resize(1024 * 1024, 0);
        buffer.advance(1024 * 1024);
        assert_eq!(buffer.bytes.capacity(), 0);
    }
}
