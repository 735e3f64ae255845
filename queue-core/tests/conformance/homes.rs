//! Homes of the local engines: memory, and log on a disk that can lose, fail and hold.

use std::sync::Arc;

use async_trait::async_trait;
use queue_core::engine::{Clock, Engine, LocalEngine, LocalOptions, ManualClock};
use queue_core::testkit::Home;

/// The wall clock when a case begins: 2026.
const BEGIN_MS: u64 = 1_795_000_000_000;

fn options(clock: &Arc<ManualClock>) -> LocalOptions {
    LocalOptions { clock: Arc::clone(clock) as Arc<dyn Clock>, seed: 7, ..LocalOptions::default() }
}

/// A store in memory, under a clock that the case drives.
pub(crate) struct MemoryHome {
    clock: Arc<ManualClock>,
}

impl MemoryHome {
    pub(crate) fn new() -> Self {
        Self { clock: Arc::new(ManualClock::new(BEGIN_MS)) }
    }
}

#[async_trait]
impl Home for MemoryHome {
    async fn open(&self) -> Arc<dyn Engine> {
        Arc::new(LocalEngine::memory(options(&self.clock)))
    }

    fn advance(&self, ms: u64) -> bool {
        self.clock.advance(ms);
        true
    }

    fn shift_wall(&self, ms: i64) {
        self.clock.set_wall(self.clock.wall_ms().saturating_add_signed(ms));
    }
}
