//! The outbox: settlements and log lines on their way to the engine, one call at a time.
//!
//! What gathers while a call is in flight goes with the next one, so batches grow with the load and nobody waits for a
//! batch to fill. The call asks for as many new jobs as it settles, and those take over the slots. A settlement is sent
//! until it is answered, however long the engine is away: a lease outlives the engine's own downtime, and if it ran out
//! all the same, its token is refused.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use queue_core::model::{Context, LogSource};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::activity::Activity;
use crate::attempt;
use crate::batch::{Answered, Batch, Ended};
use crate::chance::Pauses;
use crate::joblog::{JobLog, Pushed};
use crate::shared::Shared;

/// What waits to be sent.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    ended: VecDeque<Ended>,
    logs: Vec<Arc<JobLog>>,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A handler ended.
    pub(crate) fn settle(&self, ended: Ended) {
        self.lock().ended.push_back(ended);
        self.wake.notify_one();
    }

    /// What the engine did not take goes behind the others: of those some may be smaller.
    fn settle_again(&self, again: Vec<Ended>) {
        self.lock().ended.extend(again);
    }

    /// A handler logged a line.
    pub(crate) fn log(&self, log: &Arc<JobLog>, source: LogSource, line: &str) {
        match log.push(source, line) {
            Pushed::First => self.lock().logs.push(Arc::clone(log)),
            Pushed::Full => {}
            Pushed::Joined => return,
        }
        self.wake.notify_one();
    }

    /// Waits until there is something to send.
    async fn due(&self) {
        loop {
            let log_due = {
                let waiting = self.lock();
                if !waiting.ended.is_empty() {
                    return;
                }
                waiting.logs.iter().filter_map(|log| log.due()).min()
            };
            match log_due {
                Some(due) if due <= Instant::now() => return,
                Some(due) => drop(tokio::time::timeout_at(due, self.wake.notified()).await),
                None => self.wake.notified().await,
            }
        }
    }

    /// Moves what is to be sent into `batch`.
    fn gather(&self, batch: &mut Batch) {
        let now = Instant::now();
        let mut waiting = self.lock();
        while batch.may_settle() {
            let Some(ended) = waiting.ended.pop_front() else { break };
            batch.settle(ended);
        }
        waiting.logs.retain(|log| match log.due() {
            Some(due) if due <= now && batch.has_room() => {
                batch.log(log);
                false
            }
            due => due.is_some(),
        });
    }
}

/// Sends what comes, for as long as the worker lives.
pub(crate) async fn run(shared: Arc<Shared>) {
    let (mut batch, mut pauses) = (Batch::default(), Pauses::default());
    loop {
        if batch.is_empty() {
            shared.outbox.due().await;
            // Handlers that end in the same moment get the chance to come along.
            tokio::task::yield_now().await;
        }
        shared.link.wait_up().await;
        match send(&shared, &mut batch).await {
            Sent::Answered => pauses.reset(),
            Sent::LinkDown => {}
            Sent::Again => tokio::time::sleep(shared.pause(&mut pauses)).await,
        }
    }
}

/// What became of one call.
enum Sent {
    /// Every settlement was answered for good, or fewer of them are to be sent at once.
    Answered,
    /// It was not made.
    LinkDown,
    /// It failed, or some of it is to be sent again.
    Again,
}

/// One call, and what follows from its answers.
async fn send(shared: &Arc<Shared>, batch: &mut Batch) -> Sent {
    let _until_started = shared.bringing.read().await;
    if !shared.link.is_up() {
        return Sent::LinkDown;
    }
    shared.outbox.gather(batch);
    let commands = batch.commands(shared.order(batch.settlements()));
    match shared.engine.execute(&Context::default(), commands).await {
        Ok(answers) => {
            let answered = batch.answered(answers);
            let sent = if answered.again.is_empty() || answered.send_less { Sent::Answered } else { Sent::Again };
            finish(shared, answered);
            sent
        }
        Err(error) => {
            shared.link.down(&error);
            Sent::Again
        }
    }
}

/// Acts on what the engine said to a batch. The jobs it brought are held before the settled ones are let go, so that a
/// worker that has them never looks idle.
fn finish(shared: &Arc<Shared>, answered: Answered) {
    let Answered { counted, refused, again, leased, .. } = answered;
    let mut done = Vec::with_capacity(counted.len() + refused.len());
    for ended in counted {
        shared.observe(ended.counted());
        done.push(ended);
    }
    for (ended, error) in refused {
        let Ended { ref job, ran, .. } = ended;
        tracing::warn!(job = %job.number, word = %error.word, "what became of the job was refused: {error}");
        shared.observe(Activity::Lost { job, ran, refusal: Some(&error) });
        done.push(ended);
    }
    let (settled, mut slots): (Vec<_>, Vec<_>) = done.into_iter().map(|ended| (ended.hold, ended.slot)).unzip();
    for job in leased {
        // One slot for each job asked for; what is not taken over is free for the intake.
        let Some(slot) = slots.pop() else {
            tracing::warn!(job = %job.number, "no place for the job; it is given back");
            shared.link.unsure();
            break;
        };
        attempt::start(shared, job, slot);
    }
    settled.iter().for_each(|hold| shared.held.remove(hold.lease.token));
    shared.outbox.settle_again(again);
}
