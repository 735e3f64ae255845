//! A job in its producer's hands: wait for it, read it, call it off.
//!
//! A handle is a number and an engine; it holds nothing of the job, so whatever it says is asked for when it is asked.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Engine, EngineExt};
use crate::model::{Added, Context, Enqueued, Error, Job, JobNumber, JobState, JobVerb, Limits, When, Word};
use crate::queue::millis;

/// An enqueued job.
#[derive(Clone)]
pub struct JobHandle {
    engine: Arc<dyn Engine>,
    enqueued: Enqueued,
}

impl JobHandle {
    pub(crate) fn new(engine: Arc<dyn Engine>, enqueued: Enqueued) -> Self {
        Self { engine, enqueued }
    }

    /// The job's number, shown as `#42`.
    pub fn number(&self) -> JobNumber {
        self.enqueued.number
    }

    /// Whether the enqueue made the job, or its id was known already.
    pub fn added(&self) -> Added {
        self.enqueued.added
    }

    /// Waits until the job is done (completed, dead or cancelled), at most `timeout`, and answers it.
    ///
    /// # Errors
    ///
    /// `TIMEOUT` when the time ran out; `NOJOB` if the job was removed or has aged out; what the engine answers.
    pub async fn wait(&self, timeout: Duration) -> Result<Job, Error> {
        let mut left_ms = millis(timeout);
        loop {
            // An engine waits for at most an hour per call.
            let now_ms = left_ms.min(Limits::WAIT_MS);
            left_ms -= now_ms;
            match self.engine.wait(self.number().into(), now_ms).await {
                Err(error) if error.word == Word::Timeout && left_ms > 0 => {}
                // The whole of what was asked, not its last hour.
                Err(error) if error.word == Word::Timeout => {
                    let within = format!("within {} ms", millis(timeout));
                    return Err(Error { message: format!("job {} has not ended {within}", self.number()), ..error });
                }
                answer => return answer,
            }
        }
    }

    /// Everything there is to say of the job now.
    ///
    /// # Errors
    ///
    /// `NOJOB` if the job was removed or has aged out; what the engine answers.
    pub async fn show(&self) -> Result<Job, Error> {
        self.engine.job(self.number().into()).await
    }

    /// Calls the job off and answers its state: `cancelled`, or `active` while its handler is being told.
    ///
    /// # Errors
    ///
    /// `STATE` if the job is completed or dead; `NOJOB`; what the engine answers.
    pub async fn cancel(&self) -> Result<JobState, Error> {
        self.verb(JobVerb::Cancel).await
    }

    /// Makes a delayed job due now.
    ///
    /// # Errors
    ///
    /// `STATE` if the job is not delayed; `NOJOB`; what the engine answers.
    pub async fn promote(&self) -> Result<JobState, Error> {
        self.verb(JobVerb::Promote).await
    }

    /// Makes a waiting or delayed job due `delay` from now.
    ///
    /// # Errors
    ///
    /// `STATE` if the job is neither; `BADARG` beyond 10 years; `NOJOB`; what the engine answers.
    pub async fn reschedule(&self, delay: Duration) -> Result<JobState, Error> {
        self.verb(JobVerb::Reschedule(When::DelayMs(millis(delay)))).await
    }

    /// Runs a done job again, in a new round of attempts.
    ///
    /// # Errors
    ///
    /// `STATE` if the job is not done; `NOJOB`; what the engine answers.
    pub async fn retry(&self) -> Result<JobState, Error> {
        self.verb(JobVerb::Retry).await
    }

    /// Takes the job out of the store.
    ///
    /// # Errors
    ///
    /// `STATE` if the job is active; `NOJOB`; what the engine answers.
    pub async fn remove(&self) -> Result<(), Error> {
        self.verb(JobVerb::Remove { force: false }).await.map(drop)
    }

    async fn verb(&self, verb: JobVerb) -> Result<JobState, Error> {
        self.engine.job_verb(&Context::default(), self.number().into(), verb).await.map(|(_, state)| state)
    }
}

impl fmt::Debug for JobHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle").field("number", &self.number()).field("added", &self.added()).finish()
    }
}
