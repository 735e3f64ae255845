//! What producers and workers ask of the naive model: enqueue, lease, settle, extend.

use queue_core::model::{
    Added, DeadReason, DelayCause, Enqueued, Extension, JobNumber, JobState, LeaseOrder, LeaseOutcome, LeaseRef,
    LeaseToken, LeasedJob, NewJob, Outcome, Reply, Settled, Settlement, Word,
};

use super::{Answer, Due, Job, Model};

impl Model {
    pub(super) fn enqueue(&mut self, queue: &str, jobs: &[NewJob]) -> Answer {
        if jobs.iter().any(|job| job.options.priority.is_some_and(|priority| priority.abs() > 1_000)) {
            return Err(Word::BadArg);
        }
        Ok(Reply::Enqueued(jobs.iter().map(|job| self.enqueue_one(queue, job)).collect()))
    }

    fn enqueue_one(&mut self, queue: &str, new: &NewJob) -> Enqueued {
        let id = new.options.id.as_ref().map(|id| (queue.to_owned(), id.clone()));
        match id.as_ref().and_then(|id| self.ids.get(id)) {
            Some(&(number, None)) => return Enqueued { number: JobNumber(number), added: Added::Existing },
            Some(&(number, Some(until))) if until > self.now.steady => {
                return Enqueued { number: JobNumber(number), added: Added::ExistingGone };
            }
            _ => {}
        }
        self.last_number += 1;
        let (number, now, options) = (self.last_number, self.now, &new.options);
        if let Some(id) = id {
            self.ids.insert(id, (number, None));
        }
        let due = match (options.delay_ms, options.run_at_ms) {
            (Some(delay), _) if delay > 0 => Some(Due::Steady(now.steady + delay)),
            (_, Some(at)) if at > now.wall => Some(Due::Wall(at)),
            _ => None,
        };
        let of = self.queue(queue);
        of.counts.enqueued += 1;
        let expires_in = options.expires_in_ms.unwrap_or_else(|| of.setting(|s| s.expires_in_ms));
        let expires_in = Some(expires_in).filter(|&ms| ms > 0);
        let place = match due {
            Some(_) => 0,
            None if options.lifo => of.next_front(),
            None => of.next_back(),
        };
        let job = Job {
            new: new.clone(),
            queue: queue.to_owned(),
            state: if due.is_some() { JobState::Delayed } else { JobState::Waiting },
            due: due.map(|due| (due, DelayCause::Scheduled)),
            reason: None,
            priority: options.priority.unwrap_or(0),
            place,
            attempts: options.attempts.unwrap_or_else(|| of.setting(|s| s.attempts)) as u32,
            backoff: options.backoff.unwrap_or_else(|| of.setting(|s| s.backoff)),
            expires_in,
            attempt: 0,
            stalls: 0,
            round: 1,
            leases: Vec::new(),
            lease_until: 0,
            lease_ms: 0,
            may_be_late: false,
            done_at: 0,
            dies_at: expires_in.map(|ms| now.steady + ms),
            cancel_at: None,
            enqueued_at: now.steady,
            payload: new.payload.to_vec(),
            progress: None,
            log_lines: 0,
            result: None,
        };
        self.jobs.insert(number, job);
        Enqueued { number: JobNumber(number), added: Added::Created }
    }

    pub(super) fn lease(&mut self, order: &LeaseOrder) -> Vec<LeasedJob> {
        let mut leased = Vec::new();
        for name in &order.queues {
            let Some(queue) = self.queues.get(name).filter(|queue| !queue.paused) else { continue };
            let lease_ms = order.lease_ms.unwrap_or_else(|| queue.setting(|s| s.lease_ms));
            let waiting = self.waiting(name);
            for number in waiting.into_iter().take(order.limit as usize - leased.len()) {
                leased.push(self.hand_out(number, lease_ms));
            }
        }
        leased
    }

