//! `OPERATION.START`, `OPERATION.GET`, `OPERATION.LIST`, `OPERATION.CANCEL`: verbs on all jobs that match a filter.

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::Arguments;
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::{BulkVerb, Command, Context, Error, JobFilter, OperationNumber, json};

fn administrative(arguments: &mut Arguments<'_>, command: Command) -> Result<Call, Error> {
    let context = arguments.administrative(|_, _| Ok(false))?;
    Ok(Call { request: Request::Execute(command), context: Some(context), form: Form::Operation })
}

fn number(arguments: &mut Arguments<'_>) -> Result<OperationNumber, Error> {
    Ok(OperationNumber(arguments.integer("operation", 0..=u64::MAX)?))
}

pub(super) fn parse_start(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let word = arguments.text("verb")?;
    let verb = BulkVerb::parse(&word.to_ascii_lowercase())
        .ok_or_else(|| Error::bad_arg("verb", word, "promote, cancel, retry or remove"))?;
    let filter: JobFilter = json::read("filter", arguments.bytes("filter")?, json::JOB_FILTER)?;
    administrative(arguments, Command::StartOperation { verb, filter })
}

pub(super) fn encode_start(verb: BulkVerb, filter: &JobFilter, context: &Context, out: &mut BytesMut) -> Form {
    Words::new("OPERATION.START").text(verb.as_str()).json(filter).context(context).write(out);
    Form::Operation
}

pub(super) fn parse_cancel(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let operation = number(arguments)?;
    administrative(arguments, Command::CancelOperation { operation })
}

pub(super) fn encode_cancel(operation: OperationNumber, context: &Context, out: &mut BytesMut) -> Form {
    Words::new("OPERATION.CANCEL").number(operation.0).context(context).write(out);
    Form::Operation
}

pub(super) fn parse_show(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    Ok(Call::execute(Command::ShowOperation { operation: number(arguments)? }, Form::Operation))
}

pub(super) fn encode_show(operation: OperationNumber, out: &mut BytesMut) -> Form {
    Words::new("OPERATION.GET").number(operation.0).write(out);
    Form::Operation
}

pub(super) fn parse_list(_: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    Ok(Call::execute(Command::ListOperations, Form::Operations))
}

pub(super) fn encode_list(out: &mut BytesMut) -> Form {
    Words::new("OPERATION.LIST").write(out);
    Form::Operations
}
