//! Events: what happened. The state is nothing but the fold of these.
//!
//! An event says what became of things, never what was asked, and carries every value that a rule computed (due times,
//! ranks, fingerprints), so that folding it copies and never decides. The instant of an event stands in its record's
//! head: steady milliseconds. Slices borrow from the caller's command or from a journal page; blobs (payloads, headers,
//! results, errors, log chunks, progress) are kept by the engine, the state keeps [`Blob`] handles.

use serde::Serialize;

use crate::model::{Backoff, BulkVerb, DeadReason, JobNumber, LeaseToken, OperationState};

/// Where the bytes of a blob are: the position of the record that carries them plus their ordinal within it (records
/// are at least 8 bytes apart, so the sum is unique), and their length in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Blob {
    /// Record position + ordinal.
    pub position: u64,
    /// Length in bytes.
    pub length: u32,
}

/// When a delayed job is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Due {
    /// On the steady clock: delays, backoff, snoozes.
    Steady(u64),
    /// On the wall clock: times given as times.
    Wall(u64),
}

/// What happens to a job after its lease ended without completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// Back to its old place.
    Waiting,
    /// Due again then.
    Delayed(u64),
    /// To the dead letters.
    Dead(DeadReason),
    /// Called off: a cancel was asked for.
    Cancelled,
}

/// What was resolved for a job when it was enqueued; interned, since most jobs share theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[expect(missing_docs, reason = "each field is the job option of the same name")]
pub struct Policy {
    pub attempts: u32,
    pub backoff: Backoff,
    pub timeout_ms: Option<u64>,
    pub expires_in_ms: Option<u64>,
    pub keep_ms: Option<u64>,
}

/// A new job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "each field is the job's attribute of the same name")]
pub struct NewRow<'a> {
    pub number: JobNumber,
    pub queue: u32,
    pub name: u32,
    pub policy: u32,
    pub priority: i16,
    /// Its place within its priority; smaller is earlier.
    pub rank: i64,
    /// Absent: waiting at once.
    pub due: Option<Due>,
    /// Steady instant at which it dies unstarted.
    pub expires_at: Option<u64>,
    pub id: Option<&'a str>,
    pub tags: Vec<&'a str>,
    /// JSON object of texts; empty for none.
    #[serde(skip)]
    pub headers: &'a [u8],
    #[serde(skip)]
    pub payload: &'a [u8],
}

/// Who did something administrative, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct By<'a> {
    pub actor: &'a str,
    pub reason: &'a str,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
#[expect(missing_docs, reason = "fields are named after the model's; what needs saying is said at the variant")]
pub enum Event<'a> {
    /// The store's first event: the key of its id digests.
    StoreCreated {
        key: [u64; 2],
    },
    /// A start of the broker: each live lease has its full length again, from the event's instant on. Removal by age
    /// holds until `removal_from` (steady).
    Started {
        epoch: u32,
        wall: u64,
        removal_from: u64,
    },
    /// The wall clock jumped by more than a minute.
    ClockMoved {
        wall: u64,
        removal_from: u64,
    },
    /// The digest of the state before this event, for every later fold to reproduce.
    Digest {
        state_hash: u64,
    },
    QueueCreated {
        queue: u32,
        name: &'a str,
    },
    NameAdded {
        name: u32,
        text: &'a str,
    },
    WorkerAdded {
        worker: u32,
        text: &'a str,
    },
    PolicyAdded {
        policy: u32,
        value: Policy,
    },
    Enqueued(NewRow<'a>),
    /// A delayed job's time came.
    CameDue {
        number: JobNumber,
        rank: i64,
    },
    /// `forget`: the place in the timeline of an older lease that it no longer shows, counted once the new one is there.
    Leased {
        number: JobNumber,
        token: LeaseToken,
        worker: u32,
        expires_at: u64,
        #[serde(skip)]
        forget: Option<u64>,
    },
    Extended {
        number: JobNumber,
        expires_at: u64,
    },
    /// `late`: the lease had expired and the job waited; that stall is undone.
    Completed {
        number: JobNumber,
        late: bool,
        #[serde(skip)]
        result: Option<&'a [u8]>,
    },
    /// A counted attempt failed.
    Failed {
        number: JobNumber,
        late: bool,
        kind: &'a str,
        fingerprint: &'a str,
        next: Next,
        #[serde(skip)]
        error: &'a [u8],
    },
    /// `void`: by the store that was restored, not by who held it: nobody's token has settled it.
    Released {
        number: JobNumber,
        late: bool,
        next: Next,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        void: bool,
    },
    Snoozed {
        number: JobNumber,
        late: bool,
        next: Next,
    },
    LeaseExpired {
        number: JobNumber,
        next: Next,
    },
    Progressed {
        number: JobNumber,
        #[serde(skip)]
        value: &'a [u8],
    },
    /// A chunk of log lines (as the model's JSON lines), after dropping the oldest `drop` chunks.
    Logged {
        number: JobNumber,
        lines: u32,
        drop: u32,
        #[serde(skip)]
        chunk: &'a [u8],
    },
    /// A job that nobody started in time.
    Expired {
        number: JobNumber,
    },
    Promoted {
        number: JobNumber,
        rank: i64,
        by: By<'a>,
    },
    Rescheduled {
        number: JobNumber,
        due: Due,
        by: By<'a>,
    },
    /// `rank` where the priority changed: the job joins the end of the new one.
    Edited {
        number: JobNumber,
        priority: Option<i16>,
        rank: i64,
        by: By<'a>,
        #[serde(skip)]
        payload: Option<&'a [u8]>,
    },
    CancelRequested {
        number: JobNumber,
        by: By<'a>,
    },
    Cancelled {
        number: JobNumber,
        by: By<'a>,
    },
    Retried {
        number: JobNumber,
        rank: i64,
        expires_at: Option<u64>,
        by: By<'a>,
    },
    /// Its id is remembered until `remember_until` (steady).
    Removed {
        number: JobNumber,
        remember_until: u64,
        by: By<'a>,
    },
    /// Taken out by retention.
    AgedOut {
        number: JobNumber,
        remember_until: u64,
    },
    /// The oldest `count` remembered ids of a queue.
    IdsForgotten {
        queue: u32,
        count: u32,
    },
    /// Settings as JSON; `config` where they come from the server's file, which is kept beside to see its changes.
    QueueSet {
        queue: u32,
        set: &'a str,
        reset: Vec<&'a str>,
        config: Option<&'a str>,
        by: By<'a>,
    },
    QueuePaused {
        queue: u32,
        by: By<'a>,
    },
    QueueResumed {
        queue: u32,
        by: By<'a>,
    },
    OperationStarted {
        operation: u64,
        verb: BulkVerb,
        #[serde(skip)]
        last_token: LeaseToken,
        filter: &'a str,
        by: By<'a>,
    },
    /// A step: where the next begins, and what this one did.
    OperationAdvanced {
        operation: u64,
        cursor: &'a str,
        looked_at: u64,
        changed: u64,
    },
    /// `forget`: an older one that is not kept any more.
    OperationEnded {
        operation: u64,
        state: OperationState,
        #[serde(skip)]
        forget: Option<u64>,
        by: By<'a>,
    },
}

