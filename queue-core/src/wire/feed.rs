//! `EVENTS.READ`: what happens.
//!
//! A cursor is text of the engine's own; only the word for "now" is the wire's.

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::{Arguments, is};
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::{Error, EventsBack, Limits};

/// Events of a page where `COUNT` is not said.
const EVENTS: u32 = 1_000;

/// Begins with what happens from now on; read back, with what happened last.
const NOW: &str = "$";

pub(super) fn parse_events(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let cursor = match arguments.word(NOW) {
        true => None,
        false => Some(arguments.text("cursor")?.to_owned()),
    };
    let (mut limit, mut wait_ms, mut back, mut since) = (EVENTS, None, false, None);
    arguments.words(|word, arguments| {
        match () {
            () if is(word, "COUNT") => limit = arguments.small("COUNT", 1..=Limits::PAGE_EVENTS)?,
            () if is(word, "BLOCK") => wait_ms = Some(arguments.wait("BLOCK")?),
            () if is(word, "BACK") => back = true,
            () if is(word, "SINCE") => since = Some(arguments.text("SINCE")?.to_owned()),
            () => return Ok(false),
        }
        Ok(true)
    })?;
    let request = match (back, wait_ms, since) {
        (true, None, since) => Request::EventsBack(EventsBack { before: cursor, since, limit }),
        (true, Some(wait_ms), _) => return Err(Error::bad_arg("BLOCK", wait_ms, "without BACK, which never waits")),
        (false, _, Some(since)) => return Err(Error::bad_arg("SINCE", since, "with BACK")),
        (false, wait_ms, None) => Request::Events { cursor, limit, wait_ms: wait_ms.unwrap_or(0) },
    };
    Ok(Call { request, context: None, form: Form::Events })
}

pub(super) fn encode_events(cursor: Option<&str>, limit: u32, wait_ms: u64, out: &mut BytesMut) -> Form {
    begun(cursor, limit).text("BLOCK").number(wait_ms).write(out);
    Form::Events
}

pub(super) fn encode_back(back: &EventsBack, out: &mut BytesMut) -> Form {
    let mut words = begun(back.before.as_deref(), back.limit);
    words.text("BACK");
    if let Some(since) = &back.since {
        words.text("SINCE").text(since);
    }
    words.write(out);
    Form::Events
}

fn begun(cursor: Option<&str>, limit: u32) -> Words<'_> {
    let mut words = Words::new("EVENTS.READ");
    words.text(cursor.unwrap_or(NOW)).text("COUNT").number(limit.into());
    words
}
