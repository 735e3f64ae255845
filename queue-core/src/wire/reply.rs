//! Replies: how each is written, and how it is read back.
//!
//! What is hot (enqueue, lease, settle, extend) is arrays; what people and tools read is one JSON text with the
//! model's own field names, so that a field added to the model is on the wire without a second list of it.

use super::values::{self, json, mismatch};
use super::{add, lease, settle, verb};
use crate::model::{BackupReport, Error, EventPage, Job, Orders, Reply, Word, WorkerPage, WorkerView};
use crate::resp::{ReplyWriter, Value};

/// How a reply looks: what a client must know to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// `[number, created | existing | existing-gone]`.
    Added,
    /// An array of these.
    AddedMany,
    /// An array of leased jobs.
    Leased,
    /// `counted` or `already`.
    SettledOne,
    /// `[[settled …], [leased job …]]`.
    Settled,
    /// An array of what became of each lease.
    Extended,
    /// `OK`.
    Done,
    /// `[number, state]`.
    Changed,
    /// JSON: a job.
    Job,
    /// JSON: a page of jobs.
    Jobs,
    /// JSON: lines of a log.
    Log,
    /// JSON: a queue.
    Queue,
    /// JSON: queues.
    Queues,
    /// JSON: a bulk operation.
    Operation,
    /// JSON: bulk operations.
    Operations,
    /// JSON: what happened over time.
    Series,
    /// JSON: what queues did lately.
    Activity,
    /// JSON: a page of groups of failures.
    Failures,
    /// JSON: a group of failures.
    Failure,
    /// JSON: the store's totals.
    Stats,
    /// JSON: a page of the feed.
    Events,
    /// JSON: what a worker is told.
    Orders,
    /// JSON: a page of workers.
    Workers,
    /// JSON: a worker.
    Worker,
    /// JSON: what a backup came to.
    Backup,
}

/// Everything that an engine answers over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To a command, a lease or a wait.
    Reply(Reply),
    /// To [`super::Request::Events`].
    Events(EventPage),
    /// To [`super::Request::Beat`].
    Orders(Orders),
    /// To [`super::Request::Workers`].
    Workers(WorkerPage),
    /// To [`super::Request::Worker`] and [`super::Request::OrderWorker`].
    Worker(Box<WorkerView>),
    /// To [`super::Request::Backup`].
    Backup(BackupReport),
}

impl From<Reply> for Response {
    fn from(reply: Reply) -> Self {
        Self::Reply(reply)
    }
}

/// Writes a refusal or failure: its word, then its message.
pub fn write_error(writer: &mut ReplyWriter<'_>, error: &Error) {
    writer.error(error.word.as_str(), &error.message);
}

/// Writes the answer to a request whose reply has this form.
pub fn write(writer: &mut ReplyWriter<'_>, form: Form, answer: &Result<Response, Error>) {
    match answer {
        Ok(Response::Reply(reply)) => write_reply(writer, form, reply),
        Ok(Response::Events(page)) => put_json(writer, page),
        Ok(Response::Orders(orders)) => put_json(writer, orders),
        Ok(Response::Workers(page)) => put_json(writer, page),
        Ok(Response::Worker(worker)) => put_json(writer, worker),
        Ok(Response::Backup(report)) => put_json(writer, report),
        Err(error) => write_error(writer, error),
    }
}

