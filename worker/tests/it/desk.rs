//! A scripted engine: hands out what a test puts on it, writes down every call with its time, and fails or waits on
//! demand. It has no rules of its own, so that a test says what the engine answers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use queue_core::engine::{Answer, Engine};
use queue_core::model::{
    BackupReport, Beat, Capabilities, Command, Context, Error, EventPage, EventsBack, Extension, Figures, Job,
    JobNumber, JobRef, LeaseOrder, LeaseRequest, LeaseToken, LeasedJob, LogLine, Orders, Outcome, Reply, Settled, Word,
    WorkerOrder, WorkerPage, WorkerView,
};
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, timeout};
use worker::{Worker, WorkerBuilder};

/// A worker whose handler `send` ends once for each permit.
pub(crate) fn gated(desk: &Arc<Desk>, concurrency: u32) -> (WorkerBuilder, Arc<Semaphore>) {
    let gate = Arc::new(Semaphore::new(0));
    let worker = desk.worker().concurrency(concurrency).handler("send", {
        let gate = Arc::clone(&gate);
        move |(): (), _: worker::Context| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await?.forget();
                Ok(())
            }
        }
    });
    (worker, gate)
}

/// One call, as the engine saw it.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    Lease(LeaseOrder),
    Execute(Vec<Command>),
    Beat(Beat),
}

/// The engine and its book.
pub(crate) struct Desk {
    state: Mutex<State>,
    changed: Notify,
    /// Calls of `execute` that may pass.
    gate: Semaphore,
    /// Beats that may pass.
    beat_gate: Semaphore,
}

/// Permits of an open gate.
const OPEN: usize = 1_000_000;

#[derive(Default)]
struct State {
    ready: VecDeque<LeasedJob>,
    last: u64,
    calls: Vec<(Instant, Call)>,
    orders: Orders,
    extension: Option<Extension>,
    failure: Option<Error>,
    refusal: Option<Error>,
    full: Option<usize>,
    here: bool,
    outcomes: Vec<(JobNumber, Outcome)>,
    lines: Vec<(JobNumber, LogLine)>,
}

impl Desk {
    pub(crate) fn new() -> Arc<Self> {
        let (gate, beat_gate) = (Semaphore::new(OPEN), Semaphore::new(OPEN));
        Arc::new(Self { state: Mutex::default(), changed: Notify::new(), gate, beat_gate })
    }

    /// A worker over it that serves the queue `q`.
    pub(crate) fn worker(self: &Arc<Self>) -> WorkerBuilder {
        let engine: Arc<dyn Engine> = Arc::clone(self) as _;
        Worker::builder(&engine).queue("q", 1).seed(1)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics under this lock")
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.lock());
        self.changed.notify_waiters();
        changed
    }

    /// Puts a job on the desk, as `adjust` likes it.
    pub(crate) fn job(&self, name: &str, adjust: impl FnOnce(&mut LeasedJob)) -> JobNumber {
        self.change(|state| {
            state.last += 1;
            let mut job = LeasedJob {
                number: JobNumber(state.last),
                token: LeaseToken(state.last),
                queue: "q".to_owned(),
                name: name.to_owned(),
                id: None,
                attempt: 1,
                attempts: 3,
                lease_ms: 30_000,
                timeout_ms: None,
                enqueued_at_ms: 0,
                headers: Default::default(),
                payload: "null".into(),
            };
            adjust(&mut job);
            state.ready.push_back(job);
            JobNumber(state.last)
        })
    }

    /// The next beat is answered with this.
    pub(crate) fn order(&self, orders: Orders) {
        self.change(|state| state.orders = orders);
    }

    /// Every extension is answered with this; `None`: granted.
    pub(crate) fn extend_with(&self, extension: Option<Extension>) {
        self.change(|state| state.extension = extension);
    }

    /// Every call fails with this word; `None`: none does.
    pub(crate) fn fail_with(&self, word: Option<Word>) {
        self.change(|state| state.failure = word.map(|word| Error::new(word, "the test says so")));
    }

    /// It is an engine of this process, not one behind a connection.
    pub(crate) fn is_here(&self) {
        self.change(|state| state.here = true);
    }

    /// How many jobs nobody has leased.
    pub(crate) fn ready(&self) -> usize {
        self.lock().ready.len()
    }

    /// Every settlement is refused with this word.
    pub(crate) fn refuse_with(&self, word: Option<Word>) {
        self.change(|state| state.refusal = word.map(|word| Error::new(word, "the test says so")));
    }

    /// There is no room for leases, extensions and log lines, and for so many settlements in one call; `None`: for all.
    pub(crate) fn full(&self, room: Option<usize>) {
        self.change(|state| state.full = room);
    }

    /// Holds back every call of `execute` until [`Desk::open`].
    pub(crate) fn shut(&self) {
        self.gate.forget_permits(OPEN);
    }

    pub(crate) fn open(&self) {
        self.gate.add_permits(OPEN);
    }

    /// Holds back the answer of every beat until [`Desk::open_beats`].
    pub(crate) fn shut_beats(&self) {
        self.beat_gate.forget_permits(OPEN);
    }

    pub(crate) fn open_beats(&self) {
        self.beat_gate.add_permits(OPEN);
    }

    /// Every call so far, with its time.
    pub(crate) fn calls(&self) -> Vec<(Instant, Call)> {
        self.lock().calls.clone()
    }

    /// The beats so far, with their times.
    pub(crate) fn beats(&self) -> Vec<(Instant, Beat)> {
        let beat = |(at, call)| if let Call::Beat(beat) = call { Some((at, beat)) } else { None };
        self.calls().into_iter().filter_map(beat).collect()
    }

    /// What was settled so far, in order.
    pub(crate) fn outcomes(&self) -> Vec<(JobNumber, Outcome)> {
        self.lock().outcomes.clone()
    }

    /// The lines logged so far.
    pub(crate) fn lines(&self) -> Vec<(JobNumber, LogLine)> {
        self.lock().lines.clone()
    }

    /// Waits until the book fulfils `wanted`.
    pub(crate) async fn until(&self, wanted: impl Fn(&Self) -> bool) {
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                if wanted(self) {
                    return;
                }
                changed.await;
            }
        };
        timeout(Duration::from_secs(3_600), waiting).await.expect("what the test waits for happens within an hour");
    }

    /// Waits for the next settlements until there are `count`, and answers the last.
    pub(crate) async fn settled(&self, count: usize) -> Outcome {
        self.until(|desk| desk.outcomes().len() >= count).await;
        self.outcomes()[count - 1].1.clone()
    }

    fn failing(&self) -> Result<(), Error> {
        self.lock().failure.clone().map_or(Ok(()), Err)
    }
}

