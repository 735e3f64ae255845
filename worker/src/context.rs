//! What a handler is given beside the payload: the job, its log and progress, and word that it is to stop.
//!
//! Cheap to clone. Once the handler has ended a kept clone can do nothing more: its lease token is spent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{Error, JobNumber, LeaseRef, LeaseToken, LeasedJob, Limits, LogSource};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::Stop;
use crate::held::Hold;
use crate::joblog::JobLog;
use crate::outbox::Outbox;

/// One attempt of one job, as its handler sees it.
#[derive(Clone)]
pub struct Context {
    pub(crate) job: Arc<LeasedJob>,
    pub(crate) hold: Arc<Hold>,
    pub(crate) log: Arc<JobLog>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) engine: Arc<dyn Engine>,
}

impl Context {
    /// The job's number, unique in the store.
    pub fn number(&self) -> JobNumber {
        self.job.number
    }

    /// The id its producer chose, if any.
    pub fn id(&self) -> Option<&str> {
        self.job.id.as_deref()
    }

    /// The queue it was in.
    pub fn queue(&self) -> &str {
        &self.job.queue
    }

    /// Its name: what the handler was found by.
    pub fn name(&self) -> &str {
        &self.job.name
    }

    /// This attempt, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.job.attempt
    }

    /// Attempts allowed in all.
    pub fn attempts(&self) -> u32 {
        self.job.attempts
    }

    /// When it was enqueued, in milliseconds since the Unix epoch.
    pub fn enqueued_at_ms(&self) -> u64 {
        self.job.enqueued_at_ms
    }

    /// Headers as enqueued.
    pub fn headers(&self) -> &BTreeMap<String, String> {
        &self.job.headers
    }

    /// The payload's bytes, exactly as enqueued.
    pub fn payload(&self) -> &Bytes {
        &self.job.payload
    }

    /// Time for this attempt from its start, if it is bounded.
    pub fn timeout(&self) -> Option<Duration> {
        attempt_time(&self.job)
    }

    /// Proof of holding the job; whoever it is passed to can settle the job in this worker's place.
    pub fn token(&self) -> LeaseToken {
        self.job.token
    }

    /// Job and token together, as the engine's calls take them.
    pub fn lease(&self) -> LeaseRef {
        self.hold.lease
    }

    /// Reports progress: any value, at most 4 KiB as JSON. It replaces the one before.
    ///
    /// # Errors
    ///
    /// `BADARG` if it is longer or does not turn into JSON, `STALE` if the lease is lost, `FULL`, or what the engine
    /// answers while it is unreachable. None of these need end the handler.
    pub async fn progress(&self, value: impl Serialize + Send) -> Result<(), Error> {
        let json = serde_json::to_vec(&value)
            .map_err(|error| Error::bad_arg("progress", error, "a value that turns into JSON"))?;
        // Not the engine's to find out: one that is longer than a request may be breaks the connection of all.
        if json.len() > Limits::PROGRESS_BYTES {
            let allowed = format!("at most {} bytes as JSON", Limits::PROGRESS_BYTES);
            return Err(Error::bad_arg("progress", format!("{} bytes long", json.len()), &allowed));
        }
        self.engine.progress(self.lease(), json.into()).await
    }

    /// Adds to the job's log, a line for each line of `text`. Returns at once; lines are stored a moment later, and before
    /// the job is settled. They are dropped where the lease is lost, or where the engine has no room for them (a full disk
    /// or full memory): the worker's own log says once that this begins.
    pub fn log(&self, text: impl AsRef<str>) {
        text.as_ref().lines().for_each(|line| self.log_line(LogSource::Out, line));
    }

    /// Adds one line from one of a program's outputs to the job's log.
    pub fn log_line(&self, source: LogSource, line: &str) {
        self.outbox.log(&self.log, source, line);
    }

    /// The bare signal to stop, for what takes a token.
    pub fn cancellation(&self) -> &CancellationToken {
        self.hold.stop.token()
    }

    /// Whether the handler is to stop.
    pub fn is_cancelled(&self) -> bool {
        self.hold.stop.is_given()
    }

    /// Waits until the handler is to stop, and answers why.
    pub async fn cancelled(&self) -> Stop {
        self.hold.stop.given().await;
        self.stop_reason().expect("a signal that was given has a reason")
    }

    /// Why the handler is to stop, if it is.
    pub fn stop_reason(&self) -> Option<Stop> {
        self.hold.stop.why()
    }
}

impl std::fmt::Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("job", &self.job).finish_non_exhaustive()
    }
}

/// The attempt's bound; 0 means none.
pub(crate) fn attempt_time(job: &LeasedJob) -> Option<Duration> {
    job.timeout_ms.filter(|&ms| ms > 0).map(Duration::from_millis)
}
