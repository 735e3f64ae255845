//! What all requests share: the engine, the clock, and what is live.
//!
//! Decides nothing; links are made here, so that every path has the base before it.

use std::sync::Arc;

use queue_core::engine::{Clock, Engine, SystemClock};
use queue_core::model::{Error, Series};
use tokio_util::sync::CancellationToken;

use crate::access::{Gate, Hosts};
use crate::crew;
use crate::figures::Figures;
use crate::kept::Kept;
use crate::live::Live;
use crate::pages::series::Wanted;
use crate::query::Query;
use crate::{Config, config, redact, stock};

/// What all requests share.
pub(crate) struct App {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) base: String,
    /// The names under which it answers.
    pub(crate) hosts: Hosts,
    /// Who is let in.
    pub(crate) gate: Gate,
    pub(crate) live: Live,
    /// What happened over time, as charts show it.
    pub(crate) series: Kept<Wanted, Series>,
    /// How many jobs ever came, to a queue or to all, for lists that say how many are new.
    pub(crate) came: Kept<Option<String>, u64>,
    pub(crate) figures: Figures,
    /// Who serves what.
    pub(crate) crew: crew::Look,
    /// What stands in all queues.
    pub(crate) stock: stock::Look,
    /// Ends streams, so that a stop does not wait for those who watch.
    pub(crate) stop: CancellationToken,
    clock: SystemClock,
}

/// How long a series is good for, milliseconds, and how many are kept.
const SERIES: (u64, usize) = (2_000, 64);
/// The same of the counters of what came.
const CAME: (u64, usize) = (400, 64);

impl App {
    /// # Errors
    ///
    /// `BADARG` for a base path, a host or a field that is none, and for a file that does not say who is let in.
    pub(crate) fn new(engine: Arc<dyn Engine>, config: &Config, stop: CancellationToken) -> Result<Arc<Self>, Error> {
        let base = config::base_path(&config.base_path)?;
        let hosts = Hosts::new(&config.hosts, &config.listen)?;
        let gate = Gate::new(config)?;
        let engine = redact::without(&config.redact, engine)?;
        let (live, figures) = (Live::default(), Figures::default());
        let (crew, stock) = (crew::Look::default(), stock::Look::default());
        let (series, came) = (Kept::new(SERIES.0, SERIES.1), Kept::new(CAME.0, CAME.1));
        let clock = SystemClock::default();
        Ok(Arc::new(Self { engine, base, hosts, gate, live, series, came, figures, crew, stock, stop, clock }))
    }

    /// The wall clock, milliseconds since the Unix epoch.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.wall_ms()
    }

    /// A clock that never goes back, milliseconds since some beginning.
    pub(crate) fn steady_ms(&self) -> u64 {
        self.clock.steady_ms()
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
