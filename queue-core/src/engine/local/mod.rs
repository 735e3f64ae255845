//! The engines of this process: `memory` (the machine alone) and `log` (machine and journal).
//!
//! One lock around the store; whoever finds the open frame not empty and no commit running commits it; replies leave
//! once the frontier has passed their position. A task of the engine's own, the ticker, does what time alone does.
//! The server runs on the same engine: on a single-threaded runtime a request crosses no thread.

mod back;
mod background;
mod backup;
mod blobs;
mod commit;
mod compact;
mod dump;
mod feed;
mod meters;
pub mod offline;
mod recover;
mod registry;
mod room;
mod search;
mod store;
mod tail;
mod ticker;
mod waiters;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::clock::{Clock, SystemClock};
use super::{Answer, Engine};
use crate::journal::{DirStorage, FsyncPolicy, Journal, JournalError, Options, Reader, Recovered, Storage};
use crate::machine::Machine;
use crate::model::{
    BackupReport, Beat, Capabilities, Command, Context, Error, EventPage, EventsBack, Figures, Job, JobRef, LeaseRef,
    LeaseRequest, LeasedJob, Limits, Orders, Reply, Word, WorkerOrder, WorkerPage, WorkerView, check_wait, fragment,
};
pub use backup::restore;
use blobs::Blobs;
use commit::Pace;
pub use dump::{Begin, Dump, DumpFilter, Dumped, DumpedEvent, PastEngine, PastError};
pub use feed::EVENT_KINDS;
use recover::Recovering;
use search::Search;
use store::{Files, LeaseOrWait, Look, Store};
use tail::{Ring, Tail};
use waiters::{Delivery, Ended};

/// How a local engine is opened.
#[derive(Clone)]
pub struct LocalOptions {
    /// When replies leave. Default `always`. The memory engine has none.
    pub fsync: FsyncPolicy,
    /// Longest segment of the journal in bytes: 64 KiB to 1 GiB, default 64 MiB.
    pub segment_bytes: u64,
    /// Log written since the last snapshot that makes a new one, in bytes, if it is at least half as long as that snapshot.
    /// Default 1 GiB.
    pub compact_after: u64,
    /// Bytes of log before a snapshot that stay for the feed, beside what the generation before it needs. Default 1 GiB.
    pub history: u64,
    /// Where backups are made, as directories of their own. Default: beside the store's directory, whose name they have with
    /// `-backups` behind it.
    pub backups: Option<PathBuf>,
    /// Bytes that jobs may take in memory before new work is refused with `FULL`. Default: no bound.
    pub max_memory: u64,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Decides jitter and keys; drawn from the operating system by default.
    pub seed: u64,
}

impl Default for LocalOptions {
    fn default() -> Self {
        Self {
            fsync: FsyncPolicy::Always,
            segment_bytes: 64 << 20,
            compact_after: 1 << 30,
            history: 1 << 30,
            backups: None,
            max_memory: u64::MAX,
            clock: Arc::new(SystemClock::default()),
            seed: u64::from_le_bytes(crate::random::bytes()),
        }
    }
}

/// An engine in this process; see [`LocalEngine::memory`] and [`LocalEngine::log`].
pub struct LocalEngine<S: Storage = DirStorage> {
    shared: Arc<Shared<S>>,
}

impl<S: Storage> Clone for LocalEngine<S> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

/// What the engine's handles and its ticker share.
struct Shared<S: Storage> {
    store: Mutex<Store<S>>,
    clock: Arc<dyn Clock>,
    pace: Pace,
    /// The frontier moved, or the engine failed or closed; the store's.
    moved: Arc<Notify>,
    /// The ticker is to look again.
    wake: Arc<Notify>,
    reader: Option<Mutex<Reader<S>>>,
    capabilities: Capabilities,
    fsync: &'static str,
    compact_after: u64,
    history: u64,
    /// Where backups are made; none where nothing is on disk.
    backups: Option<S>,
}

