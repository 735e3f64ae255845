//! Bodies to events, borrowing from the journal's page.

use super::super::Wrong;
use super::super::event::{By, Due, Event, NewRow, Next, Policy};
use super::bytes::{Reader, u64_of, utf8};
use super::{field, kind};
use crate::model::{Backoff, BackoffKind, BulkVerb, DeadReason, JobNumber, LeaseToken, OperationState};

/// The event of a record.
///
/// # Errors
///
/// What is wrong: an unknown kind or field, a value cut off or out of range.
pub fn decode(kind: u16, body: &[u8]) -> Result<Event<'_>, Wrong> {
    let mut r = Reader(body);
    let event = match kind {
        kind::STORE_CREATED => Event::StoreCreated { key: [r.u64()?, r.u64()?] },
        kind::STARTED => Event::Started { epoch: r.u32()?, wall: r.u64()?, removal_from: r.u64()? },
        kind::DIGEST => Event::Digest { state_hash: r.u64()? },
        kind::CLOCK_MOVED => Event::ClockMoved { wall: r.u64()?, removal_from: r.u64()? },
        kind::QUEUE_CREATED => Event::QueueCreated { queue: r.u32()?, name: r.text()? },
        kind::NAME_ADDED => Event::NameAdded { name: r.u32()?, text: r.text()? },
        kind::WORKER_ADDED => Event::WorkerAdded { worker: r.u32()?, text: r.text()? },
        kind::POLICY_ADDED => Event::PolicyAdded { policy: r.u32()?, value: decode_policy(&mut r)? },
        kind::ENQUEUED => return decode_row(r),
        kind::IDS_FORGOTTEN => Event::IdsForgotten { queue: r.u32()?, count: r.u32()? },
        kind::QUEUE_SET..=kind::OPERATION_ENDED => return decode_administrative(kind, r),
        kind::CAME_DUE..=kind::AGED_OUT => return decode_job(kind, r),
        _ => return Err(Wrong::unknown(&format!("record kind {kind} is"))),
    };
    r.fields(|_, _| Ok(false))?;
    Ok(event)
}

