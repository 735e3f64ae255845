//! The rig of one case: the engine under test, and short words for what cases do with it.
//!
//! Helpers panic with what was expected and what came. A case waits for a condition, never for a time: on an engine
//! with driven time `pass` moves its clock, on one with real time the condition is polled until a deadline.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::Home;
use crate::engine::{Engine, EngineExt};
use crate::model::{
    Command, Context, Enqueued, Error, Job, JobNumber, JobOptions, JobRef, JobState, JobVerb, LeaseOrder, LeaseRef,
    LeasedJob, NewJob, Outcome, QueueCounts, QueueSettings, Reply, SettingsPatch, Settled, Word,
};

/// Real time after which a condition that should have come is given up, beyond the time the case asked for.
const PATIENCE: Duration = Duration::from_secs(20);

/// Real time after which a case hangs.
const CASE_LIMIT: Duration = Duration::from_secs(60);

/// The name under which cases lease.
pub(crate) const WORKER: &str = "suite";

/// The engine under test in its home.
pub struct Rig {
    home: Box<dyn Home>,
    /// `None` only while the engine is down.
    engine: Mutex<Option<Arc<dyn Engine>>>,
}

/// A case as [`run`] takes it: boxed, so that the runtime under it is compiled once and not anew for each case.
pub type Case = for<'rig> fn(&'rig Rig) -> Pin<Box<dyn Future<Output = ()> + 'rig>>;

/// Runs one case: opens a new store, runs it, checks the books and closes.
pub fn run(home: Box<dyn Home>, case: Case) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be made").block_on(async {
        let engine = Mutex::new(Some(home.open().await));
        let rig = Rig { home, engine };
        let whole = async {
            case(&rig).await;
            rig.check_books().await;
            rig.engine().close().await.expect("the engine closes");
        };
        tokio::time::timeout(CASE_LIMIT, whole).await.expect("a case comes to its end");
    });
}

#[expect(clippy::disallowed_methods, reason = "a test's patience is real time, whatever drives the engine's")]
async fn poll(what: &str, patience: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what}: it did not come within {patience:?}");
        // Not the runtime's timer: a thread of it that a case holds in a sync may be the one that would drive that. Tasks
        // have threads of their own.
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A context with this actor and reason.
pub fn context(actor: &str, reason: &str) -> Context {
    Context { actor: actor.to_owned(), reason: reason.to_owned() }
}

/// The proof of this lease.
pub(crate) fn proof(leased: &LeasedJob) -> LeaseRef {
    LeaseRef { number: leased.number, token: leased.token }
}

/// An order for up to `limit` jobs of one queue.
pub(crate) fn order(queue: &str, limit: u32) -> LeaseOrder {
    LeaseOrder { queues: vec![queue.to_owned()], limit, worker: WORKER.to_owned(), lease_ms: None }
}

/// A retryable failure with this text.
pub(crate) fn failure(error: &str) -> Outcome {
    Outcome::Fail { kind: "exit".into(), error: error.into(), retryable: true }
}

/// `count` jobs named `work` with payloads `0`, `1`, ….
pub(crate) fn numbered(count: usize) -> Vec<NewJob> {
    (0..count).map(|at| NewJob::new("work", at.to_string())).collect()
}

impl Rig {
    /// The engine as it is now; another one after a restart.
    pub fn engine(&self) -> Arc<dyn Engine> {
        self.slot().clone().expect("the engine is up")
    }

    /// The engine's home, for its hooks.
    pub fn home(&self) -> &dyn Home {
        &*self.home
    }

    fn slot(&self) -> MutexGuard<'_, Option<Arc<dyn Engine>>> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the engine out, so that whatever it holds open can go with its last handle.
    fn take(&self) -> Arc<dyn Engine> {
        self.slot().take().expect("the engine is up")
    }

    async fn open(&self) {
        let engine = self.home.open().await;
        *self.slot() = Some(engine);
    }

    /// Closes the engine and opens its store again.
    pub async fn reopen(&self) {
        self.down().await;
        self.up().await;
    }

    /// Closes the engine.
    pub async fn down(&self) {
        self.take().close().await.expect("the engine closes");
    }

    /// Opens the store after [`Rig::down`].
    pub async fn up(&self) {
        self.open().await;
    }

    /// Ends the engine as kill -9 would and opens its store again.
    pub async fn crash(&self) {
        self.home.crash(self.take()).await;
        self.open().await;
    }

