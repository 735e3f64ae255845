//! Administrative verbs on one job: the table "verbs × states".

use super::super::rows::Row;
use super::super::{By, Due, Event, Machine, Sink};
use super::enqueue::check_priority;
use super::{check_bytes, number};
use crate::model::{Edit, Error, JobNumber, JobRef, JobState, JobVerb, Limits, Now, Reply, When};

impl JobVerb {
    /// The states it is allowed in, as messages say it.
    const fn needs(&self) -> &'static str {
        match self {
            Self::Promote => "delayed",
            Self::Reschedule(_) => "waiting or delayed",
            Self::Edit(Edit { retry: true, .. }) => "dead where it is also retried",
            Self::Edit(_) => "waiting, delayed, waiting-children or dead",
            Self::Cancel => "waiting, delayed, active, waiting-children or cancelled",
            Self::Retry => "completed, dead or cancelled",
            Self::Remove { .. } => "any state but active, or force",
        }
    }

    /// Whether it is allowed on a job in this state.
    pub(in super::super) fn allows(&self, state: JobState) -> bool {
        use JobState as S;
        match self {
            Self::Promote => state == S::Delayed,
            Self::Reschedule(_) => matches!(state, S::Waiting | S::Delayed),
            Self::Edit(Edit { retry: true, .. }) => state == S::Dead,
            Self::Edit(_) => matches!(state, S::Waiting | S::Delayed | S::WaitingChildren | S::Dead),
            Self::Cancel => !matches!(state, S::Completed | S::Dead),
            Self::Retry => state.is_done(),
            Self::Remove { force } => state != S::Active || *force,
        }
    }
}

impl Machine {
    pub(super) fn job_verb(
        &mut self,
        now: Now,
        by: By<'_>,
        job: &JobRef,
        verb: &JobVerb,
        sink: &mut impl Sink,
    ) -> Result<Reply, Error> {
        check_values(verb)?;
        let found = self.find(job)?;
        let state = self.state_of(found);
        if !verb.allows(state) {
            return Err(Error::state(number(found), state, verb.as_str(), verb.needs()));
        }
        self.carry_out(now, by, found, verb, sink);
        let state = self.rows.get(found).map_or(state, |row| row.state);
        Ok(Reply::Changed { number: number(found), state })
    }

    pub(in super::super) fn state_of(&self, job: u64) -> JobState {
        self.rows.get(job).expect("a job that was found is there").state
    }

    /// Carries out a verb that the job's state allows.
    pub(in super::super) fn carry_out(&mut self, now: Now, by: By<'_>, job: u64, verb: &JobVerb, sink: &mut impl Sink) {
        let row = self.rows.get(job).expect("a job that was found is there");
        let number = JobNumber(job);
        let back = self.queues[row.queue as usize].back;
        match verb {
            JobVerb::Promote => self.emit(now, sink, &Event::Promoted { number, rank: back, by }),
            JobVerb::Reschedule(when) => {
                let due = match *when {
                    When::DelayMs(delay) => Due::Steady(now.steady + delay),
                    When::RunAtMs(at) => Due::Wall(at),
                };
                self.emit(now, sink, &Event::Rescheduled { number, due, by });
            }
            JobVerb::Edit(Edit { payload, priority, retry }) => {
                let priority = priority.map(|priority| priority as i16).filter(|&priority| priority != row.priority);
                let event = Event::Edited { number, priority, rank: back, by, payload: payload.as_deref() };
                if priority.is_some() || payload.is_some() {
                    self.emit(now, sink, &event);
                }
                if *retry {
                    self.retry(now, by, number, sink);
                }
            }
            JobVerb::Cancel => self.cancel(now, by, number, sink),
            JobVerb::Retry => self.retry(now, by, number, sink),
            JobVerb::Remove { .. } => {
                let remember_until = self.remember_until(now, row);
                self.emit(now, sink, &Event::Removed { number, remember_until, by });
            }
        }
    }

    fn retry(&mut self, now: Now, by: By<'_>, number: JobNumber, sink: &mut impl Sink) {
        let row = self.rows.get(number.0).expect("a job that was found is there");
        let (rank, expires_at) = (self.queues[row.queue as usize].back, self.expires_again(now, row));
        self.emit(now, sink, &Event::Retried { number, rank, expires_at, by });
    }

    fn cancel(&mut self, now: Now, by: By<'_>, number: JobNumber, sink: &mut impl Sink) {
        let row = self.rows.get(number.0).expect("a job that was found is there");
        match row.state {
            JobState::Cancelled => {}
            JobState::Active if row.runs().is_some_and(|runs| runs.cancel.is_some()) => {}
            JobState::Active => self.emit(now, sink, &Event::CancelRequested { number, by }),
            _ => self.emit(now, sink, &Event::Cancelled { number, by }),
        }
    }

    /// A job that never started gets its time to be started again.
    fn expires_again(&self, now: Now, row: &Row) -> Option<u64> {
        let started = row.runs().is_some_and(|runs| runs.leased > 0);
        let expires_in = self.policies.get(row.policy).expires_in_ms.filter(|_| !started)?;
        Some(now.steady + expires_in)
    }

    /// Until when the job's id, if it has one, is remembered once it is gone.
    pub(in super::super) fn remember_until(&self, now: Now, row: &Row) -> u64 {
        now.steady + self.queues[row.queue as usize].effective(|s| s.remember_ids_ms, &self.defaults)
    }
}

fn check_values(verb: &JobVerb) -> Result<(), Error> {
    match verb {
        JobVerb::Reschedule(When::DelayMs(delay)) if *delay > Limits::DURATION_MS => {
            Err(Error::bad_arg("delay_ms", delay, "milliseconds from 0 to 315360000000 (10 years)"))
        }
        JobVerb::Reschedule(When::RunAtMs(at)) if *at > Limits::RUN_AT_MS => {
            let allowed = "milliseconds since 1970 as an integer from 0 to 253402300799999 (the end of the year 9999)";
            Err(Error::bad_arg("run_at_ms", at, allowed))
        }
        JobVerb::Edit(Edit { payload: None, priority: None, .. }) => {
            Err(Error::bad_arg("edit", "", "a payload, a priority, or both"))
        }
        JobVerb::Edit(Edit { payload, priority, .. }) => {
            check_bytes("payload", payload.as_ref().map_or(0, bytes::Bytes::len), Limits::PAYLOAD_BYTES)?;
            priority.map_or(Ok(0), check_priority).map(drop)
        }
        _ => Ok(()),
    }
}
