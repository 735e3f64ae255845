//! The worker registry: who beat when, what each is to do, and who fell silent. Never journaled, empty after a start until
//! workers beat.
//!
//! An order is for a process: one that takes its place under the same name has none.
//! Invariant: an order is told with every beat until one says that it was obeyed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use super::Shared;
use super::store::Store;
use crate::journal::Storage;
use crate::machine::{By, Machine, page_after};
use crate::model::{
    Beat, Context, Error, GivenOrder, Limits, Word, WorkerJob, WorkerOrder, WorkerPage, WorkerState, WorkerView,
};

/// A worker that has not beaten for this long is gone.
const SILENT_MS: u64 = 60_000;
/// Those that are gone are looked for this often, also where nobody lists workers.
const LOOK_MS: u64 = 10_000;
/// Queues and jobs that a page of workers shows, about: beyond that the next page goes on.
const PAGE_COST: usize = 4_000;

/// All workers, by name.
#[derive(Debug, Default)]
pub(super) struct Registry {
    workers: BTreeMap<String, Entry>,
    /// How many of them are not gone.
    live: usize,
    looked_at: u64,
}

/// One worker.
#[derive(Debug)]
struct Entry {
    /// The last beat, its leases from the oldest on.
    beat: Beat,
    /// When that came, steady.
    at: u64,
    gone: bool,
    order: Option<Given>,
}

/// An order and who gave it when.
#[derive(Debug)]
struct Given {
    order: WorkerOrder,
    by: Context,
    at: u64,
    obeyed: bool,
}

impl Given {
    /// What is left of it once its worker has told that it is in `state`.
    fn after(self, state: WorkerState) -> Option<Self> {
        let obeyed = state == self.order.state();
        let over = match self.obeyed {
            // It has undone by itself what it was told.
            true => !obeyed,
            // One that stops obeys nothing else any more.
            false => state == WorkerState::Stopping,
        };
        match obeyed {
            true if self.order == WorkerOrder::Resume => None,
            true => Some(Self { obeyed, ..self }),
            false => Some(self).filter(|_| !over),
        }
    }
}

impl Entry {
    /// Whether `beat` is of the process that beat last.
    fn is_same_process(&self, beat: &Beat) -> bool {
        let restarted = self.beat.uptime_ms.zip(beat.uptime_ms).is_some_and(|(before, now)| now < before);
        (&self.beat.host, self.beat.pid) == (&beat.host, beat.pid) && !restarted
    }

    /// An order that it has not obeyed yet.
    fn pending(&self) -> Option<WorkerOrder> {
        self.order.as_ref().filter(|given| !given.obeyed).map(|given| given.order)
    }

    fn obey(&mut self, worker: &str, order: WorkerOrder, by: &Context, at: u64) -> Result<(), Error> {
        let last = self.pending().map_or(self.beat.state, WorkerOrder::state);
        if last == order.state() {
            return Ok(());
        }
        if last == WorkerState::Stopping {
            let text = format!("worker {worker} is stopping; {order} needs one that is not");
            return Err(Error::new(Word::State, text));
        }
        self.order = Some(Given { order, by: by.clone(), at, obeyed: false });
        Ok(())
    }

    const fn state(&self) -> WorkerState {
        if self.gone { WorkerState::Gone } else { self.beat.state }
    }

    fn view(&self, machine: &Machine, jobs: usize) -> WorkerView {
        let Self { beat, gone, .. } = self;
        let beat_at_ms = machine.to_wall(self.at);
        let job = |&lease| machine.worker_job(lease, &beat.worker).filter(|job| *gone || job.expires_at_ms.is_some());
        let given = |given: &Given| GivenOrder {
            order: given.order,
            actor: given.by.actor.clone(),
            reason: given.by.reason.clone(),
            at_ms: machine.to_wall(given.at),
            obeyed: given.obeyed,
        };
        WorkerView {
            worker: beat.worker.clone(),
            state: self.state(),
            host: beat.host.clone(),
            pid: beat.pid,
            version: beat.version.clone(),
            queues: beat.queues.clone(),
            concurrency: beat.concurrency,
            started_at_ms: beat.uptime_ms.map(|uptime_ms| beat_at_ms.saturating_sub(uptime_ms)),
            beat_at_ms,
            rss_bytes: beat.rss_bytes,
            leases: beat.leases.len() as u64,
            jobs: beat.leases.iter().take(jobs).filter_map(job).collect::<Vec<WorkerJob>>(),
            order: self.order.as_ref().map(given),
        }
    }
}

