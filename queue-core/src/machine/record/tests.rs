//! What is written can be read; what is cut or unknown is refused by name.

use super::{decode, encode, kind_of};
use crate::machine::Wrong;
use crate::machine::event::{By, Due, Event, NewRow, Next, Policy};
use crate::model::{Backoff, BulkVerb, DeadReason, JobNumber, LeaseToken, OperationState};

/// One of each kind, with every optional field somewhere.
pub(crate) fn samples() -> Vec<Event<'static>> {
    let number = JobNumber(7);
    let by = By { actor: "ops", reason: "why" };
    let value = Policy {
        attempts: 3,
        backoff: Backoff::default(),
        timeout_ms: Some(1),
        expires_in_ms: Some(2),
        keep_ms: Some(3),
    };
    let row = NewRow {
        number,
        queue: 1,
        name: 2,
        policy: 3,
        priority: -4,
        rank: -5,
        due: Some(Due::Wall(6)),
        expires_at: Some(7),
        id: Some("order-1"),
        tags: vec!["a", "b"],
        headers: b"{}",
        payload: b"\xff\x00",
    };
    let plain = NewRow { due: None, expires_at: None, id: None, tags: Vec::new(), headers: b"", ..row.clone() };
    vec![
        Event::StoreCreated { key: [1, 2] },
        Event::Started { epoch: 1, wall: 2, removal_from: 3 },
        Event::ClockMoved { wall: 1, removal_from: 2 },
        Event::Digest { state_hash: u64::MAX },
        Event::QueueCreated { queue: 1, name: "emails" },
        Event::NameAdded { name: 1, text: "send" },
        Event::WorkerAdded { worker: 1, text: "w" },
        Event::PolicyAdded { policy: 1, value },
        Event::Enqueued(row),
        Event::Enqueued(plain),
        Event::CameDue { number, rank: -1 },
        Event::Leased { number, token: LeaseToken(9), worker: 1, expires_at: 2, forget: None },
        Event::Leased { number, token: LeaseToken(9), worker: 1, expires_at: 2, forget: Some(20) },
        Event::Extended { number, expires_at: 3 },
        Event::Completed { number, late: true, result: Some(b"") },
        Event::Completed { number, late: false, result: None },
        Event::Failed { number, late: false, kind: "exit", fingerprint: "f", next: Next::Delayed(4), error: b"e" },
        Event::Released { number, late: false, next: Next::Waiting, void: false },
        Event::Released { number, late: true, next: Next::Waiting, void: true },
        Event::Snoozed { number, late: true, next: Next::Dead(DeadReason::Looping) },
        Event::LeaseExpired { number, next: Next::Cancelled },
        Event::Progressed { number, value: b"50" },
        Event::Logged { number, lines: 2, drop: 1, chunk: b"[]" },
        Event::Expired { number },
        Event::Promoted { number, rank: 1, by },
        Event::Rescheduled { number, due: Due::Steady(1), by: By::default() },
        Event::Edited { number, priority: Some(-2), rank: 1, by, payload: Some(b"x") },
        Event::CancelRequested { number, by },
        Event::Cancelled { number, by },
        Event::Retried { number, rank: 2, expires_at: Some(3), by },
        Event::Removed { number, remember_until: 1, by },
        Event::AgedOut { number, remember_until: 1 },
        Event::IdsForgotten { queue: 1, count: 2 },
        Event::QueueSet { queue: 1, set: "{}", reset: vec!["stalls"], config: Some("{}"), by },
        Event::QueuePaused { queue: 1, by },
        Event::QueueResumed { queue: 1, by },
        Event::OperationStarted { operation: 1, verb: BulkVerb::Retry, last_token: LeaseToken(7), filter: "{}", by },
        Event::OperationAdvanced { operation: 1, cursor: "", looked_at: 1, changed: 2 },
        Event::OperationEnded { operation: 1, state: OperationState::Cancelled, forget: Some(2), by },
        Event::OperationEnded { operation: 1, state: OperationState::Finished, forget: None, by: By::default() },
    ]
}

fn body(event: &Event<'_>) -> (u16, Vec<u8>) {
    let mut body = Vec::new();
    encode(event, &mut body);
    (kind_of(event), body)
}

#[test]
fn what_is_written_can_be_read() {
    for event in samples() {
        let (kind, body) = body(&event);
        assert_eq!(decode(kind, &body).expect("just written"), event);
    }
}

#[test]
fn a_body_cut_anywhere_is_refused_or_reads_as_one_without_its_last_fields() {
    for event in samples() {
        let (kind, body) = body(&event);
        for cut in 0..body.len() {
            if let Ok(shorter) = decode(kind, &body[..cut]) {
                assert_ne!(shorter, event, "cut at {cut}");
            }
        }
    }
}

#[test]
fn an_unknown_field_is_refused_unless_it_may_be_skipped() {
    let (kind, mut written) = body(&Event::Expired { number: JobNumber(1) });
    let clean = written.len();
    written.extend([0x7f, 1, 0, 0, 0, 9]);
    let wrong = decode(kind, &written).expect_err("another version's");
    assert!(Wrong::is_unknown(&wrong) && wrong.to_string() == "field 127 is unknown to this version", "{wrong}");
    written[clean] |= 0x80;
    assert_eq!(decode(kind, &written), Ok(Event::Expired { number: JobNumber(1) }));
}
