//! Commits: a function that whoever waits calls, not a thread.
//!
//! Whoever finds the open frame not empty and no commit running writes and syncs it, then wakes all who waited for it.
//! A disk that takes long is synced on a helper thread, so that the loop fills the next frame meanwhile.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::feed::Draft;
use super::tail::{self, KeptRecord, Tail};
use super::{Shared, Store, journal_error};
use crate::journal::{Commit, Level, Maintained, Maintenance, PendingSync, Storage};
use crate::model::{Beat, Error, EventPage, EventRecord, LeaseRef, LeaseToken, Orders};

/// Above this moving average a sync runs on a helper thread, so that the loop reads and answers what needs no sync meanwhile.
/// Not measured to matter for throughput: the bench's spike found no crossing, and at 2 ms a sync neither was faster.
const HELPER_FROM_US: u64 = 500;
/// Bytes of log read for one page of the feed.
const FEED_BYTES: u64 = 1 << 20;
/// Events of a page that get their names in one hold of the lock.
const NAMED_AT_ONCE: usize = 200;

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
            let (commit, sync) = {
                let mut store = self.lock();
                if store.files.tail.has_left(position) {
                    if matches!(store.files.tail, Tail::Ring(_)) {
                        // No commit will tell those who read the feed.
                        self.moved.notify_waiters();
                    }
                    return Ok(());
                }
                store.check_open()?;
                // Let everyone who is ready apply first: they share the frame. A sync that is late holds what is written
                // back, and the ticker may be among those who wait here.
                if yielded { (store.begin_commit(), store.begin_sync()) } else { (None, None) }
            };
            if let Some(sync) = sync {
                self.run_sync(sync);
            }
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

    /// Runs a commit here, or on a helper thread where the disk is slow or more than a frame is to be synced. Never left
    /// half done: the first has no await in it, the second is a task of its own.
    fn run_commit(self: &Arc<Self>, commit: Commit<S>) -> Result<(), Error> {
        if !commit.is_long() && !self.pace.is_slow() {
            return self.commit(commit);
        }
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut next = Some(commit);
            // Who waits is told through the store. What gathered during this sync need not wait until the loop has
            // answered all whom it released.
            while let Some(commit) = next {
                let go_on = shared.commit(commit).is_ok() && shared.pace.is_slow();
                next = if go_on { shared.lock().begin_commit() } else { None };
            }
        });
        Ok(())
    }

    fn commit(self: &Arc<Self>, commit: Commit<S>) -> Result<(), Error> {
        let is_long = commit.is_long();
        let syncs = commit.syncs();
        let committed = commit.run();
        let took_us = u64::try_from(committed.took().as_micros()).unwrap_or(u64::MAX);
        if !is_long {
            self.pace.add(took_us);
        }
        let mut store = self.lock();
        if committed.records() > 0 {
            // An empty frame is a seal: nobody waits for it.
            store.meters.frame_records.add(committed.records());
        }
        if syncs {
            store.meters.sync_us.add(took_us);
        }
        let now = store.now().steady;
        let journal = store.files.tail.journal().expect("a busy journal is not closed");
        let segment = journal.segment();
        let finished = journal.finish_commit(committed).map(drop);
        let rotated = journal.segment() != segment;
        if rotated {
            store.owes_digest = true;
            store.expect_snapshot();
        }
        let step = store.files.tail.journal().and_then(|journal| journal.begin_maintenance(now));
        let finished = finished.map_err(|error| store.fail(journal_error(&error).message));
        store.note_level();
        self.wake_ticker_if_earlier(&mut store);
        drop(store);
        self.moved.notify_waiters();
        if let Some(step) = step {
            self.prepare(step);
        }
        if rotated {
            self.compact_if_due();
        }
        finished
    }

    /// Prepares the next segment, outside the lock: one quick step here, all others on a helper thread.
    fn prepare(self: &Arc<Self>, step: Maintenance<S>) {
        let quick = !step.is_last() && !self.pace.is_slow();
        let Some(step) = (if quick { self.prepared(step.run()) } else { Some(step) }) else { return };
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let mut next = Some(step);
            while let Some(step) = next {
                next = shared.prepared(step.run());
            }
        });
    }

    /// Takes a step back and hands out the next. A frame may have waited for the segment.
    fn prepared(self: &Arc<Self>, step: Maintained<S>) -> Option<Maintenance<S>> {
        let mut store = self.lock();
        let now = store.now().steady;
        let journal = store.files.tail.journal().expect("a busy journal is not closed");
        journal.finish_maintenance(step);
        let next = journal.begin_maintenance(now);
        let changed = store.note_level();
        let full = store.level > Level::Open;
        self.wake_ticker_if_earlier(&mut store);
        drop(store);
        self.moved.notify_waiters();
        if changed {
            // Whoever was not served for lack of room may be now.
            self.wake.notify_one();
        }
        if full && next.is_none() {
            self.compact_if_due();
        }
        next
    }

    /// Waits until something that runs has ended, or begins what is to be prepared: then there may be room.
    pub(super) async fn room_to_come(self: &Arc<Self>) -> Result<(), Error> {
        let moved = self.moved.notified();
        tokio::pin!(moved);
        moved.as_mut().enable();
        let step = {
            let mut store = self.lock();
            store.check_open()?;
            let now = store.now().steady;
            let Some(journal) = store.files.tail.journal() else { return Ok(()) };
            let step = journal.begin_maintenance(now);
            // A closing engine makes no room any more, and tells when it is closed.
            (step, journal.is_writing() || journal.is_closing())
        };
        match step {
            (Some(step), _) => self.prepare(step),
            (None, true) => moved.await,
            (None, false) => tokio::task::yield_now().await,
        }
        Ok(())
    }

    /// Commits everything here and now: the start.
    pub(super) fn commit_here(self: &Arc<Self>) -> Result<(), Error> {
        let commit = self.lock().begin_commit();
        commit.map_or(Ok(()), |commit| self.commit(commit))
    }

    /// Syncs everything that was committed, here and now: the start.
    pub(super) fn sync_here(&self) -> Result<(), Error> {
        let mut store = self.lock();
        let synced = store.files.tail.journal().map_or(Ok(()), |journal| journal.sync_here());
        synced.map_err(|error| store.fail(journal_error(&error).message))
    }

    /// What the journal has to do by itself: seals, syncs under `everysec`, another try at a segment that failed.
    pub(super) async fn tend(self: &Arc<Self>) -> Result<(), Error> {
        let (commit, sync, step) = {
            let mut store = self.lock();
            if store.check_open().is_err() {
                return Ok(());
            }
            let now = store.now().steady;
            store.rotate_if_it_pays();
            let commit = store.begin_commit();
            let Some(journal) = store.files.tail.journal() else {
                self.moved.notify_waiters();
                return Ok(());
            };
            (commit, journal.begin_sync(now), journal.begin_maintenance(now))
        };
        // Whatever was begun has to be finished, also where the first of it fails.
        let committed = commit.map_or(Ok(()), |commit| self.run_commit(commit));
        if let Some(step) = step {
            self.prepare(step);
        }
        if let Some(sync) = sync {
            self.run_sync(sync);
        }
        committed
    }

    /// Runs a sync on a helper thread.
    fn run_sync(self: &Arc<Self>, sync: PendingSync<S>) {
        let shared = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            let finished = sync.run();
            let mut store = shared.lock();
            store.meters.sync_us.add(u64::try_from(finished.took().as_micros()).unwrap_or(u64::MAX));
            let journal = store.files.tail.journal().expect("a busy journal is not closed");
            if let Err(error) = journal.finish_sync(finished) {
                store.fail(journal_error(&error).message);
            }
            shared.wake_ticker_if_earlier(&mut store);
            drop(store);
            shared.moved.notify_waiters();
        });
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
                let busy = store.files.tail.journal().is_some_and(|journal| {
                    journal.stop_background();
                    journal.is_busy()
                });
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
    ///
    /// Read and decoded outside the lock, which is taken for the names alone and for a part of the page at a time.
    pub(super) fn read_events(&self, from: u64, limit: usize) -> Result<(EventPage, bool), Error> {
        let mut drafts = Vec::new();
        let (next, all) = match &self.reader {
            None => {
                let (records, next, all) = self.lock().read_ring(from, limit)?;
                let draft = |record: KeptRecord| Draft::of(record.position, record.kind, record.at, &record.body);
                drafts.extend(records.into_iter().filter_map(draft));
                (next, all)
            }
            Some(reader) => {
                self.lock().check_open()?;
                let mut reader = reader.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                tail::read_journal(&mut reader, from, FEED_BYTES, limit, &mut drafts)?
            }
        };
        Ok((EventPage { events: self.named(drafts), cursor: next.to_string(), ..EventPage::default() }, all))
    }

    /// Events with their names.
    pub(super) fn named(&self, drafts: Vec<Draft>) -> Vec<EventRecord> {
        let mut events = Vec::with_capacity(drafts.len());
        let mut drafts = drafts.into_iter().peekable();
        while drafts.peek().is_some() {
            let store = self.lock();
            events.extend(drafts.by_ref().take(NAMED_AT_ONCE).map(|draft| draft.named(&store.machine)));
        }
        events
    }
}

