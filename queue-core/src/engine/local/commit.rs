//! Commits: a function that whoever waits calls, not a thread.
//!
//! Whoever finds the open frame not empty and no commit running writes and syncs it, then wakes all who waited for it.
//! A disk that takes long is synced on a helper thread, so that the loop fills the next frame meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::tail::{self, KeptRecord, Tail};
use super::{Shared, Store, feed, journal_error};
use crate::journal::{Commit, Committed, Storage};
use crate::model::{Beat, Error, EventPage, LeaseRef, LeaseToken, Orders};

/// Above this moving average a sync runs on a helper thread, so that the loop reads and answers what needs no sync meanwhile.
/// Not measured to matter for throughput: the bench's spike found no crossing, and at 2 ms a sync neither was faster.
const HELPER_FROM_US: u64 = 500;
/// Bytes of log read for one page of the feed.
const FEED_BYTES: u64 = 1 << 20;

/// How long syncs take: a moving average in microseconds.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

impl Pace {
    fn add(&self, took_us: u64) {
        let old = self.0.load(Ordering::Relaxed);
        self.0.store(old - old / 8 + took_us / 8, Ordering::Relaxed);
    }

    fn is_slow(&self) -> bool {
        self.0.load(Ordering::Relaxed) > HELPER_FROM_US
    }
}

impl<S: Storage> Shared<S> {
    /// Returns once the frontier has passed `position`.
    pub(super) async fn durable(self: &Arc<Self>, position: u64) -> Result<(), Error> {
        let mut yielded = false;
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Registered before the look, so that no move in between is missed.
            moved.as_mut().enable();
            let commit = {
                let mut store = self.lock();
                if store.files.tail.has_left(position) {
                    if matches!(store.files.tail, Tail::Ring(_)) {
                        // No commit will tell those who read the feed.
                        self.moved.notify_waiters();
                    }
                    return Ok(());
                }
                store.check_open()?;
                // Let everyone who is ready apply first: they share the frame.
                if yielded { store.begin_commit() } else { None }
            };
            match commit {
                Some(commit) => self.run_commit(commit)?,
                None if yielded => moved.await,
                None => {
                    yielded = true;
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// Runs a commit here, or on a helper thread where the disk is slow. Never left half done: the first has no await in
    /// it, the second is a task of its own.
    fn run_commit(self: &Arc<Self>, commit: Commit<S>) -> Result<(), Error> {
        if !self.pace.is_slow() {
            return self.finish(commit.run());
        }
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // Who waits is told through the store.
            let _ = shared.finish(commit.run());
        });
        Ok(())
    }

    fn finish(&self, committed: Committed<S>) -> Result<(), Error> {
        self.pace.add(u64::try_from(committed.took().as_micros()).unwrap_or(u64::MAX));
        let mut store = self.lock();
        let now = store.now().steady;
        let journal = store.files.tail.journal().expect("only a journal commits");
        let finished = journal.finish_commit(committed).map(drop);
        if finished.is_ok() {
            journal.maintain(now);
        }
        let finished = finished.map_err(|error| store.fail(journal_error(&error).message));
        self.wake_ticker_if_earlier(&mut store);
        drop(store);
        self.moved.notify_waiters();
        finished
    }

    /// Commits everything here and now, without a runtime: the start.
    pub(super) fn commit_here(&self) -> Result<(), Error> {
        let commit = self.lock().begin_commit();
        commit.map_or(Ok(()), |commit| self.finish(commit.run()))
    }

    /// What the journal has to do by itself: seals, syncs under `everysec`, another try at a segment that failed.
    pub(super) async fn tend(self: &Arc<Self>) -> Result<(), Error> {
        let (commit, sync) = {
            let mut store = self.lock();
            if store.check_open().is_err() {
                return Ok(());
            }
            let now = store.now().steady;
            match store.files.tail.journal() {
                Some(journal) => journal.maintain(now),
                None => self.moved.notify_waiters(),
            }
            let commit = store.begin_commit();
            (commit, store.files.tail.journal().and_then(|journal| journal.begin_sync(now)))
        };
        if let Some(commit) = commit {
            self.run_commit(commit)?;
        }
        if let Some(sync) = sync {
            let shared = Arc::clone(self);
            tokio::task::spawn_blocking(move || {
                let finished = sync.run();
                let mut store = shared.lock();
                let journal = store.files.tail.journal().expect("only a journal syncs");
                if let Err(error) = journal.finish_sync(finished) {
                    store.fail(journal_error(&error).message);
                }
                drop(store);
                shared.moved.notify_waiters();
            });
        }
        Ok(())
    }

    /// Waits for what runs, commits what is open, seals, and gives the directory free. After a failure nothing more is
    /// written: the open frame is thrown away.
    pub(super) async fn close(self: &Arc<Self>) -> Result<(), Error> {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            {
                let mut store = self.lock();
                let busy = store.files.tail.journal().is_some_and(|journal| journal.is_busy());
                if !busy {
                    let closed = store.close();
                    drop(store);
                    self.moved.notify_waiters();
                    self.wake.notify_one();
                    return closed;
                }
            }
            moved.await;
        }
    }

