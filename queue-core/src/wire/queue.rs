//! `QUEUE.SET`, `QUEUE.CONFIG`, `QUEUE.GET`, `QUEUE.LIST`, `QUEUE.PAUSE`, `QUEUE.RESUME`: queues and their settings.

use bytes::BytesMut;

use super::add::OptionsCache;
use super::arguments::Arguments;
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::{Command, Context, Error, Limits, QueueSettings, SettingsPatch, json};

fn administrative(arguments: &mut Arguments<'_>, command: Command) -> Result<Call, Error> {
    let context = arguments.administrative(|_, _| Ok(false))?;
    Ok(Call { request: Request::Execute(command), context: Some(context), form: Form::Done })
}

pub(super) fn parse_set(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let queue = arguments.text("queue")?.to_owned();
    let patch = SettingsPatch::from_json(arguments.bytes("settings")?)?;
    administrative(arguments, Command::SetQueue { queue, patch })
}

pub(super) fn encode_set(queue: &str, patch: &SettingsPatch, context: &Context, out: &mut BytesMut) -> Form {
    Words::new("QUEUE.SET").text(queue).owned(patch.to_json()).context(context).write(out);
    Form::Done
}

pub(super) fn parse_config(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let count = arguments.integer("count", 0..=Limits::CONFIG_QUEUES as u64)?;
    let mut queues = Vec::new();
    for _ in 0..count {
        let queue = arguments.text("queue")?.to_owned();
        let settings: QueueSettings = json::read("settings", arguments.bytes("settings")?, json::QUEUE_SETTINGS)?;
        settings.check()?;
        queues.push((queue, settings));
    }
    administrative(arguments, Command::ApplyConfig { queues })
}

pub(super) fn encode_config(queues: &[(String, QueueSettings)], context: &Context, out: &mut BytesMut) -> Form {
    let mut words = Words::new("QUEUE.CONFIG");
    words.number(queues.len() as u64);
    for (queue, settings) in queues {
        words.text(queue).json(settings);
    }
    words.context(context).write(out);
    Form::Done
}

pub(super) fn parse_pause(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let queue = arguments.text("queue")?.to_owned();
    administrative(arguments, Command::Pause { queue })
}

pub(super) fn parse_resume(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let queue = arguments.text("queue")?.to_owned();
    administrative(arguments, Command::Resume { queue })
}

pub(super) fn encode_pause(command: &'static str, queue: &str, context: &Context, out: &mut BytesMut) -> Form {
    Words::new(command).text(queue).context(context).write(out);
    Form::Done
}

pub(super) fn parse_show(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let queue = arguments.text("queue")?.to_owned();
    Ok(Call::execute(Command::ShowQueue { queue }, Form::Queue))
}

pub(super) fn encode_show(queue: &str, out: &mut BytesMut) -> Form {
    Words::new("QUEUE.GET").text(queue).write(out);
    Form::Queue
}

pub(super) fn parse_list(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let (cursor, limit) = arguments.page()?;
    Ok(Call::execute(Command::ListQueues { cursor, limit }, Form::Queues))
}

pub(super) fn encode_list(cursor: Option<&str>, limit: u32, out: &mut BytesMut) -> Form {
    Words::new("QUEUE.LIST").optional("CURSOR", cursor).text("COUNT").number(limit.into()).write(out);
    Form::Queues
}
