//! `WORKER.BEAT`, `WORKER.LIST`, `WORKER.GET`, `WORKER.QUIET`, `WORKER.RESUME`, `WORKER.STOP`: who is at work, and what they
//! are told.

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::Arguments;
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::{Beat, Context, Error, WorkerOrder, json};

pub(super) fn parse_beat(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let beat: Beat = json::read("beat", arguments.bytes("beat")?, json::BEAT)?;
    Ok(Call { request: Request::Beat(Box::new(beat)), context: None, form: Form::Orders })
}

pub(super) fn encode_beat(beat: &Beat, out: &mut BytesMut) -> Form {
    Words::new("WORKER.BEAT").json(beat).write(out);
    Form::Orders
}

pub(super) fn parse_list(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let (cursor, limit) = arguments.page()?;
    Ok(Call { request: Request::Workers { cursor, limit }, context: None, form: Form::Workers })
}

pub(super) fn encode_list(cursor: Option<&str>, limit: u32, out: &mut BytesMut) -> Form {
    Words::new("WORKER.LIST").optional("CURSOR", cursor).text("COUNT").number(limit.into()).write(out);
    Form::Workers
}

pub(super) fn parse_show(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let worker = arguments.text("worker")?.to_owned();
    Ok(Call { request: Request::Worker { worker }, context: None, form: Form::Worker })
}

pub(super) fn encode_show(worker: &str, out: &mut BytesMut) -> Form {
    Words::new("WORKER.GET").text(worker).write(out);
    Form::Worker
}

fn order(arguments: &mut Arguments<'_>, order: WorkerOrder) -> Result<Call, Error> {
    let worker = arguments.text("worker")?.to_owned();
    let context = arguments.administrative(|_, _| Ok(false))?;
    Ok(Call { request: Request::OrderWorker { worker, order }, context: Some(context), form: Form::Worker })
}

pub(super) fn parse_quiet(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    order(arguments, WorkerOrder::Quiet)
}

pub(super) fn parse_resume(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    order(arguments, WorkerOrder::Resume)
}

pub(super) fn parse_stop(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    order(arguments, WorkerOrder::Stop)
}

pub(super) fn encode_order(worker: &str, order: WorkerOrder, context: &Context, out: &mut BytesMut) -> Form {
    let command = match order {
        WorkerOrder::Quiet => "WORKER.QUIET",
        WorkerOrder::Resume => "WORKER.RESUME",
        WorkerOrder::Stop => "WORKER.STOP",
    };
    Words::new(command).text(worker).context(context).write(out);
    Form::Worker
}
