//! Folding an event into the state: what recovery does, and the second half of emitting.
//!
//! Folding copies; it never computes a rule. Invariant: after each fold the job is in exactly one state, in exactly the
//! orders of that state, and the counts say so.

use std::num::NonZeroU64;

use super::Machine;
use super::event::{Blob, Due, Event, NewRow, Next};
use super::happened::Happened;
use super::more::{CancelMark, Failure, LeaseRow, LogChunk, More, Runs};
use super::queue::{Queue, Tree};
use super::rows::{EXPIRED, MOVED, RETURNED, Row, WALL};
use super::tables::{Known, Remembered};
use crate::model::{DeadReason, DelayCause, JobState, LeaseOutcome, LeaseToken};

const THERE: &str = "an event names a job that is there";

/// The `ordinal`-th blob of the record at `position`.
const fn blob(position: u64, ordinal: u64, bytes: &[u8]) -> Blob {
    Blob { position: position + ordinal, length: bytes.len() as u32 }
}

impl Machine {
    /// Folds `event`, whose record stands at `position` and says it happened at steady instant `at`.
    ///
    /// # Panics
    ///
    /// If the event does not fit the state: the journal is not of this store, or the machine is broken.
    pub fn evolve(&mut self, position: u64, at: u64, event: &Event<'_>) {
        let happened = Happened::of(event, &self.rows, at.max(self.steady));
        self.fold(position, at, event, happened.as_ref());
    }

    /// As [`Machine::evolve`], by who knows what the event counts for.
    pub(super) fn fold(&mut self, position: u64, at: u64, event: &Event<'_>, happened: Option<&Happened>) {
        if let Event::Digest { state_hash } = *event {
            // No state of its own, not even an instant: writing it down changes nothing.
            assert_eq!(state_hash, self.state_hash(), "the fold comes to the state that wrote the journal");
            return;
        }
        self.steady = self.steady.max(at);
        if let Some(happened) = happened {
            self.observe(event, happened);
        }
        match event.number() {
            Some(number) => {
                self.count_out(number.0);
                self.fold_job(position, event);
                self.count_in(number.0);
            }
            None => self.fold_store(event),
        }
    }

    /// Takes a row out of what is known of all rows together, before it changes.
    fn count_out(&mut self, number: u64) {
        if let Some(row) = self.rows.get(number) {
            self.rows_digest ^= row.digest(number);
            self.more_bytes -= row.bytes_beside();
        }
    }

    /// Puts a row, as it is now, into what is known of all rows together.
    pub(super) fn count_in(&mut self, number: u64) {
        if let Some(row) = self.rows.get(number) {
            self.rows_digest ^= row.digest(number);
            self.more_bytes += row.bytes_beside();
        }
    }

    fn row(&mut self, number: u64) -> &mut Row {
        self.rows.get_mut(number).expect(THERE)
    }

    fn runs(&mut self, number: u64) -> &mut Runs {
        self.row(number).runs_mut()
    }

    fn fold_store(&mut self, event: &Event<'_>) {
        match *event {
            Event::StoreCreated { key } => {
                self.ids.set_key(key);
                self.key_set = true;
            }
            Event::Started { epoch, wall, removal_from } => {
                self.last_token = self.last_token.max(LeaseToken::at_epoch(epoch));
                self.move_clock(wall, removal_from);
                (0..self.queues.len() as u32).for_each(|queue| self.renew_leases(queue));
            }
            Event::ClockMoved { wall, removal_from } => self.move_clock(wall, removal_from),
            Event::QueueCreated { queue, name } => {
                assert_eq!(queue as usize, self.queues.len(), "queues are numbered in order");
                self.queues.push(Queue::new(name));
                self.queue_names.insert(name.into(), queue);
            }
            Event::NameAdded { name, text } => {
                self.names.insert(name, text.into());
                self.stats.names.named(name, text);
            }
            Event::WorkerAdded { worker, text } => self.workers.insert(worker, text.into()),
            Event::PolicyAdded { policy, value } => self.policies.insert(policy, value),
            Event::IdsForgotten { queue, count } => self.fold_forgotten(queue, count),
            Event::QueueSet { queue, set, ref reset, config, by } => {
                self.fold_settings(queue, set, reset, config, by.actor);
            }
            Event::QueuePaused { queue, by } => {
                self.queues[queue as usize].paused = Some(super::apply::who(by).into());
            }
            Event::QueueResumed { queue, .. } => {
                self.queues[queue as usize].paused = None;
                self.ready.push(queue);
            }
            Event::OperationStarted { .. } | Event::OperationAdvanced { .. } | Event::OperationEnded { .. } => {
                self.fold_operation(event);
            }
            _ => unreachable!("events about a job are folded elsewhere"),
        }
    }

