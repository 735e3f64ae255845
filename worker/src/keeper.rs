//! The keeper: beats, and extends leases, so that the engine knows this worker lives; and carries out what the engine
//! orders about jobs that run here.
//!
//! The beat is also what finds the engine again after it was away. It then has the engine take back every lease that it
//! does not name: so it waits until no call is under way that could bring one, and keeps such calls back meanwhile.

use std::sync::Arc;
use std::time::Duration;

use queue_core::engine::EngineExt;
use queue_core::model::{Beat, Error, Extension, LeaseRef, Orders, Word, WorkerOrder, WorkerState};
use queue_core::process::resident_bytes;
use tokio::time::{Instant, timeout};

use crate::chance::Pauses;
use crate::held::token_of;
use crate::link::{is_final, is_hopeless};
use crate::shared::Shared;

/// Between beats while jobs run: a cancel waits for the next one, and is to reach its handler within a second.
const BEAT_BUSY: Duration = Duration::from_millis(500);
/// Longest wait for an answer that the engine gives at once.
const ANSWER: Duration = Duration::from_secs(10);
/// Leases extended by one command.
const EXTEND_CHUNK: usize = 1_000;

/// Beats for as long as the worker lives; returns only an error that trying again cannot mend: before any success, what
/// the engine refuses; at any time, that it has failed for good.
pub(crate) async fn beat(shared: Arc<Shared>) -> Error {
    let (mut pauses, mut busy, mut link) = (Pauses::default(), shared.held.busy(), shared.link.watch());
    let (mut met, mut plan) = (false, shared.plan.subscribe());
    loop {
        let (beat_at, told) = (Instant::now(), shared.state());
        plan.mark_unchanged();
        let whole = !shared.link.is_up();
        let sent = if whole { whole_beat(&shared, false).await } else { plain_beat(&shared).await };
        match sent {
            Ok(()) => {
                met = true;
                pauses.reset();
            }
            Err(error) if is_final(&*shared.engine, &error) => return error,
            Err(error) if !met && is_hopeless(&error) => return error,
            Err(error) => {
                shared.link.down(&error);
                tokio::time::sleep(shared.pause(&mut pauses)).await;
                continue;
            }
        }
        link.mark_unchanged();
        while shared.link.is_up() {
            let pause = if *busy.borrow_and_update() { BEAT_BUSY.min(shared.beat) } else { shared.beat };
            tokio::select! {
                () = tokio::time::sleep_until(beat_at + pause) => break,
                _ = busy.changed() => {}
                _ = link.changed() => {}
                _ = plan.changed() => {}
                () = shared.draining.cancelled(), if told != WorkerState::Stopping => {}
            }
            // Whoever ordered it waits to see that it was obeyed.
            if shared.state() != told {
                break;
            }
        }
    }
}

/// The last beat: takes the worker out of the registry, and gives back what was on its way here.
pub(crate) async fn leave(shared: &Shared) {
    if let Err(error) = whole_beat(shared, true).await {
        tracing::debug!("the engine was not told that this worker leaves: {error}");
    }
}

async fn plain_beat(shared: &Shared) -> Result<(), Error> {
    let beat = beat_of(shared, Kind::Plain);
    let asked = beat.leases.clone();
    let orders = answer(shared.engine.beat(beat)).await?;
    // Leaves the link alone: if another call put it down meanwhile, this beat has not named every lease.
    obey(shared, &asked, orders);
    Ok(())
}

/// A beat that names every lease there is: the engine takes back the others of this worker.
async fn whole_beat(shared: &Shared, leaving: bool) -> Result<(), Error> {
    let (asked, orders) = answer(async {
        let _no_lease_comes = shared.bringing.write().await;
        let beat = beat_of(shared, if leaving { Kind::Last } else { Kind::Whole });
        let asked = beat.leases.clone();
        let orders = shared.engine.beat(beat).await?;
        if !leaving {
            shared.link.up();
        }
        Ok((asked, orders))
    })
    .await?;
    obey(shared, &asked, orders);
    Ok(())
}

/// What a beat says beside the leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plain,
    Whole,
    Last,
}

fn beat_of(shared: &Shared, kind: Kind) -> Beat {
    let queues = Arc::clone(&shared.plan.borrow().queues);
    Beat {
        worker: shared.name.clone(),
        host: shared.host.clone(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        queues: queues.iter().map(|(queue, _)| queue.clone()).collect(),
        concurrency: shared.concurrency,
        leases: shared.held.leases(),
        reconnected: kind != Kind::Plain,
        leaving: kind == Kind::Last,
        state: shared.state(),
        uptime_ms: u64::try_from(shared.started.elapsed().as_millis()).ok(),
        rss_bytes: resident_bytes(),
    }
}

/// Extends each lease a third of its length after it was last extended, many in one call.
pub(crate) async fn extend(shared: Arc<Shared>) {
    let mut pauses = Pauses::default();
    loop {
        let due = shared.held.due().await;
        shared.link.wait_up().await;
        for leases in due.chunks(EXTEND_CHUNK) {
            let asked_at = Instant::now();
            match answer(shared.engine.extend(leases.to_vec())).await {
                Ok(extensions) => {
                    pauses.reset();
                    leases.iter().zip(extensions).for_each(|(lease, extension)| {
                        shared.held.extended(lease.token, asked_at);
                        heed(&shared, *lease, extension);
                    });
                }
                Err(error) => {
                    shared.link.failed(&error);
                    shared.pause_for("extending leases", &error, &mut pauses).await;
                }
            }
        }
    }
}

fn heed(shared: &Shared, lease: LeaseRef, extension: Extension) {
    match extension {
        Extension::Extended { .. } => {}
        Extension::Cancel { reason } => cancel(shared, lease, &reason),
        Extension::Lost => lose(shared, lease),
    }
}

fn obey(shared: &Shared, asked: &[LeaseRef], orders: Orders) {
    let lease_of = |number| token_of(asked, number).map(|token| LeaseRef { number, token });
    for (number, reason) in orders.cancel {
        if let Some(lease) = lease_of(number) {
            cancel(shared, lease, &reason);
        }
    }
    orders.lost.into_iter().filter_map(lease_of).for_each(|lease| lose(shared, lease));
    orders.order.into_iter().for_each(|order| follow(shared, order));
}

/// Does what the worker as a whole is told; told again it is nothing new.
fn follow(shared: &Shared, order: WorkerOrder) {
    match order {
        WorkerOrder::Quiet if shared.set_quiet(true) => {
            tracing::info!("told to go quiet: no new jobs until it is resumed; running ones go on");
        }
        WorkerOrder::Resume if shared.set_quiet(false) => tracing::info!("told to resume"),
        WorkerOrder::Stop if !shared.told_to_stop.is_cancelled() => {
            tracing::info!("told to stop");
            shared.told_to_stop.cancel();
        }
        WorkerOrder::Quiet | WorkerOrder::Resume | WorkerOrder::Stop => {}
    }
}

fn cancel(shared: &Shared, lease: LeaseRef, reason: &str) {
    if shared.held.cancel(lease.token, reason) {
        tracing::info!(job = %lease.number, "told the handler to stop: the job was cancelled ({reason})");
    }
}

fn lose(shared: &Shared, lease: LeaseRef) {
    if shared.held.lose(lease.token) {
        tracing::warn!(job = %lease.number, "told the handler to stop: the lease is lost");
    }
}

/// An answer that comes at once, or the error that it did not.
async fn answer<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let silent = || Error::new(Word::Unreachable, format!("no answer within {} s", ANSWER.as_secs()));
    timeout(ANSWER, call).await.unwrap_or_else(|_| Err(silent()))
}
