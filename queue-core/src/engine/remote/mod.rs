//! The engine behind a server: every call goes over the Redis protocol, by the same mapping that the server reads it with.
//!
//! One connection carries everything that does not wait, pipelined; calls that wait have connections of their own, so that
//! dropping such a call closes its connection and the server stops waiting for it.
//! Invariants: a write whose reply was lost is sent again only where that is safe; otherwise its caller is told `UNKNOWN`.

mod link;
mod pipeline;
mod resend;
mod waiting;

use std::sync::Arc;

use async_trait::async_trait;

use super::{Answer, Engine};
use crate::machine::check_size;
use crate::model::{
    BackupReport, Beat, Capabilities, Command, Context, Error, EventPage, EventsBack, Figures, Job, JobRef,
    LeaseRequest, LeasedJob, Orders, Reply, Stats, Word, WorkerOrder, WorkerPage, WorkerView, check_wait,
};
use crate::wire::{self, Request, Response, mismatch};
use link::Server;
use pipeline::{Failure, Pipeline};
use resend::{Asked, Resending};
use waiting::Pool;

/// A backup copies and checks all there is: it takes as long as it takes, but not for ever.
const BACKUP_MS: u64 = 86_400_000;

/// An engine behind a server; see [`crate::connect()`].
pub struct RemoteEngine {
    pipeline: Pipeline,
    pool: Pool,
    capabilities: Capabilities,
}

impl RemoteEngine {
    /// Connects to the server at `host`, a name or an address; needs a tokio runtime.
    ///
    /// # Errors
    ///
    /// `UNREACHABLE` if nothing answers there, `LOADING` while it recovers, `NOAUTH` for a password that is missing or
    /// wrong, `UNSUPPORTED` if what answers is no Longshore server.
    pub async fn connect(host: &str, port: u16, password: Option<String>) -> Result<Self, Error> {
        let server = Arc::new(Server::new(host, port, password));
        let link = server.connect().await?;
        let pipeline = Pipeline::start(Arc::clone(&server), link);
        let capabilities =
            Capabilities { engine: "remote", durable: false, history: false, resends: true, backup: false };
        let mut engine = Self { pipeline, pool: Pool::new(server), capabilities };
        let stats = engine.stats().await?;
        let durable = stats.engine != "memory";
        engine.capabilities = Capabilities { durable, history: durable, backup: durable, ..capabilities };
        Ok(engine)
    }

    async fn stats(&self) -> Result<Stats, Error> {
        match self.execute(&Context::default(), vec![Command::Stats]).await?.pop() {
            Some(Ok(Reply::Stats(stats))) => Ok(*stats),
            Some(Err(error)) => Err(error),
            _ => Err(mismatch()),
        }
    }

    /// Asks what does not wait.
    async fn ask(&self, context: &Context, request: &Request, asked: Asked) -> Result<Response, Error> {
        let encode = |out: &mut bytes::BytesMut| smallvec::smallvec![wire::encode(request, context, out)];
        let mut answers = self.send(encode, asked).await?;
        answers.pop().ok_or_else(mismatch)?
    }

    /// Sends what `encode` writes, again if need be, and returns an answer for each request of it.
    async fn send(
        &self,
        encode: impl Fn(&mut bytes::BytesMut) -> pipeline::Forms,
        asked: Asked,
    ) -> Result<Vec<Result<Response, Error>>, Error> {
        let mut resending = Resending::default();
        loop {
            let failed = match self.pipeline.submit(&encode).await {
                // A server that is still recovering has the last attempt's outcome in its log, so asking goes on.
                Ok(answers) => match refusal(&answers) {
                    Some(error) if resending.loss().is_some() && error.word == Word::Loading => error,
                    Some(error) => return Err(error),
                    None => return Ok(answers),
                },
                Err(Failure::Lost(error)) if asked.again() => {
                    resending.lost(&error);
                    error
                }
                Err(Failure::Lost(error)) => return Err(asked.answer(&error)),
                Err(Failure::Unsent(error)) => error,
                Err(Failure::Closed) => return Err(resending.loss().map_or_else(closed, |lost| asked.answer(lost))),
            };
            if !resending.pause().await {
                return Err(resending.loss().map_or(failed, |lost| asked.answer(lost)));
            }
        }
    }
}

/// The error that concerns all requests of a call, if there is one: nothing was applied, or nobody knows.
fn refusal(answers: &[Result<Response, Error>]) -> Option<Error> {
    let general = |answer: &Result<Response, Error>| match answer {
        Err(error) if matches!(error.word, Word::Loading | Word::NoAuth | Word::Unknown | Word::Unreachable) => {
            Some(error.clone())
        }
        _ => None,
    };
    let first = general(answers.first()?)?;
    answers.iter().all(|answer| general(answer).is_some()).then_some(first)
}

/// What every call answers once this engine is closed.
fn closed() -> Error {
    Error::new(Word::Unreachable, "the engine is closed; open it again")
}

