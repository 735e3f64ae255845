//! Clocks: where time comes from, so that everything else takes it as an argument.
//!
//! The only module of this crate, but the journal's measure of a sync, that asks the operating system for the time.
//! Milliseconds everywhere.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::watch;

/// Two clocks and a way to wait.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, milliseconds since the Unix epoch; may jump.
    fn wall_ms(&self) -> u64;

    /// A clock that never goes back, milliseconds since some beginning of its own.
    fn steady_ms(&self) -> u64;

    /// Returns once the steady clock has come to `steady_ms`. Not for so many milliseconds: a clock that moves between the
    /// look at it and the sleep would be overslept.
    async fn sleep_until(&self, steady_ms: u64);
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the module that turns time into an argument")]
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

#[async_trait]
impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the module that turns time into an argument")]
    fn wall_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn steady_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    async fn sleep_until(&self, steady_ms: u64) {
        tokio::time::sleep(Duration::from_millis(steady_ms.saturating_sub(self.steady_ms()))).await;
    }
}

/// A clock that moves only when it is told to, for tests.
#[derive(Debug)]
pub struct ManualClock {
    wall: AtomicU64,
    steady: watch::Sender<u64>,
}

impl ManualClock {
    /// A clock that stands at `wall_ms`.
    pub fn new(wall_ms: u64) -> Self {
        Self { wall: AtomicU64::new(wall_ms), steady: watch::Sender::new(0) }
    }

    /// Both clocks go on by `ms`, and who slept that long wakes.
    pub fn advance(&self, ms: u64) {
        self.wall.fetch_add(ms, Ordering::SeqCst);
        self.steady.send_modify(|steady| *steady += ms);
    }

    /// The wall clock alone jumps to `wall_ms`, as when somebody sets it.
    pub fn set_wall(&self, wall_ms: u64) {
        self.wall.store(wall_ms, Ordering::SeqCst);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn wall_ms(&self) -> u64 {
        self.wall.load(Ordering::SeqCst)
    }

    fn steady_ms(&self) -> u64 {
        *self.steady.borrow()
    }

    async fn sleep_until(&self, steady_ms: u64) {
        let mut steady = self.steady.subscribe();
        // The sender lives as long as this clock does.
        let _ = steady.wait_for(|&now| now >= steady_ms).await;
    }
}
