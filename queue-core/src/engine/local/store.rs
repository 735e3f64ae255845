//! The synchronous heart of a local engine: machine, blobs and log behind one lock.
//!
//! Applies commands into the open frame and serves waiting leases before the frame is closed, so that an enqueue and
//! its delivery share one sync. Leaves commits, sleeping and tasks to `mod.rs` and `commit.rs`.
//! Invariant: what it returns may leave only once the log's frontier has passed [`Store::end`] as of then.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;

use super::blobs::Blobs;
use super::registry::Registry;
use super::tail::Tail;
use super::waiters::{Delivery, Waiters};
use crate::engine::Answer;
use crate::engine::clock::Clock;
use crate::journal::Storage;
use crate::machine::{Blob, Chance, Event, Machine, Sink};
use crate::model::{Command, Context, Error, LeaseOrder, LeaseRef, Now, Outcome, Reply, Settlement, Word};

/// Events of retention and the like that may follow a command in its own frame.
const ELAPSE_BESIDE: usize = 64;

/// Everything that the lock guards.
pub(super) struct Store<S: Storage> {
    pub(super) machine: Machine,
    pub(super) files: Files<S>,
    pub(super) waiters: Waiters,
    pub(super) registry: Registry,
    chance: Chance,
    clock: Arc<dyn Clock>,
    /// What to add to the clock's steady time to get the machine's.
    steady_base: u64,
    max_memory: u64,
    pub(super) closed: bool,
    pub(super) failed: Option<Error>,
    /// The instant that the ticker sleeps until, steady; it is woken for anything earlier.
    pub(super) planned: u64,
}

/// Log and blobs: where the machine's events go.
pub(super) struct Files<S: Storage> {
    pub(super) tail: Tail<S>,
    pub(super) blobs: Blobs,
}

impl<S: Storage> Sink for Files<S> {
    fn append(&mut self, at: u64, event: &Event<'_>) -> u64 {
        let position = self.tail.append(at, event);
        keep_blobs(&mut self.blobs, position, event);
        position
    }

    fn release(&mut self, blob: Blob) {
        self.blobs.release(blob);
    }

    fn read(&self, blob: Blob) -> Bytes {
        self.blobs.get(blob)
    }

    fn blob_bytes(&self) -> u64 {
        self.blobs.live_bytes()
    }
}

/// Keeps the blobs of an event whose record stands at `position`.
pub(super) fn keep_blobs(blobs: &mut Blobs, position: u64, event: &Event<'_>) {
    for (ordinal, bytes) in event.blobs().into_iter().enumerate() {
        if let Some(bytes) = bytes {
            blobs.insert(position + ordinal as u64, bytes);
        }
    }
}

impl<S: Storage> Store<S> {
    /// A store over a machine that has been recovered; starts it.
    pub(super) fn start(
        mut machine: Machine,
        files: Files<S>,
        clock: Arc<dyn Clock>,
        seed: u64,
        max_memory: u64,
    ) -> Self {
        let mut chance = Chance::new(seed);
        let (mut files, now) = (files, machine.resume_at(clock.wall_ms()));
        if machine.start(now, &mut chance, &mut files) {
            tracing::warn!("more than a day has passed since the last event: removal by age waits for an hour");
        }
        Self {
            machine,
            files,
            waiters: Waiters::default(),
            registry: Registry::default(),
            chance,
            steady_base: now.steady.saturating_sub(clock.steady_ms()),
            clock,
            max_memory,
            closed: false,
            failed: None,
            planned: u64::MAX,
        }
    }

    /// The instant as the machine sees it.
    pub(super) fn now(&self) -> Now {
        Now { steady: self.steady_base + self.clock.steady_ms(), wall: self.clock.wall_ms() }
    }

    /// The position after the last event.
    pub(super) fn end(&self) -> u64 {
        self.files.tail.end()
    }

