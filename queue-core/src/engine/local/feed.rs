//! Journal records as events for people and programs.
//!
//! Leaves out what is bookkeeping between machine and journal (interned names, forgotten ids).

use serde_json::{Map, Value};

use crate::machine::{Due, Event, Machine, NewRow, Next, decode, is_told, kind_of};
use crate::model::{EventRecord, JobNumber};

/// Every kind of event that is told, as the feed and `journal dump` name them.
pub const EVENT_KINDS: &[&str] = &[
    "started",
    "clock-moved",
    "queue-created",
    "queue-set",
    "queue-paused",
    "queue-resumed",
    "enqueued",
    "came-due",
    "leased",
    "extended",
    "completed",
    "failed",
    "released",
    "snoozed",
    "lease-expired",
    "progressed",
    "logged",
    "expired",
    "promoted",
    "rescheduled",
    "edited",
    "cancel-requested",
    "cancelled",
    "retried",
    "removed",
    "aged-out",
    "operation-started",
    "operation-advanced",
    "operation-ended",
];

/// An event that was read and has not got its names yet.
#[derive(Debug)]
pub(super) struct Draft {
    position: u64,
    at: u64,
    event: String,
    number: Option<JobNumber>,
    /// The queue's number, where the record has it.
    queue: Option<u32>,
    detail: Map<String, Value>,
}

impl Draft {
    /// The event of a record, or `None` for bookkeeping and for kinds of later versions.
    pub(super) fn of(position: u64, kind: u16, at: u64, body: &[u8]) -> Option<Self> {
        if is_told(kind) { Self::of_event(position, at, &decode(kind, body).ok()?) } else { None }
    }

    /// The draft of an event, or `None` for bookkeeping.
    pub(super) fn of_event(position: u64, at: u64, event: &Event<'_>) -> Option<Self> {
        if !is_told(kind_of(event)) {
            return None;
        }
        let Ok(Value::Object(mut detail)) = serde_json::to_value(event) else { return None };
        let name = detail.remove("event").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
        detail.remove("number");
        if let Some(due) = due_at(event) {
            // What stands there as an instant is one of the machine's own clock.
            detail.insert("in_ms".to_owned(), due.saturating_sub(at).into());
        }
        let queue = match event {
            Event::Enqueued(row) => Some(row.queue),
            _ => event.queue(),
        };
        Some(Self { position, at, event: name, number: event.number(), queue, detail })
    }

    /// The event with the names that the machine knows for its numbers.
    pub(super) fn named(mut self, machine: &Machine) -> EventRecord {
        let queue = self.queue.and_then(|queue| machine.queue_name(queue));
        let of_job = || self.number.and_then(|JobNumber(number)| machine.queue_of(number));
        let queue = queue.or_else(of_job).map(str::to_owned);
        name_numbers(machine, self.number, &mut self.detail);
        EventRecord {
            cursor: self.position.to_string(),
            at_ms: machine.to_wall(self.at),
            event: self.event,
            number: self.number,
            queue,
            detail: Value::Object(self.detail),
        }
    }
}

/// The instant, on the steady clock, at which the event leaves its job due.
const fn due_at(event: &Event<'_>) -> Option<u64> {
    match event {
        Event::Enqueued(NewRow { due: Some(Due::Steady(due)), .. })
        | Event::Rescheduled { due: Due::Steady(due), .. }
        | Event::Failed { next: Next::Delayed(due), .. }
        | Event::Released { next: Next::Delayed(due), .. }
        | Event::Snoozed { next: Next::Delayed(due), .. }
        | Event::LeaseExpired { next: Next::Delayed(due), .. } => Some(*due),
        _ => None,
    }
}

/// Replaces the store's own numbers (of names, workers, policies) by what they stand for, where the job is still there.
fn name_numbers(machine: &Machine, number: Option<JobNumber>, detail: &mut Map<String, Value>) {
    for internal in ["queue", "policy", "rank", "name"] {
        detail.remove(internal);
    }
    if let Some(name) = number.and_then(|number| machine.name_of(number.0)) {
        detail.insert("name".to_owned(), name.into());
    }
    let worker = detail.remove("worker").and_then(|worker| worker.as_u64());
    if let Some(name) = worker.zip(number).and_then(|(worker, job)| machine.worker_name(worker as u32, job.0)) {
        detail.insert("worker".to_owned(), name.into());
    }
}

#[cfg(test)]
mod tests {
    use super::{Draft, EVENT_KINDS};
    use crate::machine::samples;

    #[test]
    fn every_kind_that_is_told_is_named() {
        let mut kinds: Vec<String> =
            samples().iter().filter_map(|event| Some(Draft::of_event(0, 0, event)?.event)).collect();
        kinds.dedup();
        assert_eq!(kinds.len(), EVENT_KINDS.len(), "{kinds:?}");
        assert!(kinds.iter().all(|kind| EVENT_KINDS.contains(&kind.as_str())), "{kinds:?}");
    }
}
