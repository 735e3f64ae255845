//! What happened over time: counts, waiting times and running times of the store, of queues and of job names.
//!
//! A bucket is 10 s or 1 min of the broker's steady clock; answers carry wall times. Where nothing happened there is no
//! bucket. Durations are whole milliseconds. Quantiles come from log-linear histograms and are off by at most 6.25 %;
//! below 16 ms they are exact.

use serde::{Deserialize, Serialize};

super::job::words! {
    /// How long a bucket is.
    Step {
        /// 10 s; kept for an hour.
        Seconds = "10s",
        /// 1 min; kept for 24 hours.
        Minute = "1m",
    }
}

impl Step {
    /// Its length in milliseconds.
    pub const fn ms(self) -> u64 {
        match self {
            Self::Seconds => 10_000,
            Self::Minute => 60_000,
        }
    }

    /// How many buckets are kept: 360 of 10 s, 1,440 of 1 min.
    pub const fn kept(self) -> u32 {
        match self {
            Self::Seconds => 360,
            Self::Minute => 1_440,
        }
    }
}

/// Which series is wanted, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesQuery {
    /// Of this queue; `None`: of the whole store.
    pub queue: Option<String>,
    /// Of the queue's jobs of this name alone. Of names only the 200 busiest of the store have a series; another's is empty.
    pub name: Option<String>,
    /// Of the queue's jobs of all names that have no series of their own. Not together with `name`.
    pub other: bool,
    /// How long a bucket is.
    pub step: Step,
    /// How many buckets, the one that runs included: 1 to [`Step::kept`].
    pub points: u32,
}

/// Which rows of recent activity are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActivityQuery {
    /// `None`: a row for each queue, by name. Else a row for each job name of this queue that has a series of its own, by
    /// name, and one for all others.
    pub queue: Option<String>,
    /// How long a bucket is.
    pub step: Step,
    /// How many buckets of each, the one that runs included: 1 to 60.
    pub points: u32,
    /// Where the page before ended.
    pub cursor: Option<String>,
    /// 1 to 1,000 rows.
    pub limit: u32,
}

/// What was counted in some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SeriesCounts {
    /// Jobs enqueued.
    pub enqueued: u64,
    /// Leases handed out: attempts started.
    pub started: u64,
    /// Jobs completed.
    pub completed: u64,
    /// Attempts that failed, those that ran out of time included.
    pub failed: u64,
    /// Of `failed`, those of kind `timeout`.
    pub timed_out: u64,
    /// Leases that ran out because their worker was not heard of. One that was settled late stays counted.
    pub stalled: u64,
    /// Leases given back uncounted: released or snoozed.
    pub returned: u64,
    /// Jobs that became dead, for whatever reason.
    pub dead: u64,
    /// Jobs that became cancelled.
    pub cancelled: u64,
    /// Done jobs made waiting again by somebody.
    pub retried: u64,
    /// Jobs taken out by somebody.
    pub removed: u64,
    /// Jobs taken out by retention.
    pub aged_out: u64,
}

impl SeriesCounts {
    /// Adds what was counted in some other time.
    pub const fn add(&mut self, other: &Self) {
        self.enqueued += other.enqueued;
        self.started += other.started;
        self.completed += other.completed;
        self.failed += other.failed;
        self.timed_out += other.timed_out;
        self.stalled += other.stalled;
        self.returned += other.returned;
        self.dead += other.dead;
        self.cancelled += other.cancelled;
        self.retried += other.retried;
        self.removed += other.removed;
        self.aged_out += other.aged_out;
    }
}

/// How long something took, in milliseconds; off by at most 6.25 %, exact below 16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// How many were measured; with 0 the others say nothing.
    pub count: u64,
    /// Half of them took at most this.
    pub p50_ms: u64,
    /// 95 % of them took at most this.
    pub p95_ms: u64,
    /// 99 % of them took at most this.
    pub p99_ms: u64,
}

/// One bucket, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeriesPoint {
    /// When it began: wall milliseconds since the Unix epoch, by the broker's clock as it goes now.
    pub at_ms: u64,
    /// What was counted.
    pub counts: SeriesCounts,
    /// From when a job became ready (or was given back) to its lease; counted when it was leased.
    pub wait: Quantiles,
    /// From lease to completion or failure; counted when it was settled.
    pub run: Quantiles,
}

/// A series: what happened, bucket by bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// Of which queue; absent: of the whole store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Of which job name; absent: of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is of the queue's names that have no series of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other: bool,
    /// Length of a bucket in milliseconds.
    pub step_ms: u64,
    /// Where the first bucket asked for begins: wall milliseconds.
    pub from_ms: u64,
    /// Where the last one, which runs, ends.
    pub until_ms: u64,
    /// The buckets in which something happened, oldest first. `at_ms` is `from_ms` and a multiple of `step_ms`.
    pub points: Vec<SeriesPoint>,
    /// All of them together; `at_ms` is `from_ms`.
    pub total: SeriesPoint,
}

/// What a queue, or a job name of one, did lately: a line of an overview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// The queue.
    pub queue: String,
    /// The job name, where the rows are of names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether the row is of the queue's names that have no series of their own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other: bool,
    /// Jobs enqueued in each bucket, oldest first: as many numbers as buckets were asked for.
    pub enqueued: Vec<u64>,
    /// Jobs completed in each.
    pub completed: Vec<u64>,
    /// Attempts that failed and leases that ran out in each.
    pub failed: Vec<u64>,
    /// All buckets together: rates are its counts by their time. `at_ms` is where the first begins.
    pub total: SeriesPoint,
}

/// A page of recent activity.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivityPage {
    /// Length of a bucket in milliseconds.
    pub step_ms: u64,
    /// The rows.
    pub rows: Vec<Activity>,
    /// Where to go on; absent at the end. A page may be shorter than asked for and yet go on: a call looks at no more than
    /// 10,000 buckets.
    pub cursor: Option<String>,
}