impl<S: Storage> Shared<S> {
    /// Looks at the registry, or changes it. Answers once nobody can be shown what a crash would take back.
    async fn registry<T>(
        self: &Arc<Self>,
        look: impl FnOnce(&mut Registry, &Machine, u64) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (looked, position) = {
            let mut store = self.lock();
            store.check_open()?;
            let (now, position) = (store.now().steady, store.end());
            let Store { registry, machine, .. } = &mut *store;
            (look(registry, machine, now)?, position)
        };
        self.durable(position).await?;
        Ok(looked)
    }

    pub(super) async fn workers(self: &Arc<Self>, cursor: Option<&str>, limit: u32) -> Result<WorkerPage, Error> {
        let from = page_after(cursor, limit)?;
        self.registry(|registry, machine, now| Ok(registry.page(from, limit, now, machine))).await
    }

    pub(super) async fn worker(self: &Arc<Self>, worker: &str) -> Result<WorkerView, Error> {
        self.registry(|registry, machine, now| registry.show(worker, now, machine)).await
    }

    pub(super) async fn order_worker(
        self: &Arc<Self>,
        by: &Context,
        worker: &str,
        order: WorkerOrder,
    ) -> Result<WorkerView, Error> {
        By::of(by)?;
        let ordered = |registry: &mut Registry, machine: &Machine, now| {
            registry.order(worker, order, by, now)?;
            registry.show(worker, now, machine)
        };
        let view = self.registry(ordered).await?;
        tracing::info!(worker, actor = by.actor, reason = by.reason, "a worker is told: {order}");
        Ok(view)
    }
}

impl Registry {
    /// A beat at steady instant `now`; answers what the worker is to do. `FULL` where too many others beat.
    pub(super) fn beat(&mut self, beat: &Beat, now: u64) -> Result<Option<WorkerOrder>, Error> {
        if now >= self.looked_at + LOOK_MS {
            self.look(now);
        }
        let known = self.workers.get(&beat.worker).is_some_and(|entry| !entry.gone);
        if !known && !beat.leaving && self.live >= Limits::WORKERS {
            let text = format!(
                "{} workers beat already, as many as may; one that is silent for a minute makes room",
                Limits::WORKERS
            );
            return Err(Error::new(Word::Full, text));
        }
        let before = self.workers.remove(&beat.worker);
        self.live -= usize::from(known);
        if beat.leaving {
            return Ok(None);
        }
        let given = before.filter(|entry| entry.is_same_process(beat)).and_then(|entry| entry.order);
        let mut beat = beat.clone();
        beat.leases.sort_unstable_by_key(|lease| lease.token);
        let order = given.and_then(|given| given.after(beat.state));
        let entry = Entry { at: now, gone: false, order, beat };
        let pending = entry.pending();
        self.live += 1;
        self.workers.insert(entry.beat.worker.clone(), entry);
        Ok(pending)
    }

    /// Marks those that fell silent, and forgets the oldest of these.
    fn look(&mut self, now: u64) {
        self.looked_at = now;
        for entry in self.workers.values_mut().filter(|entry| !entry.gone && entry.at + SILENT_MS < now) {
            (entry.gone, entry.order) = (true, None);
            entry.beat.leases.truncate(Limits::WORKER_JOBS);
            self.live -= 1;
        }
        let mut gone: Vec<u64> = self.workers.values().filter(|entry| entry.gone).map(|entry| entry.at).collect();
        // The newest come first; the first that is one too many ends the row.
        gone.sort_unstable_by(|a, b| b.cmp(a));
        let beyond = gone.get(Limits::GONE_WORKERS).copied();
        let is_kept =
            |entry: &Entry| entry.at + Limits::GONE_MS >= now && beyond.is_none_or(|beyond| entry.at > beyond);
        self.workers.retain(|_, entry| !entry.gone || is_kept(entry));
    }

