//! Everything that an engine answers: one closed enum beside [`super::Command`].

use serde::{Deserialize, Serialize};

use super::{
    ActivityPage, BulkVerb, Effective, Error, FailureGroup, FailurePage, Job, JobFilter, JobNumber, JobState,
    JobSummary, LeasedJob, LogLine, OperationNumber, Series,
};

/// The answer to one [`super::Command`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// One for each job, in order.
    Enqueued(Vec<Enqueued>),
    /// What was handed out.
    Leased(Vec<LeasedJob>),
    /// One for each settlement, in order, and what was handed out after them.
    Settled {
        /// Each by itself: one stale token does not undo the others.
        settled: Vec<Result<Settled, Error>>,
        /// New jobs.
        leased: Vec<LeasedJob>,
    },
    /// One for each lease, in order.
    Extended(Vec<Extension>),
    /// Done; there is nothing more to say.
    Done,
    /// A verb was carried out; the job is in this state now.
    Changed {
        /// Which job.
        number: JobNumber,
        /// Its state now; a removed job's last.
        state: JobState,
    },
    /// One job.
    Job(Box<Job>),
    /// A page of jobs.
    Jobs(JobPage),
    /// Lines of a job's log.
    Log(LogPage),
    /// One queue.
    Queue(Box<QueueView>),
    /// A page of queues, by name.
    Queues(QueuePage),
    /// One bulk operation.
    Operation(Box<OperationView>),
    /// Bulk operations, newest first.
    Operations(Vec<OperationView>),
    /// What happened over time.
    Series(Box<Series>),
    /// What queues, or names of one, did lately.
    Activity(ActivityPage),
    /// A page of groups of failures.
    Failures(FailurePage),
    /// One group of failures.
    Failure(Box<FailureGroup>),
    /// The store's totals.
    Stats(Box<Stats>),
}

/// What became of an enqueued job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enqueued {
    /// The job's number; for an existing id the first job's.
    pub number: JobNumber,
    /// Whether it is new.
    pub added: Added,
}

super::job::words! {
    /// Whether an enqueue made a job.
    Added {
        /// A new job.
        Created = "created",
        /// Its id was known already; nothing changed.
        Existing = "existing",
        /// Its id was known already, and that job is gone; nothing changed.
        ExistingGone = "existing-gone",
    }
}

super::job::words! {
    /// Whether a settlement counted.
    Settled {
        /// It counted now.
        Counted = "counted",
        /// It was counted before.
        Already = "already",
    }
}

/// What became of a lease that was to be extended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "lease")]
pub enum Extension {
    /// It holds this much longer.
    Extended {
        /// Milliseconds from now.
        lease_ms: u64,
    },
    /// The job was cancelled: stop the handler. From 60 s after the cancel the lease is not extended any more.
    Cancel {
        /// Who cancelled and why.
        reason: String,
    },
    /// The lease is not this worker's any more: stop the handler, settle nothing.
    Lost,
}

/// A page of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPage {
    /// The rows.
    pub jobs: Vec<JobSummary>,
    /// Where to go on; absent at the end. A page may be short, even empty, and yet go on: a call looks at most at
    /// 1,000 jobs.
    pub cursor: Option<String>,
    /// Jobs looked at for this page.
    pub looked_at: u64,
}

/// Lines of a job's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPage {
    /// The number of the first line here, counted from 0 over the job's life.
    pub first: u64,
    /// The lines.
    pub lines: Vec<LogLine>,
    /// Whether the job is done, so that no further line will come.
    pub done: bool,
}

/// How many jobs of a queue are in which state, and what ever happened to them. The books balance, always:
/// `enqueued = waiting + delayed + active + waiting_children + completed + dead + cancelled + removed + aged_out`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "each field is the state or the end that its name says")]
pub struct QueueCounts {
    pub waiting: u64,
    pub delayed: u64,
    pub active: u64,
    pub waiting_children: u64,
    pub completed: u64,
    pub dead: u64,
    pub cancelled: u64,
    /// Jobs ever enqueued.
    pub enqueued: u64,
    /// Jobs taken out by somebody.
    pub removed: u64,
    /// Jobs taken out by retention.
    pub aged_out: u64,
    /// Delayed jobs that wait for their next attempt; contained in `delayed`.
    pub retrying: u64,
    /// Dead jobs taken out by retention; contained in `aged_out`.
    pub dead_aged_out: u64,
}

impl QueueCounts {
    /// The count of one state.
    pub const fn of(&self, state: JobState) -> u64 {
        match state {
            JobState::Waiting => self.waiting,
            JobState::Delayed => self.delayed,
            JobState::Active => self.active,
            JobState::WaitingChildren => self.waiting_children,
            JobState::Completed => self.completed,
            JobState::Dead => self.dead,
            JobState::Cancelled => self.cancelled,
        }
    }

