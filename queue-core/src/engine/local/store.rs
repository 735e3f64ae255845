//! The synchronous heart of a local engine: machine, blobs and log behind one lock.
//!
//! Applies commands into the open frame and serves waiting leases before the frame is closed, so that an enqueue and
//! its delivery share one sync. Leaves commits, sleeping and tasks to `mod.rs` and `commit.rs`.
//! Invariant: what it returns may leave only once the log's frontier has passed [`Store::end`] as of then.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Notify, oneshot};

use super::LocalOptions;
use super::blobs::Blobs;
use super::meters::Meters;
use super::registry::Registry;
use super::room::{DIGEST, LEASE, TIMED};
use super::tail::Tail;
use super::waiters::{Delivery, Ended, Waiters};
use crate::engine::Answer;
use crate::engine::clock::Clock;
use crate::journal::{COMMAND_BYTES_MAX, Level, Reach, Storage};
use crate::machine::{Blob, Chance, Event, Lapse, Machine, Sink};
use crate::model::{
    Command, Context, Error, Job, JobRef, LeaseOrder, LeaseRef, Limits, Now, Outcome, Reply, Settlement, Word,
};

/// Events of retention and the like that may follow a command in its own frame.
const ELAPSE_BESIDE: usize = 64;
/// Bytes of events after which those who wait are served in the next turn. A lease beyond it, and its return where nobody
/// takes it, add at most half as much.
const DELIVER_BYTES: u64 = 256 << 10;
/// With less room than this nobody is served: a worker's name and some leases.
const DELIVER_BYTES_MIN: u64 = 1 << 10;
/// Most bytes of records around a job of a batch, or a settlement, beside what counts against the batch's bound: heads,
/// the lengths of its fields, a name and a policy of its own, a failure's fingerprint.
const AROUND_BYTES: usize = 700;
const _: () = assert!(
    Limits::BATCH_BYTES + Limits::BATCH_JOBS * AROUND_BYTES + 3 * DELIVER_BYTES as usize <= COMMAND_BYTES_MAX,
    "the largest command, and whoever is served before and after it, fit what the journal takes at once"
);

/// Everything that the lock guards.
pub(super) struct Store<S: Storage> {
    pub(super) machine: Machine,
    pub(super) files: Files<S>,
    pub(super) waiters: Waiters,
    pub(super) registry: Registry,
    pub(super) chance: Chance,
    clock: Arc<dyn Clock>,
    /// What is refused for lack of room, as it was last told.
    pub(super) level: Level,
    /// Something had to wait for what is open, being written or being prepared.
    pub(super) is_short: bool,
    /// No lease could run out for want of room, and perhaps none can still.
    pub(super) stood_still: bool,
    /// What to add to the clock's steady time to get the machine's.
    steady_base: u64,
    pub(super) max_memory: u64,
    pub(super) closed: bool,
    pub(super) failed: Option<Error>,
    /// The instant that the ticker sleeps until, steady; it is woken for anything earlier.
    pub(super) planned: u64,
    /// The frontier moved, or the engine failed or closed.
    pub(super) moved: Arc<Notify>,
    /// A segment was begun: the state's digest is to be written behind it.
    pub(super) owes_digest: bool,
    /// Snapshots made since the start.
    pub(super) snapshots: u64,
    /// What is counted for monitoring.
    pub(super) meters: Meters,
    /// Why the last one came to nothing, if it did.
    pub(super) snapshot_failure: Option<String>,
    /// Queues in which somebody may be served in the next turn.
    unserved: Vec<String>,
    /// Leases whose receiver is gone and that have not been given back yet.
    pub(super) returning: VecDeque<LeaseRef>,
}

/// Log and blobs: where the machine's events go.
pub(super) struct Files<S: Storage> {
    pub(super) tail: Tail<S>,
    pub(super) blobs: Blobs,
}

