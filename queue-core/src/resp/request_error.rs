//! Why a request could not be read. Each is final for its connection.
//!
//! Where Redis has a text, ours begins with it, and goes on with what was found and what is allowed.
//! A server answers with the word `ERR`, this text, and closes.

use std::fmt;

/// Which of a request's two kinds of length an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// How many arguments a request has.
    Arguments,
    /// How many bytes an argument has.
    ArgumentBytes,
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Arguments => "multibulk",
            Self::ArgumentBytes => "bulk",
        })
    }
}

/// Why a request could not be read; nothing after it on the same connection can be.
///
/// Retrying the same bytes fails again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// A length is not a number, or outside its limits.
    #[error("Protocol error: invalid {what} length '{found}', allowed are 0 to {max}")]
    InvalidLength {
        /// Which length.
        what: Counted,
        /// What stood there, at most a few dozen bytes, unprintable ones escaped.
        found: String,
        /// The largest allowed.
        max: u32,
    },
    /// A length is above what a connection may send before it has authenticated.
    #[error("Protocol error: unauthenticated {what} length {found}, allowed are 0 to {max} before AUTH")]
    Unauthenticated {
        /// Which length.
        what: Counted,
        /// The number that stood there.
        found: u32,
        /// The largest allowed.
        max: u32,
    },
    /// A length's line does not end where every number would have ended.
    #[error("Protocol error: too big {} count string", if *.what == Counted::Arguments { "mbulk" } else { "bulk" })]
    TooBigCount {
        /// Which length.
        what: Counted,
    },
    /// An argument does not begin with its length.
    #[error("Protocol error: expected '$', got '{found}'")]
    ExpectedBulk {
        /// The byte that stood there, escaped if it is unprintable.
        found: String,
    },
    /// A length or an argument is not followed by CRLF, so its length is wrong. (Redis lets this pass.)
    #[error("Protocol error: expected CRLF after {what}")]
    ExpectedLineEnd {
        /// `a length` or `an argument`.
        what: &'static str,
    },
    /// An inline request is longer than allowed.
    #[error("Protocol error: too big inline request, allowed are {max} bytes")]
    TooBigInline {
        /// The most bytes of a line.
        max: u32,
    },
    /// An inline request's quotes do not match.
    #[error("Protocol error: unbalanced quotes in request")]
    UnbalancedQuotes,
    /// A request's arguments together are longer than allowed.
    #[error("Protocol error: too big request, allowed are {max} bytes")]
    TooBigRequest {
        /// The most bytes of a request, headers included.
        max: u32,
    },
}
