//! `ERROR.LIST`, `ERROR.GET`: groups of failures.

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::{Arguments, ROWS, is};
use super::words::Words;
use super::{Call, Form};
use crate::model::{Command, Error, FailureFilter, FailureOrder, Limits, json};

pub(super) fn parse_list(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let filter: FailureFilter = json::read("filter", arguments.bytes("filter")?, json::FAILURE_FILTER)?;
    let (mut order, mut cursor, mut limit) = (FailureOrder::Last, None, ROWS);
    arguments.words(|word, arguments| {
        match () {
            () if is(word, "ORDER") => {
                let text = arguments.text("ORDER")?;
                let known = FailureOrder::parse(&text.to_ascii_lowercase());
                order = known.ok_or_else(|| Error::bad_arg("ORDER", text, "last, first, hour, day or week"))?;
            }
            () if is(word, "CURSOR") => cursor = Some(arguments.text("CURSOR")?.to_owned()),
            () if is(word, "COUNT") => limit = arguments.small("COUNT", 1..=Limits::PAGE_ROWS)?,
            () => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(Call::execute(Command::ListFailures { filter, order, cursor, limit }, Form::Failures))
}

pub(super) fn encode_list(
    filter: &FailureFilter,
    order: FailureOrder,
    cursor: Option<&str>,
    limit: u32,
    out: &mut BytesMut,
) -> Form {
    let mut words = Words::new("ERROR.LIST");
    words.json(filter).text("ORDER").text(order.as_str()).optional("CURSOR", cursor);
    words.text("COUNT").number(limit.into()).write(out);
    Form::Failures
}

pub(super) fn parse_show(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let fingerprint = arguments.text("fingerprint")?.to_owned();
    Ok(Call::execute(Command::ShowFailure { fingerprint }, Form::Failure))
}

pub(super) fn encode_show(fingerprint: &str, out: &mut BytesMut) -> Form {
    Words::new("ERROR.GET").text(fingerprint).write(out);
    Form::Failure
}
