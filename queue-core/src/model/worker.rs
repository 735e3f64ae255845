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
}

/// What a beat is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// Jobs whose handler is to be stopped because they were cancelled, with who and why.
    pub cancel: Vec<(JobNumber, String)>,
    /// Jobs of the beat whose lease is not this worker's any more: stop the handler, settle nothing.
    pub lost: Vec<JobNumber>,
}

/// A worker as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Its last beat.
    #[serde(flatten)]
    pub beat: Beat,
    /// When that came.
    pub beat_at_ms: u64,
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
