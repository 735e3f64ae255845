//! The link to the engine: up or down, as the last call found it, and the log line for each change.
//!
//! Whoever's call fails puts it down, unless the engine answered that it has no room: then that call alone waits. Only a beat puts it up again: one that names every lease that this worker knows, so
//! that the engine takes back those it does not know. Until that is answered nothing else is asked, least of all for jobs.

use std::sync::atomic::{AtomicU64, Ordering};

use queue_core::engine::Engine;
use queue_core::model::{Error, Word};
use tokio::sync::watch;

/// Whether the engine answers.
#[derive(Debug)]
pub(crate) struct Link {
    state: watch::Sender<State>,
    /// How often it came up again.
    reconnects: AtomicU64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// No call was answered yet.
    Starting,
    /// The engine answers, but may have handed out jobs that did not arrive here.
    Unsure,
    /// The engine answers.
    Up,
    /// The last call failed, with this.
    Down(Error),
}

impl Link {
    pub(crate) fn new() -> Self {
        Self { state: watch::Sender::new(State::Starting), reconnects: AtomicU64::new(0) }
    }

    /// A beat that named every lease was answered.
    pub(crate) fn up(&self) {
        let before = self.state.send_replace(State::Up);
        let again = matches!(before, State::Down(_));
        if again {
            self.reconnects.fetch_add(1, Ordering::Relaxed);
        }
        if again || before == State::Starting {
            tracing::info!("connected to the engine");
        }
    }

    /// A call was given up that may have brought jobs, or brought some that nobody here takes.
    pub(crate) fn unsure(&self) {
        self.state.send_if_modified(|state| {
            let up = *state == State::Up;
            if up {
                *state = State::Unsure;
            }
            up
        });
    }

    /// A call failed, or was refused for now.
    pub(crate) fn failed(&self, error: &Error) {
        if !says_later(error) {
            self.down(error);
        }
    }

    /// A call failed. Says so when that is new, or when the reason is another kind.
    pub(crate) fn down(&self, error: &Error) {
        let changed = self.state.send_if_modified(|state| {
            let same = matches!(state, State::Down(before) if before.word == error.word);
            *state = State::Down(error.clone());
            !same
        });
        if changed {
            tracing::warn!(word = %error.word, "the engine does not answer; trying again until it does: {error}");
        }
    }

    /// Whether the last call was answered.
    pub(crate) fn answers(&self) -> bool {
        matches!(*self.state.borrow(), State::Up | State::Unsure)
    }

    /// How often the engine was found again after it had not answered.
    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Whether calls make sense, and every lease is known.
    pub(crate) fn is_up(&self) -> bool {
        *self.state.borrow() == State::Up
    }

    /// The state and its changes.
    pub(crate) fn watch(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    /// Waits until it is up.
    pub(crate) async fn wait_up(&self) {
        self.wait(|state| *state == State::Up).await;
    }

    /// Waits until it is not up.
    pub(crate) async fn wait_down(&self) {
        self.wait(|state| *state != State::Up).await;
    }

    async fn wait(&self, wanted: impl FnMut(&State) -> bool) {
        let closed = self.watch().wait_for(wanted).await.is_err();
        assert!(!closed, "the sender lives as long as this");
    }
}

/// Whether the engine did answer, that it has no room now: other calls may well be taken.
pub(crate) fn says_later(error: &Error) -> bool {
    error.word == Word::Full
}

/// Whether trying again cannot help until somebody changes the configuration.
pub(crate) const fn is_hopeless(error: &Error) -> bool {
    matches!(error.word, Word::NoAuth | Word::NoPerm | Word::Unsupported | Word::BadArg)
}

/// Whether the engine has failed for good. One of this process says so with `UNKNOWN`; from one behind a connection the
/// same word only means that a reply was lost.
pub(crate) fn is_final(engine: &dyn Engine, error: &Error) -> bool {
    error.word == Word::Unknown && !engine.capabilities().resends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logged::logged;

    #[test]
    fn each_change_is_said_once_however_often_it_is_tried() {
        let text = logged(|| {
            let (link, error) = (Link::new(), |word| Error::new(word, "refused"));
            (0..50).for_each(|_| link.down(&error(Word::Unreachable)));
            (0..50).for_each(|_| link.down(&error(Word::Loading)));
            (0..50).for_each(|_| link.up());
            link.down(&error(Word::Unreachable));
            link.unsure();
            assert!(matches!(*link.state.borrow(), State::Down(_)), "what is down needs a beat in any case");
            link.up();
            link.unsure();
            assert!(!link.is_up());
            link.up();
            link.failed(&error(Word::Full));
            assert!(link.is_up(), "the engine answered");
        });
        let words: Vec<_> =
            ["UNREACHABLE", "LOADING", "connected"].map(|word| text.matches(word).count()).into_iter().collect();
        assert_eq!((text.lines().count(), words), (5, vec![2, 1, 2]), "{text}");
    }
}
