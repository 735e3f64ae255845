//! Bulk operations as people read them.

use queue_core::model::{JobFilter, OperationState, OperationView};

use super::table::table;
use super::{cut, instant, relative};

/// The running and the last ended operations, a row each.
pub(crate) fn list(operations: &[OperationView], now_ms: u64) -> String {
    let head = ["OPERATION", "VERB", "STATE", ">LOOKED AT", ">CHANGED", "STARTED", "BY", "WHICH"];
    let row = |view: &OperationView| {
        [
            view.operation.to_string(),
            view.verb.to_string(),
            view.state.to_string(),
            view.looked_at.to_string(),
            view.changed.to_string(),
            relative(view.started_at_ms, now_ms),
            cut(&view.actor, 30),
            which(&view.filter),
        ]
    };
    table(head, operations.iter().map(row), "operations")
}

/// One operation, on one line.
pub(crate) fn line(view: &OperationView) -> String {
    let number = view.operation;
    let changed = match view.verb.as_str() {
        "retry" => "sent back",
        "remove" => "removed",
        "cancel" => "cancelled",
        "promote" => "made due",
        _ => "changed",
    };
    let jobs = if view.changed == 1 { "job" } else { "jobs" };
    let after = match view.state {
        OperationState::Running => format!("; it goes on: longshore operation show {number}"),
        _ => String::new(),
    };
    format!("operation {number} {}: {} {jobs} {changed}{after}\n", view.state, view.changed)
}

fn which(filter: &JobFilter) -> String {
    let states = filter.states.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(",");
    let parts = [
        ("state", Some(states).filter(|states| !states.is_empty())),
        ("queue", filter.queue.clone()),
        ("name", filter.name.clone()),
        ("tag", filter.tag.clone()),
        ("cause", filter.cause.map(|cause| cause.to_string())),
        ("reason", filter.reason.map(|reason| reason.to_string())),
        ("fingerprint", filter.fingerprint.clone()),
        ("since", filter.since_ms.map(instant)),
        ("until", filter.until_ms.map(instant)),
    ];
    let parts = parts.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", cut(&value?, 40))));
    parts.collect::<Vec<_>>().join(" ")
}
