//! What the parts of one worker share: the engine, its leases, the outbox, the plan, the switches.
//!
//! Each part is a loop of its own (`intake`, `outbox`, `keeper`) or a task for each job (`attempt`); they meet here.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use queue_core::engine::Engine;
use queue_core::model::{Error, LeaseOrder, Limits, WorkerState};
use tokio::sync::{RwLock, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::activity::{Activity, Observer};
use crate::chance::{Chance, Pauses, draw_order};
use crate::figures::Tally;
use crate::held::Held;
use crate::link::{Link, says_later};
use crate::outbox::Outbox;
use crate::registry::Handlers;

/// What a worker serves, and with what; a reload puts another in its place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    /// Nothing new is leased, until it is resumed.
    pub(crate) quiet: bool,
    pub(crate) queues: Arc<[(String, u32)]>,
    pub(crate) handlers: Arc<Handlers>,
}

/// One worker's common ground.
pub(crate) struct Shared {
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) concurrency: u32,
    pub(crate) stop_within: Duration,
    /// Between beats while nothing runs.
    pub(crate) beat: Duration,
    pub(crate) plan: watch::Sender<Plan>,
    pub(crate) held: Held,
    pub(crate) link: Link,
    /// Held by each call that may bring jobs, until they are among `held`; and alone by a beat that names all of `held`,
    /// since a lease that arrived behind it would be taken back while its job runs here.
    pub(crate) bringing: RwLock<()>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) tally: Tally,
    /// The tasks of the attempts.
    pub(crate) attempts: TaskTracker,
    pub(crate) chance: Mutex<Chance>,
    /// Since when it runs.
    pub(crate) started: Instant,
    /// The engine has told it to stop.
    pub(crate) told_to_stop: CancellationToken,
    /// No new leases.
    pub(crate) draining: CancellationToken,
    /// Every handler is told to stop.
    pub(crate) stopping: CancellationToken,
    /// Every handler is dropped.
    pub(crate) kill: CancellationToken,
}

impl Shared {
    /// An order for up to `free` jobs, its queues drawn by weight; `None` where nothing is to be asked for.
    pub(crate) fn order(&self, free: usize) -> Option<LeaseOrder> {
        let Plan { quiet, queues, .. } = self.plan.borrow().clone();
        if free == 0 || quiet || queues.is_empty() || self.draining.is_cancelled() {
            return None;
        }
        let queues = draw_order(&queues, &mut self.chance.lock().unwrap_or_else(PoisonError::into_inner));
        let limit = u32::try_from(free).unwrap_or(u32::MAX).min(Limits::LEASE_JOBS);
        Some(LeaseOrder { queues, limit, worker: self.name.clone(), lease_ms: None })
    }

    /// What it does as a whole.
    pub(crate) fn state(&self) -> WorkerState {
        match () {
            () if self.draining.is_cancelled() || self.told_to_stop.is_cancelled() => WorkerState::Stopping,
            () if self.plan.borrow().quiet => WorkerState::Quiet,
            () => WorkerState::Running,
        }
    }

    /// Leases nothing new from now on, or leases again. Answers whether that is another thing than before.
    pub(crate) fn set_quiet(&self, quiet: bool) -> bool {
        self.plan.send_if_modified(|plan| std::mem::replace(&mut plan.quiet, quiet) != quiet)
    }

    /// The next of growing pauses.
    pub(crate) fn pause(&self, pauses: &mut Pauses) -> Duration {
        pauses.next(&mut self.chance.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until what failed is tried again. Says once that `what` waits for room.
    pub(crate) async fn pause_for(&self, what: &str, error: &Error, pauses: &mut Pauses) {
        if says_later(error) && pauses.is_first() {
            tracing::warn!(word = %error.word, "{what} waits until the engine has room: {error}");
        }
        tokio::time::sleep(self.pause(pauses)).await;
    }

    /// Counts it, and tells the observer, whose panic is its own affair: what it was told of goes on.
    pub(crate) fn observe(&self, activity: Activity<'_>) {
        self.tally.count(&activity);
        let Some(observer) = &self.observer else { return };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| observer.observe(activity))) {
            tracing::error!("the observer panicked: {}", panic_text(&*panic));
        }
    }
}

/// The text of a panic in code that is not ours.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it panicked without a text").to_owned()
}