/// As [`write()`], for what a command is answered.
pub fn write_reply(writer: &mut ReplyWriter<'_>, form: Form, reply: &Reply) {
    match (form, reply) {
        (Form::Added, Reply::Enqueued(enqueued)) => match enqueued.first() {
            Some(one) => add::write_added(writer, one),
            None => write_error(writer, &Error::new(Word::Err, "the engine answered for no job")),
        },
        (Form::SettledOne, Reply::Settled { settled, .. }) => match settled.first() {
            Some(Ok(settled)) => writer.simple(settled.as_str()),
            Some(Err(error)) => write_error(writer, error),
            None => write_error(writer, &Error::new(Word::Err, "the engine answered for no lease")),
        },
        (_, Reply::Enqueued(enqueued)) => {
            writer.array(enqueued.len());
            enqueued.iter().for_each(|one| add::write_added(writer, one));
        }
        (_, Reply::Leased(leased)) => lease::write_leased(writer, leased),
        (_, Reply::Settled { settled, leased }) => settle::write_settled(writer, settled, leased),
        (_, Reply::Extended(extended)) => lease::write_extended(writer, extended),
        (_, Reply::Done) => writer.ok(),
        (_, Reply::Changed { number, state }) => verb::write_changed(writer, *number, *state),
        (_, Reply::Job(job)) => writer.bulk(&job.to_json()),
        (_, Reply::Jobs(page)) => put_json(writer, page),
        (_, Reply::Log(page)) => put_json(writer, page),
        (_, Reply::Queue(queue)) => put_json(writer, queue),
        (_, Reply::Queues(queues)) => put_json(writer, queues),
        (_, Reply::Operation(operation)) => put_json(writer, operation),
        (_, Reply::Operations(operations)) => put_json(writer, operations),
        (_, Reply::Series(series)) => put_json(writer, series),
        (_, Reply::Activity(page)) => put_json(writer, page),
        (_, Reply::Failures(page)) => put_json(writer, page),
        (_, Reply::Failure(group)) => put_json(writer, group),
        (_, Reply::Stats(stats)) => put_json(writer, stats),
    }
}

fn put_json(writer: &mut ReplyWriter<'_>, value: &impl serde::Serialize) {
    writer.bulk(&serde_json::to_vec(value).expect("the model is plain data with text keys"));
}

/// Reads the answer to a request whose reply has this form.
///
/// # Errors
///
/// What the other side answered; `ERR` if what it sent is no such reply.
pub fn read(form: Form, value: Value) -> Result<Response, Error> {
    if let Value::Error(text) = value {
        return Err(values::error(&text));
    }
    let reply = match form {
        Form::Added => Reply::Enqueued(vec![add::read_added(value)?]),
        Form::AddedMany => Reply::Enqueued(values::items(value)?.map(add::read_added).collect::<Result<_, _>>()?),
        Form::Leased => Reply::Leased(lease::read_leased(value)?),
        Form::SettledOne => Reply::Settled { settled: vec![Ok(settle::read_word(value)?)], leased: Vec::new() },
        Form::Settled => settle::read_settled(value)?,
        Form::Extended => Reply::Extended(lease::read_extended(value)?),
        Form::Done => match values::text(Some(value))?.as_str() {
            "OK" => Reply::Done,
            _ => return Err(mismatch()),
        },
        Form::Changed => verb::read_changed(value)?,
        Form::Job => Reply::Job(Box::new(Job::from_json(&values::bytes(Some(value))?)?)),
        Form::Jobs => Reply::Jobs(json(value)?),
        Form::Log => Reply::Log(json(value)?),
        Form::Queue => Reply::Queue(json(value)?),
        Form::Queues => Reply::Queues(json(value)?),
        Form::Operation => Reply::Operation(json(value)?),
        Form::Operations => Reply::Operations(json(value)?),
        Form::Series => Reply::Series(json(value)?),
        Form::Activity => Reply::Activity(json(value)?),
        Form::Failures => Reply::Failures(json(value)?),
        Form::Failure => Reply::Failure(json(value)?),
        Form::Stats => Reply::Stats(json(value)?),
        Form::Events => return Ok(Response::Events(json(value)?)),
        Form::Orders => return Ok(Response::Orders(json(value)?)),
        Form::Workers => return Ok(Response::Workers(json(value)?)),
        Form::Worker => return Ok(Response::Worker(Box::new(json(value)?))),
        Form::Backup => return Ok(Response::Backup(json(value)?)),
    };
    Ok(Response::Reply(reply))
}
