//! Who may do what: the roles, and the one place that every request passes before its handler sees it.
//!
//! The dashboard listens on loopback alone, and whoever reaches it there may do everything: [`admit`] says so. It is
//! called with the role that the route needs, before anything of the request is read.

use axum::http::request::Parts;
use queue_core::model::{Error, Word};
use serde::Serialize;

use crate::app::App;

/// What somebody may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Look at everything.
    Viewer,
    /// Act on jobs, and pause queues.
    Operator,
    /// Change settings, and take away what cannot be had back.
    Admin,
}

/// Who asks, as every handler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Stands as the actor in what is changed.
    pub(crate) user: String,
    /// Decides what a page offers.
    pub(crate) role: Role,
}

impl Access {
    /// Refuses what needs more than the route itself.
    ///
    /// # Errors
    ///
    /// `NOPERM`, which names the role.
    pub(crate) fn require(&self, role: Role, what: &str) -> Result<(), Error> {
        if self.role >= role {
            return Ok(());
        }
        Err(Error::new(
            Word::NoPerm,
            format!("{what} needs the role {}; {} is {}", role.word(), self.user, self.role.word()),
        ))
    }
}

impl Role {
    /// The word as it is typed.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

/// Lets a request in to what needs `role`, or refuses it.
///
/// # Errors
///
/// `NOAUTH` or `NOPERM`, which name what is needed.
#[expect(clippy::unnecessary_wraps, reason = "on loopback nobody is refused; the signature is what handlers rely on")]
pub(crate) fn admit(_app: &App, _request: &Parts, _role: Role) -> Result<Access, Error> {
    Ok(Access { user: "dashboard".to_owned(), role: Role::Admin })
}
