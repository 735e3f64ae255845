//! Engines: where jobs live between enqueue and settlement.
//!
//! The trait [`Engine`] is the contract, in numbered clauses; `testkit` holds a test for each, run over every engine.
//! What people call by name stands once in [`EngineExt`], over [`Engine::execute`].
//! Which engine runs is configuration: everything above holds an `Arc<dyn Engine>`.

mod clock;
mod ext;
mod local;
mod remote;

use async_trait::async_trait;

pub use clock::{Clock, ManualClock, SystemClock};
pub use ext::EngineExt;
pub use local::{
    Begin, Dump, DumpFilter, Dumped, DumpedEvent, EVENT_KINDS, LocalEngine, LocalOptions, PastEngine, PastError,
    offline, restore,
};
pub use remote::RemoteEngine;

use crate::model::{
    BackupReport, Beat, Capabilities, Command, Context, Error, EventPage, EventsBack, Figures, Job, JobRef,
    LeaseRequest, LeasedJob, Orders, Reply, WorkerOrder, WorkerPage, WorkerView,
};

/// The answer to one command.
pub type Answer = Result<Reply, Error>;

/// Where jobs live between `enqueue` and their settlement.
///
/// # Contract
///
/// 1. **Durable**: what was acknowledged survives what the engine's fsync policy says it survives; a durable engine
///    under `always` survives kill -9 and power loss.
/// 2. **Whole**: a command is applied whole or not at all, also across a crash; a refused one changes nothing.
/// 3. **In order**: the commands of one call are applied in order, and each sees what those before it did.
/// 4. **Independent**: a refused command does not keep the others of its call from being applied.
/// 5. **Empty**: a call without commands answers an empty list and writes nothing.
/// 6. **Concurrent**: calls may come from any number of tasks; concurrent ones may share one fsync (group commit).
/// 7. **Fenced**: at most one lease on a job is valid; what an older token asks is refused with `STALE` (or answered
///    `lost`) and changes nothing. Tokens only grow, also across restarts.
/// 8. **Idempotent settling**: a settlement that counted, sent again, answers `already` for at least 10 minutes.
/// 9. **Idempotent ids**: an enqueue with an id that its queue knows answers the first job's number.
/// 10. **One state**: a job is in exactly one state, and counts are exact in every reply.
/// 11. **Waiting**: `lease` and `wait` return as soon as there is something to return, and no later than asked; a
///     dropped call takes no job with it for longer than a lease, and if its worker beats, not longer than that.
/// 12. **First come, first served**: waiting leases of one queue are served in the order in which they came.
/// 13. **Nothing early**: nobody sees, in a reply, a lease or an event, what a crash could still take back under the
///     engine's fsync policy.
/// 14. **Events**: every change stands in the feed, once, in the order in which it happened; a cursor goes on exactly
///     where its page ended, and what is read back from there is what stood before it.
/// 15. **Final failure**: after a failed write every call answers `UNKNOWN`, and nothing is retried.
/// 16. **Backups**: a backup has everything that was acknowledged before it was asked for, and of what came later a prefix,
///     whole commands only; the engine goes on meanwhile. What starts from it has no lease that can be settled, and hands
///     out no token that the original handed out.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// What this engine offers beyond the contract; the conformance suite picks its cases from it.
    fn capabilities(&self) -> Capabilities;

    /// Applies `commands` in order and answers each.
    ///
    /// # Errors
    ///
    /// `UNKNOWN` once a write has failed or a reply was lost: the commands may or may not be stored.
    /// `UNREACHABLE`, `LOADING`, `NOAUTH`: nothing was applied.
    async fn execute(&self, context: &Context, commands: Vec<Command>) -> Result<Vec<Answer>, Error>;

    /// Leases jobs; while nothing is ready it waits, at most `request.wait_ms`, then answers an empty list.
    ///
    /// # Errors
    ///
    /// As [`Engine::execute`], and `BADARG` for a request out of range. After `UNKNOWN`, jobs may be leased that nobody
    /// knows of: a beat that names those one has ([`Beat::reconnected`]) gives them back.
    async fn lease(&self, context: &Context, request: LeaseRequest) -> Result<Vec<LeasedJob>, Error>;

    /// Waits until the job is done (completed, dead or cancelled), at most `timeout_ms` (0 to 3,600,000), and answers it.
    ///
    /// # Errors
    ///
    /// `TIMEOUT` when the time ran out; `NOJOB` if it does not exist or is removed meanwhile; as [`Engine::execute`].
    async fn wait(&self, job: JobRef, timeout_ms: u64) -> Result<Job, Error>;

    /// Reads the feed from `cursor` (`None`: from now on), at most `limit` events; if there are none yet it waits at
    /// most `wait_ms` for the first. The cursor `0` is the oldest event kept.
    ///
    /// # Errors
    ///
    /// `TRIMMED` with the oldest cursor if the feed does not reach back that far; `BADARG` for a cursor that is none.
    async fn events(&self, cursor: Option<String>, limit: u32, wait_ms: u64) -> Result<EventPage, Error>;

    /// Reads the feed back: the newest events before `back.before`, at most `back.limit`, oldest first. Never waits. The page's
    /// `cursor` is where it ends, for [`Engine::events`] to go on; its `before` goes on further back. A page may be short, even
    /// empty, and yet go on. With `back.since` it reads no further back than that, and says how many events it left out.
    ///
    /// # Errors
    ///
    /// As [`Engine::events`]; `BADARG` for a `since` behind the page's end.
    async fn events_back(&self, back: EventsBack) -> Result<EventPage, Error>;

    /// A worker's sign of life. The registry is never journaled and empty after a start. Answers at once.
    async fn beat(&self, beat: Beat) -> Result<Orders, Error>;

    /// A page of workers by name, at most `limit` (1 to 1,000), after `cursor`: those that beat within the last 60 s, and
    /// of those that fell silent without leaving, state `gone`, the newest 1,000 for 24 h.
    ///
    /// # Errors
    ///
    /// `BADARG` for a limit or cursor that is none.
    async fn workers(&self, cursor: Option<String>, limit: u32) -> Result<WorkerPage, Error>;

    /// One worker, with up to 1,000 of its jobs.
    ///
    /// # Errors
    ///
    /// `NOWORKER` where the registry knows none of this name.
    async fn worker(&self, worker: String) -> Result<WorkerView, Error>;

    /// Orders a worker to go quiet, to resume, or to stop, and answers it as it is now. It is told with each beat until one
    /// says that it obeyed; a later order takes this one's place. Orders are for the process that beats under this name
    /// now, and are forgotten with the registry. What it does already is no order; the first of two equal ones stays.
    ///
    /// # Errors
    ///
    /// `NOWORKER` where no worker of this name beat within the last 60 s; `STATE` for anything but `stop` to one that is
    /// stopping or was told to; `BADARG` for a context out of range.
    async fn order_worker(&self, context: &Context, worker: String, order: WorkerOrder) -> Result<WorkerView, Error>;

    /// Figures for monitoring, at no cost that grows with how many jobs there are. They are no replies: they show what is being
    /// written, too.
    ///
    /// # Errors
    ///
    /// `UNSUPPORTED` if the engine is elsewhere: ask the server there.
    async fn figures(&self) -> Result<Figures, Error>;

    /// Makes a backup of this name (1 to 200 bytes, no slash; by default the UTC time) where the engine keeps its backups,
    /// and answers what it came to. It waits for a snapshot that is being made; it goes on when the call is dropped.
    ///
    /// # Errors
    ///
    /// `UNSUPPORTED` if the engine can't ([`Capabilities::backup`]); `BADARG` for a name that is none; `STATE` for one that
    /// is taken, while another backup is made, and where the disk does not let it; `FULL` where that has no room: the
    /// message says what to do. Then there is no such backup. `UNKNOWN` if the reply was lost.
    async fn backup(&self, name: Option<String>) -> Result<BackupReport, Error>;

    /// Finishes what is open, syncs, and gives the store free. Calls that wait, and later ones, answer `UNREACHABLE`.
    /// Idempotent.
    async fn close(&self) -> Result<(), Error>;
}
