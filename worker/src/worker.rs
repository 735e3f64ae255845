//! The worker: runs its loops side by side, and brings them to an end in order.
//!
//! Invariant of a stop: no new lease, then no handler, then no lease held, then the last beat. Each step has a bound, so
//! that a worker ends whatever its handlers and its engine do.

use std::sync::Arc;
use std::time::Duration;

use queue_core::engine::Engine;
use queue_core::model::{Error, WorkerState};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::builder::check_queues;
use crate::shared::Shared;
use crate::{Handlers, Shutdown, WorkerBuilder, WorkerFigures, intake, keeper, outbox};

/// How long handlers have to stop once the grace time is over.
const LAST_STOP: Duration = Duration::from_secs(3);
/// How long the last settlements may take.
const LAST_SETTLEMENTS: Duration = Duration::from_secs(3);

/// Leases jobs, runs their handlers, settles. Made by [`Worker::builder`].
pub struct Worker {
    shared: Arc<Shared>,
    grace: Duration,
    shutdown: Shutdown,
}

/// Changes a running worker.
#[derive(Clone)]
pub struct WorkerHandle {
    shared: Arc<Shared>,
}

impl Worker {
    /// Sets up a worker over any engine.
    pub fn builder(engine: &Arc<dyn Engine>) -> WorkerBuilder {
        WorkerBuilder::new(engine)
    }

    pub(crate) const fn new(shared: Arc<Shared>, grace: Duration, shutdown: Shutdown) -> Self {
        Self { shared, grace, shutdown }
    }

    /// The worker's name for itself.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The switch that stops it.
    pub fn shutdown(&self) -> Shutdown {
        self.shutdown.clone()
    }

    /// Changes it while it runs.
    pub fn handle(&self) -> WorkerHandle {
        WorkerHandle { shared: Arc::clone(&self.shared) }
    }

    /// Runs until it is stopped. An engine that does not answer is waited for, at the start as later.
    ///
    /// The first stop request, or an order of the engine to stop: no new leases; running jobs have the grace time, then their handlers are told to stop and
    /// 3 s later dropped, and what did not complete is given back uncounted. The second: handlers are dropped at once.
    /// However it ends, its handlers are dropped before. Dropping this future drops the handlers a moment later and
    /// settles nothing; their leases run out.
    ///
    /// # Errors
    ///
    /// What the engine answers to the first beat if trying again cannot mend it, such as `NOAUTH`; and at any time
    /// `UNKNOWN`, if an engine of this process has failed for good.
    ///
    /// # Panics
    ///
    /// If one of the worker's own loops does: a broken invariant.
    pub async fn run(self) -> Result<(), Error> {
        let Self { shared, grace, shutdown } = self;
        let _drop_handlers = shared.kill.clone().drop_guard();
        let ended = serve(&shared, grace, &shutdown).await;
        // Whoever ends the process next ends no program by that: each is killed when its handler is dropped.
        shared.kill.cancel();
        shared.attempts.close();
        let _over = timeout(LAST_STOP, shared.attempts.wait()).await;
        ended
    }
}

impl WorkerHandle {
    /// Puts other handlers in place of all there are. Jobs that run keep theirs.
    pub fn reload(&self, handlers: Handlers) {
        self.shared.plan.send_modify(|plan| plan.handlers = Arc::new(handlers));
    }

    /// Puts other handlers and queues in place. Jobs that run are not touched, whatever their queue.
    ///
    /// # Errors
    ///
    /// `BADARG` as [`WorkerBuilder::build`]; nothing is changed then.
    pub fn reload_all(&self, queues: Vec<(String, u32)>, handlers: Handlers) -> Result<(), Error> {
        check_queues(&queues)?;
        self.shared.plan.send_modify(|plan| (plan.queues, plan.handlers) = (queues.into(), Arc::new(handlers)));
        Ok(())
    }

    /// Leases nothing new until [`WorkerHandle::resume`], finishes what runs, goes on beating: as when the engine orders it.
    pub fn quiet(&self) {
        self.shared.set_quiet(true);
    }

    /// Leases again.
    pub fn resume(&self) {
        self.shared.set_quiet(false);
    }

    /// What the worker does as a whole.
    pub fn state(&self) -> WorkerState {
        self.shared.state()
    }

    /// What it has done, and how it is right now, for monitoring. Asks nothing of the engine.
    pub fn figures(&self) -> WorkerFigures {
        WorkerFigures::of(&self.shared)
    }
}

/// The worker's loops, and their end in order.
async fn serve(shared: &Arc<Shared>, grace: Duration, shutdown: &Shutdown) -> Result<(), Error> {
    let mut loops = JoinSet::new();
    loops.spawn(beat(Arc::clone(shared)));
    loops.spawn(endless(keeper::extend(Arc::clone(shared))));
    loops.spawn(endless(outbox::run(Arc::clone(shared))));
    // Ended with this future, like the loops: nothing is leased for which nobody beats any more.
    let mut intake = JoinSet::new();
    intake.spawn(intake::run(Arc::clone(shared)));
    tracing::info!(worker = %shared.name, concurrency = shared.concurrency, "the worker starts");
    tokio::select! {
        () = shutdown.requested() => {}
        () = shared.told_to_stop.cancelled() => {}
        ended = loops.join_next() => return Err(broken(ended)),
        ended = intake.join_next() => panicked(ended),
    }
    shared.draining.cancel();
    // Before anything looks whether jobs are left: it may be starting its last.
    panicked(intake.join_next().await);
    tokio::select! {
        () = stop(shared, grace, shutdown) => {}
        ended = loops.join_next() => return Err(broken(ended)),
    }
    // A beat of theirs behind the last one would bring the worker back into the registry.
    loops.shutdown().await;
    // Without a link it is not worth a wait; the registry forgets silent workers by itself.
    if shared.link.is_up() {
        keeper::leave(shared).await;
    }
    tracing::info!(worker = %shared.name, "the worker has stopped");
    Ok(())
}

/// Ends what runs: by itself within the grace time, else told to, else dropped.
async fn stop(shared: &Shared, grace: Duration, shutdown: &Shutdown) {
    let wind_down = async {
        tracing::info!(grace_s = grace.as_secs(), "stopping: no new jobs; running ones have the grace time");
        if timeout(grace, shared.held.empty()).await.is_err() {
            tracing::warn!(leases = shared.held.leases().len(), "the grace time is over; handlers are told to stop");
            shared.stopping.cancel();
            let _over = timeout(LAST_STOP, shared.held.empty()).await;
        }
    };
    tokio::select! {
        () = wind_down => {}
        () = shutdown.at_once() => tracing::warn!("stopping at once"),
    }
    shared.kill.cancel();
    if timeout(LAST_SETTLEMENTS, shared.held.empty()).await.is_err() {
        let leases = shared.held.leases().len();
        tracing::warn!(leases, "leases could not be given back; they run out by themselves");
    }
}

/// The beat, as one of the loops that may end with an error.
async fn beat(shared: Arc<Shared>) -> Error {
    keeper::beat(shared).await
}

/// A loop that never ends, in the same form.
async fn endless(running: impl Future<Output = ()>) -> Error {
    running.await;
    unreachable!("this loop has no end")
}

/// Why a loop ended; its panic goes on here.
fn broken(ended: Option<Result<Error, tokio::task::JoinError>>) -> Error {
    match ended.expect("there are three loops") {
        Ok(error) => error,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Lets the intake's panic go on; it ends by itself only when told to.
fn panicked(ended: Option<Result<(), tokio::task::JoinError>>) {
    if let Some(Err(error)) = ended {
        std::panic::resume_unwind(error.into_panic());
    }
}
