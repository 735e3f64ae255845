//! Journal records as events for people and programs.
//!
//! Leaves out what is bookkeeping between machine and journal (interned names, forgotten ids).

use serde_json::{Map, Value};

use crate::machine::{Event, Machine, decode};
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
    at: u64,
    event: String,
    number: Option<JobNumber>,
    /// The queue's number, where the record has it.
    queue: Option<u32>,
    detail: Map<String, Value>,
}

impl Draft {
    /// The event of a record, or `None` for bookkeeping and for kinds of later versions.
    pub(super) fn of(kind: u16, at: u64, body: &[u8]) -> Option<Self> {
        Self::of_event(at, &decode(kind, body).ok()?)
    }

    /// The draft of an event, or `None` for bookkeeping.
    pub(super) fn of_event(at: u64, event: &Event<'_>) -> Option<Self> {
        let bookkeeping = matches!(
            event,
            Event::StoreCreated { .. }
                | Event::Digest { .. }
                | Event::NameAdded { .. }
                | Event::WorkerAdded { .. }
                | Event::PolicyAdded { .. }
                | Event::IdsForgotten { .. }
        );
        if bookkeeping {
            return None;
        }
        let Ok(Value::Object(mut detail)) = serde_json::to_value(event) else { return None };
        let name = detail.remove("event").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
        detail.remove("number");
        let queue = match event {
            Event::Enqueued(row) => Some(row.queue),
            _ => event.queue(),
        };
        Some(Self { at, event: name, number: event.number(), queue, detail })
    }

    /// The event with the names that the machine knows for its numbers.
    pub(super) fn named(mut self, machine: &Machine) -> EventRecord {
        let queue = self.queue.and_then(|queue| machine.queue_name(queue));
        let of_job = || self.number.and_then(|JobNumber(number)| machine.queue_of(number));
        let queue = queue.or_else(of_job).map(str::to_owned);
        name_numbers(machine, self.number, &mut self.detail);
        EventRecord {
            at_ms: machine.to_wall(self.at),
            event: self.event,
            number: self.number,
            queue,
            detail: Value::Object(self.detail),
        }
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
            samples().iter().filter_map(|event| Some(Draft::of_event(0, event)?.event)).collect();
        kinds.dedup();
        assert_eq!(kinds.len(), EVENT_KINDS.len(), "{kinds:?}");
        assert!(kinds.iter().all(|kind| EVENT_KINDS.contains(&kind.as_str())), "{kinds:?}");
    }
}
