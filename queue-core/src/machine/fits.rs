//! Whether an event can be about this state at all: a look before a fold that may break.
//!
//! For what goes on behind a hole in the log. It looks at what an event names, and no further: the fold's own doubts are the
//! last word. What interned numbers stand for is for whoever reads the log to tell. Invariant: an event that folds in a
//! log without holes passes.

use super::event::Policy;
use super::tables::Interned;
use super::{Event, Machine};
use crate::model::{JobNumber, Limits};

impl Machine {
    /// Whether the jobs and queues that the event names are there, or are not there where they begin with this event, and
    /// whether a job whose lease it ends has ever been leased. Changes nothing, and takes no longer for a large state.
    pub fn may_fit(&self, event: &Event<'_>) -> bool {
        let has_queue = |queue: u32| (queue as usize) < self.queues.len();
        match *event {
            Event::QueueCreated { queue, .. } => queue as usize == self.queues.len(),
            Event::Enqueued(ref row) => has_queue(row.queue) && self.rows.get(row.number.0).is_none(),
            Event::Completed { number, .. }
            | Event::Failed { number, .. }
            | Event::Released { number, .. }
            | Event::Snoozed { number, .. }
            | Event::LeaseExpired { number, .. } => self.was_leased(number.0),
            _ => {
                event.number().is_none_or(|number| self.rows.get(number.0).is_some())
                    && event.queue().is_none_or(has_queue)
            }
        }
    }

    fn was_leased(&self, number: u64) -> bool {
        let runs = self.rows.get(number).and_then(|row| row.runs());
        runs.is_some_and(|runs| !runs.timeline.is_empty())
    }

    /// The names of jobs, by the numbers that they have in this state.
    pub(crate) const fn names(&self) -> &Interned<Box<str>> {
        &self.names
    }

    /// The names of workers, likewise.
    pub(crate) const fn workers(&self) -> &Interned<Box<str>> {
        &self.workers
    }

    /// The policies, likewise.
    pub(crate) const fn policies(&self) -> &Interned<Policy> {
        &self.policies
    }

    /// The names of queues, in the order of their numbers.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &str> {
        self.queues.iter().map(|queue| &*queue.name)
    }

    /// The policy of a job that is there.
    pub(crate) fn policy_of(&self, number: u64) -> Option<&Policy> {
        Some(self.policies.get(self.rows.get(number)?.policy))
    }

    /// The workers of a job's leases before this instant, so far as its timeline never lets them go.
    pub(crate) fn lasting_workers_of(&self, number: u64, before: u64) -> impl Iterator<Item = &str> {
        let runs = self.rows.get(number).and_then(|row| row.runs());
        let leases = runs.into_iter().flat_map(|runs| runs.timeline.iter().take(Limits::TIMELINE_FIRST));
        leases.filter(move |lease| lease.leased_at < before).map(|lease| &**self.workers.get(lease.worker))
    }

    /// The highest number that a job was given.
    pub(crate) const fn last_number(&self) -> JobNumber {
        JobNumber(self.last_number)
    }
}
