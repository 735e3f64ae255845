//! Journal records as events for people and programs.
//!
//! Leaves out what is bookkeeping between machine and journal (interned names, forgotten ids).

use serde_json::Value;

use crate::machine::{Event, Machine, decode};
use crate::model::{EventRecord, JobNumber};

/// The event of a record, or `None` for bookkeeping and for kinds of later versions.
pub(super) fn record(machine: &Machine, kind: u16, at: u64, body: &[u8]) -> Option<EventRecord> {
    let event = decode(kind, body).ok()?;
    let bookkeeping = matches!(
        event,
        Event::StoreCreated { .. }
            | Event::NameAdded { .. }
            | Event::WorkerAdded { .. }
            | Event::PolicyAdded { .. }
            | Event::IdsForgotten { .. }
    );
    if bookkeeping {
        return None;
    }
    let Ok(Value::Object(mut detail)) = serde_json::to_value(&event) else { return None };
    let kind = detail.remove("event").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    detail.remove("number");
    let number = event.number();
    let queue = match &event {
        Event::Enqueued(row) => machine.queue_name(row.queue),
        _ => event.queue().and_then(|queue| machine.queue_name(queue)),
    };
    let queue = queue.or_else(|| number.and_then(|JobNumber(number)| machine.queue_of(number))).map(str::to_owned);
    name_numbers(machine, number, &mut detail);
    Some(EventRecord { at_ms: machine.to_wall(at), event: kind, number, queue, detail: Value::Object(detail) })
}

/// Replaces the store's own numbers (of names, workers, policies) by what they stand for, where the job is still there.
fn name_numbers(machine: &Machine, number: Option<JobNumber>, detail: &mut serde_json::Map<String, Value>) {
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
