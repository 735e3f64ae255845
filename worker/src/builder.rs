//! The builder of a [`Worker`]: what it serves, with what, and how much of it at once.
//!
//! Every value is checked in [`WorkerBuilder::build`], so that a worker that was built can run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use queue_core::engine::Engine;
use queue_core::model::{Error, Limits, duration, is_name};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{RwLock, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activity::Observer;
use crate::chance::Chance;
use crate::config::{CONCURRENCY, CONCURRENCY_MAX, GRACE, WEIGHT_MAX};
use crate::figures::Tally;
use crate::held::Held;
use crate::link::Link;
use crate::outbox::Outbox;
use crate::shared::{Plan, Shared};
use crate::{Context, Handler, HandlerError, Handlers, Shutdown, Worker};

/// How long a handler that was told to stop has before it is dropped, where nothing else is said: longer than the 10 s
/// that a program has between `TERM` and `KILL`.
pub const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Between beats of a worker that runs nothing, where nothing else is said.
pub(crate) const BEAT: Duration = Duration::from_secs(5);
/// More often is of no use to anybody; more rarely, a worker is soon taken for one that has fallen silent.
const BEAT_MIN: Duration = Duration::from_millis(100);
const BEAT_MAX: Duration = Duration::from_secs(30);

/// Sets up a [`Worker`].
#[must_use]
pub struct WorkerBuilder {
    engine: Arc<dyn Engine>,
    name: Option<String>,
    queues: Vec<(String, u32)>,
    handlers: Handlers,
    concurrency: u32,
    grace: Duration,
    stop_within: Duration,
    beat: Duration,
    observer: Option<Arc<dyn Observer>>,
    seed: Option<u64>,
    shutdown: Shutdown,
}

impl WorkerBuilder {
    pub(crate) fn new(engine: &Arc<dyn Engine>) -> Self {
        Self {
            engine: Arc::clone(engine),
            name: None,
            queues: Vec::new(),
            handlers: Handlers::new(),
            concurrency: CONCURRENCY,
            grace: GRACE,
            stop_within: STOP_WITHIN,
            beat: BEAT,
            observer: None,
            seed: None,
            shutdown: Shutdown::new(),
        }
    }

    /// Serves a queue. Its weight, 1 to 1,000, is its share of the calls in which it is looked at first.
    pub fn queue(mut self, queue: impl Into<String>, weight: u32) -> Self {
        self.queues.push((queue.into(), weight));
        self
    }

    /// Serves these queues, with their weights, too.
    pub fn queues(mut self, queues: impl IntoIterator<Item = (String, u32)>) -> Self {
        self.queues.extend(queues);
        self
    }

    /// Runs jobs of this name with a closure: `send`, `emails/send` (only in that queue) or `*` (all others).
    ///
    /// The payload is parsed as JSON into the closure's first argument (empty: `null`); one that does not parse is dead
    /// at once, kind `payload`. What the closure returns becomes the job's result as JSON; `()` means none.
    ///
    /// A closure that captures what its future uses clones it for each job:
    /// `move |mail, context| { let db = db.clone(); async move { … } }`.
    pub fn handler<F, P, R, Fut>(mut self, name: &str, function: F) -> Self
    where
        F: Fn(P, Context) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, HandlerError>> + Send + 'static,
        P: DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        self.handlers = self.handlers.with(name, function);
        self
    }

    /// Runs jobs of this name with any handler.
    pub fn serve(mut self, name: &str, handler: Arc<dyn Handler>) -> Self {
        self.handlers.insert(name, handler);
        self
    }

    /// Runs jobs with these handlers instead of those given before.
    pub fn handlers(self, handlers: Handlers) -> Self {
        Self { handlers, ..self }
    }

    /// Most jobs at once: 1 to 10,000; default 10.
    pub const fn concurrency(mut self, concurrency: u32) -> Self {
        self.concurrency = concurrency;
        self
    }

    /// How long running jobs may go on after a graceful stop was requested; default 25 s.
    pub const fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How long a handler that was told to stop (cancel, timeout, lost lease) has before it is dropped; default 15 s.
    pub const fn stop_within(mut self, stop_within: Duration) -> Self {
        self.stop_within = stop_within;
        self
    }

    /// The worker's name for itself, 1 to 255 bytes; default `HOST:PID:RANDOM`.
    ///
    /// A worker that starts takes back what another of its name held, so two that run must not share one.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How often a worker that runs nothing tells the engine that it lives and hears what it is told to do, 100 ms to 30 s;
    /// default 5 s. One that runs jobs does so each half second, if not more often.
    pub const fn beat(mut self, beat: Duration) -> Self {
        self.beat = beat;
        self
    }

    /// Is told what the worker does.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Makes what is left to chance (order of queues, pauses, name) repeatable; default: a new seed each time.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The switch that stops the worker; default: one that only [`Worker::shutdown`] gives out.
    pub fn shutdown(mut self, shutdown: Shutdown) -> Self {
        self.shutdown = shutdown;
        self
    }

    /// Checks everything and makes the worker, which does nothing yet.
    ///
    /// # Errors
    ///
    /// `BADARG` for a number or a time out of range, a name of wrong length, no queue, more than 1,000 of them, or one twice.
    pub fn build(self) -> Result<Worker, Error> {
        check_queues(&self.queues)?;
        check_range("concurrency", self.concurrency, CONCURRENCY_MAX)?;
        check_beat(self.beat)?;
        let mut chance = self.seed.map_or_else(Chance::from_system, Chance::seeded);
        let host = host();
        let name = self.name.unwrap_or_else(|| {
            // The random part keeps apart what shares host and process id: containers, and workers of one process.
            let host = &host[..host.floor_char_boundary(200)];
            format!("{host}:{}:{:06x}", std::process::id(), chance.number() >> 40)
        });
        check_name("worker", &name)?;
        let plan = Plan { queues: self.queues.into(), handlers: Arc::new(self.handlers), quiet: false };
        let shared = Shared {
            engine: self.engine,
            name,
            host,
            concurrency: self.concurrency,
            stop_within: self.stop_within,
            beat: self.beat,
            plan: watch::Sender::new(plan),
            held: Held::new(),
            link: Link::new(),
            bringing: RwLock::default(),
            outbox: Arc::new(Outbox::default()),
            observer: self.observer,
            tally: Tally::default(),
            attempts: TaskTracker::new(),
            chance: Mutex::new(chance),
            started: Instant::now(),
            told_to_stop: CancellationToken::new(),
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
            kill: CancellationToken::new(),
        };
        Ok(Worker::new(Arc::new(shared), self.grace, self.shutdown))
    }

    /// Builds and runs the worker until it is stopped, see [`Worker::run`].
    ///
    /// # Errors
    ///
    /// As [`WorkerBuilder::build`] and [`Worker::run`].
    pub async fn run(self) -> Result<(), Error> {
        self.build()?.run().await
    }
}

