//! Events to bodies.

use super::super::event::{By, Due, Event, NewRow, Next, Policy};
use super::bytes::Writer;
use super::{field, kind};
use crate::model::{BackoffKind, JobNumber};

/// The kind of the record that carries `event`.
pub const fn kind_of(event: &Event<'_>) -> u16 {
    match event {
        Event::StoreCreated { .. } => kind::STORE_CREATED,
        Event::Started { .. } => kind::STARTED,
        Event::ClockMoved { .. } => kind::CLOCK_MOVED,
        Event::Digest { .. } => kind::DIGEST,
        Event::QueueCreated { .. } => kind::QUEUE_CREATED,
        Event::NameAdded { .. } => kind::NAME_ADDED,
        Event::WorkerAdded { .. } => kind::WORKER_ADDED,
        Event::PolicyAdded { .. } => kind::POLICY_ADDED,
        Event::Enqueued(_) => kind::ENQUEUED,
        Event::CameDue { .. } => kind::CAME_DUE,
        Event::Leased { .. } => kind::LEASED,
        Event::Extended { .. } => kind::EXTENDED,
        Event::Completed { .. } => kind::COMPLETED,
        Event::Failed { .. } => kind::FAILED,
        Event::Released { .. } => kind::RELEASED,
        Event::Snoozed { .. } => kind::SNOOZED,
        Event::LeaseExpired { .. } => kind::LEASE_EXPIRED,
        Event::Progressed { .. } => kind::PROGRESSED,
        Event::Logged { .. } => kind::LOGGED,
        Event::Expired { .. } => kind::EXPIRED,
        Event::Promoted { .. } => kind::PROMOTED,
        Event::Rescheduled { .. } => kind::RESCHEDULED,
        Event::Edited { .. } => kind::EDITED,
        Event::CancelRequested { .. } => kind::CANCEL_REQUESTED,
        Event::Cancelled { .. } => kind::CANCELLED,
        Event::Retried { .. } => kind::RETRIED,
        Event::Removed { .. } => kind::REMOVED,
        Event::AgedOut { .. } => kind::AGED_OUT,
        Event::IdsForgotten { .. } => kind::IDS_FORGOTTEN,
        Event::QueueSet { .. } => kind::QUEUE_SET,
        Event::QueuePaused { .. } => kind::QUEUE_PAUSED,
        Event::QueueResumed { .. } => kind::QUEUE_RESUMED,
        Event::OperationStarted { .. } => kind::OPERATION_STARTED,
        Event::OperationAdvanced { .. } => kind::OPERATION_ADVANCED,
        Event::OperationEnded { .. } => kind::OPERATION_ENDED,
    }
}

