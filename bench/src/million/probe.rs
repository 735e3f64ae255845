//! The probe: single synced enqueues at a fixed rate, and how long each takes.
//!
//! An open loop: each call begins at its time whether or not those before it were answered, and is counted from that time
//! on, so that a pause of the server is in every call that met it, not in one. Microseconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use queue_core::{Queue, connect};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::{clock, host, jobs};

/// What is slept less than the pause, and waited out awake: a sleep ends late.
const AWAKE: Duration = Duration::from_micros(80);
/// Calls at the begin that are not counted: the connection is new.
const WARM_UP: usize = 20;

/// How long calls took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Latencies {
    pub(super) count: usize,
    /// p50, p99, p99.9, longest.
    pub(super) us: [f64; 4],
}

impl Latencies {
    fn of(mut us: Vec<f64>) -> Self {
        us.drain(..WARM_UP.min(us.len() / 2));
        Self { count: us.len(), us: [0.5, 0.99, 0.999, 1.0].map(|share| host::percentile(&us, share)) }
    }

    /// Of each figure the median, of calls the sum.
    pub(super) fn median(of: &[Self]) -> Self {
        let figure = |at: usize| host::median(&of.iter().map(|one| one.us[at]).collect::<Vec<_>>());
        Self { count: of.iter().map(|one| one.count).sum(), us: [0, 1, 2, 3].map(figure) }
    }

    pub(super) fn p99(&self) -> f64 {
        self.us[1]
    }
}

/// Calls that go on until they are finished.
pub(super) struct Probe {
    stop: Arc<AtomicBool>,
    caller: JoinHandle<Result<Vec<f64>>>,
}

impl Probe {
    /// Begins to call, `rate` times a second, on a connection and threads of its own.
    pub(super) fn start(url: &str, rate: u32) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let engine = runtime.block_on(connect(url))?;
        let (ticks, ticked) = mpsc::unbounded_channel();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || pace(rate, &stopped, &ticks));
        let queue = Queue::new(&engine, "probe");
        let caller = std::thread::spawn(move || runtime.block_on(call(queue, ticked)));
        Ok(Self { stop, caller })
    }

    /// The latencies for as long as `time` passes.
    pub(super) fn during(url: &str, rate: u32, time: Duration) -> Result<Latencies> {
        let probe = Self::start(url, rate)?;
        std::thread::sleep(time);
        probe.finish()
    }

    /// Stops, waits for what is under way, and tells.
    pub(super) fn finish(self) -> Result<Latencies> {
        self.stop.store(true, Ordering::Relaxed);
        let us = self.caller.join().ok().context("the probe panicked")??;
        Ok(Latencies::of(us))
    }
}

/// Sends the instants at which calls are to begin, each when it has come.
fn pace(rate: u32, stop: &AtomicBool, ticks: &mpsc::UnboundedSender<Instant>) {
    let (step, mut due) = (Duration::from_secs(1) / rate, clock::now());
    while !stop.load(Ordering::Relaxed) && ticks.send(due).is_ok() {
        due += step;
        std::thread::sleep(due.saturating_duration_since(clock::now()).saturating_sub(AWAKE));
        while clock::now() < due {
            std::hint::spin_loop();
        }
    }
}

async fn call(queue: Queue, mut ticked: mpsc::UnboundedReceiver<Instant>) -> Result<Vec<f64>> {
    let (mut calls, mut us) = (JoinSet::new(), Vec::new());
    while let Some(due) = ticked.recv().await {
        let add = queue.add_bytes("send", jobs::payload());
        calls.spawn(async move {
            add.await?;
            anyhow::Ok((clock::now() - due).as_secs_f64() * 1e6)
        });
        while let Some(done) = calls.try_join_next() {
            us.push(done??);
        }
    }
    while let Some(done) = calls.join_next().await {
        us.push(done??);
    }
    Ok(us)
}