impl<S: Storage> Sink for Files<S> {
    fn append(&mut self, at: u64, event: &Event<'_>) -> u64 {
        let position = self.tail.append(at, event);
        each_blob(position, event, |position, bytes| self.blobs.insert(position, bytes));
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

/// Hands on the blobs of an event whose record stands at `position`, each with its own position.
pub(super) fn each_blob(position: u64, event: &Event<'_>, mut blob: impl FnMut(u64, &[u8])) {
    for (ordinal, bytes) in event.blobs().into_iter().enumerate() {
        if let Some(bytes) = bytes {
            blob(position + ordinal as u64, bytes);
        }
    }
}

impl<S: Storage> Store<S> {
    /// A store over a machine that has been recovered; starts it.
    pub(super) fn start(mut machine: Machine, files: Files<S>, options: &LocalOptions, restored: bool) -> Self {
        let clock = Arc::clone(&options.clock);
        let mut chance = Chance::new(options.seed);
        let (mut files, now) = (files, machine.resume_at(clock.wall_ms()));
        let start = if restored { Machine::start_restored } else { Machine::start };
        if start(&mut machine, now, &mut chance, &mut files) {
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
            level: Level::Open,
            is_short: false,
            stood_still: false,
            max_memory: options.max_memory,
            closed: false,
            failed: None,
            planned: u64::MAX,
            moved: Arc::default(),
            owes_digest: false,
            snapshots: 0,
            snapshot_failure: None,
            meters: Meters::default(),
            unserved: Vec::new(),
            returning: VecDeque::new(),
        }
    }

    /// The instant as the machine sees it.
    pub(super) fn now(&self) -> Now {
        Now { steady: self.steady_base + self.clock.steady_ms(), wall: self.clock.wall_ms() }
    }

    /// A steady instant of the machine as the clock counts.
    pub(super) fn on_clock(&self, steady: u64) -> u64 {
        steady.saturating_sub(self.steady_base)
    }

    /// The position after the last event.
    pub(super) fn end(&self) -> u64 {
        self.files.tail.end()
    }

    /// Why nothing can be done here any more, if so.
    pub(super) fn check_open(&self) -> Result<(), Error> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None if self.closed => Err(super::closed()),
            None => Ok(()),
        }
    }

    /// The end of this engine: a failed write, a failed sync, or a panic of the machine. Waiting calls end with it.
    pub(super) fn fail(&mut self, message: String) -> Error {
        tracing::error!("{message}");
        let error = Error::new(Word::Unknown, message);
        self.failed = Some(error.clone());
        self.waiters.clear();
        // Also those are told who ask for nothing and wait for just this.
        self.moved.notify_waiters();
        error
    }

    /// Runs `work` on the machine; a panic in it is final, like a failed sync.
    pub(super) fn guarded<T>(&mut self, work: impl FnOnce(&mut Self) -> T) -> Result<T, Error> {
        self.check_open()?;
        catch_unwind(AssertUnwindSafe(|| work(self))).map_err(|_| {
            self.fail("an invariant of the state machine broke; nothing more is written: restart and report it".into())
        })
    }

    /// Applies one command and what follows from it at once: retention that is due, leases for those who wait. `None` if there
    /// is no room for it before what is open, being written or being prepared is done.
    ///
    /// The outer error is the engine's failure, the inner the command's refusal.
    pub(super) fn apply(&mut self, context: &Context, command: &Command) -> Result<Option<Answer>, Error> {
        self.turn(|store, now| match store.admit(context, command) {
            Ok(None) => None,
            Ok(Some(command)) => {
                #[cfg(feature = "audit")]
                let bound = store.bound(context, &command);
                let answer = store.machine.apply(now, &mut store.chance, context, &command, &mut store.files);
                #[cfg(feature = "audit")]
                assert!(store.end() <= bound, "more was written than was asked for: {command:?}");
                Some(answer)
            }
            Err(error) => Some(Err(error)),
        })
    }

    /// Does `work` after what came due before it, and what follows from it at once.
    pub(super) fn turn<T>(&mut self, work: impl FnOnce(&mut Self, Now) -> T) -> Result<T, Error> {
        self.guarded(|store| {
            let now = store.now();
            // What came due before this command happens before it: a lease must not miss it, nor an enqueue overtake it.
            store.elapse_if_due(now);
            store.serve_waiters(now);
            let done = work(store, now);
            store.tell_ended();
            store.elapse_if_due(now);
            store.serve_waiters(now);
            store.write_digest_if_owed(now);
            done
        })
    }