fn no_room() -> Error {
    Error::new(Word::Full, "the test says so")
}

impl State {
    fn take(&mut self, limit: u32) -> Vec<LeasedJob> {
        let count = self.ready.len().min(limit as usize);
        self.ready.drain(..count).collect()
    }

    fn apply(&mut self, command: Command) -> Answer {
        let is_taken = match (&command, self.full) {
            (Command::Settle { settlements, .. }, Some(room)) => settlements.len() <= room,
            (_, room) => room.is_none(),
        };
        if !is_taken {
            return Err(no_room());
        }
        Ok(match command {
            Command::Settle { settlements, then_lease } => {
                let mut settled = Vec::new();
                for settlement in settlements {
                    settled.push(self.refusal.clone().map_or(Ok(Settled::Counted), Err));
                    self.outcomes.push((settlement.lease.number, settlement.outcome));
                }
                let order = then_lease.filter(|_| self.full.is_none());
                Reply::Settled { settled, leased: order.map_or(Vec::new(), |order| self.take(order.limit)) }
            }
            Command::Extend { leases, .. } => {
                let extension = self.extension.clone().unwrap_or(Extension::Extended { lease_ms: 30_000 });
                Reply::Extended(vec![extension; leases.len()])
            }
            Command::Log { lease, lines } => {
                self.lines.extend(lines.into_iter().map(|line| (lease.number, line)));
                Reply::Done
            }
            _ => Reply::Done,
        })
    }
}

#[async_trait]
impl Engine for Desk {
    fn capabilities(&self) -> Capabilities {
        Capabilities { engine: "desk", durable: false, history: false, resends: !self.lock().here, backup: false }
    }

    async fn execute(&self, _: &Context, commands: Vec<Command>) -> Result<Vec<Answer>, Error> {
        self.change(|state| state.calls.push((Instant::now(), Call::Execute(commands.clone()))));
        self.gate.acquire().await.expect("never closed").forget();
        self.gate.add_permits(1);
        self.failing()?;
        Ok(self.change(|state| commands.into_iter().map(|command| state.apply(command)).collect()))
    }

    async fn lease(&self, _: &Context, request: LeaseRequest) -> Result<Vec<LeasedJob>, Error> {
        self.change(|state| state.calls.push((Instant::now(), Call::Lease(request.order.clone()))));
        let waiting = async {
            loop {
                let changed = self.changed.notified();
                self.failing()?;
                if self.lock().full.is_some() {
                    return Err(no_room());
                }
                let jobs = self.lock().take(request.order.limit);
                if !jobs.is_empty() {
                    return Ok(jobs);
                }
                changed.await;
            }
        };
        timeout(Duration::from_millis(request.wait_ms), waiting).await.unwrap_or(Ok(Vec::new()))
    }

    async fn wait(&self, _: JobRef, _: u64) -> Result<Job, Error> {
        unreachable!("a worker waits for no job")
    }

    async fn events(&self, _: Option<String>, _: u32, _: u64) -> Result<EventPage, Error> {
        unreachable!("a worker reads no feed")
    }

    async fn events_back(&self, _: EventsBack) -> Result<EventPage, Error> {
        unreachable!("a worker reads no feed")
    }

    async fn beat(&self, beat: Beat) -> Result<Orders, Error> {
        self.change(|state| state.calls.push((Instant::now(), Call::Beat(beat))));
        self.beat_gate.acquire().await.expect("never closed").forget();
        self.beat_gate.add_permits(1);
        self.failing()?;
        Ok(self.change(|state| std::mem::take(&mut state.orders)))
    }

    async fn workers(&self, _: Option<String>, _: u32) -> Result<WorkerPage, Error> {
        unreachable!("a worker lists no workers")
    }

    async fn worker(&self, _: String) -> Result<WorkerView, Error> {
        unreachable!("a worker looks at no worker")
    }

    async fn order_worker(&self, _: &Context, _: String, _: WorkerOrder) -> Result<WorkerView, Error> {
        unreachable!("a worker orders nobody")
    }

    async fn figures(&self) -> Result<Figures, Error> {
        unreachable!("a worker asks for no figures")
    }

    async fn backup(&self, _: Option<String>) -> Result<BackupReport, Error> {
        unreachable!("a worker makes no backups")
    }

    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
}
