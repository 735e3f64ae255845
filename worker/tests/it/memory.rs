//! The whole way over a real engine: enqueue, lease, run, settle, look.

use std::sync::Arc;
use std::time::Duration;

use queue_core::Queue;
use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{Backoff, DeadReason, Error, Job, JobState, LeaseOutcome, LogSource};
use tokio::sync::Notify;
use worker::{Context, HandlerError, Shutdown, Stop, Worker, WorkerBuilder};

const WAIT: Duration = Duration::from_secs(20);

async fn engine() -> Arc<dyn Engine> {
    queue_core::connect("memory:").await.expect("memory is always there")
}

/// A running worker of the queue `emails`.
struct Running {
    engine: Arc<dyn Engine>,
    queue: Queue,
    shutdown: Shutdown,
    worker: tokio::task::JoinHandle<Result<(), Error>>,
}

impl Running {
    async fn with(adjust: impl FnOnce(WorkerBuilder) -> WorkerBuilder) -> Self {
        let (engine, shutdown) = (engine().await, Shutdown::new());
        let worker = adjust(Worker::builder(&engine).queue("emails", 1)).shutdown(shutdown.clone()).run();
        let worker = tokio::spawn(worker);
        Self { queue: Queue::new(&engine, "emails"), engine, shutdown, worker }
    }

    /// Stops the worker, and looks whether the books balance.
    async fn stop(self) {
        self.shutdown.request();
        self.worker.await.expect("no panic").expect("a clean end");
        let stats = self.engine.stats().await.expect("stats");
        assert!(stats.counts.balanced(), "{stats:?}");
        assert_eq!(stats.counts.active, 0);
        assert!(self.engine.all_workers().await.expect("a registry").is_empty(), "it took its leave");
    }
}

/// The outcome of each lease with the kind of its error.
fn timeline(job: &Job) -> Vec<(LeaseOutcome, &str)> {
    job.leases.iter().map(|lease| (lease.outcome, lease.error_kind.as_deref().unwrap_or(""))).collect()
}

#[tokio::test]
async fn a_job_runs_and_its_result_progress_and_log_are_there() {
    let running = Running::with(|worker| {
        worker.handler("send", async |to: String, context: Context| {
            context.log(format!("to {to}"));
            context.progress(50).await?;
            Ok(to.len())
        })
    })
    .await;
    let job = running.queue.add("send", "a@b").await.expect("added").wait(WAIT).await.expect("done");
    assert_eq!(job.summary.state, JobState::Completed);
    assert_eq!((job.result.as_deref(), job.progress.as_deref()), (Some(&b"3"[..]), Some(&b"50"[..])));
    let log = running.engine.job_log(job.summary.number.into(), 0).await.expect("a log");
    assert_eq!(log.lines.len(), 1);
    assert_eq!((log.lines[0].source, log.lines[0].text.as_str()), (LogSource::Out, "to a@b"));
    running.stop().await;
}

#[tokio::test]
async fn a_job_is_tried_again_until_it_succeeds() {
    let running = Running::with(|worker| {
        worker.handler("send", async |(): (), context: Context| match context.attempt() {
            1 | 2 => Err(HandlerError::failed("not yet")),
            attempt => Ok(attempt),
        })
    })
    .await;
    let job = running.queue.add("send", &()).backoff(Backoff::fixed(20)).await.expect("added");
    let job = job.wait(WAIT).await.expect("done");
    assert_eq!(job.result.as_deref(), Some(&b"3"[..]));
    let failed = (LeaseOutcome::Failed, "error");
    assert_eq!(timeline(&job), [failed, failed, (LeaseOutcome::Completed, "")]);
    running.stop().await;
}