    /// Rides in a frame that is written anyway, so that an idle engine stays idle.
    fn write_digest_if_owed(&mut self, now: Now) {
        if self.owes_digest && self.room_now(Reach::Second, DIGEST) > 0 {
            self.owes_digest = false;
            self.machine.write_digest(now, &mut self.files);
        }
    }

    fn elapse_if_due(&mut self, now: Now) {
        if self.machine.next_due().0.is_some_and(|due| due <= now.steady) {
            self.elapse_due(now, ELAPSE_BESIDE);
        }
    }

    /// Does what is due, at most `budget` events. Returns whether more is due.
    fn elapse_due(&mut self, now: Now, mut budget: usize) -> bool {
        let mut more = true;
        while more && budget > 0 {
            let Some((lapse, room)) = self.lapse() else { return self.is_short };
            let room = room - if lapse == Lapse::All { self.resume_time(now) } else { 0 };
            if room == 0 {
                return true;
            }
            // What ends in one event may age out in the next, and whoever waits for it gets the job as it ended.
            let step = if self.waiters.is_job_awaited() { 1 } else { budget.min(room) };
            more = self.machine.elapse_of(now, &mut self.files, step, lapse);
            self.tell_ended();
            budget -= step;
        }
        more
    }

    /// Hands jobs that just ended to those who wait for them.
    fn tell_ended(&mut self) {
        for number in self.machine.take_ended() {
            let Some(waiting) = self.waiters.take_job(number) else { continue };
            // A removed job is not there; who waited for it is told by being let go.
            let Some(job) = self.machine.job(number, &self.files) else { continue };
            let position = self.end();
            for waiter in waiting {
                // Whoever is gone needs no word.
                let _ = waiter.send(Ended { job: job.clone(), position });
            }
        }
    }

    /// The turn of the ticker: what is due, a step of a bulk operation, whatever waits for a turn. Returns whether more is due.
    pub(super) fn elapse(&mut self, budget: usize) -> Result<bool, Error> {
        self.guarded(|store| {
            let now = store.now();
            let may_tell = store.room_now(Reach::Second, TIMED) > 0;
            if let Some(jump) = may_tell.then(|| store.machine.watch_clock(now, &mut store.files)).flatten() {
                tracing::warn!(jump_ms = jump, "the wall clock jumped; times given as times follow it");
            }
            store.give_back(now);
            let more = store.elapse_due(now, budget);
            store.advance_operations(now);
            store.serve_waiters(now);
            more || store.has_turn()
        })
    }

    /// A step of the first bulk operation that may write.
    fn advance_operations(&mut self, now: Now) {
        let running: Vec<_> = self.machine.running_operations().collect();
        for (operation, verb, by) in running {
            let jobs = self.step_of(verb, by);
            if jobs > 0 {
                self.machine.advance_operation(now, operation, jobs, &mut self.files);
                self.tell_ended();
                return;
            }
        }
    }

    /// Whether something waits for the ticker's next turn and may write then.
    fn has_turn(&mut self) -> bool {
        let served = !self.unserved.is_empty() && self.may_write(Reach::First, DELIVER_BYTES_MIN + 1);
        let returned = !self.returning.is_empty() && self.may_write(Reach::Second, TIMED);
        let running: Vec<_> = self.machine.running_operations().collect();
        self.is_short || served || returned || running.into_iter().any(|(_, verb, by)| self.may_step(verb, by))
    }