    /// A page of the feed from `from` on, as far as events have left; and whether that is all for now.
    pub(super) fn read_events(&self, from: u64, limit: usize) -> Result<(EventPage, bool), Error> {
        let mut records = Vec::new();
        let (mut next, mut all) = match &self.reader {
            None => self.lock().read_ring(from, limit, &mut records)?,
            Some(reader) => {
                self.lock().check_open()?;
                let mut reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                tail::read_journal(&mut reader, from, FEED_BYTES, &mut records)?
            }
        };
        if let Some(beyond) = records.get(limit) {
            (next, all) = (beyond.position, false);
            records.truncate(limit);
        }
        let store = self.lock();
        let shown = |record: &KeptRecord| feed::record(&store.machine, record.kind, record.at, &record.body);
        let events = records.iter().filter_map(shown).collect();
        Ok((EventPage { events, cursor: next.to_string() }, all))
    }
}

impl<S: Storage> Store<S> {
    fn read_ring(&self, from: u64, limit: usize, records: &mut Vec<KeptRecord>) -> Result<(u64, bool), Error> {
        self.check_open()?;
        let Tail::Ring(ring) = &self.files.tail else { return Err(super::closed()) };
        // One more than wanted shows where to go on.
        *records = ring.read(from, limit + 1)?;
        Ok((self.end(), true))
    }

    /// Whether the open frame has to be committed before another command.
    pub(super) fn must_commit(&mut self) -> bool {
        self.files.tail.journal().is_some_and(|journal| journal.must_commit())
    }

    fn close(&mut self) -> Result<(), Error> {
        let frontier = self.files.tail.frontier();
        let tail = std::mem::replace(&mut self.files.tail, Tail::Closed { frontier });
        if let Some(error) = &self.failed {
            // The journal is dropped as it is: a panic may have left half a command in its frame.
            return Err(error.clone());
        }
        self.closed = true;
        self.waiters.clear();
        if let Tail::Journal(journal) = tail {
            let now = self.now().steady;
            let end = journal.close(now).map_err(|error| self.fail(journal_error(&error).message))?;
            self.files.tail = Tail::Closed { frontier: end.get() };
        }
        Ok(())
    }

    fn begin_commit(&mut self) -> Option<Commit<S>> {
        // A panic may have left half a command in the frame.
        if self.failed.is_some() {
            return None;
        }
        let now = self.now().steady;
        self.files.tail.journal()?.begin_commit(now)
    }

    /// Answers a beat: what its worker is to stop.
    pub(super) fn beat(&mut self, beat: &Beat) -> Result<Orders, Error> {
        let now = self.now().steady;
        self.registry.beat(beat, now)?;
        if beat.reconnected {
            let named: HashSet<LeaseToken> = beat.leases.iter().map(|lease| lease.token).collect();
            let mut dropped: Vec<LeaseRef> = self.machine.leases_of(&beat.worker);
            dropped.retain(|lease| !named.contains(&lease.token));
            self.release(&dropped)?;
        }
        let mut orders = Orders::default();
        for &lease in &beat.leases {
            match self.machine.lease_trouble(lease) {
                None => {}
                Some(Some(reason)) => orders.cancel.push((lease.number, reason)),
                Some(None) => orders.lost.push(lease.number),
            }
        }
        Ok(orders)
    }
}