#[tokio::test]
async fn what_cannot_succeed_ends_in_the_dead_letters_with_its_reason() {
    let running = Running::with(|worker| {
        let worker = worker.handler("reject", async |(): (), _: Context| Err::<(), _>(HandlerError::reject("no")));
        let worker = worker.handler("payload", async |_: u32, _: Context| Ok(()));
        worker.handler("panic", async |(): (), _: Context| -> Result<(), HandlerError> { panic!("at the disco") })
    })
    .await;
    for (name, reason, kind) in [
        ("reject", DeadReason::Rejected, "rejected"),
        ("payload", DeadReason::Rejected, "payload"),
        ("panic", DeadReason::Exhausted, "panic"),
        ("unknown", DeadReason::Exhausted, "no-handler"),
    ] {
        let job = running.queue.add(name, &()).attempts(1).await.expect("added").wait(WAIT).await.expect("done");
        assert_eq!((job.summary.state, job.summary.reason), (JobState::Dead, Some(reason)), "{name}");
        assert_eq!(timeline(&job), [(LeaseOutcome::Failed, kind)], "{name}");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_attempt_out_of_time_fails() {
    let running = Running::with(|worker| {
        worker.handler("send", async |(): (), context: Context| {
            Err::<(), _>(HandlerError::failed(format!("{:?}", context.cancelled().await)))
        })
    })
    .await;
    let job = running.queue.add("send", &()).attempts(1).timeout(Duration::from_millis(50));
    let job = job.await.expect("added").wait(WAIT).await.expect("done");
    assert_eq!(timeline(&job), [(LeaseOutcome::Failed, "timeout")]);
    assert_eq!(job.leases[0].error.as_deref(), Some("timed out after 50ms; it then failed: TimedOut"));
    running.stop().await;
}

/// A worker whose handler says when it started and waits until it is told to stop.
async fn waiting(started: &Arc<Notify>) -> Running {
    let started = Arc::clone(started);
    Running::with(move |worker| {
        worker.grace(Duration::from_millis(50)).handler("send", move |(): (), context: Context| {
            let started = Arc::clone(&started);
            async move {
                started.notify_one();
                match context.cancelled().await {
                    Stop::Cancelled(reason) => Err::<(), _>(HandlerError::failed(reason)),
                    other => Err(HandlerError::failed(format!("{other:?}"))),
                }
            }
        })
    })
    .await
}

#[tokio::test]
async fn a_cancel_reaches_the_handler_and_the_job_is_cancelled() {
    let started = Arc::new(Notify::new());
    let running = waiting(&started).await;
    let job = running.queue.add("send", &()).await.expect("added");
    started.notified().await;
    assert_eq!(job.cancel().await.expect("an active job can be cancelled"), JobState::Active);
    let job = job.wait(WAIT).await.expect("done");
    assert_eq!(job.summary.state, JobState::Cancelled);
    running.stop().await;
}

#[tokio::test]
async fn a_forced_removal_stops_the_handler_and_settles_nothing() {
    let started = Arc::new(Notify::new());
    let running = waiting(&started).await;
    let job = running.queue.add("send", &()).await.expect("added");
    started.notified().await;
    let verb = queue_core::model::JobVerb::Remove { force: true };
    running.engine.job_verb(&Default::default(), job.number().into(), verb).await.expect("removed");
    // The next job needs no free slot; that the first one's lease is gone is seen by a stop that need not wait for it.
    let stop = tokio::time::timeout(Duration::from_secs(5), running.stop());
    stop.await.expect("nothing is held any more");
}

#[tokio::test]
async fn a_stop_gives_back_what_does_not_end() {
    let started = Arc::new(Notify::new());
    let running = waiting(&started).await;
    let job = running.queue.add("send", &()).await.expect("added");
    started.notified().await;
    running.stop().await;
    let job = job.show().await.expect("kept");
    assert_eq!((job.summary.state, job.summary.attempt), (JobState::Waiting, 0));
    assert_eq!(timeline(&job), [(LeaseOutcome::Released, "")]);
}

#[tokio::test]
async fn a_thousand_jobs_run_once_each() {
    let running = Running::with(|worker| {
        worker.concurrency(50).handler("count", async |number: u32, _: Context| {
            tokio::task::yield_now().await;
            Ok(number)
        })
    })
    .await;
    let jobs = (0..1_000u32).map(|number| queue_core::model::NewJob::new("count", number.to_string()));
    let jobs = running.queue.add_many(jobs).await.expect("added");
    for (number, job) in jobs.iter().enumerate() {
        let job = job.wait(WAIT).await.expect("done");
        assert_eq!(job.result.as_deref(), Some(number.to_string().as_bytes()));
        assert_eq!(job.leases.len(), 1);
    }
    running.stop().await;
}
