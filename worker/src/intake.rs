//! The intake: one call at a time that waits at the engine for as many jobs as there are free slots.
//!
//! Slots that a settlement freed are filled by the settlement's own call; only what stays free comes here.

use std::sync::Arc;

use queue_core::model::{Context, Error, LeaseRequest};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::attempt;
use crate::chance::Pauses;
use crate::shared::Shared;

/// How long one call waits at the engine.
const WAIT_MS: u64 = 30_000;

/// Leases jobs and starts them, until the worker drains.
pub(crate) async fn run(shared: Arc<Shared>) {
    let free = Arc::new(Semaphore::new(shared.concurrency as usize));
    let mut pauses = Pauses::default();
    let mut free_since = None;
    // Dropping the waiting call gives back what it was about to be handed.
    let leasing = async {
        loop {
            let slots = take_slots(&free).await;
            let since = *free_since.get_or_insert_with(Instant::now);
            shared.link.wait_up().await;
            match lease(&shared, slots).await {
                Ok(started) => {
                    pauses.reset();
                    if started > 0 {
                        shared.tally.filled(since.elapsed());
                        free_since = None;
                    }
                }
                Err(Missed::Changed) => {}
                Err(Missed::Failed(error)) => shared.pause_for("leasing", &error, &mut pauses).await,
            }
        }
    };
    tokio::select! {
        // Jobs that have just come are started rather than dropped.
        biased;
        () = leasing => {}
        () = shared.draining.cancelled() => {}
    }
}

/// Waits for a free slot and takes all there are.
async fn take_slots(free: &Arc<Semaphore>) -> Vec<OwnedSemaphorePermit> {
    let first = Arc::clone(free).acquire_owned().await.expect("the semaphore is never closed");
    std::iter::once(first).chain(std::iter::from_fn(|| Arc::clone(free).try_acquire_owned().ok())).collect()
}

/// Why a call brought nothing and is made anew.
enum Missed {
    /// What it asked for, or the link, is another now.
    Changed,
    /// The engine did not answer it, or has no room for leases.
    Failed(Error),
}

/// One waiting call, and the start of what it brings; answers how many jobs those are.
async fn lease(shared: &Arc<Shared>, slots: Vec<OwnedSemaphorePermit>) -> Result<usize, Missed> {
    let mut plan = shared.plan.subscribe();
    plan.mark_unchanged();
    let Some(order) = shared.order(slots.len()) else {
        // Quiet, or no queues: nothing to do until it is resumed, or a reload brings some.
        let _closed = plan.changed().await.is_err();
        return Err(Missed::Changed);
    };
    let _until_started = shared.bringing.read().await;
    if !shared.link.is_up() {
        return Err(Missed::Changed);
    }
    let (context, request) = (Context::default(), LeaseRequest { order, wait_ms: WAIT_MS });
    let jobs = tokio::select! {
        biased;
        leased = shared.engine.lease(&context, request) => leased.map_err(|error| {
            shared.link.failed(&error);
            Missed::Failed(error)
        })?,
        // A beat that names our leases is to come, and waits for this call's end.
        () = shared.link.wait_down() => return Err(Missed::Changed),
        _ = plan.changed() => {
            // Jobs may be on their way already.
            shared.link.unsure();
            return Err(Missed::Changed);
        }
    };
    let count = jobs.len();
    for (job, slot) in jobs.into_iter().zip(slots) {
        attempt::start(shared, job, slot);
    }
    Ok(count)
}