    /// Who beat lately, and who is gone: a page of them behind `from`.
    pub(super) fn page(&mut self, from: Bound<&str>, limit: u32, now: u64, machine: &Machine) -> WorkerPage {
        self.look(now);
        let mut rest = self.workers.range::<str, _>((from, Bound::Unbounded)).map(|(_, entry)| entry);
        let (mut workers, mut cost) = (Vec::new(), 0);
        while workers.len() < limit as usize && cost < PAGE_COST {
            let Some(entry) = rest.next() else { break };
            let view = entry.view(machine, Limits::LISTED_WORKER_JOBS);
            cost += 1 + view.queues.len() + view.jobs.len();
            workers.push(view);
        }
        let cursor = rest.next().and_then(|_| Some(workers.last()?.worker.clone()));
        WorkerPage { workers, cursor }
    }

    /// How many there are, in the order of [`WorkerState::ALL`].
    pub(super) fn counts(&mut self, now: u64) -> [u64; WorkerState::ALL.len()] {
        self.look(now);
        let mut counts = [0; WorkerState::ALL.len()];
        self.workers.values().for_each(|entry| counts[entry.state() as usize] += 1);
        counts
    }

    /// One worker.
    pub(super) fn show(&mut self, worker: &str, now: u64, machine: &Machine) -> Result<WorkerView, Error> {
        self.look(now);
        let entry = self.workers.get(worker).ok_or_else(|| Error::no_worker(worker))?;
        Ok(entry.view(machine, Limits::WORKER_JOBS))
    }

    /// Gives an order, at steady instant `now`.
    pub(super) fn order(&mut self, worker: &str, order: WorkerOrder, by: &Context, now: u64) -> Result<(), Error> {
        self.look(now);
        let entry = self.workers.get_mut(worker).filter(|entry| !entry.gone).ok_or_else(|| Error::no_worker(worker))?;
        entry.obey(worker, order, by, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat(registry: &mut Registry, worker: usize, now: u64) -> Result<(), Error> {
        registry.beat(&Beat { worker: worker.to_string(), ..Beat::default() }, now).map(drop)
    }

    fn check(registry: &Registry) {
        assert_eq!(registry.live, registry.workers.values().filter(|entry| !entry.gone).count());
    }

    #[test]
    fn workers_that_died_are_gone_and_then_forgotten_though_nobody_lists_workers() {
        let mut registry = Registry::default();
        for at in 0..2_000 {
            beat(&mut registry, at as usize, at * 1_000).expect("room");
            check(&registry);
        }
        assert!(registry.live <= 72, "{} are taken for alive", registry.live);
        assert!(registry.workers.len() <= Limits::GONE_WORKERS + 72, "{} are kept", registry.workers.len());
        assert!(registry.workers.contains_key("1500") && !registry.workers.contains_key("900"), "the oldest went");
        beat(&mut registry, 0, 2_000_000 + Limits::GONE_MS).expect("room");
        assert_eq!(registry.workers.len(), 1, "a day is over");
        check(&registry);
    }

    #[test]
    fn no_more_workers_beat_than_may() {
        let mut registry = Registry::default();
        for worker in 0..Limits::WORKERS {
            beat(&mut registry, worker, 0).expect("room");
        }
        assert_eq!(beat(&mut registry, Limits::WORKERS, 0).expect_err("one too many").word, Word::Full);
        beat(&mut registry, 7, 60_000).expect("one that is known");
        beat(&mut registry, Limits::WORKERS, 70_000).expect("the others are gone");
        assert_eq!(registry.live, 2);
        check(&registry);
    }
}