impl LocalEngine<DirStorage> {
    /// An engine that keeps everything in memory; nothing outlives it. Needs a tokio runtime.
    pub fn memory(options: LocalOptions) -> Self {
        let files = Files { tail: Tail::Ring(Ring::new()), blobs: Blobs::default() };
        let engine = Self::run(Machine::new(), files, None, &options, false);
        engine.tick();
        engine
    }

    /// An engine on the append log in `directory`, which is made if it does not exist. Blocks while it recovers; needs a
    /// tokio runtime.
    ///
    /// # Errors
    ///
    /// `STATE` if another process has the directory, if it is not one of ours, of another version, damaged, or cannot be
    /// read: the message names file, place and what to do.
    pub fn log(directory: impl Into<PathBuf>, options: LocalOptions) -> Result<(Self, Recovered), Error> {
        let storage = DirStorage::new(directory);
        let backups = options.backups.clone().unwrap_or_else(|| backup::beside(storage.path()));
        // Whoever asks over a connection does not know where this process was started.
        let backups = std::path::absolute(&backups).unwrap_or(backups);
        Self::on(storage, LocalOptions { backups: Some(backups), ..options })
    }
}

impl<S: Storage> LocalEngine<S> {
    /// An engine on the append log in any storage.
    ///
    /// # Errors
    ///
    /// As [`LocalEngine::log`].
    pub fn on(storage: S, options: LocalOptions) -> Result<(Self, Recovered), Error> {
        let journal_options = Options {
            policy: options.fsync,
            segment_bytes_max: options.segment_bytes,
            segment_bytes_first: Options::default().segment_bytes_first.min(options.segment_bytes),
            ..Options::default()
        };
        let mut recovering = Recovering::<Blobs>::default();
        let (mut journal, recovered) = Journal::open_with(storage.clone(), journal_options, &mut recovering)
            .map_err(|error| journal_error(&error))?;
        room::make_for_start(&mut journal)?;
        let Recovering { machine, blobs, .. } = recovering;
        if recovered.torn_bytes > 0 {
            let (bytes, end) = (recovered.torn_bytes, recovered.end);
            match recovered.torn_files.join(", ") {
                // Under `always` nobody was ever answered for any of it.
                none if none.is_empty() => {
                    tracing::warn!(
                        "cut a torn tail of {bytes} bytes at position {end}; the disk has no room to keep them"
                    )
                }
                files => tracing::warn!("cut a torn tail of {bytes} bytes at position {end}, kept in {files}"),
            }
        }
        let path = options.backups.clone().unwrap_or_else(|| backup::beside(storage.path()));
        let places = (Mutex::new(journal.reader()), storage.at(&path));
        let files = Files { tail: Tail::Journal(Box::new(journal)), blobs };
        let run = || Self::run(machine, files, Some(places), &options, recovered.restored);
        let engine = catch_unwind(AssertUnwindSafe(run)).map_err(|_| {
            Error::new(Word::State, "the journal is whole, but the state it holds breaks an invariant: report it")
        })?;
        engine.shared.lock().expect_snapshot();
        // The start is synced before anything is served.
        if recovered.restored {
            engine.shared.end_leases()?;
        }
        engine.shared.commit_here()?;
        // Under every policy: an epoch that a crash takes back would be given again, and its tokens with it.
        engine.shared.sync_here()?;
        engine.tick();
        Ok((engine, recovered))
    }