    /// Ends the engine as a power cut would and opens its store again.
    pub async fn power_cut(&self) {
        self.home.power_cut(self.take()).await;
        self.open().await;
    }

    /// Begins a call that has to wait, and returns once it waits at the engine: nobody who begins later comes before it.
    pub async fn begin<T: Send + 'static>(&self, call: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        let before = self.home.waiting_calls().await;
        let mut call = Box::pin(call);
        let ready = std::future::poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
        assert!(!ready, "nothing is ready, so the call waits");
        let handle = tokio::spawn(call);
        if let Some(before) = before {
            // One that has ended meanwhile came before everybody later, too.
            let waits = async || handle.is_finished() || self.home.waiting_calls().await > Some(before);
            self.until("the call waits", waits).await;
        }
        handle
    }

    /// Moves the driven clock on by `ms`. Only for cases of the group `driven`.
    pub fn advance(&self, ms: u64) {
        assert!(self.home.advance(ms), "this engine's time can't be driven: leave out the group `driven`");
    }

    /// Lets `ms` pass and then waits for the condition, which must come within 20 s more.
    pub async fn pass(&self, ms: u64, what: &str, condition: impl AsyncFnMut() -> bool) {
        let passes = if self.home.advance(ms) { Duration::ZERO } else { Duration::from_millis(ms) };
        poll(&format!("{what} after {ms} ms"), passes + PATIENCE, condition).await;
    }

    /// Lets time run on in steps of `ms` until the condition comes: for waits that may begin later than the call.
    pub async fn run_on(&self, ms: u64, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        poll(what, PATIENCE, async || {
            self.home.advance(ms);
            condition().await
        })
        .await;
    }

    /// Waits for the condition, without moving the clock.
    pub async fn until(&self, what: &str, condition: impl AsyncFnMut() -> bool) {
        poll(what, PATIENCE, condition).await;
    }

    /// Lets `ms` pass and waits until the job is in `state`.
    pub async fn pass_to(&self, ms: u64, number: JobNumber, state: JobState) {
        self.pass(ms, &format!("job {number} becomes {state}"), async || self.state(number).await == state).await;
    }

    /// Executes one command that must be answered.
    pub async fn done(&self, command: Command) -> Reply {
        let shown = format!("{command:?}");
        match self.engine().one(&Context::default(), command).await {
            Ok(reply) => reply,
            Err(error) => panic!("{} {error}: {shown:.200}", error.word),
        }
    }

    /// Executes one command that must be refused and change nothing.
    pub async fn refused(&self, command: Command) -> Error {
        let before = self.hash().await;
        let shown = format!("{command:?}");
        let error = match self.engine().one(&Context::default(), command).await {
            Ok(reply) => panic!("not refused but answered {reply:?}: {shown:.200}"),
            Err(error) => error,
        };
        assert_eq!(self.hash().await, before, "what was refused with `{error}` changed the state");
        error
    }

    /// Executes one command that must be refused with exactly this word and message, and change nothing.
    pub async fn check_refused(&self, command: Command, word: Word, message: &str) {
        let error = self.refused(command).await;
        assert_eq!((error.word, error.message.as_str()), (word, message));
    }

    /// Enqueues jobs that must all be taken.
    pub async fn enqueue(&self, queue: &str, jobs: Vec<NewJob>) -> Vec<Enqueued> {
        self.engine().enqueue(queue, jobs).await.expect("the enqueue is taken")
    }

    /// Enqueues one job with these options.
    pub async fn add_with(&self, queue: &str, options: JobOptions) -> JobNumber {
        self.enqueue(queue, vec![NewJob::new("work", "{}").with(options)]).await[0].number
    }

    /// Enqueues one job with default options.
    pub async fn add(&self, queue: &str) -> JobNumber {
        self.add_with(queue, JobOptions::default()).await
    }

    /// Enqueues `count` jobs with payloads `0`, `1`, … in one batch.
    pub async fn add_many(&self, queue: &str, count: usize) -> Vec<JobNumber> {
        self.enqueue(queue, numbered(count)).await.into_iter().map(|enqueued| enqueued.number).collect()
    }

    /// Leases up to `limit` jobs of `queue` that are ready now.
    pub async fn lease_up_to(&self, queue: &str, limit: u32) -> Vec<LeasedJob> {
        self.engine().lease_now(order(queue, limit)).await.expect("the lease is answered")
    }

    /// Leases the next job of `queue`, if one is ready now.
    pub async fn try_lease(&self, queue: &str) -> Option<LeasedJob> {
        self.lease_up_to(queue, 1).await.pop()
    }

    /// Leases the next job of `queue`, which must be ready now.
    pub async fn lease(&self, queue: &str) -> LeasedJob {
        self.try_lease(queue).await.expect("a job is ready")
    }

    /// Asserts that no job of `queue` is ready.
    pub async fn nothing_ready(&self, queue: &str) {
        let leased = self.try_lease(queue).await;
        assert_eq!(leased.map(|leased| leased.number), None, "nothing may be handed out of {queue} now");
    }

    /// Leases all that is ready, in the order in which it is handed out.
    pub async fn drain(&self, queue: &str) -> Vec<JobNumber> {
        self.lease_up_to(queue, 1_000).await.into_iter().map(|leased| leased.number).collect()
    }

    /// Settles a lease; the settlement must count.
    pub async fn settle(&self, leased: &LeasedJob, outcome: Outcome) {
        let settled = self.engine().settle(proof(leased), outcome).await;
        assert_eq!(settled, Ok(Settled::Counted), "settling job {}", leased.number);
    }

    /// Completes a lease without a result.
    pub async fn complete(&self, leased: &LeasedJob) {
        self.settle(leased, Outcome::Complete { result: None }).await;
    }

    /// Fails a lease retryably.
    pub async fn fail(&self, leased: &LeasedJob) {
        self.settle(leased, failure("it broke")).await;
    }

    /// Carries out a verb that must be allowed; answers the state after it.
    pub async fn verb(&self, number: JobNumber, verb: JobVerb) -> JobState {
        let done = self.engine().job_verb(&context("suite", "test"), number.into(), verb).await;
        let (changed, state) = done.expect("the verb is allowed");
        assert_eq!(changed, number, "the verb names the job it changed");
        state
    }

    /// Cancels a job.
    pub async fn cancel(&self, number: JobNumber) -> JobState {
        self.verb(number, JobVerb::Cancel).await
    }

    /// Removes a job.
    pub async fn remove(&self, number: JobNumber) {
        self.verb(number, JobVerb::Remove { force: false }).await;
    }

    /// The job as it is shown.
    pub async fn job(&self, number: JobNumber) -> Job {
        self.engine().job(number.into()).await.unwrap_or_else(|error| panic!("job {number}: {error}"))
    }

    /// The job's state.
    pub async fn state(&self, number: JobNumber) -> JobState {
        self.job(number).await.summary.state
    }

    /// Asserts that the job is gone.
    pub async fn gone(&self, number: JobNumber) {
        let error = self.engine().job(JobRef::Number(number)).await.expect_err("the job is gone");
        assert_eq!(error, Error::no_job(number));
    }

    /// Whether the job is kept.
    pub async fn kept(&self, number: JobNumber) -> bool {
        self.engine().job(number.into()).await.is_ok()
    }

    /// The queue's counts.
    pub async fn counts(&self, queue: &str) -> QueueCounts {
        self.engine().queue(queue).await.expect("the queue exists").counts
    }

    /// The digest of the whole state.
    pub async fn hash(&self) -> String {
        self.engine().stats().await.expect("stats are answered").state_hash
    }

    /// Changes the queue's settings.
    pub async fn set(&self, queue: &str, set: QueueSettings) {
        let patch = SettingsPatch { set, reset: Vec::new() };
        self.engine().set_queue(&context("suite", ""), queue, patch).await.expect("the settings are taken");
    }

    /// Checks that the books of every queue and of the store balance; an engine that failed for good is left alone.
    pub async fn check_books(&self) {
        loop {
            let before = match self.engine().stats().await {
                Err(error) if error.word == Word::Unknown => return,
                before => before.expect("stats are answered"),
            };
            let queues = self.engine().all_queues().await.expect("queues are answered");
            let stats = self.engine().stats().await.expect("stats are answered");
            if before.state_hash != stats.state_hash {
                // Time did something in between; it ends.
                continue;
            }
            let mut total = QueueCounts::default();
            for view in &queues {
                assert!(view.counts.balanced(), "the books of {} do not balance: {:?}", view.queue, view.counts);
                total.add(&view.counts);
            }
            let sums = (total, queues.len() as u64);
            assert_eq!((stats.counts, stats.queues), sums, "the store's totals are its queues' sums");
            assert_eq!(stats.version, env!("CARGO_PKG_VERSION"), "it says which version it is");
            return;
        }
    }
}
