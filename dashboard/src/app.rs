//! What all requests share: the engine, the clock, and what is live.
//!
//! Decides nothing; links are made here, so that every path has the base before it.

use std::sync::Arc;

use queue_core::engine::{Clock, Engine, SystemClock};
use tokio_util::sync::CancellationToken;

use crate::Config;
use crate::live::Live;
use crate::query::Query;

/// What all requests share.
pub(crate) struct App {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) base: String,
    pub(crate) live: Live,
    /// Ends streams, so that a stop does not wait for those who watch.
    pub(crate) stop: CancellationToken,
    clock: SystemClock,
}

impl App {
    pub(crate) fn new(engine: Arc<dyn Engine>, config: &Config, stop: CancellationToken) -> Arc<Self> {
        let base = config.base_path.clone();
        Arc::new(Self { engine, base, live: Live::default(), stop, clock: SystemClock::default() })
    }

    /// The wall clock, milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// A path of ours as a browser asks for it.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// As [`App::url`], with a query.
    pub(crate) fn url_with(&self, path: &str, query: &Query) -> String {
        let query = query.to_string();
        format!("{}{path}{}{query}", self.base, if query.is_empty() { "" } else { "?" })
    }
}