/// Takes the one kind of response that a request has.
macro_rules! expect {
    ($response:expr, $pattern:pat => $value:expr) => {
        match $response {
            $pattern => Ok($value),
            _ => Err(mismatch()),
        }
    };
}

#[async_trait]
impl Engine for RemoteEngine {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn execute(&self, context: &Context, commands: Vec<Command>) -> Result<Vec<Answer>, Error> {
        if commands.is_empty() {
            return Ok(Vec::new());
        }
        // A server ends a connection that carries more than it takes, and with it everybody else's calls.
        let checks: Vec<Result<(), Error>> = commands.iter().map(check_size).collect();
        let commands: Vec<Command> =
            commands.into_iter().zip(&checks).filter(|(_, check)| check.is_ok()).map(|(command, _)| command).collect();
        let mut answers = Vec::new();
        if !commands.is_empty() {
            let encode = |out: &mut bytes::BytesMut| {
                commands.iter().map(|command| wire::encode_command(command, context, out)).collect()
            };
            answers = self.send(encode, Asked::by(&commands)).await?;
        }
        let replies = answers.into_iter().map(|answer| expect!(answer?, Response::Reply(reply) => reply));
        let mut replies = replies.collect::<Vec<_>>().into_iter();
        let answers = checks.into_iter().map(|check| check.and_then(|()| replies.next().ok_or_else(mismatch)?));
        Ok(answers.collect())
    }

    async fn lease(&self, context: &Context, request: LeaseRequest) -> Result<Vec<LeasedJob>, Error> {
        let waits = request.wait_ms;
        // The server would name the argument that it is sent as.
        check_wait("wait_ms", waits)?;
        let request = Request::Lease(request);
        // Never sent again by itself: the caller has to say first which leases it knows, see `Beat::reconnected`.
        let response = match waits {
            0 => self.ask(context, &request, Asked::Leases).await?,
            _ => self.pool.ask(context, &request, waits).await.map_err(|failure| failure.answer(Asked::Leases))?,
        };
        expect!(response, Response::Reply(Reply::Leased(leased)) => leased)
    }

    async fn wait(&self, job: JobRef, timeout_ms: u64) -> Result<Job, Error> {
        let ask = |timeout_ms| Request::Wait { job: job.clone(), timeout_ms };
        let response = self.pool.ask_again(ask, timeout_ms).await?;
        expect!(response, Response::Reply(Reply::Job(job)) => *job)
    }

    async fn events(&self, cursor: Option<String>, limit: u32, wait_ms: u64) -> Result<EventPage, Error> {
        check_wait("wait_ms", wait_ms)?;
        let from_now = cursor.is_none();
        let ask = |wait_ms| Request::Events { cursor: cursor.clone(), limit, wait_ms };
        let response = if from_now {
            // Sent again it would begin later, and what happened in between would be missing.
            self.pool
                .ask(&Context::default(), &ask(wait_ms), wait_ms)
                .await
                .map_err(|failure| failure.answer(Asked::Reads))?
        } else {
            self.pool.ask_again(ask, wait_ms).await?
        };
        expect!(response, Response::Events(page) => page)
    }

    async fn events_back(&self, back: EventsBack) -> Result<EventPage, Error> {
        let response = self.ask(&Context::default(), &Request::EventsBack(back), Asked::Reads).await?;
        expect!(response, Response::Events(page) => page)
    }

    async fn beat(&self, beat: Beat) -> Result<Orders, Error> {
        let response = self.ask(&Context::default(), &Request::Beat(Box::new(beat)), Asked::Repeats).await?;
        expect!(response, Response::Orders(orders) => orders)
    }

    async fn workers(&self, cursor: Option<String>, limit: u32) -> Result<WorkerPage, Error> {
        let response = self.ask(&Context::default(), &Request::Workers { cursor, limit }, Asked::Reads).await?;
        expect!(response, Response::Workers(page) => page)
    }

    async fn worker(&self, worker: String) -> Result<WorkerView, Error> {
        let response = self.ask(&Context::default(), &Request::Worker { worker }, Asked::Reads).await?;
        expect!(response, Response::Worker(worker) => *worker)
    }

    async fn order_worker(&self, context: &Context, worker: String, order: WorkerOrder) -> Result<WorkerView, Error> {
        let response = self.ask(context, &Request::OrderWorker { worker, order }, Asked::Repeats).await?;
        expect!(response, Response::Worker(worker) => *worker)
    }

    async fn figures(&self) -> Result<Figures, Error> {
        Err(Error::new(Word::Unsupported, "the engine is behind a server; its admin address has the metrics"))
    }

    async fn backup(&self, name: Option<String>) -> Result<BackupReport, Error> {
        let request = Request::Backup { name };
        let answer = self.pool.ask(&Context::default(), &request, BACKUP_MS).await;
        let response = answer.map_err(|failure| failure.answer(Asked::Backup))?;
        expect!(response, Response::Backup(report) => report)
    }

    async fn close(&self) -> Result<(), Error> {
        self.pool.close();
        self.pipeline.close().await;
        Ok(())
    }
}
