//! A queue in its producer's hands: add jobs, pause, resume, settings. Over any engine.
//!
//! Checks nothing itself: what is out of range is refused by the engine, by name.
//! Durations are rounded up to whole milliseconds, so that nothing happens earlier than was said.

use std::collections::BTreeMap;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use serde::Serialize;

use crate::engine::{Engine, EngineExt};
use crate::job_handle::JobHandle;
use crate::model::{Backoff, Context, Error, JobOptions, NewJob, QueueView, SettingsPatch};
use crate::random;

/// A queue, by name. Making one asks the engine nothing: a queue comes to be with its first job.
///
/// # Ids
///
/// Over a connection the reply to an enqueue can get lost, and the client then sends it again. So that this adds
/// nothing twice, a job without an id is given a random one there (`auto-` and 32 hexadecimal digits), once, before
/// it is first sent. Where the engine lives in this process no reply gets lost, and a job without an id stays without.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use queue_core::model::{Added, Error, JobState};
/// use queue_core::{Queue, connect};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// // "longshore://127.0.0.1:7600" for a server, "log:DIR" for a directory of its own.
/// let engine = connect("memory:").await?;
/// let emails = Queue::new(&engine, "emails");
/// let mail = ("ann@example.org", "hello");
/// let job = emails.add("send", &mail).delay(Duration::from_secs(30)).attempts(8).id("order-42").await?;
/// assert_eq!(job.show().await?.summary.state, JobState::Delayed);
/// // The same id again adds nothing and answers the same job.
/// let again = emails.add("send", &mail).id("order-42").await?;
/// assert_eq!((again.added(), again.number()), (Added::Existing, job.number()));
/// assert_eq!(job.cancel().await?, JobState::Cancelled);
/// // `wait` answers a job that is done: completed, dead or cancelled.
/// assert_eq!(job.wait(Duration::from_secs(5)).await?.summary.state, JobState::Cancelled);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Queue {
    engine: Arc<dyn Engine>,
    name: String,
    context: Context,
}

impl Queue {
    /// The queue `name` of this engine: 1 to 255 bytes.
    pub fn new(engine: &Arc<dyn Engine>, name: impl Into<String>) -> Self {
        Self { engine: Arc::clone(engine), name: name.into(), context: Context::default() }
    }