    /// Why nothing can be done here any more, if so.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.closed => Err(Error::new(Word::Unreachable, "the engine is closed; open it again")),
            None => Ok(()),
        }
    }

    /// The end of this engine: a failed write, a failed sync, or a panic of the machine. Waiting calls end with it.
    pub(super) fn fail(&mut self, message: String) -> Error {
        tracing::error!("{message}");
        let error = Error::new(Word::Unknown, message);
        self.failed = Some(error.clone());
        self.waiters.clear();
        error
    }

    /// Runs `work` on the machine; a panic in it is final, like a failed sync.
    fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Result<T, Error> {
        self.check_open()?;
        catch_unwind(AssertUnwindSafe(|| work(self))).map_err(|_| {
            self.fail("an invariant of the state machine broke; nothing more is written: restart and report it".into())
        })
    }

    /// Applies one command and what follows from it at once: retention that is due, leases for those who wait.
    ///
    /// The outer error is the engine's failure, the inner the command's refusal.
    pub(super) fn apply(&mut self, context: &Context, command: &Command) -> Result<Answer, Error> {
        self.guarded(|store| {
            let now = store.now();
            // What came due before this command happens before it: a lease must not miss it, nor an enqueue overtake it.
            store.elapse_if_due(now);
            let answer = match store.refuse_if_full(command) {
                Some(error) => Err(error),
                None => store.machine.apply(now, &mut store.chance, context, command, &mut store.files),
            };
            store.follow(now);
            answer
        })
    }

    fn follow(&mut self, now: Now) {
        self.elapse_if_due(now);
        self.serve_waiters(now);
        self.waiters.tell_ended(self.machine.take_ended());
    }

    fn elapse_if_due(&mut self, now: Now) {
        if self.machine.next_due().0.is_some_and(|due| due <= now.steady) {
            self.machine.elapse(now, &mut self.files, ELAPSE_BESIDE);
        }
    }

    /// Does what is due, a step. Returns whether more is due.
    pub(super) fn elapse(&mut self, budget: usize) -> Result<bool, Error> {
        self.guarded(|store| {
            let now = store.now();
            if let Some(jump) = store.machine.watch_clock(now, &mut store.files) {
                tracing::warn!(jump_ms = jump, "the wall clock jumped; times given as times follow it");
            }
            let more = store.machine.elapse(now, &mut store.files, budget);
            store.serve_waiters(now);
            store.waiters.tell_ended(store.machine.take_ended());
            more
        })
    }

    /// New work is refused while disk or memory is full; settling and removing go on.
    fn refuse_if_full(&mut self, command: &Command) -> Option<Error> {
        if !matches!(command, Command::Enqueue { .. } | Command::Progress { .. } | Command::Log { .. }) {
            return None;
        }
        let used = self.files.blobs.live_bytes() + self.machine.row_bytes();
        if used > self.max_memory {
            let text = format!(
                "memory is full: jobs take {used} bytes, --max-memory allows {}; settle or remove jobs, or allow more",
                self.max_memory
            );
            return Some(Error::new(Word::Full, text));
        }
        let full = self.files.tail.journal()?.full()?;
        Some(Error::new(Word::Full, format!("disk is full: {}; free space, or settle and remove jobs", full.reason)))
    }

    /// Leases for the first of those who wait, as long as there is something for them.
    fn serve_waiters(&mut self, now: Now) {
        if !self.machine.has_ready() {
            return;
        }
        let context = Context::default();
        for queue in self.machine.take_ready() {
            while let Some((waiter, order)) = self.waiters.first(&queue) {
                let command = Command::Lease(order);
                let reply = self.machine.apply(now, &mut self.chance, &context, &command, &mut self.files);
                let leased = match reply {
                    Ok(Reply::Leased(leased)) if leased.is_empty() => break,
                    Ok(Reply::Leased(leased)) => leased,
                    // The order was checked when it began to wait.
                    _ => break,
                };
                let leases: Vec<LeaseRef> =
                    leased.iter().map(|job| LeaseRef { number: job.number, token: job.token }).collect();
                let delivery = Delivery { leased, position: self.end() };
                if !self.waiters.deliver(waiter, delivery) {
                    self.release_now(now, &leases);
                }
            }
        }
    }

    /// Gives leases back whose receiver is gone, uncounted.
    pub(super) fn release(&mut self, leases: &[LeaseRef]) -> Result<(), Error> {
        self.guarded(|store| {
            let now = store.now();
            store.release_now(now, leases);
            store.serve_waiters(now);
        })
    }

    fn release_now(&mut self, now: Now, leases: &[LeaseRef]) {
        let settlements = leases.iter().map(|&lease| Settlement { lease, outcome: Outcome::Release }).collect();
        let command = Command::Settle { settlements, then_lease: None };
        // A lease that was settled meanwhile answers by itself; there is nothing to do about it.
        let _ = self.machine.apply(now, &mut self.chance, &Context::default(), &command, &mut self.files);
    }

    /// Leases at once, or joins those who wait.
    pub(super) fn lease_or_wait(
        &mut self,
        context: &Context,
        order: LeaseOrder,
        may_wait: bool,
    ) -> Result<LeaseOrWait, Error> {
        match self.apply(context, &Command::Lease(order.clone()))?? {
            Reply::Leased(leased) if leased.is_empty() && may_wait => Ok(LeaseOrWait::Wait(self.waiters.join(order))),
            Reply::Leased(leased) => Ok(LeaseOrWait::Leased(Delivery { leased, position: self.end() })),
            _ => Err(Error::new(Word::Err, "a lease answers leases")),
        }
    }

    /// When the ticker has work next, on the steady clock.
    pub(super) fn next_due(&mut self) -> u64 {
        let now = self.now();
        let (steady, wall) = self.machine.next_due();
        let wall = wall.map(|due| now.steady + due.saturating_sub(now.wall));
        let journal = self.files.tail.journal().and_then(|journal| journal.next_due());
        [steady, wall, journal].into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// What a lease call got.
pub(super) enum LeaseOrWait {
    Leased(Delivery),
    Wait(super::waiters::Ticket),
}
