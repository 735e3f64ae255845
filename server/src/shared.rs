//! What the connections of one server share: the engine once it is open, limits, counters, the word to stop.
//!
//! Lives on the server's thread; only [`Health`] is seen by others.

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use queue_core::engine::Engine;
use queue_core::model::{Error, Word};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Limits, Password};

/// How far the server is, and what it tells of itself, for those who ask beside its own thread.
#[derive(Default)]
pub(crate) struct Health {
    phase: AtomicU8,
    engine: OnceLock<Arc<dyn Engine>>,
    pub(crate) counters: Counters,
}

impl Health {
    const READY: u8 = 1;
    const STOPPING: u8 = 2;

    pub(crate) fn set_ready(&self, engine: &Arc<dyn Engine>) {
        self.engine.get_or_init(|| Arc::clone(engine));
        self.phase.store(Self::READY, Ordering::Release);
    }

    pub(crate) fn set_stopping(&self) {
        self.phase.store(Self::STOPPING, Ordering::Release);
    }

    /// The engine, once it is open.
    pub(crate) fn engine(&self) -> Option<&Arc<dyn Engine>> {
        self.engine.get()
    }

    /// What keeps the server from serving, if anything does.
    pub(crate) fn keeps_from_serving(&self) -> Option<&'static str> {
        match self.phase.load(Ordering::Acquire) {
            Self::READY => None,
            Self::STOPPING => Some("stopping"),
            _ => Some("loading"),
        }
    }
}

/// A number that the server's thread changes and others read.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Only the server's thread calls it, so nothing is lost between the two steps.
    pub(crate) fn add(&self, more: u64) {
        self.0.store(self.get() + more, Ordering::Relaxed);
    }

    /// As [`Counter::add`].
    pub(crate) fn take_one(&self) {
        self.0.store(self.get() - 1, Ordering::Relaxed);
    }
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Connections that are open.
    pub(crate) connected: Counter,
    /// Of these, the ones that wait for something.
    pub(crate) waiting: Counter,
    /// Connections ever accepted.
    pub(crate) accepted: Counter,
    /// Connections turned away because there were too many.
    pub(crate) rejected: Counter,
    /// Requests read.
    pub(crate) requests: Counter,
}

/// A connection's place among those that are open; given back when it is dropped.
pub(crate) struct Connected {
    pub(crate) shared: Rc<Shared>,
    /// Its number, counted from 1 since the start.
    pub(crate) id: u64,
}

impl Connected {
    /// Takes a place; `None` if there is none.
    pub(crate) fn admit(shared: &Rc<Shared>) -> Option<Self> {
        let counters = shared.counters();
        if counters.connected.get() >= shared.limits.connections_max as u64 {
            counters.rejected.add(1);
            return None;
        }
        counters.connected.add(1);
        counters.accepted.add(1);
        Some(Self { shared: Rc::clone(shared), id: counters.accepted.get() })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.shared.counters().connected.take_one();
    }
}

/// What the connections of one server share.
pub(crate) struct Shared {
    engine: OnceCell<Arc<dyn Engine>>,
    failure: OnceCell<Error>,
    pub(crate) limits: Limits,
    pub(crate) password: Option<Password>,
    pub(crate) memory_bytes_max: Option<u64>,
    pub(crate) port: u16,
    pub(crate) started: Instant,
    pub(crate) health: Arc<Health>,
    /// Cancelled: finish what is being executed, and close.
    pub(crate) stop: CancellationToken,
}

impl Shared {
    pub(crate) fn new(
        config: &crate::Config,
        limits: Limits,
        port: u16,
        health: Arc<Health>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            engine: OnceCell::new(),
            failure: OnceCell::new(),
            limits,
            password: config.password.clone(),
            memory_bytes_max: config.memory_bytes_max,
            port,
            started: Instant::now(),
            health,
            stop,
        }
    }

    /// What has happened since the start.
    pub(crate) fn counters(&self) -> &Counters {
        &self.health.counters
    }

    /// The engine is open. Called once.
    pub(crate) fn open(&self, engine: Arc<dyn Engine>) {
        self.health.set_ready(&engine);
        if self.engine.set(engine).is_err() {
            unreachable!("an engine is opened once");
        }
    }

    /// The engine, once it is open.
    ///
    /// # Errors
    ///
    /// `LOADING` before that.
    pub(crate) fn engine(&self) -> Result<&Arc<dyn Engine>, Error> {
        self.engine.get().ok_or_else(|| Error::new(Word::Loading, "the server is recovering; try again in a moment"))
    }

    /// Looks at what the engine failed with. A failed write is final: nothing can be promised any more, so the server stops.
    pub(crate) fn observe(&self, error: &Error) {
        if error.word == Word::Unknown && self.failure.set(error.clone()).is_ok() {
            tracing::error!(error = %error.message, "the engine failed and the server stops");
            self.stop.cancel();
        }
    }

    /// What the engine failed with, if it did.
    pub(crate) fn failure(&self) -> Option<&Error> {
        self.failure.get()
    }
}
