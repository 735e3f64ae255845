//! Events to bodies.

use super::super::event::{By, Due, Event, NewRow, Next, Policy};
use super::bytes::Writer;
use super::{field, kind};
use crate::model::{BackoffKind, JobNumber};

/// Appends the body of `event` to `body` and returns its kind.
pub fn encode(event: &Event<'_>, body: &mut Vec<u8>) -> u16 {
    let mut w = Writer(body);
    match *event {
        Event::StoreCreated { key } => (w.u64(key[0]).u64(key[1]), kind::STORE_CREATED).1,
        Event::Started { epoch, wall, removal_from } => {
            w.u32(epoch).u64(wall).u64(removal_from);
            kind::STARTED
        }
        Event::ClockMoved { wall, removal_from } => {
            w.u64(wall).u64(removal_from);
            kind::CLOCK_MOVED
        }
        Event::QueueCreated { queue, name } => numbered_text(w, queue, name, kind::QUEUE_CREATED),
        Event::NameAdded { name, text } => numbered_text(w, name, text, kind::NAME_ADDED),
        Event::WorkerAdded { worker, text } => numbered_text(w, worker, text, kind::WORKER_ADDED),
        Event::PolicyAdded { policy, ref value } => {
            encode_policy(w.u32(policy), value);
            kind::POLICY_ADDED
        }
        Event::Enqueued(ref row) => encode_row(w, row),
        Event::IdsForgotten { queue, count } => {
            w.u32(queue).u32(count);
            kind::IDS_FORGOTTEN
        }
        Event::QueueSet { .. }
        | Event::QueuePaused { .. }
        | Event::QueueResumed { .. }
        | Event::OperationStarted { .. }
        | Event::OperationAdvanced { .. }
        | Event::OperationEnded { .. } => encode_administrative(w, event),
        _ => encode_job(w, event),
    }
}

fn numbered_text(mut w: Writer<'_>, number: u32, text: &str, kind: u16) -> u16 {
    w.u32(number).bytes(text.as_bytes());
    kind
}

fn encode_job(mut w: Writer<'_>, event: &Event<'_>) -> u16 {
    let JobNumber(number) = event.number().expect("only events about a job come here");
    w.u64(number);
    match *event {
        Event::CameDue { rank, .. } => (w.u64(rank.cast_unsigned()), kind::CAME_DUE).1,
        Event::Leased { token, worker, expires_at, .. } => {
            w.u64(token.0).u64(expires_at).u32(worker);
            kind::LEASED
        }
        Event::Extended { expires_at, .. } => (w.u64(expires_at), kind::EXTENDED).1,
        Event::Completed { late, result, .. } => {
            w.u8(late.into());
            if let Some(result) = result {
                w.field(field::RESULT, result);
            }
            kind::COMPLETED
        }
        Event::Failed { late, kind: failure, fingerprint, next, error, .. } => {
            w.u8(late.into());
            encode_next(&mut w, next);
            w.bytes(failure.as_bytes()).bytes(fingerprint.as_bytes()).bytes(error);
            kind::FAILED
        }
        Event::Released { late, next, .. } => {
            encode_next(w.u8(late.into()), next);
            kind::RELEASED
        }
        Event::Snoozed { late, next, .. } => {
            encode_next(w.u8(late.into()), next);
            kind::SNOOZED
        }
        Event::LeaseExpired { next, .. } => {
            encode_next(&mut w, next);
            kind::LEASE_EXPIRED
        }
        Event::Progressed { value, .. } => (w.bytes(value), kind::PROGRESSED).1,
        Event::Logged { lines, drop, chunk, .. } => (w.u32(lines).u32(drop).bytes(chunk), kind::LOGGED).1,
        Event::Expired { .. } => kind::EXPIRED,
        Event::Promoted { rank, by, .. } => {
            encode_by(w.u64(rank.cast_unsigned()), by);
            kind::PROMOTED
        }
        Event::Rescheduled { due, by, .. } => {
            let (wall, at) = due_parts(due);
            encode_by(w.u8(wall).u64(at), by);
            kind::RESCHEDULED
        }
        Event::Edited { priority, rank, by, payload, .. } => {
            encode_by(w.u64(rank.cast_unsigned()), by);
            if let Some(priority) = priority {
                w.field(field::PRIORITY, &priority.to_le_bytes());
            }
            if let Some(payload) = payload {
                w.field(field::PAYLOAD, payload);
            }
            kind::EDITED
        }
        Event::CancelRequested { by, .. } => (encode_by(&mut w, by), kind::CANCEL_REQUESTED).1,
        Event::Cancelled { by, .. } => (encode_by(&mut w, by), kind::CANCELLED).1,
        Event::Retried { rank, expires_at, by, .. } => {
            encode_by(w.u64(rank.cast_unsigned()), by);
            if let Some(at) = expires_at {
                w.field(field::EXPIRES_AT, &at.to_le_bytes());
            }
            kind::RETRIED
        }
        Event::Removed { remember_until, by, .. } => (encode_by(w.u64(remember_until), by), kind::REMOVED).1,
        Event::AgedOut { remember_until, .. } => (w.u64(remember_until), kind::AGED_OUT).1,
        _ => unreachable!("events about the store are encoded elsewhere"),
    }
}

