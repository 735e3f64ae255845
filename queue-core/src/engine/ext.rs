//! What people call by name, written once over [`Engine::execute`].
//!
//! Each method sends one command and unpacks the one reply that belongs to it.

use async_trait::async_trait;

use super::Engine;
use crate::model::{
    ActivityPage, ActivityQuery, BulkVerb, Command, Context, Enqueued, Error, Extension, FailureFilter, FailureGroup,
    FailureOrder, FailurePage, Job, JobFilter, JobNumber, JobPage, JobRef, JobState, JobVerb, LeaseOrder, LeaseRef,
    LeasedJob, Limits, LogLine, LogPage, NewJob, OperationNumber, OperationView, Outcome, QueuePage, QueueView, Reply,
    Series, SeriesQuery, SettingsPatch, Settled, Settlement, Stats, Word, WorkerView,
};

/// An engine answered a command with a reply that belongs to another: a broken peer.
fn mismatch() -> Error {
    Error::new(Word::Err, "the engine's reply does not belong to the command; are both of one version?")
}

/// Declares the pattern of the one reply a method expects.
macro_rules! expect {
    ($reply:expr, $pattern:pat => $value:expr) => {
        match $reply {
            $pattern => Ok($value),
            _ => Err(mismatch()),
        }
    };
}

/// What people call by name. Every engine has it.
#[async_trait]
pub trait EngineExt: Engine {
    /// Executes one command.
    ///
    /// # Errors
    ///
    /// The command's own refusal, or what [`Engine::execute`] answers.
    async fn one(&self, context: &Context, command: Command) -> Result<Reply, Error> {
        self.execute(context, vec![command]).await?.pop().ok_or_else(mismatch)?
    }

    /// Adds jobs, all or none.
    async fn enqueue(&self, queue: &str, jobs: Vec<NewJob>) -> Result<Vec<Enqueued>, Error> {
        let command = Command::Enqueue { queue: queue.to_owned(), jobs };
        expect!(self.one(&Context::default(), command).await?, Reply::Enqueued(enqueued) => enqueued)
    }

    /// Leases what is ready now, without waiting.
    async fn lease_now(&self, order: LeaseOrder) -> Result<Vec<LeasedJob>, Error> {
        expect!(self.one(&Context::default(), Command::Lease(order)).await?, Reply::Leased(leased) => leased)
    }

    /// Settles one lease.
    async fn settle(&self, lease: LeaseRef, outcome: Outcome) -> Result<Settled, Error> {
        let command = Command::Settle { settlements: vec![Settlement { lease, outcome }], then_lease: None };
        let reply = self.one(&Context::default(), command).await?;
        expect!(reply, Reply::Settled { mut settled, .. } => settled.pop().ok_or_else(mismatch)??)
    }

    /// Settles leases and leases more in the same commit.
    async fn settle_all(
        &self,
        settlements: Vec<Settlement>,
        then_lease: Option<LeaseOrder>,
    ) -> Result<(Vec<Result<Settled, Error>>, Vec<LeasedJob>), Error> {
        let command = Command::Settle { settlements, then_lease };
        let reply = self.one(&Context::default(), command).await?;
        expect!(reply, Reply::Settled { settled, leased } => (settled, leased))
    }

    /// Gives leases their full length again.
    async fn extend(&self, leases: Vec<LeaseRef>) -> Result<Vec<Extension>, Error> {
        let command = Command::Extend { leases, lease_ms: None };
        expect!(self.one(&Context::default(), command).await?, Reply::Extended(extended) => extended)
    }

    /// Reports progress.
    async fn progress(&self, lease: LeaseRef, value: bytes::Bytes) -> Result<(), Error> {
        let command = Command::Progress { lease, value };
        expect!(self.one(&Context::default(), command).await?, Reply::Done => ())
    }

    /// Adds lines to the job's log.
    async fn log(&self, lease: LeaseRef, lines: Vec<LogLine>) -> Result<(), Error> {
        let command = Command::Log { lease, lines };
        expect!(self.one(&Context::default(), command).await?, Reply::Done => ())
    }

    /// Carries out an administrative verb on one job.
    async fn job_verb(&self, context: &Context, job: JobRef, verb: JobVerb) -> Result<(JobNumber, JobState), Error> {
        let reply = self.one(context, Command::Job { job, verb }).await?;
        expect!(reply, Reply::Changed { number, state } => (number, state))
    }

    /// Changes a queue's settings.
    async fn set_queue(&self, context: &Context, queue: &str, patch: SettingsPatch) -> Result<(), Error> {
        let command = Command::SetQueue { queue: queue.to_owned(), patch };
        expect!(self.one(context, command).await?, Reply::Done => ())
    }

    /// Pauses a queue.
    async fn pause(&self, context: &Context, queue: &str) -> Result<(), Error> {
        expect!(self.one(context, Command::Pause { queue: queue.to_owned() }).await?, Reply::Done => ())
    }

    /// Resumes a queue.
    async fn resume(&self, context: &Context, queue: &str) -> Result<(), Error> {
        expect!(self.one(context, Command::Resume { queue: queue.to_owned() }).await?, Reply::Done => ())
    }