    fn hand_out(&mut self, number: u64, lease_ms: u64) -> LeasedJob {
        self.last_token += 1;
        let (token, now, offset) = (LeaseToken(self.last_token), self.now.steady, self.offset);
        let job = self.jobs.get_mut(&number).expect("a waiting job is there");
        job.state = JobState::Active;
        job.leases.push((token, job.attempt + 1, job.round, LeaseOutcome::Running));
        (job.lease_until, job.lease_ms) = (now + lease_ms, lease_ms);
        (job.dies_at, job.may_be_late) = (None, false);
        LeasedJob {
            number: JobNumber(number),
            token,
            queue: job.queue.clone(),
            name: job.new.name.clone(),
            id: job.new.options.id.clone(),
            attempt: job.attempt + 1,
            attempts: job.attempts,
            lease_ms,
            timeout_ms: Some(1_800_000),
            enqueued_at_ms: job.enqueued_at.saturating_add_signed(offset),
            headers: job.new.options.headers.clone(),
            payload: job.payload.clone().into(),
        }
    }

    pub(super) fn settle(&mut self, settlement: &Settlement) -> Result<Settled, queue_core::model::Error> {
        let LeaseRef { number, token } = settlement.lease;
        let now = self.now.steady;
        let may_have_held = match self.jobs.get(&number.0) {
            Some(job) => job.leases.last().is_some_and(|newest| token <= newest.0),
            None => number.0 <= self.last_number,
        };
        let known = self.settled.contains_key(&token) && may_have_held;
        let job = self.jobs.get_mut(&number.0);
        let late = |job: &Job| job.state == JobState::Waiting && job.may_be_late && job.holds(token);
        let Some(job) = job.filter(|job| job.active_under(token) || late(job)) else {
            let stale = queue_core::model::Error::new(Word::Stale, "");
            return if known { Ok(Settled::Already) } else { Err(stale) };
        };
        if job.state == JobState::Waiting {
            // The stall is undone.
            job.stalls -= 1;
        }
        job.may_be_late = false;
        self.settled.insert(token, now);
        let cancelled = job.cancel_at.is_some();
        let lease = job.leases.last_mut().expect("it was leased");
        match &settlement.outcome {
            Outcome::Complete { result } => {
                lease.3 = LeaseOutcome::Completed;
                job.attempt += 1;
                job.result = result.as_ref().map(|bytes| bytes.to_vec());
                job.end(now, JobState::Completed, None);
            }
            Outcome::Fail { retryable, .. } => {
                lease.3 = LeaseOutcome::Failed;
                job.attempt += 1;
                match () {
                    () if cancelled => job.end(now, JobState::Cancelled, None),
                    () if !retryable => job.end(now, JobState::Dead, Some(DeadReason::Rejected)),
                    () if job.attempt >= job.attempts => job.end(now, JobState::Dead, Some(DeadReason::Exhausted)),
                    () => job.delay(Due::Steady(now + job.pause_ms(job.attempt)), DelayCause::Retry),
                }
            }
            Outcome::Release | Outcome::Snooze { .. } if cancelled => {
                lease.3 = returned(&settlement.outcome);
                job.end(now, JobState::Cancelled, None);
            }
            Outcome::Release => {
                lease.3 = LeaseOutcome::Released;
                job.state = JobState::Waiting;
            }
            Outcome::Snooze { delay_ms } => {
                lease.3 = LeaseOutcome::Snoozed;
                let pause = delay_ms.unwrap_or_else(|| job.pause_ms(job.attempt + 1));
                job.delay(Due::Steady(now + pause), DelayCause::Snooze);
            }
        }
        Ok(Settled::Counted)
    }

    pub(super) fn extend(&mut self, lease: LeaseRef, lease_ms: Option<u64>) -> Extension {
        let now = self.now.steady;
        let Some(job) = self.jobs.get_mut(&lease.number.0).filter(|job| job.active_under(lease.token)) else {
            return Extension::Lost;
        };
        let lease_ms = lease_ms.unwrap_or_else(|| self.queues[&job.queue].setting(|s| s.lease_ms));
        if job.cancel_at.is_none_or(|at| now < at + 60_000) {
            job.lease_until = job.lease_until.max(now + lease_ms);
            job.lease_ms = job.lease_until - now;
        }
        match job.cancel_at {
            Some(_) => Extension::Cancel { reason: String::new() },
            None => Extension::Extended { lease_ms },
        }
    }
}

fn returned(outcome: &Outcome) -> LeaseOutcome {
    match outcome {
        Outcome::Release => LeaseOutcome::Released,
        _ => LeaseOutcome::Snoozed,
    }
}
