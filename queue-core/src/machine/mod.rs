//! The state machine. Pure: no I/O, no clock, no randomness, no threads, no async.
//!
//! A decider: [`Machine::apply`] checks a command against the state, whole, before its first event, then emits events;
//! [`Machine::evolve`] folds an event into the state and is all that recovery calls. Time and chance come in as
//! arguments. What the journal keeps is what happened, never what was asked.
//! All instants in the state are steady milliseconds, but due times given as wall times.

mod apply;
mod chance;
mod digest;
mod elapse;
mod event;
mod evolve;
mod fingerprint;
mod fits;
mod given;
mod happened;
mod invariants;
mod lane;
mod memory;
mod meter;
mod more;
mod operations;
mod orders;
mod queue;
mod record;
mod rows;
mod snapshot;
mod stats;
mod tables;
mod wrong;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use apply::page_after;
pub use apply::{Candidates, check_size};
pub use chance::Chance;
pub use elapse::Lapse;
pub use event::{Blob, By, Due, Event, NewRow, Next, Policy};
pub use fingerprint::fingerprint;
pub use given::Given;
use happened::Happened;
use meter::Meter;
pub use meter::Metered;
#[cfg(test)]
pub(crate) use record::tests::samples;
pub use record::{decode, encode, is_skippable, is_told, kind_of};
pub use snapshot::Restore;
pub(crate) use tables::{Interned, Value};
pub use wrong::Wrong;

use bytes::Bytes;
use operations::Operation;
use queue::{NEVER, Queue, Tree};
use rows::Rows;
use stats::Stats;
use tables::{Ids, SettledTokens};

use crate::model::{JobNumber, LeaseRef, LeaseToken, Now, QueueSettings};

/// Where events go, and where bytes are: the open frame and the blob store of an engine.
pub trait Sink {
    /// Adds the event to the open frame and keeps its blobs. Returns its record's position, a multiple of 8.
    fn append(&mut self, at: u64, event: &Event<'_>) -> u64;

    /// A blob that no row points to any more.
    fn release(&mut self, blob: Blob);

    /// The bytes of a blob.
    fn read(&self, blob: Blob) -> Bytes;

    /// Bytes of all blobs kept.
    fn blob_bytes(&self) -> u64;
}

/// All state of a store, the fold of its events.
#[derive(Debug)]
pub struct Machine {
    defaults: QueueSettings,
    steady: u64,
    /// Wall minus steady.
    offset: i64,
    /// Removal by age holds until then.
    removal_from: u64,
    key_set: bool,
    last_number: u64,
    last_token: LeaseToken,
    last_operation: u64,
    rows: Rows,
    queues: Vec<Queue>,
    queue_names: BTreeMap<Box<str>, u32>,
    names: Interned<Box<str>>,
    workers: Interned<Box<str>>,
    policies: Interned<Policy>,
    ids: Ids,
    settled: SettledTokens,
    operations: BTreeMap<u64, Operation>,
    running: BTreeSet<u64>,
    /// The head of each queue's trees: (due, tree, queue). What ages out stands apart and has its turn after everything
    /// else that is due, or a queue that is to forget a million jobs would hold up every lease and delay.
    timers: BTreeSet<(u64, u8, u32)>,
    aging: BTreeSet<(u64, u8, u32)>,
    wall_timers: BTreeSet<(u64, u32)>,
    /// Every row's digest, together.
    rows_digest: u64,
    /// Bytes of what hangs on rows.
    more_bytes: u64,
    /// Places of jobs in trees.
    ordered: u64,
    /// Ids of gone jobs that queues remember.
    remembered: u64,
    /// Blobs let go by the event being folded.
    released: Vec<Blob>,
    /// What happened over time. Decides nothing, so it is no state.
    stats: Stats,
    /// Queues that may have become ready since the shell last asked. Not state.
    ready: Vec<u32>,
    /// Jobs that were done or removed since the shell last asked. Not state.
    ended: Vec<u64>,
    /// What is counted for monitoring. Not state.
    meter: Meter,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// The state of a store in which nothing has happened.
    pub fn new() -> Self {
        Self {
            defaults: QueueSettings::defaults(),
            steady: 0,
            offset: 0,
            removal_from: 0,
            key_set: false,
            last_number: 0,
            last_token: LeaseToken(0),
            last_operation: 0,
            rows: Rows::default(),
            queues: Vec::new(),
            queue_names: BTreeMap::new(),
            names: Interned::default(),
            workers: Interned::default(),
            policies: Interned::default(),
            ids: Ids::default(),
            settled: SettledTokens::default(),
            operations: BTreeMap::new(),
            running: BTreeSet::new(),
            timers: BTreeSet::new(),
            aging: BTreeSet::new(),
            wall_timers: BTreeSet::new(),
            rows_digest: 0,
            more_bytes: 0,
            ordered: 0,
            remembered: 0,
            released: Vec::new(),
            stats: Stats::default(),
            ready: Vec::new(),
            ended: Vec::new(),
            meter: Meter::default(),
        }
    }

    /// The steady instant of the last event, in milliseconds; a shell's clock goes on from here.
    pub const fn steady(&self) -> u64 {
        self.steady
    }

    /// The wall clock at the last event, in milliseconds since the Unix epoch, as far as events told.
    pub const fn wall(&self) -> u64 {
        self.to_wall(self.steady)
    }