    fn fold_job(&mut self, position: u64, event: &Event<'_>) {
        match *event {
            Event::Enqueued(ref row) => self.fold_enqueued(position, row),
            Event::CameDue { number, rank } => self.wait_at(number.0, rank),
            Event::Promoted { number, rank, .. } => self.wait_at(number.0, rank),
            Event::Leased { number, token, worker, expires_at, forget } => {
                self.fold_leased(number.0, token, worker, expires_at, forget);
            }
            Event::Extended { number, expires_at } => {
                self.leave(number.0);
                let lease_ms = expires_at.saturating_sub(self.steady) as u32;
                let row = self.row(number.0);
                row.at = expires_at;
                row.runs_mut().lease_ms = lease_ms;
                self.enter(number.0, JobState::Active);
            }
            Event::Completed { number, late, result } => {
                self.end_lease(number.0, late, LeaseOutcome::Completed, true);
                self.row(number.0).attempt += 1;
                self.runs(number.0).result = result.map(|bytes| blob(position, 0, bytes));
                self.done(number.0, JobState::Completed, 0);
            }
            Event::Failed { number, late, kind, fingerprint, next, error } => {
                self.end_lease(number.0, late, LeaseOutcome::Failed, true);
                self.row(number.0).attempt += 1;
                let failure = Failure::new(kind, fingerprint, blob(position, 0, error));
                let runs = self.runs(number.0);
                runs.returns = 0;
                runs.last_lease().failure = Some(Box::new(failure));
                self.go(number.0, next, DelayCause::Retry);
            }
            Event::Released { number, late, next, void } => {
                self.end_lease(number.0, late, LeaseOutcome::Released, !void);
                self.runs(number.0).returns += 1;
                self.go(number.0, next, DelayCause::Snooze);
            }
            Event::Snoozed { number, late, next } => {
                self.end_lease(number.0, late, LeaseOutcome::Snoozed, true);
                self.runs(number.0).returns += 1;
                self.go(number.0, next, DelayCause::Snooze);
            }
            Event::LeaseExpired { number, next } => {
                self.end_lease(number.0, false, LeaseOutcome::Expired, false);
                self.row(number.0).stalls += 1;
                self.go(number.0, next, DelayCause::Retry);
                if next == Next::Waiting {
                    self.row(number.0).flags |= EXPIRED;
                }
            }
            Event::Progressed { number, value } => {
                let runs = self.runs(number.0);
                runs.returns = 0;
                let old = runs.progress.replace(blob(position, 0, value));
                self.released.extend(old);
            }
            Event::Logged { number, lines, drop, chunk } => {
                let log = self.rows.get_mut(number.0).expect(THERE).runs_mut().log.get_or_insert_default();
                self.released.extend(log.drop_oldest(drop as usize));
                log.push(LogChunk { lines, blob: blob(position, 0, chunk) });
            }
            Event::Expired { number } => {
                self.leave(number.0);
                self.done(number.0, JobState::Dead, DeadReason::Expired as u8);
            }
            Event::Rescheduled { number, due, .. } => {
                self.leave(number.0);
                self.delay(number.0, due, DelayCause::Scheduled);
            }
            Event::Edited { number, priority, rank, payload, .. } => {
                self.fold_edited(number.0, priority, rank, payload.map(|bytes| blob(position, 0, bytes)));
            }
            Event::CancelRequested { number, by } => {
                let at = self.steady;
                let text = super::apply::who(by).into();
                self.runs(number.0).cancel = Some(Box::new(CancelMark { at, text }));
            }
            Event::Cancelled { number, .. } => {
                self.leave(number.0);
                self.done(number.0, JobState::Cancelled, 0);
            }
            Event::Retried { number, rank, expires_at, .. } => self.fold_retried(number.0, rank, expires_at),
            Event::Removed { number, remember_until, .. } => self.remove(number.0, remember_until, false),
            Event::AgedOut { number, remember_until } => self.remove(number.0, remember_until, true),
            _ => unreachable!("events about the store are folded elsewhere"),
        }
    }