/// Appends the body of `event` to `body`; its kind is [`kind_of`] it.
pub fn encode(event: &Event<'_>, body: &mut Vec<u8>) {
    let mut w = Writer(body);
    match *event {
        Event::StoreCreated { key } => {
            w.u64(key[0]).u64(key[1]);
        }
        Event::Started { epoch, wall, removal_from } => {
            w.u32(epoch).u64(wall).u64(removal_from);
        }
        Event::Digest { state_hash } => {
            w.u64(state_hash);
        }
        Event::ClockMoved { wall, removal_from } => {
            w.u64(wall).u64(removal_from);
        }
        Event::QueueCreated { queue, name } => numbered_text(w, queue, name),
        Event::NameAdded { name, text } => numbered_text(w, name, text),
        Event::WorkerAdded { worker, text } => numbered_text(w, worker, text),
        Event::PolicyAdded { policy, ref value } => {
            encode_policy(w.u32(policy), value);
        }
        Event::Enqueued(ref row) => encode_row(w, row),
        Event::IdsForgotten { queue, count } => {
            w.u32(queue).u32(count);
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

fn numbered_text(mut w: Writer<'_>, number: u32, text: &str) {
    w.u32(number).bytes(text.as_bytes());
}

fn encode_job(mut w: Writer<'_>, event: &Event<'_>) {
    let JobNumber(number) = event.number().expect("only events about a job come here");
    w.u64(number);
    match *event {
        Event::CameDue { rank, .. } => {
            w.u64(rank.cast_unsigned());
        }
        Event::Leased { token, worker, expires_at, forget, .. } => {
            encode_forget(w.u64(token.0).u64(expires_at).u32(worker), forget);
        }
        Event::Extended { expires_at, .. } => {
            w.u64(expires_at);
        }
        Event::Completed { late, result, .. } => {
            w.u8(late.into());
            if let Some(result) = result {
                w.field(field::RESULT, result);
            }
        }
        Event::Failed { late, kind: failure, fingerprint, next, error, .. } => {
            w.u8(late.into());
            encode_next(&mut w, next);
            w.bytes(failure.as_bytes()).bytes(fingerprint.as_bytes()).bytes(error);
        }
        Event::Released { late, next, void, .. } => {
            encode_next(w.u8(late.into()), next);
            if void {
                w.field(field::VOID, &[]);
            }
        }
        Event::Snoozed { late, next, .. } => {
            encode_next(w.u8(late.into()), next);
        }
        Event::LeaseExpired { next, .. } => {
            encode_next(&mut w, next);
        }
        Event::Progressed { value, .. } => {
            w.bytes(value);
        }
        Event::Logged { lines, drop, chunk, .. } => {
            w.u32(lines).u32(drop).bytes(chunk);
        }
        Event::Expired { .. } => {}
        Event::Promoted { rank, by, .. } => {
            encode_by(w.u64(rank.cast_unsigned()), by);
        }
        Event::Rescheduled { due, by, .. } => {
            let (wall, at) = due_parts(due);
            encode_by(w.u8(wall).u64(at), by);
        }
        Event::Edited { priority, rank, by, payload, .. } => {
            encode_by(w.u64(rank.cast_unsigned()), by);
            if let Some(priority) = priority {
                w.field(field::PRIORITY, &priority.to_le_bytes());
            }
            if let Some(payload) = payload {
                w.field(field::PAYLOAD, payload);
            }
        }
        Event::CancelRequested { by, .. } => encode_by(&mut w, by),
        Event::Cancelled { by, .. } => encode_by(&mut w, by),
        Event::Retried { rank, expires_at, by, .. } => {
            encode_by(w.u64(rank.cast_unsigned()), by);
            if let Some(at) = expires_at {
                w.field(field::EXPIRES_AT, &at.to_le_bytes());
            }
        }
        Event::Removed { remember_until, by, .. } => encode_by(w.u64(remember_until), by),
        Event::AgedOut { remember_until, .. } => {
            w.u64(remember_until);
        }
        _ => unreachable!("events about the store are encoded elsewhere"),
    }
}

fn encode_administrative(mut w: Writer<'_>, event: &Event<'_>) {
    match *event {
        Event::QueueSet { queue, set, ref reset, config, by } => {
            encode_by(w.u32(queue).bytes(set.as_bytes()), by);
            for name in reset {
                w.field(field::RESET, name.as_bytes());
            }
            if let Some(config) = config {
                w.field(field::CONFIG, config.as_bytes());
            }
        }
        Event::QueuePaused { queue, by } => encode_by(w.u32(queue), by),
        Event::QueueResumed { queue, by } => encode_by(w.u32(queue), by),
        Event::OperationStarted { operation, verb, last_token, filter, by } => {
            encode_by(w.u64(operation).u8(verb as u8).u64(last_token.0).bytes(filter.as_bytes()), by);
        }
        Event::OperationAdvanced { operation, cursor, looked_at, changed } => {
            w.u64(operation).u64(looked_at).u64(changed).bytes(cursor.as_bytes());
        }
        Event::OperationEnded { operation, state, forget, by } => {
            encode_by(w.u64(operation).u8(state as u8), by);
            encode_forget(&mut w, forget);
        }
        _ => unreachable!("only administrative events come here"),
    }
}

fn encode_row(mut w: Writer<'_>, row: &NewRow<'_>) {
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
}

pub(in crate::machine) fn encode_policy(w: &mut Writer<'_>, policy: &Policy) {
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

fn encode_forget(w: &mut Writer<'_>, forget: Option<u64>) {
    if let Some(forget) = forget {
        w.field(field::FORGET, &forget.to_le_bytes());
    }
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
