//! A job's row as a part: one function each way for every struct that hangs on it.
//!
//! Neighbours in a lane are not written; they follow from the ranks.

use std::num::NonZeroU64;

use super::super::Wrong;
use super::super::event::Blob;
use super::super::more::{CancelMark, Failure, LeaseRow, Log, LogChunk, More, Runs};
use super::super::record::bytes::{Reader, Writer, u64_of, utf8};
use super::super::rows::Row;
use super::{field, once, whole};
use crate::model::{JobState, LeaseOutcome};

pub(super) fn write(w: &mut Writer<'_>, number: u64, row: &Row) {
    write_blob(w.u64(number), &row.payload);
    w.u32(row.queue).u32(row.name).u32(row.policy);
    w.u64(row.at).u64(row.rank.cast_unsigned()).u64(row.enqueued_at);
    w.u16(row.attempt).u16(row.stalls).u16(row.priority.cast_unsigned());
    w.u8(row.state as u8).u8(row.detail).u8(row.flags);
    if let Some(more) = &row.more {
        w.nested(field::MORE, |w| write_more(w, more));
    }
}

pub(super) fn read(body: &[u8]) -> Result<(u64, Row), Wrong> {
    let mut r = Reader(body);
    let number = r.u64()?;
    let mut row = Row {
        payload: read_blob(&mut r)?,
        queue: r.u32()?,
        name: r.u32()?,
        policy: r.u32()?,
        next: 0,
        prev: 0,
        at: r.u64()?,
        rank: r.i64()?,
        enqueued_at: r.u64()?,
        attempt: r.u16()?,
        stalls: r.u16()?,
        priority: r.u16()?.cast_signed(),
        state: r.u8().and_then(|state| JobState::from_u8(state).ok_or(format!("state {state} is unknown").into()))?,
        detail: r.u8()?,
        flags: r.u8()?,
        more: None,
    };
    r.fields(|at, value| match at {
        field::MORE => once(&mut row.more, Box::new(read_more(value)?)),
        _ => Ok(false),
    })?;
    Ok((number, row))
}

fn write_blob(w: &mut Writer<'_>, blob: &Blob) {
    w.u64(blob.position).u32(blob.length);
}

fn read_blob(r: &mut Reader<'_>) -> Result<Blob, Wrong> {
    Ok(Blob { position: r.u64()?, length: r.u32()? })
}

fn write_blob_field(w: &mut Writer<'_>, number: u8, blob: Option<&Blob>) {
    if let Some(blob) = blob {
        w.nested(number, |w| write_blob(w, blob));
    }
}

fn write_more(w: &mut Writer<'_>, more: &More) {
    if let Some(id) = &more.id {
        w.field(field::ID, id.as_bytes());
    }
    for tag in &more.tags {
        w.field(field::TAG, tag.as_bytes());
    }
    write_blob_field(w, field::HEADERS, more.headers.as_deref());
    if let Some(at) = more.expires_at {
        w.field(field::EXPIRES_AT, &at.get().to_le_bytes());
    }
    if let Some(runs) = &more.runs {
        w.nested(field::RUNS, |w| write_runs(w, runs));
    }
}

fn read_more(value: &[u8]) -> Result<More, Wrong> {
    let (mut more, mut tags) = (More::default(), Vec::new());
    Reader(value).fields(|at, value| match at {
        field::ID => once(&mut more.id, utf8(value)?.into()),
        field::TAG => {
            tags.push(utf8(value)?.into());
            Ok(true)
        }
        field::HEADERS => once(&mut more.headers, Box::new(whole(value, read_blob)?)),
        field::EXPIRES_AT => {
            let at = NonZeroU64::new(u64_of(value)?).ok_or("an instant to die at is zero")?;
            once(&mut more.expires_at, at)
        }
        field::RUNS => once(&mut more.runs, Box::new(read_runs(value)?)),
        _ => Ok(false),
    })?;
    more.tags = tags.into();
    Ok(more)
}

