//! The table "verbs × states" as the naive model knows it, on one job and on many.

use queue_core::model::{
    BulkVerb, DelayCause, Edit, JobFilter, JobNumber, JobRef, JobState, JobVerb, Reply, When, Word,
};

use super::{Answer, Due, Job, Model};

impl Model {
    fn find(&self, job: &JobRef) -> Result<u64, Word> {
        let live = |queue: &String, id: &String| {
            let known = self.ids.get(&(queue.clone(), id.clone()));
            known.filter(|(_, gone)| gone.is_none()).map(|&(number, _)| number)
        };
        match job {
            JobRef::Number(number) => self.jobs.contains_key(&number.0).then_some(number.0).ok_or(Word::NoJob),
            JobRef::Id { queue: Some(queue), .. } if !self.queues.contains_key(queue) => Err(Word::NoQueue),
            JobRef::Id { queue: Some(queue), id } => live(queue, id).ok_or(Word::NoJob),
            JobRef::Id { queue: None, id } => {
                let found: Vec<_> = self.queues.keys().filter_map(|queue| live(queue, id)).collect();
                match found[..] {
                    [] => Err(Word::NoJob),
                    [number] => Ok(number),
                    _ => Err(Word::BadArg),
                }
            }
        }
    }

    pub(super) fn verb(&mut self, job: &JobRef, verb: &JobVerb) -> Answer {
        let number = self.find(job)?;
        let before = self.jobs[&number].state;
        if !allowed(verb, before) {
            return Err(Word::State);
        }
        self.carry_out(number, verb);
        let state = self.jobs.get(&number).map_or(before, |job| job.state);
        Ok(Reply::Changed { number: JobNumber(number), state })
    }

    fn carry_out(&mut self, number: u64, verb: &JobVerb) {
        let now = self.now.steady;
        let job = self.jobs.get_mut(&number).expect("it was found");
        let queue = self.queues.get_mut(&job.queue).expect("a job has a queue");
        match verb {
            JobVerb::Promote => job.wait_at(queue.next_back()),
            JobVerb::Reschedule(When::DelayMs(ms)) => job.delay(Due::Steady(now + ms), DelayCause::Scheduled),
            JobVerb::Reschedule(When::RunAtMs(at)) => job.delay(Due::Wall(*at), DelayCause::Scheduled),
            JobVerb::Edit(Edit { payload, priority, retry }) => {
                if let Some(payload) = payload {
                    job.payload = payload.to_vec();
                }
                if let Some(priority) = priority.filter(|&priority| priority != job.priority) {
                    job.priority = priority;
                    if job.state == JobState::Waiting {
                        job.place = queue.next_back();
                    }
                }
                if *retry {
                    self.carry_out(number, &JobVerb::Retry);
                }
            }
            JobVerb::Cancel => match job.state {
                JobState::Cancelled => {}
                JobState::Active => job.cancel_at = job.cancel_at.or(Some(now)),
                _ => job.end(now, JobState::Cancelled, None),
            },
            JobVerb::Retry => {
                (job.attempt, job.stalls, job.round, job.result) = (0, 0, job.round + 1, None);
                job.dies_at = job.expires_in.filter(|_| job.leases.is_empty()).map(|ms| now + ms);
                job.wait_at(queue.next_back());
            }
            JobVerb::Remove { .. } => self.remove(number, false),
        }
    }

    pub(super) fn remove(&mut self, number: u64, aged_out: bool) {
        let job = self.jobs.remove(&number).expect("it was found");
        let queue = self.queues.get_mut(&job.queue).expect("a job has a queue");
        match aged_out {
            true => queue.counts.aged_out += 1,
            false => queue.counts.removed += 1,
        }
        if aged_out && job.state == JobState::Dead {
            queue.counts.dead_aged_out += 1;
        }
        if let Some(id) = &job.new.options.id {
            let until = self.now.steady + queue.setting(|s| s.remember_ids_ms);
            self.ids.insert((job.queue, id.clone()), (number, Some(until)));
        }
    }

    pub(super) fn operate(&mut self, verb: BulkVerb, filter: &JobFilter, last_token: u64) {
        let verb = match verb {
            BulkVerb::Promote => JobVerb::Promote,
            BulkVerb::Cancel => JobVerb::Cancel,
            BulkVerb::Retry => JobVerb::Retry,
            BulkVerb::Remove => JobVerb::Remove { force: false },
        };
        // A job that was leased since came back from work, where the operation may have sent it.
        let sends = matches!(verb, JobVerb::Promote | JobVerb::Retry);
        let matches = |number: u64, job: &Job| {
            filter.queue.as_ref().is_none_or(|queue| *queue == job.queue)
                && (filter.states.is_empty() || filter.states.contains(&job.state))
                && filter.up_to.is_none_or(|up_to| number <= up_to.0)
                && allowed(&verb, job.state)
                && !(sends && job.leases.last().is_some_and(|lease| lease.0.0 > last_token))
        };
        let mut meant: Vec<_> = self.jobs.iter().filter(|&(&number, job)| matches(number, job)).collect();
        // What is done is listed from the latest back, and sent on its way again as it came.
        meant.sort_by_key(|&(&number, job)| {
            let done = job.state.is_done().then_some((job.done_at, number));
            (job.queue.clone(), job.state, done, self.place_in_list(number))
        });
        let meant: Vec<_> = meant.into_iter().map(|(&number, _)| number).collect();
        for number in meant {
            self.carry_out(number, &verb);
        }
    }
}

fn allowed(verb: &JobVerb, state: JobState) -> bool {
    use JobState::{Active, Cancelled, Completed, Dead, Delayed, Waiting};
    match verb {
        JobVerb::Promote => state == Delayed,
        JobVerb::Reschedule(_) => [Waiting, Delayed].contains(&state),
        JobVerb::Edit(Edit { retry: true, .. }) => state == Dead,
        JobVerb::Edit(_) => [Waiting, Delayed, Dead].contains(&state),
        JobVerb::Cancel => [Waiting, Delayed, Active, Cancelled].contains(&state),
        JobVerb::Retry => [Completed, Dead, Cancelled].contains(&state),
        JobVerb::Remove { force } => *force || state != Active,
    }
}
