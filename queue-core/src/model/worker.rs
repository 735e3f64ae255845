//! What passes between a worker or client and an engine besides commands: requests that wait, beats, the context.

use serde::{Deserialize, Serialize};

use super::{JobNumber, LeaseOrder, LeaseRef};

/// Who asks, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Context {
    /// A person, program or `config`; stands in administrative events. Empty: the engine fills in what it knows.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub actor: String,
    /// Why; stands in administrative events. At most 1,000 bytes.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A lease that may wait for work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseRequest {
    /// What to hand out, to whom.
    pub order: LeaseOrder,
    /// How long to wait while nothing is ready: 0 to 3,600,000 ms. 0 does not wait.
    pub wait_ms: u64,
}

super::job::words! {
    /// What a worker does as a whole.
    WorkerState {
        /// It leases jobs and runs them.
        Running = "running",
        /// It leases nothing new and finishes what runs, until it is resumed.
        Quiet = "quiet",
        /// It leases nothing new and ends once what runs has finished, or its grace time is over.
        Stopping = "stopping",
        /// Nobody has heard of it for a minute, and it did not take its leave. No beat tells this.
        Gone = "gone",
    }
}

super::job::words! {
    /// What a worker may be told to do.
    WorkerOrder {
        /// Lease nothing new, finish what runs, go on beating.
        Quiet = "quiet",
        /// Lease again.
        Resume = "resume",
        /// Stop as on SIGTERM: what runs has the grace time, and what is left then is given back.
        Stop = "stop",
    }
}

#[expect(clippy::derivable_impls, reason = "the macro of the words derives no default")]
impl Default for WorkerState {
    fn default() -> Self {
        Self::Running
    }
}

impl WorkerOrder {
    /// The state of a worker that has obeyed.
    pub const fn state(self) -> WorkerState {
        match self {
            Self::Quiet => WorkerState::Quiet,
            Self::Resume => WorkerState::Running,
            Self::Stop => WorkerState::Stopping,
        }
    }
}

/// A worker's sign of life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Beat {
    /// The worker's name for itself, as in its lease calls.
    pub worker: String,
    /// The machine it runs on.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// How many jobs it runs at once.
    pub concurrency: u32,
    /// The leases it holds.
    pub leases: Vec<LeaseRef>,
    /// Whether every lease of this worker that is not among `leases` is released, uncounted: what was handed out may not
    /// have arrived, as after a new connection or at the worker's end. No call that leases may be under way meanwhile.
    pub reconnected: bool,
    /// It stops: take it out of the registry.
    pub leaving: bool,
    /// What it does: an order is told again with every beat until this says that it was obeyed. `Gone` is refused.
    pub state: WorkerState,
    /// How long it has run, in milliseconds.
    pub uptime_ms: Option<u64>,
    /// Memory that its process has resident, in bytes.
    pub rss_bytes: Option<u64>,
}

/// What a beat is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// Jobs whose handler is to be stopped because they were cancelled, with who and why.
    pub cancel: Vec<(JobNumber, String)>,
    /// Jobs of the beat whose lease is not this worker's any more: stop the handler, settle nothing.
    pub lost: Vec<JobNumber>,
    /// What the worker as a whole is to do. Told again until a beat says that it was obeyed, so it has to be one order
    /// to whoever obeys, however often it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<WorkerOrder>,
}

/// A worker as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its name for itself.
    pub worker: String,
    /// What it does.
    pub state: WorkerState,
    /// The machine it runs on.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// The queues it serves.
    pub queues: Vec<String>,
    /// How many jobs it runs at once.
    pub concurrency: u32,
    /// When it started, if it tells.
    pub started_at_ms: Option<u64>,
    /// When its last beat came.
    pub beat_at_ms: u64,
    /// Memory that its process has resident, in bytes, if it tells.
    pub rss_bytes: Option<u64>,
    /// How many leases its last beat named.
    pub leases: u64,
    /// The jobs under these leases, oldest lease first: of a worker that is gone all that are still in the store, of
    /// others those whose lease goes on. A list shows at most [`super::Limits::LISTED_WORKER_JOBS`].
    pub jobs: Vec<WorkerJob>,
    /// The last order, until it is undone.
    pub order: Option<GivenOrder>,
}

/// A job under a worker's lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerJob {
    /// Which.
    pub number: JobNumber,
    /// Its queue.
    pub queue: String,
    /// Its name.
    pub name: String,
    /// When it was handed to this worker.
    pub leased_at_ms: u64,
    /// When the lease runs out unless it is extended; `None`: it is over.
    pub expires_at_ms: Option<u64>,
}

/// An order to a worker, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GivenOrder {
    /// What it is to do.
    pub order: WorkerOrder,
    /// Who said so.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at_ms: u64,
    /// Whether a beat has told that it was obeyed.
    pub obeyed: bool,
}

/// A page of workers, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerPage {
    /// The workers.
    pub workers: Vec<WorkerView>,
    /// Where to go on; absent at the end. A page may be short and yet go on.
    pub cursor: Option<String>,
}

/// What an engine offers beyond the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// The engine's word: `memory`, `log`, `remote`.
    pub engine: &'static str,
    /// Acknowledged work survives the end of the process.
    pub durable: bool,
    /// The feed reaches back beyond this engine's start.
    pub history: bool,
    /// A reply can get lost on its way, so that an enqueue may have to be sent again; that is safe only where every
    /// job has an id. `false` where caller and engine share a process.
    pub resends: bool,
    /// Backups can be made of it while it runs.
    pub backup: bool,
}
