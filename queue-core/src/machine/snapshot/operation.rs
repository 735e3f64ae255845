//! A bulk operation as a part.

use super::super::operations::Operation;
use super::super::record::bytes::{Reader, Writer, u64_of, utf8};
use super::super::{By, Wrong, apply::Place};
use super::{field, once};
use crate::model::{BulkVerb, LeaseToken, OperationState};

pub(super) fn write(w: &mut Writer<'_>, number: u64, operation: &Operation) {
    let filter = serde_json::to_string(&operation.filter).expect("a filter is plain data");
    w.u64(number).u8(operation.verb as u8).u8(operation.state as u8).u64(operation.started_at);
    w.u64(operation.last_token.0).u64(operation.looked_at).u64(operation.changed);
    w.bytes(filter.as_bytes()).bytes(operation.cursor.as_bytes());
    w.field_unless_empty(field::ACTOR, operation.actor.as_bytes());
    w.field_unless_empty(field::REASON, operation.reason.as_bytes());
    if let Some(at) = operation.ended_at {
        w.field(field::ENDED_AT, &at.to_le_bytes());
    }
}

pub(super) fn read(body: &[u8]) -> Result<(u64, Operation), Wrong> {
    let mut r = Reader(body);
    let (number, verb, state, started_at) = (r.u64()?, r.u8()?, r.u8()?, r.u64()?);
    let verb = BulkVerb::from_u8(verb).ok_or_else(|| format!("bulk verb {verb} is unknown"))?;
    let state = OperationState::from_u8(state).ok_or_else(|| format!("operation state {state} is unknown"))?;
    let (last_token, looked_at, changed) = (LeaseToken(r.u64()?), r.u64()?, r.u64()?);
    let (filter, cursor) = (r.text()?, r.text()?.to_owned());
    if !cursor.is_empty() {
        Place::parse(&cursor).map_err(|error| error.message)?;
    }
    let (mut by, mut ended_at) = (By::default(), None);
    r.fields(|at, value| {
        match at {
            field::ACTOR => by.actor = utf8(value)?,
            field::REASON => by.reason = utf8(value)?,
            field::ENDED_AT => return once(&mut ended_at, u64_of(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if (state == OperationState::Running) != ended_at.is_none() {
        return Err(format!("operation {number} is {state} and has an end at {ended_at:?}").into());
    }
    let begun =
        Operation::begin(verb, last_token, filter, by, started_at).map_err(|error| format!("a filter: {error}"))?;
    Ok((number, Operation { state, cursor, looked_at, changed, ended_at, ..begun }))
}
