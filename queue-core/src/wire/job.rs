//! `JOB.PROGRESS`, `JOB.LOG`, what reads jobs (`JOB.GET`, `JOB.LIST`, `JOB.LOGS`), `JOB.WAIT`, and `STATS`.

use bytes::{Bytes, BytesMut};

use super::add::OptionsCache;
use super::arguments::{Arguments, NamedJob, is};
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::{Command, Error, JobFilter, JobRef, LeaseRef, Limits, LogLine, LogSource, json};

pub(super) fn parse_progress(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let lease = arguments.lease()?;
    let value = arguments.bytes("value")?;
    Ok(Call::execute(Command::Progress { lease, value: Bytes::copy_from_slice(value) }, Form::Done))
}

pub(super) fn encode_progress(lease: LeaseRef, value: &[u8], out: &mut BytesMut) -> Form {
    Words::new("JOB.PROGRESS").lease(lease).bytes(value).write(out);
    Form::Done
}

pub(super) fn parse_log(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let lease = arguments.lease()?;
    let mut lines = Vec::new();
    arguments.words(|word, arguments| {
        let source = match () {
            () if is(word, "OUT") => LogSource::Out,
            () if is(word, "ERR") => LogSource::Err,
            () => return Err(Error::bad_arg("source", String::from_utf8_lossy(word), "OUT or ERR")),
        };
        lines.push(LogLine { source, text: arguments.prose("line")? });
        Ok(true)
    })?;
    Ok(Call::execute(Command::Log { lease, lines }, Form::Done))
}

pub(super) fn encode_log(lease: LeaseRef, lines: &[LogLine], out: &mut BytesMut) -> Form {
    let mut words = Words::new("JOB.LOG");
    words.lease(lease);
    for line in lines {
        words.text(if line.source == LogSource::Out { "OUT" } else { "ERR" }).text(&line.text);
    }
    words.write(out);
    Form::Done
}

pub(super) fn parse_show(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let mut job = NamedJob::parse(arguments)?;
    arguments.words(|word, arguments| job.take(word, arguments))?;
    Ok(Call::execute(Command::ShowJob { job: job.finish()? }, Form::Job))
}

pub(super) fn encode_show(job: &JobRef, out: &mut BytesMut) -> Form {
    Words::new("JOB.GET").job(job).write(out);
    Form::Job
}

pub(super) fn parse_list(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let filter: JobFilter = json::read("filter", arguments.bytes("filter")?, json::JOB_FILTER)?;
    let (cursor, limit) = arguments.page()?;
    Ok(Call::execute(Command::ListJobs { filter, cursor, limit }, Form::Jobs))
}

pub(super) fn encode_list(filter: &JobFilter, cursor: Option<&str>, limit: u32, out: &mut BytesMut) -> Form {
    let mut words = Words::new("JOB.LIST");
    words.json(filter).optional("CURSOR", cursor).text("COUNT").number(limit.into()).write(out);
    Form::Jobs
}

pub(super) fn parse_logs(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let (mut job, mut from) = (NamedJob::parse(arguments)?, 0);
    arguments.words(|word, arguments| {
        if is(word, "FROM") {
            from = arguments.integer("FROM", 0..=u64::MAX)?;
            return Ok(true);
        }
        job.take(word, arguments)
    })?;
    Ok(Call::execute(Command::ShowLog { job: job.finish()?, from }, Form::Log))
}

pub(super) fn encode_logs(job: &JobRef, from: u64, out: &mut BytesMut) -> Form {
    Words::new("JOB.LOGS").job(job).text("FROM").number(from).write(out);
    Form::Log
}

pub(super) fn parse_wait(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let mut job = NamedJob::parse(arguments)?;
    let timeout_ms = arguments.integer("timeout_ms", 0..=Limits::WAIT_MS)?;
    arguments.words(|word, arguments| job.take(word, arguments))?;
    Ok(Call { request: Request::Wait { job: job.finish()?, timeout_ms }, context: None, form: Form::Job })
}

pub(super) fn encode_wait(job: &JobRef, timeout_ms: u64, out: &mut BytesMut) -> Form {
    let mut words = Words::new("JOB.WAIT");
    let queue = words.job_alone(job);
    words.number(timeout_ms).optional("QUEUE", queue).write(out);
    Form::Job
}

pub(super) fn parse_stats(_: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    Ok(Call::execute(Command::Stats, Form::Stats))
}

pub(super) fn encode_stats(out: &mut BytesMut) -> Form {
    Words::new("STATS").write(out);
    Form::Stats
}