    /// The engine over what was recovered; `places` are where the log is read and where backups are made, if there is one.
    fn run(
        machine: Machine,
        files: Files<S>,
        places: Option<(Mutex<Reader<S>>, S)>,
        options: &LocalOptions,
        restored: bool,
    ) -> Self {
        let durable = places.is_some();
        let engine = if durable { "log" } else { "memory" };
        let store = Store::start(machine, files, options, restored);
        let (reader, backups) = places.unzip();
        let shared = Arc::new(Shared {
            moved: Arc::clone(&store.moved),
            store: Mutex::new(store),
            clock: Arc::clone(&options.clock),
            pace: Pace::default(),
            wake: Arc::new(Notify::new()),
            reader,
            capabilities: Capabilities { engine, durable, history: durable, resends: false, backup: durable },
            fsync: if durable { options.fsync.as_str() } else { "none" },
            compact_after: options.compact_after,
            history: options.history,
            backups,
        });
        Self { shared }
    }

    fn tick(&self) {
        tokio::spawn(ticker::run(Arc::downgrade(&self.shared)));
    }

    /// Resolves once this engine has failed for good, with the reason: the process should end.
    pub async fn failed(&self) -> Error {
        loop {
            let moved = self.shared.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if let Some(error) = &self.shared.lock().failed {
                return error.clone();
            }
            moved.await;
        }
    }
}

/// A journal's error as an engine's.
fn journal_error(error: &JournalError) -> Error {
    // At start nothing was asked yet, so no outcome is unknown: the directory is in no state to be opened.
    let word = if error.is_final() { Word::Unknown } else { Word::State };
    let mut message = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        message.push_str(": ");
        message.push_str(&fragment(cause));
        source = cause.source();
    }
    if let Some(advice) = error.advice() {
        message.push_str("; ");
        message.push_str(advice);
    }
    Error::new(word, message)
}

impl<S: Storage> Drop for Shared<S> {
    fn drop(&mut self) {
        // The ticker holds no engine while it sleeps; awake, it finds that there is none.
        self.wake.notify_one();
    }
}

impl<S: Storage> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Store<S>> {
        // A panic under the lock has already been turned into the engine's failure, which every use checks.
        self.store.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The ticker sleeps until what was due first; wakes it if something is due earlier now.
    fn wake_ticker_if_earlier(&self, store: &mut Store<S>) {
        let due = store.next_due();
        if due < store.planned {
            store.planned = due;
            self.wake.notify_one();
        }
    }

    async fn execute(self: &Arc<Self>, context: &Context, commands: &[Command]) -> Result<Vec<Answer>, Error> {
        let mut answers = Vec::with_capacity(commands.len());
        loop {
            let (position, later) = {
                let mut store = self.lock();
                store.check_open()?;
                let mut later = false;
                let at_hand = |at| commands.get(at).filter(|command| Search::of(command).is_none());
                while let Some(command) = at_hand(answers.len()).filter(|_| !later && !store.must_commit()) {
                    match store.apply(context, command)? {
                        Some(answer) => answers.push(answer.map(|reply| self.complete(&mut store, reply))),
                        None => later = true,
                    }
                }
                self.wake_ticker_if_earlier(&mut store);
                (store.end(), later)
            };
            if let Some(search) = commands.get(answers.len()).and_then(Search::of) {
                answers.push(self.search(search).await?);
                continue;
            }
            self.durable(position).await?;
            if answers.len() == commands.len() {
                return Ok(answers);
            }
            if later {
                self.room_to_come().await?;
            }
        }
    }

    /// Does `work` once the open frame has room for it; it answers `None` where it needs more.
    async fn with_room<T>(
        self: &Arc<Self>,
        mut work: impl FnMut(&mut Store<S>) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        loop {
            let (position, later) = {
                let mut store = self.lock();
                store.check_open()?;
                let later = !store.must_commit();
                if later {
                    let done = work(&mut store)?;
                    self.wake_ticker_if_earlier(&mut store);
                    if let Some(done) = done {
                        return Ok(done);
                    }
                }
                (store.end(), later)
            };
            self.durable(position).await?;
            if later {
                self.room_to_come().await?;
            }
        }
    }

