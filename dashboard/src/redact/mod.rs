//! An engine whose answers leave out the values of named fields: what stands before every page, download and update.
//!
//! Since all pages ask through it, none can forget to. It holds for everybody, whatever their role. A search for text in
//! payloads would tell what the fields hold, so it is refused; so is a payload that came from a page and still has the mark
//! where a value was.

mod json;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use queue_core::engine::{Answer, Engine};
use queue_core::model::{
    BackupReport, Beat, Capabilities, Command, Context, Error, EventPage, EventsBack, Figures, Job, JobFilter, JobRef,
    JobSummary, JobVerb, LeaseRequest, LeasedJob, LogPage, NewJob, Orders, Reply, Word, WorkerOrder, WorkerPage,
    WorkerView,
};
use serde_json::Value;

/// What stands for a value that is left out.
const MARK: &str = "•••";
/// Longest name of a field, bytes.
const NAME_BYTES: usize = 255;

/// The engine, and the names of the fields, in lower case.
struct Redacting {
    engine: Arc<dyn Engine>,
    names: Vec<String>,
}

/// `engine` without the values of these fields; itself where none is named.
///
/// # Errors
///
/// `BADARG` for a name that is none.
pub(crate) fn without(names: &[String], engine: Arc<dyn Engine>) -> Result<Arc<dyn Engine>, Error> {
    if names.is_empty() {
        return Ok(engine);
    }
    let good = |name: &String| match name.trim() {
        plain if (1..=NAME_BYTES).contains(&plain.len()) => Ok(plain.to_lowercase()),
        _ => Err(Error::bad_arg("redact", name, "names of fields, of 1 to 255 bytes, such as password,token")),
    };
    let names = names.iter().map(good).collect::<Result<_, _>>()?;
    Ok(Arc::new(Redacting { engine, names }))
}

impl Redacting {
    fn is_named(&self, field: &str) -> bool {
        json::is_named(field, &self.names)
    }

    fn bytes(&self, bytes: &mut Bytes) {
        if let Some(without) = json::without(bytes, &self.names) {
            *bytes = without.into();
        }
    }

    fn text(&self, text: &mut String) {
        if let Some(without) = json::without(text.as_bytes(), &self.names) {
            // Whole characters were replaced by whole characters.
            *text = String::from_utf8_lossy(&without).into_owned();
        }
    }

    fn summary(&self, summary: &mut JobSummary) {
        summary.error.iter_mut().for_each(|error| self.text(error));
    }

    fn job(&self, job: &mut Job) {
        self.summary(&mut job.summary);
        self.bytes(&mut job.payload);
        job.result.iter_mut().chain(&mut job.progress).for_each(|bytes| self.bytes(bytes));
        for (name, value) in &mut job.headers {
            if self.is_named(name) { MARK.clone_into(value) } else { self.text(value) }
        }
        job.leases.iter_mut().filter_map(|lease| lease.error.as_mut()).for_each(|error| self.text(error));
    }

    fn log(&self, log: &mut LogPage) {
        log.lines.iter_mut().for_each(|line| self.text(&mut line.text));
    }

    fn reply(&self, mut reply: Reply) -> Reply {
        match &mut reply {
            Reply::Job(job) => self.job(job),
            Reply::Jobs(page) => page.jobs.iter_mut().for_each(|summary| self.summary(summary)),
            Reply::Log(log) => self.log(log),
            Reply::Enqueued(_)
            | Reply::Leased(_)
            | Reply::Settled { .. }
            | Reply::Extended(_)
            | Reply::Done
            | Reply::Changed { .. }
            | Reply::Queue(_)
            | Reply::Queues(_)
            | Reply::Operation(_)
            | Reply::Operations(_)
            // Counts; and fingerprints, which a job's timeline shows, too, and a group is asked for by.
            | Reply::Series(_)
            | Reply::Activity(_)
            | Reply::Failures(_)
            | Reply::Failure(_)
            | Reply::Stats(_) => {}
        }
        reply
    }

    fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(fields) => {
                for (name, value) in fields {
                    if self.is_named(name) { *value = MARK.into() } else { self.value(value) }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn events(&self, page: &mut EventPage) {
        page.events.iter_mut().for_each(|event| self.value(&mut event.detail));
    }

    fn check(&self, command: &Command) -> Result<(), Error> {
        match command {
            Command::ListJobs { filter, .. } | Command::StartOperation { filter, .. } => searches(filter),
            Command::Enqueue { jobs, .. } => jobs.iter().try_for_each(|job| self.is_whole(job)),
            Command::Job { verb: JobVerb::Edit(edit), .. } => {
                edit.payload.as_ref().map_or(Ok(()), |payload| self.has_values(payload))
            }
            Command::Lease(_) => Err(unsupported()),
            Command::Settle { then_lease: Some(_), .. } => Err(unsupported()),
            _ => Ok(()),
        }
    }

    /// Refuses a job that lacks what a page left out.
    fn is_whole(&self, job: &NewJob) -> Result<(), Error> {
        self.has_values(&job.payload)?;
        match job.options.headers.iter().find(|(name, value)| self.is_named(name) && *value == MARK) {
            None => Ok(()),
            Some((name, _)) => Err(lacks(name)),
        }
    }

    fn has_values(&self, payload: &[u8]) -> Result<(), Error> {
        json::marked(payload, &self.names).map_or(Ok(()), |name| Err(lacks(&name)))
    }
}

fn searches(filter: &JobFilter) -> Result<(), Error> {
    let Some(text) = &filter.contains else { return Ok(()) };
    let allowed = "no text of payloads where fields are redacted, since what is found would tell what they hold; search by \
        state:, queue:, name:, tag:, error:, reason:, since: and until:";
    Err(Error::bad_arg("text", text, allowed))
}

fn lacks(name: &str) -> Error {
    let message = format!(
        "the value of {name} is not shown here, and {MARK} would be stored in its place; type its value, or use the command \
         line longshore"
    );
    Error::new(Word::BadArg, message)
}

fn unsupported() -> Error {
    Error::new(Word::Unsupported, "no job is leased where fields are redacted")
}

#[async_trait]
impl Engine for Redacting {
    fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    async fn execute(&self, context: &Context, commands: Vec<Command>) -> Result<Vec<Answer>, Error> {
        commands.iter().try_for_each(|command| self.check(command))?;
        let answers = self.engine.execute(context, commands).await?;
        Ok(answers.into_iter().map(|answer| answer.map(|reply| self.reply(reply))).collect())
    }

    async fn lease(&self, _context: &Context, _request: LeaseRequest) -> Result<Vec<LeasedJob>, Error> {
        Err(unsupported())
    }

    async fn wait(&self, job: JobRef, timeout_ms: u64) -> Result<Job, Error> {
        let mut job = self.engine.wait(job, timeout_ms).await?;
        self.job(&mut job);
        Ok(job)
    }

    async fn events(&self, cursor: Option<String>, limit: u32, wait_ms: u64) -> Result<EventPage, Error> {
        let mut page = self.engine.events(cursor, limit, wait_ms).await?;
        self.events(&mut page);
        Ok(page)
    }

    async fn events_back(&self, back: EventsBack) -> Result<EventPage, Error> {
        let mut page = self.engine.events_back(back).await?;
        self.events(&mut page);
        Ok(page)
    }

    async fn beat(&self, beat: Beat) -> Result<Orders, Error> {
        self.engine.beat(beat).await
    }

    async fn workers(&self, cursor: Option<String>, limit: u32) -> Result<WorkerPage, Error> {
        self.engine.workers(cursor, limit).await
    }

    async fn worker(&self, worker: String) -> Result<WorkerView, Error> {
        self.engine.worker(worker).await
    }

    async fn order_worker(&self, context: &Context, worker: String, order: WorkerOrder) -> Result<WorkerView, Error> {
        self.engine.order_worker(context, worker, order).await
    }

    async fn figures(&self) -> Result<Figures, Error> {
        self.engine.figures().await
    }

    async fn backup(&self, name: Option<String>) -> Result<BackupReport, Error> {
        self.engine.backup(name).await
    }

    async fn close(&self) -> Result<(), Error> {
        self.engine.close().await
    }
}
