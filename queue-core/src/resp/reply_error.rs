//! Why a reply could not be read. Each is final for its connection.

/// Why a reply could not be read; nothing after it on the same connection can be.
///
/// A new connection may help if the bytes were damaged; not if the other side is no Redis server, or replies are too big.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// The first byte of a reply is none of the protocol's types.
    #[error("invalid reply: '{found}' is no type of the Redis protocol")]
    UnknownType {
        /// The byte, escaped if it is unprintable.
        found: String,
    },
    /// A value's text does not fit its type.
    #[error("invalid reply: '{found}' is no {what}")]
    Invalid {
        /// What should have stood there.
        what: &'static str,
        /// What stood there, cut, unprintable bytes escaped.
        found: String,
    },
    /// A length or a bulk string is not followed by CRLF.
    #[error("invalid reply: expected CRLF after a {what}")]
    ExpectedLineEnd {
        /// What it should have followed.
        what: &'static str,
    },
    /// Something is larger than the reader's limits.
    #[error("reply too big: more than {max} {what}")]
    TooBig {
        /// What there is too much of, with its unit.
        what: &'static str,
        /// The most allowed.
        max: usize,
    },
}
