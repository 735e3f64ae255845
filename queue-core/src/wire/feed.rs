//! `EVENTS.READ`, `WORKER.BEAT` and `WORKER.LIST`: what happens, and who is at work.

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::{Arguments, is};
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::{Beat, Error, Limits, json};

/// Events of a page where `COUNT` is not said.
const EVENTS: u32 = 1_000;

/// Begins with what happens from now on.
const FROM_NOW: &str = "$";

pub(super) fn parse_events(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let cursor = match arguments.word(FROM_NOW) {
        true => None,
        false => Some(arguments.text("cursor")?.to_owned()),
    };
    let (mut limit, mut wait_ms) = (EVENTS, 0);
    arguments.words(|word, arguments| {
        match () {
            () if is(word, "COUNT") => limit = arguments.small("COUNT", 1..=Limits::PAGE_EVENTS)?,
            () if is(word, "BLOCK") => wait_ms = arguments.wait("BLOCK")?,
            () => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Call { request: Request::Events { cursor, limit, wait_ms }, context: None, form: Form::Events })
}

pub(super) fn encode_events(cursor: Option<&str>, limit: u32, wait_ms: u64, out: &mut BytesMut) -> Form {
    let mut words = Words::new("EVENTS.READ");
    words.text(cursor.unwrap_or(FROM_NOW)).text("COUNT").number(limit.into());
    words.text("BLOCK").number(wait_ms).write(out);
    Form::Events
}

pub(super) fn parse_beat(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let beat: Beat = json::read("beat", arguments.bytes("beat")?, json::BEAT)?;
    Ok(Call { request: Request::Beat(Box::new(beat)), context: None, form: Form::Orders })
}

pub(super) fn encode_beat(beat: &Beat, out: &mut BytesMut) -> Form {
    Words::new("WORKER.BEAT").json(beat).write(out);
    Form::Orders
}

pub(super) fn parse_workers(_: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    Ok(Call { request: Request::Workers, context: None, form: Form::Workers })
}

pub(super) fn encode_workers(out: &mut BytesMut) -> Form {
    Words::new("WORKER.LIST").write(out);
    Form::Workers
}
