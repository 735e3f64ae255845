//! What time alone does in the naive model: due times, expiries, retention, starts, clock jumps.

use queue_core::model::{DeadReason, JobState, LeaseOutcome, Now};

use super::{Due, HOUR_MS, Job, Model};

/// What time alone does to a job; at one instant in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Due,
    LeaseEnd,
    Death,
    Age,
}

impl Model {
    /// Does everything that is due as of `now`, one thing after the other, and every bulk operation.
    pub(crate) fn elapse(&mut self, now: Now) {
        self.now = now;
        loop {
            while let Some((_, _, what, _, number)) = self.next_due() {
                self.come_due(what, number);
            }
            if self.operations.is_empty() {
                return;
            }
            let (verb, filter, last_token) = self.operations.remove(0);
            self.operate(verb, &filter, last_token);
        }
    }

    /// The first thing due: (class, when, what, queue, job). Wall times come after the steady ones, ageing after both.
    fn next_due(&self) -> Option<(u8, u64, What, usize, u64)> {
        let mut due = Vec::new();
        for (&number, job) in &self.jobs {
            let queue = self.queues[&job.queue].index;
            match (job.state, job.due) {
                (JobState::Delayed, Some((Due::Steady(at), _))) => due.push((0, at, What::Due, queue, number)),
                (JobState::Delayed, Some((Due::Wall(at), _))) => due.push((1, at, What::Due, queue, number)),
                (JobState::Active, _) => due.push((0, job.lease_until, What::LeaseEnd, queue, number)),
                _ => {}
            }
            due.extend(job.dies_at.map(|at| (0, at, What::Death, queue, number)));
            due.extend(self.ages_out(number, job).map(|at| (2, at, What::Age, queue, number)));
        }
        let now = [self.now.steady, self.now.wall, self.now.steady];
        due.retain(|&(class, at, ..)| at <= now[usize::from(class)]);
        due.into_iter().min()
    }

    /// When a done job goes: at once if it is one too many, else when it is too old.
    fn ages_out(&self, number: u64, job: &Job) -> Option<u64> {
        let queue = &self.queues[&job.queue];
        let own = job.new.options.keep_ms.filter(|_| job.state == JobState::Completed);
        let (count, age) = match job.state {
            JobState::Completed => (queue.setting(|s| s.keep_completed), queue.setting(|s| s.keep_completed_ms)),
            JobState::Cancelled => (queue.setting(|s| s.keep_cancelled), queue.setting(|s| s.keep_cancelled_ms)),
            JobState::Dead => (u64::MAX, queue.setting(|s| s.keep_dead_ms)),
            _ => return None,
        };
        let later = |other: &&Job| other.queue == job.queue && other.state == job.state;
        let counted = |other: &&Job| job.state != JobState::Completed || other.new.options.keep_ms.is_none();
        let beside: Vec<_> = self.jobs.iter().filter(|(_, other)| later(other) && counted(other)).collect();
        let newer = beside.iter().filter(|(other, at)| (at.done_at, **other) > (job.done_at, number)).count();
        if own.is_none() && newer as u64 >= count {
            return Some(0);
        }
        let at = match own {
            Some(own) => job.done_at + own,
            None if age == 0 => return None,
            None => job.done_at + age,
        };
        Some(at.max(self.removal_from))
    }

    fn come_due(&mut self, what: What, number: u64) {
        let now = self.now.steady;
        let job = self.jobs.get_mut(&number).expect("it is due");
        let queue = self.queues.get_mut(&job.queue).expect("a job has a queue");
        match what {
            What::Due => job.wait_at(queue.next_back()),
            What::Death => job.end(now, JobState::Dead, Some(DeadReason::Expired)),
            What::Age => self.remove(number, true),
            What::LeaseEnd => {
                job.leases.last_mut().expect("it was leased").3 = LeaseOutcome::Expired;
                job.stalls += 1;
                match () {
                    () if job.cancel_at.is_some() => job.end(now, JobState::Cancelled, None),
                    () if u64::from(job.stalls) > queue.setting(|s| s.stalls) => {
                        job.end(now, JobState::Dead, Some(DeadReason::Poison));
                    }
                    () => (job.state, job.may_be_late) = (JobState::Waiting, true),
                }
            }
        }
    }

    /// The broker started again: every live lease has its full length.
    pub(crate) fn start(&mut self, now: Now, held: bool) {
        self.moved(now, held);
        let epoch = (self.last_token >> 32) + 1;
        self.last_token = self.last_token.max(epoch.max(now.wall / 1_000) << 32);
        for job in self.jobs.values_mut().filter(|job| job.state == JobState::Active) {
            job.lease_until = now.steady + job.lease_ms;
        }
    }

    /// The wall clock jumped; `held`: by so much that removal by age waits an hour.
    pub(crate) fn moved(&mut self, now: Now, held: bool) {
        self.now = now;
        self.offset = now.wall.cast_signed() - now.steady.cast_signed();
        if held {
            self.removal_from = self.removal_from.max(now.steady + HOUR_MS);
        }
    }
}