    /// The same queue; who pauses, resumes and sets, and why, stands in the events.
    #[must_use]
    pub fn with_context(self, context: Context) -> Self {
        Self { context, ..self }
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A job to add: the handler's name and the payload as JSON, at most 1 MiB. Nothing is sent before it is awaited.
    pub fn add(&self, name: impl Into<String>, payload: &(impl Serialize + ?Sized)) -> Add {
        let json = serde_json::to_vec(payload)
            .map_err(|error| Error::bad_arg("payload", error, "what can be written as JSON"));
        self.adding(name.into(), json.map(Bytes::from))
    }

    /// A job to add whose payload is any bytes, at most 1 MiB.
    pub fn add_bytes(&self, name: impl Into<String>, payload: impl Into<Bytes>) -> Add {
        self.adding(name.into(), Ok(payload.into()))
    }

    fn adding(&self, name: String, payload: Result<Bytes, Error>) -> Add {
        Add { queue: self.clone(), name, payload, options: JobOptions::default() }
    }

    /// Adds 1 to 10,000 jobs of at most 16 MiB together, all or none, and answers a handle for each, in order.
    ///
    /// # Errors
    ///
    /// `BADARG` naming what is out of range; `FULL`; `UNKNOWN`; `UNREACHABLE`.
    pub async fn add_many(&self, jobs: impl IntoIterator<Item = NewJob>) -> Result<Vec<JobHandle>, Error> {
        let mut jobs: Vec<NewJob> = jobs.into_iter().collect();
        give_ids(&*self.engine, &mut jobs);
        let enqueued = self.engine.enqueue(&self.name, jobs).await?;
        Ok(enqueued.into_iter().map(|one| JobHandle::new(Arc::clone(&self.engine), one)).collect())
    }

    /// Starts no other job of this queue until it is resumed; running jobs finish.
    ///
    /// # Errors
    ///
    /// `NOQUEUE` if it does not exist; what the engine answers.
    pub async fn pause(&self) -> Result<(), Error> {
        self.engine.pause(&self.context, &self.name).await
    }

    /// Ends a pause.
    ///
    /// # Errors
    ///
    /// `NOQUEUE` if it does not exist; what the engine answers.
    pub async fn resume(&self) -> Result<(), Error> {
        self.engine.resume(&self.context, &self.name).await
    }

    /// Changes the queue's settings; the queue is made if it does not exist.
    ///
    /// # Errors
    ///
    /// `BADARG` naming what is out of range; what the engine answers.
    pub async fn set(&self, patch: SettingsPatch) -> Result<(), Error> {
        self.engine.set_queue(&self.context, &self.name, patch).await
    }

    /// The queue's counts, its pause, and every setting that holds, with its source.
    ///
    /// # Errors
    ///
    /// `NOQUEUE` if it does not exist; what the engine answers.
    pub async fn show(&self) -> Result<QueueView, Error> {
        self.engine.queue(&self.name).await
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A job on its way: set options, then await it for its [`JobHandle`].
///
/// What is not set falls to the queue's setting, then to the server's default.
#[derive(Clone, Debug)]
#[must_use = "a job is added when this is awaited"]
pub struct Add {
    queue: Queue,
    name: String,
    payload: Result<Bytes, Error>,
    options: JobOptions,
}

impl Add {
    /// Not leased before this long after the enqueue: up to 10 years. Excludes [`Add::run_at`].
    pub fn delay(mut self, delay: Duration) -> Self {
        self.options.delay_ms = Some(millis(delay));
        self
    }

    /// Not leased before this wall time; a past one means now. Excludes [`Add::delay`].
    pub fn run_at(mut self, time: SystemTime) -> Self {
        self.options.run_at_ms = Some(time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, millis));
        self
    }

    /// −1000 to 1000, default 0; the larger number runs first.
    pub fn priority(mut self, priority: i64) -> Self {
        self.options.priority = Some(priority);
        self
    }

    /// Joins the front of its priority instead of the back.
    pub fn lifo(mut self) -> Self {
        self.options.lifo = true;
        self
    }

    /// Tries in all, not retries: 1 to 10,000; the store's default is 16.
    pub fn attempts(mut self, attempts: u64) -> Self {
        self.options.attempts = Some(attempts);
        self
    }

    /// Pause between attempts.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.options.backoff = Some(backoff);
        self
    }

    /// Time for one attempt, from 1 ms; the store's default is 30 min.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout_ms = Some(millis(timeout).max(1));
        self
    }

    /// An attempt may take any time.
    pub fn no_timeout(mut self) -> Self {
        self.options.timeout_ms = Some(0);
        self
    }

    /// Dead, reason `expired`, if nobody started it this long after the enqueue, from 1 ms; by default it never is.
    pub fn expires_in(mut self, time: Duration) -> Self {
        self.options.expires_in_ms = Some(millis(time).max(1));
        self
    }

    /// How long the job is kept once completed, whatever the queue keeps; zero removes it at once.
    pub fn keep(mut self, time: Duration) -> Self {
        self.options.keep_ms = Some(millis(time));
        self
    }

    /// Its own id: 1 to 255 bytes, at least one not a digit. Adding it again while its queue knows it adds nothing.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.options.id = Some(id.into());
        self
    }

    /// One more word to find it by: at most 32, each 1 to 255 bytes.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.options.tags.push(tag.into());
        self
    }

    /// One more header for handlers and tools: at most 8 KiB in all. The same name again replaces its value.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.headers.insert(name.into(), value.into());
        self
    }

    /// All headers at once.
    pub fn headers(mut self, headers: BTreeMap<String, String>) -> Self {
        self.options.headers = headers;
        self
    }

    /// The job for [`Queue::add_many`].
    ///
    /// # Errors
    ///
    /// `BADARG` if the payload could not be written as JSON.
    pub fn into_job(self) -> Result<NewJob, Error> {
        Ok(NewJob::new(self.name, self.payload?).with(self.options))
    }
}

impl IntoFuture for Add {
    type Output = Result<JobHandle, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let queue = self.queue.clone();
            let mut handles = queue.add_many([self.into_job()?]).await?;
            Ok(handles.pop().expect("an engine answers one enqueued job for each"))
        })
    }
}

/// Gives a random id to each job that has none, where `engine` may have to send an enqueue again.
pub fn give_ids(engine: &dyn Engine, jobs: &mut [NewJob]) {
    if !engine.capabilities().resends {
        return;
    }
    for job in jobs.iter_mut().filter(|job| job.options.id.is_none()) {
        Arc::make_mut(&mut job.options).id = Some(random::job_id());
    }
}

/// Whole milliseconds, rounded up.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
