//! The clocks of the command line: the wall for showing ages, the monotonic one for measuring and giving up.
//!
//! Decides nothing about jobs: the broker has its own clock.

use std::time::{Duration, Instant, SystemTime};

/// Milliseconds since the Unix epoch; 0 on a machine that lives before it.
pub(crate) fn wall_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "this is the clock module; ages are shown relative to now")]
    let now = SystemTime::now();
    now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// A running stopwatch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts now.
    pub(crate) fn start() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the clock module; what is measured is shown")]
        Self(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}
