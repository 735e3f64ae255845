//! The intake: one call at a time that waits at the engine for as many jobs as there are free slots.
//!
//! Slots that a settlement freed are filled by the settlement's own call; only what stays free comes here.

use std::sync::Arc;

use queue_core::model::{Context, LeaseRequest, LeasedJob};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::attempt;
use crate::chance::Pauses;
use crate::shared::Shared;

/// How long one call waits at the engine.
const WAIT_MS: u64 = 30_000;

/// Leases jobs and starts them, until the worker drains.
pub(crate) async fn run(shared: Arc<Shared>) {
    let free = Arc::new(Semaphore::new(shared.concurrency as usize));
    let mut pauses = Pauses::default();
    // Dropping the waiting call gives back what it was about to be handed.
    let leasing = async {
        loop {
            let slots = take_slots(&free).await;
            shared.link.wait_up().await;
            let Some(jobs) = call(&shared, slots.len(), &mut pauses).await else { continue };
            for (job, slot) in jobs.into_iter().zip(slots) {
                attempt::start(&shared, job, slot);
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

/// One waiting call; `None` where it has to be made anew.
async fn call(shared: &Shared, free: usize, pauses: &mut Pauses) -> Option<Vec<LeasedJob>> {
    let mut plan = shared.plan.subscribe();
    plan.mark_unchanged();
    let Some(order) = shared.order(free) else {
        // No queues: nothing to do until a reload brings some.
        let _closed = plan.changed().await.is_err();
        return None;
    };
    let (context, request) = (Context::default(), LeaseRequest { order, wait_ms: WAIT_MS });
    tokio::select! {
        biased;
        leased = shared.engine.lease(&context, request) => match leased {
            Ok(jobs) => {
                pauses.reset();
                Some(jobs)
            }
            Err(error) => {
                shared.link.down(&error);
                tokio::time::sleep(shared.pause(pauses)).await;
                None
            }
        },
        // A new connection comes with a beat that names our leases; a lease made meanwhile would not be among them.
        () = shared.link.wait_down() => None,
        _ = plan.changed() => None,
    }
}