    /// Starts a bulk operation.
    async fn start_operation(
        &self,
        context: &Context,
        verb: BulkVerb,
        filter: JobFilter,
    ) -> Result<OperationView, Error> {
        let reply = self.one(context, Command::StartOperation { verb, filter }).await?;
        expect!(reply, Reply::Operation(operation) => *operation)
    }

    /// Ends a bulk operation.
    async fn cancel_operation(&self, context: &Context, operation: OperationNumber) -> Result<OperationView, Error> {
        let reply = self.one(context, Command::CancelOperation { operation }).await?;
        expect!(reply, Reply::Operation(operation) => *operation)
    }

    /// Reads a bulk operation.
    async fn operation(&self, operation: OperationNumber) -> Result<OperationView, Error> {
        let reply = self.one(&Context::default(), Command::ShowOperation { operation }).await?;
        expect!(reply, Reply::Operation(operation) => *operation)
    }

    /// Reads the running and the last ended bulk operations.
    async fn operations(&self) -> Result<Vec<OperationView>, Error> {
        let reply = self.one(&Context::default(), Command::ListOperations).await?;
        expect!(reply, Reply::Operations(operations) => operations)
    }

    /// Reads one job.
    async fn job(&self, job: JobRef) -> Result<Job, Error> {
        expect!(self.one(&Context::default(), Command::ShowJob { job }).await?, Reply::Job(job) => *job)
    }

    /// Reads a page of jobs. One with [`JobFilter::contains`] may be empty and yet go on: ask again with its cursor.
    async fn jobs(&self, filter: JobFilter, cursor: Option<String>, limit: u32) -> Result<JobPage, Error> {
        let command = Command::ListJobs { filter, cursor, limit };
        expect!(self.one(&Context::default(), command).await?, Reply::Jobs(page) => page)
    }

    /// Reads a job's log.
    async fn job_log(&self, job: JobRef, from: u64) -> Result<LogPage, Error> {
        let command = Command::ShowLog { job, from };
        expect!(self.one(&Context::default(), command).await?, Reply::Log(page) => page)
    }

    /// Reads one queue.
    async fn queue(&self, queue: &str) -> Result<QueueView, Error> {
        let command = Command::ShowQueue { queue: queue.to_owned() };
        expect!(self.one(&Context::default(), command).await?, Reply::Queue(view) => *view)
    }

    /// Reads a page of queues, by name.
    async fn queues(&self, cursor: Option<String>, limit: u32) -> Result<QueuePage, Error> {
        let command = Command::ListQueues { cursor, limit };
        expect!(self.one(&Context::default(), command).await?, Reply::Queues(page) => page)
    }

    /// Reads all queues, by name, page after page.
    async fn all_queues(&self) -> Result<Vec<QueueView>, Error> {
        let mut page = self.queues(None, Limits::PAGE_ROWS).await?;
        let mut all = page.queues;
        while page.cursor.is_some() {
            page = self.queues(page.cursor, Limits::PAGE_ROWS).await?;
            all.append(&mut page.queues);
        }
        Ok(all)
    }

    /// Reads all workers, by name, page after page.
    async fn all_workers(&self) -> Result<Vec<WorkerView>, Error> {
        let mut page = self.workers(None, Limits::PAGE_ROWS).await?;
        let mut all = page.workers;
        while page.cursor.is_some() {
            page = self.workers(page.cursor, Limits::PAGE_ROWS).await?;
            all.append(&mut page.workers);
        }
        Ok(all)
    }

    /// Reads what happened over time to the store's jobs, a queue's or a name's.
    async fn series(&self, query: SeriesQuery) -> Result<Series, Error> {
        expect!(self.one(&Context::default(), Command::ShowSeries(query)).await?, Reply::Series(series) => *series)
    }

    /// Reads what each queue, or each job name of one, did lately.
    async fn activity(&self, query: ActivityQuery) -> Result<ActivityPage, Error> {
        expect!(self.one(&Context::default(), Command::ListActivity(query)).await?, Reply::Activity(page) => page)
    }

    /// Reads a page of groups of failures.
    async fn failures(
        &self,
        filter: FailureFilter,
        order: FailureOrder,
        cursor: Option<String>,
        limit: u32,
    ) -> Result<FailurePage, Error> {
        let command = Command::ListFailures { filter, order, cursor, limit };
        expect!(self.one(&Context::default(), command).await?, Reply::Failures(page) => page)
    }

    /// Reads one group of failures.
    async fn failure(&self, fingerprint: &str) -> Result<FailureGroup, Error> {
        let command = Command::ShowFailure { fingerprint: fingerprint.to_owned() };
        expect!(self.one(&Context::default(), command).await?, Reply::Failure(group) => *group)
    }

    /// Reads the store's totals.
    async fn stats(&self) -> Result<Stats, Error> {
        expect!(self.one(&Context::default(), Command::Stats).await?, Reply::Stats(stats) => *stats)
    }
}

impl<T: Engine + ?Sized> EngineExt for T {}