    /// The count of one state, to change it.
    pub const fn of_mut(&mut self, state: JobState) -> &mut u64 {
        match state {
            JobState::Waiting => &mut self.waiting,
            JobState::Delayed => &mut self.delayed,
            JobState::Active => &mut self.active,
            JobState::WaitingChildren => &mut self.waiting_children,
            JobState::Completed => &mut self.completed,
            JobState::Dead => &mut self.dead,
            JobState::Cancelled => &mut self.cancelled,
        }
    }

    /// Whether the books balance.
    pub const fn balanced(&self) -> bool {
        let kept = self.waiting + self.delayed + self.active + self.waiting_children;
        let done = self.completed + self.dead + self.cancelled;
        self.enqueued == kept + done + self.removed + self.aged_out
    }

    /// Adds another queue's counts.
    pub const fn add(&mut self, other: &Self) {
        self.waiting += other.waiting;
        self.delayed += other.delayed;
        self.active += other.active;
        self.waiting_children += other.waiting_children;
        self.completed += other.completed;
        self.dead += other.dead;
        self.cancelled += other.cancelled;
        self.enqueued += other.enqueued;
        self.removed += other.removed;
        self.aged_out += other.aged_out;
        self.retrying += other.retrying;
        self.dead_aged_out += other.dead_aged_out;
    }
}

/// A queue as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueView {
    /// Its name.
    pub queue: String,
    /// Its counts.
    pub counts: QueueCounts,
    /// Whether it is paused.
    pub paused: bool,
    /// Who paused it and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_reason: Option<String>,
    /// How long the job that is next in line has waited: since it became ready, or was given back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_waiting_ms: Option<u64>,
    /// How long the job has waited that has waited longest, whichever is served next: since it became ready, or was given
    /// back. Absent where none waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_waiting_ms: Option<u64>,
    /// Every setting with its source.
    pub settings: Vec<Effective>,
}

/// A page of queues.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePage {
    /// The queues, by name.
    pub queues: Vec<QueueView>,
    /// Where to go on; absent at the end.
    pub cursor: Option<String>,
}

super::job::words! {
    /// Where a bulk operation is.
    OperationState {
        /// It goes on, a step at a time.
        Running = "running",
        /// It looked at every job.
        Finished = "finished",
        /// Somebody ended it.
        Cancelled = "cancelled",
    }
}

/// A bulk operation as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationView {
    /// Its number.
    pub operation: OperationNumber,
    /// What it does.
    pub verb: BulkVerb,
    /// To which jobs.
    pub filter: JobFilter,
    /// Where it is.
    pub state: OperationState,
    /// Jobs looked at.
    pub looked_at: u64,
    /// Jobs changed.
    pub changed: u64,
    /// Who started it.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When it began.
    pub started_at_ms: u64,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
}

/// The store's totals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// All queues together.
    pub counts: QueueCounts,
    /// Number of queues.
    pub queues: u64,
    /// Bytes of payloads, results, logs and the like.
    pub blob_bytes: u64,
    /// `memory`, `log` or another engine's word.
    pub engine: String,
    /// The fsync policy, or `none` where nothing is written.
    pub fsync: String,
    /// A digest of the whole state: equal states, equal digests.
    pub state_hash: String,
    /// The broker's version.
    pub version: String,
    /// The append log; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<JournalStats>,
}

/// What an append log says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalStats {
    /// Where the log ends, bytes.
    pub position: u64,
    /// Segments that are kept, for a start and for readers of the feed.
    pub segments: u64,
    /// Length of the snapshot that a start begins with, bytes; 0 without one.
    pub snapshot_bytes: u64,
    /// Bytes of log that a start would read behind it.
    pub behind_snapshot_bytes: u64,
    /// Snapshots made since the engine was started.
    pub snapshots: u64,
    /// Why the last snapshot that was tried came to nothing; absent if it did not. The log is whole without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_failure: Option<String>,
    /// What is refused because the disk is full, and what failed; absent while there is room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full: Option<String>,
}

/// A page of the feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage {
    /// The events, oldest first.
    pub events: Vec<EventRecord>,
    /// Where to go on: opaque text.
    pub cursor: String,
    /// Where to go on further back, of a page that was read back; absent where nothing older is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// How many events a page that was read back leaves out between `since` and its first; absent where that was not asked,
    /// or is too far back to be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<u64>,
}

/// Which part of the feed is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsBack {
    /// The page ends here: a cursor of an earlier page; `None`: with the newest event.
    pub before: Option<String>,
    /// Nothing that stands before this cursor is read.
    pub since: Option<String>,
    /// 1 to 10,000 events.
    pub limit: u32,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its own place in the feed: what is read from here begins with it, what is read back from here ends before it.
    pub cursor: String,
    /// When: wall milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// Which kind, such as `enqueued` or `lease-expired`.
    pub event: String,
    /// The job, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<JobNumber>,
    /// The queue, where it is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// Everything else that the kind says.
    pub detail: serde_json::Value,
}
