//! The bench's clock: the one place that reads the time of day's monotonic clock.
//!
//! Measuring is what this crate does, so unlike the product it takes no time as an argument.

use std::time::{Duration, Instant, SystemTime};

use rustix::time::ClockId;

/// The monotonic clock, now.
#[expect(clippy::disallowed_methods, reason = "a bench measures real time; nothing here replays")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Processor time that this thread has used, in user and kernel mode.
pub(crate) fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The time of day, now.
#[expect(
    clippy::disallowed_methods,
    reason = "jobs that are to be due at one instant need one that the server knows too"
)]
pub(crate) fn time_of_day() -> SystemTime {
    SystemTime::now()
}