    /// Leases for the first of those who wait, as long as there is something for them; in turns, since one event, such
    /// as the end of a pause, may be for any number of them.
    fn serve_waiters(&mut self, now: Now) {
        if !self.machine.has_ready() && self.unserved.is_empty() {
            return;
        }
        let room = self.room_now(Reach::First, DELIVER_BYTES_MIN);
        if room <= DELIVER_BYTES_MIN {
            return;
        }
        let context = Context::default();
        let full = self.end() + DELIVER_BYTES.min(room - DELIVER_BYTES_MIN);
        let unserved = std::mem::take(&mut self.unserved);
        for queue in unserved.into_iter().chain(self.machine.take_ready()) {
            while let Some((waiter, order)) = self.waiters.first(&queue) {
                if self.end() >= full {
                    if !self.unserved.contains(&queue) {
                        self.unserved.push(queue);
                    }
                    break;
                }
                // Each of them fits what is left of the room.
                let left = u32::try_from(self.room_now(Reach::First, 0) / LEASE / 2).unwrap_or(u32::MAX);
                let command = Command::Lease(LeaseOrder { limit: order.limit.min(left.max(1)), ..order });
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
                    self.release_now(now, leases);
                }
            }
        }
    }

    /// Gives leases back whose receiver is gone, uncounted.
    pub(super) fn release(&mut self, leases: &[LeaseRef]) -> Result<(), Error> {
        self.guarded(|store| {
            let now = store.now();
            store.returning.extend(leases);
            store.give_back(now);
            store.serve_waiters(now);
        })
    }

    /// Gives back some of the leases that are on their way, if the frame has room; the rest is the next turn's.
    pub(super) fn give_back(&mut self, now: Now) {
        if !self.returning.is_empty() && !self.must_commit() {
            let room = usize::try_from(self.room_now(Reach::Second, TIMED) / TIMED).unwrap_or(usize::MAX);
            let some = self.returning.len().min(Limits::BATCH_JOBS).min(room);
            let leases: Vec<LeaseRef> = self.returning.drain(..some).collect();
            self.release_now(now, leases);
        }
    }

    fn release_now(&mut self, now: Now, leases: Vec<LeaseRef>) {
        let settlements = leases.into_iter().map(|lease| Settlement { lease, outcome: Outcome::Release }).collect();
        let command = Command::Settle { settlements, then_lease: None };
        // A lease that was settled meanwhile answers by itself; there is nothing to do about it.
        let _ = self.machine.apply(now, &mut self.chance, &Context::default(), &command, &mut self.files);
    }

    /// Leases at once, or joins those who wait; `None` as [`Store::apply`].
    pub(super) fn lease_or_wait(
        &mut self,
        context: &Context,
        order: &LeaseOrder,
        may_wait: bool,
    ) -> Result<Option<LeaseOrWait>, Error> {
        let Some(answer) = self.apply(context, &Command::Lease(order.clone()))? else { return Ok(None) };
        match answer? {
            Reply::Leased(leased) if leased.is_empty() && may_wait => {
                Ok(Some(LeaseOrWait::Wait(self.waiters.join(order.clone()))))
            }
            Reply::Leased(leased) => Ok(Some(LeaseOrWait::Leased(Delivery { leased, position: self.end() }))),
            _ => Err(Error::new(Word::Err, "a lease answers leases")),
        }
    }

    /// The job if it has ended, else its end, once it comes. The outer error is the engine's failure.
    pub(super) fn look_or_wait(&mut self, job: &JobRef) -> Result<Result<Look, Error>, Error> {
        self.guarded(|store| {
            let now = store.now();
            store.elapse_if_due(now);
            let command = Command::ShowJob { job: job.clone() };
            let context = Context::default();
            // Nothing happens between the look and the wait.
            match store.machine.apply(now, &mut store.chance, &context, &command, &mut store.files)? {
                Reply::Job(job) if job.summary.state.is_done() => Ok(Look::Ended(job)),
                Reply::Job(job) => {
                    let number = job.summary.number.0;
                    Ok(Look::Waits(number, store.waiters.join_job(number)))
                }
                _ => Err(Error::new(Word::Err, "a look at a job answers the job")),
            }
        })
    }

    /// When the ticker has work next, on the steady clock.
    pub(super) fn next_due(&mut self) -> u64 {
        if self.has_turn() {
            return 0;
        }
        let now = self.now();
        let lapse = self.lapse_to_come();
        let (steady, wall) = lapse.map_or((None, None), |lapse| self.machine.next_due_of(lapse));
        let wall = wall.map(|due| now.steady + due.saturating_sub(now.wall));
        let journal = self.files.tail.journal().and_then(|journal| journal.next_due());
        [steady, wall, journal].into_iter().flatten().min().unwrap_or(u64::MAX)
    }
}

/// What a call that waits for a job found.
pub(super) enum Look {
    Ended(Box<Job>),
    /// Its number, and its end.
    Waits(u64, oneshot::Receiver<Ended>),
}

/// What a lease call got.
pub(super) enum LeaseOrWait {
    Leased(Delivery),
    Wait(super::waiters::Ticket),
}
