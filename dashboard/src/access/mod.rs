//! Who may do what: the roles, and the one way that every request passes before its handler sees it.
//!
//! First [`enter`], the same for every path: by a name that is ours, and not from another site. Then [`admit`], with the
//! role that the route needs. Both come before anything of the body is read. Nothing else lets anybody in.

mod file;
mod gate;
mod hosts;
mod limit;
pub(crate) mod passwords;
mod peer;
mod refusal;
mod secret;
mod sessions;
mod site;
pub(crate) mod tokens;

use std::str::FromStr;

use axum::http::request::Parts;
use axum::http::{Method, StatusCode, header};
use queue_core::model::{Error, Word};
use serde::Serialize;

use crate::app::App;
use crate::query::Query;
pub(crate) use file::{line, name};
pub(crate) use gate::Gate;
pub(crate) use hosts::Hosts;
pub(crate) use peer::Peer;
pub(crate) use refusal::Refusal;
pub(crate) use sessions::Key;

/// What somebody may do; each role may do what those before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// See the login, whoever they are. Nobody is given this role; it is what a route needs.
    Anyone,
    /// Look at everything.
    Viewer,
    /// Act on jobs, and pause queues.
    Operator,
    /// Change settings, and take away what cannot be had back.
    Admin,
}

impl Role {
    /// The word as it is typed.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Anyone => "anyone",
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = Error;

    /// Reads a role that somebody can be given.
    fn from_str(text: &str) -> Result<Self, Error> {
        let found = [Self::Viewer, Self::Operator, Self::Admin].into_iter().find(|role| role.word() == text);
        found.ok_or_else(|| Error::bad_arg("role", text, "viewer, operator or admin"))
    }
}

/// Who asks, as every handler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// Stands as the actor in what is changed.
    pub(crate) user: String,
    /// Decides what a page offers.
    pub(crate) role: Role,
    /// The session, where somebody logged in.
    pub(crate) session: Option<Key>,
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
        let message = format!("{what} needs the role {}; {} is {}", role.word(), self.user, self.role.word());
        Err(Error::new(Word::NoPerm, message))
    }
}

/// Lets a request come to the routes at all, or refuses it.
pub(crate) fn enter(app: &App, request: &Parts) -> Result<(), Refusal> {
    app.hosts.check(request)?;
    site::check(request)
}

/// Lets a request in to what needs `role`, or refuses it.
pub(crate) fn admit(app: &App, request: &Parts, role: Role) -> Result<Access, Refusal> {
    match app.gate.who(request, app.steady_ms())? {
        Some(access) if access.role >= role => Ok(access),
        Some(access) => {
            let message = format!("this needs the role {}; {} is {}", role.word(), access.user, access.role.word());
            Err(Refusal::new(
                StatusCode::FORBIDDEN,
                "Not allowed",
                message,
                "Nothing was changed. Ask somebody who may.",
            ))
        }
        None if role == Role::Anyone => Ok(Access { user: String::new(), role, session: None }),
        None => Err(unknown(app, request)),
    }
}

/// Nobody knows who asks. A browser that looks at a page is led to the login, and from there back.
fn unknown(app: &App, request: &Parts) -> Refusal {
    let (title, message) = ("Login needed", "the dashboard does not know who asks");
    let challenge = |refusal: Refusal| refusal.with(header::WWW_AUTHENTICATE, "Bearer");
    if !app.gate.has_passwords() {
        let advice = "Send a token of the token file: Authorization: Bearer TOKEN.";
        return challenge(Refusal::new(StatusCode::UNAUTHORIZED, title, message, advice));
    }
    let accepts = request.headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let page = request.method == Method::GET && accepts.contains("text/html");
    let mut query = Query::default();
    if request.method == Method::GET {
        query = query.with("back", request.uri.path_and_query().map_or("/", |path| path.as_str()));
    }
    let login = format!("/login?{query}");
    let status = if page { StatusCode::SEE_OTHER } else { StatusCode::UNAUTHORIZED };
    let refusal = Refusal::new(status, title, message, "Nothing was changed. Log in, then try again.");
    let refusal = if page { refusal.with(header::LOCATION, app.url(&login)) } else { challenge(refusal) };
    Refusal { login: Some(login), ..refusal }
}
