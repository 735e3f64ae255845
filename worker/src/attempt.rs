//! One attempt: finds the handler, runs it, stops it where it is to stop, and says what became of the job.
//!
//! The handler's future lives inside the attempt's task: dropping it is how a handler is ended by force. A panic in it,
//! while it runs or while it is dropped, is caught there, so that every lease that was begun is settled.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;

use queue_core::model::{LeaseRef, LeasedJob, Limits, Outcome, duration};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::activity::Activity;
use crate::batch::Ended;
use crate::context::{Context, attempt_time};
use crate::handler::{Handler, HandlerError, HandlerResult, failed};
use crate::held::Hold;
use crate::joblog::JobLog;
use crate::shared::{Shared, panic_text};
use crate::stop::{Stop, StopSignal};

/// How a handler ended.
#[derive(Debug)]
enum Ending {
    /// By itself.
    Returned(HandlerResult),
    /// By a panic, with this text.
    Panicked(String),
    /// It was told to stop, did not, and was dropped.
    Dropped,
}

/// Starts an attempt in a task of its own. From here on the lease is held.
pub(crate) fn start(shared: &Arc<Shared>, job: LeasedJob, slot: OwnedSemaphorePermit) {
    let lease = LeaseRef { number: job.number, token: job.token };
    let hold = Arc::new(Hold::new(lease, job.lease_ms, StopSignal::under(&shared.stopping)));
    shared.held.insert(Arc::clone(&hold));
    let context = Context {
        job: Arc::new(job),
        hold,
        log: Arc::new(JobLog::new(lease)),
        outbox: Arc::clone(&shared.outbox),
        engine: Arc::clone(&shared.engine),
    };
    shared.attempts.spawn(run(Arc::clone(shared), context, slot));
}

async fn run(shared: Arc<Shared>, context: Context, slot: OwnedSemaphorePermit) {
    let Context { job, hold, log, .. } = context.clone();
    let handler = shared.plan.borrow().handlers.find(&job.queue, &job.name);
    shared.observe(Activity::Started { job: &job });
    let started = Instant::now();
    let ending = match handler {
        Some(handler) => {
            let time = attempt_time(&job);
            drive(handler, context, time, shared.stop_within, &shared.kill).await
        }
        None => {
            let handlers = Arc::clone(&shared.plan.borrow().handlers);
            Ending::Returned(Err(handlers.missing(&job.queue, &job.name)))
        }
    };
    let ran = started.elapsed();
    if hold.end() {
        let outcome = outcome_of(ending, hold.stop.why(), &job, shared.stop_within);
        shared.outbox.settle(Ended { job, hold, log, outcome, ran, slot });
    } else {
        // The slot comes free and the lines go: nothing of this run counts.
        drop(log.close());
        shared.held.remove(hold.lease.token);
        shared.observe(Activity::Lost { job: &job, ran, refusal: None });
    }
}

/// Runs the handler until it ends or has to be dropped.
async fn drive(
    handler: Arc<dyn Handler>,
    context: Context,
    time: Option<Duration>,
    stop_within: Duration,
    kill: &CancellationToken,
) -> Ending {
    let hold = Arc::clone(&context.hold);
    if kill.is_cancelled() {
        // Not even begun: a handler that never waits would otherwise be done by the time it is dropped.
        hold.stop.give(Stop::Stopping);
        return Ending::Dropped;
    }
    let mut running = Running(Some(Box::pin(async move { handler.run(context).await })));
    // An attempt without bound still has an instant, far away: one arm less to tell apart.
    let mut out_of_time = pin!(tokio::time::sleep(time.unwrap_or(Duration::from_millis(Limits::DURATION_MS))));
    let mut told = false;
    let mut drop_it = pin!(tokio::time::sleep(Duration::MAX));
    loop {
        tokio::select! {
            biased;
            ending = &mut running => return ending,
            () = kill.cancelled() => {
                hold.stop.give(Stop::Stopping);
                return Ending::Dropped;
            }
            () = hold.stop.given(), if !told => {
                told = true;
                drop_it.as_mut().reset(Instant::now() + stop_within);
            }
            () = &mut drop_it, if told => return Ending::Dropped,
            () = &mut out_of_time, if !told => drop(hold.stop.give(Stop::TimedOut)),
        }
    }
}

/// A handler's future. A panic in it ends only this attempt, be it polled or dropped.
struct Running(Option<Pin<Box<dyn Future<Output = HandlerResult> + Send>>>);

impl Future for Running {
    type Output = Ending;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Ending> {
        let running = self.0.as_mut().expect("it is there until it is dropped");
        // A future that panicked is never polled again, so nobody sees it half changed.
        match catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(context))) {
            Ok(poll) => poll.map(Ending::Returned),
            Err(panic) => Poll::Ready(Ending::Panicked(panic_text(&*panic))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let running = self.0.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(running))) {
            tracing::warn!("a handler panicked while it was dropped: {}", panic_text(&*panic));
        }
    }
}

/// What became of the job.
fn outcome_of(ending: Ending, stop: Option<Stop>, job: &LeasedJob, stop_within: Duration) -> Outcome {
    let fail = |kind: &str, error: String| failed(kind.to_owned(), error, true);
    match (stop, ending) {
        (Some(Stop::TimedOut), ending) => {
            let time = duration::show_ms(job.timeout_ms.unwrap_or(0));
            fail("timeout", format!("timed out after {time}{}", how_it_ended(&ending, stop_within)))
        }
        // A completion that still arrives wins over a cancel and over the worker's stop.
        (_, Ending::Returned(Ok(result))) => complete(result),
        (Some(Stop::Cancelled(reason)), ending) => {
            fail("cancelled", format!("cancelled: {reason}{}", how_it_ended(&ending, stop_within)))
        }
        (Some(Stop::Stopping | Stop::Lost), Ending::Returned(Err(_)) | Ending::Dropped) => Outcome::Release,
        (None, Ending::Dropped) => Outcome::Release,
        (None, Ending::Returned(Err(error))) => error.into_outcome(),
        (_, Ending::Panicked(text)) => fail("panic", text),
    }
}

fn complete(result: Option<bytes::Bytes>) -> Outcome {
    match result {
        Some(result) if result.len() > Limits::RESULT_BYTES => {
            let text = format!("the result is {} bytes; allowed: at most {}", result.len(), Limits::RESULT_BYTES);
            HandlerError::reject(text).with_kind("result").into_outcome()
        }
        result => Outcome::Complete { result },
    }
}

/// How a handler that was told to stop did so, as the tail of a message.
fn how_it_ended(ending: &Ending, stop_within: Duration) -> String {
    match ending {
        Ending::Returned(Ok(_)) => "; it then ended".to_owned(),
        // It ended because it was told to; a program's last words may say what it was about.
        Ending::Returned(Err(error)) if error.is_release() => match error.text() {
            "" => String::new(),
            last_words => format!(": {last_words}"),
        },
        Ending::Returned(Err(error)) => format!("; it then failed: {}", error.text()),
        Ending::Panicked(text) => format!("; it then panicked: {text}"),
        Ending::Dropped => {
            let within = duration::show_ms(u64::try_from(stop_within.as_millis()).unwrap_or(u64::MAX));
            format!("; it did not stop within {within} and was dropped")
        }
    }
}