fn decode_job(kind: u16, mut r: Reader<'_>) -> Result<Event<'_>, Wrong> {
    let number = JobNumber(r.u64()?);
    let event = match kind {
        kind::CAME_DUE => Event::CameDue { number, rank: r.i64()? },
        kind::LEASED => {
            let (token, expires_at, worker, mut forget) = (LeaseToken(r.u64()?), r.u64()?, r.u32()?, None);
            r.fields(|at, value| Ok(at == field::FORGET && forget.replace(u64_of(value)?).is_none()))?;
            Event::Leased { number, token, worker, expires_at, forget }
        }
        kind::EXTENDED => Event::Extended { number, expires_at: r.u64()? },
        kind::COMPLETED => {
            let (late, mut result) = (r.u8()? != 0, None);
            r.fields(|at, value| Ok(at == field::RESULT && result.replace(value).is_none()))?;
            Event::Completed { number, late, result }
        }
        kind::FAILED => {
            let (late, next) = (r.u8()? != 0, decode_next(&mut r)?);
            Event::Failed { number, late, next, kind: r.text()?, fingerprint: r.text()?, error: r.bytes()? }
        }
        kind::RELEASED => {
            let (late, next, mut void) = (r.u8()? != 0, decode_next(&mut r)?, false);
            r.fields(|at, _| Ok(at == field::VOID && !std::mem::replace(&mut void, true)))?;
            Event::Released { number, late, next, void }
        }
        kind::SNOOZED => Event::Snoozed { number, late: r.u8()? != 0, next: decode_next(&mut r)? },
        kind::LEASE_EXPIRED => Event::LeaseExpired { number, next: decode_next(&mut r)? },
        kind::PROGRESSED => Event::Progressed { number, value: r.bytes()? },
        kind::LOGGED => Event::Logged { number, lines: r.u32()?, drop: r.u32()?, chunk: r.bytes()? },
        kind::EXPIRED => Event::Expired { number },
        kind::PROMOTED => Event::Promoted { number, rank: r.i64()?, by: decode_by(&mut r)? },
        kind::RESCHEDULED => {
            let due = decode_due(r.u8()?, r.u64()?)?;
            Event::Rescheduled { number, due, by: decode_by(&mut r)? }
        }
        kind::EDITED => return decode_edited(number, r),
        kind::CANCEL_REQUESTED => Event::CancelRequested { number, by: decode_by(&mut r)? },
        kind::CANCELLED => Event::Cancelled { number, by: decode_by(&mut r)? },
        kind::RETRIED => {
            let (rank, mut expires_at, mut by) = (r.i64()?, None, By::default());
            r.fields(|at, value| match at {
                field::EXPIRES_AT => Ok(expires_at.replace(u64_of(value)?).is_none()),
                _ => by_field(&mut by, at, value),
            })?;
            Event::Retried { number, rank, expires_at, by }
        }
        kind::REMOVED => Event::Removed { number, remember_until: r.u64()?, by: decode_by(&mut r)? },
        _ => Event::AgedOut { number, remember_until: r.u64()? },
    };
    // Whatever has read its optional fields has none left.
    r.fields(|_, _| Ok(false))?;
    Ok(event)
}

fn decode_edited(number: JobNumber, mut r: Reader<'_>) -> Result<Event<'_>, Wrong> {
    let (rank, mut by, mut priority, mut payload) = (r.i64()?, By::default(), None, None);
    r.fields(|at, value| match at {
        field::PRIORITY => {
            let bytes = value.try_into().map_err(|_| "a priority has 2 bytes".to_owned())?;
            priority = Some(i16::from_le_bytes(bytes));
            Ok(true)
        }
        field::PAYLOAD => Ok(payload.replace(value).is_none()),
        _ => by_field(&mut by, at, value),
    })?;
    Ok(Event::Edited { number, priority, rank, by, payload })
}

fn decode_administrative(kind: u16, mut r: Reader<'_>) -> Result<Event<'_>, Wrong> {
    match kind {
        kind::QUEUE_SET => {
            let (queue, set, mut reset, mut config, mut by) = (r.u32()?, r.text()?, Vec::new(), None, By::default());
            r.fields(|at, value| match at {
                field::RESET => {
                    reset.push(utf8(value)?);
                    Ok(true)
                }
                field::CONFIG => Ok(config.replace(utf8(value)?).is_none()),
                _ => by_field(&mut by, at, value),
            })?;
            Ok(Event::QueueSet { queue, set, reset, config, by })
        }
        kind::QUEUE_PAUSED => Ok(Event::QueuePaused { queue: r.u32()?, by: decode_by(&mut r)? }),
        kind::QUEUE_RESUMED => Ok(Event::QueueResumed { queue: r.u32()?, by: decode_by(&mut r)? }),
        kind::OPERATION_STARTED => {
            let (operation, verb, last_token, filter) = (r.u64()?, r.u8()?, LeaseToken(r.u64()?), r.text()?);
            let verb = BulkVerb::from_u8(verb).ok_or_else(|| format!("bulk verb {verb} is unknown"))?;
            Ok(Event::OperationStarted { operation, verb, last_token, filter, by: decode_by(&mut r)? })
        }
        kind::OPERATION_ADVANCED => {
            let (operation, looked_at, changed) = (r.u64()?, r.u64()?, r.u64()?);
            let cursor = r.text()?;
            r.fields(|_, _| Ok(false))?;
            Ok(Event::OperationAdvanced { operation, cursor, looked_at, changed })
        }
        _ => {
            let (operation, state) = (r.u64()?, r.u8()?);
            let state = OperationState::from_u8(state).ok_or_else(|| format!("operation state {state} is unknown"))?;
            let (mut forget, mut by) = (None, By::default());
            r.fields(|at, value| match at {
                field::FORGET => Ok(forget.replace(u64_of(value)?).is_none()),
                _ => by_field(&mut by, at, value),
            })?;
            Ok(Event::OperationEnded { operation, state, forget, by })
        }
    }
}

fn decode_row(mut r: Reader<'_>) -> Result<Event<'_>, Wrong> {
    let (number, rank) = (JobNumber(r.u64()?), r.i64()?);
    let (queue, name, policy) = (r.u32()?, r.u32()?, r.u32()?);
    let priority = r.u16()?.cast_signed();
    let payload = r.bytes()?;
    let mut row = NewRow {
        number,
        queue,
        name,
        policy,
        priority,
        rank,
        due: None,
        expires_at: None,
        id: None,
        tags: Vec::new(),
        headers: &[],
        payload,
    };
    r.fields(|at, value| {
        match at {
            field::DUE => {
                let (&wall, at) = value.split_first().ok_or("a due time is empty")?;
                row.due = Some(decode_due(wall, u64_of(at)?)?);
            }
            field::EXPIRES_AT => row.expires_at = Some(u64_of(value)?),
            field::ID => row.id = Some(utf8(value)?),
            field::TAG => row.tags.push(utf8(value)?),
            field::HEADERS => row.headers = value,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Event::Enqueued(row))
}

pub(in crate::machine) fn decode_policy(r: &mut Reader<'_>) -> Result<Policy, Wrong> {
    let attempts = r.u32()?;
    let kind = if r.u8()? == 0 { BackoffKind::Fixed } else { BackoffKind::Exponential };
    let (delay_ms, max_ms) = (r.u64()?, r.u64()?);
    let backoff = Backoff { kind, delay_ms, max_ms, factor_thousandths: r.u32()?, jitter_percent: r.u32()? };
    let mut value = Policy { attempts, backoff, timeout_ms: None, expires_in_ms: None, keep_ms: None };
    r.fields(|at, bytes| {
        let target = match at {
            field::TIMEOUT => &mut value.timeout_ms,
            field::EXPIRES_IN => &mut value.expires_in_ms,
            field::KEEP => &mut value.keep_ms,
            _ => return Ok(false),
        };
        *target = Some(u64_of(bytes)?);
        Ok(true)
    })?;
    Ok(value)
}

fn decode_by<'a>(r: &mut Reader<'a>) -> Result<By<'a>, Wrong> {
    let mut by = By::default();
    r.fields(|at, value| by_field(&mut by, at, value))?;
    Ok(by)
}

fn by_field<'a>(by: &mut By<'a>, at: u8, value: &'a [u8]) -> Result<bool, Wrong> {
    match at {
        field::ACTOR => by.actor = utf8(value)?,
        field::REASON => by.reason = utf8(value)?,
        _ => return Ok(false),
    }
    Ok(true)
}

fn decode_due(wall: u8, at: u64) -> Result<Due, Wrong> {
    match wall {
        0 => Ok(Due::Steady(at)),
        1 => Ok(Due::Wall(at)),
        _ => Err(format!("clock {wall} is unknown").into()),
    }
}

fn decode_next(r: &mut Reader<'_>) -> Result<Next, Wrong> {
    let (next, value) = (r.u8()?, r.u64()?);
    match next {
        0 => Ok(Next::Waiting),
        1 => Ok(Next::Delayed(value)),
        2 => {
            let reason = u8::try_from(value).ok().and_then(DeadReason::from_u8);
            Ok(Next::Dead(reason.ok_or_else(|| format!("dead reason {value} is unknown"))?))
        }
        3 => Ok(Next::Cancelled),
        _ => Err(format!("outcome {next} is unknown").into()),
    }
}
