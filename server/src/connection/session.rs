//! What a client has said of itself: its name, its library, who it is.

use std::net::SocketAddr;

use queue_core::model::Context;

/// What a client has said of itself.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its connection's number, counted from 1 since the start.
    pub(crate) id: u64,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
    /// Whether it may do everything.
    pub(crate) authenticated: bool,
    /// The name it gave itself; empty for none.
    pub(crate) name: String,
    /// Its library's name and version; empty for none.
    pub(crate) library: (String, String),
}

impl Session {
    pub(crate) fn new(id: u64, peer: SocketAddr, authenticated: bool) -> Self {
        Self { id, peer, authenticated, name: String::new(), library: Default::default() }
    }

    /// Who asks: what the request said, else the connection's name, else its address.
    pub(crate) fn context(&self, mut context: Context) -> Context {
        if context.actor.is_empty() {
            context.actor = if self.name.is_empty() { self.peer.to_string() } else { self.name.clone() };
        }
        context
    }
}
