//! The administrative verbs on one job: `JOB.PROMOTE`, `JOB.RESCHEDULE`, `JOB.EDIT`, `JOB.CANCEL`, `JOB.RETRY`, `JOB.REMOVE`.
//!
//! Each takes `QUEUE`, where an id may belong to two queues, and `ACTOR` and `REASON`, for the record.

use bytes::{Bytes, BytesMut};

use super::add::OptionsCache;
use super::arguments::{Arguments, NamedJob, is};
use super::values::{self, mismatch};
use super::words::Words;
use super::{Call, Form, Request};
use crate::model::{Command, Context, Edit, Error, JobNumber, JobRef, JobState, JobVerb, Limits, Reply, When};
use crate::resp::{ReplyWriter, Value};

fn call(job: NamedJob<'_>, verb: JobVerb, context: Context) -> Result<Call, Error> {
    let command = Command::Job { job: job.finish()?, verb };
    Ok(Call { request: Request::Execute(command), context: Some(context), form: Form::Changed })
}

/// Reads a verb that has no words of its own.
fn plain(arguments: &mut Arguments<'_>, verb: JobVerb) -> Result<Call, Error> {
    let mut job = NamedJob::parse(arguments)?;
    let context = arguments.administrative(|word, arguments| job.take(word, arguments))?;
    call(job, verb, context)
}

pub(super) fn parse_promote(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    plain(arguments, JobVerb::Promote)
}

pub(super) fn parse_cancel(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    plain(arguments, JobVerb::Cancel)
}

pub(super) fn parse_retry(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    plain(arguments, JobVerb::Retry)
}

pub(super) fn parse_reschedule(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let mut job = NamedJob::parse(arguments)?;
    let word = arguments.bytes("DELAY or AT")?;
    let when = match () {
        () if is(word, "DELAY") => When::DelayMs(arguments.integer("DELAY", 0..=Limits::DURATION_MS)?),
        () if is(word, "AT") => When::RunAtMs(arguments.integer("AT", 0..=u64::MAX)?),
        () => return Err(Error::bad_arg("argument", String::from_utf8_lossy(word), "DELAY ms or AT ms")),
    };
    let context = arguments.administrative(|word, arguments| job.take(word, arguments))?;
    call(job, JobVerb::Reschedule(when), context)
}

pub(super) fn parse_edit(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let (mut job, mut edit) = (NamedJob::parse(arguments)?, Edit::default());
    let context = arguments.administrative(|word, arguments| {
        if is(word, "PAYLOAD") {
            edit.payload = Some(Bytes::copy_from_slice(arguments.bytes("PAYLOAD")?));
        } else if is(word, "PRIORITY") {
            edit.priority = Some(arguments.signed("PRIORITY", -Limits::PRIORITY..=Limits::PRIORITY)?);
        } else if is(word, "RETRY") {
            edit.retry = true;
        } else {
            return job.take(word, arguments);
        }
        Ok(true)
    })?;
    call(job, JobVerb::Edit(edit), context)
}

pub(super) fn parse_remove(arguments: &mut Arguments<'_>, _: &mut OptionsCache) -> Result<Call, Error> {
    let (mut job, mut force) = (NamedJob::parse(arguments)?, false);
    let context = arguments.administrative(|word, arguments| {
        if is(word, "FORCE") {
            force = true;
            return Ok(true);
        }
        job.take(word, arguments)
    })?;
    call(job, JobVerb::Remove { force }, context)
}

pub(super) fn encode(job: &JobRef, verb: &JobVerb, context: &Context, out: &mut BytesMut) -> Form {
    let mut words = Words::new(match verb {
        JobVerb::Promote => "JOB.PROMOTE",
        JobVerb::Reschedule(_) => "JOB.RESCHEDULE",
        JobVerb::Edit(_) => "JOB.EDIT",
        JobVerb::Cancel => "JOB.CANCEL",
        JobVerb::Retry => "JOB.RETRY",
        JobVerb::Remove { .. } => "JOB.REMOVE",
    });
    let queue = words.job_alone(job);
    match verb {
        JobVerb::Reschedule(When::DelayMs(delay_ms)) => {
            words.text("DELAY").number(*delay_ms);
        }
        JobVerb::Reschedule(When::RunAtMs(at_ms)) => {
            words.text("AT").number(*at_ms);
        }
        JobVerb::Edit(edit) => {
            if let Some(payload) = &edit.payload {
                words.text("PAYLOAD").bytes(payload);
            }
            if let Some(priority) = edit.priority {
                words.text("PRIORITY").owned(priority.to_string());
            }
            if edit.retry {
                words.text("RETRY");
            }
        }
        JobVerb::Remove { force: true } => {
            words.text("FORCE");
        }
        JobVerb::Promote | JobVerb::Cancel | JobVerb::Retry | JobVerb::Remove { force: false } => {}
    }
    words.optional("QUEUE", queue).context(context).write(out);
    Form::Changed
}

pub(super) fn write_changed(writer: &mut ReplyWriter<'_>, number: JobNumber, state: JobState) {
    writer.array(2);
    writer.integer(number.0.cast_signed());
    writer.simple(state.as_str());
}

pub(super) fn read_changed(value: Value) -> Result<Reply, Error> {
    let mut items = values::items(value)?;
    let number = JobNumber(values::integer(items.next())?);
    let state = JobState::parse(&values::text(items.next())?).ok_or_else(mismatch)?;
    Ok(Reply::Changed { number, state })
}