fn encode_administrative(mut w: Writer<'_>, event: &Event<'_>) -> u16 {
    match *event {
        Event::QueueSet { queue, set, ref reset, config, by } => {
            encode_by(w.u32(queue).bytes(set.as_bytes()), by);
            for name in reset {
                w.field(field::RESET, name.as_bytes());
            }
            if let Some(config) = config {
                w.field(field::CONFIG, config.as_bytes());
            }
            kind::QUEUE_SET
        }
        Event::QueuePaused { queue, by } => (encode_by(w.u32(queue), by), kind::QUEUE_PAUSED).1,
        Event::QueueResumed { queue, by } => (encode_by(w.u32(queue), by), kind::QUEUE_RESUMED).1,
        Event::OperationStarted { operation, verb, filter, by } => {
            encode_by(w.u64(operation).u8(verb as u8).bytes(filter.as_bytes()), by);
            kind::OPERATION_STARTED
        }
        Event::OperationAdvanced { operation, cursor, looked_at, changed, refused } => {
            w.u64(operation).u64(looked_at).u64(changed).u64(refused).bytes(cursor.as_bytes());
            kind::OPERATION_ADVANCED
        }
        Event::OperationEnded { operation, state, by } => {
            encode_by(w.u64(operation).u8(state as u8), by);
            kind::OPERATION_ENDED
        }
        _ => unreachable!("only administrative events come here"),
    }
}

fn encode_row(mut w: Writer<'_>, row: &NewRow<'_>) -> u16 {
    w.u64(row.number.0).u64(row.rank.cast_unsigned()).u32(row.queue).u32(row.name).u32(row.policy);
    w.u16(row.priority.cast_unsigned()).bytes(row.payload);
    if let Some(due) = row.due {
        let (wall, at) = due_parts(due);
        let mut bytes = [wall; 9];
        bytes[1..].copy_from_slice(&at.to_le_bytes());
        w.field(field::DUE, &bytes);
    }
    if let Some(at) = row.expires_at {
        w.field(field::EXPIRES_AT, &at.to_le_bytes());
    }
    if let Some(id) = row.id {
        w.field(field::ID, id.as_bytes());
    }
    for tag in &row.tags {
        w.field(field::TAG, tag.as_bytes());
    }
    w.field_unless_empty(field::HEADERS, row.headers);
    kind::ENQUEUED
}

fn encode_policy(w: &mut Writer<'_>, policy: &Policy) {
    let backoff = &policy.backoff;
    w.u32(policy.attempts).u8((backoff.kind == BackoffKind::Exponential).into());
    w.u64(backoff.delay_ms).u64(backoff.max_ms).u32(backoff.factor_thousandths).u32(backoff.jitter_percent);
    for (number, value) in
        [(field::TIMEOUT, policy.timeout_ms), (field::EXPIRES_IN, policy.expires_in_ms), (field::KEEP, policy.keep_ms)]
    {
        if let Some(value) = value {
            w.field(number, &value.to_le_bytes());
        }
    }
}

fn encode_by(w: &mut Writer<'_>, by: By<'_>) {
    w.field_unless_empty(field::ACTOR, by.actor.as_bytes()).field_unless_empty(field::REASON, by.reason.as_bytes());
}

const fn due_parts(due: Due) -> (u8, u64) {
    match due {
        Due::Steady(at) => (0, at),
        Due::Wall(at) => (1, at),
    }
}

fn encode_next(w: &mut Writer<'_>, next: Next) {
    match next {
        Next::Waiting => w.u8(0).u64(0),
        Next::Delayed(at) => w.u8(1).u64(at),
        Next::Dead(reason) => w.u8(2).u64(reason as u64),
        Next::Cancelled => w.u8(3).u64(0),
    };
}
