//! What is wrong with bytes that should be an event or a part of a state.
//!
//! Leaves what to do about it to whoever reads. Invariant: what only another version can read is told from what nobody can,
//! however far up the error has come.

use std::error::Error;
use std::fmt::Display;

/// Why an event or a part of a state cannot be read. Reading it again does not help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Wrong {
    what: String,
    unknown: bool,
}

impl Wrong {
    /// A kind or field that only another version knows.
    pub(super) fn unknown(what: &str) -> Self {
        Self { what: format!("{what} unknown to this version").trim_start().to_owned(), unknown: true }
    }

    /// The same, of what it is a part of.
    pub(super) fn within(self, place: impl Display) -> Self {
        Self { what: format!("{place}: {}", self.what), ..self }
    }

    /// Whether the error, or what it came from, is that another version wrote it: it may be whole.
    pub fn is_unknown(error: &(dyn Error + 'static)) -> bool {
        let this = error.downcast_ref::<Self>().is_some_and(|wrong| wrong.unknown);
        this || error.source().is_some_and(Self::is_unknown)
    }
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Self { what, unknown: false }
    }
}

impl From<&str> for Wrong {
    fn from(what: &str) -> Self {
        what.to_owned().into()
    }
}