    fn move_clock(&mut self, wall: u64, removal_from: u64) {
        self.offset = wall.cast_signed().wrapping_sub(self.steady.cast_signed());
        self.removal_from = self.removal_from.max(removal_from);
        for queue in 0..self.queues.len() as u32 {
            for tree in [Tree::Completed, Tree::Dead, Tree::Cancelled, Tree::Keep] {
                self.refresh(queue, tree);
            }
        }
    }

    /// Every live lease of a queue has its full length again.
    fn renew_leases(&mut self, queue: u32) {
        let active = std::mem::take(self.queues[queue as usize].tree_mut(Tree::Active));
        let mut renewed: Vec<(u64, u64)> = Vec::with_capacity(active.len());
        for (_, number) in active {
            self.count_out(number);
            let at = self.steady;
            let row = self.row(number);
            row.at = at + u64::from(row.runs_mut().lease_ms);
            renewed.push((row.at, number));
            self.count_in(number);
        }
        *self.queues[queue as usize].tree_mut(Tree::Active) = renewed.into_iter().collect();
        self.refresh(queue, Tree::Active);
    }

    fn fold_enqueued(&mut self, position: u64, new: &NewRow<'_>) {
        let number = new.number.0;
        self.last_number = self.last_number.max(number);
        self.names.retain(new.name);
        self.policies.retain(new.policy);
        let rare = new.id.is_some() || !new.tags.is_empty() || !new.headers.is_empty() || new.expires_at.is_some();
        let more = rare.then(|| {
            Box::new(More {
                id: new.id.map(Into::into),
                tags: new.tags.iter().map(|&tag| tag.into()).collect(),
                headers: (!new.headers.is_empty()).then(|| Box::new(blob(position, 1, new.headers))),
                expires_at: new.expires_at.and_then(NonZeroU64::new),
                runs: None,
            })
        });
        let row = Row {
            payload: blob(position, 0, new.payload),
            name: new.name,
            queue: new.queue,
            policy: new.policy,
            next: 0,
            prev: 0,
            at: self.steady,
            rank: new.rank,
            enqueued_at: self.steady,
            more,
            attempt: 0,
            stalls: 0,
            priority: new.priority,
            state: JobState::Waiting,
            detail: 0,
            flags: 0,
        };
        self.rows.insert(number, row);
        if let Some(id) = new.id {
            self.ids.set(self.ids.digest(new.queue, id), Known { number, gone_until: 0 });
        }
        self.queues[new.queue as usize].counts.enqueued += 1;
        match new.due {
            None => {
                self.claim_rank(new.queue, new.rank);
                self.enter(number, JobState::Waiting);
            }
            Some(due) => self.delay(number, due, DelayCause::Scheduled),
        }
        if let Some(at) = new.expires_at {
            self.order(new.queue, Tree::Unstarted, (at, number), true);
        }
    }

