//! `EVENTS.READ`: what happens.
//!
//! A cursor is text of the engine's own; only the word for "from now on" is the wire's.

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::{Arguments, is};
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::{Error, Limits};

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
