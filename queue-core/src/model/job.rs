//! A job as it is shown and as it is leased: states, reasons, timeline.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Backoff, JobNumber, LeaseToken};

/// Gives a word enum its text form, its parser and its list, so that the words stand once.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant),+ }

        impl $name {
            /// Every value, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word as it is shown and typed.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }

            /// The value behind a word.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }

            /// The value with this number, as the journal keeps it.
            pub fn from_u8(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}
pub(crate) use words;

words! {
    /// Where a job is in its life. Exactly one at any time.
    JobState {
        /// Ready for a worker. Set by an enqueue without delay, by coming due, by release, lease expiry, promote and
        /// retry; ends with a lease, a cancel, a reschedule, an expiry or a removal.
        Waiting = "waiting",
        /// Not before its time. Set by an enqueue with a delay or time, by a failed attempt (cause `retry`), a snooze or
        /// a reschedule; ends by coming due, promote, cancel, expiry or removal.
        Delayed = "delayed",
        /// Under a lease. Set by a lease; ends with its settlement, its expiry, or a forced removal.
        Active = "active",
        /// Waits for the jobs that it was made to follow. No job gets there before flows exist.
        WaitingChildren = "waiting-children",
        /// Done. Set by a completion; ends with a retry, a removal, or retention.
        Completed = "completed",
        /// Given up, with a [`DeadReason`]: a dead letter. Ends with a retry (redrive), a removal, or retention.
        Dead = "dead",
        /// Called off. Ends with a retry, a removal, or retention.
        Cancelled = "cancelled",
    }
}

impl JobState {
    /// Whether nothing more happens to the job by itself, but for retention.
    pub const fn is_done(self) -> bool {
        matches!(self, Self::Completed | Self::Dead | Self::Cancelled)
    }
}

words! {
    /// Why a job is delayed.
    DelayCause {
        /// Its producer gave a delay or time, or somebody rescheduled it.
        Scheduled = "scheduled",
        /// It failed and waits for its next attempt.
        Retry = "retry",
        /// Its worker put it off.
        Snooze = "snooze",
    }
}

words! {
    /// Why a job is dead.
    DeadReason {
        /// Its attempts are used up.
        Exhausted = "exhausted",
        /// The handler said that trying again is useless.
        Rejected = "rejected",
        /// Its leases expired more often than `stalls` allows.
        Poison = "poison",
        /// Released or snoozed 10,000 times in a row without progress.
        Looping = "looping",
        /// Nobody started it in time.
        Expired = "expired",
        /// A job that it waited for died.
        Child = "child",
        /// Its bytes could not be read back.
        Unreadable = "unreadable",
    }
}

words! {
    /// How a lease ended.
    LeaseOutcome {
        /// It runs.
        Running = "running",
        /// The job was completed.
        Completed = "completed",
        /// The attempt failed.
        Failed = "failed",
        /// Given back uncounted.
        Released = "released",
        /// Put off uncounted.
        Snoozed = "snoozed",
        /// It ran out: a stall.
        Expired = "expired",
    }
}

/// One row of a job's timeline: one handing-out of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedLease {
    /// Counted from 1 over the job's whole life.
    pub lease: u32,
    /// The attempt it ran, counted from 1 in its round; uncounted leases share their number with the next.
    pub attempt: u32,
    /// Counted from 1; a retry begins a new one.
    pub round: u32,
    /// The worker's name for itself.
    pub worker: String,
    /// When it was handed out.
    pub leased_at_ms: u64,
    /// When it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at_ms: Option<u64>,
    /// How it ended.
    pub outcome: LeaseOutcome,
    /// What kind of failure, such as `exit`, `timeout`, `no-handler`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_kind: Option<String>,
    /// The failure's text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What failures of one cause share: kind and message with numbers, ids and quoted parts replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// A job's row in a list: all but its bytes and its timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobSummary {
    /// Its number.
    pub number: JobNumber,
    /// The id its producer chose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its queue.
    pub queue: String,
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: JobState,
    /// Why it is delayed, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<DelayCause>,
    /// Why it is dead, where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<DeadReason>,
    /// −1000 to 1000; the larger runs first.
    pub priority: i64,
    /// Attempts counted in this round.
    pub attempt: u32,
    /// Attempts allowed in a round.
    pub attempts: u32,
    /// When it was enqueued.
    pub enqueued_at_ms: u64,
    /// When it is due (delayed), its lease expires (active), or it was done; absent while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// The last failure's text, where there is one; at most 200 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Everything there is to say of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What a list shows of it.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// The payload, exactly. In JSON: `payload` where it is JSON, else `payload_base64`.
    #[serde(skip)]
    pub payload: Bytes,
    /// The result of its completion.
    #[serde(skip)]
    pub result: Option<Bytes>,
    /// The last progress it reported.
    #[serde(skip)]
    pub progress: Option<Bytes>,
    /// Headers as enqueued.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Backoff between its attempts.
    pub backoff: Backoff,
    /// Time for one attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// When it dies unstarted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at_ms: Option<u64>,
    /// How long it is kept once completed, where that is its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_ms: Option<u64>,
    /// Counted from 1; a retry begins a new one.
    pub round: u32,
    /// Stalls in this round.
    pub stalls: u32,
    /// A cancel was asked for and its handler has not ended yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_requested: bool,
    /// Every lease of its life: the first 20 and the last 80.
    pub leases: Vec<EndedLease>,
    /// Leases that the timeline no longer shows.
    #[serde(default)]
    pub leases_left_out: u32,
    /// Log lines kept.
    #[serde(default)]
    pub log_lines: u32,
}

/// A job in a worker's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeasedJob {
    /// Its number.
    pub number: JobNumber,
    /// The proof to settle it with.
    pub token: LeaseToken,
    /// Its queue.
    pub queue: String,
    /// Its name.
    pub name: String,
    /// The id its producer chose.
    pub id: Option<String>,
    /// This attempt, counted from 1.
    pub attempt: u32,
    /// Attempts allowed.
    pub attempts: u32,
    /// The lease's length: extend it well before.
    pub lease_ms: u64,
    /// Time for this attempt, if it is bounded.
    pub timeout_ms: Option<u64>,
    /// When it was enqueued.
    pub enqueued_at_ms: u64,
    /// Headers as enqueued.
    pub headers: BTreeMap<String, String>,
    /// The payload, exactly.
    pub payload: Bytes,
}
