//! Everything that can be asked of an engine: one closed enum, shared by machine, wire and command line.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    ActivityQuery, DelayCause, FailureFilter, FailureOrder, JobNumber, JobRef, JobState, LeaseRef, NewJob,
    OperationNumber, QueueSettings, SeriesQuery, SettingsPatch,
};

/// One request. Each is applied whole or refused whole, and a refused one changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Adds jobs to a queue, all or none. Answers [`super::Reply::Enqueued`].
    Enqueue {
        /// The queue; made if it does not exist.
        queue: String,
        /// 1 to 10,000 jobs.
        jobs: Vec<NewJob>,
    },
    /// Leases what is ready now, without waiting. Answers [`super::Reply::Leased`], perhaps empty.
    Lease(LeaseOrder),
    /// Settles leases, each by itself, then perhaps leases more in the same commit. Answers [`super::Reply::Settled`].
    Settle {
        /// What became of which lease.
        settlements: Vec<Settlement>,
        /// New jobs to hand out afterwards.
        then_lease: Option<LeaseOrder>,
    },
    /// Gives leases their full length again. Answers [`super::Reply::Extended`], one for each.
    Extend {
        /// The leases.
        leases: Vec<LeaseRef>,
        /// Another length than the queue's, in milliseconds.
        lease_ms: Option<u64>,
    },
    /// Reports progress: any bytes up to 4 KiB, JSON by convention. Answers [`super::Reply::Done`].
    Progress {
        /// The lease.
        lease: LeaseRef,
        /// The value; replaces the one before.
        value: Bytes,
    },
    /// Adds lines to the job's log; beyond the log's bound the oldest go. Answers [`super::Reply::Done`].
    Log {
        /// The lease.
        lease: LeaseRef,
        /// The lines, without line ends.
        lines: Vec<LogLine>,
    },
    /// An administrative verb on one job. Answers [`super::Reply::Changed`].
    Job {
        /// Which job.
        job: JobRef,
        /// What to do with it.
        verb: JobVerb,
    },
    /// Changes a queue's settings; the queue is made if it does not exist. Answers [`super::Reply::Done`].
    SetQueue {
        /// The queue.
        queue: String,
        /// What to change.
        patch: SettingsPatch,
    },
    /// The server's file of settings: applied only where its value changed since it was last applied.
    ApplyConfig {
        /// Settings by queue.
        queues: Vec<(String, QueueSettings)>,
    },
    /// Starts no other job of this queue until it is resumed; running jobs finish. Answers [`super::Reply::Done`].
    Pause {
        /// The queue.
        queue: String,
    },
    /// Ends a pause. Answers [`super::Reply::Done`].
    Resume {
        /// The queue.
        queue: String,
    },
    /// Starts a bulk operation over all jobs that match now. Answers [`super::Reply::Operation`] at once.
    StartOperation {
        /// What to do with each.
        verb: BulkVerb,
        /// Which jobs.
        filter: JobFilter,
    },
    /// Ends a bulk operation where it stands. Answers [`super::Reply::Operation`].
    CancelOperation {
        /// Which.
        operation: OperationNumber,
    },
    /// Reads one job. Answers [`super::Reply::Job`].
    ShowJob {
        /// Which job.
        job: JobRef,
    },
    /// Reads a page of jobs. Answers [`super::Reply::Jobs`].
    ///
    /// By queue, by name; within it by state, each in its order: waiting as they are served, delayed by when they are due,
    /// active by expiry, what is done from the latest back. A filter with neither queue nor state, cause nor reason goes by
    /// number over everything, from the newest back.
    ListJobs {
        /// Which jobs.
        filter: JobFilter,
        /// Where the page before ended.
        cursor: Option<String>,
        /// 1 to 1,000 rows.
        limit: u32,
    },
    /// Reads a job's log from line number `from` (counted from 0 over the job's life). Answers [`super::Reply::Log`].
    ShowLog {
        /// Which job.
        job: JobRef,
        /// The first line wanted.
        from: u64,
    },
    /// Reads one queue. Answers [`super::Reply::Queue`].
    ShowQueue {
        /// Which.
        queue: String,
    },
    /// Reads a page of queues, by name. Answers [`super::Reply::Queues`].
    ListQueues {
        /// Where the page before ended.
        cursor: Option<String>,
        /// 1 to 1,000 rows.
        limit: u32,
    },
    /// Reads one bulk operation. Answers [`super::Reply::Operation`].
    ShowOperation {
        /// Which.
        operation: OperationNumber,
    },
    /// Reads the running bulk operations and the last 100 ended ones, newest first. Answers [`super::Reply::Operations`].
    ListOperations,
    /// Reads what happened over time to the store's jobs, a queue's or a name's. Answers [`super::Reply::Series`].
    ShowSeries(SeriesQuery),
    /// Reads what each queue, or each job name of one, did lately. Answers [`super::Reply::Activity`].
    ListActivity(ActivityQuery),
    /// Reads a page of groups of failures. Answers [`super::Reply::Failures`].
    ListFailures {
        /// Which groups.
        filter: FailureFilter,
        /// In which order.
        order: FailureOrder,
        /// Where the page before ended.
        cursor: Option<String>,
        /// 1 to 1,000 rows.
        limit: u32,
    },
    /// Reads one group of failures. Answers [`super::Reply::Failure`].
    ShowFailure {
        /// What its failures share.
        fingerprint: String,
    },
    /// Reads the store's totals. Answers [`super::Reply::Stats`].
    Stats,
}

