//! What the suite needs of an engine's test file: to open a store, to bring it down, to drive its time and its disk.
//!
//! Hooks that an engine can't offer keep their default; the groups named in `engine_conformance!` say which it has.

use std::sync::Arc;

use async_trait::async_trait;

use crate::engine::Engine;

/// Where one store lives during one case, and how to bring its engine up and down.
#[async_trait]
pub trait Home: Send + Sync + 'static {
    /// Opens the store: a new one at first, afterwards what is there.
    async fn open(&self) -> Arc<dyn Engine>;

    /// Moves the engine's clocks on by `ms` milliseconds, without waiting. `false`: its time is real time.
    fn advance(&self, ms: u64) -> bool {
        let _ = ms;
        false
    }

    /// Moves the engine's wall clock alone, by `ms` milliseconds forwards or back, as an administrator would.
    ///
    /// Needed by the group `driven`.
    fn shift_wall(&self, ms: i64) {
        let _ = ms;
        missing("shift_wall");
    }

    /// Calls that wait at the engine now. `None`: a call waits there as soon as it has been polled once.
    async fn waiting_calls(&self) -> Option<u64> {
        None
    }

    /// Ends the engine as kill -9 would: nothing more is written, and what it held open is given free.
    ///
    /// Needed by the group `durable`. By the time it returns the store can be opened again.
    async fn crash(&self, engine: Arc<dyn Engine>) {
        drop(engine);
    }

    /// Restores a backup that the engine made to another place and opens it there. Needed by the group `durable`.
    async fn open_backup(&self, name: &str) -> Arc<dyn Engine> {
        missing(&format!("open_backup {name}"))
    }

    /// Makes every later write to the store fail, until it is opened again. Needed by the group `faults`.
    fn fail_writes(&self) {
        missing("fail_writes");
    }

    /// Lets no later sync return until [`Home::release_syncs`]. Needed by the group `faults`.
    fn hold_syncs(&self) {
        missing("hold_syncs");
    }

    /// Lets the syncs go on that [`Home::hold_syncs`] holds.
    fn release_syncs(&self) {
        missing("release_syncs");
    }

    /// Ends the engine as a power cut would: what was not synced is gone. Needed by the group `faults`.
    async fn power_cut(&self, engine: Arc<dyn Engine>) {
        drop(engine);
        missing("power_cut");
    }

    /// Syncs of the store so far. Needed by the group `faults`.
    fn syncs(&self) -> u64 {
        missing("syncs")
    }
}

fn missing(hook: &str) -> ! {
    panic!("this engine's home has no {hook}: give it one, or leave out the group that needs it")
}