    /// Fills in what only the shell knows.
    fn complete(&self, store: &mut Store<S>, mut reply: Reply) -> Reply {
        if let Reply::Stats(stats) = &mut reply {
            self.capabilities.engine.clone_into(&mut stats.engine);
            self.fsync.clone_into(&mut stats.fsync);
            stats.journal = store.journal_stats();
        }
        reply
    }

    fn release(&self, leases: &[LeaseRef]) {
        let mut store = self.lock();
        // If the engine has failed there is nobody to release for.
        let _ = store.release(leases);
        self.wake_ticker_if_earlier(&mut store);
    }
}

/// Leases on their way to a caller; if it is dropped before they arrive, they are given back.
struct InFlight<S: Storage> {
    shared: Arc<Shared<S>>,
    ticket: Option<waiters::Ticket>,
    leased: Vec<LeasedJob>,
}

impl<S: Storage> Drop for InFlight<S> {
    fn drop(&mut self) {
        if let Some(ticket) = &mut self.ticket {
            self.shared.lock().waiters.leave(ticket.number);
            if let Ok(delivery) = ticket.delivery.try_recv() {
                self.leased.extend(delivery.leased);
            }
        }
        if !self.leased.is_empty() {
            let leases: Vec<_> =
                self.leased.iter().map(|job| LeaseRef { number: job.number, token: job.token }).collect();
            self.shared.release(&leases);
        }
    }
}

impl<S: Storage> InFlight<S> {
    async fn arrive(mut self, delivery: Delivery) -> Result<Vec<LeasedJob>, Error> {
        self.leased = delivery.leased;
        let shared = Arc::clone(&self.shared);
        shared.durable(delivery.position).await?;
        Ok(std::mem::take(&mut self.leased))
    }
}

/// A call that waits for a job's end; gone, it leaves nothing behind.
struct Ending<'a, S: Storage> {
    shared: &'a Shared<S>,
    number: u64,
    receiver: Option<tokio::sync::oneshot::Receiver<Ended>>,
}

impl<S: Storage> Ending<'_, S> {
    /// The job as it ended; `None` if it was removed or the engine ended.
    async fn come(mut self) -> Option<Ended> {
        self.receiver.as_mut()?.await.ok()
    }
}

impl<S: Storage> Drop for Ending<'_, S> {
    fn drop(&mut self) {
        self.receiver = None;
        self.shared.lock().waiters.leave_job(self.number);
    }
}

#[async_trait]
impl<S: Storage> Engine for LocalEngine<S> {
    fn capabilities(&self) -> Capabilities {
        self.shared.capabilities
    }

