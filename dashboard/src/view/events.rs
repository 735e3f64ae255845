//! What an event says, in few words; and the kinds there are, each with its look.
//!
//! The words are made of the event's own details: what a kind of a later version says is shown as it is.

use maud::{Markup, html};
use queue_core::engine::EVENT_KINDS;
use queue_core::model::{Error, EventRecord};
use serde_json::Value;

use super::state::Look;
use super::{bytes, count, many, time};
use crate::live::{Ran, Seen};

/// Kinds that are one filter together.
pub(crate) const GROUPS: [(&str, &[&str]); 2] = [
    ("failures", &["failed", "lease-expired", "expired"]),
    (
        "administration",
        &[
            "queue-set",
            "queue-paused",
            "queue-resumed",
            "promoted",
            "rescheduled",
            "edited",
            "cancel-requested",
            "cancelled",
            "retried",
            "removed",
            "operation-started",
            "operation-ended",
        ],
    ),
];

/// The kind or group of this name.
///
/// # Errors
///
/// `BADARG` that lists what there is.
pub(crate) fn named(name: &str) -> Result<&'static str, Error> {
    let groups = GROUPS.iter().map(|(group, _)| *group);
    let all: Vec<_> = groups.chain(EVENT_KINDS.iter().copied()).collect();
    all.iter().find(|known| **known == name).copied().ok_or_else(|| Error::bad_arg("event", name, &all.join(", ")))
}

/// Whether a kind is the one that was named, or of the group.
pub(crate) fn is(named: &str, kind: &str) -> bool {
    let group = GROUPS.iter().find(|(group, _)| *group == named);
    group.map_or(named == kind, |(_, kinds)| kinds.contains(&kind))
}

/// Whether a lease is over with it.
pub(crate) fn ends_a_lease(kind: &str) -> bool {
    matches!(kind, "completed" | "failed" | "released" | "snoozed" | "lease-expired")
}

/// The kind in a word, with icon and colour of the state that it leads to.
pub(crate) fn kind(event: &EventRecord) -> Markup {
    let word = event.event.replace('-', " ");
    html! {
        @match look(event) {
            Some(look) => { span class=(look.classes()) { (look.plain_icon()) " " (bytes::marked(&word)) } }
            None => { span.strong { (bytes::marked(&word)) } }
        }
    }
}

/// The state that the job is in now.
fn look(event: &EventRecord) -> Option<Look> {
    let word = match event.event.as_str() {
        "enqueued" if event.detail.get("due").is_some_and(|due| !due.is_null()) => "delayed",
        "enqueued" | "came-due" | "retried" | "promoted" => "waiting",
        "leased" => "active",
        "completed" => "completed",
        "expired" => "dead",
        "rescheduled" => "delayed",
        "cancelled" => "cancelled",
        "failed" | "released" | "snoozed" | "lease-expired" => match next(event) {
            Next::Waiting => "waiting",
            Next::Delayed if event.event == "failed" => "retrying",
            Next::Delayed => "delayed",
            Next::Dead(_) => "dead",
            Next::Cancelled => "cancelled",
        },
        _ => return None,
    };
    Look::parse(word)
}

/// What becomes of a job whose lease is over.
enum Next<'e> {
    Waiting,
    Delayed,
    Dead(&'e str),
    Cancelled,
}

fn next(event: &EventRecord) -> Next<'_> {
    match event.detail.get("next") {
        Some(Value::Object(next)) => match next.get("dead").and_then(Value::as_str) {
            Some(reason) => Next::Dead(reason),
            None => Next::Delayed,
        },
        Some(Value::String(next)) if next == "cancelled" => Next::Cancelled,
        _ => Next::Waiting,
    }
}

/// What it says, in few words.
pub(crate) fn says(seen: &Seen) -> Markup {
    bytes::marked(&words(seen))
}

fn words(seen: &Seen) -> String {
    let event = &seen.event;
    let text = |name: &str| event.detail.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let number = |name: &str| event.detail.get(name).and_then(Value::as_u64);
    let mut parts: Vec<String> = Vec::new();
    match event.event.as_str() {
        "enqueued" => {
            parts.extend(text("name").map(str::to_owned));
            parts.extend(text("id").map(|id| format!("id {id}")));
            let priority = event.detail.get("priority").and_then(Value::as_i64).filter(|priority| *priority != 0);
            parts.extend(priority.map(|priority| format!("priority {priority}")));
            parts.extend(due(event));
        }
        "rescheduled" => parts.extend(due(event)),
        "leased" => parts.extend(text("worker").map(|worker| format!("by {worker}"))),
        "failed" => parts.extend(text("fingerprint").or(text("kind")).map(str::to_owned)),
        "logged" => parts.extend(number("lines").map(|lines| many(lines, "line"))),
        "edited" => {
            let priority = event.detail.get("priority").and_then(Value::as_i64);
            parts.extend(priority.map(|priority| format!("priority {priority}")));
        }
        "queue-set" => {
            parts.extend(text("set").filter(|set| *set != "{}").map(str::to_owned));
            let reset = event.detail.get("reset").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
            parts.extend(reset.iter().filter_map(|name| Some(format!("{} as by default", name.as_str()?))));
        }
        "operation-started" => {
            parts.extend(number("operation").map(|number| format!("operation #{number}")));
            parts.extend(text("verb").map(str::to_owned));
            parts.extend(text("filter").map(str::to_owned));
        }
        "operation-advanced" | "operation-ended" => {
            parts.extend(number("operation").map(|number| format!("operation #{number}")));
            parts.extend(number("changed").map(|changed| format!("{} changed", count(changed))));
            parts.extend(text("state").map(str::to_owned));
        }
        _ => {}
    }
    if ends_a_lease(&event.event) {
        parts.extend(after(event));
    }
    let said = [seen.ran.as_ref().map(ran), Some(parts.join(", ")), by(event)];
    said.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
}

