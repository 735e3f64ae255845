//! What a client has said of itself: its name, its library, who it is.

use std::net::SocketAddr;

use queue_core::model::Context;
use tokio::time::Instant;

use crate::shared::Shared;

/// What a client has said of itself.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its connection's number, counted from 1 since the start.
    pub(crate) id: u64,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// Until when it has to authenticate; `None` if it may do everything.
    pub(crate) stranger_until: Option<Instant>,
    /// How often it gave a wrong password.
    pub(crate) wrong_passwords: u32,
    /// The name it gave itself; empty for none.
    pub(crate) name: String,
    /// Its library's name and version; empty for none.
    pub(crate) library: (String, String),
}

impl Session {
    pub(crate) fn new(id: u64, peer: SocketAddr, shared: &Shared) -> Self {
        let mut session = Self {
            id,
            peer,
            stranger_until: None,
            wrong_passwords: 0,
            name: String::new(),
            library: Default::default(),
        };
        session.forget(shared);
        session
    }

    /// As good as new: the client is a stranger again where a password is needed, and has its time to authenticate.
    pub(crate) fn forget(&mut self, shared: &Shared) {
        self.name.clear();
        self.stranger_until = shared.password.is_some().then(|| Instant::now() + shared.limits.authenticate);
    }

    /// Whether it may do everything.
    pub(crate) fn is_known(&self) -> bool {
        self.stranger_until.is_none()
    }

    /// Who asks: what the request said, else the connection's name, else its address.
    pub(crate) fn context(&self, mut context: Context) -> Context {
        if context.actor.is_empty() {
            context.actor = if self.name.is_empty() { self.peer.to_string() } else { self.name.clone() };
        }
        context
    }
}