/// The pattern of every command that changes nothing: the one list of them, for matches that are to stay without a `_`.
macro_rules! reading {
    () => {
        $crate::model::Command::ShowJob { .. }
            | $crate::model::Command::ListJobs { .. }
            | $crate::model::Command::ShowLog { .. }
            | $crate::model::Command::ShowQueue { .. }
            | $crate::model::Command::ListQueues { .. }
            | $crate::model::Command::ShowOperation { .. }
            | $crate::model::Command::ListOperations
            | $crate::model::Command::ShowSeries(_)
            | $crate::model::Command::ListActivity(_)
            | $crate::model::Command::ListFailures { .. }
            | $crate::model::Command::ShowFailure { .. }
            | $crate::model::Command::Stats
    };
}
pub(crate) use reading;

impl Command {
    /// Whether it changes nothing, so that it may be asked again, and of a state that is past.
    pub const fn reads(&self) -> bool {
        match self {
            reading!() => true,
            Self::Enqueue { .. }
            | Self::Lease(_)
            | Self::Settle { .. }
            | Self::Extend { .. }
            | Self::Progress { .. }
            | Self::Log { .. }
            | Self::Job { .. }
            | Self::SetQueue { .. }
            | Self::ApplyConfig { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::StartOperation { .. }
            | Self::CancelOperation { .. } => false,
        }
    }
}

/// Which jobs to hand out, to whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeaseOrder {
    /// Queues in the order to look at them. One that does not exist counts as empty.
    pub queues: Vec<String>,
    /// At most this many jobs: 1 to 1,000.
    pub limit: u32,
    /// The worker's name for itself: 1 to 255 bytes.
    pub worker: String,
    /// Another lease length than the queue's, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease_ms: Option<u64>,
}

/// What became of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    /// Which lease.
    pub lease: LeaseRef,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a worker ends a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Done, perhaps with a result of up to 1 MiB.
    Complete {
        /// The result, JSON by convention.
        result: Option<Bytes>,
    },
    /// The attempt failed and counts.
    Fail {
        /// A short word for the kind, such as `exit`, `timeout`, `no-handler`.
        kind: String,
        /// The text; cut at 8 KiB.
        error: String,
        /// `false`: dead at once, reason `rejected`.
        retryable: bool,
    },
    /// Given back to its old place, uncounted.
    Release,
    /// Put off, uncounted.
    Snooze {
        /// For how long; `None`: as the job's backoff says.
        delay_ms: Option<u64>,
    },
}

/// Which output a log line came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogSource {
    /// Standard output, or a line that the handler logged.
    Out,
    /// Standard error.
    Err,
}

/// One line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogLine {
    /// Which output.
    pub source: LogSource,
    /// The text without its line end.
    pub text: String,
}

/// A new due time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// This many milliseconds from now.
    DelayMs(u64),
    /// At this wall time, in milliseconds since the Unix epoch.
    RunAtMs(u64),
}

/// What an edit changes; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// The new payload.
    pub payload: Option<Bytes>,
    /// The new priority: −1000 to 1000. The job joins the end of that priority.
    pub priority: Option<i64>,
    /// Whether the job is also retried, once it is changed: it has to be dead then. Both are done, or neither.
    pub retry: bool,
}

/// An administrative verb on one job; the table "verbs × states" says where each is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobVerb {
    /// A delayed job becomes waiting.
    Promote,
    /// A waiting or delayed job becomes due at another time.
    Reschedule(When),
    /// Changes payload or priority.
    Edit(Edit),
    /// Calls the job off; an active one's handler is told.
    Cancel,
    /// A done job becomes waiting again, in a new round.
    Retry,
    /// Takes the job out of the store.
    Remove {
        /// Also if it is active; its token is void then.
        force: bool,
    },
}

impl JobVerb {
    /// The word as it is shown.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Reschedule(_) => "reschedule",
            Self::Edit(_) => "edit",
            Self::Cancel => "cancel",
            Self::Retry => "retry",
            Self::Remove { .. } => "remove",
        }
    }
}

super::job::words! {
    /// A verb on all jobs that match a filter.
    BulkVerb {
        /// Delayed jobs become waiting.
        Promote = "promote",
        /// Jobs that are not done are called off.
        Cancel = "cancel",
        /// Done jobs become waiting again; on dead jobs this is called redrive.
        Retry = "retry",
        /// Jobs that are not active are taken out of the store.
        Remove = "remove",
    }
}

/// Which jobs a list or a bulk operation means; every field that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobFilter {
    /// In this queue; absent: in every queue, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// In one of these states; empty: in any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub states: Vec<JobState>,
    /// Delayed for this cause.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<DelayCause>,
    /// Dead for this reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<super::DeadReason>,
    /// With this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// With this tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// Whose last failure has this fingerprint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Whose payload has this text in it, byte for byte: 1 to 255 bytes, upper and lower case told apart. Lists alone take
    /// it, not bulk operations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contains: Option<String>,
    /// In its state since this time or later: wall milliseconds since the Unix epoch. A done job is in its state since it
    /// ended, an active one since it was leased, a waiting one since it became ready or was given back, a delayed one since
    /// its last lease ended or, if it had none, since it was enqueued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// In its state since before this time, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<u64>,
    /// Numbered at most this; a bulk operation sets it to the last number when it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<JobNumber>,
}
