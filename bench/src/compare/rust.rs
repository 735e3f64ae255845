//! Longshore driven by its own client and worker, as their users call them: `connect`, `Queue`, `Worker`.
//!
//! One thread of this process drives, as with the peers on Node. Every function takes the engine's address, so that the
//! scenarios are tested without a server. Our client gives each job an id, because it may have to send one again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use queue_core::engine::Engine;
use queue_core::model::NewJob;
use queue_core::{Queue, connect};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use worker::{Activity, Context, HandlerError, Shutdown, Worker};

use super::scenario::Scenario;
use crate::{clock, host};

const QUEUE: &str = "emails";
const BATCH: u64 = 1000;
/// Requests in flight, or connections.
const WIDTH: usize = 64;
/// How long a system comes to rest between two samples of an idle latency.
const REST: Duration = Duration::from_millis(5);

/// 190 bytes of JSON, as the scripts on Node send.
#[derive(Clone, Serialize, Deserialize)]
struct Mail {
    to: String,
    text: String,
}

impl Mail {
    fn new() -> Self {
        Self { to: "ann@example.com".to_owned(), text: "x".repeat(156) }
    }
}

/// Runs `scenario` once against the engine at `url`; the fill answers 0.
pub(super) fn run(scenario: Scenario, url: &str, jobs: u64) -> Result<f64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match scenario {
            Scenario::Enqueue => enqueue(&[connect(url).await?], jobs).await,
            Scenario::Connections => {
                let mut engines = Vec::new();
                for _ in 0..WIDTH {
                    engines.push(connect(url).await?);
                }
                enqueue(&engines, jobs).await
            }
            Scenario::Bulk => bulk(&connect(url).await?, jobs, 1).await,
            Scenario::Noop => noop(&connect(url).await?, jobs).await,
            Scenario::Idle => idle(&connect(url).await?, jobs).await,
            Scenario::Fill => bulk(&connect(url).await?, jobs, 2).await.map(|_| 0.0),
        }
    })
}

/// Calls `send` `total` times, `width` at a time; answers calls per second.
async fn per_second<F, Sent>(width: usize, total: u64, send: F) -> Result<f64>
where
    F: Fn(usize) -> Sent + Send + Sync + 'static,
    Sent: Future<Output = Result<()>> + Send + 'static,
{
    let shared = Arc::new((AtomicU64::new(0), send));
    let mut lanes = JoinSet::new();
    let started = clock::now();
    for lane in 0..width {
        let shared = Arc::clone(&shared);
        lanes.spawn(async move {
            while shared.0.fetch_add(1, Ordering::Relaxed) < total {
                (shared.1)(lane).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    Ok(total as f64 / started.elapsed().as_secs_f64())
}

/// One job a call, 64 calls in flight, over all of `engines` in turn.
async fn enqueue(engines: &[Arc<dyn Engine>], jobs: u64) -> Result<f64> {
    let queues: Vec<_> = engines.iter().map(|engine| Queue::new(engine, QUEUE)).collect();
    let mail = Mail::new();
    per_second(WIDTH, jobs, move |lane| {
        let add = queues[lane % queues.len()].add("send", &mail);
        async move { add.await.map(drop).map_err(anyhow::Error::from) }
    })
    .await
}

/// Batches of 1,000, `width` in flight; answers jobs per second.
async fn bulk(engine: &Arc<dyn Engine>, jobs: u64, width: usize) -> Result<f64> {
    let queue = Queue::new(engine, QUEUE);
    let mail = Mail::new();
    let batches = per_second(width, jobs / BATCH, move |_| {
        let queue = queue.clone();
        let batch: Result<Vec<NewJob>, _> = (0..BATCH).map(|_| queue.add("send", &mail).into_job()).collect();
        async move { queue.add_many(batch?).await.map(drop).map_err(anyhow::Error::from) }
    });
    Ok(batches.await? * BATCH as f64)
}

/// A worker of concurrency 100 whose handler does nothing, from its start until the last settlement was counted.
async fn noop(engine: &Arc<dyn Engine>, jobs: u64) -> Result<f64> {
    bulk(engine, jobs, 1).await?;
    let (counted, finished) = (AtomicU64::new(0), Arc::new(Notify::new()));
    let told = Arc::clone(&finished);
    let shutdown = Shutdown::new();
    let worker = Worker::builder(engine)
        .queue(QUEUE, 1)
        .concurrency(100)
        .handler("send", async |_: Mail, _: Context| Ok::<_, HandlerError>(()))
        .observer(Arc::new(move |activity: Activity<'_>| {
            let ended = matches!(activity, Activity::Ended { .. });
            if ended && counted.fetch_add(1, Ordering::Relaxed) + 1 == jobs {
                told.notify_one();
            }
        }))
        .shutdown(shutdown.clone());
    let started = clock::now();
    let running = tokio::spawn(worker.run());
    finished.notified().await;
    let took = started.elapsed();
    shutdown.request();
    running.await??;
    Ok(jobs as f64 / took.as_secs_f64())
}

/// From the start of an enqueue until the handler starts, while nothing else happens: p50 in microseconds.
async fn idle(engine: &Arc<dyn Engine>, samples: u64) -> Result<f64> {
    let queue = Queue::new(engine, QUEUE);
    let (arrived, mut arrivals) = mpsc::unbounded_channel::<Instant>();
    let shutdown = Shutdown::new();
    let handler = move |_: Mail, _: Context| {
        // Fails only once nobody measures any more.
        let _ = arrived.send(clock::now());
        async { Ok::<_, HandlerError>(()) }
    };
    let worker = Worker::builder(engine).queue(QUEUE, 1).handler("send", handler).shutdown(shutdown.clone());
    let running = tokio::spawn(worker.run());
    let mut times = Vec::new();
    for _ in 0..samples {
        // Resting is part of what is measured: an idle system.
        tokio::time::sleep(REST).await;
        let started = clock::now();
        queue.add("send", &Mail::new()).await?;
        let arrival = arrivals.recv().await.context("the worker has ended")?;
        times.push((arrival - started).as_secs_f64() * 1e6);
    }
    shutdown.request();
    running.await??;
    Ok(host::median(&times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_runs_to_its_end_on_any_engine() {
        for scenario in Scenario::ALL {
            let figure = run(scenario, "memory:", 2000.min(scenario.jobs(true))).expect("the memory engine takes jobs");
            assert!(figure > 0.0 || scenario == Scenario::Fill, "{scenario:?} gave {figure}");
        }
    }

    #[test]
    fn the_payload_is_190_bytes_of_json() {
        assert_eq!(serde_json::to_vec(&Mail::new()).expect("plain data").len(), 190);
    }
}
