//! The naive model of a store: maps and full scans, written to be obviously right, never to be fast.
//!
//! It knows what `Machine` promises, not how it does it. Whatever it can't know (the clock after a restart) is told to
//! it. Instants are steady milliseconds but where a field says wall.

mod time;
mod verbs;
mod work;

use std::collections::BTreeMap;

use queue_core::model::{
    Backoff, BackoffKind, BulkVerb, Command, DeadReason, DelayCause, JobFilter, JobNumber, JobState, LeaseOutcome,
    LeaseToken, NewJob, Now, QueueCounts, QueueSettings, Reply, Word,
};

pub(crate) const HOUR_MS: u64 = 3_600_000;
pub(crate) const DAY_MS: u64 = 24 * HOUR_MS;

/// When a delayed job is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Steady(u64),
    Wall(u64),
}

/// A job as the model knows it.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) new: NewJob,
    pub(crate) queue: String,
    pub(crate) state: JobState,
    pub(crate) due: Option<(Due, DelayCause)>,
    pub(crate) reason: Option<DeadReason>,
    pub(crate) priority: i64,
    /// Its place within its priority; kept under a lease.
    place: i64,
    pub(crate) attempts: u32,
    backoff: Backoff,
    expires_in: Option<u64>,
    pub(crate) attempt: u32,
    pub(crate) stalls: u32,
    pub(crate) round: u32,
    pub(crate) leases: Vec<(LeaseToken, u32, u32, LeaseOutcome)>,
    pub(crate) lease_until: u64,
    /// The length that its lease was last given.
    pub(crate) lease_ms: u64,
    /// Its last lease expired, and nobody but its holder touched it since.
    may_be_late: bool,
    pub(crate) done_at: u64,
    pub(crate) dies_at: Option<u64>,
    pub(crate) cancel_at: Option<u64>,
    enqueued_at: u64,
    pub(crate) payload: Vec<u8>,
    pub(crate) progress: Option<Vec<u8>>,
    pub(crate) log_lines: u32,
    pub(crate) result: Option<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    /// Its position among all queues, by creation.
    index: usize,
    pub(crate) counts: QueueCounts,
    settings: QueueSettings,
    paused: bool,
    back: i64,
    front: i64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) now: Now,
    /// Wall minus steady.
    pub(crate) offset: i64,
    pub(crate) removal_from: u64,
    pub(crate) jobs: BTreeMap<u64, Job>,
    pub(crate) queues: BTreeMap<String, Queue>,
    /// By queue and id: the number, and until when it is remembered once the job is gone.
    ids: BTreeMap<(String, String), (u64, Option<u64>)>,
    last_number: u64,
    pub(crate) last_token: u64,
    pub(crate) settled: BTreeMap<LeaseToken, u64>,
    /// With the newest token when each began.
    operations: Vec<(BulkVerb, JobFilter, u64)>,
    operations_started: u64,
}

pub(crate) type Answer = Result<Reply, Word>;

impl Queue {
    fn setting<T>(&self, field: impl Fn(&QueueSettings) -> Option<T>) -> T {
        field(&self.settings).or_else(|| field(&QueueSettings::defaults())).expect("the defaults set every field")
    }

    fn next_back(&mut self) -> i64 {
        self.back += 1;
        self.back
    }

    fn next_front(&mut self) -> i64 {
        self.front -= 1;
        self.front
    }
}

impl Job {
    fn holds(&self, token: LeaseToken) -> bool {
        self.leases.last().is_some_and(|lease| lease.0 == token)
    }

    fn active_under(&self, token: LeaseToken) -> bool {
        self.state == JobState::Active && self.holds(token)
    }

    fn pause_ms(&self, attempt: u32) -> u64 {
        assert_eq!(self.backoff.jitter_percent, 0, "the model draws no chance");
        let delay = u128::from(self.backoff.delay_ms);
        match self.backoff.kind {
            BackoffKind::Fixed => self.backoff.delay_ms,
            BackoffKind::Exponential => (delay << (attempt - 1).min(60)).min(u128::from(self.backoff.max_ms)) as u64,
        }
    }
}