/// Checks the queues of a worker.
pub(crate) fn check_queues(queues: &[(String, u32)]) -> Result<(), Error> {
    if queues.is_empty() || queues.len() > Limits::LEASE_QUEUES {
        return Err(Error::bad_arg("queues", queues.len(), &format!("1 to {} queues", Limits::LEASE_QUEUES)));
    }
    for (at, (queue, weight)) in queues.iter().enumerate() {
        check_name("queue", queue)?;
        check_range(&format!("weight of queue {queue}"), *weight, WEIGHT_MAX)?;
        if queues[..at].iter().any(|(other, _)| other == queue) {
            return Err(Error::bad_arg("queue", queue, "each queue once"));
        }
    }
    Ok(())
}

/// Checks how often a worker beats.
pub(crate) fn check_beat(beat: Duration) -> Result<(), Error> {
    match beat {
        beat if (BEAT_MIN..=BEAT_MAX).contains(&beat) => Ok(()),
        beat => {
            let shown = duration::show_ms(u64::try_from(beat.as_millis()).unwrap_or(u64::MAX));
            Err(Error::bad_arg("beat", shown, "100ms to 30s"))
        }
    }
}

fn check_range(field: &str, value: u32, max: u32) -> Result<(), Error> {
    match value {
        value if (1..=max).contains(&value) => Ok(()),
        value => Err(Error::bad_arg(field, value, &format!("an integer from 1 to {max}"))),
    }
}

pub(crate) fn check_name(field: &str, name: &str) -> Result<(), Error> {
    match is_name(name) {
        true => Ok(()),
        false => Err(Error::bad_arg(field, name, "1 to 255 bytes of text without control characters")),
    }
}

/// The machine's name for itself.
fn host() -> String {
    match rustix::system::uname().nodename().to_string_lossy() {
        name if name.is_empty() => "localhost".to_owned(),
        name => name.into_owned(),
    }
}
