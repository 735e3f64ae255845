//! What the pages are looked at with: a store with jobs in every state, and a queue that is always busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{
    BulkVerb, Context, FailureFilter, FailureOrder, JobFilter, JobNumber, JobState, LeaseOrder, LeaseRef, Outcome,
    SettingsPatch,
};
use queue_core::{Queue, connect};
use worker::Shutdown;

use crate::jobs;

const DAY: Duration = Duration::from_hours(24);
/// Jobs that wait for the busy worker, at least.
const AHEAD: u64 = 20_000;

/// One of each, to be named in a page's path.
pub(super) struct Examples {
    pub(super) waiting: JobNumber,
    pub(super) dead: JobNumber,
    pub(super) completed: JobNumber,
    pub(super) fingerprint: String,
    pub(super) operation: String,
}

/// Fills an empty store: half of the jobs wait in `emails`, a fifth in ten smaller queues; a tenth each is delayed, dead of
/// twenty causes, and completed.
pub(super) async fn fill(engine: &Arc<dyn Engine>, number: u64, now: SystemTime) -> Result<Examples> {
    let tenth = number / 10;
    jobs::fill(engine, "emails", tenth * 5, None).await?;
    for tenant in 0..10 {
        jobs::fill(engine, &format!("tenant-{tenant}"), tenth / 5, None).await?;
    }
    jobs::fill(engine, "reports", tenth, Some(now + DAY)).await?;
    let keep = SettingsPatch::from_json(br#"{"keep_completed":100000000}"#)?;
    engine.set_queue(&Context::default(), "images", keep).await?;
    jobs::fill(engine, "images", tenth, None).await?;
    jobs::drain(engine, "images").await?;
    jobs::fill(engine, "imports", tenth, None).await?;
    // Letters, since numbers are no part of what tells one cause from another.
    let cause = |number: JobNumber| format!("no route to host {}", "abcdefgh".repeat(number.0 as usize % 20 + 1));
    jobs::reject(engine, "imports", cause).await?;
    let filter = JobFilter { queue: Some("imports".into()), name: Some("none".into()), ..JobFilter::default() };
    let operation = engine.start_operation(&Context::default(), BulkVerb::Retry, filter).await?;
    Ok(Examples {
        waiting: first(engine, "emails", JobState::Waiting).await?,
        dead: first(engine, "imports", JobState::Dead).await?,
        completed: with_result(engine).await?,
        fingerprint: engine
            .failures(FailureFilter::default(), FailureOrder::Hour, None, 1)
            .await?
            .groups
            .first()
            .context("no cause")?
            .fingerprint
            .clone(),
        operation: operation.operation.0.to_string(),
    })
}

async fn first(engine: &Arc<dyn Engine>, queue: &str, state: JobState) -> Result<JobNumber> {
    let filter = JobFilter { queue: Some(queue.into()), states: vec![state], ..JobFilter::default() };
    let page = engine.jobs(filter, None, 1).await?;
    Ok(page.jobs.first().with_context(|| format!("{queue} has no {state} job"))?.number)
}

/// A completed job that has a result.
async fn with_result(engine: &Arc<dyn Engine>) -> Result<JobNumber> {
    let number = Queue::new(engine, "results").add_bytes("send", jobs::payload()).await?.number();
    let order = LeaseOrder { queues: vec!["results".into()], limit: 1, worker: "bench".into(), lease_ms: None };
    let leased = engine.lease_now(order).await?;
    let job = leased.first().context("the job was not leased")?;
    let outcome = Outcome::Complete { result: Some(jobs::payload().into()) };
    engine.settle(LeaseRef { number: job.number, token: job.token }, outcome).await?;
    Ok(number)
}

/// A producer and a worker at full speed, each on a thread and a connection of its own, until it is dropped.
pub(super) struct Busy {
    stop: Arc<AtomicBool>,
    shutdown: Shutdown,
    ended: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Busy {
    pub(super) fn start(url: &str) -> Result<Self> {
        let (stop, shutdown, ended) = (Arc::new(AtomicBool::new(false)), Shutdown::new(), Arc::new(AtomicU64::new(0)));
        let (stopped, counted, told) = (Arc::clone(&stop), Arc::clone(&ended), shutdown.clone());
        let producer = on_thread(url, async move |engine| {
            while !stopped.load(Ordering::Relaxed) {
                let waiting = engine.queue("busy").await.map_or(0, |queue| queue.counts.waiting);
                match AHEAD.checked_sub(waiting) {
                    Some(1..) => jobs::fill(&engine, "busy", AHEAD / 2, None).await?,
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
            Ok(())
        })?;
        let worker = on_thread(url, async move |engine| {
            let count = move || {
                counted.fetch_add(1, Ordering::Relaxed);
            };
            Ok(jobs::no_op(&engine, "busy", count).shutdown(told).run().await?)
        })?;
        Ok(Self { stop, shutdown, ended, threads: vec![producer, worker] })
    }

    /// Jobs that ended until now.
    pub(super) fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Ends both.
    pub(super) fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.shutdown.request();
        for thread in self.threads {
            thread.join().ok().context("the load panicked")??;
        }
        ensure!(self.ended.load(Ordering::Relaxed) > 0, "no job ended");
        Ok(())
    }
}

fn on_thread<F>(url: &str, work: F) -> Result<JoinHandle<Result<()>>>
where
    F: AsyncFnOnce(Arc<dyn Engine>) -> Result<()> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let engine = runtime.block_on(connect(url))?;
    Ok(std::thread::spawn(move || runtime.block_on(work(engine))))
}
