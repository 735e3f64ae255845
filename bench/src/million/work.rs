//! The bulk work, as users do it: by our client, over one connection, each piece to its end.
//!
//! Every function answers once the store is in the state that its name says.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, ensure};
use queue_core::Queue;
use queue_core::engine::{Engine, EngineExt};
use queue_core::model::{
    BulkVerb, Command, Context, JobFilter, JobState, LeaseOrder, LeaseRef, LeasedJob, NewJob, OperationState, Outcome,
    QueueCounts, Reply, Settlement,
};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use worker::{Activity, HandlerError, Shutdown, Worker};

/// Where the million is.
pub(super) const QUEUE: &str = "emails";
const BATCH: u64 = 1000;
/// How often a state is looked at that comes by itself.
const LOOK: Duration = Duration::from_millis(20);

/// 190 bytes of JSON.
pub(super) fn payload() -> Vec<u8> {
    format!(r#"{{"to":"ann@example.com","text":"{}"}}"#, "x".repeat(156)).into_bytes()
}

/// Adds `jobs` in batches of 1,000, two in flight, due at `run_at` where there is one.
pub(super) async fn fill(engine: &Arc<dyn Engine>, jobs: u64, run_at: Option<SystemTime>) -> Result<()> {
    let (mut left, mut lanes) = (jobs, JoinSet::new());
    loop {
        while left > 0 && lanes.len() < 2 {
            let size = left.min(BATCH);
            left -= size;
            let queue = Queue::new(engine, QUEUE);
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

async fn counts(engine: &Arc<dyn Engine>) -> Result<QueueCounts> {
    Ok(engine.queue(QUEUE).await?.counts)
}

/// Runs a worker of concurrency 100 whose handler does nothing until it has completed every waiting job.
pub(super) async fn drain(engine: &Arc<dyn Engine>) -> Result<()> {
    let jobs = counts(engine).await?.waiting;
    let (counted, finished) = (AtomicU64::new(0), Arc::new(Notify::new()));
    let (told, shutdown) = (Arc::clone(&finished), Shutdown::new());
    let worker = Worker::builder(engine)
        .queue(QUEUE, 1)
        .concurrency(100)
        .handler("send", async |_: serde::de::IgnoredAny, _: worker::Context| Ok::<_, HandlerError>(()))
        .observer(Arc::new(move |activity: Activity<'_>| {
            let ended = matches!(activity, Activity::Ended { .. });
            if ended && counted.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
                told.notify_one();
            }
        }))
        .shutdown(shutdown.clone());
    let running = tokio::spawn(worker.run());
    finished.notified().await;
    shutdown.request();
    running.await??;
    Ok(())
}

/// Leases every waiting job and fails it for good, 1,000 a call.
pub(super) async fn reject(engine: &Arc<dyn Engine>) -> Result<()> {
    let mut leased: Vec<LeasedJob> = Vec::new();
    loop {
        let failed = |job: &LeasedJob| {
            let outcome = Outcome::Fail { kind: "exit".into(), error: "status 1".into(), retryable: false };
            Settlement { lease: LeaseRef { number: job.number, token: job.token }, outcome }
        };
        let order =
            LeaseOrder { queues: vec![QUEUE.into()], limit: BATCH as u32, worker: "bench".into(), lease_ms: None };
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

/// Runs a bulk operation over all jobs of one state.
pub(super) async fn operate(engine: &Arc<dyn Engine>, verb: BulkVerb, state: JobState) -> Result<()> {
    let filter = JobFilter { queue: Some(QUEUE.into()), states: vec![state], ..JobFilter::default() };
    let jobs = counts(engine).await?.of(state);
    let mut view = engine.start_operation(&Context::default(), verb, filter).await?;
    while view.state == OperationState::Running {
        tokio::time::sleep(LOOK).await;
        view = engine.operation(view.operation).await?;
    }
    ensure!(view.changed == jobs, "the operation changed {} of {jobs}", view.changed);
    Ok(())
}

/// Searches every waiting job's payload for what none has, again and again, for at least `time`. Answers jobs looked at.
pub(super) async fn search(engine: &Arc<dyn Engine>, time: Duration) -> Result<u64> {
    let (started, mut looked_at) = (crate::clock::now(), 0);
    let filter = JobFilter {
        queue: Some(QUEUE.into()),
        states: vec![JobState::Waiting],
        contains: Some("nobody@example.com".into()),
        ..JobFilter::default()
    };
    loop {
        let mut cursor = None;
        loop {
            let page = engine.jobs(filter.clone(), cursor, 1_000).await?;
            ensure!(page.jobs.is_empty(), "nobody has that address");
            looked_at += page.looked_at;
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        if started.elapsed() >= time {
            return Ok(looked_at);
        }
    }
}

/// Waits until no job is delayed any more.
pub(super) async fn fall_due(engine: &Arc<dyn Engine>) -> Result<()> {
    while counts(engine).await?.delayed > 0 {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use queue_core::connect;
    use queue_core::model::{BulkVerb, JobState};

    use super::{counts, drain, fall_due, fill, operate, payload, reject, search};

    #[tokio::test]
    async fn each_piece_of_work_leaves_the_store_as_it_says() {
        let engine = connect("memory:").await.expect("memory is there");
        let check = async |state: JobState| assert_eq!(counts(&engine).await.expect("counted").of(state), 2_500);
        fill(&engine, 2_500, None).await.expect("filled");
        check(JobState::Waiting).await;
        assert_eq!(search(&engine, Duration::ZERO).await.expect("searched"), 2_500);
        reject(&engine).await.expect("rejected");
        check(JobState::Dead).await;
        operate(&engine, BulkVerb::Retry, JobState::Dead).await.expect("redriven");
        check(JobState::Waiting).await;
        operate(&engine, BulkVerb::Remove, JobState::Waiting).await.expect("removed");
        fill(&engine, 2_500, Some(crate::clock::time_of_day() + Duration::from_millis(300))).await.expect("filled");
        fall_due(&engine).await.expect("due");
        check(JobState::Waiting).await;
        drain(&engine).await.expect("drained");
        assert_eq!(counts(&Arc::clone(&engine)).await.expect("counted").waiting, 0);
        assert_eq!(payload().len(), 190);
    }
}