impl Model {
    pub(crate) fn apply(&mut self, now: Now, command: &Command) -> Answer {
        self.now = now;
        match command {
            Command::Enqueue { queue, jobs } => self.enqueue(queue, jobs),
            Command::Lease(order) => Ok(Reply::Leased(self.lease(order))),
            Command::Settle { settlements, then_lease } => {
                let settled = settlements.iter().map(|one| self.settle(one)).collect();
                let leased = then_lease.as_ref().map_or(Vec::new(), |order| self.lease(order));
                Ok(Reply::Settled { settled, leased })
            }
            Command::Extend { leases, lease_ms } => {
                Ok(Reply::Extended(leases.iter().map(|&lease| self.extend(lease, *lease_ms)).collect()))
            }
            Command::Progress { lease, value } => {
                let job = self.jobs.get_mut(&lease.number.0).filter(|job| job.active_under(lease.token));
                job.ok_or(Word::Stale)?.progress = Some(value.to_vec());
                Ok(Reply::Done)
            }
            Command::Log { lease, lines } => {
                let job = self.jobs.get_mut(&lease.number.0).filter(|job| job.active_under(lease.token));
                job.ok_or(Word::Stale)?.log_lines += lines.len() as u32;
                Ok(Reply::Done)
            }
            Command::Job { job, verb } => self.verb(job, verb),
            Command::SetQueue { queue, patch } => {
                let mut merged = merge(&self.queue(queue).settings, &patch.set);
                for field in &patch.reset {
                    match field.as_str() {
                        "lease_ms" => merged.lease_ms = None,
                        "keep_completed" => merged.keep_completed = None,
                        other => panic!("the model cannot give {other} back"),
                    }
                }
                self.queue(queue).settings = merged;
                Ok(Reply::Done)
            }
            Command::Pause { queue } | Command::Resume { queue } => {
                let pause = matches!(command, Command::Pause { .. });
                self.queues.get_mut(queue).ok_or(Word::NoQueue)?.paused = pause;
                Ok(Reply::Done)
            }
            Command::StartOperation { verb, filter } => {
                if filter.queue.as_ref().is_some_and(|queue| !self.queues.contains_key(queue)) {
                    return Err(Word::NoQueue);
                }
                self.operations_started += 1;
                let filter = JobFilter { up_to: Some(JobNumber(self.last_number)), ..filter.clone() };
                self.operations.push((*verb, filter, self.last_token));
                Ok(Reply::Done)
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn queue(&mut self, name: &str) -> &mut Queue {
        let index = self.queues.len();
        self.queues.entry(name.to_owned()).or_insert_with(|| Queue { index, ..Queue::default() })
    }

    /// Waiting jobs of a queue in serving order.
    pub(crate) fn waiting(&self, queue: &str) -> Vec<u64> {
        let of_queue = self.jobs.iter().filter(|(_, job)| job.queue == queue && job.state == JobState::Waiting);
        let mut waiting: Vec<_> = of_queue.map(|(&number, job)| (-job.priority, job.place, number)).collect();
        waiting.sort();
        waiting.into_iter().map(|(_, _, number)| number).collect()
    }

    /// By what its state's list is ordered.
    pub(crate) fn place_in_list(&self, number: u64) -> (i64, i64, u64) {
        let job = &self.jobs[&number];
        match (job.state, job.due) {
            (JobState::Waiting, _) => (-job.priority, job.place, number),
            (JobState::Delayed, Some((Due::Steady(at), _))) => (0, at as i64 + self.offset, number),
            (JobState::Delayed, Some((Due::Wall(at), _))) => (0, at as i64, number),
            (JobState::Active, _) => (0, job.lease_until as i64, number),
            // The latest first.
            _ => (0, -(job.done_at as i64), u64::MAX - number),
        }
    }

    /// What the counts of a queue must be.
    pub(crate) fn counts(&self, queue: &str) -> QueueCounts {
        let mut counts = self.queues[queue].counts;
        for job in self.jobs.values().filter(|job| job.queue == queue) {
            *counts.of_mut(job.state) += 1;
            counts.retrying += u64::from(
                job.state == JobState::Delayed && job.due.is_some_and(|(_, cause)| cause == DelayCause::Retry),
            );
        }
        counts
    }
}

impl Job {
    fn end(&mut self, now: u64, state: JobState, reason: Option<DeadReason>) {
        (self.state, self.reason, self.done_at) = (state, reason, now);
        (self.dies_at, self.cancel_at, self.due, self.may_be_late) = (None, None, None, false);
    }

    fn delay(&mut self, due: Due, cause: DelayCause) {
        (self.state, self.due, self.may_be_late) = (JobState::Delayed, Some((due, cause)), false);
    }

    fn wait_at(&mut self, place: i64) {
        (self.state, self.place, self.due, self.reason) = (JobState::Waiting, place, None, None);
    }
}

fn merge(old: &QueueSettings, new: &QueueSettings) -> QueueSettings {
    QueueSettings {
        attempts: new.attempts.or(old.attempts),
        backoff: new.backoff.or(old.backoff),
        timeout_ms: new.timeout_ms.or(old.timeout_ms),
        expires_in_ms: new.expires_in_ms.or(old.expires_in_ms),
        lease_ms: new.lease_ms.or(old.lease_ms),
        stalls: new.stalls.or(old.stalls),
        keep_completed: new.keep_completed.or(old.keep_completed),
        keep_completed_ms: new.keep_completed_ms.or(old.keep_completed_ms),
        keep_cancelled: new.keep_cancelled.or(old.keep_cancelled),
        keep_cancelled_ms: new.keep_cancelled_ms.or(old.keep_cancelled_ms),
        keep_dead_ms: new.keep_dead_ms.or(old.keep_dead_ms),
        remember_ids_ms: new.remember_ids_ms.or(old.remember_ids_ms),
    }
}