impl Event<'_> {
    /// The job it is about, where it is about one.
    pub const fn number(&self) -> Option<JobNumber> {
        match self {
            Self::Enqueued(row) => Some(row.number),
            Self::CameDue { number, .. }
            | Self::Leased { number, .. }
            | Self::Extended { number, .. }
            | Self::Completed { number, .. }
            | Self::Failed { number, .. }
            | Self::Released { number, .. }
            | Self::Snoozed { number, .. }
            | Self::LeaseExpired { number, .. }
            | Self::Progressed { number, .. }
            | Self::Logged { number, .. }
            | Self::Expired { number }
            | Self::Promoted { number, .. }
            | Self::Rescheduled { number, .. }
            | Self::Edited { number, .. }
            | Self::CancelRequested { number, .. }
            | Self::Cancelled { number, .. }
            | Self::Retried { number, .. }
            | Self::Removed { number, .. }
            | Self::AgedOut { number, .. } => Some(*number),
            _ => None,
        }
    }

    /// The bytes that an engine keeps for the state's handles, by ordinal.
    pub const fn blobs(&self) -> [Option<&[u8]>; 2] {
        match self {
            Self::Enqueued(row) if row.headers.is_empty() => [Some(row.payload), None],
            Self::Enqueued(row) => [Some(row.payload), Some(row.headers)],
            Self::Completed { result, .. } => [*result, None],
            Self::Failed { error, .. } => [Some(error), None],
            Self::Progressed { value, .. } => [Some(value), None],
            Self::Logged { chunk, .. } => [Some(chunk), None],
            Self::Edited { payload, .. } => [*payload, None],
            _ => [None, None],
        }
    }

    /// The queue it is about, where it is about one and not about a job.
    pub const fn queue(&self) -> Option<u32> {
        match self {
            Self::QueueCreated { queue, .. }
            | Self::IdsForgotten { queue, .. }
            | Self::QueueSet { queue, .. }
            | Self::QueuePaused { queue, .. }
            | Self::QueueResumed { queue, .. } => Some(*queue),
            _ => None,
        }
    }

    /// Says another queue's number, where it is about one and not about a job.
    pub(crate) const fn set_queue(&mut self, number: u32) {
        if let Self::QueueCreated { queue, .. }
        | Self::IdsForgotten { queue, .. }
        | Self::QueueSet { queue, .. }
        | Self::QueuePaused { queue, .. }
        | Self::QueueResumed { queue, .. } = self
        {
            *queue = number;
        }
    }
}
