//! Stopping: why a handler is to stop, the signal that tells it, and the switch that stops a whole worker.
//!
//! A signal carries the first reason it was given and never takes it back.

use std::sync::{Arc, OnceLock};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Why a handler is to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled the job; with who and why. A handler that completes all the same completes the job.
    Cancelled(String),
    /// The attempt's time ran out; it will count as failed, kind `timeout`.
    TimedOut,
    /// The lease is not this worker's any more: the job may run elsewhere, and nothing of this run will count.
    Lost,
    /// The worker stops; the job is given back uncounted unless it completes right now.
    Stopping,
}

/// The signal to one handler.
#[derive(Debug)]
pub(crate) struct StopSignal {
    why: OnceLock<Stop>,
    token: CancellationToken,
}

impl StopSignal {
    /// A signal that is given by itself, reason [`Stop::Stopping`], once `stopping` is cancelled.
    pub(crate) fn under(stopping: &CancellationToken) -> Self {
        Self { why: OnceLock::new(), token: stopping.child_token() }
    }

    /// Gives the signal, unless it was given before. Answers whether this is its first reason.
    pub(crate) fn give(&self, why: Stop) -> bool {
        let first = !self.token.is_cancelled() && self.why.set(why).is_ok();
        self.token.cancel();
        first
    }

    /// Why, once it was given.
    pub(crate) fn why(&self) -> Option<Stop> {
        self.token.is_cancelled().then(|| self.why.get().cloned().unwrap_or(Stop::Stopping))
    }

    /// The bare signal, for what knows no reasons.
    pub(crate) const fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Whether it was given.
    pub(crate) fn is_given(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until it is given.
    pub(crate) async fn given(&self) {
        self.token.cancelled().await;
    }
}

/// Stops a worker: the first request lets running jobs finish for the grace time, the second stops at once.
///
/// Clones are one switch.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    switches: Arc<Switches>,
}

#[derive(Debug, Default)]
struct Switches {
    finish: CancellationToken,
    now: CancellationToken,
}

impl Shutdown {
    /// A switch that nobody has used.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first call stops gracefully, the second at once.
    pub fn request(&self) {
        if self.switches.finish.is_cancelled() {
            self.switches.now.cancel();
        }
        self.switches.finish.cancel();
    }

    /// Obeys SIGTERM and SIGINT from now on, for as long as the process lives: the first of them requests a stop, the
    /// second an immediate one. Needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// If the system lets nobody listen for signals.
    pub fn obey_signals(&self) -> std::io::Result<()> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let shutdown = self.clone();
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                shutdown.request();
            }
        });
        Ok(())
    }

    /// Stops at once: handlers are dropped, their jobs given back.
    pub fn stop_now(&self) {
        self.switches.now.cancel();
        self.switches.finish.cancel();
    }

    /// Whether a stop was requested.
    pub fn is_requested(&self) -> bool {
        self.switches.finish.is_cancelled()
    }

    /// Waits until a stop is requested.
    pub async fn requested(&self) {
        self.switches.finish.cancelled().await;
    }

    /// Waits until the stop is to be at once.
    pub(crate) async fn at_once(&self) {
        self.switches.now.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_keeps_its_first_reason() {
        let signal = StopSignal::under(&CancellationToken::new());
        assert_eq!(signal.why(), None);
        assert!(signal.give(Stop::TimedOut));
        assert!(!signal.give(Stop::Lost));
        assert_eq!(signal.why(), Some(Stop::TimedOut));
    }

    #[test]
    fn the_workers_stop_reaches_every_signal() {
        let stopping = CancellationToken::new();
        let (told, untold) = (StopSignal::under(&stopping), StopSignal::under(&stopping));
        told.give(Stop::Lost);
        stopping.cancel();
        assert_eq!((told.why(), untold.why()), (Some(Stop::Lost), Some(Stop::Stopping)));
    }

    #[test]
    fn the_second_request_stops_at_once() {
        let shutdown = Shutdown::new();
        shutdown.request();
        assert!(shutdown.is_requested() && !shutdown.switches.now.is_cancelled());
        shutdown.clone().request();
        assert!(shutdown.switches.now.is_cancelled());
    }
}