    fn fold_leased(&mut self, number: u64, token: LeaseToken, worker: u32, expires_at: u64, forget: Option<u64>) {
        self.last_token = self.last_token.max(token);
        self.workers.retain(worker);
        self.leave(number);
        self.forget_unstarted(number);
        let leased_at = self.steady;
        let row = self.rows.get_mut(number).expect(THERE);
        row.flags &= !EXPIRED;
        row.at = expires_at;
        let attempt = row.attempt + 1;
        let runs = row.runs_mut();
        runs.token = token.0;
        runs.lease_ms = expires_at.saturating_sub(leased_at) as u32;
        runs.leased += 1;
        let lease = LeaseRow {
            worker,
            lease: runs.leased,
            attempt,
            round: runs.rounds + 1,
            outcome: LeaseOutcome::Running,
            leased_at,
            ended_at: 0,
            failure: None,
        };
        runs.timeline.push(lease);
        if let Some(at) = forget {
            let old = runs.timeline.remove(at as usize);
            self.workers.release(old.worker);
            self.released.extend(old.failure.map(|failure| failure.error));
        }
        self.enter(number, JobState::Active);
    }

    /// Ends the newest lease: the job leaves active, or, where the lease had expired, its old place; that stall is undone.
    /// `settled`: by its token, which is remembered.
    fn end_lease(&mut self, number: u64, late: bool, outcome: LeaseOutcome, settled: bool) {
        self.leave(number);
        let at = self.steady;
        let row = self.rows.get_mut(number).expect(THERE);
        if late {
            row.stalls -= 1;
            row.flags &= !EXPIRED;
        }
        let runs = row.runs_mut();
        let token = LeaseToken(runs.token);
        let lease = runs.last_lease();
        (lease.outcome, lease.ended_at) = (outcome, at);
        if settled {
            self.settled.insert(token, at);
        }
    }

    /// Where the job goes after a lease.
    fn go(&mut self, number: u64, next: Next, cause: DelayCause) {
        match next {
            Next::Waiting => {
                let at = self.steady;
                let row = self.row(number);
                row.flags |= RETURNED;
                row.at = at;
                self.enter(number, JobState::Waiting);
            }
            Next::Delayed(due) => self.delay(number, Due::Steady(due), cause),
            Next::Dead(reason) => self.done(number, JobState::Dead, reason as u8),
            Next::Cancelled => self.done(number, JobState::Cancelled, 0),
        }
    }

    fn delay(&mut self, number: u64, due: Due, cause: DelayCause) {
        let row = self.row(number);
        row.detail = cause as u8;
        (row.at, row.flags) = match due {
            Due::Steady(at) => (at, row.flags & !WALL & !EXPIRED),
            Due::Wall(at) => (at, (row.flags | WALL) & !EXPIRED),
        };
        self.enter(number, JobState::Delayed);
    }

    fn wait_at(&mut self, number: u64, rank: i64) {
        self.leave(number);
        let at = self.steady;
        let row = self.row(number);
        row.rank = rank;
        row.at = at;
        row.flags &= !WALL;
        let queue = row.queue;
        self.claim_rank(queue, rank);
        self.enter(number, JobState::Waiting);
    }

    fn done(&mut self, number: u64, state: JobState, detail: u8) {
        let at = self.steady;
        self.forget_unstarted(number);
        let row = self.row(number);
        row.at = at;
        row.detail = detail;
        row.flags = 0;
        if let Some(runs) = row.more.as_mut().and_then(|more| more.runs.as_mut()) {
            runs.cancel = None;
        }
        self.enter(number, state);
        self.ended.push(number);
    }

