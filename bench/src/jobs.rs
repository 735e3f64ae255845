//! Jobs by the thousand, as users make and work them: by our client, over one connection, each piece to its end.
//!
//! Every function answers once the store is in the state that its name says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use anyhow::{Context as _, Result};
use queue_core::Queue;
use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{
    Command, Context, JobNumber, LeaseOrder, LeaseRef, LeasedJob, NewJob, Outcome, Reply, Settlement,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use worker::{Activity, HandlerError, Shutdown, Worker, WorkerBuilder};

const BATCH: u64 = 1000;

/// 190 bytes of JSON.
pub(crate) fn payload() -> Vec<u8> {
    format!(r#"{{"to":"ann@example.com","text":"{}"}}"#, "x".repeat(156)).into_bytes()
}

/// Adds `jobs` to `queue` in batches of 1,000, two in flight, due at `run_at` where there is one.
pub(crate) async fn fill(engine: &Arc<dyn Engine>, queue: &str, jobs: u64, run_at: Option<SystemTime>) -> Result<()> {
    let (mut left, mut lanes) = (jobs, JoinSet::new());
    loop {
        while left > 0 && lanes.len() < 2 {
            let size = left.min(BATCH);
            left -= size;
            let queue = Queue::new(engine, queue);
            lanes.spawn(async move {
                let one = |_| {
                    let add = queue.add_bytes("send", payload());
                    run_at.map_or(add.clone(), |time| add.clone().run_at(time)).into_job()
                };
                let batch = (0..size).map(one).collect::<Result<Vec<NewJob>, _>>()?;
                queue.add_many(batch).await?;
                anyhow::Ok(())
            });
        }
        match lanes.join_next().await {
            Some(added) => added??,
            None => return Ok(()),
        }
    }
}

/// A worker of concurrency 100 for `queue` whose handler does nothing; `ended` is told of each end.
pub(crate) fn no_op(engine: &Arc<dyn Engine>, queue: &str, ended: impl Fn() + Send + Sync + 'static) -> WorkerBuilder {
    let observer = move |activity: Activity<'_>| {
        if matches!(activity, Activity::Ended { .. }) {
            ended();
        }
    };
    Worker::builder(engine)
        .queue(queue, 1)
        .concurrency(100)
        .handler("send", async |_: serde::de::IgnoredAny, _: worker::Context| Ok::<_, HandlerError>(()))
        .observer(Arc::new(observer))
}

/// Runs a worker of concurrency 100 whose handler does nothing until it has completed every waiting job of `queue`.
pub(crate) async fn drain(engine: &Arc<dyn Engine>, queue: &str) -> Result<()> {
    let jobs = engine.queue(queue).await?.counts.waiting;
    let (counted, finished) = (AtomicU64::new(0), Arc::new(Notify::new()));
    let (told, shutdown) = (Arc::clone(&finished), Shutdown::new());
    let ended = move || {
        if counted.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
            told.notify_one();
        }
    };
    let worker = no_op(engine, queue, ended).shutdown(shutdown.clone());
    let running = tokio::spawn(worker.run());
    finished.notified().await;
    shutdown.request();
    running.await??;
    Ok(())
}

/// Leases every waiting job of `queue` and fails it for good, with an error of its own, 1,000 a call.
pub(crate) async fn reject(engine: &Arc<dyn Engine>, queue: &str, error: impl Fn(JobNumber) -> String) -> Result<()> {
    let mut leased: Vec<LeasedJob> = Vec::new();
    loop {
        let failed = |job: &LeasedJob| {
            let outcome = Outcome::Fail { kind: "exit".into(), error: error(job.number), retryable: false };
            Settlement { lease: LeaseRef { number: job.number, token: job.token }, outcome }
        };
        let order =
            LeaseOrder { queues: vec![queue.into()], limit: BATCH as u32, worker: "bench".into(), lease_ms: None };
        let command = Command::Settle { settlements: leased.iter().map(failed).collect(), then_lease: Some(order) };
        let mut answers = engine.execute(&Context::default(), vec![command]).await?;
        let Reply::Settled { leased: next, .. } = answers.pop().context("one command, one answer")?? else {
            anyhow::bail!("a settlement is answered as one");
        };
        if next.is_empty() {
            return Ok(());
        }
        leased = next;
    }
}
