//! Whether an event can be about this state at all: a look before a fold that may break.
//!
//! For what goes on behind a hole in the log. It looks at what an event names, and no further: the fold's own doubts are the
//! last word. Invariant: an event that folds in a log without holes passes.

use super::{Event, Machine};

impl Machine {
    /// Whether what the event names is there, or is not there where it begins with this event, and whether a job whose
    /// lease it ends has ever been leased. Changes nothing, and takes no longer for a large state.
    pub fn may_fit(&self, event: &Event<'_>) -> bool {
        let has_queue = |queue: u32| (queue as usize) < self.queues.len();
        match *event {
            Event::QueueCreated { queue, .. } => queue as usize == self.queues.len(),
            Event::NameAdded { name, .. } => !self.names.has(name) && name as usize <= self.names.places(),
            Event::WorkerAdded { worker, .. } => !self.workers.has(worker) && worker as usize <= self.workers.places(),
            Event::PolicyAdded { policy, .. } => {
                !self.policies.has(policy) && policy as usize <= self.policies.places()
            }
            Event::Enqueued(ref row) => {
                let named = self.names.has(row.name) && self.policies.has(row.policy);
                has_queue(row.queue) && named && self.rows.get(row.number.0).is_none()
            }
            Event::Leased { number, worker, .. } => self.rows.get(number.0).is_some() && self.workers.has(worker),
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
}