    fn fold_edited(&mut self, number: u64, priority: Option<i16>, rank: i64, payload: Option<Blob>) {
        if let Some(payload) = payload {
            let old = std::mem::replace(&mut self.row(number).payload, payload);
            self.released.push(old);
        }
        let Some(priority) = priority else { return };
        let state = self.row(number).state;
        if state == JobState::Waiting {
            self.leave(number);
        }
        let row = self.row(number);
        row.priority = priority;
        if state == JobState::Waiting {
            row.rank = rank;
            row.flags |= MOVED;
            let queue = row.queue;
            self.claim_rank(queue, rank);
            self.enter(number, JobState::Waiting);
        }
    }

    fn fold_retried(&mut self, number: u64, rank: i64, expires_at: Option<u64>) {
        self.leave(number);
        let at = self.steady;
        let row = self.rows.get_mut(number).expect(THERE);
        (row.attempt, row.stalls, row.rank, row.at, row.flags, row.detail) = (0, 0, rank, at, 0, 0);
        let queue = row.queue;
        let runs = row.runs_mut();
        runs.rounds += 1;
        runs.returns = 0;
        self.released.extend(runs.result.take());
        if let Some(at) = expires_at {
            row.more.get_or_insert_default().expires_at = NonZeroU64::new(at);
            self.order(queue, Tree::Unstarted, (at, number), true);
        }
        self.claim_rank(queue, rank);
        self.enter(number, JobState::Waiting);
    }

    /// Takes the job out of the store and lets go of everything it held.
    fn remove(&mut self, number: u64, remember_until: u64, aged_out: bool) {
        self.leave(number);
        self.forget_unstarted(number);
        let row = self.rows.remove(number).expect(THERE);
        self.released.push(row.payload);
        self.names.release(row.name);
        self.policies.release(row.policy);
        let queue = &mut self.queues[row.queue as usize];
        if aged_out {
            queue.counts.aged_out += 1;
            queue.counts.dead_aged_out += u64::from(row.state == JobState::Dead);
        } else {
            queue.counts.removed += 1;
        }
        self.ended.push(number);
        let Some(more) = row.more else { return };
        self.released.extend(more.blobs());
        for lease in more.runs.iter().flat_map(|runs| &runs.timeline) {
            self.workers.release(lease.worker);
        }
        if let Some(id) = &more.id {
            let digest = self.ids.digest(row.queue, id);
            self.ids.set(digest, Known { number, gone_until: remember_until });
            self.queues[row.queue as usize].remembered.push(Remembered { until: remember_until, digest, number });
            self.remembered += 1;
            self.refresh(row.queue, Tree::Ids);
        }
    }

    fn fold_forgotten(&mut self, queue: u32, count: u32) {
        for _ in 0..count {
            let old = self.queues[queue as usize].remembered.pop().expect("a forgotten id was remembered");
            self.remembered -= 1;
            // The same id may have been enqueued anew since.
            if self.ids.get(old.digest).is_some_and(|known| known.number == old.number) {
                self.ids.remove(old.digest);
            }
        }
        self.refresh(queue, Tree::Ids);
    }

    fn fold_settings(&mut self, queue: u32, set: &str, reset: &[&str], config: Option<&str>, actor: &str) {
        let expect = "settings in the journal are the model's";
        let actor = config.map_or(actor, |_| super::apply::CONFIG);
        let entry = &mut self.queues[queue as usize];
        let mut merged = serde_json::to_value(&entry.settings).expect(expect);
        let merged_map = merged.as_object_mut().expect(expect);
        let new: serde_json::Map<String, serde_json::Value> = serde_json::from_str(set).expect(expect);
        for (field, value) in new {
            entry.set_by.insert(field.clone(), actor.to_owned());
            merged_map.insert(field, value);
        }
        for &field in reset {
            entry.set_by.remove(field);
            merged_map.remove(field);
        }
        let config = config.map(|config| serde_json::from_str(config).expect(expect));
        let config = config.unwrap_or_else(|| entry.config.clone());
        entry.set(serde_json::from_value(merged).expect(expect), config);
        for tree in Tree::ALL {
            self.refresh(queue, tree);
        }
    }
}