fn write_runs(w: &mut Writer<'_>, runs: &Runs) {
    w.u64(runs.token).u32(runs.lease_ms).u32(runs.leased).u32(runs.rounds).u32(runs.returns);
    for lease in &runs.timeline {
        w.nested(field::LEASE, |w| write_lease(w, lease));
    }
    write_blob_field(w, field::RESULT, runs.result.as_ref());
    write_blob_field(w, field::PROGRESS, runs.progress.as_ref());
    if let Some(log) = &runs.log {
        w.nested(field::LOG, |w| write_log(w, log));
    }
    if let Some(cancel) = &runs.cancel {
        w.nested(field::CANCEL, |w| {
            w.u64(cancel.at).bytes(cancel.text.as_bytes());
        });
    }
}

fn read_runs(value: &[u8]) -> Result<Runs, Wrong> {
    let mut r = Reader(value);
    let mut runs = Runs {
        token: r.u64()?,
        lease_ms: r.u32()?,
        leased: r.u32()?,
        rounds: r.u32()?,
        returns: r.u32()?,
        ..Runs::default()
    };
    r.fields(|at, value| match at {
        field::LEASE => {
            runs.timeline.push(read_lease(value)?);
            Ok(true)
        }
        field::RESULT => once(&mut runs.result, whole(value, read_blob)?),
        field::PROGRESS => once(&mut runs.progress, whole(value, read_blob)?),
        field::LOG => once(&mut runs.log, Box::new(read_log(value)?)),
        field::CANCEL => once(&mut runs.cancel, Box::new(whole(value, read_cancel)?)),
        _ => Ok(false),
    })?;
    Ok(runs)
}

fn read_cancel(r: &mut Reader<'_>) -> Result<CancelMark, Wrong> {
    Ok(CancelMark { at: r.u64()?, text: r.text()?.into() })
}

fn write_lease(w: &mut Writer<'_>, lease: &LeaseRow) {
    w.u32(lease.worker).u32(lease.lease).u32(lease.round).u16(lease.attempt).u8(lease.outcome as u8);
    w.u64(lease.leased_at).u64(lease.ended_at);
    if let Some(failure) = &lease.failure {
        w.nested(field::FAILURE, |w| write_failure(w, failure));
    }
}

fn read_lease(value: &[u8]) -> Result<LeaseRow, Wrong> {
    let mut r = Reader(value);
    let mut lease = LeaseRow {
        worker: r.u32()?,
        lease: r.u32()?,
        round: r.u32()?,
        attempt: r.u16()?,
        outcome: r.u8().and_then(|one| LeaseOutcome::from_u8(one).ok_or(format!("outcome {one} is unknown").into()))?,
        leased_at: r.u64()?,
        ended_at: r.u64()?,
        failure: None,
    };
    r.fields(|at, value| match at {
        field::FAILURE => once(&mut lease.failure, Box::new(whole(value, read_failure)?)),
        _ => Ok(false),
    })?;
    Ok(lease)
}

fn write_failure(w: &mut Writer<'_>, failure: &Failure) {
    write_blob(w.bytes(failure.kind.as_bytes()).bytes(failure.fingerprint.as_bytes()), &failure.error);
}

fn read_failure(r: &mut Reader<'_>) -> Result<Failure, Wrong> {
    Ok(Failure::new(r.text()?, r.text()?, read_blob(r)?))
}

fn write_log(w: &mut Writer<'_>, log: &Log) {
    w.u64(log.dropped);
    for chunk in &log.chunks {
        w.nested(field::LOG_CHUNK, |w| write_blob(w.u32(chunk.lines), &chunk.blob));
    }
}

fn read_log(value: &[u8]) -> Result<Log, Wrong> {
    let mut r = Reader(value);
    let mut log = Log::default();
    log.dropped = r.u64()?;
    r.fields(|at, value| match at {
        field::LOG_CHUNK => {
            log.push(whole(value, |r| Ok(LogChunk { lines: r.u32()?, blob: read_blob(r)? }))?);
            Ok(true)
        }
        _ => Ok(false),
    })?;
    Ok(log)
}