impl<S: Storage> Store<S> {
    /// Records for a page, where to go on, and whether that is all.
    fn read_ring(&self, from: u64, limit: usize) -> Result<(Vec<KeptRecord>, u64, bool), Error> {
        self.check_open()?;
        let Tail::Ring(ring) = &self.files.tail else { return Err(super::closed()) };
        // One more than wanted shows where to go on.
        let mut records = ring.read(from, limit + 1)?;
        let beyond = if records.len() > limit { records.pop() } else { None };
        Ok(beyond.map_or((self.end(), true), |beyond| (beyond.position, false))).map(|(next, all)| (records, next, all))
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

    pub(super) fn begin_commit(&mut self) -> Option<Commit<S>> {
        // A panic may have left half a command in the frame.
        if self.failed.is_some() {
            return None;
        }
        let now = self.now().steady;
        self.files.tail.journal()?.begin_commit(now)
    }

    pub(super) fn begin_sync(&mut self) -> Option<PendingSync<S>> {
        let now = self.now().steady;
        self.files.tail.journal()?.begin_sync(now)
    }

    /// Answers a beat: what its worker is to stop.
    pub(super) fn beat(&mut self, beat: &Beat) -> Result<Orders, Error> {
        let now = self.now().steady;
        let order = self.registry.beat(beat, now)?;
        if beat.reconnected {
            let named: HashSet<LeaseToken> = beat.leases.iter().map(|lease| lease.token).collect();
            let mut dropped: Vec<LeaseRef> = self.machine.leases_of(&beat.worker);
            dropped.retain(|lease| !named.contains(&lease.token));
            self.release(&dropped)?;
        }
        let mut orders = Orders { order, ..Orders::default() };
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
