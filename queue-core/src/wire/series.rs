//! `QUEUE.SERIES`, `QUEUE.ACTIVITY`: what happened over time.

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::{Arguments, ROWS, is};
use super::words::Words;
use super::{Call, Form};
use crate::model::{ActivityQuery, Command, Error, Limits, SeriesQuery, Step};

/// Buckets where `POINTS` is not said.
const POINTS: u32 = 60;

/// Takes `STEP` or `POINTS` and its value.
fn take(word: &[u8], arguments: &mut Arguments<'_>, step: &mut Step, points: &mut u32) -> Result<bool, Error> {
    if is(word, "STEP") {
        let text = arguments.text("STEP")?;
        *step = Step::parse(text).ok_or_else(|| Error::bad_arg("STEP", text, "10s or 1m"))?;
    } else if is(word, "POINTS") {
        *points = arguments.small("POINTS", 1..=Step::Minute.kept())?;
    } else {
        return Ok(false);
    }
    Ok(true)
}

pub(super) fn parse_show(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let mut query = SeriesQuery { queue: None, name: None, other: false, step: Step::Minute, points: POINTS };
    arguments.words(|word, arguments| {
        match () {
            () if is(word, "QUEUE") => query.queue = Some(arguments.text("QUEUE")?.to_owned()),
            () if is(word, "NAME") => query.name = Some(arguments.text("NAME")?.to_owned()),
            () if is(word, "OTHER") => query.other = true,
            () => return take(word, arguments, &mut query.step, &mut query.points),
        }
        Ok(true)
    })?;
    Ok(Call::execute(Command::ShowSeries(query), Form::Series))
}

pub(super) fn encode_show(query: &SeriesQuery, out: &mut BytesMut) -> Form {
    let mut words = Words::new("QUEUE.SERIES");
    words.optional("QUEUE", query.queue.as_deref()).optional("NAME", query.name.as_deref());
    if query.other {
        words.text("OTHER");
    }
    words.text("STEP").text(query.step.as_str()).text("POINTS").number(query.points.into()).write(out);
    Form::Series
}

pub(super) fn parse_activity(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let mut query =
        ActivityQuery { queue: None, step: Step::Seconds, points: Limits::ACTIVITY_POINTS, cursor: None, limit: ROWS };
    arguments.words(|word, arguments| {
        match () {
            () if is(word, "QUEUE") => query.queue = Some(arguments.text("QUEUE")?.to_owned()),
            () if is(word, "CURSOR") => query.cursor = Some(arguments.text("CURSOR")?.to_owned()),
            () if is(word, "COUNT") => query.limit = arguments.small("COUNT", 1..=Limits::PAGE_ROWS)?,
            () => return take(word, arguments, &mut query.step, &mut query.points),
        }
        Ok(true)
    })?;
    Ok(Call::execute(Command::ListActivity(query), Form::Activity))
}

pub(super) fn encode_activity(query: &ActivityQuery, out: &mut BytesMut) -> Form {
    let mut words = Words::new("QUEUE.ACTIVITY");
    words.optional("QUEUE", query.queue.as_deref()).text("STEP").text(query.step.as_str());
    words.text("POINTS").number(query.points.into()).optional("CURSOR", query.cursor.as_deref());
    words.text("COUNT").number(query.limit.into()).write(out);
    Form::Activity
}