    async fn execute(&self, context: &Context, commands: Vec<Command>) -> Result<Vec<Answer>, Error> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        self.shared.execute(context, &commands).await
    }

    async fn lease(&self, context: &Context, request: LeaseRequest) -> Result<Vec<LeasedJob>, Error> {
        check_wait("wait_ms", request.wait_ms)?;
        let until = self.shared.clock.steady_ms().saturating_add(request.wait_ms);
        let mut in_flight = InFlight { shared: Arc::clone(&self.shared), ticket: None, leased: Vec::new() };
        let lease = |store: &mut Store<S>| store.lease_or_wait(context, &request.order, request.wait_ms > 0);
        let got = self.shared.with_room(lease).await?;
        let ticket = match got {
            LeaseOrWait::Leased(delivery) => return in_flight.arrive(delivery).await,
            LeaseOrWait::Wait(ticket) => in_flight.ticket.insert(ticket),
        };
        tokio::select! {
            biased;
            delivery = &mut ticket.delivery => match delivery {
                Ok(delivery) => in_flight.arrive(delivery).await,
                Err(_) => Err(self.shared.lock().check_open().err().unwrap_or_else(closed)),
            },
            () = self.shared.clock.sleep_until(until) => {
                // Whatever was delivered in this very instant is taken, not given back.
                let (number, late) = (ticket.number, ticket.delivery.try_recv());
                self.shared.lock().waiters.leave(number);
                match late.or_else(|_| ticket.delivery.try_recv()) {
                    Ok(delivery) => in_flight.arrive(delivery).await,
                    Err(_) => Ok(Vec::new()),
                }
            }
        }
    }

    async fn wait(&self, job: JobRef, timeout_ms: u64) -> Result<Job, Error> {
        check_wait("timeout_ms", timeout_ms)?;
        let until = self.shared.clock.steady_ms().saturating_add(timeout_ms);
        let ended = async {
            loop {
                let look = |store: &mut Store<S>| Ok(Some((store.look_or_wait(&job)?, store.end())));
                let (look, position) = self.shared.with_room(look).await?;
                self.shared.durable(position).await?;
                let ended = match look? {
                    Look::Ended(job) => return Ok(*job),
                    Look::Waits(number, receiver) => {
                        Ending { shared: &self.shared, number, receiver: Some(receiver) }.come().await
                    }
                };
                // Nothing means that the job was removed or the engine ended; the next look says which.
                if let Some(Ended { job, position }) = ended {
                    self.shared.durable(position).await?;
                    return Ok(job);
                }
            }
        };
        tokio::select! {
            biased;
            found = ended => found,
            () = self.shared.clock.sleep_until(until) => {
                Err(Error::new(Word::Timeout, format!("job {job} has not ended within {timeout_ms} ms")))
            }
        }
    }

    async fn events(&self, cursor: Option<String>, limit: u32, wait_ms: u64) -> Result<EventPage, Error> {
        check_wait("wait_ms", wait_ms)?;
        if limit == 0 || limit > Limits::PAGE_EVENTS {
            return Err(Error::bad_arg("count", limit, "1 to 10000 events"));
        }
        let mut from = match cursor {
            None => self.shared.lock().files.tail.frontier(),
            Some(text) => text.parse().map_err(|_| Error::bad_arg("cursor", &text, "the cursor of the page before"))?,
        };
        let sleep = self.shared.clock.sleep_until(self.shared.clock.steady_ms().saturating_add(wait_ms));
        tokio::pin!(sleep);
        loop {
            let moved = self.shared.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let (page, all) = self.shared.read_events(from, limit as usize)?;
            from = page.cursor.parse().expect("a cursor just made");
            if !page.events.is_empty() {
                return Ok(page);
            }
            if !all {
                tokio::task::yield_now().await;
                continue;
            }
            tokio::select! {
                biased;
                () = &mut moved => {}
                () = &mut sleep => return Ok(page),
            }
        }
    }

    async fn events_back(&self, back: EventsBack) -> Result<EventPage, Error> {
        self.shared.events_back(back).await
    }

    async fn beat(&self, beat: Beat) -> Result<Orders, Error> {
        beat.check()?;
        let answer = |store: &mut Store<S>| Ok(Some((store.beat(&beat)?, store.end())));
        let (orders, position) = self.shared.with_room(answer).await?;
        self.shared.durable(position).await?;
        Ok(orders)
    }

    async fn workers(&self, cursor: Option<String>, limit: u32) -> Result<WorkerPage, Error> {
        self.shared.workers(cursor.as_deref(), limit).await
    }

    async fn worker(&self, worker: String) -> Result<WorkerView, Error> {
        self.shared.worker(&worker).await
    }

    async fn order_worker(&self, context: &Context, worker: String, order: WorkerOrder) -> Result<WorkerView, Error> {
        self.shared.order_worker(context, &worker, order).await
    }

    async fn figures(&self) -> Result<Figures, Error> {
        self.shared.figures()
    }

    async fn backup(&self, name: Option<String>) -> Result<BackupReport, Error> {
        self.shared.backup(name).await
    }

    async fn close(&self) -> Result<(), Error> {
        self.shared.close().await
    }
}

fn closed() -> Error {
    Error::new(Word::Unreachable, "the engine is closed; open it again")
}

#[cfg(test)]
mod tests;
