//! Sizes and ranges, in one place, so that a limit in a message, in a check and in the documentation is one number.
//!
//! Bytes are bytes, durations milliseconds.

/// The limits of one store. Associated constants: they are part of the protocol, not configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits;

impl Limits {
    /// Longest payload of a job, in bytes (1 MiB).
    pub const PAYLOAD_BYTES: usize = 1 << 20;
    /// Longest result of a job, in bytes (1 MiB).
    pub const RESULT_BYTES: usize = 1 << 20;
    /// Longest error text of a failed attempt, in bytes (8 KiB); longer text is cut, not refused.
    pub const ERROR_BYTES: usize = 8 << 10;
    /// Most log lines kept for a job.
    pub const LOG_LINES: usize = 1_000;
    /// Longest log line, in bytes (8 KiB); a longer one is cut, not refused.
    pub const LOG_LINE_BYTES: usize = 8 << 10;
    /// Most log bytes kept for a job (64 KiB).
    pub const LOG_BYTES: usize = 64 << 10;
    /// Longest progress value, in bytes (4 KiB).
    pub const PROGRESS_BYTES: usize = 4 << 10;
    /// Most jobs in one enqueue.
    pub const BATCH_JOBS: usize = 10_000;
    /// Most bytes of a client's own in one enqueue or one settle call (16 MiB): payloads, headers as JSON, ids and tags;
    /// results and failures.
    pub const BATCH_BYTES: usize = 16 << 20;
    /// Longest name of a queue, job, tag, header, worker or id, in bytes.
    pub const NAME_BYTES: usize = 255;
    /// Most tags of a job.
    pub const TAGS: usize = 32;
    /// Most bytes in a job's headers, names and values together (8 KiB).
    pub const HEADER_BYTES: usize = 8 << 10;
    /// Largest magnitude of a priority.
    pub const PRIORITY: i64 = 1_000;
    /// Most attempts of a job.
    pub const ATTEMPTS: u64 = 10_000;
    /// Longest duration that any option takes, in milliseconds (10 years of 365 days).
    pub const DURATION_MS: u64 = 10 * 365 * 86_400_000;
    /// Latest wall time that an option takes, in milliseconds since the Unix epoch: the end of the year 9999, beyond
    /// which no tool can write it.
    pub const RUN_AT_MS: u64 = 253_402_300_799_999;
    /// Longest lease, in milliseconds (24 h); the shortest is 100 ms.
    pub const LEASE_MS: u64 = 86_400_000;
    /// Shortest lease, in milliseconds.
    pub const LEASE_MS_MIN: u64 = 100;
    /// Most jobs handed out by one lease call.
    pub const LEASE_JOBS: u32 = 1_000;
    /// Payload bytes after which a lease call hands out no further job (4 MiB), so that no reply is out of all measure.
    pub const LEASE_BYTES: usize = 4 << 20;
    /// Most queues in one lease call.
    pub const LEASE_QUEUES: usize = 1_000;
    /// Most leases that a beat names.
    pub const BEAT_LEASES: usize = 10_000;
    /// Most workers in the registry.
    pub const WORKERS: usize = 10_000;
    /// Most workers that are kept there as gone; those heard of longest ago are forgotten first.
    pub const GONE_WORKERS: usize = 1_000;
    /// Milliseconds after its last beat for which a worker that is gone is kept (24 h).
    pub const GONE_MS: u64 = 86_400_000;
    /// Most jobs of a worker that a list of workers shows.
    pub const LISTED_WORKER_JOBS: usize = 10;
    /// Most jobs of a worker that are shown where one alone is.
    pub const WORKER_JOBS: usize = 1_000;
    /// Most queues that metrics show by name; all others are shown together.
    pub const FIGURE_QUEUES: usize = 200;
    /// What those others are called there; a queue of this name is among them.
    pub const FIGURES_OTHER: &'static str = "other";
    /// Most bulk operations that run or wait to.
    pub const RUNNING_OPERATIONS: usize = 1_000;
    /// Most queues in the server's file of settings.
    pub const CONFIG_QUEUES: usize = 1_000;
    /// Longest a lease or wait call may wait, in milliseconds (1 h).
    pub const WAIT_MS: u64 = 3_600_000;
    /// Most rows in one page of a list.
    pub const PAGE_ROWS: u32 = 1_000;
    /// Most buckets of each row in one page of recent activity.
    pub const ACTIVITY_POINTS: u32 = 60;
    /// Most events in one page of the feed.
    pub const PAGE_EVENTS: u32 = 10_000;
    /// Releases and snoozes in a row without progress after which a job is dead, reason `looping`.
    pub const LOOPING: u32 = 10_000;
    /// Milliseconds after a cancel from which an active job's lease is no longer extended.
    pub const CANCEL_GRACE_MS: u64 = 60_000;
    /// Milliseconds for which a settlement sent again answers `already`, at least.
    pub const SETTLED_MS: u64 = 600_000;
    /// Most ids of gone jobs that a queue remembers.
    pub const REMEMBERED_IDS: usize = 1_000_000;
    /// First leases of a job that its timeline keeps.
    pub const TIMELINE_FIRST: usize = 20;
    /// Last leases of a job that its timeline keeps.
    pub const TIMELINE_LAST: usize = 80;
    /// Longest reason given with an administrative command, in bytes.
    pub const REASON_BYTES: usize = 1_000;
}