    /// A steady instant as a wall time.
    pub const fn to_wall(&self, steady: u64) -> u64 {
        steady.saturating_add_signed(self.offset)
    }

    /// Jobs in the store.
    pub const fn jobs(&self) -> u64 {
        self.rows.count()
    }

    /// The next instants at which [`Machine::elapse`] has work: steady, and wall. An instant in the past means now.
    pub fn next_due(&self) -> (Option<u64>, Option<u64>) {
        self.next_due_of(Lapse::All)
    }

    /// As [`Machine::next_due`], for this kind of it alone.
    pub fn next_due_of(&self, lapse: Lapse) -> (Option<u64>, Option<u64>) {
        let first = |timers: &BTreeSet<(u64, u8, u32)>| {
            timers.iter().find(|&&(_, tree, _)| lapse.has(Tree::ALL[usize::from(tree)])).map(|&(due, ..)| due)
        };
        let steady = first(&self.timers).into_iter().chain(first(&self.aging)).min();
        (steady, self.wall_timers.first().filter(|_| lapse.has(Tree::DelayedWall)).map(|&(due, _)| due))
    }

    /// How many queues have settings of the server's file.
    pub fn configured_queues(&self) -> usize {
        self.queues.iter().filter(|queue| queue.config != QueueSettings::default()).count()
    }

    /// The queues in which jobs became ready since the last call, in order of the events.
    pub fn take_ready(&mut self) -> Vec<String> {
        let ready = std::mem::take(&mut self.ready);
        ready.into_iter().map(|queue| self.queues[queue as usize].name.to_string()).collect()
    }

    /// Whether [`Machine::take_ready`] has something.
    pub const fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The jobs that were done or removed since the last call.
    pub fn take_ended(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.ended)
    }

    /// The name behind a queue's number, as events carry it.
    pub fn queue_name(&self, queue: u32) -> Option<&str> {
        self.queues.get(queue as usize).map(|queue| &*queue.name)
    }

    /// The queue of a job that is there.
    pub fn queue_of(&self, number: u64) -> Option<&str> {
        self.queue_name(self.rows.get(number)?.queue)
    }

    /// The name of a job that is there.
    pub fn name_of(&self, number: u64) -> Option<&str> {
        Some(self.names.get(self.rows.get(number)?.name))
    }

    /// The id that a producer gave a job that is there.
    pub fn id_of(&self, number: u64) -> Option<&str> {
        self.rows.get(number)?.more.as_ref()?.id.as_deref()
    }

    /// The name behind a worker's number, as an event of `job` carries it, while the job's timeline still shows it.
    /// Without a lease that keeps it the number may have been given again.
    pub fn worker_name(&self, worker: u32, job: u64) -> Option<&str> {
        let runs = self.rows.get(job)?.runs()?;
        runs.timeline.iter().any(|lease| lease.worker == worker).then(|| &**self.workers.get(worker))
    }

    /// The leases that a worker holds.
    pub fn leases_of(&self, worker: &str) -> Vec<LeaseRef> {
        let Some(worker) = self.workers.find(worker) else { return Vec::new() };
        let active = self.queues.iter().flat_map(|queue| queue.tree(Tree::Active));
        let held = active.filter_map(|&(_, number)| {
            let runs = self.rows.get(number)?.runs()?;
            let by_worker = runs.timeline.last().is_some_and(|lease| lease.worker == worker);
            by_worker.then_some(LeaseRef { number: JobNumber(number), token: LeaseToken(runs.token) })
        });
        held.collect()
    }

    /// The blobs that the events folded since the last call let go.
    pub fn drain_released(&mut self) -> impl Iterator<Item = Blob> + '_ {
        self.released.drain(..)
    }

    /// Forgets what [`Machine::take_ready`] and [`Machine::take_ended`] would tell: recovery has nobody to tell.
    pub fn forget_signals(&mut self) {
        self.ready.clear();
        self.ended.clear();
    }

    pub(crate) fn queue_id(&self, name: &str) -> Option<u32> {
        self.queue_names.get(name).copied()
    }

    /// Emits an event as of `now`: folds it into the state, and the sink gets it. These two things and no other.
    fn emit(&mut self, now: Now, sink: &mut impl Sink, event: &Event<'_>) {
        let at = now.steady.max(self.steady);
        let happened = Happened::of(event, &self.rows, at);
        self.meter.observe(event, happened.as_ref());
        let position = sink.append(at, event);
        self.fold(position, at, event, happened.as_ref());
        for blob in self.released.drain(..) {
            sink.release(blob);
        }
    }

    /// Brings the timer index up to date with the head of one tree of one queue.
    fn refresh(&mut self, queue: u32, tree: Tree) {
        let entry = &mut self.queues[queue as usize];
        let head = entry.head(tree, &self.defaults, self.removal_from);
        let known = std::mem::replace(&mut entry.heads[tree as usize], head);
        if known == head {
            return;
        }
        if tree == Tree::DelayedWall {
            self.wall_timers.remove(&(known, queue));
            if head != NEVER {
                self.wall_timers.insert((head, queue));
            }
            return;
        }
        let timers = if tree.ages() { &mut self.aging } else { &mut self.timers };
        timers.remove(&(known, tree as u8, queue));
        if head != NEVER {
            timers.insert((head, tree as u8, queue));
        }
    }
}