/// How long a lease ran, and whose it was.
fn ran(ran: &Ran) -> String {
    let worker = ran.worker.as_ref().map(|worker| format!(" by {worker}")).unwrap_or_default();
    format!("in {}{worker}", time::took(ran.ms))
}

/// When a job is due.
fn due(event: &EventRecord) -> Option<String> {
    let wall = event.detail.get("due").and_then(|due| due.get("wall")).and_then(Value::as_u64);
    let in_ms = event.detail.get("in_ms").and_then(Value::as_u64);
    in_ms.map(|ms| format!("due in {}", time::took(ms))).or(wall.map(|at| format!("due at {}", time::instant(at))))
}

/// What becomes of the job after its lease.
fn after(event: &EventRecord) -> Vec<String> {
    let late = event.detail.get("late").and_then(Value::as_bool) == Some(true);
    let in_ms = event.detail.get("in_ms").and_then(Value::as_u64);
    let then = match next(event) {
        _ if event.event == "completed" => None,
        Next::Waiting => Some("waits again".to_owned()),
        Next::Delayed => Some(in_ms.map_or("again later".to_owned(), |ms| format!("again in {}", time::took(ms)))),
        Next::Dead(reason) => Some(format!("dead: {reason}")),
        Next::Cancelled => Some("cancelled".to_owned()),
    };
    [then, late.then(|| "late".to_owned())].into_iter().flatten().collect()
}

/// Who did it and why, of what somebody did.
fn by(event: &EventRecord) -> Option<String> {
    let by = event.detail.get("by")?;
    let text = |name: &str| by.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let actor = text("actor").map(|actor| format!("by {actor}"));
    let said: Vec<_> = [actor, text("reason").map(str::to_owned)].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(": "))
}

#[cfg(test)]
mod tests {
    use queue_core::engine::EVENT_KINDS;
    use queue_core::model::{EventRecord, JobNumber};
    use serde_json::{Value, json};

    use super::{GROUPS, words};
    use crate::live::{Ran, Seen};

    fn said(kind: &str, detail: Value, ran: Option<Ran>) -> String {
        let event = EventRecord {
            cursor: "0".to_owned(),
            at_ms: 1,
            event: kind.to_owned(),
            number: Some(JobNumber(1)),
            queue: None,
            detail,
        };
        words(&Seen { event, ran })
    }

    #[test]
    fn events_are_told_in_few_words() {
        let ran = || Some(Ran { ms: 1_200, worker: Some("worker-1".to_owned()) });
        let by = json!({"actor": "ann", "reason": "mail server is down"});
        for (kind, detail, ran, expected) in [
            ("completed", json!({"late": false}), ran(), "in 1.2s by worker-1"),
            ("completed", json!({"late": true}), None, "late"),
            (
                "failed",
                json!({"fingerprint": "exit: N", "next": {"delayed": 77}, "in_ms": 5_000}),
                None,
                "exit: N, again in 5s",
            ),
            (
                "failed",
                json!({"fingerprint": "exit: N", "next": {"dead": "exhausted"}}),
                ran(),
                "in 1.2s by worker-1: exit: N, dead: exhausted",
            ),
            ("queue-paused", json!({"by": by}), None, "by ann: mail server is down"),
            (
                "enqueued",
                json!({"name": "send", "id": null, "priority": 5, "due": {"steady": 1}, "in_ms": 60_000}),
                None,
                "send, priority 5, due in 1m",
            ),
            ("leased", json!({"worker": "w"}), None, "by w"),
            ("logged", json!({"lines": 2, "drop": 0}), None, "2 lines"),
            ("released", json!({"next": "waiting"}), None, "waits again"),
            ("of-a-later-version", json!({"by": 7}), None, ""),
        ] {
            assert_eq!(said(kind, detail.clone(), ran), expected, "{kind}: {detail}");
        }
    }

    #[test]
    fn groups_are_of_kinds_that_there_are() {
        for kind in GROUPS.iter().flat_map(|(_, kinds)| *kinds) {
            assert!(EVENT_KINDS.contains(kind), "{kind}");
        }
    }
}
