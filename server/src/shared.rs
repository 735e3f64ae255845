//! What the connections of one server share: the engine once it is open, limits, counters, the word to stop.
//!
//! Lives on the server's thread; only [`Health`] is seen by others.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use queue_core::engine::Engine;
use queue_core::model::{Error, Word};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{Limits, Password};

/// How far the server is, for those who only ask that.
#[derive(Debug, Default)]
pub(crate) struct Health(AtomicU8);

impl Health {
    const READY: u8 = 1;
    const STOPPING: u8 = 2;

    pub(crate) fn set_ready(&self) {
        self.0.store(Self::READY, Ordering::Release);
    }

    pub(crate) fn set_stopping(&self) {
        self.0.store(Self::STOPPING, Ordering::Release);
    }

    /// What keeps the server from serving, if anything does.
    pub(crate) fn hindrance(&self) -> Option<&'static str> {
        match self.0.load(Ordering::Acquire) {
            Self::READY => None,
            Self::STOPPING => Some("stopping"),
            _ => Some("loading"),
        }
    }
}

/// What has happened since the start.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    /// Connections that are open.
    pub(crate) connected: Cell<usize>,
    /// Of these, the ones that wait for something.
    pub(crate) waiting: Cell<usize>,
    /// Connections ever accepted.
    pub(crate) accepted: Cell<u64>,
    /// Connections turned away because there were too many.
    pub(crate) rejected: Cell<u64>,
    /// Requests read.
    pub(crate) requests: Cell<u64>,
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
        let open = &shared.counters.connected;
        if open.get() >= shared.limits.connections_max {
            count(&shared.counters.rejected, 1);
            return None;
        }
        open.set(open.get() + 1);
        count(&shared.counters.accepted, 1);
        Some(Self { shared: Rc::clone(shared), id: shared.counters.accepted.get() })
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        let open = &self.shared.counters.connected;
        open.set(open.get() - 1);
    }
}

/// Adds to a counter.
pub(crate) fn count(counter: &Cell<u64>, more: u64) {
    counter.set(counter.get() + more);
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
    pub(crate) counters: Counters,
    /// Cancelled: finish what is being executed, and close.
    pub(crate) stop: CancellationToken,
}

impl Shared {
    pub(crate) fn new(config: &crate::Config, limits: Limits, port: u16, stop: CancellationToken) -> Self {
        Self {
            engine: OnceCell::new(),
            failure: OnceCell::new(),
            limits,
            password: config.password.clone(),
            memory_bytes_max: config.memory_bytes_max,
            port,
            started: Instant::now(),
            counters: Counters::default(),
            stop,
        }
    }

    /// The engine is open. Called once.
    pub(crate) fn open(&self, engine: Arc<dyn Engine>) {
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
